"""What a SigV4 claim says: credential scope, signed headers, instant. Read strictly, refused in AWS's words.

Source: IAM User Guide, "Elements of an AWS API request signature" and "Troubleshoot signed requests".
"""

from __future__ import annotations

import base64
import re
from calendar import timegm
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Final, NoReturn

from leastwise.kernel.call import NoProof

ALGORITHM: Final = b"AWS4-HMAC-SHA256"
SIGNATURE: Final = re.compile(rb"[0-9a-f]{64}")
_TIME: Final = re.compile(rb"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z")
_SCOPE_PART: Final = re.compile(rb"[A-Za-z0-9_.-]{1,128}")
_MAX_AUTHORIZATION: Final = 8192
_KEPT_INSTANTS: Final = 2048
MISSING: Final = NoProof(reason="missing", message="Missing Authentication Token")
MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


NO_DATE: Final = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "


class RefusedError(Exception):
    """Carries the NoProof out of the reading of a signature."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.proof = NoProof(reason=reason, message=message)


def refuse(reason: str, message: str) -> NoReturn:
    """Ends the reading of a signature: `incomplete` when it cannot be read, `malformed` when it cannot be right."""
    raise RefusedError(reason, message)


@dataclass(frozen=True, slots=True)
class Credential:
    access_key_id: str
    date: str
    region: str
    service: str
    date_bytes: bytes
    scope: bytes


@dataclass(frozen=True, slots=True)
class Template:
    """What is the same in every request with the same Authorization head and the same header names in the same order.

    Args:
        columns: per signed header `name:` and where its (first) value stands in the header list.
        repeated: column -> all places, for signed headers that come more than once.
        signed_headers: the list as it follows the canonical headers, behind an empty line.
        date_at: where X-Amz-Date (or Date) stands; -1 when there is none.
        date_is_rfc822: it is a Date header.
        token_at: where X-Amz-Security-Token stands.
        hash_at: where X-Amz-Content-SHA256 stands.
    """

    credential: Credential
    columns: tuple[tuple[bytes, int], ...]
    repeated: dict[int, tuple[int, ...]]
    signed_headers: bytes
    date_at: int
    date_is_rfc822: bool
    token_at: int
    hash_at: int


_instants: dict[bytes, int] = {}


def read_authorization(authorization: bytes, names: tuple[bytes, ...]) -> tuple[Template, bytes]:
    """Takes an Authorization header apart."""
    if len(authorization) > _MAX_AUTHORIZATION:
        refuse("incomplete", "Authorization header is too long.")
    algorithm, _, rest = authorization.strip().partition(b" ")
    if algorithm != ALGORITHM:
        if algorithm.startswith(b"AWS"):
            shown = algorithm[:64].decode("latin-1")
            refuse("incomplete", f"Unsupported AWS 'algorithm': '{shown}'.")
        refuse(MISSING.reason, MISSING.message)
    fields: dict[bytes, bytes] = {}
    for part in filter(None, (part.strip() for part in rest.split(b","))):
        key, equals, value = part.partition(b"=")
        if not equals:
            message = "Invalid key=value pair (missing equal-sign) in Authorization header "
            refuse("incomplete", f"{message}{hashed(authorization)}")
        if key in fields:
            refuse("incomplete", f"Authorization header has more than one '{key.decode('latin-1')}' parameter.")
        fields[key] = value
    missing = [
        f"Authorization header requires '{name}' parameter. "
        for name in ("Credential", "Signature", "SignedHeaders")
        if not fields.get(name.encode())
    ]
    if b"x-amz-date" not in names and b"date" not in names:
        missing.append(NO_DATE)
    if missing:
        refuse("incomplete", "".join(missing) + hashed(authorization))
    signature = fields[b"Signature"]
    if SIGNATURE.fullmatch(signature) is None:
        refuse("malformed", MISMATCH)
    credential = read_credential(fields[b"Credential"])
    return make_template(credential, fields[b"SignedHeaders"], names), signature


def hashed(authorization: bytes) -> str:
    """SECURITY: what a client sent for a signature can be a secret pasted into the wrong place; AWS shows a hash too."""
    digest = base64.b64encode(sha256(authorization).digest()).decode("ascii")
    return f"(Hashed with SHA-256 and encoded with Base64) Authorization={digest}"


def read_credential(value: bytes) -> Credential:
    parts = value.split(b"/")
    if len(parts) != 5 or not all(_SCOPE_PART.fullmatch(part) for part in parts):  # noqa: PLR2004 - the format
        shown = value[:256].decode("latin-1")
        words = "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got"
        refuse("incomplete", f"{words} '{shown}'")
    access_key_id, date, region, service, terminator = (part.decode("ascii") for part in parts)
    if terminator != "aws4_request":
        words = "Credential should be scoped with a valid terminator: 'aws4_request', not"
        refuse("malformed", f"{words} '{terminator}'.")
    return Credential(access_key_id, date, region, service, parts[1], b"/".join(parts[1:]))


def make_template(
    credential: Credential, signed: bytes, names: tuple[bytes, ...], *, presigned: bool = False
) -> Template:
    """Raises RefusedError: a header that must be signed is not, or a signed one is not there."""
    wanted = signed.lower().split(b";")
    if b"host" not in wanted:
        refuse("malformed", "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    if wanted != sorted(set(wanted)):
        refuse("malformed", "SignedHeaders must be sorted and must not repeat a name.")
    places: dict[bytes, list[int]] = {}
    for at, name in enumerate(names):
        places.setdefault(name, []).append(at)
        # SECURITY: tampering. X-Amz-* headers carry meaning (token, target, invocation type, date): a signature that
        # leaves one out would let anyone in between set it.
        if name.startswith(b"x-amz-") and name not in wanted:
            refuse("malformed", f"'{_shown(name)}' must be a 'SignedHeader' in the AWS Authorization.")
    for name in wanted:
        if name not in places:
            refuse("malformed", MISMATCH)
    for name in (b"host", b"x-amz-date", b"x-amz-security-token", b"x-amz-content-sha256", b"date"):
        if len(places.get(name, ())) > 1:
            refuse("malformed", f"'{_shown(name)}' is given more than once.")
    date_at = places.get(b"x-amz-date", [-1])[0]
    use_date = date_at < 0 and not presigned and b"date" in wanted
    if use_date:
        # SOURCE: SigV4 request elements: a signed Date header may stand in for X-Amz-Date.
        date_at = places[b"date"][0]
    return Template(
        credential=credential,
        columns=tuple((name + b":", places[name][0]) for name in wanted),
        repeated={at: tuple(places[name]) for at, name in enumerate(wanted) if len(places[name]) > 1},
        signed_headers=b"\n" + b";".join(wanted),
        date_at=date_at,
        date_is_rfc822=use_date,
        token_at=places.get(b"x-amz-security-token", [-1])[0],
        hash_at=places.get(b"x-amz-content-sha256", [-1])[0],
    )


def _shown(name: bytes) -> str:
    return name[:64].decode("latin-1").title()


def read_instant(stamp: bytes) -> int:
    """Epoch milliseconds of `20261123T184759Z`, remembered while a burst of the same second lasts."""
    known = _instants.get(stamp)
    if known is not None:
        return known
    match = _TIME.fullmatch(stamp)
    if match is None:
        words = "Date must be in ISO-8601 'basic format'. Got"
        refuse("incomplete", f"{words} '{stamp[:64].decode('latin-1')}'.")
    year, month, day, hour, minute, second = map(int, match.groups())
    if not (year > 1969 and 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):  # noqa: PLR2004
        refuse("incomplete", f"Date is not valid: '{stamp.decode()}'.")
    instant = timegm((year, month, day, hour, minute, second)) * 1000
    if len(_instants) >= _KEPT_INSTANTS:
        _instants.clear()
    _instants[bytes(stamp)] = instant
    return instant


def stamp_of(date: bytes) -> bytes:
    """A Date header in the form of X-Amz-Date."""
    try:
        moment = parsedate_to_datetime(date.decode("ascii"))
    except (ValueError, TypeError, IndexError):
        refuse("incomplete", f"Date is not valid: '{date[:64].decode('latin-1')}'.")
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}".encode()


def wrong_date(date: str, stamp: bytes) -> str:
    words = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP:"
    shown = stamp.decode("latin-1")
    return f"{words} '{date}' != '{shown[:8]}', from '{shown}'."
