"""An in-memory `functions.interface.FunctionStore`, kept by the same suite as SQL."""

from __future__ import annotations

from leastwise.functions.interface import Function, FunctionAlreadyExists


class MemoryFunctionStore:
    def __init__(self) -> None:
        self._functions: dict[tuple[str, str], Function] = {}

    async def add(self, function: Function) -> None:
        key = (function.account_id, function.name)
        if key in self._functions:
            raise FunctionAlreadyExists(f"Function already exist: {function.name}")
        self._functions[key] = function

    async def get(self, account_id: str, name: str) -> Function | None:
        return self._functions.get((account_id, name))

    async def list(self, account_id: str) -> tuple[Function, ...]:
        owned = [function for function in self._functions.values() if function.account_id == account_id]
        return tuple(sorted(owned, key=lambda function: function.name))

    async def replace(self, function: Function, *, expected_revision_id: str) -> bool:
        key = (function.account_id, function.name)
        stored = self._functions.get(key)
        if stored is None or stored.revision_id != expected_revision_id:
            return False
        self._functions[key] = function
        return True

    async def remove(self, account_id: str, name: str) -> bool:
        return self._functions.pop((account_id, name), None) is not None

    async def digests(self) -> frozenset[str]:
        return frozenset(function.code.digest for function in self._functions.values())
