"""What of a call's parameters may stand in the trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""The words CloudTrail uses."""


def redact(parameters: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """A copy for the record: named members hidden, blobs left out, instants as text.

    Args:
        parameters: the operation's input.
        hidden: members to hide; a dot leads into a structure (`Environment.Variables`).
    """
    return _copy(parameters, hidden, "")


def _copy(structure: Mapping[str, Any], hidden: frozenset[str], prefix: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in structure.items():
        place = f"{prefix}{name}"
        if place in hidden:
            kept[name] = HIDDEN
        elif not isinstance(value, bytes | bytearray):
            kept[name] = _value(value, hidden, place)
    return kept


def _value(value: Any, hidden: frozenset[str], place: str) -> Any:
    if isinstance(value, Mapping):
        return _copy(value, hidden, f"{place}.")
    if isinstance(value, list | tuple):
        return [_value(item, hidden, place) for item in value if not isinstance(item, bytes | bytearray)]
    if isinstance(value, datetime):
        return value.isoformat()
    return value
