"""Frames between the gateway and guest/node/channel.js. What comes from the guest is hostile input.

One frame: 4 bytes length of the body (big endian), 1 byte kind, body. The kinds are listed in channel.js.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final, cast

from leastwise.kernel import errors
from leastwise.linux.runtime_api import too_large
from leastwise.linux.runtime_protocol import MAX_PAYLOAD_BYTES
from leastwise.runtime.interface import InitFailed, Invocation, Reply, ReplyKind

_HEADER: Final = struct.Struct(">IB")
_SEQUENCE: Final = struct.Struct(">I")
_INVOKE: Final = struct.Struct(">IBII")
_LOAD_FRAME: Final = _HEADER.pack(0, ord("L"))
_MAX_BODY_BYTES: Final = MAX_PAYLOAD_BYTES + _SEQUENCE.size
_READ_BYTES: Final = 256 * 1024
_LAST_WORDS_S: Final = 1.0


class FrameKind(StrEnum):
    GENERIC = "G"
    READY = "R"
    INIT_FAILED = "F"
    OUTPUT = "O"
    ERROR = "E"
    FATAL = "X"
    TOO_LARGE = "T"


_KINDS: Final = {ord(kind): kind for kind in FrameKind}


class BadFrame(errors.Invalid):
    """The guest does not keep the protocol. Nothing it says is believed any more."""


class FrameReader:
    """Takes a stream of bytes apart. Holds at most one frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[FrameKind, bytes]]:
        """The frames that are complete now.

        Raises:
            BadFrame: an unknown kind, or an announced length that no frame of ours has.
        """
        self._buffer += data
        while len(self._buffer) >= _HEADER.size:
            size, code = _HEADER.unpack_from(self._buffer)
            kind = _KINDS.get(code)
            # SECURITY: judged before the body arrives, so that an announced length never makes the gateway wait for
            # gigabytes or hold them.
            if kind is None or size > _MAX_BODY_BYTES:
                message = f"frame of kind {code} with {size} bytes"
                raise BadFrame(message)
            end = _HEADER.size + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_HEADER.size : end])
            del self._buffer[:end]
            yield kind, body


def specialise_frame(variables: Mapping[str, str]) -> bytes:
    """Tells a generic process whose it is."""
    body = json.dumps(dict(variables)).encode()
    return _HEADER.pack(len(body), ord("S")) + body


def invoke_frame(sequence: int, invocation: Invocation) -> bytes:
    """One invocation."""
    head = json.dumps(
        {
            "requestId": invocation.request_id,
            "deadlineMs": invocation.deadline_ms,
            "functionArn": invocation.function_arn,
            "clientContext": invocation.client_context,
            "traceId": invocation.trace_id,
        }
    ).encode()
    size = 8 + len(head) + len(invocation.payload)
    return b"".join((_INVOKE.pack(size, ord("I"), sequence, len(head)), head, invocation.payload))


class NodeConversation(asyncio.Protocol):
    """The gateway's end of one process's channel. Keeps `exec_environment.Conversation`.

    Attributes:
        generic: done when the process has started and waits to be specialised.
        ready: done when the handler is loaded; fails with `InitFailed`.
    """

    def __init__(self, *, on_broken: Callable[[], None]) -> None:
        """Args:
        on_broken: called once when the process lies or hangs up; it should be killed.
        """
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._on_broken = on_broken
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._sequence = 0
        self._reply: asyncio.Future[Reply] | None = None
        self._closed_by_us = False
        self._ended: asyncio.Future[None] = loop.create_future()
        self.generic: asyncio.Future[None] = loop.create_future()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._specialised = False
        self.broken = False

    @classmethod
    async def open(cls, channel: socket.socket, *, on_broken: Callable[[], None]) -> NodeConversation:
        """Takes over the socket."""
        loop = asyncio.get_running_loop()
        _, conversation = await loop.create_unix_connection(lambda: cls(on_broken=on_broken), sock=channel)
        return conversation

    # The gateway's side

    def specialise(self, variables: Mapping[str, str]) -> None:
        """Tells whose it is. The package need not be there yet."""
        self._specialised = True
        self._write(specialise_frame(variables))

    def load(self) -> None:
        """The package is in its place: `ready` will be done."""
        self._write(_LOAD_FRAME)

    def send(self, invocation: Invocation) -> asyncio.Future[Reply]:
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        self._reply = self._loop.create_future()
        self._write(invoke_frame(self._sequence, invocation))
        return self._reply

    def _write(self, frame: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    async def settle(self) -> None:
        await asyncio.wait((self._ended,), timeout=_LAST_WORDS_S)

    def close(self) -> None:
        self._closed_by_us = True
        if self._transport is not None:
            self._transport.abort()

    # The guest's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        if not self._ended.done():
            self._ended.set_result(None)
        if not self._closed_by_us and not self.broken:
            self.broken = True
            # A process that ends closes its descriptors a moment before its status is known; one that merely closes
            # the channel could never be reached again.
            self._loop.call_later(_LAST_WORDS_S, self._on_broken)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, body in self._reader.feed(data):
                self._take(kind, body)
        except BadFrame:
            self._break()

    def _break(self) -> None:
        # SECURITY: user code writes on this descriptor as freely as our own script. A frame out of turn is a lie about
        # some invocation, so the environment is given up rather than guessed about.
        self.broken = True
        self.close()
        self._on_broken()

    def _take(self, kind: FrameKind, body: bytes) -> None:
        match kind:
            case FrameKind.GENERIC:
                self._expect(not self._specialised and not self.generic.done() and not body)
                self.generic.set_result(None)
            case FrameKind.READY:
                self._expect(self._specialised and not self.ready.done() and not body)
                self.ready.set_result(None)
            case FrameKind.INIT_FAILED:
                self._expect(self._specialised and not self.ready.done())
                self.broken = True
                self.ready.set_exception(InitFailed(body))
            case _:
                self._take_answer(kind, body)

    def _take_answer(self, kind: FrameKind, body: bytes) -> None:
        waiter = self._reply
        self._expect(waiter is not None and len(body) >= _SEQUENCE.size)
        self._expect(_SEQUENCE.unpack_from(body)[0] == self._sequence)
        self._reply = None
        self.broken = kind is FrameKind.FATAL
        if waiter is None or waiter.done():
            return
        payload = body[_SEQUENCE.size :]
        if kind is FrameKind.TOO_LARGE:
            waiter.set_exception(too_large())
        else:
            result = ReplyKind.RESULT if kind is FrameKind.OUTPUT else ReplyKind.ERROR
            waiter.set_result(Reply(kind=result, payload=payload))

    def _expect(self, condition: bool) -> None:  # noqa: FBT001 - reads as a sentence
        if not condition:
            message = "frame out of turn"
            raise BadFrame(message)
