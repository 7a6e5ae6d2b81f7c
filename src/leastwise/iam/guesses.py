"""How often somebody may be wrong about a secret before nobody may try any more for a while."""

from __future__ import annotations

from typing import Final

from leastwise.kernel.units import MINUTE_MS

MOST_WRONG: Final = 5
WITHIN_MS: Final = 15 * MINUTE_MS
# SECURITY: clearing one's count by pushing it out with invented names. Every guess that is counted costs a hash, and
# the machine makes about 20,000 of them in a quarter of an hour (87 ms each, two at once).
MOST_REMEMBERED: Final = 32_768


class Guesses:
    """Counts guesses by whose secret they are about. In memory only: a restart forgets them.

    A guess counts before it is judged, so that many at once are not more than one after the other.
    """

    def __init__(self, *, most_remembered: int = MOST_REMEMBERED) -> None:
        self._most_remembered = most_remembered
        self._made: dict[str, tuple[int, ...]] = {}

    def begin(self, whose: str, *, now_ms: int) -> bool:
        """Counts one more guess. False: there were too many of late; this one must not be judged, nor is it counted."""
        lately = tuple(at_ms for at_ms in self._made.pop(whose, ()) if now_ms - at_ms < WITHIN_MS)
        allowed = len(lately) < MOST_WRONG
        if len(self._made) >= self._most_remembered:
            del self._made[next(iter(self._made))]
        # INVARIANT: who was counted last stands last.
        self._made[whose] = (*lately, now_ms) if allowed else lately
        return allowed

    def withdraw(self, whose: str, *, at_ms: int) -> None:
        """A guess was not judged after all."""
        made = list(self._made.get(whose, ()))
        if at_ms in made:
            made.remove(at_ms)
            self._made[whose] = tuple(made)

    def forgive(self, whose: str) -> None:
        """Somebody was right, or the secret is another one now: what was wrong before does not count any more."""
        self._made.pop(whose, None)
