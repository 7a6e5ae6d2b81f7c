"""What of a call's parameters fits into a record: bounded in size, depth and kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

LONGEST_TEXT: Final = 16_384
"""Characters. The longest policy a call can carry is 10,240 (IAM quotas), which a review must be able to read."""

MOST_VALUES: Final = 2_000
DEEPEST: Final = 16

_LARGEST_INTEGER: Final = 2**63 - 1


def cut(text: str, most: int) -> str:
    """At most `most` characters, with the number of those left out."""
    if len(text) <= most:
        return text
    return f"{text[:most]}... [{len(text) - most} more]"


def scrubbed(text: str, most: int) -> str:
    """The same, with lone surrogates replaced."""
    return cut(text, most).encode("utf-8", "replace").decode()


def bounded(parameters: Mapping[str, Any], text: Callable[[str, int], str]) -> dict[str, Any]:
    """A copy that can stand in a record.

    The names of the operation's own members start in lower case, as in CloudTrail's requestParameters; names further
    down stay, because they may be the caller's (tags, variables). Blobs and foreign objects are left out.

    Args:
        parameters: already redacted.
        text: cuts a text to a number of characters.
    """
    copy = _Copy(text).structure(parameters, 0)
    return {name[:1].lower() + name[1:]: value for name, value in copy.items()}


class _Copy:
    """One copy, with what is left of its budget."""

    def __init__(self, text: Callable[[str, int], str]) -> None:
        self._text = text
        self._left = MOST_VALUES

    def structure(self, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for name, value in values.items():
            if self._left <= 0:
                break
            if isinstance(name, str) and self._fits(value, depth):
                kept[self._text(name, 512)] = self._value(value, depth)
        return kept

    def _fits(self, value: Any, depth: int) -> bool:
        if isinstance(value, Mapping | list | tuple):
            return depth < DEEPEST
        return value is None or isinstance(value, str | bool | int | float | date)

    def _value(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if isinstance(value, str):
            return self._text(value, LONGEST_TEXT)
        if isinstance(value, Mapping):
            return self.structure(value, depth + 1)
        if isinstance(value, list | tuple):
            kept = []
            for item in value:
                if self._left <= 0:
                    break
                if self._fits(item, depth + 1):
                    kept.append(self._value(item, depth + 1))
            return kept
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST_INTEGER:
            return self._text(f"{value:#x}", LONGEST_TEXT)
        return value
