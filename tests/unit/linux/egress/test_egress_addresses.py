"""Which addresses a name may lead to."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address, IPv4Network, ip_address

import pytest

from leastwise.linux.egress_addresses import is_named, is_public, judged_form
from leastwise.linux.egress_outside import MachineNetwork

NEVER = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1
198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:db8::1
2002:7f00:1::1 2002:a9fe:a9fe::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1
"""
PUBLIC = "1.1.1.1 8.8.8.8 93.184.215.14 172.15.0.1 172.32.0.1 100.128.0.1 2606:4700::1111 2a00:1450:4001::1 2003::1"


@pytest.mark.parametrize("text", NEVER.split())
def test_an_address_that_is_not_a_machine_on_the_internet_is_not_public(text: str) -> None:
    assert not is_public(judged_form(text))


@pytest.mark.parametrize("text", PUBLIC.split())
def test_a_machine_on_the_internet_is_public(text: str) -> None:
    assert is_public(judged_form(text))


def test_an_ipv4_address_in_ipv6_clothes_is_the_ipv4_address() -> None:
    assert judged_form("::ffff:8.8.8.8") == IPv4Address("8.8.8.8")
    assert is_public(judged_form("::ffff:8.8.8.8"))


def test_a_rule_names_by_address_and_by_nothing_else() -> None:
    networks = (IPv4Network("10.1.0.0/16"),)
    assert is_named(ip_address("10.1.2.3"), networks)
    assert not is_named(ip_address("10.2.0.1"), networks)
    assert not is_named(ip_address("::1"), networks)


@pytest.mark.parametrize("text", ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "255.255.255.255", "224.0.0.1"])
def test_the_kernel_says_which_addresses_are_this_machines(text: str) -> None:
    assert not MachineNetwork().leads_away(ip_address(text))


async def test_the_machines_resolver_answers_in_judged_form() -> None:
    network = MachineNetwork()
    try:
        found = await network.look_up("123456789012", "localhost")
    finally:
        network.close()
    assert found
    assert not any(is_public(address) for address in found)


async def test_one_account_does_not_hold_every_resolver_thread() -> None:
    network = MachineNetwork()
    try:
        lookups = [network.look_up("a", "localhost") for _ in range(4)]
        running = [asyncio.ensure_future(lookup) for lookup in lookups]
        await asyncio.sleep(0)
        with pytest.raises(BlockingIOError):
            await network.look_up("a", "localhost")
        assert await network.look_up("b", "localhost")
        for one in running:
            assert await one
        assert await network.look_up("a", "localhost")
    finally:
        network.close()
