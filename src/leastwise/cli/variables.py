"""The environment variables of a function: from the command line, this environment, or a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from leastwise.cli.failures import CommandError

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]+")
"""SOURCE: Lambda Developer Guide, "Environment variables": a letter first, at least two characters."""
_SECRET_NAME: Final = re.compile(r"(?i)secret|token|passw|credential|private|api_?key")


def collect(
    given: Sequence[str], file: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, str] | None, list[str]]:
    """All variables, and the names of those that look like secrets and stood on the command line.

    Args:
        given: `K=V`, or `K` alone for the value it has in `environ`.
        file: lines of `K=V`; empty lines and those that begin with `#` are skipped. The value is what stands behind
            the first `=`, as it is. None for no file.
        environ: of this process.

    Returns:
        None instead of the variables when nothing was given.

    Raises:
        CommandError: not a name, twice the same name, or not set in `environ`. Never with a value in it.
        OSError: the file cannot be read.
    """
    if not given and file is None:
        return None, []
    found: dict[str, str] = {}
    exposed: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines() if file else [], start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            message = f"{file}, line {number}: not K=V"
            raise CommandError(message)
        _put(found, name.strip(), value, shown=f"{file}, line {number}")
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            if name not in environ:
                message = f"--env {name}: not set in this environment"
                raise CommandError(message)
            value = environ[name]
        elif _SECRET_NAME.search(name):
            exposed.append(name)
        _put(found, name, value, shown=f"--env {name}")
    return found, exposed


def _put(found: dict[str, str], name: str, value: str, *, shown: str) -> None:
    """SECURITY: `shown` is the place, not the text: a file that was misread may have a secret where a name should be."""
    if not _NAME.fullmatch(name):
        message = f"{shown}: not a name for an environment variable"
        raise CommandError(message)
    if name in found:
        message = f"{shown}: the variable {name} is given twice"
        raise CommandError(message)
    found[name] = value
