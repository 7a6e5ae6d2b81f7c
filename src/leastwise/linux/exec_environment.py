"""`runtime.interface.Environment` of a program that was started in a sandbox and speaks to the gateway."""

from __future__ import annotations

import asyncio
from typing import Protocol

from leastwise.linux.sandbox import Exit, Sandbox
from leastwise.runtime.interface import EnvironmentCrashed, Invocation, OnExit, Reply


class Conversation(Protocol):
    """How invocations reach the program and answers come back."""

    @property
    def broken(self) -> bool:
        """True once the program has said that it ends, or has broken the protocol."""
        ...

    def send(self, invocation: Invocation) -> asyncio.Future[Reply]:
        """Hands out one invocation. The future may fail with ResponseTooLarge or EnvironmentCrashed."""
        ...

    def close(self) -> None:
        """Ends the conversation; futures that are still open stay so. Idempotent."""
        ...


async def wait_ready(sandbox: Sandbox, ready: asyncio.Future[None]) -> None:
    """Waits for the end of the init phase.

    Raises:
        InitFailed: as the program reported it.
        EnvironmentCrashed: the program ended without a report.
    """
    await asyncio.wait((ready, sandbox.exited), return_when=asyncio.FIRST_COMPLETED)
    sandbox.drain_output()
    if ready.done():
        ready.result()
        return
    raise crashed(sandbox.exited.result())


def crashed(exit_: Exit) -> EnvironmentCrashed:
    """The error of a program that ended."""
    return EnvironmentCrashed(exit_.reason, exit_.status)


class ExecEnvironment:
    """One specialised sandbox with a program in it. Keeps `runtime.interface.Environment`."""

    def __init__(self, sandbox: Sandbox, conversation: Conversation, *, init_ms: float, on_exit: OnExit) -> None:
        self._sandbox = sandbox
        self._conversation = conversation
        self._init_ms = init_ms
        self._on_exit = on_exit
        self._busy = False
        self._stopped = False
        sandbox.exited.add_done_callback(self._exited)

    @property
    def environment_id(self) -> str:
        return self._sandbox.sandbox_id

    @property
    def alive(self) -> bool:
        return self._sandbox.alive and not self._conversation.broken

    @property
    def init_ms(self) -> float:
        return self._init_ms

    async def invoke(self, invocation: Invocation) -> Reply:
        self._busy = True
        try:
            reply = self._conversation.send(invocation)
            exited = self._sandbox.exited
            await asyncio.wait((reply, exited), return_when=asyncio.FIRST_COMPLETED)
            # What was printed before the answer belongs to this invocation; it is in the pipe already.
            self._sandbox.drain_output()
            if reply.done():
                return reply.result()
            raise crashed(exited.result())
        finally:
            self._busy = False

    def peak_memory_bytes(self) -> int:
        return self._sandbox.peak_memory_bytes()

    def freeze(self) -> None:
        self._sandbox.freeze()

    def thaw(self) -> None:
        self._sandbox.thaw()

    async def stop(self) -> None:
        self._stopped = True
        self._conversation.close()
        await self._sandbox.stop()

    def _exited(self, _future: asyncio.Future[Exit]) -> None:
        self._conversation.close()
        if not self._busy and not self._stopped:
            self._on_exit()
