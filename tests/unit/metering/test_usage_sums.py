"""Costs and sums, exact."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.audit.happenings import CREATE, INVOKE

from leastwise.audit.record import encode
from leastwise.kernel import errors
from leastwise.metering.interface import Usage, UsageTotal
from leastwise.metering.usage import add_up, billed_ms, gb_seconds, mib_ms, usage_of_notes, usage_of_record

ARN = "arn:aws:lambda:us-east-1:123456789012:function:hello"
NOTES = {"functionArn": ARN, "billedMs": 3, "memoryMib": 128}


@pytest.mark.parametrize(
    ("duration_us", "init_us", "expected"),
    [
        (0, 0, 1),
        (1, 0, 1),
        (1000, 0, 1),
        (1001, 0, 2),
        (3010, 0, 4),
        (3010, 110_100, 114),
        (500, 500, 1),
        (501, 500, 2),
    ],
)
def test_time_is_billed_in_whole_milliseconds_rounded_up_once(duration_us, init_us, expected):
    assert expected == billed_ms(duration_us=duration_us, init_us=init_us)


@given(st.integers(0, 2**62))
def test_gb_seconds_are_exact(total):
    assert Decimal(total) == Decimal(gb_seconds(total)) * 1_024_000


@pytest.mark.parametrize(
    ("total", "expected"), [(0, "0"), (1_024_000, "1"), (1, "0.0000009765625"), (512_000, "0.5"), (10_240_000, "10")]
)
def test_gb_seconds_read_like_a_number(total, expected):
    assert expected == gb_seconds(total)


def test_a_record_and_its_notes_name_the_same_usage():
    expected = Usage(
        account_id="123456789012", function_arn=ARN, day="2026-11-23", billed_ms=3, memory_mib=128, sequence=7
    )
    assert expected == usage_of_notes(NOTES, day="2026-11-23", sequence=7)
    assert expected == usage_of_record(encode(INVOKE), sequence=7)
    assert 384 == mib_ms(expected)


def test_the_owner_of_the_function_pays_and_not_the_caller():
    notes = {**NOTES, "functionArn": ARN.replace("123456789012", "999999999999")}
    record = encode(replace(INVOKE, additional=notes))
    assert "999999999999" == usage_of_record(record, sequence=0).account_id


def test_a_record_without_usage_has_none():
    assert usage_of_record(encode(CREATE), sequence=0) is None


def test_a_refused_call_is_not_billed():
    assert usage_of_record(encode(replace(INVOKE, error_code="ServiceException")), sequence=0) is None


@pytest.mark.parametrize(
    "change", [{"billedMs": "3"}, {"billedMs": True}, {"billedMs": -1}, {"memoryMib": None}, {"functionArn": "hello"}]
)
def test_usage_that_cannot_be_read_is_a_bug_and_never_a_guess(change):
    with pytest.raises(errors.Bug):
        usage_of_notes({**NOTES, **change}, day="2026-11-23", sequence=0)


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"{}", json.dumps({"eventTime": 3}).encode()])
def test_what_is_not_a_record_is_a_bug(payload):
    with pytest.raises(errors.Bug):
        usage_of_record(payload, sequence=0)


def test_sums_keep_what_their_parts_share():
    one = UsageTotal(account_id="1", function_arn="a", day="d", requests=1, billed_ms=2, mib_ms=3)
    other = dataclasses.replace(one, function_arn="b")
    assert UsageTotal(account_id="1", function_arn="", day="d", requests=2, billed_ms=4, mib_ms=6) == add_up(
        [one, other]
    )
