"""What is sealed opens here, for this, unchanged, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.iam.sealing import Seal, SealBrokenError

KEY = bytes(range(32))
NONCE = b"n" * 12


@given(plaintext=st.binary(max_size=200), bound_to=st.text(max_size=40))
def test_what_is_closed_opens_to_the_same(plaintext, bound_to):
    seal = Seal(KEY, purpose="p")
    assert plaintext == seal.open(seal.close(plaintext, bound_to=bound_to, nonce=NONCE), bound_to=bound_to)


@given(data=st.data())
def test_no_bit_can_be_changed(data):
    seal = Seal(KEY, purpose="p")
    sealed = bytearray(seal.close(b"secret", bound_to="a", nonce=NONCE))
    place = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[place // 8] ^= 1 << place % 8
    with pytest.raises(SealBrokenError):
        seal.open(bytes(sealed), bound_to="a")


@given(st.binary(max_size=64))
def test_bytes_that_were_never_sealed_do_not_open(junk):
    with pytest.raises(SealBrokenError):
        Seal(KEY, purpose="p").open(junk, bound_to="a")


def test_another_name_purpose_or_installation_opens_nothing():
    sealed = Seal(KEY, purpose="p").close(b"secret", bound_to="a", nonce=NONCE)
    for seal, bound_to in (
        (Seal(KEY, purpose="p"), "b"),
        (Seal(KEY, purpose="q"), "a"),
        (Seal(b"x" * 32, purpose="p"), "a"),
    ):
        with pytest.raises(SealBrokenError):
            seal.open(sealed, bound_to=bound_to)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_an_install_key_has_exactly_32_bytes(length):
    with pytest.raises(ValueError, match="32 bytes"):
        Seal(b"k" * length, purpose="p")
