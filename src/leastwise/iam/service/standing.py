"""Where accounts stand, in memory: read once, read again after the organization has changed."""

from __future__ import annotations

from typing import Final

from leastwise.iam.account_tree import AccountTree
from leastwise.iam.organization import OrganizationStore

_NEVER_READ: Final = -1


class AccountStanding:
    """The account tree as last committed.

    Args:
        store: None where there is no organization: then nothing stands in one, and no guardrail limits anything.
    """

    def __init__(self, *, store: OrganizationStore | None) -> None:
        self._store = store
        self._tree: AccountTree | None = None
        self._generation = 0
        self._read = _NEVER_READ

    def forget(self) -> None:
        """What is in memory is old. It stays until it is read again, because `known` cannot wait."""
        self._generation += 1

    @property
    def known(self) -> AccountTree | None:
        """As last read. Every call reads it when it is authenticated, so it is never older than that."""
        return self._tree

    async def tree(self) -> AccountTree | None:
        """As it is now. Asks nobody as long as nothing has changed."""
        while self._store is not None and self._read != self._generation:
            generation = self._generation
            chart = await self._store.chart()
            # INVARIANT: what was read before a change is never taken for what is true after it.
            if generation == self._generation:
                self._tree = None if chart is None else AccountTree(chart)
                self._read = generation
        return self._tree

    async def is_suspended(self, account_id: str) -> bool:
        """Whether nobody of an account may come in, and nothing in it may be used."""
        tree = await self.tree()
        return tree is not None and tree.is_suspended(account_id)
