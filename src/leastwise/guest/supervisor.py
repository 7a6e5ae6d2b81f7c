"""Pid 1 of a sandbox that runs a program (Node, a custom runtime): starts it behind all layers, and reaps.

The program is confined completely before execve. Pid 1 keeps the right to mount until the function's package is in
place (that may come after the program has started, from a pool), and has no privilege left afterwards.

    <- EXECUTE {"argv", "env", "cwd"}, descriptor: the channel, if any     -> (nothing; FAILED when it cannot start)
    <- SPECIALISE {"tmp_mib", ...}, descriptor: the package                 -> SPECIALISED

When the program ends, pid 1 ends with its status (128 + signal number if a signal ended it).
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from typing import Any

from leastwise.guest.confine import Layers
from leastwise.guest.wire import CHANNEL_FD, EXECUTE, FAILED, HEADER, SANDBOX_FD, SPECIALISE, SPECIALISED

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def fail(connection: socket.socket, error: Exception) -> None:
    """Tells the gateway why the sandbox could not be made."""
    text = str(error).encode()[:1024]
    connection.send(HEADER.pack(FAILED, len(text)) + text)


def serve(connection: socket.socket, layers: Layers) -> int:
    """The life of pid 1. Returns its exit status."""
    reaper = _Reaper()
    program = 0
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    poll.register(reaper.fileno(), select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if reaper.fileno() in ready:
            status = reaper.reap(program)
            if status is not None:
                return status
        if connection.fileno() not in ready:
            continue
        kind, request, fd = _receive(connection)
        if kind == SPECIALISE:
            layers.mount_code(fd, request["tmp_mib"])
            layers.confine()
            connection.sendall(HEADER.pack(SPECIALISED, 0))
        elif kind == EXECUTE and not program:
            program = _start(request, fd, layers)
        else:
            return 0


def _receive(connection: socket.socket) -> tuple[int, dict[str, Any], int]:
    message, fds, _, _ = socket.recv_fds(connection, HEADER.size, 1)
    if not message:
        return 0, {}, -1
    kind, length = HEADER.unpack(message)
    body = b""
    while len(body) < length:
        more = connection.recv(length - len(body))
        if not more:
            return 0, {}, -1
        body += more
    return kind, json.loads(body), fds[0] if fds else -1


def _start(request: dict[str, Any], channel: int, layers: Layers) -> int:
    pid = os.fork()
    if pid:
        if channel >= 0:
            os.close(channel)
        return pid
    status = _NOT_EXECUTABLE
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        # SECURITY: pid 1's wire to the gateway is not the program's: it could speak as the supervisor.
        os.close(SANDBOX_FD)
        if channel > CHANNEL_FD:
            os.dup2(channel, CHANNEL_FD)
            # Received descriptors are inheritable: a second copy would keep the channel open when the program closes it.
            os.close(channel)
        # Everything above is closed by execve: only descriptors 0 to 2 and the channel are inheritable.
        layers.confine()
        os.chdir(request["cwd"])
        os.execve(request["argv"][0], request["argv"], request["env"])
    except FileNotFoundError as error:
        status = _NOT_FOUND
        _complain(request, error)
    except OSError as error:
        _complain(request, error)
    os._exit(status)


def _complain(request: dict[str, Any], error: OSError) -> None:
    os.write(2, ("%s: %s\n" % (request["argv"][0], error.strerror)).encode())


class _Reaper:
    """Collects ended processes: the program's, and orphans of any."""

    def __init__(self) -> None:
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def fileno(self) -> int:
        return self._read

    def reap(self, program: int) -> int | None:
        """The exit status for pid 1 once `program` has ended."""
        os.read(self._read, 4096)
        result = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return result
            if pid == 0:
                return result
            if pid == program:
                code = os.waitstatus_to_exitcode(status)
                result = code if code >= 0 else 128 - code
