"""Scalars in text: timestamps, floats, integers, booleans, blobs, both ways.

Source: Smithy 2.0, "Serialization and protocol traits" (timestampFormat) and the AWS protocol pages.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Final

from leastwise.api.protocol.wire import Unparseable

_RANGES: Final = {"integer": 2**31, "long": 2**63}
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_FLOAT: Final = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_integer(text: str, *, kind: str) -> int:
    """Raises Unparseable."""
    if _INTEGER.fullmatch(text) is None:
        message = f"'{text[:64]}' can not be converted to {'a Long' if kind == 'long' else 'an Integer'}"
        raise Unparseable(message)
    return checked_integer(int(text), kind=kind)


def checked_integer(value: int, *, kind: str) -> int:
    """Raises Unparseable when the value does not fit 32 (integer) or 64 (long) bits."""
    limit = _RANGES[kind]
    if not -limit <= value < limit:
        message = f"{value} is out of range for {'a Long' if kind == 'long' else 'an Integer'}"
        raise Unparseable(message)
    return value


def read_float(text: str) -> float:
    """Raises Unparseable."""
    special = _SPECIAL.get(text)
    if special is not None:
        return special
    if _FLOAT.fullmatch(text) is None:
        message = f"'{text[:64]}' can not be converted to a Double"
        raise Unparseable(message)
    return float(text)


def write_float(value: float) -> float | str:
    """A number, or the protocols' word for what is none."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def read_boolean(text: str) -> bool:
    """Raises Unparseable."""
    if text == "true":
        return True
    if text == "false":
        return False
    message = f"'{text[:64]}' can not be converted to a Boolean"
    raise Unparseable(message)


def read_blob(text: str) -> bytes:
    """Raises Unparseable."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        message = "Blob is not valid base64"
        raise Unparseable(message) from error


def write_blob(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode("ascii")


def read_timestamp(value: Any, *, form: str) -> datetime:
    """An aware instant.

    Args:
        value: text, or a number for `unixtimestamp`.
        form: `unixtimestamp`, `iso8601` or `rfc822`, in lower case.

    Raises:
        Unparseable.
    """
    try:
        if form == "unixtimestamp":
            seconds = read_float(value) if isinstance(value, str) else value
            return datetime.fromtimestamp(seconds, UTC)
        moment = parsedate_to_datetime(str(value)) if form == "rfc822" else datetime.fromisoformat(str(value))
    except (ValueError, TypeError, OverflowError, OSError, IndexError) as error:
        message = f"Unable to parse timestamp '{str(value)[:64]}'"
        raise Unparseable(message) from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def write_timestamp(value: datetime, *, form: str) -> str | int | float:
    """The instant in one of the three forms; epoch seconds are whole when they can be."""
    moment = value.astimezone(UTC)
    if form == "unixtimestamp":
        delta = moment - _EPOCH
        whole = delta.days * 86400 + delta.seconds
        return whole if not delta.microseconds else (whole * 10**6 + delta.microseconds) / 10**6
    if form == "rfc822":
        return format_datetime(moment.replace(microsecond=0), usegmt=True)
    fraction = f".{moment.microsecond // 1000:03d}" if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
