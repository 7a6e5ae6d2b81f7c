"""The form of a log group's files. Pure: bytes in, events out.

A segment is text, a line per thing:

    S NUMBER CREATED-MS "stream name"            from here on NUMBER means this stream
    E NUMBER TIMESTAMP-MS INGESTED-MS "message"  one event of it

Names and messages are JSON strings, so a line break inside a message cannot make a line. A segment explains its own
numbers, so that any segment can be dropped. A line that is not whole, or not of this form, is passed over: a crash
may tear the last one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from leastwise.logs.interface import LogEvent

_STREAM_FIELDS = 4
_EVENT_FIELDS = 5
_quote = msgspec.json.Encoder().encode
_unquote = msgspec.json.Decoder(str).decode


def stream_line(number: int, created_at_ms: int, name: str) -> bytes:
    return b"S %d %d %b\n" % (number, created_at_ms, quoted(name))


def event_line(number: int, timestamp_ms: int, ingested_ms: int, message: str) -> bytes:
    return b"E %d %d %d %b\n" % (number, timestamp_ms, ingested_ms, quoted(message))


def quoted(text: str) -> bytes:
    """A JSON string; what is not Unicode is replaced."""
    try:
        return _quote(text)
    except UnicodeEncodeError:
        return _quote(text.encode("utf-8", "replace").decode())


class Found(NamedTuple):
    """One event where it stands. Its first three members order the events of a group."""

    timestamp_ms: int
    segment: int
    offset: int
    ingested_ms: int
    stream: str
    message: bytes
    """JSON string, still quoted."""


def event_id(timestamp_ms: int, segment: int, offset: int) -> str:
    """56 digits, as AWS has them: the time, and a place that no other event of the group ever has."""
    return f"{timestamp_ms:020d}{segment:016d}{offset:020d}"


def place_of(identifier: str) -> tuple[int, int, int]:
    """The (timestamp, segment, offset) of an event id."""
    return int(identifier[:20]), int(identifier[20:36]), int(identifier[36:])


def log_event(found: Found) -> LogEvent:
    return LogEvent(
        timestamp_ms=found.timestamp_ms,
        ingested_ms=found.ingested_ms,
        message=_unquote(found.message),
        stream=found.stream,
        event_id=event_id(found.timestamp_ms, found.segment, found.offset),
    )


@dataclass(slots=True)
class StreamSpan:
    """What a segment, or a group, holds of one stream."""

    created_at_ms: int
    first_event_ms: int | None = None
    last_event_ms: int | None = None
    last_ingestion_ms: int | None = None
    stored_bytes: int = 0

    def join(self, other: StreamSpan) -> None:
        """Takes in what another, later segment holds."""
        self.created_at_ms = min(self.created_at_ms, other.created_at_ms)
        self.stored_bytes += other.stored_bytes
        if other.first_event_ms is not None and other.last_event_ms is not None:
            self.see(other.first_event_ms, other.last_ingestion_ms or 0)
            self.see(other.last_event_ms, other.last_ingestion_ms or 0)

    def see(self, timestamp_ms: int, ingested_ms: int) -> None:
        if self.first_event_ms is None or self.last_event_ms is None or self.last_ingestion_ms is None:
            self.first_event_ms = self.last_event_ms = timestamp_ms
            self.last_ingestion_ms = ingested_ms
            return
        self.first_event_ms = min(self.first_event_ms, timestamp_ms)
        self.last_event_ms = max(self.last_event_ms, timestamp_ms)
        self.last_ingestion_ms = max(self.last_ingestion_ms, ingested_ms)


@dataclass(slots=True)
class Contents:
    """A segment's table of contents, as far as it has been read. `streams` by name, `names` by number as of now."""

    read_bytes: int = 0
    first_event_ms: int = 2**63
    last_event_ms: int = -1
    streams: dict[str, StreamSpan] = field(default_factory=dict)
    names: dict[bytes, str] = field(default_factory=dict)

    def read(self, data: bytes) -> None:
        """Takes in what follows on the bytes that were read before."""
        end = data.rfind(b"\n") + 1
        for line in data[:end].split(b"\n"):
            parts = line.split(b" ", 4)
            if line[:2] == b"E " and len(parts) == _EVENT_FIELDS and parts[1] in self.names:
                self._event(parts, len(line) + 1)
            elif line[:2] == b"S ":
                self._stream(line)
        self.read_bytes += end

    def _event(self, parts: list[bytes], size: int) -> None:
        try:
            timestamp_ms, ingested_ms = int(parts[2]), int(parts[3])
        except ValueError:
            return
        span = self.streams[self.names[parts[1]]]
        span.see(timestamp_ms, ingested_ms)
        span.stored_bytes += size
        self.first_event_ms = min(self.first_event_ms, timestamp_ms)
        self.last_event_ms = max(self.last_event_ms, timestamp_ms)

    def _stream(self, line: bytes) -> None:
        named = _stream_of(line)
        if named is not None:
            number, created_at_ms, name = named
            self.names[number] = name
            self.streams.setdefault(name, StreamSpan(created_at_ms=created_at_ms))


