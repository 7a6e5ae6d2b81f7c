"""Finds one record by an id that somebody was given: newest first, and not for ever."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from leastwise.audit.chain import read_line
from leastwise.audit.interface import Segment
from leastwise.kernel.units import MIB

MOST_BYTES = 256 * MIB
"""How far back a search reads. An index will make this needless (issue 5)."""


def recent(segments: Iterable[Segment]) -> Iterator[int]:
    """Numbers of the segments to search, newest first; the newest always, others while the limit lasts."""
    left = MOST_BYTES
    for segment in sorted(segments, key=lambda one: one.number, reverse=True):
        yield segment.number
        left -= segment.size
        if left <= 0:
            return


def find_record(
    wanted: str, segments: Iterable[Segment], lines: Callable[[int], Iterator[bytes]], *, account_id: str
) -> Mapping[str, Any] | None:
    """The newest record of an account with this request id or event id.

    SECURITY: an id of another account's call finds nothing, as one that was never given out.

    Args:
        wanted: the id.
        segments: of the log.
        lines: reads one.
        account_id: whose record it must be.
    """
    needle = json.dumps(wanted).encode()
    for number in recent(segments):
        found = None
        for raw in lines(number):
            if needle not in raw or not raw.endswith(b"\n"):
                continue
            record = _read(read_line(raw).payload)
            if wanted in {record.get("requestID"), record.get("eventID")}:
                found = record if record.get("recipientAccountId") == account_id else found
        if found is not None:
            return found
    return None


def _read(payload: bytes) -> dict[str, Any]:
    try:
        record = json.loads(payload)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
