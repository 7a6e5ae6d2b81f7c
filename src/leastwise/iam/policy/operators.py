"""The table of condition operators, and how each reads a value.

Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from functools import lru_cache
from typing import Final

_MICROSECONDS: Final = 1_000_000
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]{1,64}(?:\.[0-9]{0,64})?|\.[0-9]{1,64})")
_EPOCH: Final = re.compile(r"-?[0-9]{1,18}")
_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}(?:[Tt][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?)?"
)
_YEAR_AND_MONTH: Final = len("2020-04")


class Family(Enum):
    """What an operator compares."""

    STRING = "string"
    STRING_IGNORE_CASE = "string, case ignored"
    STRING_LIKE = "string with wildcards"
    NUMERIC = "number"
    DATE = "instant"
    BOOL = "boolean"
    BINARY = "bytes"
    IP = "IP address"
    ARN = "ARN"
    NULL = "presence"


class Order(StrEnum):
    """How a number or an instant is compared."""

    EQUALS = "Equals"
    LESS = "LessThan"
    LESS_OR_EQUAL = "LessThanEquals"
    GREATER = "GreaterThan"
    GREATER_OR_EQUAL = "GreaterThanEquals"


class SetOperator(StrEnum):
    """How the values of a multi-valued key are quantified."""

    FOR_ALL = "ForAllValues"
    FOR_ANY = "ForAnyValue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator, without set operator and `IfExists`."""

    name: str
    family: Family
    negated: bool = False
    order: Order = Order.EQUALS

    @property
    def takes_variables(self) -> bool:
        """Policy variables work in string, ARN and Bool comparisons and nowhere else.

        Source: IAM User Guide, "IAM policy elements: Variables and tags", "Where you can use policy variables".
        """
        return self.family not in {Family.NUMERIC, Family.DATE, Family.BINARY, Family.IP, Family.NULL}

    @property
    def takes_wildcards(self) -> bool:
        return self.family in {Family.STRING_LIKE, Family.ARN}


def _ordered(prefix: str, family: Family) -> list[Operator]:
    return [
        *(Operator(name=prefix + order, family=family, order=order) for order in Order),
        Operator(name=prefix + "NotEquals", family=family, negated=True),
    ]


OPERATORS: Final = {
    operator.name: operator
    for operator in (
        Operator(name="StringEquals", family=Family.STRING),
        Operator(name="StringNotEquals", family=Family.STRING, negated=True),
        Operator(name="StringEqualsIgnoreCase", family=Family.STRING_IGNORE_CASE),
        Operator(name="StringNotEqualsIgnoreCase", family=Family.STRING_IGNORE_CASE, negated=True),
        Operator(name="StringLike", family=Family.STRING_LIKE),
        Operator(name="StringNotLike", family=Family.STRING_LIKE, negated=True),
        *_ordered("Numeric", Family.NUMERIC),
        *_ordered("Date", Family.DATE),
        Operator(name="Bool", family=Family.BOOL),
        Operator(name="BinaryEquals", family=Family.BINARY),
        Operator(name="IpAddress", family=Family.IP),
        Operator(name="NotIpAddress", family=Family.IP, negated=True),
        Operator(name="ArnEquals", family=Family.ARN),
        Operator(name="ArnLike", family=Family.ARN),
        Operator(name="ArnNotEquals", family=Family.ARN, negated=True),
        Operator(name="ArnNotLike", family=Family.ARN, negated=True),
        Operator(name="Null", family=Family.NULL),
    )
}


_SET_OPERATORS: Final = {str(member): member for member in SetOperator}


def parse_operator(text: str) -> tuple[SetOperator | None, Operator, bool] | None:
    """Takes `ForAllValues:StringLikeIfExists` apart: set operator, operator, "if exists". None: no such operator."""
    prefix, colon, rest = text.partition(":")
    set_operator = None
    if colon:
        set_operator = _SET_OPERATORS.get(prefix)
        if set_operator is None:
            return None
    else:
        rest = text
    name = rest.removesuffix("IfExists")
    operator = OPERATORS.get(name)
    if operator is None or (operator.family is Family.NULL and (name != rest or set_operator)):
        return None
    return set_operator, operator, name != rest


def parse_number(text: str) -> int | Decimal | None:
    """An integer or decimal number; None when the text is neither."""
    if text.isascii() and text.isdigit() and len(text) <= 64:  # noqa: PLR2004 - as in the pattern
        return int(text)
    return Decimal(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=1024)
def parse_instant(text: str) -> int | None:
    """An instant in microseconds since 1970-01-01T00:00:00Z; None when the text is none.

    Epoch seconds, a date (midnight UTC), or a date and time with `Z`, an offset, or nothing (UTC).

    Source: IAM User Guide, "Condition operators", Date condition operators: "you specify a date/time value in one of
    the W3C implementations of the ISO 8601 date formats or in epoch (UNIX) time".
    """
    if _EPOCH.fullmatch(text):
        return int(text) * _MICROSECONDS
    if not _DATE.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text + "-01" if len(text) == _YEAR_AND_MONTH else text.upper())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    elapsed = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * _MICROSECONDS + elapsed.microseconds


def parse_bool(text: str) -> str | None:
    """`true` or `false`, whatever the case; None when the text is neither."""
    lowered = text.lower()
    return lowered if lowered in {"true", "false"} else None


def parse_bytes(text: str) -> bytes | None:
    """The bytes of a base64 text; None when it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A CIDR block as integers: `address & mask == prefix`."""

    version: int
    prefix: int
    mask: int


def parse_network(text: str) -> Network | None:
    """A CIDR block or a single address; None when the text is neither. Host bits are ignored, as AWS does."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    return Network(version=network.version, prefix=int(network.network_address), mask=int(network.netmask))


@lru_cache(maxsize=4096)
def parse_address(text: str) -> tuple[int, int] | None:
    """(version, address) of one IP address; None when the text is none.

    An IPv4-mapped IPv6 address is IPv6 here: doors take `::ffff:` off before it gets this far.
    """
    version, family = (6, socket.AF_INET6) if ":" in text else (4, socket.AF_INET)
    try:
        return version, int.from_bytes(socket.inet_pton(family, text), "big")
    except (OSError, ValueError):
        return None
