"""One tree of errors. No HTTP status and no AWS code lives here: doors translate (`api/errors.py`).

A package subclasses the kind that fits, so that a door can always fall back to the kind when it
does not know the subclass.
"""

from __future__ import annotations

from collections.abc import Mapping


class LeastwiseError(Exception):
    """Every error the platform raises on purpose.

    Args:
        message: a sentence for the caller, in the words AWS uses where AWS has such an error. Never a secret.
        detail: further members of the error's shape on the wire (`Reason`, `Type`), by member name.
    """

    def __init__(self, message: str, *, detail: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail: Mapping[str, str] = detail or {}


class Invalid(LeastwiseError):
    """The call can never succeed as it is written."""


class NotFound(LeastwiseError):
    """What the call names does not exist (or the caller may not know that it does)."""


class AlreadyExists(LeastwiseError):
    """The call would create what is already there."""


class Conflict(LeastwiseError):
    """The state of what the call names does not allow the call now."""


class Denied(LeastwiseError):
    """Authenticated, and not allowed."""


class Unauthenticated(LeastwiseError):
    """No proof, or a proof that does not hold."""


class Throttled(LeastwiseError):
    """Too many calls, or too many at once; the same call may succeed later."""


class TooLarge(LeastwiseError):
    """A body, package or payload above its limit."""


class LimitExceeded(LeastwiseError):
    """A quota on the number or size of resources is used up."""


class Unavailable(LeastwiseError):
    """The platform cannot serve the call now, through no fault of the caller."""


class NotImplementedHere(LeastwiseError):
    """AWS offers the operation; this platform does not, and says so."""


class Bug(LeastwiseError):
    """An assumption of ours does not hold. The caller sees an internal failure, the log the reason."""
