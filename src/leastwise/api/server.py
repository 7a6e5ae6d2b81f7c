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
from dataclasses import replace
from pathlib import Path
from typing import Final

from uvicorn.config import Config
from uvicorn.server import ServerState

from leastwise.api.app import Door
from leastwise.api.connection import DoorConnection, HttpLimits

_POLL_S: Final = 0.02


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


def _protocols(app: Door, limits: HttpLimits) -> tuple[Callable[[], DoorConnection], ServerState]:
    config = Config(
        app=app,
        lifespan="off",
        interface="asgi3",
        ws="none",
        http=DoorConnection,
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
    return lambda: DoorConnection(app, config, state, limits), state


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
