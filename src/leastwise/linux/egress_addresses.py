"""Which addresses a name may lead to. Judged after the name was looked up, on the address that is then connected to.

The list is an allow-list for IPv6 and a deny-list for IPv4, written out here and not taken from the standard library,
whose idea of "global" changes between releases.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPECIAL_4: Final = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier NAT; also the metadata service of one cloud (100.100.100.200)
            "127.0.0.0/8",  # loopback: the platform's own machine
            "168.63.129.16/32",  # the platform service of one cloud, at a public address
            "169.254.0.0/16",  # link-local; 169.254.169.254 hands out the machine's own credentials
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; also the metadata service of one cloud (192.0.0.192)
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays: leads to addresses that are embedded in others
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
"""Everything else is loopback, unique local (also fd00:ec2::254), link-local, multicast, an IPv4 address in disguise
(::ffff:0:0/96, ::/96, 64:ff9b::/96), or unassigned."""
_SPECIAL_6: Final = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocol assignments, among them Teredo, whose addresses hold IPv4 addresses
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: the IPv4 address is in it
            "3fff::/20",  # documentation
        ),
    )
)


def judged_form(text: str) -> Address:
    """The address as it is judged and connected to: an IPv4 address in IPv6 clothes is the IPv4 address.

    Raises:
        ValueError: not an address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    """Whether it means a machine on the internet, and nothing nearer."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _PUBLIC_6 and not any(address in network for network in _SPECIAL_6)


def is_named(address: Address, networks: Iterable[Network]) -> bool:
    """Whether a rule names it by address."""
    return any(address in network for network in networks)
