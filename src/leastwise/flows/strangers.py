"""How much of the trail callers can fill whom nobody knows."""

from __future__ import annotations

from typing import Final

from leastwise.kernel.units import SECOND_MS

BURST: Final = 2_000
PER_SECOND: Final = 100


class StrangersShare:
    """A token bucket for records of calls that could not be authenticated.

    SECURITY: whoever reaches the port could otherwise fill the disk with records of refusals, and a full disk refuses
    everybody. What is not written down is counted, and the next record tells the count.
    """

    __slots__ = ("_at_ms", "_tokens", "unrecorded")

    def __init__(self, *, now_ms: int) -> None:
        self._at_ms = now_ms
        self._tokens = float(BURST)
        self.unrecorded = 0

    def admit(self, *, now_ms: int) -> bool:
        """Whether one more may be written down."""
        # A clock that was set back gives nothing and takes nothing.
        passed_ms = max(0, now_ms - self._at_ms)
        self._at_ms = now_ms
        self._tokens = min(float(BURST), self._tokens + passed_ms * PER_SECOND / SECOND_MS)
        if self._tokens < 1:
            self.unrecorded += 1
            return False
        self._tokens -= 1
        return True

    def take_unrecorded(self) -> int:
        """How many were not written down since the last one that was."""
        unrecorded, self.unrecorded = self.unrecorded, 0
        return unrecorded
