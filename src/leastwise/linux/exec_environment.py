"""`runtime.interface.Environment` of a program that was started in a sandbox and speaks to the gateway."""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeVar

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

    async def settle(self) -> None:
        """The program is gone: takes what it had sent before. Bounded in time."""
        ...

    def close(self) -> None:
        """Ends the conversation; futures that are still open stay so. Idempotent."""
        ...


T = TypeVar("T")


async def said_before_exit(sandbox: Sandbox, conversation: Conversation, said: asyncio.Future[T]) -> T:
    """Waits for the program to say something, or to end without having said it.

    Raises:
        EnvironmentCrashed: it ended first. (And whatever the future fails with.)
    """
    await asyncio.wait((said, sandbox.exited), return_when=asyncio.FIRST_COMPLETED)
    if not said.done():
        # An error report and the end of the process arrive on different descriptors, in any order.
        await conversation.settle()
    # What was printed before belongs to this phase; it is in the pipe already.
    sandbox.drain_output()
    if said.done():
        return said.result()
    end = sandbox.exited.result()
    raise EnvironmentCrashed(end.reason, end.status)


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
            return await said_before_exit(self._sandbox, self._conversation, self._conversation.send(invocation))
        finally:
            self._busy = False
            if self._sandbox.exited.done():
                self._conversation.close()

    def peak_memory_bytes(self) -> int:
        return self._sandbox.peak_memory_bytes()

    def freeze(self) -> None:
        self._sandbox.freeze()

    def thaw(self) -> None:
        self._sandbox.thaw()

    async def stop(self) -> None:
        self._stopped = True
        # First, or it would see the conversation break and complain in the function's log.
        await self._sandbox.stop()
        self._conversation.close()

    def _exited(self, _future: asyncio.Future[Exit]) -> None:
        if self._busy:
            return
        self._conversation.close()
        if not self._stopped:
            self._on_exit()
