"""Landlock: a second lock on the file system, abstract sockets and signals, kept by the process itself.

Network rules of landlock are lists of ports. A sandbox's network namespace has nothing but its own loopback, where any
port is its own business, so they are not used.

Source: Linux UAPI landlock.h.
"""

from __future__ import annotations

import os
import struct

from leastwise.guest import syscalls

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_ALL = (1 << 16) - 1
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1, 2
_O_PATH = 0o10000000


def open_ruleset(abi: int) -> int:
    """A ruleset for the current root: read and execute everywhere, write in /tmp and to the device nodes.

    Call it when /tmp of the sandbox is mounted: rules hold on to the directory, not to the name.

    Args:
        abi: as `syscalls.landlock_abi` says; at least 1.
    """
    handled = _ALL_BY_ABI.get(abi, _ALL)
    # SECURITY: from ABI 6 on the domain cannot connect to abstract sockets of, or send signals to, a process outside.
    scoped = _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL if abi >= 6 else 0
    attributes = struct.pack("=Q", handled)
    if abi >= 4:
        attributes += struct.pack("=Q", 0)
    if abi >= 6:
        attributes += struct.pack("=Q", scoped)
    ruleset = syscalls.landlock_create_ruleset(attributes)
    _allow(ruleset, "/", (EXECUTE | READ_FILE | READ_DIR) & handled)
    _allow(ruleset, "/tmp", handled & ~(_MAKE_CHAR | _MAKE_BLOCK | _IOCTL_DEV))
    _allow(ruleset, "/dev", (READ_FILE | READ_DIR | WRITE_FILE | _TRUNCATE) & handled)
    return ruleset


def _allow(ruleset: int, path: str, access: int) -> None:
    fd = os.open(path, _O_PATH | os.O_CLOEXEC)
    try:
        syscalls.landlock_add_path(ruleset, fd, access)
    finally:
        os.close(fd)
