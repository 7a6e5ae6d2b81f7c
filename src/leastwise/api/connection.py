"""One HTTP/1.1 connection to the door: uvicorn's protocol on httptools, with limits of our own."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from leastwise.api.app import Door
from leastwise.api.short_cycle import LARGEST_BODY, ShortCycle
from leastwise.kernel.units import KIB

_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_HEADERS_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\nretry-after: 1\r\n\r\n"
)

_INVOKE: Final = re.compile(rb"/2015-03-31/functions/[A-Za-z0-9_-]{1,64}/invocations(?:\?[A-Za-z0-9_=%$-]*)?")
_NOT_PLAIN: Final = frozenset({b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"})
_LENGTH_DIGITS: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What one connection may ask of us.

    Args:
        header_bytes: request line and headers together.
        headers: number of header fields.
        head_s: seconds from the connection, or from the first byte of a request, to the end of its headers.
        body_idle_s: seconds without a byte while a body is awaited.
        body_s: seconds for a whole body.
        write_s: seconds in which a client must make room for more of the answer.
        keep_alive_s: seconds an idle connection stays open.
        connections: open connections of one server; never more than half of the files that the process may open.
        backlog: connections that wait to be accepted.
    """

    header_bytes: int = 32 * KIB
    headers: int = 100
    head_s: float = 15.0
    body_idle_s: float = 30.0
    body_s: float = 900.0
    write_s: float = 120.0
    keep_alive_s: int = 75
    connections: int = 4096
    backlog: int = 2048


class _OneWrite:
    """A transport that puts what is written within one step of the loop into one system call, at the next step.

    INVARIANT: the answer is on the wire only after everything the call has put on the loop before it (the flush of its
    log lines, see `runtime/service.py`).

    uvicorn writes head and body of a response apart: twice the system calls, and the client is woken for a head that
    it can do nothing with. MEASURED: 17 us less CPU a request at 16 connections, 2 shared cores, 2026-11-23.
    """

    __slots__ = ("_call_soon", "_pending", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._pending:
            self._call_soon(self._flush)
        self._pending.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def abort(self) -> None:
        self._pending.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._pending:
            data = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
            self._pending.clear()
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class DoorConnection(HttpToolsProtocol):
    """uvicorn's protocol with limits on what a client can make us hold, and for how long.

    SECURITY: slow and endless requests. uvicorn's httptools protocol bounds neither the size of headers nor the time
    for them: one connection could grow without end, and ten thousand silent ones would stay for ever.

    In the common case, a request that arrives in one piece, no timer is set. A plain Invoke is answered without
    uvicorn's ASGI cycle (`api/short_cycle.py`).
    """

    cycle: RequestResponseCycle | ShortCycle | None  # type: ignore[assignment]

    def __init__(self, door: Door, config: Config, server_state: ServerState, limits: HttpLimits) -> None:
        super().__init__(config=config, server_state=server_state, app_state={})
        self._door = door
        self._limits = limits
        self._most_headers, self._most_header_bytes = limits.headers, limits.header_bytes
        self._declared = 0
        self._plain = True
        self._idle_since = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None
        self._head_bytes = self._header_bytes = 0
        self._message_open = self._in_head = False
        self._body_ends_at = 0.0
        self._deadline: asyncio.TimerHandle | None = None
        self._write_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.transport = _OneWrite(self.transport, self.loop)  # type: ignore[assignment]
        if len(self.connections) > self._limits.connections:
            self._give_up(_TOO_MANY)
            return
        self._start_deadline(self._limits.head_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        self._stop_write_deadline()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._message_open:
            self._stop_deadline()
        elif self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes:
                self._give_up(_HEADERS_TOO_LARGE)
            elif self._deadline is None:
                self._start_deadline(self._limits.head_s)
        else:
            left = self._body_ends_at - self.loop.time()
            self._start_deadline(max(0.0, min(self._limits.body_idle_s, left)))

    def on_message_begin(self) -> None:
        self._message_open = self._in_head = self._plain = True
        self._declared = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        headers = self.headers
        self._header_bytes = held = self._header_bytes + len(name) + len(value)
        if not self._in_head:
            # SECURITY: fields behind a chunked body must not pass for headers: a proxy that forwards them would vouch
            # for whatever address they claim. Source: RFC 9110, section 6.5.1.
            if held > self._most_header_bytes:
                self._give_up(_HEADERS_TOO_LARGE)
            return
        headers.append((name, value))
        if held > self._most_header_bytes or len(headers) > self._most_headers:
            self._give_up(_HEADERS_TOO_LARGE)
        if name == b"content-length":
            self._declared = int(value) if len(value) <= _LENGTH_DIGITS and value.isdigit() else LARGEST_BODY + 1
        elif name in _NOT_PLAIN:
            self._plain = False
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True

    def on_url(self, url: bytes) -> None:
        self.url += url
        self._header_bytes = len(self.url)
        if len(self.url) > self._limits.header_bytes:
            self._give_up(_HEADERS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._body_ends_at = self.loop.time() + self._limits.body_s
        if self.transport.is_closing():
            return
        if self._is_short():
            self.cycle = ShortCycle(self)
            return
        # uvicorn makes the scope before it knows the headers.
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def _is_short(self) -> bool:
        """Whether it is an Invoke that nothing but its parameters can be wrong with, on a connection that waits."""
        return (
            self._plain
            and self._declared <= LARGEST_BODY
            and _INVOKE.fullmatch(self.url) is not None
            and self.parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            # SECURITY: who reads no answers must not have more of them made.
            and not self.flow.write_paused
            and self.parser.get_http_version() == "1.1"
        )

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if isinstance(cycle, ShortCycle):
            if not cycle.response_complete and not cycle.running:
                cycle.body = cycle.body + body if cycle.body else body
        elif cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._message_open = False
        cycle = self.cycle
        if isinstance(cycle, ShortCycle):
            if not cycle.response_complete and not cycle.running:
                cycle.running = True
                cycle.keep_alive = cycle.keep_alive and self.parser.should_keep_alive()
                task = self.loop.create_task(cycle.run(self._door))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        elif cycle is not None:
            super().on_message_complete()

    def on_short_answer(self) -> None:
        """A short cycle has written its answer: what uvicorn does at that moment, with one timer for all of them."""
        self.server_state.total_requests += 1
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self._limits.keep_alive_s, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self._idle_timer = None
        if self.transport.is_closing() or self._message_open or not isinstance(self.cycle, ShortCycle):
            return
        if self.cycle.response_complete:
            left = self._idle_since + self._limits.keep_alive_s - self.loop.time()
            if left <= 0:
                self.transport.close()
            else:
                self._idle_timer = self.loop.call_later(left, self._close_if_idle)

    def pause_writing(self) -> None:
        self._stop_write_deadline()
        self._write_deadline = self.loop.call_later(self._limits.write_s, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stop_write_deadline()
        super().resume_writing()

    def _start_deadline(self, seconds: float) -> None:
        self._stop_deadline()
        self._deadline = self.loop.call_later(seconds, self._give_up, _TIMEOUT)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _stop_write_deadline(self) -> None:
        if self._write_deadline is not None:
            self._write_deadline.cancel()
            self._write_deadline = None

    def _give_up(self, answer: bytes) -> None:
        """Answers when nothing was answered yet, and closes."""
        self._stop_deadline()
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(answer)
        elif not cycle.response_started:
            cycle.response_started = cycle.response_complete = True
            self.transport.write(answer)
            cycle.message_event.set()
        self.transport.close()
