"""Where a reader of logs stands: the tokens of GetLogEvents and FilterLogEvents, and how much fits on a page.

A token is a place, not a right: it names an event id, and every call that brings one is authorized anew.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import msgspec

from leastwise.logs.interface import InvalidLogsParameter, LogEvent

LARGEST_PAGE: Final = 1_048_576
"""Bytes. Source: GetLogEvents, FilterLogEvents: "1 MB"."""

_OVERHEAD: Final = 26
"""Source: PutLogEvents: "the sum of all event messages in UTF-8, plus 26 bytes for each log event"."""

_DIGITS: Final = 56
_STREAM_TOKEN: Final = re.compile(r"([fb])/([0-9]{56})/s")
_SEARCH_TOKEN: Final = re.compile(r"([fb])([0-9]{56})([0-9a-f]{16})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Behind which event to go on, and in which direction."""

    event_id: str
    backwards: bool


def weight(event: LogEvent | str) -> int:
    """Bytes that an event, or its message, counts for."""
    message = event if isinstance(event, str) else event.message
    return _OVERHEAD + (len(message) if message.isascii() else len(message.encode("utf-8", "replace")))


def fitting(events: Sequence[LogEvent]) -> Sequence[LogEvent]:
    """The first events that fit on a page; one always does."""
    room = LARGEST_PAGE
    for at, event in enumerate(events):
        room -= weight(event)
        if room < 0 and at:
            return events[:at]
    return events


def open_stream_token(token: str) -> Cursor:
    """A nextForwardToken or nextBackwardToken.

    Raises:
        InvalidLogsParameter: it is neither.
    """
    match = _STREAM_TOKEN.fullmatch(token)
    if match is None:
        raise _invalid()
    return Cursor(event_id=match[2], backwards=match[1] == "b")


def stream_tokens(event_ids: Sequence[str], cursor: Cursor | None) -> tuple[str, str]:
    """The forward and the backward token of a page.

    Args:
        event_ids: of the page, oldest first.
        cursor: of the token that the page was asked for with.

    Returns:
        tokens around the page. Around an empty page they meet where the cursor stands, and the one in the direction of
        reading is the one that was given, which is how clients see that they are at the end.
    """
    if event_ids:
        return _stream_token("f", int(event_ids[-1])), _stream_token("b", int(event_ids[0]))
    if cursor is None:
        return _stream_token("f", 0), _stream_token("b", 0)
    place = int(cursor.event_id)
    if cursor.backwards:
        return _stream_token("f", max(place - 1, 0)), _stream_token("b", place)
    return _stream_token("f", place), _stream_token("b", min(place + 1, 10**_DIGITS - 1))


def search_token(event_id: str, asked: tuple[Any, ...], *, backwards: bool) -> str:
    """A nextToken of FilterLogEvents.

    Args:
        event_id: the last event that was looked at.
        asked: everything the search was asked; a token is good for the same question only.
        backwards: direction.
    """
    text = f"{'b' if backwards else 'f'}{event_id}{_fingerprint(asked)}"
    return base64.urlsafe_b64encode(text.encode()).decode()


def open_search_token(token: str, asked: tuple[Any, ...]) -> Cursor:
    """Raises `InvalidLogsParameter` when it is not a token, or one of another search."""
    try:
        text = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError) as error:
        raise _invalid() from error
    match = _SEARCH_TOKEN.fullmatch(text)
    if match is None or match[3] != _fingerprint(asked):
        raise _invalid()
    return Cursor(event_id=match[2], backwards=match[1] == "b")


def _stream_token(direction: str, place: int) -> str:
    return f"{direction}/{place:0{_DIGITS}d}/s"


def _fingerprint(asked: tuple[Any, ...]) -> str:
    return sha256(msgspec.json.encode(asked)).hexdigest()[:16]


def _invalid() -> InvalidLogsParameter:
    return InvalidLogsParameter("The specified nextToken is invalid.")
