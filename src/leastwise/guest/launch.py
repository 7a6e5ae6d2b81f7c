"""The launcher: from a process of the gateway to a fork server inside the minimal root.

`python -I -S launch.py CONTROL MOUNTER`, the numbers of two inherited sockets.

    0. lay them out as descriptors 3 and 4, close the rest
    1. read the request (peek; the fork server reads it again)
    2. ordinary user: enter a user namespace as its root, and leave the mounter behind
    3. enter a mount and host name namespace, build the root, pivot into it
    4. exec the runtime's interpreter on zygote.py
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":  # a script in isolated mode knows no package; see zygote.py
    import types

    _package = types.ModuleType("leastwise")
    _package.__path__ = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
    sys.modules["leastwise"] = _package

import json
import socket

from leastwise.guest import mounter, rootfs, syscalls
from leastwise.guest.wire import CONTROL_FD, LAUNCH_LIMIT, MOUNTER_FD

GUEST_INSIDE = "/var/guest"
_LIBRARY_PATH = "/var/lang/lib:/lib64:/usr/lib64:" + GUEST_INSIDE + "/python/lib"
# Symbols are bound before the first fork: each binding later would copy a page in every sandbox.
_ENVIRONMENT = {"LANG": "en_US.UTF-8", "TZ": "UTC", "LD_LIBRARY_PATH": _LIBRARY_PATH, "LD_BIND_NOW": "1"}


def main() -> None:
    _lay_out(int(sys.argv[1]), int(sys.argv[2]))
    control = socket.socket(fileno=CONTROL_FD)
    request = json.loads(control.recv(LAUNCH_LIMIT, socket.MSG_PEEK))
    privileged = bool(request["privileged"])
    if privileged:
        # SECURITY: supplementary groups of root (disk, docker, ...) would open files to every environment.
        syscalls.setgroups_none()
        os.close(MOUNTER_FD)
        syscalls.unshare(syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS)
    else:
        _enter_user_namespace()
        _leave_mounter_behind()
    # SECURITY: the host's name is not a tenant's business.
    syscalls.sethostname(b"sandbox")
    binds = dict(request["binds"])
    binds[GUEST_INSIDE + "/leastwise/guest"] = os.path.dirname(os.path.abspath(__file__))
    rootfs.Root(binds, request["covers"], privileged=privileged).enter()
    control.detach()
    os.set_inheritable(CONTROL_FD, True)
    interpreter = request["interpreter"]
    # SECURITY: argv and environment show in /proc/1 of every sandbox; there is nothing in them.
    os.execve(interpreter, [interpreter, "-s", GUEST_INSIDE + "/leastwise/guest/zygote.py"], _ENVIRONMENT)


def _lay_out(control: int, helper: int) -> None:
    above = [syscalls.duplicate_above(fd, MOUNTER_FD + 1) for fd in (control, helper)]
    os.dup2(above[0], CONTROL_FD)
    os.dup2(above[1], MOUNTER_FD)
    # SECURITY: whatever else was inherited must not reach the fork server, and through it every sandbox.
    syscalls.close_range(MOUNTER_FD + 1, 0x7FFFFFFF)


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUTS)
    write_id_maps(0, uid, 0, gid)


def write_id_maps(inside_uid: int, outside_uid: int, inside_gid: int, outside_gid: int) -> None:
    """Maps exactly one user and one group into the user namespace just entered."""
    # SECURITY: without "deny" the kernel accepts no group map from the process itself: dropping a group could gain access.
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", "%d %d 1" % (inside_uid, outside_uid)),
        ("gid_map", "%d %d 1" % (inside_gid, outside_gid)),
    ):
        fd = os.open("/proc/self/" + name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)


def _leave_mounter_behind() -> None:
    """Forks the process that opens code directories for an ordinary user's sandboxes.

    It stays outside the new root, in the same user namespace, and ends when the gateway closes its socket.
    """
    if os.fork():
        os.close(MOUNTER_FD)
        syscalls.unshare(syscalls.CLONE_NEWNS)  # from here on the two see different mounts
        return
    os.close(CONTROL_FD)
    mounter.serve(socket.socket(fileno=MOUNTER_FD))
    os._exit(0)


if __name__ == "__main__":
    main()
