import time
from decimal import Decimal

import pytest

from leastwise.iam.policy.operators import (
    OPERATORS,
    SetOperator,
    parse_address,
    parse_instant,
    parse_network,
    parse_number,
    parse_operator,
)


def test_every_operator_of_the_documentation_is_in_the_table():
    numeric = {"Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"}
    expected = {
        *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
        *("StringLike", "StringNotLike", "Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "Null"),
        *("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"),
        *(f"Numeric{name}" for name in numeric),
        *(f"Date{name}" for name in numeric),
    }
    assert expected == OPERATORS.keys()


def test_an_operator_is_taken_apart():
    assert parse_operator("ForAllValues:StringLikeIfExists") == (SetOperator.FOR_ALL, OPERATORS["StringLike"], True)
    assert parse_operator("Bool") == (None, OPERATORS["Bool"], False)


@pytest.mark.parametrize(
    "text",
    [
        *("", "stringequals", "IfExists", "Null IfExists", "NullIfExists", "ForAnyValue:Null", "ForSome:Bool"),
        *(":Bool", "ForAnyValue:ForAllValues:Bool", "BoolIfExistsIfExists", "StringEquals "),
    ],
)
def test_what_is_no_operator_is_none(text):
    assert parse_operator(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("10", 10),
        ("10.0", Decimal(10)),
        ("-1.5", Decimal("-1.5")),
        (".5", Decimal("0.5")),
        ("+3", Decimal(3)),
        ("", None),
        ("1e3", None),
        ("NaN", None),
        ("0x10", None),
        ("\uff11", None),
        ("1_0", None),
        (" 1", None),
        ("1\n", None),
        ("9" * 65, None),
    ],
)
def test_a_number_is_digits_and_a_point(text, number):
    assert number == parse_number(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1714521600", 1714521600),
        ("-1", -1),
        ("2024-05-01", 1714521600),
        ("2024-05", 1714521600),
        ("2024-05-01T00:00Z", 1714521600),
        ("2024-05-01T00:00:00", 1714521600),
        ("2024-05-01t02:00:00+02:00", 1714521600),
        ("2024-05-01T00:00:00.500Z", 1714521600.5),
        ("2024-02-30", None),
        ("2024-05-01 00:00:00", None),
        ("2024-W18", None),
        ("20240501T000000Z", None),
        ("2024-05-01T25:00:00Z", None),
        ("9" * 19, None),
        ("", None),
    ],
)
def test_an_instant_is_iso_or_epoch_seconds(text, seconds):
    assert (None if seconds is None else seconds * 1_000_000) == parse_instant(text)


@pytest.mark.parametrize("text", ["", "10.0.0", "010.0.0.1", "10.0.0.1 ", "fe80::1%eth0", "1.2.3.4\0", "0x7f.1"])
def test_what_is_no_address_is_none(text):
    assert parse_address(text) is None


def test_an_instant_without_zone_is_utc_wherever_the_machine_stands(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert parse_instant("2001-02-03T04:05:06") == parse_instant("2001-02-03T04:05:06Z")
        assert parse_instant("2001-02-04") == parse_instant("2001-02-04T00:00:00Z")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_host_bits_of_a_block_are_ignored():
    assert parse_network("10.1.2.3/8") == parse_network("10.0.0.0/8")
