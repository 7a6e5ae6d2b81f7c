"""Where in a policy's text its statements stand. Source: IAM API Reference, Statement (StartPosition, EndPosition)."""

from __future__ import annotations

import json
from dataclasses import dataclass

_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Line and column, both from 1."""

    line: int
    column: int


def statement_positions(text: str) -> tuple[tuple[Position, Position], ...]:
    """Start and end of every statement, in order.

    As the simulator of IAM counts: a statement starts right behind the bracket, comma or colon before it, and ends
    right behind its own closing bracket.

    Args:
        text: a policy document that was parsed without error.
    """
    scanner = json.JSONDecoder()
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        name, at = scanner.raw_decode(text, at)
        at = _skip(text, at) + 1
        value_at = _skip(text, at)
        _, end = scanner.raw_decode(text, value_at)
        if name == "Statement":
            return _statements(text, at, value_at, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return ()


def _statements(text: str, behind_colon: int, value_at: int, end: int) -> tuple[tuple[Position, Position], ...]:
    if text[value_at] == "{":
        return ((_position(text, behind_colon), _position(text, end)),)
    scanner = json.JSONDecoder()
    found = []
    start = value_at + 1
    while text[_skip(text, start)] == "{":
        _, end = scanner.raw_decode(text, _skip(text, start))
        found.append((_position(text, start), _position(text, end)))
        start = _skip(text, end)
        if text[start] != ",":
            break
        start += 1
    return tuple(found)


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at


def _position(text: str, at: int) -> Position:
    line_start = text.rfind("\n", 0, at) + 1
    return Position(line=text.count("\n", 0, at) + 1, column=at - line_start + 1)
