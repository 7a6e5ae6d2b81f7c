"""Matches texts against patterns with `*` and `?` in linear time.

A pattern is a tuple of tokens: literal text, a wildcard, or a variable (see `variables`). Wildcards are tokens and not
characters, so that a `*` that comes out of a substituted value is an ordinary character.

SECURITY: `*a*a*a*b` against `aaaa...` must not be a way to stop the platform (ReDoS). No regular expressions here: runs
between two `*` are searched from left to right and never again, by `str.find` when they are plain text and bit-parallel
when they contain `?`. Every character of the text is visited at most once per pattern.

Source: IAM User Guide, "IAM JSON policy elements: Resource", "Using wildcards in resource ARNs".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

ARN_SEGMENTS: Final = 6

Matcher = Callable[[str], bool]
"""Does this text match?"""


class Wild(Enum):
    """The two wildcards."""

    ANY = "*"
    """Any number of characters, none included."""
    ONE = "?"
    """Exactly one character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """`${key}` or `${key, 'default'}`. The key is in lower case."""

    key: str
    default: str | None = None


Token = str | Wild | Variable
Tokens = tuple[Token, ...]


def parse_wildcards(text: str) -> Tokens:
    """Every `*` and `?` is a wildcard, everything else is literal."""
    tokens: list[Token] = []
    literal_from = 0
    for index, character in enumerate(text):
        if character in "*?":
            if literal_from < index:
                tokens.append(text[literal_from:index])
            tokens.append(Wild.ANY if character == "*" else Wild.ONE)
            literal_from = index + 1
    if literal_from < len(text):
        tokens.append(text[literal_from:])
    return tuple(tokens)


def joined(tokens: Iterable[Token]) -> Tokens:
    """Puts neighbouring literals together and makes one of several `*` in a row."""
    result: list[Token] = []
    for token in tokens:
        last = result[-1] if result else None
        if isinstance(token, str) and isinstance(last, str):
            result[-1] = last + token
        elif token != "" and not (token is Wild.ANY and last is Wild.ANY):
            result.append(token)
    return tuple(result)


def is_everything(tokens: Tokens) -> bool:
    """True for `*`, and for nothing but `*` in a row."""
    return bool(tokens) and all(token is Wild.ANY for token in tokens)


def has_variables(tokens: Tokens) -> bool:
    """True when the pattern can only be matched with a request's context at hand."""
    return any(isinstance(token, Variable) for token in tokens)


def compile_glob(tokens: Tokens) -> Matcher:
    """A matcher of the whole text. The tokens hold no variables (`variables.bind` takes them out)."""
    tokens = joined(tokens)
    match tokens:
        case ():
            return "".__eq__
        case (str() as literal,):
            return literal.__eq__
        case (Wild.ANY,):
            return _always
        case (str() as head, Wild.ANY):
            return lambda text: text.startswith(head)
        case (Wild.ANY, str() as tail):
            return lambda text: text.endswith(tail)
        case (Wild.ANY, str() as inner, Wild.ANY):
            return lambda text: inner in text
        case _:
            return _compile_runs(tokens)


def compile_arn(tokens: Tokens) -> Matcher:
    """A matcher of ARNs, segment by segment: the first five `:` of the pattern are those of the ARN.

    A wildcard stays inside its segment, but in the last one it crosses `:` and `/`. A pattern with fewer than six
    segments is completed with `*`. A text that is no ARN never matches.

    Source: IAM User Guide, "IAM JSON policy elements: Resource" ("If you specify an incomplete ARN ..., AWS completes
    the ARN by adding wildcard characters to all missing fields") and "Condition operators", ARN operators.
    """
    return compile_segments(split_segments(tokens))


def compile_segments(segments: tuple[Tokens, ...]) -> Matcher:
    """As `compile_arn`, for a pattern that is already cut into its six segments."""
    fixed = 0
    while fixed < ARN_SEGMENTS and all(isinstance(token, str) for token in segments[fixed]):
        fixed += 1
    literal = ":".join("".join(token for token in segment if isinstance(token, str)) for segment in segments[:fixed])
    if fixed == ARN_SEGMENTS:
        return literal.__eq__
    head = literal + ":" if fixed else ""
    if fixed == ARN_SEGMENTS - 1:
        # The five colons of the head are the first five of any text that starts with it: segments align.
        return compile_glob((head, *segments[-1]))
    rest = [
        (index, compile_glob(segments[index]))
        for index in range(fixed, ARN_SEGMENTS)
        if not is_everything(segments[index])
    ]
    return _segment_matcher(head, rest)


