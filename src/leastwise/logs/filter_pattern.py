"""CloudWatch Logs filter patterns: which events does a search want?

Source: CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, filter log events,
and Live Tail". Terms, quoted phrases, `?optional`, `-exclude`, and JSON expressions with comparisons, `&&`, `||`,
parentheses, `*` in strings, IS TRUE/FALSE/NULL and NOT EXISTS. Space-delimited patterns (`[...]`) and regular
expressions (`%...%`) are refused with a sentence that says so.

SECURITY: patterns and messages both come from users. Everything here takes time linear in the message for each term,
and nesting is bounded; no backtracking matcher is involved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from leastwise.logs.interface import InvalidLogsParameter

Matcher = Callable[[str], bool]
"""Message -> wanted or not."""

_Test = Callable[[Any], bool]

_DEEPEST: Final = 32
_TERM: Final = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_WORD: Final = re.compile(r"\w+")
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<selector>\$(?:\.[\w\-:*]+|\["[^"\\]*"\]|\[\d{1,6}\]|\[\*\])+)
      | (?P<mark>&&|\|\||<=|>=|!=|=|<|>|\(|\))
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<word>[\w.+\-*:/@]+)
    )""",
    re.VERBOSE,
)
_STEP: Final = re.compile(r'\.([\w\-:*]+)|\["([^"\\]*)"\]|\[(\d+|\*)\]')
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_COMPARISONS: Final = frozenset({"=", "!=", "<", ">", "<=", ">="})


def compile_pattern(pattern: str) -> Matcher:
    """Makes a matcher.

    Raises:
        InvalidLogsParameter: the pattern is malformed, or of a kind that is not supported.
    """
    text = pattern.strip()
    if text.startswith("{"):
        if not text.endswith("}"):
            message = "If a filter pattern starts with '{' it must end with '}'"
            raise InvalidLogsParameter(message)
        return _compile_json(text[1:-1])
    if text.startswith("["):
        message = "Invalid filter pattern: space-delimited patterns are not supported here."
        raise InvalidLogsParameter(message)
    return _compile_terms(text)


def _compile_terms(text: str) -> Matcher:
    wanted: list[str] = []
    optional: list[str] = []
    unwanted: list[str] = []
    for sign, term in _terms(text):
        {"": wanted, "?": optional, "-": unwanted}[sign].append(term)

    def matches(message: str) -> bool:
        if any(term in message for term in unwanted):
            return False
        if wanted:
            # Beside terms that must be there, optional ones decide nothing.
            return all(term in message for term in wanted)
        return not optional or any(term in message for term in optional)

    return matches