def scan(segment: int, data: bytes, *, start_ms: int, end_ms: int, streams: frozenset[str] | None) -> Iterator[Found]:
    """The events of one segment with start <= timestamp < end, as they stand."""
    names: dict[bytes, str] = {}
    offset = 0
    for line in data[: data.rfind(b"\n") + 1].split(b"\n"):
        at, offset = offset, offset + len(line) + 1
        if line[:2] == b"E ":
            parts = line.split(b" ", 4)
            name = names.get(parts[1])
            if name is None or len(parts) != _EVENT_FIELDS or (streams is not None and name not in streams):
                continue
            try:
                timestamp_ms, ingested_ms = int(parts[2]), int(parts[3])
            except ValueError:
                continue
            if start_ms <= timestamp_ms < end_ms:
                yield Found(timestamp_ms, segment, at, ingested_ms, name, parts[4])
        elif line[:2] == b"S ":
            named = _stream_of(line)
            if named is not None:
                names[named[0]] = named[2]


def _stream_of(line: bytes) -> tuple[bytes, int, str] | None:
    parts = line.split(b" ", 3)
    if len(parts) != _STREAM_FIELDS:
        return None
    try:
        return parts[1], int(parts[2]), _unquote(parts[3])
    except (ValueError, msgspec.MsgspecError):
        return None


class Selection:
    """The first `at_most` events in the direction of reading, picked from segments one after the other."""

    def __init__(
        self, start_ms: int, end_ms: int, beyond: str | None, *, newest_first: bool, at_most: int | None
    ) -> None:
        self._place = None if beyond is None else place_of(beyond)
        if self._place is not None:
            if newest_first:
                end_ms = min(end_ms, self._place[0] + 1)
            else:
                start_ms = max(start_ms, self._place[0])
        self.start_ms = start_ms
        self.end_ms = end_ms
        self._newest_first = newest_first
        self._at_most = at_most
        self._kept: list[Found] = []

    def may_use(self, contents: Contents) -> bool:
        return contents.first_event_ms < self.end_ms and contents.last_event_ms >= self.start_ms

    def take(self, found: Iterator[Found]) -> None:
        place = self._place
        if place is None:
            fitting = found
        elif self._newest_first:
            fitting = (event for event in found if event[:3] < place)
        else:
            fitting = (event for event in found if event[:3] > place)
        for event in fitting:
            self._kept.append(event)
            if self._at_most is not None and len(self._kept) >= 2 * self._at_most + 1_000:
                self._narrow(self._at_most)

    def result(self) -> list[Found]:
        self._narrow(len(self._kept) if self._at_most is None else self._at_most)
        return self._kept

    def _narrow(self, at_most: int) -> None:
        self._kept.sort(reverse=self._newest_first)
        if len(self._kept) > at_most:
            del self._kept[at_most:]
        if self._kept and len(self._kept) == self._at_most:
            # Whatever lies behind the last one kept is of no use any more.
            if self._newest_first:
                self.start_ms = max(self.start_ms, self._kept[-1].timestamp_ms)
            else:
                self.end_ms = min(self.end_ms, self._kept[-1].timestamp_ms + 1)
