"""Links to packages: what is sealed is what is opened, and nothing else is."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.functions.links import BadLink, CodeLinks, Link, open_link, seal_link

KEY = bytes(range(32))
LINK = {"account_id": "111122223333", "digest": "ab" * 32, "expires_at_ms": 2000}


def test_a_link_opens_until_its_time_is_over():
    token = seal_link(KEY, **LINK)
    assert Link(**LINK) == open_link(KEY, token, now_ms=1999)
    with pytest.raises(BadLink):
        open_link(KEY, token, now_ms=2000)


def test_another_key_does_not_open_it():
    with pytest.raises(BadLink):
        open_link(bytes(32), seal_link(KEY, **LINK), now_ms=0)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_link_with_one_byte_changed_does_not_open(place, change):
    token = seal_link(KEY, **LINK)
    sealed = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    sealed[place % len(sealed)] ^= change
    forged = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
    with pytest.raises(BadLink):
        open_link(KEY, forged, now_ms=0)


@given(st.text(max_size=600))
def test_no_text_raises_anything_but_bad_link(text):
    with pytest.raises(BadLink):
        open_link(KEY, text, now_ms=0)


def test_a_location_is_an_address_for_ten_minutes():
    links = CodeLinks(key=KEY, base_url="http://127.0.0.1:9000")
    location = links.location(account_id="111122223333", digest="ab" * 32, now_ms=0)
    prefix = "http://127.0.0.1:9000/code/"
    assert location.startswith(prefix)
    assert open_link(KEY, location.removeprefix(prefix), now_ms=599_999).expires_at_ms == 600_000
    assert "0102" not in repr(links)
