"""One sandbox: a set of namespaces with a pid 1 of ours in it, and the gateway's ends of its wires.

The seam for runtimes is here: a `RuntimeFamily` turns a generic sandbox into an environment. Python environments speak
over the sandbox's own wire; Node and custom runtimes are programs (`ExecPlan`) that pid 1 starts behind all layers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Mapping
from typing import Final, Protocol

from leastwise.guest import wire
from leastwise.linux.cgroups import Cgroup
from leastwise.linux.framing import FrameReader, Outbox
from leastwise.linux.mounts import Mounter
from leastwise.linux.output import OutputReader
from leastwise.linux.plans import ExecPlan, Exit, RuntimeRoot
from leastwise.linux.processes import resume_tree, stop_tree, tree_peak_bytes
from leastwise.runtime.interface import (
    CrashReason,
    Environment,
    EnvironmentCrashed,
    EnvironmentSpec,
    OnExit,
    OnOutput,
)

__all__ = ["ExecPlan", "Exit", "RuntimeFamily", "RuntimeRoot", "Sandbox"]

_log = logging.getLogger(__name__)

_RECEIVE: Final = 64 * 1024
_STOP_SECONDS: Final = 10
_PORTS: Final = 3


class RuntimeFamily(Protocol):
    """A kind of runtime: how a generic sandbox is prepared in the pool, and how it becomes an environment."""

    def roots(self) -> Mapping[str, RuntimeRoot]:
        """Runtime identifier (`nodejs20.x`) -> root. Asked once."""
        ...

    async def prepare(self, sandbox: Sandbox, runtime: str) -> None:
        """Pool stage, in the background."""
        ...

    async def start(
        self, sandbox: Sandbox, spec: EnvironmentSpec, *, on_output: OnOutput, on_exit: OnExit
    ) -> Environment:
        """Specialises, runs the init phase, returns when the handler is ready.

        The caller stops the sandbox when this raises or is cancelled.

        Raises:
            InitFailed, EnvironmentCrashed
        """
        ...


class Sandbox:
    """One isolated set of namespaces, generic until it is specialised."""

    def __init__(
        self,
        sandbox_id: str,
        *,
        wire_end: socket.socket,
        output: OutputReader,
        cgroup: Cgroup,
        mounter: Mounter,
    ) -> None:
        self.sandbox_id = sandbox_id
        self.channel: socket.socket | None = None
        self.cgroup = cgroup
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.exited: asyncio.Future[Exit] = self._loop.create_future()
        self._wire = wire_end
        self._output = output
        self._mounter = mounter
        self._listeners: list[socket.socket] = []
        self._pidfd = -1
        self._frozen = ""
        self._reader = FrameReader()
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None
        self._expected: frozenset[int] = frozenset()
        self._killed = False
        self._out_of_memory = False
        self._outbox = Outbox(self._loop, wire_end)
        wire_end.settimeout(0)
        self._loop.add_reader(wire_end.fileno(), self._on_readable)
        if cgroup.oom_fd() >= 0:
            # SECURITY: the kernel kills one process of the environment and leaves the rest waiting for it; all of it goes.
            self._loop.add_reader(cgroup.oom_fd(), self._on_out_of_memory)

    # --- what a runtime family uses

    @property
    def alive(self) -> bool:
        return not self.exited.done() and not self._killed

    @property
    def runtime_listener(self) -> socket.socket:
        """Listening on 127.0.0.1:9001 inside; non-blocking; closed with the sandbox. Only once `ready`."""
        return self._listeners[0]

    @property
    def platform_listener(self) -> socket.socket:
        """Listening on 127.0.0.1:9002 inside. The driver serves it."""
        return self._listeners[1]

    def take_egress_listener(self) -> socket.socket:
        """Listening on 127.0.0.1:9003 inside. From here on it is the caller's to close. Once."""
        return self._listeners.pop()

    @property
    def on_output(self) -> OnOutput | None:
        return self._output.on_output

    @on_output.setter
    def on_output(self, callback: OnOutput | None) -> None:
        self._output.on_output = callback

    def drain_output(self) -> None:
        """Delivers what has been printed so far."""
        self._output.drain()

    async def specialise(self, spec: EnvironmentSpec) -> None:
        """Of a program's sandbox: mounts the package, sizes /tmp, sets the limits. Once; before or after `execute`.

        Raises:
            EnvironmentCrashed: it died meanwhile.
            OSError: the package cannot be mounted.
        """
        request = {"tmp_mib": spec.tmp_mib}
        await self.specialise_with(spec, json.dumps(request).encode(), frozenset({wire.SPECIALISED}))

    async def execute(self, plan: ExecPlan) -> None:
        """Starts the program. That execve failed shows as an exit with status 127 or 126, as from a shell.

        Raises:
            EnvironmentCrashed: the sandbox is gone.
        """
        await self.wait_ready()
        request = {"argv": list(plan.argv), "env": dict(plan.env), "cwd": plan.cwd}
        body = json.dumps(request).encode()
        if not plan.channel:
            self._post(wire.EXECUTE, body, -1)
            return
        self.channel, theirs = socket.socketpair()
        self.channel.settimeout(0)
        with theirs:
            self._post(wire.EXECUTE, body, theirs.fileno())

    def peak_memory_bytes(self) -> int:
        """Highest memory use so far; from the processes' own counters where no control group counts."""
        peak = self.cgroup.peak_memory_bytes() if not self.exited.done() else None
        return peak if peak is not None else tree_peak_bytes(self._pidfd)

    def freeze(self) -> None:
        """Stops every process in it. Idempotent.

        MEASURED: a SIGSTOP/SIGCONT pair costs 24 us, the v1 freezer 210 us (2 cores, kernel 6.18, 2026-11); the
        freezer is used when there is more than one process.
        """
        if self._frozen or not self.alive or self._pidfd < 0:
            return
        self._signal(signal.SIGSTOP)
        alone = self.cgroup.alone()
        if alone:
            self._frozen = "signal"
        elif alone is not None and self.cgroup.freeze():
            self._frozen = "freezer"
        else:
            stop_tree(self._pidfd)
            self._frozen = "tree"

    def thaw(self) -> None:
        """Lets them run again. Idempotent."""
        how, self._frozen = self._frozen, ""
        if not how or self.exited.done():
            return
        if how == "freezer":
            self.cgroup.thaw()
        elif how == "tree":
            resume_tree(self._pidfd)
        self._signal(signal.SIGCONT)

    async def stop(self) -> None:
        """Kills everything in it and releases what it held. Idempotent; never raises."""
        self.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.shield(self.exited)
        self.ended(None)

    def kill(self) -> None:
        """Sends SIGKILL to pid 1; the kernel kills the rest of the process namespace with it. Does not wait."""
        if self._killed or self.exited.done():
            return
        self._killed = True
        if self._pidfd >= 0:
            self._signal(signal.SIGKILL)
            if self._frozen == "freezer":
                self.cgroup.thaw()  # a frozen process does not die

    # --- what the Python environment uses

    async def specialise_with(
        self, spec: EnvironmentSpec, request: bytes, expected: frozenset[int]
    ) -> tuple[int, bytes]:
        """Sends the request to specialise, with the package's mount, and waits for one of the `expected` answers."""
        self.cgroup.limit_memory(spec.memory_mib)
        code_fd = await self._mounter.open_code(spec.code_path)
        try:
            answer = self.expect(expected)
            self._post(wire.SPECIALISE, request, code_fd)
        finally:
            os.close(code_fd)
        return await answer

    async def wait_ready(self) -> None:
        """Returns once it is isolated and its listening sockets are here.

        Raises:
            EnvironmentCrashed: it did not come up.
        """
        if not self.ready.done():
            await asyncio.shield(self.ready)
        if self.exited.done():
            raise self._crash()

    def expect(self, kinds: frozenset[int]) -> asyncio.Future[tuple[int, bytes]]:
        """The next frame, which must be of one of these kinds; of any other the sandbox is killed.

        The future raises EnvironmentCrashed when the sandbox ends first.
        """
        waiter: asyncio.Future[tuple[int, bytes]] = self._loop.create_future()
        if self.exited.done():
            waiter.set_exception(self._crash())
            return waiter
        self._waiter, self._expected = waiter, kinds
        return waiter

    def send(self, frame: bytes) -> None:
        """Sends a complete frame without blocking."""
        self._outbox.send(frame)

    # --- what the pool and the fork server's client use

    def born(self, pidfd: int) -> None:
        """Takes the process handle. Killed at once if that was asked for meanwhile."""
        if self.exited.done():
            os.close(pidfd)
            return
        self._pidfd = pidfd
        if self._killed:
            self._signal(signal.SIGKILL)

    def ended(self, status: int | None) -> None:
        """It is gone: tells everybody and releases everything. `status` as of waitpid, None when nobody knows it."""
        if self.exited.done():
            return
        if status is None and self._pidfd >= 0:
            self._signal(signal.SIGKILL)
        self._read_rest()
        self._output.close()
        self.exited.set_result(self._judge(status))
        self._killed = True
        if not self.ready.done():
            self.ready.set_result(None)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._crash())
        self._waiter = None
        self._release()

    def _release(self) -> None:
        if self.cgroup.oom_fd() >= 0:
            self._loop.remove_reader(self.cgroup.oom_fd())
        self._loop.remove_reader(self._wire.fileno())
        self._outbox.close()
        self._wire.close()
        for listener in self._listeners:
            listener.close()
        if self.channel is not None:
            self.channel.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self._loop.run_in_executor(None, self.cgroup.release)

    def _judge(self, status: int | None) -> Exit:
        if self._out_of_memory or self.cgroup.out_of_memory():
            return Exit(reason=CrashReason.OUT_OF_MEMORY, status=signal.SIGKILL)
        code = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
        if code < 0:
            return Exit(reason=CrashReason.SIGNAL, status=-code)
        return Exit(reason=CrashReason.EXIT, status=code)

    def _crash(self) -> EnvironmentCrashed:
        ended = self.exited.result()
        return EnvironmentCrashed(ended.reason, ended.status)

    def _on_out_of_memory(self) -> None:
        self._out_of_memory = True
        self.kill()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def _post(self, kind: int, body: bytes, fd: int) -> None:
        frame = wire.HEADER.pack(kind, len(body)) + body
        if fd < 0:
            self._outbox.send(frame)
            return
        try:
            self._outbox.send_with(frame, fd)
        except OSError:
            self.kill()

    def _on_readable(self) -> None:
        try:
            data = self._receive()
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            # It closed its wire: it is ending, or it misbehaves. Either way it is of no more use.
            self._loop.remove_reader(self._wire.fileno())
            self.kill()
            return
        self._take(data)

    def _receive(self) -> bytes:
        if self._listeners or self.ready.done():
            # SECURITY: hostile from here on. A plain recv: descriptors sent along are closed by the kernel.
            return self._wire.recv(_RECEIVE)
        # Only our own code has run in it so far.
        data, fds, _, _ = socket.recv_fds(self._wire, wire.HEADER.size, _PORTS)
        self._listeners = [socket.socket(fileno=fd) for fd in fds]
        for listener in self._listeners:
            listener.settimeout(0)
        return data

    def _take(self, data: bytes) -> None:
        try:
            frames = self._reader.feed(data)
        except ValueError:
            self.kill()
            return
        for kind, body in frames:
            self._frame(kind, body)

    def _frame(self, kind: int, body: bytes) -> None:
        if kind == wire.READY and not self.ready.done() and len(self._listeners) == _PORTS:
            self.ready.set_result(None)
            return
        if kind == wire.FAILED and not self.ready.done():
            _log.warning("sandbox %s could not be made: %s", self.sandbox_id, ascii(body))
            self.kill()
            return
        waiter = self._waiter
        if waiter is None or kind not in self._expected:
            # SECURITY: nobody asked: a frame out of turn could be taken for the next caller's answer.
            self.kill()
            return
        self._waiter = None
        self._output.drain()
        if not waiter.done():
            waiter.set_result((kind, body))

    def _read_rest(self) -> None:
        """After the end: answers that were already on the wire count."""
        while True:
            try:
                data = self._receive()
            except OSError:
                return
            if not data:
                return
            self._take(data)
