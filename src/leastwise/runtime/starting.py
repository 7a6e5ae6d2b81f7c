"""The init phase: from a function's configuration to an environment whose handler is ready. Awaits, for `service.py`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from leastwise.functions.interface import Function
from leastwise.iam.interface import SessionIssuer
from leastwise.kernel.clock import Clock, iso_millis
from leastwise.kernel.units import SECOND_MS
from leastwise.logs import lines
from leastwise.logs.interface import LogWriter
from leastwise.runtime import payloads
from leastwise.runtime.console import Console
from leastwise.runtime.interface import (
    Environment,
    EnvironmentCrashed,
    EnvironmentDriver,
    EnvironmentSpec,
    InitFailed,
    RuntimeMissing,
)

VERSION: Final = "$LATEST"

INIT_LIMIT_MS: Final = 10 * SECOND_MS
"""Source: Lambda Developer Guide, "Lambda execution environment lifecycle", init phase."""

_LAMBDA_SERVICE: Final = "lambda.amazonaws.com"
_CREDENTIALS_S: Final = 12 * 3600


@dataclass(slots=True)
class Kept:
    """One environment of ours, idle or at work."""

    environment: Environment
    console: Console
    spec: EnvironmentSpec
    born_ms: int
    idle_since_ms: int = 0
    freezing: asyncio.TimerHandle | None = None
    frozen: bool = False
    vintage: int = 0


class InitFailure(Exception):
    """The init phase ended without an environment. `payload` is what the caller gets."""

    def __init__(self, payload: bytes, init_us: int) -> None:
        super().__init__("the init phase failed")
        self.payload = payload
        self.init_us = init_us


class Starting:
    """Makes environments, within Lambda's limits and in Lambda's words."""

    def __init__(
        self,
        *,
        driver: EnvironmentDriver,
        sessions: SessionIssuer,
        logs: LogWriter,
        clock: Clock,
        code_path: Callable[[str], Path],
    ) -> None:
        self._driver = driver
        self._sessions = sessions
        self._logs = logs
        self._clock = clock
        self._code_path = code_path

    async def plan(self, function: Function) -> tuple[EnvironmentSpec, Console]:
        """What the environment will be made from, with fresh credentials of its role and a log stream of its own.

        Raises:
            errors.Denied: the execution role cannot be assumed.
        """
        now_ms = self._clock.now_ms()
        credentials = await self._sessions.assume_for_service(
            role_arn=function.role_arn,
            service=_LAMBDA_SERVICE,
            session_name=function.name,
            duration_s=_CREDENTIALS_S,
            now_ms=now_ms,
            source_arn=function.arn,
        )
        stream = f"{iso_millis(now_ms)[:10].replace('-', '/')}/[{VERSION}]{secrets.token_hex(16)}"
        console = Console(
            self._logs, self._clock, account_id=function.account_id, group=function.log_group, stream=stream
        )
        console.say(_init_start(function))
        spec = EnvironmentSpec(
            account_id=function.account_id,
            function_arn=function.arn,
            function_name=function.name,
            version=VERSION,
            runtime=function.runtime,
            handler=function.handler,
            code_path=self._code_path(function.code.digest),
            revision_id=function.revision_id,
            memory_mib=function.memory_mib,
            tmp_mib=function.tmp_mib,
            timeout_ms=function.timeout_s * SECOND_MS,
            variables=function.environment,
            credentials=credentials,
            region=function.region,
            log_group=function.log_group,
            log_stream=stream,
        )
        return spec, console

    async def start(
        self, spec: EnvironmentSpec, console: Console, request_id: str, *, on_idle_death: Callable[[Kept], None]
    ) -> Kept:
        """The init phase.

        Args:
            spec: as planned.
            console: takes what is printed.
            request_id: of the call that waits for it.
            on_idle_death: called when the environment dies later, while nothing runs in it.

        Raises:
            InitFailure: the code cannot be loaded, died, or took too long.
        """
        started_ns = self._clock.monotonic_ns()
        try:
            return await self._start(spec, console, on_idle_death)
        except (InitFailed, EnvironmentCrashed, TimeoutError) as failure:
            init_us = (self._clock.monotonic_ns() - started_ns) // 1000
            raise InitFailure(self._tell(failure, spec, console, request_id, init_us), init_us) from failure

    def _tell(
        self, failure: Exception, spec: EnvironmentSpec, console: Console, request_id: str, init_us: int
    ) -> bytes:
        if isinstance(failure, InitFailed):
            console.say(lines.init_report_line(init_us=init_us, status="error"))
            return failure.payload
        if isinstance(failure, EnvironmentCrashed):
            console.say(lines.init_report_line(init_us=init_us, status="error", error_type="Runtime.ExitError"))
            console.say(f"RequestId: {request_id} Error: {payloads.exit_words(failure)}")
            return payloads.exited(request_id, failure)
        now_ms = self._clock.now_ms()
        console.say(lines.timeout_line(request_id=request_id, at_iso=iso_zulu(now_ms), timeout_ms=spec.timeout_ms))
        return payloads.timed_out(request_id, spec.timeout_ms)

    async def _start(self, spec: EnvironmentSpec, console: Console, on_idle_death: Callable[[Kept], None]) -> Kept:
        """Within the init phase's own limit; what does not make it is tried once more under the function's timeout,
        as on Lambda.
        """
        started_ns = self._clock.monotonic_ns()
        try:
            async with asyncio.timeout(INIT_LIMIT_MS / SECOND_MS):
                return await self._start_once(spec, console, on_idle_death)
        except TimeoutError:
            spent_us = (self._clock.monotonic_ns() - started_ns) // 1000
            console.say(lines.init_report_line(init_us=spent_us, status="timeout"))
        async with asyncio.timeout(spec.timeout_ms / SECOND_MS):
            return await self._start_once(spec, console, on_idle_death)

    async def _start_once(self, spec: EnvironmentSpec, console: Console, on_idle_death: Callable[[Kept], None]) -> Kept:
        holder: list[Kept] = []

        def on_exit() -> None:
            if holder:
                on_idle_death(holder[0])

        try:
            environment = await self._driver.start_environment(spec, on_output=console.printed, on_exit=on_exit)
        except RuntimeMissing as error:
            message = f"The runtime {spec.runtime} is not available on this installation."
            raise RuntimeMissing(message) from error
        kept = Kept(environment, console, spec, born_ms=self._clock.monotonic_ns() // 1_000_000)
        holder.append(kept)
        return kept


def iso_zulu(epoch_ms: int) -> str:
    """`2026-11-23T18:47:59.123Z`."""
    return iso_millis(epoch_ms).replace("+0000", "Z")


def _init_start(function: Function) -> str:
    """The runtime's version is the interpreter's that the host has; its ARN only names it."""
    family = function.runtime.partition(".")[0].rstrip("0123456789")
    version = function.runtime[len(family) :].removeprefix(".")
    named = sha256(function.runtime.encode()).hexdigest()
    return lines.init_start_line(
        runtime_version=f"{family}:{version}.v1" if version else f"{family}.v1",
        runtime_version_arn=f"arn:aws:lambda:{function.region}::runtime:{named}",
    )
