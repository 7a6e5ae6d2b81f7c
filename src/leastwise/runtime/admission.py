"""Whether one more invocation may run now."""

from __future__ import annotations

from typing import Final

import msgspec

UNRESERVED_MINIMUM: Final = 100
"""Concurrency that must stay unreserved in an account. Source: Lambda Developer Guide, "Reserved concurrency"."""

RATE_EXCEEDED: Final = "Rate Exceeded."


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What runs at this moment.

    Args:
        account_limit: concurrent invocations the account may have.
        account_reserved: sum of all reservations in the account.
        account_unreserved_running: invocations now running in functions without a reservation.
        function_reserved: this function's reservation, None when it has none.
        function_running: invocations of this function now running.
        memory_short: the machine has no memory for another environment.
        idle_environments: environments of this function that wait for work.
    """

    account_limit: int
    account_reserved: int
    account_unreserved_running: int
    function_reserved: int | None
    function_running: int
    memory_short: bool
    idle_environments: int


def refusal(load: Load) -> str | None:
    """Decides on one more invocation.

    Returns:
        None to admit it, else the `Reason` member of TooManyRequestsException.

    Source: Lambda API reference, TooManyRequestsException.
    """
    if load.function_reserved is not None:
        if load.function_running >= load.function_reserved:
            return "ReservedFunctionConcurrentInvocationLimitExceeded"
    elif load.account_unreserved_running >= load.account_limit - load.account_reserved:
        return "ConcurrentInvocationLimitExceeded"
    if load.memory_short and load.idle_environments == 0:
        return "ConcurrentInvocationLimitExceeded"
    return None
