"""What isolation this machine gives, for `leastwise doctor`."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from leastwise.guest import syscalls
from leastwise.linux.cgroups import Cgroups, clean
from leastwise.linux.privileges import Privileges

_LANDLOCK_SCOPES: Final = 6
_PR_GET_SECCOMP: Final = 21
_TRY_SECONDS: Final = 10
_TRY_USER_NAMESPACE: Final = "import ctypes; c = ctypes.CDLL(None); raise SystemExit(c.unshare(0x10020000) or c.mount(b'x', b'/', b'tmpfs', 0, None))"


class Grade(StrEnum):
    GOOD = "good"
    WEAK = "weak"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact about the machine.

    Args:
        subject: what was looked at.
        grade: how good it is for isolation.
        text: what was found, and what would be better.
    """

    subject: str
    grade: Grade
    text: str


def examine(privileges: Privileges, cgroups: Cgroups, runtimes: Sequence[str]) -> list[Finding]:
    """Looks at everything the sandbox is built from.

    Args:
        privileges: what this process may do.
        cgroups: made for this look only; what was made to try is removed again.
        runtimes: identifiers of those found.
    """
    findings = []
    for subject, text in isolation_layers(privileges, cgroups).items():
        grade = Grade.GOOD if text == "on" or text.startswith("on (") else Grade.WEAK
        if text.startswith("off"):
            grade = Grade.MISSING
        findings.append(Finding(subject=subject, grade=grade, text=text))
    names = ", ".join(runtimes)
    findings.append(
        Finding(subject="runtimes", grade=Grade.GOOD if names else Grade.MISSING, text=names or "no runtime was found")
    )
    findings.append(_stronger_driver())
    clean(cgroups.bases)
    return findings


def isolation_layers(privileges: Privileges, cgroups: Cgroups) -> Mapping[str, str]:
    """Layer -> `on`, or why it is weaker than it should be."""
    layers = {
        "namespaces": "on",
        "network": "on",
        "root file system": "on",
        "capabilities": "on",
        "user ids": "on"
        if privileges.privileged
        else f"weaker: all sandboxes share one user id ({privileges.weakness})",
        "user namespaces": "on"
        if privileges.privileged or _user_namespaces()
        else "off: the kernel or its policy allows none",
        "memory and processes": _cgroup_text(cgroups),
        "freezing": "on" if cgroups.version != "none" else "weaker: by signals to each process",
        "landlock": _landlock_text(syscalls.landlock_abi()),
        "seccomp": "on" if _seccomp() else "off: the kernel has no system call filter",
    }
    if not syscalls.SUPPORTED:
        layers["seccomp"] = f"off: no filter for {syscalls.MACHINE}"
    return layers


def _cgroup_text(cgroups: Cgroups) -> str:
    if cgroups.version == "none":
        return f"weaker: only limits of single processes ({cgroups.weakness}); run functions of one owner only"
    return f"on (cgroup {cgroups.version})" if not cgroups.weakness else f"weaker: {cgroups.weakness}"


def _landlock_text(abi: int) -> str:
    if abi == 0:
        return "off: the kernel has no landlock"
    return f"on (ABI {abi})" if abi >= _LANDLOCK_SCOPES else f"weaker: ABI {abi} knows no scopes of sockets and signals"


@functools.cache
def _user_namespaces() -> bool:
    """Whether an ordinary user may make one and mount in it; tried, since policies of several kinds may forbid it."""
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and a fixed text
            [sys.executable, "-I", "-S", "-c", _TRY_USER_NAMESPACE], timeout=_TRY_SECONDS, check=False, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _seccomp() -> bool:
    return Path("/proc/sys/kernel/seccomp/actions_avail").exists() or _prctl_knows_seccomp()


def _prctl_knows_seccomp() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) >= 0)


def _stronger_driver() -> Finding:
    """No driver uses runsc yet, so that it is missing weakens nothing."""
    path = shutil.which("runsc", path=os.environ.get("PATH", os.defpath))
    return Finding(subject="runsc", grade=Grade.GOOD, text=f"{path or 'not found'} (optional; nothing uses it yet)")
