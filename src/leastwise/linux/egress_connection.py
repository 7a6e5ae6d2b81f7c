"""One connection through the egress proxy: the function's side of it (`Inner`) and the world's (`Outer`).

A CONNECT becomes a tunnel of bytes. Any other method becomes one request, written anew, and its answer; nothing that the
function sends after that request is handed on.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from leastwise.kernel.units import KIB
from leastwise.linux.egress_answers import ESTABLISHED, refusal_answer
from leastwise.linux.egress_reader import RequestReader
from leastwise.linux.egress_request import Destination, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one connection.

    Args:
        head_s: from the connection to the end of the head.
        connect_s: for the look-up and the connection, together.
        idle_s: without a byte either way.
        read_bytes: read at once; as much again may wait for a slow reader, in each direction.
        linger_bytes: read and thrown away after a refusal, so that the answer is not lost with the connection.
        linger_s: the same, in time.
    """

    head_s: float = 10
    connect_s: float = 10
    idle_s: float = 350
    read_bytes: int = 32 * KIB
    linger_bytes: int = 4096 * KIB
    linger_s: float = 5


class Proxy(Protocol):
    """What a connection needs of its environment's proxy."""

    function_arn: str
    limits: Limits
    buffer: memoryview
    """Shared by all connections: the loop fills it and hands it over in one step."""
    closed: bool

    async def reach(self, destination: Destination) -> socket.socket:
        """Decides, and connects. Raises Refusal."""
        ...

    def carried(self, destination: Destination, *, sent_bytes: int, received_bytes: int) -> None: ...

    def gone(self, connection: Inner) -> None:
        """It is over. Idempotent."""
        ...


class Inner(asyncio.BufferedProtocol):
    """The function's side."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._limits = proxy.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = RequestReader()
        self._discarded = -1  # counts once a refusal was answered
        self._early: list[bytes] = []
        self._reaching: asyncio.Task[None] | None = None
        self._outer: Outer | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._active_at = 0.0
        self._read_ended = False
        self._write_ended = False

    # --- the loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it
        if self._proxy.closed:
            self.cut()
            return
        self._transport.set_write_buffer_limits(high=self._limits.read_bytes)
        # SECURITY: a head that arrives a byte a minute would hold a place for ever.
        self._start_timer(self._limits.head_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._reaching is not None:
            self._reaching.cancel()
        if self._outer is not None:
            self._outer.cut()
        self._proxy.gone(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._proxy.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._active_at = self._loop.time()
        if self._discarded >= 0:
            self._discarded += nbytes
            if self._discarded > self._limits.linger_bytes:
                self.cut()
            return
        data = bytes(self._proxy.buffer[:nbytes])
        if self._reader.tunnel:
            self._pass_on(data)
            return
        begun = self._reader.destination is not None
        try:
            self._pass_on(self._reader.feed(data))
        except Refusal as refusal:
            if begun:
                self.cut()  # the destination has part of a request by now; it gets no end of it
            else:
                self._refuse(refusal)
            return
        if not begun and self._reader.destination is not None:
            self.pause()
            self._watch_idle()
            self._reaching = self._loop.create_task(self._reach(self._reader.destination))

    def eof_received(self) -> bool:
        """True keeps the connection open for the answer."""
        self._read_ended = True
        if self._discarded >= 0 or not self._reader.ended:
            return False
        if self._reader.tunnel and self._outer is not None:
            self._outer.finish()
            self._close_if_both_ended()
        return True

    def pause_writing(self) -> None:
        if self._outer is not None:
            self._outer.pause()

    def resume_writing(self) -> None:
        if self._outer is not None:
            self._outer.resume()

    # --- the other side's

    def connected(self, outer: Outer) -> None:
        """The destination is there; it has said nothing yet."""
        if self._transport is None:
            outer.cut()
            return
        self._outer = outer
        if self._reader.tunnel:
            self.write(ESTABLISHED)
        early, self._early = self._early, []
        self.resume()
        outer.write(b"".join(early))
        if self._read_ended and self._reader.tunnel:
            outer.finish()

    def write(self, data: bytes) -> None:
        self._active_at = self._loop.time()
        if self._transport is not None:
            self._transport.write(data)

    def finish(self) -> None:
        """The destination sends no more."""
        if self._transport is None or self._write_ended:
            return
        self._write_ended = True
        if self._reader.tunnel:
            self._transport.write_eof()  # a tunnel is closed in each direction by itself
            self._close_if_both_ended()
        else:
            self._transport.close()

    def destination_is_gone(self, *, sent_bytes: int, received_bytes: int) -> None:
        if self._reader.destination is not None:
            self._proxy.carried(self._reader.destination, sent_bytes=sent_bytes, received_bytes=received_bytes)
        self._outer = None
        if self._transport is not None:
            self._transport.close()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # --- in between

    def _pass_on(self, data: bytes) -> None:
        if self._outer is not None:
            self._outer.write(data)
        elif data:
            self._early.append(data)

    async def _reach(self, destination: Destination) -> None:
        try:
            reached = await self._proxy.reach(destination)
            try:
                await self._loop.create_connection(lambda: Outer(self, self._limits, self._proxy.buffer), sock=reached)
            except BaseException:
                reached.close()
                raise
        except Refusal as refusal:
            self._refuse(refusal)
        except OSError:
            self._refuse(Refusal(502, "connection_terminated", "the destination closed the connection"))
        finally:
            self._reaching = None

    def _close_if_both_ended(self) -> None:
        if self._read_ended and self._write_ended and self._transport is not None:
            self._transport.close()

    def _refuse(self, refusal: Refusal) -> None:
        if self._transport is None or self._discarded >= 0:
            return
        self._discarded = 0
        self._early.clear()
        self._transport.write(refusal_answer(refusal, self._proxy.function_arn, self._reader.destination))
        if self._read_ended:
            self._transport.close()
            return
        # Closed with bytes unread, the connection would be reset, and the answer lost: it is read empty first.
        self._transport.write_eof()
        self.resume()
        self._start_timer(self._limits.linger_s, self.cut)

    def _head_is_late(self) -> None:
        self._refuse(Refusal(408, "http_request_error", "the request did not arrive in time"))

    def _watch_idle(self) -> None:
        self._active_at = self._loop.time()
        self._start_timer(self._limits.idle_s, self._check_idle)

    def _check_idle(self) -> None:
        left = self._active_at + self._limits.idle_s - self._loop.time()
        if left > 0:
            self._start_timer(left, self._check_idle)
        else:
            self.cut()

    def _start_timer(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, then)


class Outer(asyncio.BufferedProtocol):
    """The world's side."""

    def __init__(self, inner: Inner, limits: Limits, buffer: memoryview) -> None:
        self._inner = inner
        self._limits = limits
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._sent_bytes = 0
        self._received_bytes = 0
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._limits.read_bytes)
        self._inner.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self._inner.destination_is_gone(sent_bytes=self._sent_bytes, received_bytes=self._received_bytes)

    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._received_bytes += nbytes
        self._inner.write(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        self._inner.finish()
        return True

    def pause_writing(self) -> None:
        self._inner.pause()

    def resume_writing(self) -> None:
        self._inner.resume()

    def write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._sent_bytes += len(data)
            self._transport.write(data)

    def finish(self) -> None:
        """The function sends no more."""
        if self._transport is not None and not self._finished:
            self._finished = True
            self._transport.write_eof()

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()
