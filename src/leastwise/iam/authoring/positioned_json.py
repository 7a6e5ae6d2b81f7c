"""Reads JSON and keeps where everything stands, so that a finding can name its line and column."""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

Path = tuple[str | int, ...]
"""Names and indexes from the document's root."""

_BLANK: Final = re.compile(r"[ \t\n\r]*")
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LITERALS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_DECODER: Final = json.JSONDecoder()
_DEEPEST: Final = 32
_LONGEST_NUMBER: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a text. Lines count from 1, columns and offsets from 0, as in the Access Analyzer API."""

    line: int
    column: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From the first character of something to behind its last."""

    start: Place
    end: Place


class UnreadableText(ValueError):
    """The text is not JSON (or YAML): why, and where."""

    def __init__(self, problem: str, place: Place) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionedDocument:
    """A document and where its parts stand.

    Args:
        value: what the text stands for; of two members with one name the last.
        values: the span of each value.
        names: the span of the name of each member of an object.
        duplicates: members whose name stands there twice.
    """

    value: Any
    values: Mapping[Path, Span] = field(repr=False)
    names: Mapping[Path, Span] = field(repr=False)
    duplicates: tuple[Path, ...]

    def span(self, path: Path) -> Span:
        """Of a member its name, of an item its value; of what is not there, the nearest thing around it."""
        while path:
            found = self.names.get(path) or self.values.get(path)
            if found is not None:
                return found
            path = path[:-1]
        return self.values[()]


def read_json(text: str) -> PositionedDocument:
    """Reads a JSON text.

    Raises:
        UnreadableText: it is not JSON, or nested more deeply than any policy.
    """
    reader = _Reader(text)
    value = reader.whole()
    return PositionedDocument(
        value=value, values=reader.values, names=reader.names, duplicates=tuple(reader.duplicates)
    )


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.values: dict[Path, Span] = {}
        self.names: dict[Path, Span] = {}
        self.duplicates: list[Path] = []
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]

    def whole(self) -> Any:
        value, end = self._value(self._skip(0), ())
        end = self._skip(end)
        if end != len(self.text):
            self._fail("there is more behind the document's end", end)
        return value

    def _value(self, start: int, path: Path) -> tuple[Any, int]:
        # SECURITY: thousands of opening brackets must not exhaust the stack.
        if len(path) > _DEEPEST:
            self._fail("nested too deeply", start)
        value: Any
        match self.text[start : start + 1]:
            case "{":
                value, end = self._object(start, path)
            case "[":
                value, end = self._list(start, path)
            case '"':
                value, end = self._string(start)
            case _:
                value, end = self._scalar(start)
        self.values[path] = self._span(start, end)
        return value, end

    def _object(self, start: int, path: Path) -> tuple[dict[str, Any], int]:
        result: dict[str, Any] = {}
        at = self._skip(start + 1)
        if self.text.startswith("}", at):
            return result, at + 1
        while True:
            if not self.text.startswith('"', at):
                self._fail("a name in double quotes is expected", at)
            name, end = self._string(at)
            here = (*path, name)
            if name in result:
                self.duplicates.append(here)
            self.names[here] = self._span(at, end)
            at = self._skip(end)
            if not self.text.startswith(":", at):
                self._fail('":" is expected', at)
            result[name], end = self._value(self._skip(at + 1), here)
            at = self._skip(end)
            if self.text.startswith("}", at):
                return result, at + 1
            if not self.text.startswith(",", at):
                self._fail('"," or "}" is expected', at)
            at = self._skip(at + 1)

    def _list(self, start: int, path: Path) -> tuple[list[Any], int]:
        result: list[Any] = []
        at = self._skip(start + 1)
        if self.text.startswith("]", at):
            return result, at + 1
        while True:
            value, end = self._value(at, (*path, len(result)))
            result.append(value)
            at = self._skip(end)
            if self.text.startswith("]", at):
                return result, at + 1
            if not self.text.startswith(",", at):
                self._fail('"," or "]" is expected', at)
            at = self._skip(at + 1)

    def _string(self, start: int) -> tuple[str, int]:
        try:
            value, end = _DECODER.raw_decode(self.text, start)
        except json.JSONDecodeError as error:
            self._fail(error.msg.lower(), error.pos)
        text = str(value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._fail("half of a surrogate pair is no character", start)
        return text, end

    def _scalar(self, start: int) -> tuple[Any, int]:
        number = _NUMBER.match(self.text, start)
        if number is not None and number.end() - start <= _LONGEST_NUMBER:
            whole, fraction, exponent = number.groups()
            text = number.group()
            return (float(text) if fraction or exponent else int(whole)), number.end()
        literal = next((name for name in _LITERALS if self.text.startswith(name, start)), None)
        if literal is None:
            self._fail("a value is expected", start)
        return _LITERALS[literal], start + len(literal)

    def _skip(self, start: int) -> int:
        found = _BLANK.match(self.text, start)
        return start if found is None else found.end()

    def _span(self, start: int, end: int) -> Span:
        return Span(start=self._place(start), end=self._place(end))

    def _place(self, offset: int) -> Place:
        line = bisect.bisect_right(self._lines, offset)
        return Place(line=line, column=offset - self._lines[line - 1], offset=offset)

    def _fail(self, problem: str, offset: int) -> NoReturn:
        raise UnreadableText(problem, self._place(min(offset, len(self.text))))
