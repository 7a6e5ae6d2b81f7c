"""Whose turn it is: long work in the server's own process, one piece at a time for each account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from leastwise.iam.service.slow_work import rate_exceeded


class Turns:
    """SECURITY: keeping others out by asking for long work again and again. An account has one turn, and few callers wait
    for it; another account never waits for them.

    Args:
        most_waiting: callers of one account that may wait while another has the turn.
    """

    def __init__(self, *, most_waiting: int) -> None:
        self._most = most_waiting + 1
        self._inside: dict[str, int] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def of(self, account_id: str) -> AsyncIterator[None]:
        """Waits for the account's turn, and has it.

        Raises: errors.Throttled.
        """
        inside = self._inside.get(account_id, 0)
        if inside >= self._most:
            raise rate_exceeded()
        self._inside[account_id] = inside + 1
        lock = self._locks.setdefault(account_id, asyncio.Lock())
        try:
            async with lock:
                yield
        finally:
            self._inside[account_id] -= 1
            if not self._inside[account_id]:
                del self._inside[account_id], self._locks[account_id]
