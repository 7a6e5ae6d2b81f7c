"""What crosses the wire: requests, responses, and what can be wrong with a request's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from leastwise.kernel import errors

HeaderList = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireRequest:
    """One HTTP request as the protocols need it.

    Args:
        method: upper case.
        path: as on the wire (percent-encoded), normalized, without the query.
        query: as on the wire, without the question mark.
        headers: by lower-case name; repeated ones joined by a comma.
        body: the whole body.
    """

    method: str
    path: bytes
    query: bytes
    headers: Mapping[bytes, bytes]
    body: bytes = field(repr=False)


class WireResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP response. `Content-Length` is the app's to add."""

    status: int
    headers: HeaderList
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WireError:
    """An error as AWS would word it.

    Args:
        code: as on the wire (`ResourceNotFoundException`, `NoSuchEntity`).
        status: HTTP status.
        message: for the caller.
        sender_fault: False only when the platform is to blame.
        members: further members of the error's shape (`Reason`, `Type`), by member name.
        headers: further response headers.
    """

    code: str
    status: int
    message: str
    sender_fault: bool = True
    members: Mapping[str, str] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()


class Unparseable(errors.Invalid):
    """The body or a parameter is not of the form the protocol prescribes."""


class NotJson(Unparseable):
    """The body is not JSON at all."""


class ShapeInvalid(errors.Invalid):
    """The request reads well, but values break constraints of its shape."""


class UnknownOperation(errors.NotFound):
    """The request names no operation of the service (nor any service)."""


class MissingAction(errors.Invalid):
    """A query request without an Action."""


class BodyTooLarge(errors.TooLarge):
    """The body is larger than the operation takes."""


class PayloadTooLarge(BodyTooLarge):
    """The payload of an Invoke is larger than a function takes."""


class UnsupportedEncoding(errors.Invalid):
    """A `Content-Encoding` that the door does not undo."""
