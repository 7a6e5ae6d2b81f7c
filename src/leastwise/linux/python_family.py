"""Python runtimes: environments are forked from a warm interpreter and speak over the sandbox's own wire."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from leastwise.guest import wire
from leastwise.kernel.units import MIB
from leastwise.linux.cgroups import NoCgroup
from leastwise.linux.interpreters import Interpreter
from leastwise.linux.sandbox import Exit, RuntimeRoot, Sandbox
from leastwise.linux.variables import environment_variables
from leastwise.runtime.interface import (
    Environment,
    EnvironmentSpec,
    InitFailed,
    Invocation,
    OnExit,
    OnOutput,
    Reply,
    ReplyKind,
    ResponseTooLarge,
)

_LANGUAGE: Final = "/var/lang"
_PACKAGES: Final = "/var/runtime"
_PRELOAD_BOTO: Final = "leastwise.guest.preload_boto"
_INIT_ANSWERS: Final = frozenset({wire.INIT_DONE, wire.INIT_ERROR})
_ANSWERS: Final = frozenset({wire.RESULT, wire.ERROR, wire.TOO_LARGE})


class PythonFamily:
    """Keeps `RuntimeFamily` for every CPython of the machine.

    Args:
        interpreters: those found on the machine.
        packages: directory with boto3 and what it needs, mounted at /var/runtime; None for none.
        preload_boto: whether the fork server imports boto3 (10 MB once per account and runtime, 90 ms less per cold
            start of a function that uses it).
    """

    def __init__(
        self,
        interpreters: Iterable[Interpreter],
        *,
        packages: Path | None = None,
        preload_boto: bool = True,
    ) -> None:
        self._interpreters = {interpreter.runtime: interpreter for interpreter in interpreters}
        self._packages = packages
        self._preload = (_PRELOAD_BOTO,) if packages is not None and preload_boto else ()

    def roots(self) -> Mapping[str, RuntimeRoot]:
        return {runtime: self._root(interpreter) for runtime, interpreter in self._interpreters.items()}

    def _root(self, interpreter: Interpreter) -> RuntimeRoot:
        binds = {_LANGUAGE: interpreter.prefix}
        if self._packages is not None:
            binds[_PACKAGES] = self._packages
        return RuntimeRoot(
            binds=binds,
            interpreter=interpreter.inside(_LANGUAGE),
            covers=interpreter.site_directories(_LANGUAGE),
            preload=self._preload,
        )

    async def prepare(self, sandbox: Sandbox, runtime: str) -> None:
        del sandbox, runtime  # a forked sandbox is warm already

    async def start(
        self, sandbox: Sandbox, spec: EnvironmentSpec, *, on_output: OnOutput, on_exit: OnExit
    ) -> Environment:
        started_at = time.perf_counter()
        environment = PythonEnvironment(sandbox, on_exit)
        sandbox.on_output = on_output
        variables = environment_variables(spec, execution_env=f"AWS_Lambda_{spec.runtime}", python_path=True)
        request = {
            "handler": spec.handler,
            "tmp_mib": spec.tmp_mib,
            "variables": variables,
            # Where no control group counts the whole, each process is bounded by itself.
            "data_limit": spec.memory_mib * MIB if isinstance(sandbox.cgroup, NoCgroup) else 0,
        }
        kind, body = await sandbox.specialise_with(spec, json.dumps(request).encode(), _INIT_ANSWERS)
        if kind == wire.INIT_ERROR:
            raise InitFailed(body)
        environment.initialised((time.perf_counter() - started_at) * 1000)
        return environment


class PythonEnvironment:
    """A specialised Python sandbox."""

    def __init__(self, sandbox: Sandbox, on_exit: OnExit) -> None:
        self._sandbox = sandbox
        self._on_exit: OnExit | None = on_exit
        self._init_ms = 0.0
        self._busy = False

    @property
    def environment_id(self) -> str:
        return self._sandbox.sandbox_id

    @property
    def alive(self) -> bool:
        return self._sandbox.alive

    @property
    def init_ms(self) -> float:
        return self._init_ms

    def initialised(self, init_ms: float) -> None:
        """The handler is ready; from now on its death is news."""
        self._init_ms = init_ms
        self._sandbox.exited.add_done_callback(self._died)

    async def invoke(self, invocation: Invocation) -> Reply:
        frame = wire.pack_invoke(
            invocation.deadline_ms,
            invocation.request_id,
            invocation.function_arn,
            invocation.trace_id,
            invocation.client_context,
            invocation.payload,
        )
        self._busy = True
        try:
            answer = self._sandbox.expect(_ANSWERS)
            self._sandbox.send(frame)
            kind, body = await answer
        finally:
            self._busy = False
        if kind == wire.RESULT:
            if len(body) <= wire.RESPONSE_LIMIT:
                return Reply(kind=ReplyKind.RESULT, payload=body)
        elif kind == wire.ERROR:
            return Reply(kind=ReplyKind.ERROR, payload=body)
        message = "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
        raise ResponseTooLarge(message)

    def peak_memory_bytes(self) -> int:
        return self._sandbox.peak_memory_bytes()

    def freeze(self) -> None:
        self._sandbox.freeze()

    def thaw(self) -> None:
        self._sandbox.thaw()

    async def stop(self) -> None:
        self._on_exit = None
        await self._sandbox.stop()

    def _died(self, exited: asyncio.Future[Exit]) -> None:
        del exited
        on_exit, self._on_exit = self._on_exit, None
        if on_exit is not None and not self._busy:
            on_exit()
