"""Frames on a sandbox's wire: taken apart without trust, sent without blocking."""

from __future__ import annotations

import asyncio
import socket

from leastwise.guest.wire import FRAME_LIMIT, HEADER


class FrameReader:
    """Puts a byte stream together to frames.

    SECURITY: the other side is hostile. A length is only a claim: nothing is reserved for it, and no more than one frame
    of `FRAME_LIMIT` bytes is ever kept.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """The frames (kind, body) that are complete with `data`.

        Raises:
            ValueError: a frame longer than any honest one.
        """
        if self._missing > len(data):
            self._pieces.append(data)
            self._missing -= len(data)
            return []
        if self._pieces:
            data = b"".join((*self._pieces, data))
            self._pieces.clear()
            self._missing = 0
        frames = []
        while len(data) >= HEADER.size:
            kind, length = HEADER.unpack_from(data)
            if length > FRAME_LIMIT:
                message = f"a frame of {length} bytes"
                raise ValueError(message)
            end = HEADER.size + length
            if len(data) < end:
                break
            frames.append((kind, data[HEADER.size : end]))
            data = data[end:]
        if data:
            self._pieces.append(data)
            whole = HEADER.size if len(data) < HEADER.size else HEADER.size + HEADER.unpack_from(data)[1]
            self._missing = whole - len(data)
        return frames


class Outbox:
    """Sends on a non-blocking stream socket; what does not fit at once follows as soon as it does."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        self._loop = loop
        self._connection = connection
        self._rest = b""

    def send(self, data: bytes) -> None:
        """A broken connection is not reported here: its reader sees it."""
        if self._rest:
            self._rest += data
            return
        try:
            sent = self._connection.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(data):
            self._wait(data[sent:])

    def send_with(self, data: bytes, fd: int) -> None:
        """Sends with a descriptor alongside, which travels with the first byte.

        Raises:
            OSError: the connection is broken, or full: descriptors are sent before anything else has been.
        """
        sent = socket.send_fds(self._connection, [data], [fd])
        if sent < len(data):
            self._wait(data[sent:])

    def close(self) -> None:
        """Forgets what was not sent."""
        self._rest = b""
        self._loop.remove_writer(self._connection.fileno())

    def _wait(self, rest: bytes) -> None:
        self._rest = rest
        self._loop.add_writer(self._connection.fileno(), self._go_on)

    def _go_on(self) -> None:
        try:
            sent = self._connection.send(self._rest)
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._rest)
        self._rest = self._rest[sent:]
        if not self._rest:
            self._loop.remove_writer(self._connection.fileno())
