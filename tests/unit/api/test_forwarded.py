"""Whose word about callers counts."""

from __future__ import annotations

import ipaddress
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.api.forwarded import UNKNOWN, TrustedProxies, read_address
from leastwise.iam.policy.operators import parse_address
from leastwise.kernel import errors

PROXIES = TrustedProxies(["127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"])


def seen(*forwarded: str, peer: str = "127.0.0.1") -> str:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return PROXIES.caller(peer, [(b"host", b"x"), *headers], tls=False)[0]


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" \t192.0.2.7 ", "192.0.2.7"),
        ("192.0.2.7:1", "192.0.2.7"),
        ("192.0.2.7:65535", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[::ffff:c000:207]:9", "192.0.2.7"),
    ],
)
def test_an_address_is_read_in_every_form_that_proxies_write(entry, address):
    assert address == read_address(entry.encode())


@pytest.mark.parametrize(
    "entry",
    [
        "",
        " ",
        "unknown",
        "_hidden",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.07",
        "3232235777",
        "0x7f.1",
        "192.0.2.7:",
        "192.0.2.7:x",
        "192.0.2.7:123456",
        "192.0.2.7:-1",
        "192.0.2.7/24",
        "192.0.2.7 192.0.2.8",
        "192.0.2.7;",
        '"192.0.2.7"',
        "for=192.0.2.7",
        "[192.0.2.7]",
        "[2001:db8::7",
        "2001:db8::7]",
        "[2001:db8::7]x",
        "[2001:db8::7]:",
        "[]",
        "[",
        "2001:db8::7%eth0",
        "[fe80::1%25eth0]",
        "::ffff:192.0.2.7%1",
        "\u00b9\u00b2.0.2.7",
        "1" * 4000,
    ],
)
def test_what_is_no_address_is_nobodys(entry):
    assert read_address(entry.encode("latin-1", "replace")) is None
    assert UNKNOWN == seen("192.0.2.7, " + entry.encode("latin-1", "replace").decode("latin-1"))


def test_the_unknown_address_is_in_no_network():
    assert parse_address(UNKNOWN) is None


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.2", "2001:db8::1", "", "unix", "11.0.0.1"])
def test_an_untrusted_peer_is_the_caller_whatever_it_says(peer):
    assert peer == seen("198.51.100.1", peer=peer)
    headers = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"198.51.100.1")]
    assert (peer, False) == PROXIES.caller(peer, headers, tls=False)


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.9"], "192.0.2.7"),
        (["192.0.2.7", "10.0.0.9"], "192.0.2.7"),
        (["198.51.100.1, 192.0.2.7", "10.0.0.9, 2001:db8:ffff::1"], "192.0.2.7"),
        (["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
        (["10.0.0.1, 10.0.0.2"], "10.0.0.1"),
        ([], "127.0.0.1"),
        (["x" * 5000 + ", 192.0.2.7"], "192.0.2.7"),
        (["127.0.0.1, 198.51.100.1"], "198.51.100.1"),
        (["::ffff:10.0.0.1"], "10.0.0.1"),
        (["198.51.100.1, ::ffff:10.0.0.1"], "198.51.100.1"),
    ],
)
def test_the_rightmost_address_that_is_no_proxy_is_the_caller(forwarded, address):
    assert address == seen(*forwarded)


@pytest.mark.parametrize("proxies", [31, 32, 33, 20_000])
def test_so_many_entries_are_looked_at_and_no_more(proxies):
    """Beyond that the caller is nobody, not the proxy that stands there."""
    address = "198.51.100.1" if proxies < 32 else UNKNOWN
    assert address == seen(", ".join(["198.51.100.1", *["10.0.0.1"] * proxies]))
    assert "192.0.2.7" == seen(", ".join([*["10.0.0.1"] * proxies, "192.0.2.7"]))


def test_a_long_header_is_split_once():
    class Watched(bytes):
        splits: ClassVar[list[str]] = []

        def rpartition(self, separator):
            self.splits.append("again")
            return tuple(Watched(part) for part in super().rpartition(separator))

    assert UNKNOWN == PROXIES._rightmost_untrusted("127.0.0.1", Watched(b",".join([b"10.0.0.1"] * 10_000)))
    assert [] == Watched.splits


@pytest.mark.parametrize(
    ("protocols", "tls"), [([b"https"], True), ([b"http"], False), ([b"https", b"http"], False), ([b""], False)]
)
def test_a_trusted_proxy_says_whether_it_came_over_tls(protocols, tls):
    headers = [(b"x-forwarded-proto", value) for value in protocols]
    for of_the_connection in (True, False):
        assert ("127.0.0.1", tls) == PROXIES.caller("127.0.0.1", headers, tls=of_the_connection)
        assert of_the_connection == PROXIES.caller("127.0.0.1", [], tls=of_the_connection)[1]


@pytest.mark.parametrize("block", ["", "proxy.example", "10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/33", "*"])
def test_who_is_trusted_is_said_exactly_and_is_not_everybody(block):
    with pytest.raises(errors.Invalid):
        TrustedProxies([block])


def test_nobody_is_trusted_by_default():
    nobody = TrustedProxies(())
    assert not nobody
    assert ("192.0.2.1", False) == nobody.caller("192.0.2.1", [(b"x-forwarded-for", b"10.0.0.1")], tls=False)


addresses = st.ip_addresses().map(str)


@given(st.lists(addresses | st.text(max_size=12).filter(lambda text: "," not in text), max_size=5), addresses)
def test_nothing_a_caller_writes_changes_whom_the_proxy_saw(written, real):
    """The proxy appends what it saw to whatever the caller sent."""
    mapped = getattr(ipaddress.ip_address(real), "ipv4_mapped", None)
    plain = str(mapped or ipaddress.ip_address(real))
    if TrustedProxies(["127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"])._covers(plain):
        return
    header = ", ".join([*written, real])
    assert plain == seen(header.encode("utf-8").decode("latin-1"))
    assert plain == seen(*(text.encode("utf-8").decode("latin-1") for text in (*written, real)))
