"""A driver of environments without a kernel: the handler is a Python coroutine. Keeps `runtime.EnvironmentDriver`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from leastwise.runtime.interface import (
    Environment,
    EnvironmentSpec,
    Invocation,
    OnExit,
    OnOutput,
    Reply,
    RuntimeMissing,
)

Handler = Callable[[EnvironmentSpec, Invocation, OnOutput], Awaitable[Reply]]


class FakeEnvironment:
    def __init__(self, number: int, spec: EnvironmentSpec, handler: Handler, on_output: OnOutput, on_exit: OnExit):
        self.environment_id = f"fake-{number}"
        self.spec = spec
        self.alive = True
        self.init_ms = 1.5
        self.frozen = False
        self.stopped = False
        self.on_exit = on_exit
        self._handler = handler
        self._on_output = on_output

    async def invoke(self, invocation: Invocation) -> Reply:
        assert not self.frozen, "invoked while frozen"
        return await self._handler(self.spec, invocation, self._on_output)

    def peak_memory_bytes(self) -> int:
        return 30 * 1024 * 1024

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False

    async def stop(self) -> None:
        self.alive = False
        self.stopped = True


class FakeDriver:
    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.made: list[FakeEnvironment] = []
        self.start_problem: Callable[[], Awaitable[None]] | None = None
        self.opened = False
        self.prepared: list[tuple[str, str]] = []

    async def start_environment(self, spec: EnvironmentSpec, *, on_output: OnOutput, on_exit: OnExit) -> Environment:
        if spec.runtime not in self.runtimes():
            raise RuntimeMissing(spec.runtime)
        if self.start_problem is not None:
            await self.start_problem()
        environment = FakeEnvironment(len(self.made), spec, self.handler, on_output, on_exit)
        self.made.append(environment)
        await asyncio.sleep(0)
        return environment

    async def prepare(self, account_id: str, runtime: str) -> None:
        self.prepared.append((account_id, runtime))

    def runtimes(self) -> tuple[str, ...]:
        return ("python3.11",)

    async def open(self) -> None:
        self.opened = True

    async def close(self) -> None:
        self.opened = False

    def isolation(self) -> Mapping[str, str]:
        return {"fake": "nothing is isolated"}
