"""From a plain Invoke to its answer without the general ASGI cycle: one task, one write.

The cycle that uvicorn makes for every request (scope, events, messages, a check of each header) costs a fifth of a warm
invocation. What is signed, judged and recorded is the same: `Door.answer` and the general way end in the same code.
MEASURED: see docs/decisions/0004-one-gateway-process.md.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal, Protocol

from leastwise.kernel.units import KIB

if TYPE_CHECKING:
    from leastwise.api.app import Door
    from leastwise.api.protocol.wire import HeaderList

LARGEST_BODY: Final = 64 * KIB
"""Larger bodies are counted and bounded together (`api/bodies.py`); these are small enough not to be."""

_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus
}
_BREAKS_OUT: Final = re.compile(rb"[\r\n\0]")
_BROKEN: Final = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(Protocol):
    """What the cycle needs of the connection it stands on."""

    url: bytes
    headers: list[tuple[bytes, bytes]]
    client: tuple[str, int] | None
    scheme: Literal["http", "https"] | None
    transport: asyncio.Transport

    def on_short_answer(self) -> None: ...


class _Event:
    """Stands where uvicorn's protocol wakes whoever waits for more of a request: nobody does here."""

    __slots__ = ()

    def set(self) -> None:
        """Nobody waits."""


_NOBODY: Final = _Event()


class ShortCycle:
    """One plain Invoke on one connection. Has the members of uvicorn's cycle that its protocol looks at."""

    __slots__ = (
        "_connection",
        "_scope",
        "body",
        "disconnected",
        "keep_alive",
        "response_complete",
        "response_started",
        "running",
    )

    message_event = _NOBODY

    def __init__(self, connection: Connection) -> None:
        path, _, query = connection.url.partition(b"?")
        self._connection = connection
        self._scope = {
            "method": "POST",
            "raw_path": path,
            "query_string": query,
            "headers": connection.headers,
            "client": connection.client,
            "scheme": connection.scheme,
        }
        self.body = b""
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = self.running = False

    async def run(self, door: Door) -> None:
        """Has the request answered, and writes the answer."""
        if self.response_complete:
            return
        status, headers, body = await door.answer(self._scope, self.body)
        if self.disconnected or self.response_complete:
            return
        self.response_started = self.response_complete = True
        connection = self._connection
        transport = connection.transport
        head = _head(status, headers, keep_alive=self.keep_alive)
        transport.write(head + body if head is not None else _BROKEN)
        if not self.keep_alive or head is None:
            transport.close()
        connection.on_short_answer()


def _head(status: int, headers: HeaderList, *, keep_alive: bool) -> bytes | None:
    """Status line and headers; None when a header holds what would end it.

    SECURITY: response splitting. A line break in a value would let it write headers, or answers, of its own.
    """
    lines = [_STATUS_LINES[status]]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"\r\n")
    if _BREAKS_OUT.search(b"".join([value for _, value in headers])) is not None:
        return None
    return b"".join(lines)
