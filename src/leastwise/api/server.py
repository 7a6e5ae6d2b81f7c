"""Serves the door over HTTP/1.1: one server for people, and one for each sandbox on a socket that is handed over.

uvicorn's httptools protocol, used as an asyncio protocol of its own, so that a further server costs a listening socket
and nothing else. Decision and measurements: docs/decisions/0003-http-server.md.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from leastwise.api.app import Door
from leastwise.kernel.units import KIB

_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_HEADERS_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_TOO_MANY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\nretry-after: 1\r\n\r\n"
)


_POLL_S: Final = 0.02


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


class _DoorProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits on what a client can make us hold, and for how long.

    SECURITY: slow and endless requests. uvicorn's httptools protocol bounds neither the size of headers nor the time
    for them: one connection could grow without end, and ten thousand silent ones would stay for ever.

    In the common case, a request that arrives in one piece, no timer is set.
    """

    def __init__(self, config: Config, server_state: ServerState, limits: HttpLimits) -> None:
        super().__init__(config=config, server_state=server_state, app_state={})
        self._limits = limits
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
        self._message_open = self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._header_bytes += len(name) + len(value)
        if len(self.headers) > self._limits.headers or self._header_bytes > self._limits.header_bytes:
            self._give_up(_HEADERS_TOO_LARGE)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._header_bytes = len(self.url)
        if len(self.url) > self._limits.header_bytes:
            self._give_up(_HEADERS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self._body_ends_at = self.loop.time() + self._limits.body_s
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._message_open = False
        if self.cycle is not None:
            super().on_message_complete()

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
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(answer)
        elif not cycle.response_started:
            cycle.response_started = cycle.response_complete = True
            self.transport.write(answer)
            cycle.message_event.set()
        self.transport.close()


class DoorServer:
    """A listening door. Made by `serve_on`."""

    def __init__(self, server: asyncio.Server, state: ServerState) -> None:
        self._server = server
        self._state = state

    @property
    def port(self) -> int:
        """The port it listens on; of the first socket, when there are several."""
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._state.connections)

    async def drain(self, seconds: float) -> None:
        """Stops listening, lets the calls that run finish and their answers go out, then closes every connection.

        Args:
            seconds: how long calls are waited for; after that their connections are cut.
        """
        self._server.close()
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + seconds
        for connection in list(self._state.connections):
            connection.shutdown()
        while (self._state.tasks or self._state.connections) and loop.time() < give_up_at:  # noqa: ASYNC110 - uvicorn's sets tell nobody
            await asyncio.sleep(_POLL_S)
        self.abort()

    def abort(self) -> None:
        """Stops listening and cuts every connection at once."""
        self._server.close()
        for connection in list(self._state.connections):
            connection.transport.abort()


async def serve_on(
    sock: socket.socket, app: Door, *, tls: ssl.SSLContext | None = None, limits: HttpLimits | None = None
) -> DoorServer:
    """Serves the door on a socket that somebody else made: for people, or inside a sandbox's network namespace.

    Args:
        sock: bound; the server closes it.
        app: the door.
        tls: as from `tls_context`; None speaks plain HTTP.
        limits: what a connection may ask.
    """
    bounds = limits or HttpLimits()
    # SECURITY: connections must leave files for the database, the trail and the sandboxes, or whoever connects often
    # enough stops the platform.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
    bounds = replace(bounds, connections=min(bounds.connections, most))
    sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    factory, state = _protocols(app, bounds)
    patience = None if tls is None else bounds.head_s
    server = await asyncio.get_running_loop().create_server(
        factory,
        sock=sock,
        backlog=bounds.backlog,
        ssl=tls,
        ssl_handshake_timeout=patience,
        ssl_shutdown_timeout=patience,
    )
    return DoorServer(server, state)


def _protocols(app: Door, limits: HttpLimits) -> tuple[Callable[[], _DoorProtocol], ServerState]:
    config = Config(
        app=app,
        lifespan="off",
        interface="asgi3",
        ws="none",
        http=_DoorProtocol,
        log_config=None,
        log_level=logging.ERROR,
        access_log=False,
        # SECURITY: spoofed addresses. uvicorn would believe X-Forwarded-For from loopback.
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=limits.keep_alive_s,
    )
    config.load()
    state = ServerState()
    return lambda: _DoorProtocol(config, state, limits), state


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and newer, with the chain and key of PEM files.

    Raises:
        ssl.SSLError, OSError: files that cannot be read or do not belong together.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context
