"""Matches texts against patterns with `*` and `?` in linear time.

A pattern is a tuple of tokens: literal text, a wildcard, or a variable (see `variables`). Wildcards are tokens and not
characters, so that a `*` that comes out of a substituted value is an ordinary character.

SECURITY: `*a*a*a*b` against `aaaa...` must not be a way to stop the platform (ReDoS). Runs between two `*` are searched
from left to right and never again: by `str.find` when they are plain text; when they contain `?`, short ones by a
regular expression without repetition, and long ones bit-parallel. Nothing backtracks.

Source: IAM User Guide, "IAM JSON policy elements: Resource", "Using wildcards in resource ARNs".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
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


_WILDCARD: Final = re.compile(r"([*?])")
_WILDS: Final[dict[str, Wild]] = {wild.value: wild for wild in Wild}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """`${key}` or `${key, 'default'}`. The key is in lower case."""

    key: str
    default: str | None = None


Token = str | Wild | Variable
Tokens = tuple[Token, ...]


def parse_wildcards(text: str) -> Tokens:
    """Every `*` and `?` is a wildcard, everything else is literal."""
    if "*" not in text and "?" not in text:
        return (text,) if text else ()
    pieces = _WILDCARD.split(text)
    return tuple([_WILDS.get(piece, piece) for piece in pieces if piece])


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


def matches_without_ones(tokens: Tokens, text: str) -> bool:
    """Matches once, by a pattern that exists for this request only: building a matcher would cost more than using it.

    Args:
        tokens: as from `joined`; literals and `*` only.
        text: the whole of it.
    """
    if not tokens:
        return not text
    start, end = 0, len(text)
    if isinstance(tokens[0], str):
        if len(tokens) == 1:
            return text == tokens[0]
        if not text.startswith(tokens[0]):
            return False
        start = len(tokens[0])
        tokens = tokens[1:]
    if isinstance(tokens[-1], str):
        end -= len(tokens[-1])
        if end < start or not text.endswith(tokens[-1]):
            return False
        tokens = tokens[:-1]
    for token in tokens:
        if isinstance(token, str):
            start = text.find(token, start, end)
            if start < 0:
                return False
            start += len(token)
    return True


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


_SHORT_RUN: Final = 32
_ANY_CHARACTER: Final = "."


class Run:
    """Literal characters and `?` between two `*`.

    Args:
        tokens: literals and `?`.
        passing: it stands for one request only; nothing is prepared for the next one.
    """

    __slots__ = (
        "_goal",
        "_masks",
        "_passing",
        "_pieces",
        "_prepared",
        "_short",
        "_tokens",
        "_wild_mask",
        "length",
        "literal",
    )

    def __init__(self, tokens: Sequence[str | Wild], *, passing: bool = False) -> None:
        self.literal = tokens[0] if len(tokens) == 1 and isinstance(tokens[0], str) else None
        self._tokens = tokens
        self._passing = passing
        self._pieces: list[tuple[int, str]] = []
        position = 0
        for token in tokens:
            if isinstance(token, str):
                self._pieces.append((position, token))
                position += len(token)
            else:
                position += 1
        self.length = position
        self._prepared = False
        self._short: re.Pattern[str] | None = None
        self._masks: dict[str, int] = {}
        self._wild_mask = 0
        self._goal = 1 << position - 1 if position else 0

    def stands_at(self, text: str, position: int) -> bool:
        """The run fits at exactly this position (which leaves room for it)."""
        return all(text.startswith(piece, position + offset) for offset, piece in self._pieces)

    def find(self, text: str, start: int, end: int) -> int:
        """Leftmost position at which the run fits within `text[start:end]`, or -1."""
        if self.literal is not None:
            return text.find(self.literal, start, end)
        if end - start < self.length:
            return -1
        if self._passing:
            return self._find_by_piece(text, start, end)
        if not self._prepared:
            self._prepare()
        if self._short is not None:
            found = self._short.search(text, start, end)
            return -1 if found is None else found.start()
        # Shift-and: bit i of `state` says that the run's first i+1 characters end here.
        state = 0
        masks, wild_mask, goal = self._masks, self._wild_mask, self._goal
        for position in range(start, end):
            state = (state << 1 | 1) & masks.get(text[position], wild_mask)
            if state & goal:
                return position - self.length + 1
        return -1

    def _prepare(self) -> None:
        """At the first search: most runs of most policies are never searched for.

        INVARIANT: threads may search at the same time (explanations and simulations do): a run counts as prepared only
        when it is.
        """
        if self.length <= _SHORT_RUN:
            # Fixed in length, so nothing is ever tried again: at most `length` characters are looked at for each place.
            self._short = re.compile(
                "".join([_ANY_CHARACTER if isinstance(token, Wild) else re.escape(token) for token in self._tokens]),
                re.DOTALL,
            )
        else:
            wild_mask = position = 0
            for token in self._tokens:
                if isinstance(token, Wild):
                    wild_mask |= 1 << position
                position += 1 if isinstance(token, Wild) else len(token)
            masks: dict[str, int] = {}
            for start, piece in self._pieces:
                for offset, character in enumerate(piece):
                    masks[character] = masks.get(character, wild_mask) | 1 << start + offset
            self._wild_mask, self._masks = wild_mask, masks
        self._prepared = True

    def _find_by_piece(self, text: str, start: int, end: int) -> int:
        """Looks for the longest literal piece, and at the others around it."""
        if not self._pieces:
            return start
        before, longest = max(self._pieces, key=lambda piece: len(piece[1]))
        after = self.length - before
        at = text.find(longest, start + before, end - after + len(longest))
        while at >= 0:
            if self.stands_at(text, at - before):
                return at - before
            at = text.find(longest, at + 1, end - after + len(longest))
        return -1


def cut_at_stars(tokens: Iterable[Token]) -> list[list[Token]]:
    """The parts of a pattern that stand between its `*`; one part when it has none."""
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if token is Wild.ANY:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def run_of(tokens: Iterable[Token], *, passing: bool = False) -> Run:
    """The run that tokens without variables and without `*` make.

    Raises:
        TypeError: a variable was not bound.
    """
    plain: list[str | Wild] = []
    for token in tokens:
        if isinstance(token, Variable):
            message = f"variable {token.key} was not bound"
            raise TypeError(message)
        plain.append(token)
    return Run(plain, passing=passing)


def runs_match(runs: Sequence[Run], text: str) -> bool:
    """Whether the whole text is these runs in their order, with anything between them.

    Args:
        runs: one means a pattern without `*`.
        text: the whole of it.
    """
    first, last = runs[0], runs[-1]
    if len(runs) == 1:
        return len(text) == first.length and first.stands_at(text, 0)
    if len(text) < sum([run.length for run in runs]) or not first.stands_at(text, 0):
        return False
    end = len(text) - last.length
    if not last.stands_at(text, end):
        return False
    position = first.length
    for run in runs[1:-1]:
        found = run.find(text, position, end)
        if found < 0:
            return False
        position = found + run.length
    return True


def _compile_runs(tokens: Tokens) -> Matcher:
    runs = [run_of(part) for part in cut_at_stars(tokens)]
    return lambda text: runs_match(runs, text)
