"""What one environment prints, on its way into the log."""

from __future__ import annotations

from typing import Final

from leastwise.kernel.clock import Clock
from leastwise.logs.interface import LogWriter

TAIL_BYTES: Final = 4096
"""How much of an invocation's log its caller can ask for. Source: Invoke API, X-Amz-Log-Result."""


class Console:
    """Gathers lines between two hand-overs to the log, and the tail that a caller asked for."""

    __slots__ = ("_account_id", "_clock", "_group", "_lines", "_stream", "_tail", "_writer")

    def __init__(self, writer: LogWriter, clock: Clock, *, account_id: str, group: str, stream: str) -> None:
        self._writer = writer
        self._clock = clock
        self._account_id = account_id
        self._group = group
        self._stream = stream
        self._lines: list[tuple[int, str]] = []
        self._tail: bytearray | None = None

    def begin_tail(self) -> None:
        """From here on the tail is kept."""
        self._tail = bytearray()

    def take_tail(self) -> bytes | None:
        """The last 4 KiB since `begin_tail`, or None when it was not asked for."""
        tail, self._tail = self._tail, None
        return None if tail is None else bytes(tail[-TAIL_BYTES:])

    def printed(self, event: bytes) -> None:
        """One event that the function wrote."""
        self.say(event.decode("utf-8", "replace"))

    def say(self, line: str) -> None:
        """One line of the function's or the platform's."""
        self._lines.append((self._clock.now_ms(), f"{line}\n"))
        if self._tail is not None:
            self._tail += line.encode() + b"\n"
            if len(self._tail) > 4 * TAIL_BYTES:
                del self._tail[:-TAIL_BYTES]

    def hand_over(self) -> None:
        """Gives the log what has gathered."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._writer.write(self._account_id, self._group, self._stream, lines, ingested_ms=self._clock.now_ms())
