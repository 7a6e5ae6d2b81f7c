"""Usage, exact in integers: what was run for how long with how much memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One invocation's cost.

    Args:
        account_id: who pays: the function's owner.
        function_arn: unqualified ARN.
        day: `YYYY-MM-DD`, UTC, of the record's eventTime.
        billed_ms: whole milliseconds, rounded up, initialization included on a cold start.
        memory_mib: configured memory.
        sequence: position in the trail of the record that proves it.
    """

    account_id: str
    function_arn: str
    day: str
    billed_ms: int
    memory_mib: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageTotal:
    """Sum over one function and day. `mib_ms` is MiB x milliseconds: divide by 1024 x 1000 for GB-seconds."""

    account_id: str
    function_arn: str
    day: str
    requests: int
    billed_ms: int
    mib_ms: int


class UsageStore(Protocol):
    """Keeps totals. `add` is idempotent by trail position: totals and the position commit together."""

    async def counted_up_to(self) -> int:
        """The last trail sequence number that is in the totals; -1 when none is."""
        ...

    async def add(self, totals: tuple[UsageTotal, ...], *, counted_up_to: int) -> None: ...

    async def totals(
        self, account_id: str, *, first_day: str, last_day: str, function_arn: str | None
    ) -> tuple[UsageTotal, ...]: ...


class UsageGrouping(StrEnum):
    """What one line of a report is about."""

    FUNCTION_AND_DAY = "function-and-day"
    FUNCTION = "function"
    DAY = "day"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """Lines, their sum, and the sum's GB-seconds as an exact decimal."""

    totals: tuple[UsageTotal, ...]
    whole: UsageTotal
    gb_seconds: str


class Proof(Protocol):
    """One record of the trail."""

    @property
    def sequence(self) -> int: ...

    @property
    def payload(self) -> bytes: ...


class Proofs(Protocol):
    """What the meter asks of the trail."""

    def entries(self, *, first_sequence: int = 0) -> Iterator[Proof]:
        """Records in order, from a position on."""
        ...

    async def durable(self) -> int:
        """Waits until everything in the trail is on disk; returns the last position."""
        ...
