"""What this process may do: real root with the capabilities it takes, or an ordinary user."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leastwise.guest import syscalls

_NEEDED: Final = {
    "CAP_SYS_ADMIN": syscalls.CAP_SYS_ADMIN,
    "CAP_SETUID": syscalls.CAP_SETUID,
    "CAP_SETGID": syscalls.CAP_SETGID,
    "CAP_CHOWN": syscalls.CAP_CHOWN,
    "CAP_MKNOD": syscalls.CAP_MKNOD,
    "CAP_NET_ADMIN": syscalls.CAP_NET_ADMIN,
}
_WANTED_BASE: Final = 0x70000000
_RANGE: Final = 0x0FFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Privileges:
    """The two ways to make sandboxes.

    Args:
        privileged: sandboxes get a user id of their own on the host; otherwise all share the platform's, each in a user
            namespace of its own.
        weakness: why not privileged, empty if it is.
        first_kernel_id: lowest uid and gid that sandboxes get on the host.
        kernel_ids: how many there are.
    """

    privileged: bool
    weakness: str
    first_kernel_id: int = 0
    kernel_ids: int = 1

    def kernel_id(self, number: int) -> int:
        """Uid and gid of the sandbox with this running number; two that live at once never share one."""
        return self.first_kernel_id + number % self.kernel_ids


def detect_privileges() -> Privileges:
    """Looks at the effective uid, the capabilities and the ids this user namespace has."""
    if os.geteuid() != 0:
        return Privileges(privileged=False, weakness="not root")
    mask = syscalls.effective_capabilities()
    missing = [name for name, bit in _NEEDED.items() if not mask >> bit & 1]
    if missing:
        return Privileges(privileged=False, weakness=f"root without {', '.join(missing)}")
    first, count = _id_range(Path("/proc/self/uid_map").read_text())
    if count < 1:
        return Privileges(privileged=False, weakness="no user ids to give to sandboxes")
    return Privileges(privileged=True, weakness="", first_kernel_id=first, kernel_ids=count)


def _id_range(uid_map: str) -> tuple[int, int]:
    """(first, count) of ids for sandboxes: far above any real user, or the upper half of the largest range."""
    best = (0, 0)
    for line in uid_map.splitlines():
        inside, _, count = map(int, line.split())
        if inside <= _WANTED_BASE and inside + count > _WANTED_BASE + _RANGE:
            return _WANTED_BASE, _RANGE
        if count > best[1]:
            best = (inside, count)
    half = best[1] // 2
    return best[0] + half, best[1] - half - 1
