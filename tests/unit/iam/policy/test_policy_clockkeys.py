from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from leastwise.iam.policy.clockkeys import minutes_of_day, time_context, zone_named, zone_of_key


def at(text, zone):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def test_the_three_keys_come_from_one_instant():
    expected = {"leastwise:timezone": "Europe/Berlin", "leastwise:dayofweek": "Tue", "leastwise:timeofday": "09:30"}
    assert expected == time_context(at("2025-07-01T09:30:59.999", "Europe/Berlin"), "Europe/Berlin")


@pytest.mark.parametrize(
    ("utc", "local"), [("2025-03-30T00:59", "01:59"), ("2025-03-30T01:00", "03:00"), ("2025-10-26T01:00", "02:00")]
)
def test_daylight_saving_is_kept(utc, local):
    assert local == time_context(at(utc, "UTC"), "Europe/Berlin")["leastwise:timeofday"]


def test_the_day_is_that_of_the_zone():
    instant = at("2026-01-04T23:30", "UTC")
    assert time_context(instant, "UTC")["leastwise:dayofweek"] == "Sun"
    assert time_context(instant, "Asia/Tokyo")["leastwise:dayofweek"] == "Mon"


def test_a_caller_cannot_change_what_the_next_one_gets():
    first = time_context(0, "UTC")
    first["leastwise:dayofweek"] = "Sun"
    assert time_context(0, "UTC")["leastwise:dayofweek"] == "Thu"


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "/etc/localtime", "Europe", "Nowhere", "Europe/Berlin\0", "é"]
)
def test_what_is_no_zone_is_none(name):
    assert zone_named(name) is None
    assert time_context(0, name) == {}


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("00:00", 0),
        ("09:05", 545),
        ("23:59", 1439),
        ("24:00", 1440),
        ("24:01", None),
        ("9:05", None),
        ("0\uff19:00", None),
    ],
)
def test_a_time_of_day_is_four_digits_and_a_colon(text, minutes):
    assert minutes == minutes_of_day(text)


def test_a_zone_stands_behind_the_key():
    assert zone_of_key("Leastwise:TimeOfDay/America/Argentina/Salta") == (
        "leastwise:timeofday",
        "America/Argentina/Salta",
    )
    assert zone_of_key("leastwise:TimeOfDay") is None
    assert zone_of_key("aws:PrincipalTag/Europe/Berlin") is None
