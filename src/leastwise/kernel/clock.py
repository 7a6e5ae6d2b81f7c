"""Time as an argument. Nothing below `wiring` reads the system's clock but through this port."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z (wall clock; may jump)."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds of a clock that never goes back (for durations only)."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()


def iso_seconds(epoch_ms: int) -> str:
    """`2026-11-23T18:47:59Z`, as CloudTrail and IAM write instants."""
    return _iso_second(epoch_ms // 1000)


@lru_cache(maxsize=64)
def _iso_second(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_millis(epoch_ms: int) -> str:
    """`2026-11-23T18:47:59.123+0000`, as Lambda writes LastModified."""
    moment = datetime.fromtimestamp(epoch_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03d}+0000"