def _terms(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            break
        at = match.end()
        sign, phrase, word = match.groups()
        if phrase is not None:
            if not phrase or (at < len(text) and not text[at].isspace()):
                raise _bad_term(match[0].strip())
            yield sign, re.sub(r"\\(.)", r"\1", phrase)
            continue
        if word.startswith("%"):
            message = "Invalid filter pattern: regular expressions are not supported here."
            raise InvalidLogsParameter(message)
        if _WORD.fullmatch(word) is None:
            raise _bad_term(sign + word)
        yield sign, word


def _bad_term(term: str) -> InvalidLogsParameter:
    return InvalidLogsParameter(f"Invalid filter pattern: Invalid character(s) in term '{term}'")


def _compile_json(text: str) -> Matcher:
    tokens = _Tokens(text)
    test = _either(tokens, 0)
    tokens.end()

    def matches(message: str) -> bool:
        try:
            value = msgspec.json.decode(message)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return False
        return test(value)

    return matches


class _Tokens:
    """The pattern's tokens, one ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.kind = ""
        self.value = ""
        self.step()

    def step(self) -> str:
        """Goes to the next token; returns the one left behind."""
        taken = self.value
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            if self._text[self._at :].strip():
                raise _malformed()
            self.kind = self.value = ""
            return taken
        self._at = match.end()
        self.kind = match.lastgroup or ""
        self.value = match[self.kind]
        return taken

    def take(self, kind: str, *values: str) -> str:
        """The token, which must be of that kind (and one of these)."""
        if self.kind != kind or (values and self.value.upper() not in values):
            raise _malformed()
        return self.step()

    def end(self) -> None:
        if self.kind:
            raise _malformed()


def _malformed() -> InvalidLogsParameter:
    return InvalidLogsParameter("Invalid filter pattern")


def _either(tokens: _Tokens, depth: int) -> _Test:
    tests = [_both(tokens, depth)]
    while (tokens.kind, tokens.value) == ("mark", "||"):
        tokens.step()
        tests.append(_both(tokens, depth))
    return tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)


def _both(tokens: _Tokens, depth: int) -> _Test:
    tests = [_condition(tokens, depth)]
    while (tokens.kind, tokens.value) == ("mark", "&&"):
        tokens.step()
        tests.append(_condition(tokens, depth))
    return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)


def _condition(tokens: _Tokens, depth: int) -> _Test:
    if (tokens.kind, tokens.value) == ("mark", "("):
        if depth >= _DEEPEST:
            raise _malformed()
        tokens.step()
        test = _either(tokens, depth + 1)
        tokens.take("mark", ")")
        return test
    path = _path(tokens.take("selector"))
    if tokens.kind == "word":
        return _state(tokens, path)
    sign = tokens.take("mark", *_COMPARISONS)
    compare = _comparison(tokens, sign)
    return lambda value: any(compare(found) for found in _select(value, path))


def _state(tokens: _Tokens, path: tuple[str | int, ...]) -> _Test:
    if tokens.take("word", "IS", "NOT").upper() == "NOT":
        tokens.take("word", "EXISTS")
        return lambda value: next(_select(value, path), _select) is _select
    wanted = {"TRUE": True, "FALSE": False, "NULL": None}[tokens.take("word", "TRUE", "FALSE", "NULL").upper()]
    return lambda value: any(found is wanted for found in _select(value, path))


def _comparison(tokens: _Tokens, sign: str) -> _Test:
    quoted = tokens.kind == "string"
    text = tokens.take("string")[1:-1] if quoted else tokens.take("word")
    if not quoted and _NUMBER.fullmatch(text):
        return _numeric(sign, float(text))
    if sign not in {"=", "!="}:
        raise _malformed()
    matches = _glob(re.sub(r"\\(.)", r"\1", text) if quoted else text)
    if sign == "=":
        return lambda found: isinstance(found, str) and matches(found)
    return lambda found: isinstance(found, str) and not matches(found)


def _numeric(sign: str, wanted: float) -> _Test:
    compare: Callable[[float], bool] = {
        "=": lambda found: found == wanted,
        "!=": lambda found: found != wanted,
        "<": lambda found: found < wanted,
        ">": lambda found: found > wanted,
        "<=": lambda found: found <= wanted,
        ">=": lambda found: found >= wanted,
    }[sign]
    return lambda found: isinstance(found, int | float) and not isinstance(found, bool) and compare(found)


def _glob(pattern: str) -> Callable[[str], bool]:
    """`*` stands for anything. The earliest place for each part is as good as any, so one pass is enough."""
    first, *rest = pattern.split("*")
    if not rest:
        return lambda text: text == pattern
    *middle, last = rest

    def matches(text: str) -> bool:
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return matches


def _path(selector: str) -> tuple[str | int, ...]:
    """`$.a["b"][0].*` as ("a", "b", 0, "*")."""
    steps: list[str | int] = []
    for name, quoted, index in _STEP.findall(selector[1:]):
        if index and index != "*":
            steps.append(int(index))
        else:
            steps.append(name or quoted or "*")
    return tuple(steps)


def _select(value: Any, path: tuple[str | int, ...]) -> Iterator[Any]:
    """Everything a path leads to; `*` leads to every element of a list or every member of an object."""
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if step == "*" and isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _select(inner, rest)
    elif isinstance(step, int):
        if isinstance(value, list) and step < len(value):
            yield from _select(value[step], rest)
    elif isinstance(value, dict) and step in value:
        yield from _select(value[step], rest)
