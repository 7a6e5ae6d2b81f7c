"""The port of a unit of work, so that a change and its record commit together or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Transactions(Protocol):
    """Opens units of work.

    Inside `async with transactions.begin():` every storage adapter called from the same task joins the transaction.
    Leaving the block normally commits, leaving it by an exception rolls back.
    """

    def begin(self) -> AbstractAsyncContextManager[None]:
        """A unit of work that may write. Not re-entrant."""
        ...

    def before_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Awaits `callback` inside the present transaction, at its end; once, however often it is asked for.

        Outside a transaction nothing will commit, and nothing is called.
        """
        ...

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Runs `callback` once the present transaction has committed (at once when there is none).

        Caches are refreshed here: a change that was rolled back must never be seen.
        """
        ...