def split_segments(tokens: Tokens) -> tuple[Tokens, ...]:
    """Cuts a pattern at its first five literal `:` and fills up missing segments with `*`.

    A colon inside a variable's value is not a separator: cutting comes before substitution.
    """
    segments: list[list[Token]] = [[]]
    for token in tokens:
        if not isinstance(token, str):
            segments[-1].append(token)
            continue
        first, *others = token.split(":", ARN_SEGMENTS - len(segments))
        segments[-1].append(first)
        segments.extend([other] for other in others)
    segments.extend([Wild.ANY] for _ in range(ARN_SEGMENTS - len(segments)))
    return tuple(joined(segment) for segment in segments)


def compile_alternatives(patterns: Iterable[Tokens], *, arn: bool) -> Matcher | None:
    """One matcher for "any of these patterns"; None when one of them matches everything.

    Literals become one set and plain prefixes one `startswith`, so that long lists stay fast.
    """
    exact: set[str] = set()
    heads: list[str] = []
    others: list[Matcher] = []
    for raw in patterns:
        tokens = joined(raw)
        if is_everything(tokens):
            return None
        match tokens:
            case ():
                exact.add("")
            case (str() as literal,) if not arn or literal.count(":") >= ARN_SEGMENTS - 1:
                exact.add(literal)
            case (str() as head, Wild.ANY) if not arn or head.count(":") >= ARN_SEGMENTS - 1:
                heads.append(head)
            case _:
                others.append(compile_arn(tokens) if arn else compile_glob(tokens))
    return _any_of(frozenset(exact), tuple(heads), tuple(others))


def _any_of(exact: frozenset[str], heads: tuple[str, ...], others: tuple[Matcher, ...]) -> Matcher:
    if not others:
        if not heads:
            return exact.__contains__
        if not exact:
            return lambda text: text.startswith(heads)
    if not exact and not heads and len(others) == 1:
        return others[0]

    def matches(text: str) -> bool:
        return text in exact or text.startswith(heads) or any(other(text) for other in others)

    return matches


def _always(_text: str) -> bool:
    return True


def _segment_matcher(head: str, rest: list[tuple[int, Matcher]]) -> Matcher:
    def matches(text: str) -> bool:
        if not text.startswith(head):
            return False
        segments = text.split(":", ARN_SEGMENTS - 1)
        if len(segments) != ARN_SEGMENTS:
            return False
        for index, matcher in rest:  # noqa: SIM110 - a generator would cost as much as the match
            if not matcher(segments[index]):
                return False
        return True

    return matches


class _Run:
    """Literal characters and `?` between two `*`."""

    __slots__ = ("_goal", "_masks", "_pieces", "_wild_mask", "length", "literal")

    def __init__(self, tokens: list[str | Wild]) -> None:
        self.literal = tokens[0] if len(tokens) == 1 and isinstance(tokens[0], str) else None
        self._pieces: list[tuple[int, str]] = []
        self._masks: dict[str, int] = {}
        self._wild_mask = 0
        position = 0
        for token in tokens:
            if isinstance(token, str):
                self._pieces.append((position, token))
                position += len(token)
            else:
                self._wild_mask |= 1 << position
                position += 1
        self.length = position
        self._goal = 1 << position - 1 if position else 0
        if self.literal is None:
            for start, piece in self._pieces:
                for offset, character in enumerate(piece):
                    self._masks[character] = self._masks.get(character, self._wild_mask) | 1 << start + offset

    def stands_at(self, text: str, position: int) -> bool:
        """The run fits at exactly this position (which leaves room for it)."""
        return all(text.startswith(piece, position + offset) for offset, piece in self._pieces)

    def find(self, text: str, start: int, end: int) -> int:
        """Leftmost position at which the run fits within `text[start:end]`, or -1."""
        if self.literal is not None:
            return text.find(self.literal, start, end)
        # Shift-and: bit i of `state` says that the run's first i+1 characters end here.
        state = 0
        masks, wild_mask, goal = self._masks, self._wild_mask, self._goal
        for position in range(start, end):
            state = (state << 1 | 1) & masks.get(text[position], wild_mask)
            if state & goal:
                return position - self.length + 1
        return -1


def _compile_runs(tokens: Tokens) -> Matcher:
    groups: list[list[str | Wild]] = [[]]
    for token in tokens:
        if token is Wild.ANY:
            groups.append([])
        elif isinstance(token, (str, Wild)):
            groups[-1].append(token)
        else:
            message = f"variable {token.key} was not bound"
            raise TypeError(message)
    first, *between, last = [_Run(group) for group in groups] if len(groups) > 1 else [_Run(groups[0]), _Run([])]
    if len(groups) == 1:
        return lambda text: len(text) == first.length and first.stands_at(text, 0)
    shortest = first.length + last.length + sum(run.length for run in between)

    def matches(text: str) -> bool:
        if len(text) < shortest or not first.stands_at(text, 0):
            return False
        end = len(text) - last.length
        if not last.stands_at(text, end):
            return False
        position = first.length
        for run in between:
            found = run.find(text, position, end)
            if found < 0:
                return False
            position = found + run.length
        return True

    return matches
