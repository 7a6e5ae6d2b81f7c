"""Installs requirements.txt for a function: wheels only, for its Python, into a directory of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from leastwise.cli.failures import CommandError

FILE: Final = "requirements.txt"
_SECRETS: Final = re.compile(r"(AWS|LEASTWISE)_.*")
_LINES_OF_PIP: Final = 12
_BROUGHT_ALONG: Final = Path(__file__).resolve().parents[3] / "requirements" / "bootstrap"
"""The pip that a checkout brings along: Debian's python3 has none, and `make setup` leaves none behind."""


def wanted(root: Path, runtime: str) -> Path | None:
    """The requirements file to install, None when there is none, or nothing in it, or it is not for Python."""
    file = root / FILE
    if not runtime.startswith("python") or not file.is_file():
        return None
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return file if any(line and not line.startswith("#") for line in lines) else None


def is_locked(file: Path) -> bool:
    """Whether the file carries hashes. pip then refuses everything that has none, or another one."""
    return "--hash=" in file.read_text(encoding="utf-8")


def find_pip(brought_along: Path = _BROUGHT_ALONG) -> tuple[str, ...]:
    """How Python is told to run pip: the one that is installed beside this command, else the checkout's wheel.

    Raises:
        CommandError: there is neither, or the wheel is not the one that was recorded.
    """
    if importlib.util.find_spec("pip") is not None:
        return ("-m", "pip")
    wheels = sorted(brought_along.glob("pip-*.whl"))
    if not wheels:
        message = f"{FILE} needs pip, and there is none for {sys.executable}"
        raise CommandError(message, hint="Install pip there, or install the packages into the directory yourself.")
    wheel = wheels[-1]
    recorded = (brought_along / "SHA256SUMS").read_text(encoding="utf-8").split()
    # SECURITY: it runs as whoever deploys; a wheel that somebody exchanged must not.
    if hashlib.sha256(wheel.read_bytes()).hexdigest() not in recorded:
        message = f"{wheel} is not the file that was recorded in SHA256SUMS"
        raise CommandError(message)
    return (f"{wheel}/pip",)


def pip_command(file: Path, target: Path, runtime: str) -> list[str]:
    """The call of pip.

    Raises:
        CommandError: see `find_pip`.
    """
    return [
        sys.executable,
        # SECURITY: isolated, or a file pip.py in the function's directory would run here as whoever deploys.
        "-I",
        *find_pip(),
        "install",
        "--no-input",
        "--disable-pip-version-check",
        "--quiet",
        "--no-compile",
        # SECURITY: a source distribution is a program that would run here; a wheel is only unpacked.
        "--only-binary",
        ":all:",
        "--python-version",
        runtime.removeprefix("python"),
        "--implementation",
        "cp",
        "--target",
        str(target),
        "--requirement",
        str(file),
    ]


def pip_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What pip sees of the environment. SECURITY: keys of this platform or a cloud are none of its business."""
    return {name: value for name, value in environ.items() if not _SECRETS.fullmatch(name)}


def install(file: Path, target: Path, runtime: str) -> None:
    """Installs into `target`, which must be empty.

    Raises:
        CommandError: pip failed; with its last lines.
    """
    finished = subprocess.run(  # noqa: S603 - our own interpreter, arguments as a list
        pip_command(file.resolve(), target, runtime),
        env=pip_environment(os.environ),
        cwd=target,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if finished.returncode != 0:
        last = "\n".join(finished.stderr.strip().splitlines()[-_LINES_OF_PIP:])
        message = f"{file} cannot be installed for {runtime}:\n{last}"
        raise CommandError(message)


def left_out() -> tuple[str, ...]:
    """What pip leaves in the target that does not belong in a package: its console scripts start this machine's
    Python, and caches differ from one run to the next.
    """
    return ("__pycache__", "*.pyc", "/bin")
