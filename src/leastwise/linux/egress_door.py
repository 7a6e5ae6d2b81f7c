"""The way out of every environment: a proxy on its loopback that asks `runtime.Egress` before anything else happens.

    function -> 127.0.0.1:9003 -> read strictly -> decide -> look up -> judge the address -> connect -> carry bytes

The socket that listens in an environment's network namespace says which function asks; nothing it sends does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from leastwise.linux.egress_addresses import Address, is_named, is_public, judged_form
from leastwise.linux.egress_answers import Notices
from leastwise.linux.egress_connection import Inner, Limits
from leastwise.linux.egress_outside import Outside, words_of
from leastwise.linux.egress_request import Destination, Refusal
from leastwise.runtime.interface import Egress, EgressAllowed, EgressRefused, EnvironmentSpec, OnOutput

_ACCEPTS: Final = 8
_BREATH_S: Final = 0.02
_TROUBLE_S: Final = 1.0
_MOST_ADDRESSES: Final = 4
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable by leastwise: too many connections\r\n"
    b"Proxy-Status: leastwise; error=connection_limit_reached\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many connections may be open at once. Each holds up to two descriptors and 128 KiB of the gateway.

    SECURITY: one environment cannot take them from its siblings, nor one account from the others.
    """

    environment: int = 64
    account: int = 1024
    all: int = 4096


class EgressDoor:
    """What the egress proxies of all environments share.

    Args:
        egress: decides.
        outside: the machine's network.
        places: connections at once.
        limits: of one connection.
        monotonic_ns: a clock that never goes back.
    """

    def __init__(
        self,
        egress: Egress,
        outside: Outside,
        *,
        places: Places | None = None,
        limits: Limits | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.egress = egress
        self.outside = outside
        self.places = places or Places()
        self.limits = limits or Limits()
        self.buffer = memoryview(bytearray(self.limits.read_bytes))
        self._monotonic_ns = monotonic_ns
        self._open: Counter[str] = Counter()

    def open(self, listener: socket.socket, spec: EnvironmentSpec, say: OnOutput) -> EgressProxy:
        """Serves one environment from now on. The listener is the proxy's to close."""
        return EgressProxy(self, listener, spec.account_id, spec.function_arn, say)

    def now_ms(self) -> int:
        return self._monotonic_ns() // 1_000_000

    def take_place(self, account_id: str) -> bool:
        if self._open[account_id] >= self.places.account or self._open.total() >= self.places.all:
            return False
        self._open[account_id] += 1
        return True

    def give_place_back(self, account_id: str) -> None:
        self._open[account_id] -= 1
        if not self._open[account_id]:
            del self._open[account_id]


class EgressProxy:
    """The egress proxy of one environment. Keeps `egress_connection.Proxy`.

    MEASURED: nothing is set up before somebody connects, so that a cold start pays for one `epoll_ctl`.
    """

    def __init__(
        self, door: EgressDoor, listener: socket.socket, account_id: str, function_arn: str, say: OnOutput
    ) -> None:
        self.door = door
        self.function_arn = function_arn
        self.limits = door.limits
        self.buffer = door.buffer
        self.closed = False
        self._account_id = account_id
        self._say = say
        self._notices: Notices | None = None
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._pause: asyncio.TimerHandle | None = None
        self._accepted: set[asyncio.Task[tuple[asyncio.Transport, Inner]]] = set()
        self._connections: set[Inner] = set()
        self._listen()

    def close(self) -> None:
        """Cuts every connection. Idempotent."""
        if self.closed:
            return
        self.closed = True
        if self._pause is not None:
            self._pause.cancel()
        else:
            self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        for connection in tuple(self._connections):
            connection.cut()

    # --- accepting

    def _listen(self) -> None:
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._on_acceptable)

    def _rest(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._pause = self._loop.call_later(seconds, self._listen)

    def _on_acceptable(self) -> None:
        for _ in range(_ACCEPTS):
            try:
                accepted, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # SECURITY: out of descriptors; the listener stays readable, and the loop would turn around it for ever.
                self._rest(_TROUBLE_S)
                return
            self._accept(accepted)
        # SECURITY: a function that does nothing but connect gets a few hundred connections a second, not the gateway.
        self._rest(_BREATH_S)

    def _accept(self, accepted: socket.socket) -> None:
        accepted.settimeout(0)
        if len(self._connections) >= self.door.places.environment or not self.door.take_place(self._account_id):
            with accepted, contextlib.suppress(OSError):
                accepted.send(_BUSY)
            return
        connection = Inner(self)
        self._connections.add(connection)
        taken = self._loop.create_task(self._loop.connect_accepted_socket(lambda: connection, accepted))
        self._accepted.add(taken)

        def over(task: asyncio.Task[tuple[asyncio.Transport, Inner]]) -> None:
            self._accepted.discard(task)
            if task.cancelled() or task.exception() is not None:
                accepted.close()
                self.gone(connection)

        taken.add_done_callback(over)

    # --- what a connection asks for

    def gone(self, connection: Inner) -> None:
        """It is over. Idempotent."""
        if connection in self._connections:
            self._connections.discard(connection)
            self.door.give_place_back(self._account_id)

    def carried(self, destination: Destination, *, sent_bytes: int, received_bytes: int) -> None:
        self.door.egress.carried(
            self.function_arn, destination.host, destination.port, sent_bytes=sent_bytes, received_bytes=received_bytes
        )

    async def reach(self, destination: Destination) -> socket.socket:
        """Decides, and connects.

        Raises:
            Refusal: it may not go there, or cannot.
        """
        decision = self.door.egress.decide(self.function_arn, destination.host, destination.port)
        if isinstance(decision, EgressRefused):
            # SECURITY: a name that is not allowed is not looked up either: the question itself would carry data out.
            raise self._refused(destination, "http_request_denied", decision.reason)
        try:
            async with asyncio.timeout(self.door.limits.connect_s):
                return await self._connect(destination, decision)
        except TimeoutError:
            raise Refusal(504, "connection_timeout", "the destination does not answer") from None

    async def _connect(self, destination: Destination, decision: EgressAllowed) -> socket.socket:
        judged = [
            address
            for address in await self._addresses(destination)
            if is_named(address, decision.addresses) or (is_public(address) and self.door.outside.leads_away(address))
        ]
        if not judged:
            # SECURITY: a name is whatever its owner says it is: also the metadata service, a neighbour's database, or this
            # machine. Which of them it was is not told: that would be a map of the network inside.
            words = "it leads to an address that is not public, which only a rule that names the address allows"
            raise self._refused(destination, "destination_ip_prohibited", words)
        problem = OSError()
        for address in judged[:_MOST_ADDRESSES]:
            try:
                return await self.door.outside.connect(address, destination.port)
            except OSError as error:
                problem = error
        raise Refusal(502, "connection_refused", f"the destination cannot be reached ({words_of(problem)})")

    async def _addresses(self, destination: Destination) -> list[Address]:
        with contextlib.suppress(ValueError):
            return [judged_form(destination.host)]
        try:
            return list(await self.door.outside.look_up(self._account_id, destination.host))
        except BlockingIOError:
            raise Refusal(503, "connection_limit_reached", "too many names are being looked up") from None
        except OSError:
            raise Refusal(502, "dns_error", "the name cannot be resolved") from None

    def _refused(self, destination: Destination, kind: str, words: str) -> Refusal:
        now_ms = self.door.now_ms()
        if self._notices is None:
            self._notices = Notices(self._say, now_ms)
        self._notices.refused(destination, words, now_ms)
        return Refusal(403, kind, words)
