"""Turns a code directory into a detached read-only mount: in the gateway itself when it is root, else in a helper."""

from __future__ import annotations

import os
import socket

from leastwise.guest import syscalls
from leastwise.guest.wire import PATH_LIMIT

_ATTRIBUTES = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV


def open_code(path: str) -> int:
    """A detached mount of the directory `path`.

    Raises:
        OSError: no such directory, or no right to mount.
    """
    # SECURITY: a mount instead of a path: the sandbox never learns a way to the directory's neighbours, and cannot
    # write into code that other environments run.
    fd = syscalls.open_tree(path)
    try:
        syscalls.mount_setattr(fd, _ATTRIBUTES)
    except OSError:
        os.close(fd)
        raise
    return fd


def serve(connection: socket.socket) -> None:
    """One path in, one descriptor (or an error number as text) out, until the other side is gone."""
    while True:
        request = connection.recv(PATH_LIMIT)
        if not request:
            return
        try:
            fd = open_code(os.fsdecode(request))
        except OSError as error:
            connection.send(b"%d" % (error.errno or 5))
            continue
        try:
            socket.send_fds(connection, [b"0"], [fd])
        finally:
            os.close(fd)
