"""The trail: nouns, ports and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from leastwise.iam.interface import Decision, Principal
from leastwise.kernel import errors
from leastwise.kernel.call import Source
from leastwise.kernel.events import Access, EventClass


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """What `flows.perform` knows about one call when it is over; `audit` turns it into a CloudTrail record.

    Args:
        request_id: of the call.
        event_id: UUID of the record.
        at_ms: when the call was received.
        service: `lambda`, `iam`, ...
        operation: `CreateFunction`, ...
        event_class: management or data.
        access: read or write.
        account_id: account in which it happened.
        region: region it was addressed to.
        source: where from.
        principal: None when nobody was authenticated.
        claimed_access_key_id: what the proof claimed, also when it did not hold.
        resources: ARNs touched.
        parameters: request parameters, already redacted; None for data events.
        error_code: AWS code, None when it succeeded.
        error_message: AWS message, None when it succeeded.
        decision: None when it was never decided.
        additional: what else belongs in `additionalEventData` (`billedMs`, `codeSha256`, ...). Never a payload.
        shared_event_id: of a call from one account on what another one owns: both accounts' records carry it. The one
            for the owner names the caller by account only.
    """

    request_id: str
    event_id: str
    at_ms: int
    service: str
    operation: str
    event_class: EventClass
    access: Access
    account_id: str
    region: str
    source: Source
    principal: Principal | None
    claimed_access_key_id: str
    resources: tuple[str, ...] = ()
    parameters: Mapping[str, Any] | None = None
    error_code: str | None = None
    error_message: str | None = None
    decision: Decision | None = None
    additional: Mapping[str, str | int] = msgspec.field(default_factory=dict)
    shared_event_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record as it stands in the log. `payload` is the record's canonical JSON, `digest` its chain hash (hex)."""

    sequence: int
    payload: bytes
    digest: str


class Trail(Protocol):
    """Append-only, hash-chained. One writer."""

    async def stage(self, happening: Happening) -> None:
        """Puts a management record into the caller's transaction. It reaches the log after the commit, in order;
        a crash in between is made good at the next start.
        """
        ...

    def append(self, happening: Happening) -> int:
        """Writes a record to the log at once (handed to the operating system before it returns; on disk with the
        next group commit). Returns its sequence number.

        Raises:
            TrailUnavailable: the log cannot be written; callers refuse their call.
        """
        ...

    async def publish(self) -> None:
        """Moves committed records from the outbox into the log, in order. Never raises because the log cannot be
        written: the records are safe in the database and are tried again. Not inside a transaction.
        """
        ...

    async def durable(self) -> int:
        """Waits until everything appended so far is on disk. Returns the last sequence number that is; -1 when none.

        Raises:
            TrailUnavailable: the disk refused.
        """
        ...

    def entries(self, *, first_sequence: int = 0) -> Iterator[Entry]:
        """Reads back in order."""
        ...


class Records(Protocol):
    """Reads single records back. Implemented by `audit.service.Ledger`."""

    async def find(self, wanted: str, *, account_id: str) -> Mapping[str, Any] | None:
        """The newest record of an account with this request id or event id, as CloudTrail writes it; None when there
        is none among the newest ones (`audit.finding.MOST_BYTES`).
        """
        ...


class Outbox(Protocol):
    """Where staged records wait inside the database."""

    async def put(self, event_id: str, payload: bytes) -> None: ...
    async def waiting(self) -> tuple[tuple[int, str, bytes], ...]:
        """(row id, event id, payload) in order of row id."""
        ...

    async def remove(self, up_to_row: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A position of the log that is remembered outside of it, so that cutting off the end is found out."""

    sequence: int
    digest: str
    at_ms: int


class Heads(Protocol):
    """Remembers heads. Keeps the newest ones; which is enough, because a digest covers everything before it."""

    async def add(self, head: Head) -> None: ...
    async def all(self) -> tuple[Head, ...]:
        """Oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One file of the log. Numbers start at 1 and have no gaps; `size` is in bytes."""

    number: int
    size: int


class SegmentStore(Protocol):
    """Keeps the log as append-only segments. Knows nothing of records. One writer; reading needs no lock."""

    def open(self) -> None:
        """Becomes the writer. Raises `TrailUnavailable` when another process is."""
        ...

    def close(self) -> None: ...

    def segments(self) -> tuple[Segment, ...]:
        """Ordered by number."""
        ...

    def lines(self, number: int) -> Iterator[bytes]:
        """The segment's lines, each with its newline; the last one without when the file does not end in one."""
        ...

    def create(self, number: int, first_line: bytes) -> None:
        """Starts a segment and writes to it from now on. The last one is on disk before the new one exists."""
        ...

    def resume(self, number: int) -> None:
        """Goes on writing at the end of a segment."""
        ...

    def write(self, data: bytes) -> None:
        """Appends all of `data` or nothing. Raises `OSError`, with the file as it was; or `TornSegment`."""
        ...

    def sync(self) -> None:
        """Puts what was written on disk. Blocking: call it from a thread."""
        ...

    def cut(self, number: int, length: int) -> None:
        """Takes everything behind `length` bytes out of the segment and keeps it aside as evidence."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One thing that verification found wrong."""

    sequence: int | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What verification found. Sound only when there is no doubt and something was verified."""

    entries: int
    head: str
    doubts: tuple[Doubt, ...]
    torn_tail_bytes: int = 0
    """Bytes of an unfinished last record after a crash: never acknowledged, cut off at the next start."""

    @property
    def sound(self) -> bool:
        return not self.doubts and self.entries > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What a start found and put right.

    Args:
        next_sequence: of the next record.
        cut_bytes: taken off the end: a record that was being written when the machine or the process stopped.
        published: records that were committed but had not reached the log yet.
    """

    next_sequence: int
    cut_bytes: int
    published: int


class TrailUnavailable(errors.Unavailable):
    """The trail cannot be written."""


class TornSegment(TrailUnavailable):
    """A failed write left part of itself behind and could not be taken back. Nothing may be written after it."""


Progress = Callable[[int, int], None]
"""(bytes done, bytes in all)."""
