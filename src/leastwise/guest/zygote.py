"""The fork server: a warm interpreter inside the minimal root that turns into sandboxes on request.

Protocol, over the control socket (JSON, see `wire`):
    1. the launch request that the launcher has only peeked at
    2. -> {"op": "ready"} when everything is imported
    3. <- {"op": "fork", "id", "kernel_id", "cgroups", "into"}, descriptors: sandbox, telemetry, output,
          `tasks` files (`cgroups` of them), then a cgroup v2 directory if `into`
       -> {"op": "forked", "id", "pid"}, descriptor: pidfd     or {"op": "failed", "id", "error"}
    4. -> {"op": "exited", "id", "status"} once it is gone (status as of waitpid)
    5. end of file: kill every sandbox, exit

SECURITY: it holds no secret and runs no code but ours: whatever it can read, every sandbox of it can read. It lives in
no process namespace of its own, or OpenSSL's check for a fork (the pid changed) would fail in its children, which are
all pid 1, and they would all draw the same random numbers.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, "/var/guest")

# Before anything imports threading, logging or random.
from leastwise.guest import fork_hooks

fork_hooks.collect()

# ruff: noqa: E402 - the hooks are collected before these are imported
import errno
import importlib
import json
import select
import signal
import socket
from typing import Any

from leastwise.guest import confine, memory, python_bootstrap, seccomp, supervisor, syscalls
from leastwise.guest.wire import CONTROL_FD, HEADER, LAUNCH_LIMIT, READY, SANDBOX_FD, TELEMETRY_FD

_FORK_LIMIT = 4096
_LISTENERS = 3


class Zygote:
    """State of one fork server."""

    def __init__(self, control: socket.socket, request: dict[str, Any]) -> None:
        self._control = control
        self._epoll = select.epoll()
        self._children: dict[int, tuple[str, int]] = {}
        self._layers = confine.Layers(
            privileged=bool(request["privileged"]), filter_program=seccomp.assemble(syscalls.MACHINE)
        )
        self._layers.rehearse()
        self._cloner = syscalls.Cloner(confine.NAMESPACES)
        self._network = confine.Network()
        self._role = python_bootstrap if request["role"] == "python" else supervisor

    def run(self) -> None:
        """Serves until the gateway is gone."""
        self._epoll.register(self._control.fileno(), select.EPOLLIN)
        control_fd = self._control.fileno()
        while True:
            self._network.prepare()
            for fd, _ in self._epoll.poll():
                if fd != control_fd:
                    self._reap(fd)
                elif not self._serve():
                    return

    def kill_all(self) -> None:
        for pidfd in list(self._children):
            try:
                syscalls.pidfd_send_signal(pidfd, signal.SIGKILL)
            except OSError:
                continue

    def _serve(self) -> bool:
        message, fds, _, _ = socket.recv_fds(self._control, _FORK_LIMIT, 16)
        if not message:
            return False
        request = json.loads(message)
        try:
            self._network.prepare()
            pid, pidfd = self._cloner.clone(fds[-1] if request["into"] else -1)
        except OSError as error:
            self._send({"op": "failed", "id": request["id"], "error": str(error)})
        else:
            if pid == 0:
                self._become(request, fds)
            self._children[pidfd] = (request["id"], pid)
            self._epoll.register(pidfd, select.EPOLLIN)
            self._send({"op": "forked", "id": request["id"], "pid": pid}, pidfd)
            self._network.used()
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _reap(self, pidfd: int) -> None:
        identifier, pid = self._children.pop(pidfd)
        self._epoll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        self._send({"op": "exited", "id": identifier, "status": status})

    def _send(self, message: dict[str, Any], *fds: int) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(message).encode()], list(fds))
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise

    def _become(self, request: dict[str, Any], fds: list[int]) -> None:
        """The child's life. Does not return."""
        status = 70
        try:
            listeners = self._network.listeners()
            connection = _keep_only([*fds[:3], *listeners, *fds[3:]], request["cgroups"])
            try:
                self._isolate(request, connection)
            except OSError as error:
                supervisor.fail(connection, error)
                raise
            status = self._role.serve(connection, self._layers)
        except BaseException:
            status = 70
        finally:
            os._exit(status)

    def _isolate(self, request: dict[str, Any], connection: socket.socket) -> None:
        first = TELEMETRY_FD + 1 + _LISTENERS
        listeners = list(range(TELEMETRY_FD + 1, first))
        self._layers.isolate(request["kernel_id"], list(range(first, first + request["cgroups"])))
        socket.send_fds(connection, [HEADER.pack(READY, 0)], listeners)
        for fd in listeners:
            os.close(fd)


def _keep_only(fds: list[int], cgroups: int) -> socket.socket:
    """Lays out the descriptors of pid 1: null, output, output, sandbox wire, telemetry, the listening sockets, and
    the cgroup files.

    SECURITY: everything else (the control socket, other sandboxes' process handles) is closed: an inherited descriptor
    would be a way out that no namespace covers.
    """
    wanted = fds[: 3 + _LISTENERS + cgroups]
    last = TELEMETRY_FD + _LISTENERS + cgroups
    # First out of the way of the targets, and of each other.
    wire, telemetry, output, *rest = [syscalls.duplicate_above(fd, last + 1) for fd in wanted]
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for target, fd in enumerate((wire, telemetry, *rest), SANDBOX_FD):
        os.dup2(fd, target, inheritable=False)
    syscalls.close_range(last + 1, 0x7FFFFFFF)
    return socket.socket(fileno=SANDBOX_FD)


def main() -> None:
    control = socket.socket(fileno=CONTROL_FD)
    os.set_inheritable(CONTROL_FD, False)
    request = json.loads(control.recv(LAUNCH_LIMIT))
    sys.path.append("/var/runtime")
    for name in request["preload"]:
        importlib.import_module(name)
    sys.path.remove("/var/runtime")
    python_bootstrap.warm_up()
    for path in request["detach"]:
        # SECURITY: what only the fork server needs is not shown to its sandboxes.
        syscalls.umount(path)
    # SECURITY: no program started in any sandbox can ever hold a capability.
    syscalls.drop_bounding_set()
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    if request["role"] == "python":
        python_bootstrap.look_like_a_function()
    fork_hooks.stop_collecting()
    zygote = Zygote(control, request)
    null = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)
    memory.settle()
    control.send(json.dumps({"op": "ready", "pid": os.getpid()}).encode())
    zygote.run()
    zygote.kill_all()


if __name__ == "__main__":
    main()
