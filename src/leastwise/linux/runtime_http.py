"""A small HTTP/1.1 server for one hostile client: the environment whose loopback it listens on.

An ordinary web server protects itself from many clients; this one protects the gateway from one that owns a thousand
file descriptors and all the time it wants. Everything it holds on behalf of an environment is bounded by `HttpLimits`.
"""

from __future__ import annotations

import asyncio
import http
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

import httptools

from leastwise.linux.runtime_protocol import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one environment may make the gateway hold.

    Args:
        connections: open at once; further ones are reset.
        head_bytes: of request line and headers together, on all connections together.
        headers: of one request, trailers included.
        quiet_bytes: read inside a body without one byte of content (chunk extensions, trailers).
        discarded_bytes: of a body that was refused, before the connection is cut.
    """

    connections: int = 32
    head_bytes: int = 1024 * 1024
    headers: int = 100
    quiet_bytes: int = 256 * 1024
    discarded_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """Request line and headers. Names in lower case; of a repeated header the first one counts."""

    method: bytes
    path: bytes
    headers: dict[bytes, bytes]


@dataclass(slots=True, kw_only=True)
class Exchange:
    """A request that was taken, while its body arrives and until it is answered.

    Args:
        body_limit: bytes of body that are kept; one more and `overflow` answers.
        complete: takes body and trailers; returns the answer, or a future of it.
        overflow: answers a body that is too long.
        abandon: the connection is gone before the answer was complete.
    """

    body_limit: int
    complete: Callable[[bytes, dict[bytes, bytes]], Answer | asyncio.Future[Answer]]
    overflow: Callable[[], Answer]
    abandon: Callable[[], None]


class GuestApplication(Protocol):
    def begin(self, head: RequestHead) -> Exchange | Answer:
        """Takes a request (its body will follow) or answers it at once (its body will be thrown away)."""
        ...


@dataclass(slots=True)
class _Holdings:
    """What all connections of one environment hold together."""

    connections: set[_Connection] = field(default_factory=set)
    head_bytes: int = 0
    empty: asyncio.Future[None] | None = None

    def check_empty(self) -> None:
        if self.empty is not None and not self.connections and not self.empty.done():
            self.empty.set_result(None)


_DRAIN_S: Final = 1.0


class GuestHttpServer:
    """Serves one listening socket in the running loop until it is closed."""

    def __init__(self, application: GuestApplication, limits: HttpLimits | None = None) -> None:
        self._application = application
        self._limits = limits or HttpLimits()
        self._holdings = _Holdings()
        self._server: asyncio.Server | None = None

    async def serve(self, listener: socket.socket) -> None:
        """Starts to accept. The listener is not closed by `close`: whoever made it does that."""
        loop = asyncio.get_running_loop()
        # A duplicate, because the loop closes what it is given.
        self._server = await loop.create_server(
            lambda: _Connection(loop, self._application, self._limits, self._holdings), sock=listener.dup(), backlog=16
        )

    async def drained(self) -> None:
        """Returns when no connection is open any more, or after a second."""
        loop = asyncio.get_running_loop()
        self._holdings.empty = loop.create_future()
        self._holdings.check_empty()
        await asyncio.wait((self._holdings.empty,), timeout=_DRAIN_S)

    def close(self) -> None:
        """Stops accepting and cuts every connection. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self._holdings.connections):
            connection.cut()


_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}
_BAD_REQUEST: Final = Answer(status=400, body=b"400 Bad Request\n", content_type=b"text/plain")
_HEAD_TOO_LARGE: Final = Answer(status=431, body=b"431 Request Header Fields Too Large\n", content_type=b"text/plain")


