"""Runs functions: admission, environments per concurrent call, timeouts, crashes, scale to zero."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from leastwise.functions.interface import Function
from leastwise.iam.interface import SessionIssuer
from leastwise.kernel import errors
from leastwise.kernel.clock import Clock
from leastwise.kernel.units import HOUR_MS, MINUTE_MS, SECOND_MS
from leastwise.logs import lines
from leastwise.logs.interface import LogWriter
from leastwise.metering.usage import billed_ms
from leastwise.runtime import payloads
from leastwise.runtime.admission import RATE_EXCEEDED, Load, refusal
from leastwise.runtime.console import Console
from leastwise.runtime.deadline import Deadline
from leastwise.runtime.interface import (
    EnvironmentCrashed,
    EnvironmentDriver,
    Invocation,
    InvokeOutcome,
    ReplyKind,
    ResponseTooLarge,
    Throttle,
)
from leastwise.runtime.scaling import Idle, Keeping, choose_retirements
from leastwise.runtime.starting import VERSION, InitFailure, Kept, Starting, iso_zulu

_LOG: Final = logging.getLogger(__name__)

_FREEZE_AFTER_S: Final = 0.01
_HOUSEKEEPING_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeLimits:
    """What the installation allows.

    Args:
        account_concurrency: concurrent invocations of one account.
        keeping: how long environments are kept.
    """

    account_concurrency: int = 1000
    keeping: Keeping = field(
        default_factory=lambda: Keeping(idle_ms=10 * MINUTE_MS, age_ms=6 * HOUR_MS, least_free_mib=512)
    )


@dataclass(slots=True)
class _Fleet:
    """All environments of one function. Only the newest revision takes new work."""

    revision_id: str
    reserved: int | None
    running: int = 0
    idle: list[Kept] = field(default_factory=list)
    vintage: int = 0
    """Environments of an earlier one take no more work, although the function is the same."""


class Runtime:
    """The verbs of execution environments. Lives in one event loop."""

    def __init__(
        self,
        *,
        driver: EnvironmentDriver,
        sessions: SessionIssuer,
        logs: LogWriter,
        clock: Clock,
        code_path: Callable[[str], Path],
        free_memory_mib: Callable[[], int],
        limits: RuntimeLimits,
    ) -> None:
        self._driver = driver
        self._starting = Starting(driver=driver, sessions=sessions, logs=logs, clock=clock, code_path=code_path)
        self._logs = logs
        self._clock = clock
        self._free_memory_mib = free_memory_mib
        self._limits = limits
        self._fleets: dict[tuple[str, str], _Fleet] = {}
        self._unreserved_running: dict[str, int] = {}
        self._reserved: dict[str, int] = {}
        self._consoles: set[Console] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._housekeeper: asyncio.Task[None] | None = None
        self._memory_short = False
        self._flushing = False
        self._closing = False
        self._running = 0
        self._drained = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    # --- life of the runtime -------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Starts the driver (which cleans up after a killed platform) and the housekeeping."""
        await self._driver.open()
        self._housekeeper = self._loop.create_task(self._keep_house(), name="runtime housekeeping")

    async def close(self, *, patience_s: float) -> None:
        """Refuses new work, waits for what runs, then stops every environment."""
        self._closing = True
        if self._running:
            try:
                async with asyncio.timeout(patience_s):
                    await self._drained.wait()
            except TimeoutError:
                _LOG.warning("%d invocations did not end within %.0f s and are cut off", self._running, patience_s)
        if self._housekeeper is not None:
            self._housekeeper.cancel()
        for fleet in self._fleets.values():
            for kept in fleet.idle:
                self._retire(kept)
            fleet.idle.clear()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._driver.close()
        self._hand_over_all()

    def expect(self, account_id: str, runtime: str) -> None:
        """A function with this runtime is deployed: its fork server and pool are made ready before it is called."""
        self._background(self._prepare(account_id, runtime))

    async def _prepare(self, account_id: str, runtime: str) -> None:
        try:
            await self._driver.prepare(account_id, runtime)
        except errors.LeastwiseError as error:
            _LOG.warning("%s is not ready ahead of its first call: %s", runtime, error.message)

    # --- what the functions' owner changes -----------------------------------------------------------------------

    def configuration_changed(self, account_id: str, name: str, function: Function | None) -> None:
        """A function was changed (or deleted: None). Idle environments of an older revision go at once; busy ones
        finish what they do.
        """
        fleet = self._fleets.get((account_id, name))
        if fleet is None:
            return
        revision = "" if function is None else function.revision_id
        if function is None and fleet.running == 0:
            del self._fleets[account_id, name]
        fleet.reserved = None if function is None else function.reserved_concurrency
        if revision == fleet.revision_id:
            return
        fleet.revision_id = revision
        stale, fleet.idle = fleet.idle, []
        for kept in stale:
            self._retire(kept)

    def renew(self, account_id: str, name: str) -> None:
        """The keys that a function's environments hold are not good any more: as after a change, new ones are made."""
        fleet = self._fleets.get((account_id, name))
        if fleet is None:
            return
        fleet.vintage += 1
        stale, fleet.idle = fleet.idle, []
        for kept in stale:
            self._retire(kept)

    def set_reserved_total(self, account_id: str, total: int) -> None:
        """The sum of the account's reservations, which the unreserved functions cannot use."""
        self._reserved[account_id] = total

    # --- the hot path --------------------------------------------------------------------------------------------

    async def invoke(
        self,
        function: Function,
        *,
        request_id: str,
        payload: bytes,
        function_arn: str,
        client_context: str | None = None,
        trace_id: str | None = None,
        want_tail: bool = False,
    ) -> InvokeOutcome:
        """Runs one invocation in an environment of its own.

        Args:
            function: the configuration to run.
            request_id: of the call.
            payload: JSON text.
            function_arn: as invoked.
            client_context: decoded JSON text.
            trace_id: X-Ray header.
            want_tail: keep the end of the log for the caller.

        Raises:
            Throttle: a concurrency limit is reached.
            errors.Unavailable: the platform is shutting down, or the runtime is missing.
            errors.Denied: the execution role cannot be assumed any more.
        """
        if self._closing:
            message = "The platform is shutting down."
            raise errors.Unavailable(message)
        fleet = self._admit(function)
        reserved = function.reserved_concurrency is not None
        account_id = function.account_id
        fleet.running += 1
        self._running += 1
        if not reserved:
            self._unreserved_running[account_id] = self._unreserved_running.get(account_id, 0) + 1
        try:
            invocation = Invocation(
                request_id=request_id,
                payload=payload,
                deadline_ms=self._clock.now_ms() + function.timeout_s * SECOND_MS,
                function_arn=function_arn,
                client_context=client_context,
                trace_id=trace_id,
            )
            kept = self._take_idle(fleet)
            if kept is None:
                return await self._invoke_cold(function, fleet, invocation, want_tail=want_tail)
            if want_tail:
                kept.console.begin_tail()
            kept.console.say(lines.start_line(request_id=request_id, version=VERSION))
            return await self._invoke_in(kept, fleet, function, invocation, init_us=0)
        finally:
            fleet.running -= 1
            self._running -= 1
            if not reserved:
                self._unreserved_running[account_id] -= 1
            self._tell_when_drained()

    def _tell_when_drained(self) -> None:
        if self._closing and self._running == 0:
            self._drained.set()

    def _admit(self, function: Function) -> _Fleet:
        key = (function.account_id, function.name)
        fleet = self._fleets.get(key)
        if fleet is None:
            fleet = self._fleets[key] = _Fleet(function.revision_id, function.reserved_concurrency)
        elif fleet.revision_id != function.revision_id:
            self.configuration_changed(function.account_id, function.name, function)
        reason = refusal(
            Load(
                account_limit=self._limits.account_concurrency,
                account_reserved=self._reserved.get(function.account_id, 0),
                account_unreserved_running=self._unreserved_running.get(function.account_id, 0),
                function_reserved=function.reserved_concurrency,
                function_running=fleet.running,
                memory_short=self._memory_short,
                idle_environments=len(fleet.idle),
            )
        )
        if reason is not None:
            raise Throttle(RATE_EXCEEDED, detail={"Reason": reason, "Type": "User"})
        return fleet

    def _take_idle(self, fleet: _Fleet) -> Kept | None:
        """The environment that worked last: the others can be let go sooner."""
        while fleet.idle:
            kept = fleet.idle.pop()
            if kept.freezing is not None:
                kept.freezing.cancel()
                kept.freezing = None
            if kept.environment.alive:
                if kept.frozen:
                    kept.environment.thaw()
                    kept.frozen = False
                return kept
            self._retire(kept)
        return None

    async def _invoke_in(
        self, kept: Kept, fleet: _Fleet, function: Function, invocation: Invocation, *, init_us: int
    ) -> InvokeOutcome:
        environment = kept.environment
        timeout_ms = function.timeout_s * SECOND_MS
        started_ns = self._clock.monotonic_ns()
        function_error: str | None = "Unhandled"
        usable = False
        try:
            with Deadline(self._loop, function.timeout_s):
                reply = await environment.invoke(invocation)
            payload = reply.payload
            if reply.kind is ReplyKind.RESULT:
                function_error = None
            usable = environment.alive
        except TimeoutError:
            payload = payloads.timed_out(invocation.request_id, timeout_ms)
            kept.console.say(
                lines.timeout_line(
                    request_id=invocation.request_id, at_iso=iso_zulu(self._clock.now_ms()), timeout_ms=timeout_ms
                )
            )
        except EnvironmentCrashed as crash:
            payload = payloads.exited(invocation.request_id, crash)
            kept.console.say(f"RequestId: {invocation.request_id} Error: {payloads.exit_words(crash)}")
        except ResponseTooLarge:
            payload = payloads.response_too_large()
            usable = environment.alive
        except asyncio.CancelledError:
            self._retire(kept)
            raise
        duration_us = (self._clock.monotonic_ns() - started_ns) // 1000
        outcome = self._finish(
            kept.console, function, invocation, payload, function_error, duration_us, init_us,
            environment.peak_memory_bytes(),
        )  # fmt: skip
        newest = kept.spec.revision_id == fleet.revision_id and kept.vintage == fleet.vintage
        if usable and newest and not self._closing:
            self._put_back(kept, fleet)
        else:
            self._retire(kept)
        return outcome

    def _finish(  # noqa: PLR0917 - everything one REPORT line says
        self,
        console: Console,
        function: Function,
        invocation: Invocation,
        payload: bytes,
        function_error: str | None,
        duration_us: int,
        init_us: int,
        peak_memory_bytes: int,
    ) -> InvokeOutcome:
        billed = billed_ms(duration_us=duration_us, init_us=init_us)
        console.say(lines.end_line(request_id=invocation.request_id))
        console.say(
            lines.report_line(
                request_id=invocation.request_id,
                duration_us=duration_us,
                billed_ms=billed,
                memory_mib=function.memory_mib,
                peak_memory_bytes=peak_memory_bytes,
                init_us=init_us,
            )
        )
        console.hand_over()
        # INVARIANT: what an invocation printed is with the operating system before its caller has the answer (or its
        # event leaves the queue): a killed platform loses no line of an acknowledged call. The flush is the next
        # thing the loop does; doors put answers on the wire behind it (`api/server.py`), so calls that end together
        # share one write.
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_logs)
        return InvokeOutcome(
            payload=payload,
            function_error=function_error,
            log_tail=console.take_tail(),
            duration_us=duration_us,
            init_us=init_us,
            billed_ms=billed,
            memory_mib=function.memory_mib,
            peak_memory_bytes=peak_memory_bytes,
            version=VERSION,
        )

    def _flush_logs(self) -> None:
        self._flushing = False
        self._logs.flush()

    def _put_back(self, kept: Kept, fleet: _Fleet) -> None:
        kept.idle_since_ms = self._clock.monotonic_ns() // 1_000_000
        # A short grace keeps two system calls out of back-to-back calls; SECURITY.md says what can run in it.
        kept.freezing = self._loop.call_later(_FREEZE_AFTER_S, self._freeze, kept)
        fleet.idle.append(kept)

    def _freeze(self, kept: Kept) -> None:
        # SECURITY: threads that outlive the handler would compute for nothing and meddle with the next call.
        kept.freezing = None
        if kept.environment.alive:
            kept.environment.freeze()
            kept.frozen = True
            kept.console.hand_over()

    # --- cold starts ---------------------------------------------------------------------------------------------

    async def _invoke_cold(
        self, function: Function, fleet: _Fleet, invocation: Invocation, *, want_tail: bool
    ) -> InvokeOutcome:
        vintage = fleet.vintage
        spec, console = await self._starting.plan(function)
        self._consoles.add(console)
        if want_tail:
            console.begin_tail()
        try:
            kept = await self._starting.start(spec, console, invocation.request_id, on_idle_death=self._died_idle)
        except InitFailure as failure:
            console.say(lines.start_line(request_id=invocation.request_id, version=VERSION))
            outcome = self._finish(console, function, invocation, failure.payload, "Unhandled", 0, failure.init_us, 0)
            self._consoles.discard(console)
            return outcome
        except BaseException:
            console.hand_over()
            self._consoles.discard(console)
            raise
        kept.vintage = vintage
        console.say(lines.start_line(request_id=invocation.request_id, version=VERSION))
        # The function's time begins when its handler can run: the init phase has a limit of its own.
        invocation = Invocation(
            request_id=invocation.request_id,
            payload=invocation.payload,
            deadline_ms=self._clock.now_ms() + function.timeout_s * SECOND_MS,
            function_arn=invocation.function_arn,
            client_context=invocation.client_context,
            trace_id=invocation.trace_id,
        )
        init_us = max(1, round(kept.environment.init_ms * 1000))
        return await self._invoke_in(kept, fleet, function, invocation, init_us=init_us)

    def _died_idle(self, kept: Kept) -> None:
        fleet = self._fleets.get((kept.spec.account_id, kept.spec.function_name))
        if fleet is not None and kept in fleet.idle:
            fleet.idle.remove(kept)
            self._retire(kept)

    # --- letting go ----------------------------------------------------------------------------------------------

    def _retire(self, kept: Kept) -> None:
        if kept.freezing is not None:
            kept.freezing.cancel()
            kept.freezing = None
        self._background(self._stop(kept))

    async def _stop(self, kept: Kept) -> None:
        await kept.environment.stop()
        kept.console.hand_over()
        self._consoles.discard(kept.console)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep_house(self) -> None:
        """Retires environments, watches memory, keeps the log moving."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            try:
                self._hand_over_all()
                self._retire_surplus()
            except Exception:  # noqa: BLE001 - logged; housekeeping must go on
                _LOG.exception("runtime housekeeping failed; it goes on")

    def _hand_over_all(self) -> None:
        for console in self._consoles:
            console.hand_over()
        self._logs.flush()

    def _retire_surplus(self) -> None:
        free_mib = self._free_memory_mib()
        keeping = self._limits.keeping
        self._memory_short = free_mib < keeping.least_free_mib
        everyone = {
            kept.environment.environment_id: (fleet, kept) for fleet in self._fleets.values() for kept in fleet.idle
        }
        gone = choose_retirements(
            (
                Idle(
                    environment_id=environment_id,
                    born_ms=kept.born_ms,
                    idle_since_ms=kept.idle_since_ms,
                    memory_mib=kept.spec.memory_mib,
                )
                for environment_id, (_fleet, kept) in everyone.items()
            ),
            now_ms=self._clock.monotonic_ns() // 1_000_000,
            free_mib=free_mib,
            keeping=keeping,
        )
        for environment_id in gone:
            fleet, kept = everyone[environment_id]
            fleet.idle.remove(kept)
            self._retire(kept)
