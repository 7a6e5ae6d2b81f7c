"""Custom runtimes: the package brings an executable `bootstrap` that speaks the Runtime API."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from leastwise.linux.exec_environment import ExecEnvironment, said_before_exit
from leastwise.linux.runtime_api import RuntimeApi
from leastwise.linux.runtime_http import GuestHttpServer
from leastwise.linux.sandbox import ExecPlan, RuntimeRoot, Sandbox
from leastwise.linux.variables import environment_variables
from leastwise.runtime.interface import (
    CrashReason,
    Environment,
    EnvironmentCrashed,
    EnvironmentSpec,
    InitFailed,
    Invocation,
    OnExit,
    OnOutput,
    Reply,
)

PROVIDED_RUNTIMES: Final = ("provided", "provided.al2", "provided.al2023")
_BOOTSTRAP: Final = "/var/task/bootstrap"
_EXEC_ERRORS: Final = {126: "permission denied", 127: "no such file or directory"}


class ProvidedConversation:
    """The Runtime API of one environment, served on its loopback. Keeps `exec_environment.Conversation`."""

    def __init__(self) -> None:
        self.api = RuntimeApi()
        self._server = GuestHttpServer(self.api)

    async def serve(self, sandbox: Sandbox) -> None:
        await self._server.serve(sandbox.runtime_listener)

    @property
    def broken(self) -> bool:
        return False

    def send(self, invocation: Invocation) -> asyncio.Future[Reply]:
        return self.api.send(invocation)

    async def settle(self) -> None:
        await self._server.drained()

    def close(self) -> None:
        self._server.close()


class ProvidedFamily:
    """Keeps `linux.sandbox.RuntimeFamily` for the operating-system-only runtimes."""

    def __init__(self, *, monotonic_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic_ns = monotonic_ns

    def roots(self) -> Mapping[str, RuntimeRoot]:
        return {runtime: RuntimeRoot(binds={}) for runtime in PROVIDED_RUNTIMES}

    async def prepare(self, sandbox: Sandbox, runtime: str) -> None:
        """Nothing can be started before the code is there."""

    async def start(
        self, sandbox: Sandbox, spec: EnvironmentSpec, *, on_output: OnOutput, on_exit: OnExit
    ) -> Environment:
        began_ns = self._monotonic_ns()
        if not has_bootstrap(spec.code_path):
            raise InitFailed(invalid_entrypoint(f"Couldn't find valid bootstrap(s): [{_BOOTSTRAP} /opt/bootstrap]"))
        sandbox.on_output = on_output
        conversation = ProvidedConversation()
        try:
            await sandbox.specialise(spec)
            await conversation.serve(sandbox)
            await self._execute(sandbox, spec)
            await said_before_exit(sandbox, conversation, conversation.api.ready)
        except BaseException:
            conversation.close()
            raise
        init_ms = (self._monotonic_ns() - began_ns) / 1e6
        return ExecEnvironment(sandbox, conversation, init_ms=init_ms, on_exit=on_exit)

    async def _execute(self, sandbox: Sandbox, spec: EnvironmentSpec) -> None:
        plan = ExecPlan(argv=(_BOOTSTRAP,), env=environment_variables(spec, execution_env=None))
        try:
            await sandbox.execute(plan)
        except EnvironmentCrashed as crash:
            if crash.reason is CrashReason.EXIT and crash.status in _EXEC_ERRORS:
                message = f"fork/exec {_BOOTSTRAP}: {_EXEC_ERRORS[crash.status]}"
                raise InitFailed(invalid_entrypoint(message)) from crash
            raise


def has_bootstrap(code_path: Path) -> bool:
    """True when the package has a `bootstrap` that is a file (or a link; the sandbox resolves it)."""
    try:
        mode = (code_path / "bootstrap").lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def invalid_entrypoint(message: str) -> bytes:
    """Error JSON of a package that cannot be started. Source: AWS Lambda, platform error Runtime.InvalidEntrypoint."""
    payload = {"errorType": "Runtime.InvalidEntrypoint", "errorMessage": f"Error: {message}"}
    return json.dumps(payload, separators=(",", ":")).encode()
