"""Quotas. Source: Lambda Developer Guide, "Lambda quotas"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from leastwise.functions.interface import InvalidParameter
from leastwise.kernel.units import GIB

MOST_TAGS: Final = 50
LARGEST_POLICY_BYTES: Final = 20_480
LARGEST_ENVIRONMENT_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one account may have.

    Args:
        code_bytes: sum of the sizes of its zip files.
        concurrency: concurrent invocations of all its functions.
        least_unreserved: how much of it reservations must leave to the functions without one.
    """

    code_bytes: int = 75 * GIB
    concurrency: int = 1000
    least_unreserved: int = 100


def check_reservation(wanted: int, *, reserved_by_others: int, limits: Limits) -> None:
    """Decides whether a function may reserve `wanted` concurrent invocations.

    Raises:
        InvalidParameter: too little would be left for the others. SOURCE: messages recorded on AWS.
    """
    unreserved = limits.concurrency - reserved_by_others
    if wanted > unreserved:
        message = (
            "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency"
            f" [{unreserved}]."
        )
        raise InvalidParameter(message)
    if wanted and unreserved - wanted < limits.least_unreserved:
        message = (
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution"
            f" below its minimum value of [{limits.least_unreserved}]."
        )
        raise InvalidParameter(message)
