"""Logs as files: `DIR/ACCOUNT/GROUP/SEGMENT.log`. Keeps `logs.interface.LogWriter` and `LogReader`.

All streams of a group share its segments: an environment is a stream, and a file for each would be a file, and an
inode, for every environment there ever was. So writing costs one `write` per group and flush, and what one function
may keep is bounded in bytes: the oldest segment goes when the group is full.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from leastwise.kernel import errors
from leastwise.kernel.units import KIB, MIB
from leastwise.logs.interface import (
    LogEvent,
    LogGroup,
    LogGroupExists,
    LogGroupNotFound,
    LogStream,
    LogStreamExists,
    LogStreamNotFound,
    TooManyGroups,
    TooManyStreams,
)
from leastwise.storage.log_directory import GroupFile, file_name, group_at, read_bytes, segments_in, write_all
from leastwise.storage.log_segments import (
    Contents,
    Found,
    Selection,
    StreamSpan,
    event_line,
    log_event,
    scan,
    stream_line,
)

_LOG: Final = logging.getLogger(__name__)
_APPEND: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_PRIVATE: Final = 0o600
_SEGMENTS_PER_GROUP: Final = 8
_LONGEST_MESSAGE: Final = MIB
"""Characters. Source: CloudWatch Logs quotas, event size 1 MB."""
_MOST_BUFFERED: Final = 4 * MIB
_MOST_GROUPS: Final = 10_000
_MOST_STREAMS: Final = 10_000
_MOST_CONTENTS: Final = 512
_MOST_OPEN: Final = 256

_Key = tuple[str, str]
"""(account, group)."""


@dataclass(frozen=True, slots=True)
class _Write:
    stream: str
    lines: Sequence[tuple[int, str]]
    ingested_ms: int


@dataclass(slots=True)
class _Tail:
    """Where a group is written to. `numbers`: stream -> (its number in this segment, created at).

    `fd` is the open segment: lines are written at the end of every invocation.
    """

    segment: int
    size: int
    torn: bool
    numbers: dict[str, tuple[int, int]] = field(default_factory=dict)
    fd: int = -1

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class LogFiles:
    """See the ports. Calls may come from several threads; writing never waits for reading.

    Args:
        directory: of all logs.
        region: the installation's.
        group_bytes: most that one group keeps on disk.
    """

    def __init__(self, directory: Path, *, region: str, group_bytes: int = 64 * MIB) -> None:
        self._directory = directory
        self._region = region
        self._group_bytes = group_bytes
        self._segment_bytes = max(group_bytes // _SEGMENTS_PER_GROUP, 4 * KIB)
        self._buffer_lock = threading.Lock()
        self._buffer: dict[_Key, list[_Write]] = {}
        self._buffered = 0
        # Held while files change. Never taken by `write`, unless the buffer is full.
        self._files_lock = threading.RLock()
        self._tails: OrderedDict[_Key, _Tail] = OrderedDict()
        self._dropped: dict[_Key, int] = {}
        self._contents_lock = threading.Lock()
        self._contents: OrderedDict[Path, Contents] = OrderedDict()

    @property
    def region(self) -> str:
        return self._region

    def write(
        self, account_id: str, group: str, stream: str, lines: Sequence[tuple[int, str]], *, ingested_ms: int
    ) -> None:
        """See the port."""
        write = _Write(stream, tuple(lines), ingested_ms)
        size = 64
        for _, message in lines:
            size += len(message) + 64
        key = (account_id, group)
        with self._buffer_lock:
            writes = self._buffer.get(key)
            if writes is None:
                self._buffer[key] = [write]
            else:
                writes.append(write)
            self._buffered += size
            full = self._buffered > _MOST_BUFFERED
        if full:
            # SECURITY: a function that prints without end fills the disk's patience, not the platform's memory.
            self.flush()

    def flush(self) -> None:
        """See the port."""
        if not self._buffer:
            return
        with self._files_lock:
            with self._buffer_lock:
                buffer, self._buffer, self._buffered = self._buffer, {}, 0
            for key, writes in buffer.items():
                try:
                    self._append(key, writes)
                except OSError as error:
                    self._drop(key, writes, error)

    def ping(self) -> None:
        """Raises `Unavailable` when logs cannot be kept."""
        with _or_unavailable():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self._directory, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def create_group(self, account_id: str, group: str, *, created_at_ms: int) -> None:
        with self._files_lock:
            self.flush()
            path = self._path(account_id, group)
            if (path / "group.json").exists():
                raise LogGroupExists
            # SECURITY: inodes end before bytes do.
            if sum(1 for _ in self._groups(account_id)) >= _MOST_GROUPS:
                raise TooManyGroups
            with _or_unavailable():
                self._make_group(path, group, created_at_ms)

    def create_stream(self, account_id: str, group: str, stream: str, *, created_at_ms: int) -> None:
        self.flush()
        spans = self._spans(account_id, group)
        if stream in spans:
            raise LogStreamExists
        # SECURITY: names are kept in memory while a group is read.
        if len(spans) >= _MOST_STREAMS:
            raise TooManyStreams
        with self._files_lock, _or_unavailable():
            self._append((account_id, group), [_Write(stream, (), created_at_ms)])

    def remove_group(self, account_id: str, group: str) -> None:
        key = (account_id, group)
        path = self._path(account_id, group)
        with self._files_lock:
            with self._buffer_lock:
                self._buffer.pop(key, None)
            if not (path / "group.json").exists():
                raise LogGroupNotFound
            self._forget(key)
            self._dropped.pop(key, None)
            # Gone in one step for every reader; then at leisure.
            grave = tempfile.mkdtemp(prefix="deleted-", dir=path.parent)
            path.rename(Path(grave) / "group")
        shutil.rmtree(grave, ignore_errors=True)

    def groups(self, account_id: str, *, prefix: str) -> tuple[LogGroup, ...]:
        self.flush()
        found = []
        for path, group in self._groups(account_id):
            if group.name.startswith(prefix):
                size = sum(size for _, _, size in segments_in(path))
                found.append(
                    LogGroup(
                        account_id=account_id, name=group.name, created_at_ms=group.created_at_ms, stored_bytes=size
                    )
                )
        return tuple(sorted(found, key=lambda group: group.name))

    def streams(self, account_id: str, group: str, *, prefix: str) -> tuple[LogStream, ...]:
        """Ordered by name."""
        self.flush()
        return tuple(
            LogStream(
                name=name,
                created_at_ms=span.created_at_ms,
                first_event_ms=span.first_event_ms,
                last_event_ms=span.last_event_ms,
                last_ingestion_ms=span.last_ingestion_ms,
                stored_bytes=span.stored_bytes,
            )
            for name, span in sorted(self._spans(account_id, group).items())
            if name.startswith(prefix)
        )

    def events(
        self,
        account_id: str,
        group: str,
        streams: Sequence[str] | None,
        *,
        start_ms: int,
        end_ms: int,
        beyond: str | None = None,
        newest_first: bool = False,
        at_most: int | None = None,
    ) -> tuple[LogEvent, ...]:
        """See the port. Memory: about twice `at_most` events."""
        self.flush()
        wanted = None if streams is None else frozenset(streams)
        if wanted is not None and not wanted <= self._spans(account_id, group).keys():
            raise LogStreamNotFound
        selection = Selection(start_ms, end_ms, beyond, newest_first=newest_first, at_most=at_most)
        segments = self._readable(account_id, group)
        for path, number, contents in reversed(segments) if newest_first else segments:
            if selection.may_use(contents) and (wanted is None or not wanted.isdisjoint(contents.streams)):
                data = read_bytes(path, 0, contents.read_bytes)
                selection.take(scan(number, data, start_ms=selection.start_ms, end_ms=selection.end_ms, streams=wanted))
        return tuple(_whole(selection.result()))

    def _append(self, key: _Key, writes: Sequence[_Write]) -> None:
        tail = self._tails.get(key)
        if tail is None or tail.fd < 0 or tail.size > self._segment_bytes or os.fstat(tail.fd).st_nlink == 0:
            tail = self._reopen(key, tail, writes[0].ingested_ms)
        data = self._encode(tail, writes, self._dropped.get(key, 0))
        write_all(tail.fd, data, tail.size)
        tail.size += len(data)
        tail.torn = False
        self._dropped.pop(key, None)

    def _reopen(self, key: _Key, tail: _Tail | None, now_ms: int) -> _Tail:
        """The segment that takes the next lines, open. One that was deleted from outside is not written to any more."""
        path = self._path(*key)
        if tail is not None:
            tail.close()
        if tail is None or not (path / f"{tail.segment:016d}.log").exists():
            tail = self._open_tail(path, key[1], now_ms)
        if tail.size > self._segment_bytes:
            tail = self._next_segment(path, tail)
        tail.fd = os.open(path / f"{tail.segment:016d}.log", _APPEND, _PRIVATE)
        self._tails[key] = tail
        self._tails.move_to_end(key)
        if len(self._tails) > _MOST_OPEN:
            self._tails.popitem(last=False)[1].close()
        return tail

    def _forget(self, key: _Key) -> None:
        tail = self._tails.pop(key, None)
        if tail is not None:
            tail.close()

    def _encode(self, tail: _Tail, writes: Sequence[_Write], dropped: int) -> bytes:
        parts = [b"\n"] if tail.torn else []
        for write in writes:
            known = tail.numbers.get(write.stream)
            if known is None:
                known = tail.numbers[write.stream] = (len(tail.numbers), write.ingested_ms)
                parts.append(stream_line(*known, write.stream))
            number, ingested_ms = known[0], write.ingested_ms
            if dropped:
                parts.append(event_line(number, ingested_ms, ingested_ms, f"{dropped} log events were lost here."))
                dropped = 0
            for timestamp_ms, message in write.lines:
                parts.append(event_line(number, max(timestamp_ms, 0), ingested_ms, message[:_LONGEST_MESSAGE]))
        return b"".join(parts)

    def _drop(self, key: _Key, writes: Iterable[_Write], error: OSError) -> None:
        """The disk is full, or worse. Nobody who prints can do anything about that; who reads must know."""
        lost = sum(len(write.lines) for write in writes)
        if key not in self._dropped:
            _LOG.error("the log group %s cannot be written: %s", key[1], error.strerror)
        self._dropped[key] = self._dropped.get(key, 0) + lost
        # What the file holds now is not known for sure: look again before the next write.
        self._forget(key)

    def _open_tail(self, path: Path, group: str, now_ms: int) -> _Tail:
        """Goes on where the last process stopped; numbers of streams start anew, which the form allows."""
        self._make_group(path, group, now_ms)
        segments = segments_in(path)
        if not segments:
            # The first number is a time, so that a group of the same name never gives an event id twice.
            return _Tail(segment=max(now_ms, 1), size=0, torn=False)
        file, number, size = segments[-1]
        return _Tail(segment=number, size=size, torn=size > 0 and read_bytes(file, size - 1, 1) != b"\n")

    def _next_segment(self, path: Path, tail: _Tail) -> _Tail:
        segments = segments_in(path)
        total = sum(size for _, _, size in segments)
        for file, _, size in segments[:-1]:
            if total <= self._group_bytes - self._segment_bytes:
                break
            # SECURITY: a log flood costs its own group's past, never the disk.
            file.unlink(missing_ok=True)
            total -= size
        return _Tail(segment=tail.segment + 1, size=0, torn=False)

    def _make_group(self, path: Path, group: str, now_ms: int) -> None:
        file = path / "group.json"
        if file.exists():
            return
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        unborn = path / "group.new"
        unborn.write_bytes(msgspec.json.encode(GroupFile(name=group, created_at_ms=now_ms)))
        unborn.chmod(_PRIVATE)
        unborn.rename(file)

    def _groups(self, account_id: str) -> Iterator[tuple[Path, GroupFile]]:
        with suppress(FileNotFoundError):
            for entry in sorted(os.scandir(self._account(account_id)), key=lambda entry: entry.name):
                group = group_at(Path(entry.path))
                if group is not None and not entry.name.startswith("deleted-"):
                    yield Path(entry.path), group

    def _spans(self, account_id: str, group: str) -> dict[str, StreamSpan]:
        spans: dict[str, StreamSpan] = {}
        for _, _, contents in self._readable(account_id, group):
            for name, span in contents.streams.items():
                spans.setdefault(name, StreamSpan(created_at_ms=span.created_at_ms)).join(span)
        return spans

    def _readable(self, account_id: str, group: str) -> list[tuple[Path, int, Contents]]:
        path = self._path(account_id, group)
        if group_at(path) is None:
            raise LogGroupNotFound
        with self._contents_lock:
            return [(file, number, self._contents_of(file, size)) for file, number, size in segments_in(path)]

    def _contents_of(self, file: Path, size: int) -> Contents:
        contents = self._contents.get(file)
        if contents is None or contents.read_bytes > size:
            contents = self._contents[file] = Contents()
        self._contents.move_to_end(file)
        if contents.read_bytes < size:
            contents.read(read_bytes(file, contents.read_bytes, size - contents.read_bytes))
        while len(self._contents) > _MOST_CONTENTS:
            self._contents.popitem(last=False)
        return contents

    def _account(self, account_id: str) -> Path:
        return self._directory / file_name(account_id)

    def _path(self, account_id: str, group: str) -> Path:
        return self._account(account_id) / file_name(group)


@contextmanager
def _or_unavailable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"The logs cannot be written: {error.strerror}."
        raise errors.Unavailable(message) from error


def _whole(found: Iterable[Found]) -> Iterator[LogEvent]:
    for event in found:
        try:
            yield log_event(event)
        except msgspec.MsgspecError:
            _LOG.warning("a damaged line in segment %d of stream %s is passed over", event.segment, event.stream)
