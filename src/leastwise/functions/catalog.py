"""What is deployed, in memory. Beside `service.py` the only file here that awaits: it stands between verbs and store."""

from __future__ import annotations

from leastwise.functions.interface import Function, FunctionStore, OnChange


class FunctionCatalog:
    """Keeps `functions.interface.Catalog`: every function that was asked for, as last committed.

    Lives in one event loop. INVARIANT: `get` is never awaited inside a transaction that has changed the function.
    """

    def __init__(self, store: FunctionStore) -> None:
        self._store = store
        self._known: dict[tuple[str, str], Function] = {}
        self._changes = 0
        self._listeners: list[OnChange] = []

    def peek(self, account_id: str, name: str) -> Function | None:
        """See `Catalog.peek`."""
        return self._known.get((account_id, name))

    async def get(self, account_id: str, name: str) -> Function | None:
        """See `Catalog.get`."""
        known = self.peek(account_id, name)
        while known is None:
            seen = self._changes
            known = await self._store.get(account_id, name)
            if known is None:
                return None
            if seen == self._changes:
                self._known[account_id, name] = known
                return known
            # Something was changed while the store was read: what was read may be old.
            known = self.peek(account_id, name)
        return known

    async def load(self, account_id: str) -> None:
        """Takes all functions of an account into memory. For the start, before calls are served."""
        for function in await self._store.list(account_id):
            self._known[account_id, function.name] = function

    def reserved_total(self, account_id: str) -> int:
        """Sum of the reserved concurrency of the account's functions, as far as they are loaded."""
        return sum(
            function.reserved_concurrency or 0 for (owner, _), function in self._known.items() if owner == account_id
        )

    def of_account(self, account_id: str) -> tuple[Function, ...]:
        """The account's functions, as far as they are loaded."""
        return tuple(function for (owner, _), function in self._known.items() if owner == account_id)

    def on_change(self, listener: OnChange) -> None:
        """Calls `listener` after every committed change. A listener must not raise."""
        self._listeners.append(listener)

    def changed(self, account_id: str, name: str, function: Function | None) -> None:
        """To be called once a change has committed."""
        self._changes += 1
        if function is None:
            self._known.pop((account_id, name), None)
        else:
            self._known[account_id, name] = function
        for listener in self._listeners:
            listener(account_id, name, function)
