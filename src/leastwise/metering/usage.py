"""What an invocation costs, and how costs add up. Integers all the way.

A record of the trail that carries usage names it in `additionalEventData` as

    functionArn   unqualified ARN of the function; its account is the one that pays
    billedMs      whole milliseconds
    memoryMib     configured memory

and is counted on the day of its `eventTime` (UTC). A record with an `errorCode` carries no usage: the caller got an
error of the platform's, not the function's answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeGuard

import msgspec
from msgspec import UNSET, UnsetType, field

from leastwise.kernel import errors
from leastwise.metering.interface import Usage, UsageTotal

FUNCTION_ARN: Final = "functionArn"
BILLED_MS: Final = "billedMs"
MEMORY_MIB: Final = "memoryMib"

_MIB_MS_PER_GB_S: Final = 1024 * 1000
_US_PER_MS: Final = 1000
_ARN_COLONS: Final = 6
_DAY: Final = len("2026-11-23")


def billed_ms(*, duration_us: int, init_us: int) -> int:
    """Whole milliseconds of the handler and the init phase together, rounded up once, at least 1.

    Source: AWS Lambda pricing, "duration ... rounded up to the nearest 1 ms"; the init phase is billed for every
    configuration since August 2025.
    """
    return max(1, -(-(duration_us + init_us) // _US_PER_MS))


def mib_ms(usage: Usage) -> int:
    """Memory x time of one invocation."""
    return usage.billed_ms * usage.memory_mib


def gb_seconds(total_mib_ms: int) -> str:
    """MiB x milliseconds as GB-seconds, exact: 1,024,000 divides every integer into a finite decimal.

    GB is 1,024 MiB, as on AWS's bills.
    """
    whole, rest = divmod(total_mib_ms, _MIB_MS_PER_GB_S)
    # 1,024,000 = 2**13 * 5**3, so 13 places are enough.
    places = str(rest * 10**13 // _MIB_MS_PER_GB_S).rjust(13, "0").rstrip("0")
    return f"{whole}.{places}" if places else str(whole)


def usage_of_notes(notes: Mapping[str, Any], *, day: str, sequence: int) -> Usage | None:
    """The usage that a record's additional data names; None when it names none.

    Args:
        notes: what stands, or will stand, in `additionalEventData`.
        day: `YYYY-MM-DD` of the record's eventTime.
        sequence: the record's position in the trail.

    Raises:
        errors.Bug: it names usage that cannot be counted: a bill must never be guessed.
    """
    if BILLED_MS not in notes:
        return None
    arn, billed, memory = notes.get(FUNCTION_ARN), notes[BILLED_MS], notes.get(MEMORY_MIB)
    if not isinstance(arn, str) or arn.count(":") != _ARN_COLONS or not _is_count(billed) or not _is_count(memory):
        message = f"record {sequence} carries usage that cannot be read"
        raise errors.Bug(message)
    return Usage(
        account_id=arn.split(":")[4],
        function_arn=arn,
        day=day,
        billed_ms=billed,
        memory_mib=memory,
        sequence=sequence,
    )


class _Record(msgspec.Struct, gc=False):
    """The members of a record that usage is read from."""

    time: str = field(name="eventTime")
    error: str | UnsetType = field(name="errorCode", default=UNSET)
    notes: dict[str, Any] = field(name="additionalEventData", default_factory=dict)


_DECODER: Final = msgspec.json.Decoder(_Record)


def usage_of_record(payload: bytes, *, sequence: int) -> Usage | None:
    """The usage that a record of the trail carries; None when it carries none.

    Raises:
        errors.Bug: it is not a record, or its usage cannot be read.
    """
    try:
        record = _DECODER.decode(payload)
    except msgspec.MsgspecError as error:
        message = f"record {sequence} cannot be read"
        raise errors.Bug(message) from error
    if record.error is not UNSET:
        return None
    return usage_of_notes(record.notes, day=record.time[:_DAY], sequence=sequence)


def add_up(totals: Iterable[UsageTotal]) -> UsageTotal:
    """One total of many. What they do not share is empty in it; of nothing at all, everything is."""
    each = tuple(totals)
    return UsageTotal(
        account_id=_shared(total.account_id for total in each),
        function_arn=_shared(total.function_arn for total in each),
        day=_shared(total.day for total in each),
        requests=sum(total.requests for total in each),
        billed_ms=sum(total.billed_ms for total in each),
        mib_ms=sum(total.mib_ms for total in each),
    )


def _shared(values: Iterable[str]) -> str:
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else ""


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
