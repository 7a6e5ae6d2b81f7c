"""Condition keys of the clock on the wall. AWS has none of these.

Keys, all single-valued, all computed from one reading of the clock per call:

- `leastwise:TimeZone`: the IANA name of the zone in which the next two are computed (a setting of the installation).
- `leastwise:DayOfWeek`: `Mon` ... `Sun`.
- `leastwise:TimeOfDay`: `HH:MM`, 00:00 to 23:59, daylight saving included.

They are used with ordinary operators: String operators on all three, Numeric operators on `leastwise:TimeOfDay`, which
then compare minutes since midnight (values in the policy are written `HH:MM`; `24:00` may end a window).

A window is a pair of bounds in one Condition block:

    "NumericGreaterThanEquals": {"leastwise:TimeOfDay": "08:00"}, "NumericLessThan": {"leastwise:TimeOfDay": "18:00"}

When the lower bound is later than the upper bound, the window crosses midnight: from 22:00 to 06:00 is

    "NumericGreaterThanEquals": {"leastwise:TimeOfDay": "22:00"}, "NumericLessThan": {"leastwise:TimeOfDay": "06:00"}

and holds when either bound does. (Read as "both" it could never hold, and a Deny written so would silently never fire.)
After midnight `leastwise:DayOfWeek` is the new day: a Friday night shift lists `Fri` and `Sat`.

A policy that needs a zone of its own names it behind the key, as tags are named behind `aws:PrincipalTag/`:
`leastwise:TimeOfDay/Europe/Berlin`, `leastwise:DayOfWeek/Europe/Berlin`. Such keys are computed from `aws:EpochTime`.
A policy that must not be applied in another zone than it was written for asks for it:
`"StringEquals": {"leastwise:TimeZone": "Europe/Berlin"}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from leastwise.kernel.units import MINUTE_MS

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
TIME_OF_DAY: Final = "leastwise:timeofday"
DAY_OF_WEEK: Final = "leastwise:dayofweek"
TIME_ZONE: Final = "leastwise:timezone"
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo | None:
    """The zone with this IANA name, spelled as IANA spells it; None when there is none.

    SECURITY: the name comes from a policy. ZoneInfo refuses names that leave its directory (path traversal).
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def time_context(now_ms: int, zone: str) -> dict[str, str]:
    """The three keys at an instant.

    Args:
        now_ms: epoch ms.
        zone: IANA name. One that does not exist gives no keys at all, so that no Allow that asks for them holds.
    """
    return dict(_at_minute(now_ms // MINUTE_MS, zone))


@lru_cache(maxsize=256)
def _at_minute(minute: int, zone: str) -> Mapping[str, str]:
    info = zone_named(zone)
    if info is None:
        return {}
    # Added to the epoch rather than `fromtimestamp`, which has smaller limits on some platforms.
    local = (_EPOCH + timedelta(minutes=minute)).astimezone(info)
    return {
        TIME_ZONE: zone,
        DAY_OF_WEEK: DAYS[local.weekday()],
        TIME_OF_DAY: f"{local.hour:02d}:{local.minute:02d}",
    }


def minutes_of_day(text: str) -> int | None:
    """Minutes since midnight of `HH:MM`; None when the text is not one."""
    if not _CLOCK.fullmatch(text):
        return None
    return int(text[:2]) * 60 + int(text[3:])


def zone_of_key(key: str) -> tuple[str, str] | None:
    """Splits `leastwise:TimeOfDay/Europe/Berlin` into the plain key in lower case and the zone as written."""
    plain, slash, zone = key.partition("/")
    plain = plain.lower()
    return (plain, zone) if slash and plain in {TIME_OF_DAY, DAY_OF_WEEK} else None


def read_zoned(plain_key: str, zone: str, epoch_seconds: object) -> str | None:
    """The value of a key with a zone of its own; None when the context has no usable `aws:EpochTime`."""
    if not isinstance(epoch_seconds, str) or not epoch_seconds.isascii() or not epoch_seconds.isdigit():
        return None
    try:
        return _at_minute(int(epoch_seconds) // 60, zone).get(plain_key)
    except (OverflowError, ValueError):
        return None
