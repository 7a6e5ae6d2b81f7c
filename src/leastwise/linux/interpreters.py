"""Finds every CPython on this machine that can be a runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_OLDEST: Final = (3, 9)
_PROBE: Final = (
    "import ctypes, ssl, sys; print(*sys.version_info[:3], sys.implementation.name, sys.base_prefix, sep='\\n')"
)
_PROBE_SECONDS: Final = 20
_ELF: Final = b"\x7fELF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """One CPython.

    Args:
        binary: the executable, symbolic links resolved.
        prefix: directory that is mounted at /var/lang; `binary` lies below it.
        version: (major, minor, patch).
    """

    binary: Path
    prefix: Path
    version: tuple[int, int, int]

    @property
    def runtime(self) -> str:
        """`python3.11`"""
        return f"python{self.version[0]}.{self.version[1]}"

    def inside(self, mount_point: str) -> str:
        """Path of the executable when `prefix` is mounted at `mount_point`."""
        return f"{mount_point}/{self.binary.relative_to(self.prefix)}"

    def site_directories(self, mount_point: str) -> tuple[str, ...]:
        """Where packages of the host are installed, as seen inside: hidden from functions.

        A function has what its package and the platform bring, whatever the host has installed.
        """
        name = self.runtime
        below = (f"lib/{name}/site-packages", f"local/lib/{name}/dist-packages", "lib/python3/dist-packages")
        return tuple(f"{mount_point}/{path}" for path in below)


def find_interpreters(*, home: Path, search_path: str) -> tuple[Interpreter, ...]:
    """One interpreter per minor version, the platform's own first. Starts each candidate once.

    Args:
        home: where `.pyenv` and uv's directory are looked for.
        search_path: as in the PATH variable.
    """
    found: dict[str, Interpreter] = {}
    seen: set[Path] = set()
    for candidate in _candidates(home, search_path):
        try:
            binary = candidate.resolve(strict=True)
        except OSError:
            continue
        if binary in seen or not _is_program(binary):
            continue
        seen.add(binary)
        interpreter = _probe(binary)
        if interpreter is not None:
            found.setdefault(interpreter.runtime, interpreter)
    return tuple(found.values())


def own_interpreter() -> Interpreter:
    """The CPython that runs the platform (of a virtual environment: the one it was made from)."""
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    return Interpreter(binary=base, prefix=Path(sys.base_prefix).resolve(), version=sys.version_info[:3])


def _candidates(home: Path, search_path: str) -> Iterable[Path]:
    yield own_interpreter().binary
    minors = range(_OLDEST[1], 30)
    directories = [*sorted(home.glob(".pyenv/versions/*/bin"), reverse=True)]
    directories += sorted(home.glob(".local/share/uv/python/cpython-*/bin"), reverse=True)
    directories += [Path(entry) for entry in search_path.split(os.pathsep) if entry]
    directories += [Path("/usr/local/bin"), Path("/usr/bin")]
    for directory in directories:
        for minor in minors:
            yield directory / f"python3.{minor}"


def _is_program(path: Path) -> bool:
    """A real executable; pyenv's shims are shell scripts that pick some other one."""
    try:
        with path.open("rb") as file:
            return file.read(4) == _ELF and os.access(path, os.X_OK)
    except OSError:
        return False


def _probe(binary: Path) -> Interpreter | None:
    try:
        answer = subprocess.run(  # noqa: S603 - the binary was found on this machine; nothing of a caller is in it
            [str(binary), "-I", "-S", "-c", _PROBE],
            capture_output=True,
            check=True,
            text=True,
            timeout=_PROBE_SECONDS,
            env={},
        )
        major, minor, patch, name, prefix = answer.stdout.splitlines()
        version = (int(major), int(minor), int(patch))
        found = Interpreter(binary=binary, prefix=Path(prefix).resolve(), version=version)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    good = name == "cpython" and version[:2] >= _OLDEST and binary.is_relative_to(found.prefix)
    return found if good else None
