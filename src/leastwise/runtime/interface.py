"""Execution environments, admission and the event queue: nouns, ports and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Protocol

import msgspec

from leastwise.iam.interface import Credentials
from leastwise.kernel import errors


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """Everything one execution environment is made from. Secrets never show in a repr.

    Args:
        account_id: owner; environments of different accounts never share a zygote.
        function_arn: unqualified ARN.
        function_name: name.
        version: `$LATEST`.
        runtime: as configured.
        handler: as configured.
        code_path: unpacked package on the host, mounted read-only at /var/task.
        revision_id: of the configuration this was made from.
        memory_mib: limit on the memory of the whole environment.
        tmp_mib: size of /tmp.
        timeout_ms: of one invocation.
        variables: the owner's environment variables.
        credentials: of the execution role.
        region: AWS_REGION inside.
        log_group: AWS_LAMBDA_LOG_GROUP_NAME inside.
        log_stream: AWS_LAMBDA_LOG_STREAM_NAME inside.
    """

    account_id: str
    function_arn: str
    function_name: str
    version: str = "$LATEST"
    runtime: str
    handler: str
    code_path: Path
    revision_id: str
    memory_mib: int
    tmp_mib: int
    timeout_ms: int
    variables: Mapping[str, str] = field(repr=False)
    credentials: Credentials = field(repr=False)
    region: str
    log_group: str
    log_stream: str


class Invocation(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way into an environment.

    Args:
        request_id: UUID; the same on every retry of an asynchronous event.
        payload: JSON text.
        deadline_ms: epoch ms at which the environment will be killed.
        function_arn: ARN as invoked (with the qualifier when one was given).
        client_context: JSON text, decoded from base64; None when absent.
        trace_id: X-Ray header, None when absent.
    """

    request_id: str
    payload: bytes
    deadline_ms: int
    function_arn: str
    client_context: str | None = None
    trace_id: str | None = None


