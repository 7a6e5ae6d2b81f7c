"""Identifiers in the forms AWS uses. Randomness is the operating system's."""

from __future__ import annotations

import os
import secrets
from typing import Final

_UUID_HEX: Final = 32
_UUID_PAGE: Final = 256 * _UUID_HEX // 2
_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class _Uuids:
    """Version 4 UUIDs from the system's randomness, fetched by the page: every call needs two."""

    __slots__ = ("_at", "_page")

    def __init__(self) -> None:
        self._page = ""
        self._at = 0

    def draw(self) -> str:
        if self._at >= len(self._page):
            # SECURITY: never across a fork: both sides would draw the same ids. Nothing here forks with a page left;
            # the platform starts its fork servers by exec.
            self._page = os.urandom(_UUID_PAGE).hex()
            self._at = 0
        at = self._at
        self._at = at + _UUID_HEX
        h = self._page[at : at + _UUID_HEX]
        variant = "89ab"[int(h[16], 16) & 3]
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{variant}{h[17:20]}-{h[20:]}"


_uuids: Final = _Uuids()


def request_id() -> str:
    """A version 4 UUID, lower case with dashes. Source: RFC 9562, section 5.4."""
    return _uuids.draw()


def unique_id(prefix: str, *, length: int = 21) -> str:
    """A unique identifier such as `AIDA...` (user), `AROA...` (role), `ANPA...` (policy).

    Source: IAM User Guide, "IAM identifiers", unique identifiers. Access key ids have 20 characters.
    """
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(length - len(prefix)))


def account_id() -> str:
    """Twelve digits that do not start with 0."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)