class _Connection(asyncio.Protocol):
    """One connection: one request at a time, no pipelining, no upgrades."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        application: GuestApplication,
        limits: HttpLimits,
        holdings: _Holdings,
    ) -> None:
        self._loop = loop
        self._application = application
        self._limits = limits
        self._holdings = holdings
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        # Nothing more is taken from this connection; the parser may still hand over the rest of a chunk.
        self._dead = False
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._trailers: dict[bytes, bytes] = {}
        self._header_count = 0
        self._head_bytes = 0
        self._in_head = True
        self._exchange: Exchange | None = None
        self._pending: asyncio.Future[Answer] | None = None
        self._body = bytearray()
        self._quiet_bytes = 0
        self._discarded_bytes = 0
        self._answered = False
        self._received = False
        self._keep_alive = True

    # The loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        # SECURITY: an environment that opens connections without end would use up the gateway's file descriptors.
        if len(self._holdings.connections) >= self._limits.connections:
            self.cut()
            return
        self._holdings.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._holdings.connections.discard(self)
        self._release_head()
        self._transport = None
        self._abandon()
        self._holdings.check_empty()

    def cut(self) -> None:
        self._dead = True
        if self._transport is not None:
            self._transport.abort()

    def pause_writing(self) -> None:
        # SECURITY: a client that asks and never reads would pile up answers in the gateway.
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._dead or self._transport is None or self._transport.is_closing():
            return
        if self._received:
            # SECURITY: pipelined requests would be held without bound while /next waits.
            self.cut()
            return
        self._count(len(data))
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(_BAD_REQUEST)
            return
        self._check_limits()

    def _count(self, size: int) -> None:
        if self._in_head:
            # The parser keeps an unfinished header to itself, so the bytes are counted before it sees them.
            self._head_bytes += size
            self._holdings.head_bytes += size
        self._quiet_bytes += size

    def _release_head(self) -> None:
        self._holdings.head_bytes -= self._head_bytes
        self._head_bytes = 0

    def _check_limits(self) -> None:
        if self._in_head:
            # SECURITY: a header without end would fill the gateway's memory.
            if self._holdings.head_bytes > self._limits.head_bytes:
                self._refuse(_HEAD_TOO_LARGE)
        elif not self._received and (
            self._quiet_bytes > self._limits.quiet_bytes or self._discarded_bytes > self._limits.discarded_bytes
        ):
            self.cut()

    # The parser's side

    def on_message_begin(self) -> None:
        if self._received:
            self.cut()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._dead:
            return
        self._header_count += 1
        if self._header_count > self._limits.headers:
            self._refuse(_HEAD_TOO_LARGE)
            return
        (self._headers if self._in_head else self._trailers).setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._release_head()
        if self._dead:
            return
        self._keep_alive = self._parser.should_keep_alive()
        head = RequestHead(method=self._parser.get_method(), path=self._url.split(b"?", 1)[0], headers=self._headers)
        taken = self._application.begin(head)
        if isinstance(taken, Answer):
            self._answer(taken)
            return
        self._exchange = taken
        if self._headers.get(b"expect", b"").lower() == b"100-continue" and self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        if self._dead:
            return
        self._quiet_bytes = 0
        if self._exchange is None or self._answered:
            self._discarded_bytes += len(body)
            return
        # SECURITY: the length a client announces is never trusted; what has arrived is counted.
        if len(self._body) + len(body) > self._exchange.body_limit:
            exchange, self._exchange = self._exchange, None
            self._body = bytearray()
            self._answer(exchange.overflow())
            return
        self._body += body

    def on_message_complete(self) -> None:
        if self._dead:
            return
        self._received = True
        if self._answered:
            self._finish()
            return
        if self._exchange is None:
            return
        result = self._exchange.complete(bytes(self._body), self._trailers)
        self._body = bytearray()
        if isinstance(result, Answer):
            self._exchange = None
            self._answer(result)
            return
        self._pending = result
        result.add_done_callback(self._resolved)

    # Answers

    def _resolved(self, future: asyncio.Future[Answer]) -> None:
        if future is not self._pending or future.cancelled():
            return
        self._pending = None
        self._exchange = None
        self._answer(future.result())

    def _answer(self, answer: Answer) -> None:
        if self._answered or self._transport is None:
            return
        self._answered = True
        head = [_STATUS_LINES[answer.status], b"Content-Type: ", answer.content_type, b"\r\n"]
        for name, value in answer.headers:
            head += (name, b": ", value, b"\r\n")
        if not self._keep_alive:
            head.append(b"Connection: close\r\n")
        head.append(b"Content-Length: %d\r\n\r\n" % len(answer.body))
        self._transport.write(b"".join((*head, answer.body)))
        if self._received:
            self._finish()

    def _finish(self) -> None:
        """Request and answer are both complete."""
        if not self._keep_alive and self._transport is not None:
            self._transport.close()
            return
        self._reset()

    def _refuse(self, answer: Answer) -> None:
        self._dead = True
        self._abandon()
        self._keep_alive = False
        self._answer(answer)
        if self._transport is not None:
            self._transport.close()

    def _abandon(self) -> None:
        exchange, self._exchange = self._exchange, None
        self._pending = None
        if exchange is not None:
            exchange.abandon()
