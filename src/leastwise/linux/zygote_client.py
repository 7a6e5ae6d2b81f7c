"""The gateway's end of a fork server: starts it, asks it for sandboxes, hears of their end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from leastwise.guest import launch as guest_launch
from leastwise.guest.wire import LAUNCH_LIMIT
from leastwise.kernel.errors import Unavailable
from leastwise.linux.mounts import HelperMounter, HostMounter, Mounter

_READY_SECONDS: Final = 60
_STDERR_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygotePlan:
    """How one fork server is made.

    Args:
        role: `python` (sandboxes are Python environments) or `exec` (they start a program).
        interpreter: path inside the root.
        binds: path inside -> host directory, read-only.
        covers: directories inside that are hidden.
        detach: mounts that are taken away when the fork server has read what it needs.
        preload: modules it imports.
        privileged: the platform is root with the capabilities it needs.
    """

    role: str
    interpreter: str
    binds: Mapping[str, Path]
    covers: tuple[str, ...] = ()
    detach: tuple[str, ...] = (guest_launch.GUEST_INSIDE + "/leastwise/guest",)
    preload: tuple[str, ...] = ()
    privileged: bool


@dataclass(slots=True, kw_only=True)
class _Child:
    forked: asyncio.Future[int]
    on_exit: Callable[[int | None], None]
    pidfd: int = field(default=-1)


class Zygote:
    """One running fork server."""

    def __init__(self, plan: ZygotePlan) -> None:
        self.plan = plan
        self.mounter: Mounter = HostMounter()
        self.forks = 0
        self.alive = False
        self._made_at = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._children: dict[str, _Child] = {}
        self._backlog: list[tuple[bytes, list[int]]] = []
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._stderr = os.memfd_create("leastwise-zygote", os.MFD_CLOEXEC)

    async def start(self) -> None:
        """Returns when sandboxes can be asked for.

        Raises:
            Unavailable: it did not come up; the message says why.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mine, helpers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, helpers:
            ours.send(self._launch_request())
            self._process = await self._loop.run_in_executor(None, self._spawn, theirs.fileno(), helpers.fileno())
        ours.settimeout(0)
        self._control = ours
        self.alive = True
        self._loop.add_reader(ours.fileno(), self._on_readable)
        if self.plan.privileged:
            mine.close()
        else:
            self.mounter = HelperMounter(self._loop, mine)
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self._ready
        except TimeoutError:
            await self.stop()
            message = f"the fork server did not start: {self._complaint()}"
            raise Unavailable(message) from None
        except BaseException:
            await self.stop()
            raise

    def fork(
        self,
        identifier: str,
        *,
        kernel_id: int,
        fds: tuple[int, int, int],
        join_fds: list[int],
        into_fd: int,
        on_exit: Callable[[int | None], None],
    ) -> asyncio.Future[int]:
        """Asks for one sandbox; the future gives its pidfd, which then belongs to the caller.

        The descriptors are duplicated by the kernel; the caller closes his.

        Args:
            identifier: unique while the fork server lives.
            kernel_id: uid and gid on the host.
            fds: the sandbox's ends of wire, telemetry and output.
            join_fds: `tasks` files (cgroup v1).
            into_fd: cgroup v2 directory, or -1.
            on_exit: called once with the wait status, or None when the fork server died first.
        """
        child = _Child(forked=self._loop.create_future(), on_exit=on_exit)
        if not self.alive:
            child.forked.set_exception(Unavailable("the fork server is gone"))
            return child.forked
        self._children[identifier] = child
        self.forks += 1
        request = {
            "op": "fork",
            "id": identifier,
            "kernel_id": kernel_id,
            "cgroups": len(join_fds),
            "into": into_fd >= 0,
        }
        descriptors = [*fds, *join_fds, *([into_fd] if into_fd >= 0 else [])]
        self._send(json.dumps(request).encode(), descriptors)
        return child.forked

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._made_at

    @property
    def sandboxes(self) -> int:
        """How many of its sandboxes live."""
        return len(self._children)

    async def stop(self) -> None:
        """Ends the fork server and everything it made. Idempotent."""
        self._lost()
        process, self._process = self._process, None
        if process is None:
            return

        def reap() -> None:
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        await self._loop.run_in_executor(None, reap)
        os.close(self._stderr)

    def _launch_request(self) -> bytes:
        request = {
            "role": self.plan.role,
            "privileged": self.plan.privileged,
            "interpreter": self.plan.interpreter,
            "binds": {inside: str(path) for inside, path in self.plan.binds.items()},
            "covers": list(self.plan.covers),
            "detach": list(self.plan.detach),
            "preload": list(self.plan.preload),
        }
        return json.dumps(request).encode()

    def _spawn(self, control_fd: int, mounter_fd: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and our own file
            [sys.executable, "-I", "-S", guest_launch.__file__, str(control_fd), str(mounter_fd)],
            # SECURITY: the platform's environment and descriptors may hold secrets; none is inherited.
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            pass_fds=(control_fd, mounter_fd),
            start_new_session=True,
        )

    def _send(self, message: bytes, fds: list[int]) -> None:
        if self._control is None:
            return
        if not self._backlog:
            try:
                socket.send_fds(self._control, [message], fds)
            except BlockingIOError:
                self._loop.add_writer(self._control.fileno(), self._on_writable)
            except OSError:
                self._lost()
                return
            else:
                return
        self._backlog.append((message, [os.dup(fd) for fd in fds]))

    def _on_writable(self) -> None:
        while self._backlog and self._control is not None:
            message, fds = self._backlog[0]
            try:
                socket.send_fds(self._control, [message], fds)
            except BlockingIOError:
                return
            except OSError:
                self._lost()
                return
            del self._backlog[0]
            for fd in fds:
                os.close(fd)
        if self._control is not None:
            self._loop.remove_writer(self._control.fileno())

    def _on_readable(self) -> None:
        while self._control is not None:
            try:
                message, fds, _, _ = socket.recv_fds(self._control, LAUNCH_LIMIT, 1)
            except BlockingIOError:
                return
            except OSError:
                self._lost()
                return
            if not message:
                self._lost()
                return
            self._handle(json.loads(message), fds)

    def _handle(self, message: dict[str, Any], fds: list[int]) -> None:
        if message["op"] == "ready":
            if not self._ready.done():
                self._ready.set_result(None)
            return
        child = self._children.get(message["id"])
        if child is None:
            return
        if message["op"] == "forked":
            if child.forked.done():
                os.close(fds[0])
            else:
                child.forked.set_result(fds[0])
        elif message["op"] == "failed":
            del self._children[message["id"]]
            if not child.forked.done():
                child.forked.set_exception(Unavailable(f"no sandbox could be made: {message['error']}"))
            child.on_exit(None)
        elif message["op"] == "exited":
            del self._children[message["id"]]
            child.on_exit(message["status"])

    def _lost(self) -> None:
        """The connection is gone, by our wish or not: the fork server kills its sandboxes and exits."""
        if self._control is None:
            return
        control, self._control = self._control, None
        self.alive = False
        self._loop.remove_reader(control.fileno())
        self._loop.remove_writer(control.fileno())
        control.close()
        self.mounter.close()
        for _, fds in self._backlog:
            for fd in fds:
                os.close(fd)
        self._backlog.clear()
        if not self._ready.done():
            self._ready.set_exception(Unavailable(f"the fork server did not start: {self._complaint()}"))
            with contextlib.suppress(Exception):
                self._ready.exception()
        children, self._children = self._children, {}
        for child in children.values():
            if not child.forked.done():
                child.forked.set_exception(Unavailable("the fork server is gone"))
            child.on_exit(None)

    def _complaint(self) -> str:
        text = os.pread(self._stderr, _STDERR_LIMIT * 16, 0).decode(errors="replace").strip()
        return text.splitlines()[-1] if text else "no reason given"
