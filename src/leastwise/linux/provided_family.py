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
    Environment,
    EnvironmentSpec,
    InitFailed,
    Invocation,
    OnExit,
    OnOutput,
    Reply,
)

PROVIDED_RUNTIMES: Final = ("provided", "provided.al2", "provided.al2023")
_BOOTSTRAP: Final = "/var/task/bootstrap"
_ANY_EXECUTE: Final = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class ProvidedConversation:
    """The Runtime API of one environment, served on its loopback. Keeps `exec_environment.Conversation`."""

    def __init__(self) -> None:
        self.api = RuntimeApi()
        self._server = GuestHttpServer(self.api)

    async def serve(self, sandbox: Sandbox) -> None:
        await sandbox.wait_ready()
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
        check_bootstrap(spec.code_path)
        sandbox.on_output = on_output
        conversation = ProvidedConversation()
        try:
            await sandbox.specialise(spec)
            # Before the program runs, so that it never finds the door shut.
            await conversation.serve(sandbox)
            await sandbox.execute(ExecPlan(argv=(_BOOTSTRAP,), env=environment_variables(spec, execution_env=None)))
            await said_before_exit(sandbox, conversation, conversation.api.ready)
        except BaseException:
            sandbox.kill()
            conversation.close()
            raise
        init_ms = (self._monotonic_ns() - began_ns) / 1e6
        return ExecEnvironment(sandbox, conversation, init_ms=init_ms, on_exit=on_exit)


def check_bootstrap(code_path: Path) -> None:
    """Looks at the package's entry point before anything is started.

    Raises:
        InitFailed: there is none, or it cannot be executed.
    """
    try:
        # SECURITY: the link itself, never its target: a link in the package could name any path of this machine.
        mode = (code_path / "bootstrap").lstat().st_mode
    except OSError:
        mode = 0
    if stat.S_ISLNK(mode):
        return
    if not stat.S_ISREG(mode):
        raise InitFailed(invalid_entrypoint(f"Couldn't find valid bootstrap(s): [{_BOOTSTRAP} /opt/bootstrap]"))
    if not mode & _ANY_EXECUTE:
        raise InitFailed(invalid_entrypoint(f"fork/exec {_BOOTSTRAP}: permission denied"))


def invalid_entrypoint(message: str) -> bytes:
    """Error JSON of a package that cannot be started. Source: AWS Lambda, platform error Runtime.InvalidEntrypoint."""
    payload = {"errorType": "Runtime.InvalidEntrypoint", "errorMessage": f"Error: {message}"}
    return json.dumps(payload, separators=(",", ":")).encode()
