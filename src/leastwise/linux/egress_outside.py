"""The world outside as the egress proxy sees it: names, routes, connections."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import struct
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from leastwise.linux.egress_addresses import Address, judged_form

_LOOKUPS: Final = 16
_LOOKUPS_OF_ONE: Final = 4
_MESSAGE: Final = struct.Struct("=IHHII")
_ROUTE: Final = struct.Struct("=8BI")
_ATTRIBUTE: Final = struct.Struct("=HH")
_REQUEST, _ERROR, _NEW_ROUTE, _GET_ROUTE = 1, 2, 24, 26
_DESTINATION, _UNICAST = 1, 1
_TYPE_AT: Final = _MESSAGE.size + 7
_ANSWER_BYTES: Final = 8192


class Outside(Protocol):
    """Kept by the machine's own network, and by a staged one in the tests."""

    async def look_up(self, account_id: str, host: str) -> Sequence[Address]:
        """Addresses of a name, in the order of preference.

        Raises:
            OSError: there are none, or nobody could be asked.
        """
        ...

    def leads_away(self, address: Address) -> bool:
        """Whether the kernel would send packets for it to another machine: False for every address of this one."""
        ...

    async def connect(self, address: Address, port: int) -> socket.socket:
        """A connected, non-blocking socket.

        Raises:
            OSError: it cannot be reached.
        """
        ...

    def close(self) -> None:
        """Lets go of what it holds. Idempotent."""
        ...


class MachineNetwork:
    """Keeps `Outside` with the resolver and the routes of this machine."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._busy: Counter[str] = Counter()

    async def look_up(self, account_id: str, host: str) -> Sequence[Address]:
        # SECURITY: a resolver that does not answer holds a thread for many seconds. They are not those the platform
        # itself works with, and one account cannot hold all of them.
        if self._busy[account_id] >= _LOOKUPS_OF_ONE:
            raise BlockingIOError
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="egress-names")
        self._busy[account_id] += 1
        looking = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host)

        def over(_: asyncio.Future[list[Address]]) -> None:
            self._busy[account_id] -= 1
            if not self._busy[account_id]:
                del self._busy[account_id]

        looking.add_done_callback(over)
        # The thread cannot be stopped; who gave up must not make it look free.
        return await asyncio.shield(looking)

    def leads_away(self, address: Address) -> bool:
        """Asks the kernel's routing table; when it does not say, the address counts as ours.

        Source: rtnetlink(7), RTM_GETROUTE.
        """
        family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
        attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(address.packed), _DESTINATION) + address.packed
        body = _ROUTE.pack(family, address.max_prefixlen, 0, 0, 0, 0, 0, 0, 0) + attribute
        message = _MESSAGE.pack(_MESSAGE.size + len(body), _GET_ROUTE, _REQUEST, 1, 0) + body
        try:
            with socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
            ) as asked:
                asked.send(message)
                answer = asked.recv(_ANSWER_BYTES)  # the kernel has answered when `send` returns
        except OSError:
            return False
        kind = _MESSAGE.unpack_from(answer)[1]
        return kind == _NEW_ROUTE and answer[_TYPE_AT] == _UNICAST

    async def connect(self, address: Address, port: int) -> socket.socket:
        family = socket.AF_INET if isinstance(address, ipaddress.IPv4Address) else socket.AF_INET6
        made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            # SECURITY: the address that was judged, not the name: a second look-up could give another one.
            await asyncio.get_running_loop().sock_connect(made, (str(address), port))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        """Look-ups that are under way end by themselves."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _addresses(host: str) -> list[Address]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(judged_form(str(place[0])) for *_, place in found))


def words_of(error: OSError) -> str:
    """The system's words for an error, nothing else."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else "no answer"
