"""The trail's segments as files: `DIR/00000001.log`, `DIR/00000002.log`, ... Keeps `audit.interface.SegmentStore`."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from leastwise.audit.interface import Segment, TornSegment, TrailUnavailable
from leastwise.kernel import errors

_NAME: Final = re.compile(r"([0-9]{8})\.log")
_CREATE: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_RESUME: Final = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_PRIVATE: Final = 0o600


class TrailFiles:
    """See the port. `open()` before writing; reading works without."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock_fd: int | None = None
        self._fd: int | None = None
        self._size = 0
        self._torn = False
        # Held while the file descriptor is synced or changed: a sync runs in a thread of its own and must never meet
        # a descriptor number that has just been given to another file.
        self._fd_lock = threading.Lock()

    def open(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SECURITY: fchmod after the fact too: a directory that was there before, or an odd umask, must not leave the
        # record of who did what readable or writable to other users of the machine.
        self._directory.chmod(0o700)
        lock = os.open(self._directory / "lock", _LOCK, _PRIVATE)
        try:
            # SECURITY: a second writer would interleave two chains and make both unverifiable.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            message = f"Another process writes the trail in {self._directory}."
            raise TrailUnavailable(message) from error
        self._lock_fd = lock

    def close(self) -> None:
        with self._fd_lock:
            self._close_file()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def segments(self) -> tuple[Segment, ...]:
        found = []
        with suppress(FileNotFoundError):
            for entry in os.scandir(self._directory):
                match = _NAME.fullmatch(entry.name)
                if match is not None:
                    found.append(Segment(number=int(match[1]), size=entry.stat(follow_symlinks=False).st_size))
        return tuple(sorted(found, key=lambda segment: segment.number))

    def lines(self, number: int) -> Iterator[bytes]:
        with self._path(number).open("rb", buffering=1 << 18) as file:
            yield from file

    def create(self, number: int, first_line: bytes) -> None:
        path = self._path(number)
        unborn = path.with_suffix(".new")
        with self._fd_lock:
            if self._fd is not None:
                # INVARIANT: a segment is on disk before the next one exists, so that a power cut can only damage the
                # last one.
                os.fdatasync(self._fd)
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
            fd = os.open(unborn, _CREATE, _PRIVATE)
            try:
                os.ftruncate(fd, 0)
                _write_all(fd, first_line)
                os.fdatasync(fd)
                # A segment has its first line from the moment it has its name.
                unborn.rename(path)
                self._sync_directory()
            except OSError:
                os.close(fd)
                unborn.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                raise
            self._close_file()
            self._fd, self._size, self._torn = fd, len(first_line), False

    def resume(self, number: int) -> None:
        with self._fd_lock:
            self._close_file()
            self._fd = os.open(self._path(number), _RESUME)
            self._size, self._torn = os.fstat(self._fd).st_size, False

    def write(self, data: bytes) -> None:
        fd = self._fd
        if fd is None or self._torn:
            message = "The trail's last write failed in the middle." if self._torn else "The trail is not open."
            raise TornSegment(message)
        try:
            written = os.write(fd, data)
            if written != len(data):
                _write_all(fd, data[written:])
        except OSError:
            self._take_back(fd)
            raise
        self._size += len(data)

    def sync(self) -> None:
        with self._fd_lock:
            if self._fd is not None:
                os.fdatasync(self._fd)

    def cut(self, number: int, length: int) -> None:
        path = self._path(number)
        with path.open("r+b") as file:
            file.seek(length)
            # SECURITY: kept, not thrown away. Whoever damages the end of the log to have it "recovered" leaves
            # what he wanted gone in the next file.
            aside = self._directory / f"{number:08d}.cut-{length}"
            aside.write_bytes(file.read())
            aside.chmod(_PRIVATE)
            file.truncate(length)
            os.fsync(file.fileno())
        self._sync_directory()

    def _take_back(self, fd: int) -> None:
        try:
            os.ftruncate(fd, self._size)
        except OSError as error:
            self._torn = True
            message = "A write to the trail failed in the middle and could not be taken back."
            raise TornSegment(message) from error

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _sync_directory(self) -> None:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _path(self, number: int) -> Path:
        if not 0 < number < 10**8:
            message = f"segment number {number}"
            raise errors.Bug(message)
        return self._directory / f"{number:08d}.log"


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
