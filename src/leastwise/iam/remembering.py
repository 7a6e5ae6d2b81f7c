"""How much is remembered: tables with a bound on what they hold, not on how many.

What callers choose (texts of policies, names of sessions) must not fill the memory, and must not push out what others
use more often than it has to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key")
Kept = TypeVar("Kept")

# MEASURED: bytes that compiled policies take, AMD EPYC, CPython 3.11, 2026-11-23: 4 for each character of plain ones,
# 170 where every value of a condition is a pattern of its own. These weigh eight kinds of hostile policies at 0.7 to
# 4 times of what they take.
_PER_CHARACTER: Final = 4
_PER_STRING: Final = 128
_PER_PATTERN: Final = 1536
_MOST_PER_CHARACTER: Final = 256


def compiled_weight(text: str) -> int:
    """About how many bytes a policy takes once it is compiled.

    Args:
        text: JSON. An escaped character counts as a wildcard: it may be one.
    """
    patterns = text.count("*") + text.count("?") + text.count("${") + text.count("\\u")
    weight = _PER_CHARACTER * len(text) + _PER_STRING * (text.count('"') // 2) + _PER_PATTERN * patterns
    return min(weight, _MOST_PER_CHARACTER * len(text))


class Remembered(Generic[Key, Kept]):
    """A table that holds so much and no more; the oldest goes first.

    Args:
        room: sum of the weights that it may hold.
    """

    def __init__(self, *, room: int) -> None:
        self._room = room
        self._entries: dict[Key, Kept] = {}
        self._weights: dict[Key, int] = {}
        self._held = 0
        self.get: Final = self._entries.get
        """The dict's own: a question costs one lookup."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def held(self) -> int:
        """Sum of the weights."""
        return self._held

    def put(self, key: Key, kept: Kept, *, weight: int) -> list[Kept]:
        """Remembers something, and gives what had to go for it: this itself, when there is no room for it.

        When the table is full an eighth of it goes at once, so that whoever has to look after what went need not do
        it each time.
        """
        gone = [] if (before := self._remove(key)) is None or before is kept else [before]
        if weight > self._room // 8:
            return [*gone, kept]
        if self._held + weight > self._room:
            while self._held + weight > self._room - self._room // 8:
                oldest = self._remove(next(iter(self._entries)))
                if oldest is not None:
                    gone.append(oldest)
        self._entries[key] = kept
        self._weights[key] = weight
        self._held += weight
        return gone

    def drop(self, is_gone: Callable[[Kept], bool]) -> None:
        """Forgets all of which that is true."""
        for key in [key for key, kept in self._entries.items() if is_gone(kept)]:
            self._remove(key)

    def clear(self) -> None:
        self._entries.clear()
        self._weights.clear()
        self._held = 0

    def _remove(self, key: Key) -> Kept | None:
        kept = self._entries.pop(key, None)
        self._held -= self._weights.pop(key, 0)
        return kept
