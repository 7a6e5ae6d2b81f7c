"""Who called, when a proxy that the installation trusts stands between.

`X-Forwarded-For` and `X-Forwarded-Proto` are claims that anybody can write. They are believed only when the peer of the
connection is one of the trusted proxies, and only as far to the left as trusted proxies wrote them: each proxy appends
the address it saw, so the rightmost address that is not a trusted proxy is the one that a trusted proxy saw itself.
Everything to the left of it is the caller's own writing.

Source: RFC 7239, section 8.1 (security considerations of forwarding information); the headers are the older custom that
it replaces, in the form of the AWS Application Load Balancer ("HTTP headers and Application Load Balancers").
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from leastwise.kernel import errors

Headers = Sequence[tuple[bytes, bytes]]
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
"""An address that cannot be read. No IpAddress condition matches it, and every NotIpAddress condition does."""
_LONGEST_ADDRESS: Final = 64
_MOST_ENTRIES: Final = 32
"""Nobody has more trusted proxies in a row. More are a caller's writing, to keep us reading."""
_FOR: Final = b"x-forwarded-for"
_PROTO: Final = b"x-forwarded-proto"


class TrustedProxies:
    """Whose word about callers counts.

    Args:
        blocks: addresses and CIDR blocks.

    Raises:
        errors.Invalid: one of them is none, or covers every address there is.
    """

    def __init__(self, blocks: Iterable[str]) -> None:
        self._networks: tuple[_Network, ...] = tuple(_network(block) for block in blocks)
        self._is_trusted = lru_cache(maxsize=1024)(self._covers)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def caller(self, peer: str, headers: Headers, *, tls: bool) -> tuple[str, bool]:
        """The caller's address, and whether it came over TLS.

        Args:
            peer: address of the connection, without `::ffff:`.
            headers: of the request, names in lower case.
            tls: whether the connection itself has TLS.
        """
        if not self._networks or not self._is_trusted(peer):
            return peer, tls
        forwarded = [value for name, value in headers if name == _FOR]
        protocols = [value for name, value in headers if name == _PROTO]
        return self._rightmost_untrusted(peer, b",".join(forwarded)), _all_tls(protocols) if protocols else tls

    def _rightmost_untrusted(self, peer: str, forwarded: bytes) -> str:
        if not forwarded:
            return peer
        entries = forwarded.rsplit(b",", _MOST_ENTRIES)
        address = UNKNOWN
        for entry in reversed(entries[-_MOST_ENTRIES:]):
            found = read_address(entry)
            if found is None:
                # SECURITY: a trusted proxy wrote what nobody can read. To look further left would be to believe the
                # caller; to take the proxy's own address would be to take the caller for one of ours.
                return UNKNOWN
            address = found
            if not self._is_trusted(found):
                return found
        return address if len(entries) <= _MOST_ENTRIES else UNKNOWN

    def _covers(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._networks)


def read_address(entry: bytes) -> str | None:
    """The address of one entry: `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.

    An IPv4 address in IPv6 (`::ffff:192.0.2.7`) is given as IPv4, so that policies about it fit. None: it is no
    address; a name, an obfuscated identifier (`_hidden`, `unknown`), a zone (`fe80::1%eth0`) among them.
    """
    text = entry.strip(b" \t").decode("latin-1")
    if not 0 < len(text) <= _LONGEST_ADDRESS:
        return None
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)) or ":" not in text:
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(":" + port):
            return None
    if "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _is_port(text: str) -> bool:
    return text[0] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= len(":65535")


def _all_tls(values: Iterable[bytes]) -> bool:
    """SECURITY: one hop in the clear is in the clear, and what the caller wrote to the left can only take away."""
    return all(value.strip().lower() == b"https" for value in b",".join(values).split(b","))


def _network(block: str) -> _Network:
    try:
        network = ipaddress.ip_network(block)
    except ValueError as error:
        message = f"{block!r} is neither an address nor a CIDR block"
        raise errors.Invalid(message) from error
    if network.prefixlen == 0:
        # SECURITY: then everybody's word would count, and every address could be had for the asking.
        message = f"{block} covers every address: nobody can be trusted who is everybody"
        raise errors.Invalid(message)
    return network
