"""Links to deployment packages, for GetFunction: whoever holds one may fetch that package for ten minutes.

A link says who asked and which package, and is sealed with HMAC-SHA256. There is nothing to look up and nothing to
clean up; a link cannot be changed into one for another package or another time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from typing import Final

from leastwise.kernel import errors
from leastwise.kernel.units import MINUTE_MS

VALID_FOR_MS: Final = 10 * MINUTE_MS
"""Source: Lambda API Reference, GetFunction: a link "that's valid for 10 minutes"."""

_PURPOSE: Final = b"leastwise code link 1\0"
_TAG_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLinks:
    """What links are made with.

    Args:
        key: at least 32 random bytes of the installation.
        base_url: what people call the platform by, without a slash at the end.
    """

    key: bytes = field(repr=False)
    base_url: str

    def location(self, *, account_id: str, digest: str, now_ms: int) -> str:
        """The address of one package, for ten minutes from now."""
        token = seal_link(self.key, account_id=account_id, digest=digest, expires_at_ms=now_ms + VALID_FOR_MS)
        return f"{self.base_url}/code/{token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An opened link: which package, asked for from which account, good until when."""

    account_id: str
    digest: str
    expires_at_ms: int


class BadLink(errors.Denied):
    """Not a link of ours, or one whose time is over."""


def seal_link(key: bytes, *, account_id: str, digest: str, expires_at_ms: int) -> str:
    """The token of a link: URL-safe, about 160 characters."""
    body = f"{account_id}.{digest}.{expires_at_ms}".encode()
    return base64.urlsafe_b64encode(_tag(key, body) + body).rstrip(b"=").decode()


def open_link(key: bytes, token: str, *, now_ms: int) -> Link:
    """Judges a token.

    Raises:
        BadLink: whatever is wrong with it; the answer does not say what.
    """
    try:
        sealed = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise bad_link() from error
    tag, body = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
    # SECURITY: compared in constant time, and before anything in the body is believed.
    if not hmac.compare_digest(tag, _tag(key, body)):
        raise bad_link()
    account_id, digest, expires_at_ms = body.decode().split(".")
    link = Link(account_id=account_id, digest=digest, expires_at_ms=int(expires_at_ms))
    if now_ms >= link.expires_at_ms:
        raise bad_link()
    return link


def _tag(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + body, "sha256")


def bad_link() -> BadLink:
    """The one refusal there is."""
    return BadLink("The link is not valid, or not valid any more.")
