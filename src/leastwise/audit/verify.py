"""Does the log still say what was written? Every record is hashed again; nothing is taken on trust."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from leastwise.audit.chain import frame, genesis, link, read_header, read_line
from leastwise.audit.interface import Doubt, Head, Progress, Verdict

MOST_DOUBTS: Final = 100
"""A log that is wrong everywhere does not need a report of its own size."""


class Walk:
    """Follows the chain line by line.

    It says what is wrong with a line and then goes on from what the line claims, so that one wrong record is one doubt.
    """

    __slots__ = ("digest", "sequence")

    def __init__(self, *, sequence: int, digest: bytes) -> None:
        """Args: the next record's sequence number, and the digest (raw) of the record before it."""
        self.sequence = sequence
        self.digest = digest

    def record(self, line: bytes) -> str | None:
        """Takes one record's line. Returns what is wrong with it, None when nothing is."""
        claim = read_line(line)
        digest = link(self.digest, claim.payload)
        if line == frame(self.sequence, digest, claim.payload):
            self.sequence += 1
            self.digest = digest
            return None
        problem = self._problem(claim.sequence, claim.digest, digest)
        self.sequence = (self.sequence if claim.sequence is None else claim.sequence) + 1
        self.digest = digest if claim.digest is None else claim.digest
        return problem

    def _problem(self, sequence: int | None, claimed: bytes | None, computed: bytes) -> str:
        if sequence is None or claimed is None:
            return "this is not a record"
        if sequence > self.sequence:
            return f"records {self.sequence} to {sequence - 1} are missing"
        if sequence < self.sequence:
            return f"record {sequence} stands where record {self.sequence} belongs"
        if claimed != computed:
            return "the record or its predecessor is not the one that was written"
        return "the record is not written in the form of the log"


def verify(
    segments: Iterable[tuple[int, Iterable[bytes]]],
    *,
    heads: Sequence[Head],
    counted_up_to: int = -1,
    installation_id: str | None = None,
    total_bytes: int = 0,
    progress: Progress | None = None,
) -> Verdict:
    """Reads all of the log and compares it with itself and with what was remembered outside of it.

    Args:
        segments: (number, lines with their newlines), ordered by number.
        heads: positions remembered in the database. Read them before the log: the log only grows.
        counted_up_to: position up to which usage was summed; one more thing that knows how long the log was.
        installation_id: whose log it must be; None takes the first segment's word for it.
        total_bytes: size of all segments, for `progress`.
        progress: called now and then.

    Returns:
        a verdict. Nothing verified is not sound.
    """
    reading = _Reading(heads, installation_id)
    done = reported = 0
    for number, lines in segments:
        reading.open_segment(number)
        for line in lines:
            reading.take(line)
            done += len(line)
            if progress is not None and done - reported >= 1 << 20:
                reported = done
                progress(done, total_bytes)
    if progress is not None:
        progress(done, total_bytes)
    return reading.verdict(counted_up_to)


class _Reading:
    """What has been read so far, and what was wrong with it."""

    def __init__(self, heads: Sequence[Head], installation_id: str | None) -> None:
        self._heads: Mapping[int, str] = {head.sequence: head.digest for head in heads}
        self._installation_id = installation_id
        self._walk: Walk | None = None
        self._segment = 0
        self._at_header = False
        self._torn = b""
        self._entries = 0
        self._last = -1
        self._doubts: list[Doubt] = []

    def open_segment(self, number: int) -> None:
        self._end_segment()
        if self._at_header and self._segment:
            self._doubt(f"segment {self._segment} is empty")
        if number != self._segment + 1:
            self._doubt(f"segments {self._segment + 1} to {number - 1} are missing")
        self._segment = number
        self._at_header = True

    def take(self, line: bytes) -> None:
        self._end_segment()
        if not line.endswith(b"\n"):
            # Judged when it is known whether anything follows: a crash tears only the very end.
            self._torn = line
        elif self._at_header:
            self._header(line)
        else:
            self._record(line)

    def verdict(self, counted_up_to: int) -> Verdict:
        if self._walk is None:
            self._doubt("there is no trail")
        elif not self._entries:
            self._doubt("the trail has no records")
        known = max((*self._heads, counted_up_to))
        if known > self._last:
            self._doubt(f"the end is cut off: record {known} is known, the log ends with record {self._last}")
        return Verdict(
            entries=self._entries,
            head="" if self._walk is None else self._walk.digest.hex(),
            doubts=tuple(self._doubts[:MOST_DOUBTS]),
            torn_tail_bytes=len(self._torn),
        )

    def _header(self, line: bytes) -> None:
        self._at_header = False
        header = read_header(line)
        if header is None:
            self._doubt(f"segment {self._segment} does not start with a header")
            self._walk = self._walk or Walk(sequence=0, digest=genesis(self._installation_id or ""))
            return
        if self._installation_id is None:
            self._installation_id = header.installation_id
        if header.installation_id != self._installation_id:
            self._doubt(f"segment {self._segment} belongs to another installation")
        if header.number != self._segment:
            self._doubt(f"segment {self._segment} says that it is segment {header.number}")
        if self._walk is None:
            self._walk = Walk(sequence=0, digest=genesis(self._installation_id))
        walk = self._walk
        if header.first_sequence != walk.sequence:
            self._doubt(f"segment {self._segment} starts with record {header.first_sequence}, not {walk.sequence}")
        elif header.previous != walk.digest:
            self._doubt(f"segment {self._segment} does not follow on the one before it")
        walk.sequence, walk.digest = header.first_sequence, header.previous

    def _record(self, line: bytes) -> None:
        walk = self._walk
        if walk is None:
            return
        expected = walk.sequence
        problem = walk.record(line)
        if problem is not None:
            self._doubt(problem, expected)
        self._entries += 1
        self._last = walk.sequence - 1
        known = self._heads.get(self._last)
        if known is not None and known != walk.digest.hex():
            self._doubt("the record is not the one that the database remembers", self._last)

    def _end_segment(self) -> None:
        if self._torn:
            self._doubt(f"segment {self._segment} breaks off in the middle")
            self._torn = b""

    def _doubt(self, problem: str, sequence: int | None = None) -> None:
        if len(self._doubts) < MOST_DOUBTS:
            self._doubts.append(Doubt(sequence=sequence, problem=problem))
