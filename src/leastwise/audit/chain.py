"""The form of the log, and the hash chain that runs through it.

The log is a series of segments. A segment is UTF-8 text:

    leastwise-trail/1 INSTALLATION SEGMENT FIRST-SEQUENCE PREVIOUS-DIGEST
    SEQUENCE DIGEST PAYLOAD
    SEQUENCE DIGEST PAYLOAD
    ...

Every line ends in one newline. Numbers are decimal without leading zeros, digests are 64 lower-case hex digits, a
payload is one JSON object without line breaks. Sequence numbers start at 0 and have no gaps.

    digest(n)  = SHA-256(digest(n-1) || payload(n))            over the 32 raw bytes and the payload's bytes
    digest(-1) = SHA-256("leastwise-trail/1 " || INSTALLATION)

so a digest fixes every payload before it, their order, and the installation they belong to. A sequence number is not
hashed: it must equal the record's position, and a line must equal, byte for byte, what its position, the digest before
it and its payload give.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

MARK: Final = b"leastwise-trail/1"
_HEADER_FIELDS: Final = 5
_DIGEST_HEX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of a segment. `previous` is the digest (raw) of the record before the first one in it."""

    installation_id: str
    number: int
    first_sequence: int
    previous: bytes


def genesis(installation_id: str) -> bytes:
    """The digest before the first record of an installation."""
    return sha256(MARK + b" " + installation_id.encode()).digest()


def link(previous: bytes, payload: bytes) -> bytes:
    """The digest of a record that follows on `previous`."""
    return sha256(previous + payload).digest()


def frame(sequence: int, digest: bytes, payload: bytes) -> bytes:
    """A record's line."""
    return b"%d %b %b\n" % (sequence, digest.hex().encode(), payload)


def frame_header(header: Header) -> bytes:
    """A segment's first line."""
    previous = header.previous.hex().encode()
    fields = (MARK, header.installation_id.encode(), b"%d" % header.number, b"%d" % header.first_sequence, previous)
    return b" ".join(fields) + b"\n"


def read_header(line: bytes) -> Header | None:
    """A segment's first line taken apart; None when it is not one, or not exactly as it would be written."""
    fields = line.removesuffix(b"\n").split(b" ")
    if len(fields) != _HEADER_FIELDS or not fields[1].isascii():
        return None
    number, first_sequence, previous = _number(fields[2]), _number(fields[3]), _raw(fields[4])
    if number is None or first_sequence is None or previous is None:
        return None
    header = Header(
        installation_id=fields[1].decode("ascii"), number=number, first_sequence=first_sequence, previous=previous
    )
    return header if frame_header(header) == line else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a record's line says, believed or not. `digest` is raw; None when it is not 64 hex digits."""

    sequence: int | None
    digest: bytes | None
    payload: bytes


def read_line(line: bytes) -> Line:
    """Takes a record's line apart, without judging it."""
    sequence, _, rest = line.removesuffix(b"\n").partition(b" ")
    digest, _, payload = rest.partition(b" ")
    return Line(sequence=_number(sequence), digest=_raw(digest), payload=payload)


def _number(text: bytes) -> int | None:
    # 19 digits hold 2**63; int() of a text of any length would be a way to burn time.
    return int(text) if text.isdigit() and len(text) <= 19 else None  # noqa: PLR2004


def _raw(text: bytes) -> bytes | None:
    if len(text) != _DIGEST_HEX:
        return None
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        return None
