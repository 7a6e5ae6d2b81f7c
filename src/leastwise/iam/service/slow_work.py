"""Slow work in threads, in turns: hashes, proofs, lint, explanations. Nobody keeps everybody else waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

from leastwise.kernel import errors

# SECURITY: exhausting the machine: a hash takes 64 MiB, a proof up to 1 GiB, so only so many are made at once, and only
# so many calls wait for theirs.
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 64
# SECURITY: keeping other accounts out by filling the queue. An account waits with a few calls, and has one done at a
# time: so there is always a place, and a turn, for others.
_MOST_WAITING_OF_ACCOUNT: Final = 8

Result = TypeVar("Result")


class SlowWork:
    """One kind of slow work, with turns of its own. Waiting includes running."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._turns: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    async def run(self, account_id: str, work: Callable[[], Result]) -> Result:
        """What the work gives, on behalf of an account.

        Raises: errors.Throttled.
        """
        waiting = self._waiting.get(account_id, 0)
        if waiting >= _MOST_WAITING_OF_ACCOUNT or sum(self._waiting.values()) >= _MOST_WAITING:
            raise rate_exceeded()
        self._waiting[account_id] = waiting + 1
        # SECURITY: a caller who hangs up does not stop the thread. Its place stays taken until it is done, or hanging
        # up would be the way to have more than two at once.
        return await asyncio.shield(asyncio.ensure_future(self._in_turn(account_id, work)))

    async def _in_turn(self, account_id: str, work: Callable[[], Result]) -> Result:
        turn = self._turns.setdefault(account_id, asyncio.Lock())
        try:
            async with turn, self._slots:
                return await asyncio.to_thread(work)
        finally:
            self._waiting[account_id] -= 1
            if not self._waiting[account_id]:
                del self._waiting[account_id], self._turns[account_id]


def rate_exceeded() -> errors.Throttled:
    message = "Rate exceeded"
    return errors.Throttled(message)
