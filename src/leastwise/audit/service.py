"""The ledger: the trail's one writer."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from leastwise.audit.chain import Header, frame, frame_header, read_line
from leastwise.audit.finding import find_record
from leastwise.audit.interface import (
    Entry,
    Happening,
    Head,
    Heads,
    Outbox,
    Recovery,
    SegmentStore,
    TornSegment,
    TrailUnavailable,
)
from leastwise.audit.record import encode
from leastwise.audit.recovery import EndOfLog, find_end, segments_from
from leastwise.kernel import errors
from leastwise.kernel.clock import Clock
from leastwise.kernel.transactions import Transactions
from leastwise.kernel.units import MIB

_LOG: Final = logging.getLogger(__name__)
_NOT_OPEN: Final = "The trail is not open."


class Ledger:
    """Keeps `audit.interface.Trail` and `Records`. `recover()` first, `close()` last.

    What a record survives: a killed process as soon as `append` has returned or the transaction of `stage` has
    committed; a power cut after the next group commit, at most `commit_interval_ms` later (`durable()` waits for it),
    and for staged records at once, because the database has them.

    INVARIANT: used from one event loop only. Nothing between taking the last digest and writing the next one awaits.
    INVARIANT: a head is remembered only when no record that still waits in the outbox stands at or below it. So a
    start needs to look for already published records only behind the newest head.

    Args:
        store: the log's files.
        outbox: staged records.
        heads: positions remembered in the database.
        transactions: the database's units of work.
        clock: for heads.
        installation_id: goes into the genesis digest: logs of two installations cannot be exchanged. Letters, digits and dashes.
        segment_bytes: size at which a new segment is started.
        commit_interval_ms: longest time between a record and its group commit.
        head_interval_ms: longest time between a record and a head that covers it.
    """

    def __init__(
        self,
        *,
        store: SegmentStore,
        outbox: Outbox,
        heads: Heads,
        transactions: Transactions,
        clock: Clock,
        installation_id: str,
        segment_bytes: int = 64 * MIB,
        commit_interval_ms: int = 50,
        head_interval_ms: int = 5_000,
    ) -> None:
        if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", installation_id) is None:
            message = f"installation id {installation_id!r}"
            raise errors.Bug(message)
        self._store = store
        self._outbox = outbox
        self._heads = heads
        self._transactions = transactions
        self._clock = clock
        self._installation_id = installation_id
        self._segment_bytes = segment_bytes
        self._commit_interval_s = commit_interval_ms / 1000
        self._head_interval_ns = head_interval_ms * 1_000_000

        self._failure: str | None = _NOT_OPEN
        self._sequence = 0
        self._digest = b""
        self._segment = 0
        self._size = 0
        self._on_disk = -1
        self._remembered = -1
        self._remembered_at_ns = 0
        self._published_row = 0
        self._removed_row = 0
        self._dirty = False
        self._staged = True
        self._wake = asyncio.Event()
        self._publishing = asyncio.Lock()
        self._settling = asyncio.Lock()
        self._finding = asyncio.Lock()
        self._commit: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def append(self, happening: Happening) -> int:
        """See the port."""
        return self._write(encode(happening))

    async def stage(self, happening: Happening) -> None:
        """See the port.

        Raises:
            TrailUnavailable: nothing can be recorded any more; the caller's transaction must roll back.
        """
        if self._failure is not None:
            raise TrailUnavailable(self._failure)
        await self._outbox.put(happening.event_id, encode(happening))
        self._transactions.after_commit(self._staged_one)

    async def publish(self) -> None:
        """See the port. When it returns and the log can be written, everything committed before stands in it."""
        # INVARIANT: whoever is publishing may already hold our record without having written it: he is waited for.
        if not self._staged and not self._publishing.locked():
            return
        async with self._publishing:
            if not self._staged:
                return
            self._staged = False
            try:
                waiting = await self._outbox.waiting()
            except BaseException:
                # Committed records that could not be read must be asked for again, not only after the next change.
                self._staged = True
                self._rouse()
                raise
            for row_id, _, payload in waiting:
                if row_id <= self._published_row:
                    continue
                try:
                    self._write(payload)
                except TrailUnavailable as error:
                    _LOG.error("records wait in the database: %s", error)
                    self._staged = True
                    self._rouse()
                    return
                self._published_row = row_id

    async def durable(self) -> int:
        """See the port. Callers that wait at the same time share one fdatasync."""
        wanted = self._sequence - 1
        while self._on_disk < wanted:
            if self._failure is not None:
                raise TrailUnavailable(self._failure)
            if self._commit is None or self._commit.done():
                self._commit = asyncio.create_task(self._sync())
            await asyncio.shield(self._commit)
        return self._on_disk

    def entries(self, *, first_sequence: int = 0) -> Iterator[Entry]:
        """See the port. Complete records only; it does not verify."""
        numbers = [segment.number for segment in self._store.segments()]
        for number in segments_from(first_sequence, numbers, self._store.lines):
            lines = self._store.lines(number)
            next(lines, None)
            for raw in lines:
                line = read_line(raw)
                if raw.endswith(b"\n") and line.sequence is not None and line.sequence >= first_sequence:
                    digest = "" if line.digest is None else line.digest.hex()
                    yield Entry(sequence=line.sequence, payload=line.payload, digest=digest)

    async def find(self, wanted: str, *, account_id: str) -> Mapping[str, Any] | None:
        """See the port `Records`."""
        # SECURITY: one search at a time, in a thread: whoever may ask must not be able to keep every core busy.
        async with self._finding:
            return await asyncio.to_thread(
                find_record, wanted, self._store.segments(), self._store.lines, account_id=account_id
            )

    def ping(self) -> None:
        """Raises `TrailUnavailable` when nothing can be recorded."""
        if self._failure is not None:
            raise TrailUnavailable(self._failure)

    async def recover(self) -> Recovery:
        """Becomes the writer: takes the lock, checks the end of the log, cuts off a torn last record, publishes what
        was committed and not yet published, and starts the group commit.

        Raises:
            TrailUnavailable: another writer; or the log is damaged, shortened or exchanged in a way that a crash
                cannot explain. It is left as it is.
        """
        self._store.open()
        try:
            heads = await self._heads.all()
            waiting = await self._outbox.waiting()
            end = self._take_up(heads[-1] if heads else None, collect_events=bool(waiting))
        except OSError as error:
            self._store.close()
            message = f"The trail cannot be read or written: {error.strerror}."
            raise TrailUnavailable(message) from error
        except BaseException:
            self._store.close()
            raise
        self._failure = None
        self._remembered = heads[-1].sequence if heads else -1
        published = 0
        for row_id, event_id, payload in waiting:
            if event_id not in end.event_ids:
                self._write(payload)
                published += 1
            self._published_row = row_id
        await self._settle(remember=True)
        self._keeper = asyncio.create_task(self._keep(), name="trail group commit")
        return Recovery(next_sequence=self._sequence, cut_bytes=end.torn_bytes, published=published)

    async def close(self) -> None:
        """Publishes, commits and remembers the end of the log, and lets go of it."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if self._timer is not None:
            self._timer.cancel()
        try:
            if self._failure is None:
                await self.publish()
                await self._settle(remember=True)
        finally:
            self._failure = _NOT_OPEN
            self._store.close()

    def _write(self, payload: bytes) -> int:
        if self._failure is not None:
            raise TrailUnavailable(self._failure)
        sequence = self._sequence
        digest = sha256(self._digest + payload).digest()
        line = frame(sequence, digest, payload)
        try:
            if self._size + len(line) > self._segment_bytes:
                self._start_segment(self._segment + 1)
            self._store.write(line)
        except TornSegment as error:
            self._failure = error.message
            raise
        except OSError as error:
            message = f"The trail cannot be written: {error.strerror}."
            raise TrailUnavailable(message) from error
        self._size += len(line)
        self._digest = digest
        self._sequence = sequence + 1
        if not self._dirty:
            self._rouse()
        return sequence

    def _start_segment(self, number: int) -> None:
        header = frame_header(
            Header(
                installation_id=self._installation_id,
                number=number,
                first_sequence=self._sequence,
                previous=self._digest,
            )
        )
        self._store.create(number, header)
        self._segment, self._size = number, len(header)

    def _staged_one(self) -> None:
        self._staged = True
        self._rouse()

    def _rouse(self) -> None:
        self._dirty = True
        self._wake.set()

    async def _sync(self) -> None:
        up_to = self._sequence - 1
        try:
            await asyncio.to_thread(self._store.sync)
        except OSError as error:
            # After a failed fdatasync the kernel may have dropped the pages and calls the next one a success.
            # What is on disk can only be learned by reading it again, at the next start.
            self._failure = f"The trail cannot be put on disk: {error.strerror}."
            raise TrailUnavailable(self._failure) from error
        self._on_disk = up_to

    async def _keep(self) -> None:
        """Commits in groups, publishes, remembers heads. Sleeps while nothing happens."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._commit_interval_s)
            self._wake.clear()
            self._dirty = False
            try:
                await self.publish()
                await self._settle(remember=self._head_is_due())
            except Exception:  # noqa: BLE001 - a locked database or a full disk must not end the commits for good
                _LOG.exception("the trail's group commit failed")
                if self._failure is not None:
                    return
                self._rouse()
                await asyncio.sleep(1)
            if self._remembered < self._sequence - 1 and (
                self._timer is None or self._timer.when() < asyncio.get_running_loop().time()
            ):
                # The last records before a silence need their head too.
                self._timer = asyncio.get_running_loop().call_later(self._head_interval_ns / 1e9, self._rouse)

    def _head_is_due(self) -> bool:
        return self._clock.monotonic_ns() - self._remembered_at_ns >= self._head_interval_ns

    async def _settle(self, *, remember: bool) -> None:
        """Puts everything on disk; then, in one transaction, empties the outbox of it and remembers the head."""
        async with self._settling:
            # Taken in one step: whatever is published from here on stands behind this head.
            row = self._published_row
            sequence, digest = self._sequence - 1, self._digest
            await self.durable()
            if row > self._removed_row:
                remember = True
            if not remember or (sequence <= self._remembered and row <= self._removed_row):
                return
            async with self._transactions.begin():
                if row > self._removed_row:
                    await self._outbox.remove(row)
                if sequence > self._remembered:
                    head = Head(sequence=sequence, digest=digest.hex(), at_ms=self._clock.now_ms())
                    await self._heads.add(head)
            self._removed_row = max(self._removed_row, row)
            self._remembered = max(self._remembered, sequence)
            self._remembered_at_ns = self._clock.monotonic_ns()

    def _take_up(self, head: Head | None, *, collect_events: bool) -> EndOfLog:
        """Makes the files end where the log ends, and goes on from there."""
        segments = self._store.segments()
        end = find_end(
            [segment.number for segment in segments],
            self._store.lines,
            head=head,
            installation_id=self._installation_id,
            collect_events=collect_events,
        )
        self._sequence, self._digest = end.sequence, end.digest
        if not segments:
            self._start_segment(1)
            return end
        cut_bytes = segments[-1].size - end.length
        if cut_bytes:
            _LOG.warning("the trail ends in %d bytes that are not whole records; they are put aside", cut_bytes)
            self._store.cut(end.segment, end.length)
        self._store.resume(end.segment)
        self._segment, self._size = end.segment, end.length
        return end
