"""Generic sandboxes of one account and runtime, kept ready; and the fork servers they come from."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from leastwise.kernel.errors import LeastwiseError
from leastwise.linux.cgroups import Cgroups
from leastwise.linux.output import OutputReader
from leastwise.linux.privileges import Privileges
from leastwise.linux.sandbox import RuntimeFamily, Sandbox
from leastwise.linux.zygote_client import Zygote, ZygotePlan
from leastwise.runtime.interface import EnvironmentCrashed

_log = logging.getLogger(__name__)

_QUIET_S: Final = 0.02
"""The pool is refilled when nothing was taken for so long: a burst has the processors for itself."""
_MAX_FORKS: Final = 5_000
_MAX_AGE_S: Final = 6 * 3600
"""SECURITY: the sandboxes of one fork server share its memory layout and hash seed, so it is renewed now and then: what one
function learns of them is soon of no use against the next."""
_SPARES: Final = 8


class Pool:
    """See `LinuxDriver` for the arguments."""

    def __init__(
        self,
        plan: ZygotePlan,
        *,
        runtime: str,
        family: RuntimeFamily,
        size: int,
        idle_s: float | None,
        cgroups: Cgroups,
        privileges: Privileges,
        numbers: Iterator[int],
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._family = family
        self._size = size
        self._idle_s = idle_s
        self._cgroups = cgroups
        self._privileges = privileges
        self._numbers = numbers
        self._loop = asyncio.get_running_loop()
        self._starting: asyncio.Task[Zygote] | None = None
        self._zygote: Zygote | None = None
        self._retired: list[Zygote] = []
        self._waiting: deque[Sandbox] = deque()
        self._spare: deque[Parts] = deque()
        self._all: set[Sandbox] = set()
        self._refill: asyncio.Task[None] | None = None
        self._refill_at: asyncio.TimerHandle | None = None
        self._idle_at: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None
        self._taken_at = time.monotonic()
        self._closed = False

    async def take(self) -> Sandbox:
        """A generic sandbox: from the pool, or one that is just being made (`Sandbox.ready` tells).

        Raises:
            Unavailable: the fork server does not start.
        """
        self._taken_at = time.monotonic()
        self._refill_soon()
        while self._waiting:
            sandbox = self._waiting.popleft()
            if sandbox.alive:
                return sandbox
        sandbox = await self._make()
        try:
            await self._family.prepare(sandbox, self._runtime)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(sandbox.stop()))
            raise
        return sandbox

    async def fill(self) -> None:
        """Makes sandboxes until the pool is full."""
        while len(self._waiting) < self._size and not self._closed:
            await self._add()

    async def close(self) -> None:
        """Stops every sandbox and fork server."""
        self._closed = True
        for handle in (self._refill_at, self._idle_at):
            if handle is not None:
                handle.cancel()
        if self._refill is not None:
            self._refill.cancel()
            with contextlib.suppress(asyncio.CancelledError, LeastwiseError):
                await self._refill
        for task in (self._starting, self._ending):
            if task is not None:
                with contextlib.suppress(asyncio.CancelledError, LeastwiseError):
                    await task
        await asyncio.gather(*(sandbox.stop() for sandbox in list(self._all)))
        zygotes = [*self._retired, *([self._zygote] if self._zygote else [])]
        await asyncio.gather(*(zygote.stop() for zygote in zygotes))
        spare, self._spare = list(self._spare), deque()
        await self._loop.run_in_executor(None, _release_all, spare)

    def _refill_soon(self) -> None:
        if self._refill_at is not None:
            self._refill_at.cancel()
        self._refill_at = self._loop.call_later(_QUIET_S, self._start_refill)

    def _start_refill(self) -> None:
        self._refill_at = None
        if self._closed or (self._refill is not None and not self._refill.done()):
            return
        self._refill = self._loop.create_task(self._refill_now())

    async def _refill_now(self) -> None:
        try:
            while len(self._waiting) < self._size and not self._closed:
                if time.monotonic() - self._taken_at < _QUIET_S:
                    self._refill_soon()
                    return
                await self._add()
            while len(self._spare) < _SPARES and not self._closed:
                self._spare.append(await self._loop.run_in_executor(None, Parts, self._cgroups))
        except (LeastwiseError, OSError) as error:
            _log.warning("the pool of %s cannot be filled: %s", self._runtime, error)
        self._watch_idle()

    async def _add(self) -> None:
        sandbox = await self._make()
        try:
            await sandbox.wait_ready()
            await self._family.prepare(sandbox, self._runtime)
        except EnvironmentCrashed as crash:
            _log.warning("a sandbox of %s ended before it was used: %s", self._runtime, crash)
            raise
        except BaseException:
            await sandbox.stop()
            raise
        self._waiting.append(sandbox)

    async def _make(self) -> Sandbox:
        zygote = await self._living_zygote()
        parts = self._spare.popleft() if self._spare else Parts(self._cgroups)
        number = next(self._numbers)
        name = f"{number}-{secrets.token_hex(8)}"
        # First the request, then our own end: the fork server works meanwhile. It cannot be heard before we return to
        # the loop.
        forked = zygote.fork(
            name,
            kernel_id=self._privileges.kernel_id(number),
            fds=parts.theirs,
            join_fds=parts.join_fds,
            into_fd=parts.into_fd,
            on_exit=lambda status: sandbox.ended(status),  # noqa: PLW0108 - it is made two lines below
        )
        parts.close_theirs()
        output = OutputReader(self._loop, parts.telemetry, parts.pipe)
        sandbox = Sandbox(name, wire_end=parts.wire, output=output, cgroup=parts.cgroup, mounter=zygote.mounter)
        self._all.add(sandbox)
        sandbox.exited.add_done_callback(lambda _: self._gone(sandbox))
        forked.add_done_callback(lambda future: _hand_over(future, sandbox))
        return sandbox

    async def _living_zygote(self) -> Zygote:
        zygote = self._zygote
        if zygote is not None and zygote.alive and zygote.forks < _MAX_FORKS and zygote.age_s < _MAX_AGE_S:
            return zygote
        if self._starting is None:
            self._starting = self._loop.create_task(self._start_zygote())
        starting = self._starting
        try:
            return await asyncio.shield(starting)
        finally:
            if self._starting is starting and starting.done():
                self._starting = None

    async def _start_zygote(self) -> Zygote:
        fresh = Zygote(self._plan)
        await fresh.start()
        if self._zygote is not None:
            self._retired.append(self._zygote)
        self._zygote = fresh
        await self._end_unused()
        return fresh

    async def _end_unused(self) -> None:
        unused = [zygote for zygote in self._retired if not zygote.sandboxes]
        for zygote in unused:
            self._retired.remove(zygote)
            await zygote.stop()

    def _gone(self, sandbox: Sandbox) -> None:
        self._all.discard(sandbox)
        with contextlib.suppress(ValueError):
            self._waiting.remove(sandbox)
        if self._retired and not self._closed:
            self._ending = self._loop.create_task(self._end_unused())

    def _watch_idle(self) -> None:
        if self._idle_s is None or self._closed or self._idle_at is not None:
            return
        self._idle_at = self._loop.call_later(self._idle_s, self._end_if_idle)

    def _end_if_idle(self) -> None:
        """Nobody asked for long and nothing runs but the pool: gives the memory back."""
        self._idle_at = None
        if self._closed or self._zygote is None or self._idle_s is None:
            return
        if time.monotonic() - self._taken_at < self._idle_s or len(self._all) > len(self._waiting):
            self._watch_idle()
            return
        zygote, self._zygote = self._zygote, None
        self._waiting.clear()
        self._refill = self._loop.create_task(zygote.stop())


class Parts:
    """What one sandbox needs of the kernel, made ahead: its wires and its control group. May be made in a thread."""

    def __init__(self, cgroups: Cgroups) -> None:
        self.cgroup = cgroups.make(secrets.token_hex(8))
        self.join_fds, self.into_fd = self.cgroup.join_fds(), self.cgroup.into_fd()
        self.wire, self._wire = socket.socketpair()
        self.telemetry, self._telemetry = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pipe, self._pipe = os.pipe2(os.O_CLOEXEC)
        self.telemetry.settimeout(0)
        os.set_blocking(self.pipe, False)

    @property
    def theirs(self) -> tuple[int, int, int]:
        """The sandbox's ends of wire, telemetry and output."""
        return self._wire.fileno(), self._telemetry.fileno(), self._pipe

    def close_theirs(self) -> None:
        self._wire.close()
        self._telemetry.close()
        for fd in (self._pipe, *self.join_fds, *([self.into_fd] if self.into_fd >= 0 else [])):
            os.close(fd)

    def release(self) -> None:
        """Of parts that were never used."""
        self.close_theirs()
        self.wire.close()
        self.telemetry.close()
        os.close(self.pipe)
        self.cgroup.release()


def _release_all(spare: list[Parts]) -> None:
    for parts in spare:
        parts.release()


def _hand_over(forked: asyncio.Future[int], sandbox: Sandbox) -> None:
    if forked.cancelled() or forked.exception() is not None:
        return  # `on_exit` has told the sandbox
    sandbox.born(forked.result())
