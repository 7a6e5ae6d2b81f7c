"""Identifiers in the forms AWS uses. Randomness is the operating system's."""

from __future__ import annotations

import secrets
import uuid
from typing import Final

_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def request_id() -> str:
    """A version 4 UUID, lower case with dashes."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def unique_id(prefix: str, *, length: int = 21) -> str:
    """A unique identifier such as `AIDA...` (user), `AROA...` (role), `ANPA...` (policy).

    Source: IAM User Guide, "IAM identifiers", unique identifiers. Access key ids have 20 characters.
    """
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(length - len(prefix)))


def account_id() -> str:
    """Twelve digits that do not start with 0."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)