class ReplyKind(StrEnum):
    """How an invocation ended, as the environment saw it."""

    RESULT = "result"
    """The handler returned; `payload` is its JSON."""
    ERROR = "error"
    """The handler raised; `payload` is Lambda's error JSON (errorMessage, errorType, requestId, stackTrace)."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    kind: ReplyKind
    payload: bytes


class Environment(Protocol):
    """One isolated, specialised environment. One invocation at a time.

    Lines that the function prints are given to the driver's `on_output` callback before the reply is returned.
    """

    @property
    def environment_id(self) -> str: ...

    @property
    def alive(self) -> bool: ...

    @property
    def init_ms(self) -> float:
        """Duration of the init phase: from the request for the environment until its handler was ready."""
        ...

    async def invoke(self, invocation: Invocation) -> Reply:
        """Runs one invocation.

        Raises:
            EnvironmentCrashed: the process is gone (exit, signal, out of memory).
            ResponseTooLarge: the response passed the limit; the environment is still good.
            asyncio.CancelledError: the caller gave up (timeout). The environment must then be stopped.
        """
        ...

    def peak_memory_bytes(self) -> int:
        """Highest memory use so far, of all processes in it."""
        ...

    def freeze(self) -> None:
        """Stops every thread and process in it. Idempotent, immediate."""
        ...

    def thaw(self) -> None:
        """Lets them run again. Idempotent."""
        ...

    async def stop(self) -> None:
        """Kills everything in it and releases namespaces, mounts and cgroup. Idempotent; never raises."""
        ...


OnOutput = Callable[[bytes], None]
"""Called with what the function wrote: one log event, without the final newline."""

OnExit = Callable[[], None]
"""Called once when an environment dies while no invocation is running in it."""


class EnvironmentDriver(Protocol):
    """Makes environments. Kept by `linux` (kernel sandbox) and by a fake in the tests."""

    async def start_environment(self, spec: EnvironmentSpec, *, on_output: OnOutput, on_exit: OnExit) -> Environment:
        """A cold start: takes a generic environment from the pool or makes one, specialises it, imports the handler.

        No time limit of its own: the caller cancels.

        Raises:
            InitFailed: the code cannot be loaded; carries the error payload. (Everything is cleaned up.)
            EnvironmentCrashed: it died while it was made.
            RuntimeMissing: no such runtime on this machine.
            asyncio.CancelledError: cleaned up before it propagates.
        """
        ...

    async def prepare(self, account_id: str, runtime: str) -> None:
        """Gets ready for environments of a runtime that will be wanted soon. Idempotent.

        Raises:
            RuntimeMissing: no such runtime on this machine.
            errors.Unavailable: it cannot be made ready now; `start_environment` will try again.
        """
        ...

    def runtimes(self) -> tuple[str, ...]:
        """Identifiers that can be used here (`python3.11`, `nodejs20.x`, `provided.al2023`), sorted."""
        ...

    async def open(self) -> None:
        """Cleans up what a killed platform left behind, and starts the fork servers."""
        ...

    async def close(self) -> None:
        """Stops everything."""
        ...

    def isolation(self) -> Mapping[str, str]:
        """Layer -> `on`, or why it is weaker than it should be. For `doctor`, `/health` and the log at start-up."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressAllowed:
    """A rule lets a function out to where it asked for.

    Args:
        addresses: networks that the rule names *by address*. An address that is not public (loopback, private, link-local,
            metadata, the platform's own, ...) is reached only when it lies in one of these; a public one needs none.
    """

    addresses: tuple[IPv4Network | IPv6Network, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRefused:
    """`reason` is read by the function's owner: one short line, without secrets."""

    reason: str


class Egress(Protocol):
    """Decides where a function may go, and hears what went there. Both are called on the event loop and must not block."""

    def decide(self, function_arn: str, host: str, port: int) -> EgressAllowed | EgressRefused:
        """Asked once for each connection, before anything is looked up.

        Args:
            function_arn: unqualified ARN of the function that asks; known from the socket, not from what it says.
            host: a name in lower case without a final dot, or an address in its canonical form.
            port: 1 to 65535.
        """
        ...

    def carried(self, function_arn: str, host: str, port: int, *, sent_bytes: int, received_bytes: int) -> None:
        """A connection that was let out is over. Bytes as they crossed the platform's own sockets, after `decide`."""
        ...


class CrashReason(StrEnum):
    EXIT = "exit"
    SIGNAL = "signal"
    OUT_OF_MEMORY = "out of memory"


class InvokeOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the runtime says of one finished invocation.

    Args:
        payload: what the caller gets.
        function_error: `Unhandled`, or None when the handler returned.
        log_tail: last 4 KiB of this invocation's log, None unless asked for.
        duration_us: of the handler, microseconds.
        init_us: of the init phase, microseconds; 0 when warm.
        billed_ms: whole milliseconds, rounded up (init included on a cold start).
        memory_mib: configured.
        peak_memory_bytes: used.
        version: executed version.
    """

    payload: bytes
    function_error: str | None
    log_tail: bytes | None
    duration_us: int
    init_us: int
    billed_ms: int
    memory_mib: int
    peak_memory_bytes: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEvent:
    """One asynchronous invocation that was accepted and is not over. The payload never shows in a repr.

    Args:
        row_id: its place in the store; 0 before it is stored.
        account_id: account of the function.
        function_name: name.
        request_id: the same on every attempt.
        payload: JSON text.
        accepted_at_ms: when it was accepted.
        due_at_ms: not to be tried before.
        errors: attempts that ended in a function error.
        refusals: attempts that were throttled or could not be served.
    """

    row_id: int = 0
    account_id: str
    function_name: str
    request_id: str
    payload: bytes = field(repr=False)
    accepted_at_ms: int
    due_at_ms: int
    errors: int = 0
    refusals: int = 0


class EventStore(Protocol):
    """Where accepted events wait. What it has acknowledged survives a crash."""

    async def put(self, events: Sequence[QueuedEvent]) -> tuple[QueuedEvent, ...]:
        """Stores events in one transaction; returns them with their row ids."""
        ...

    async def waiting(self) -> tuple[tuple[int, int], ...]:
        """(due_at_ms, row_id) of every stored event."""
        ...

    async def get(self, row_id: int) -> QueuedEvent | None: ...

    async def update(self, event: QueuedEvent) -> None:
        """New due time and counts."""
        ...

    async def remove(self, row_ids: Sequence[int]) -> None: ...


class EnvironmentCrashed(errors.LeastwiseError):
    """The environment died. `status` is the exit status or the signal number."""

    def __init__(self, reason: CrashReason, status: int) -> None:
        super().__init__(f"{reason} {status}")
        self.reason = reason
        self.status = status


class InitFailed(errors.LeastwiseError):
    """The init phase failed. `payload` is the error JSON that the caller of the function gets."""

    def __init__(self, payload: bytes) -> None:
        super().__init__("init failed")
        self.payload = payload


class ResponseTooLarge(errors.TooLarge):
    """More than 6,291,556 bytes came back."""


class RuntimeMissing(errors.Unavailable):
    """The function's runtime is not on this machine."""


class Throttle(errors.Throttled):
    """Lambda's TooManyRequestsException; `detail["Reason"]` says which limit."""


class InvalidRequestContent(errors.Invalid):
    """Lambda's InvalidRequestContentException: the payload is not JSON."""


class EventTooLarge(errors.TooLarge):
    """Lambda's RequestTooLargeException for an asynchronous event."""
