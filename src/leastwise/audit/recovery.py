"""Where does the log end, after the last writer was stopped in the middle of whatever it was doing?

A killed process leaves at most one unfinished line at the end. A power cut may leave a damaged stretch, but only behind
the last group commit, and so behind every head in the database. Anything else is not a crash: the log is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from leastwise.audit.chain import Header, genesis, read_header
from leastwise.audit.interface import Head, TrailUnavailable
from leastwise.audit.record import event_id_of
from leastwise.audit.verify import Walk

Lines = Callable[[int], Iterator[bytes]]
"""Segment number -> its lines, with their newlines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOfLog:
    """Where the log goes on.

    Args:
        sequence: of the next record.
        digest: raw, of the last one.
        segment: the last segment's number; 0 when there is none.
        length: bytes of that segment that are good.
        torn_bytes: bytes behind them that are not.
        event_ids: of the records behind the head, when they were asked for.
    """

    sequence: int
    digest: bytes
    segment: int = 0
    length: int = 0
    torn_bytes: int = 0
    event_ids: frozenset[str] = frozenset()


def find_end(
    numbers: Sequence[int], lines: Lines, *, head: Head | None, installation_id: str, collect_events: bool
) -> EndOfLog:
    """Checks the log from the newest head on.

    Args:
        numbers: of the segments, in order.
        lines: reads one.
        head: newest position that the database remembers.
        installation_id: whose log it must be.
        collect_events: also return the event ids behind the head.

    Raises:
        TrailUnavailable: the log is not the one that was written.
    """
    if not numbers:
        if head is not None:
            message = f"The trail is gone: there is no log, and record {head.sequence} is known."
            raise TrailUnavailable(message)
        return EndOfLog(sequence=0, digest=genesis(installation_id))
    search = _Search(head, installation_id, set() if collect_events else None)
    for number in segments_from(0 if head is None else head.sequence, numbers, lines):
        search.follow(number, lines(number), last=number == numbers[-1])
    return search.end(numbers[-1])


def segments_from(sequence: int, numbers: Sequence[int], lines: Lines) -> Sequence[int]:
    """The segments in which `sequence` and what follows on it stand."""
    for at in range(len(numbers) - 1, 0, -1):
        header = read_header(next(lines(numbers[at]), b""))
        if header is None or header.first_sequence <= sequence:
            return numbers[at:]
    return numbers


class _Search:
    """One reading of the end of the log."""

    def __init__(self, head: Head | None, installation_id: str, event_ids: set[str] | None) -> None:
        self._head = head
        self._known = -1 if head is None else head.sequence
        self._installation_id = installation_id
        self._event_ids = event_ids
        self._walk: Walk | None = None
        self._length = 0
        self._torn_bytes = 0

    def follow(self, number: int, lines: Iterator[bytes], *, last: bool) -> None:
        first = next(lines, b"")
        walk = self._enter(number, read_header(first))
        self._length = len(first)
        for line in lines:
            if self._torn_bytes:
                self._torn_bytes += len(line)
                continue
            sequence, digest = walk.sequence, walk.digest
            problem = walk.record(line) if line.endswith(b"\n") else "it breaks off"
            if problem is None:
                self._length += len(line)
                self._judge(walk, line)
                continue
            if not last or sequence <= self._known:
                message = f"The trail is damaged at record {sequence}: {problem}."
                raise TrailUnavailable(message)
            self._torn_bytes = len(line)
            walk.sequence, walk.digest = sequence, digest

    def end(self, segment: int) -> EndOfLog:
        if self._walk is None or self._walk.sequence <= self._known:
            message = f"The end of the trail is cut off: record {self._known} is known."
            raise TrailUnavailable(message)
        return EndOfLog(
            sequence=self._walk.sequence,
            digest=self._walk.digest,
            segment=segment,
            length=self._length,
            torn_bytes=self._torn_bytes,
            event_ids=frozenset(self._event_ids or ()),
        )

    def _enter(self, number: int, header: Header | None) -> Walk:
        if header is None or header.number != number:
            message = f"The trail is damaged: segment {number} does not start with its header."
            raise TrailUnavailable(message)
        if header.installation_id != self._installation_id:
            message = "The trail is that of another installation."
            raise TrailUnavailable(message)
        if header.number == 1 and header.previous != genesis(self._installation_id):
            message = "The trail does not start with its installation's own digest."
            raise TrailUnavailable(message)
        walk = self._walk
        if walk is not None and (walk.sequence, walk.digest) != (header.first_sequence, header.previous):
            message = f"The trail is damaged: segment {number} does not follow on the one before it."
            raise TrailUnavailable(message)
        if walk is None:
            walk = self._walk = Walk(sequence=header.first_sequence, digest=header.previous)
        return walk

    def _judge(self, walk: Walk, line: bytes) -> None:
        sequence = walk.sequence - 1
        if self._head is not None and sequence == self._known and walk.digest.hex() != self._head.digest:
            message = f"The trail is not the one that was written: record {sequence} is remembered differently."
            raise TrailUnavailable(message)
        if self._event_ids is not None and sequence > self._known:
            try:
                self._event_ids.add(event_id_of(line.split(b" ", 2)[2]))
            except msgspec.MsgspecError as error:
                message = f"The trail is damaged: record {sequence} has no event id."
                raise TrailUnavailable(message) from error
