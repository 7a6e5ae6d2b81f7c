"""When an asynchronous event is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leastwise.kernel.units import HOUR_MS, MINUTE_MS, SECOND_MS


class Ending(StrEnum):
    """How one attempt ended."""

    DONE = "done"
    FUNCTION_ERROR = "function error"
    REFUSED = "refused"
    """Throttled, or the platform could not serve it: the attempt does not count."""


class Condition(StrEnum):
    """Why an event is given up. Source: Lambda Developer Guide, "Capturing records of asynchronous invocations"."""

    RETRIES_EXHAUSTED = "RetriesExhausted"
    EVENT_AGE_EXCEEDED = "EventAgeExceeded"
    ZERO_RESERVED_CONCURRENCY = "ZeroReservedConcurrency"


MOST_RETRIES: Final = 2
MOST_AGE_MS: Final = 6 * HOUR_MS
_ERROR_DELAYS_MS: Final = (MINUTE_MS, 2 * MINUTE_MS)
_LONGEST_REFUSAL_DELAY_MS: Final = 5 * MINUTE_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The event is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Try again at `due_at_ms`."""

    due_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    condition: Condition


def decide_next(
    ending: Ending,
    *,
    errors: int,
    refusals: int,
    accepted_at_ms: int,
    now_ms: int,
    reserved_concurrency: int | None,
) -> Finished | Again | GivenUp:
    """What becomes of an event after an attempt.

    Args:
        ending: of this attempt.
        errors: function errors so far, this attempt included.
        refusals: refusals so far, this attempt included.
        accepted_at_ms: when the event was accepted.
        now_ms: now.
        reserved_concurrency: of the function; 0 means that it will never run.
    """
    if ending is Ending.DONE:
        return Finished()
    if ending is Ending.FUNCTION_ERROR:
        if errors > MOST_RETRIES:
            return GivenUp(condition=Condition.RETRIES_EXHAUSTED)
        due_at_ms = now_ms + _ERROR_DELAYS_MS[min(errors, len(_ERROR_DELAYS_MS)) - 1]
    else:
        if reserved_concurrency == 0:
            return GivenUp(condition=Condition.ZERO_RESERVED_CONCURRENCY)
        due_at_ms = now_ms + min(SECOND_MS << min(refusals - 1, 20), _LONGEST_REFUSAL_DELAY_MS)
    if due_at_ms - accepted_at_ms > MOST_AGE_MS:
        return GivenUp(condition=Condition.EVENT_AGE_EXCEEDED)
    return Again(due_at_ms=due_at_ms)
