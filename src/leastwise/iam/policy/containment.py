"""Compares patterns without asking a request: does one match all that another matches, can two match the same text.

Both answers are sound and not complete: `covers` is only true when it is so, `disjoint` is only true when it is so; a
pattern that would take too long to compare is neither. Tools that say "this statement can never matter" rest on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from leastwise.iam.policy.matching import Tokens, Variable, Wild, is_everything, joined, split_segments
from leastwise.iam.policy.variables import parse_pattern

_Cell = str | Wild | Variable
_MOST_STEPS: Final = 50_000
"""Of one comparison. Patterns that people write take a few hundred."""

_PER_ARN: Final = 8


class Effort:
    """Steps that a series of comparisons may take together.

    SECURITY: documents come from strangers. When it is used up every answer is False, which claims nothing.
    """

    __slots__ = ("left",)

    def __init__(self, steps: int = 1_000_000) -> None:
        self.left = steps


def covers(wide: Tokens, narrow: Tokens, effort: Effort | None = None) -> bool:
    """Every text that `narrow` matches, whatever its variables stand for, `wide` matches too.

    A `*` of the narrow pattern is only matched by a `*` of the wide one, a `?` by `?` or `*`, a variable by the same
    variable or `*`. A variable without a value matches nothing on either side.
    """
    if _spent(effort, 1) or _heads_differ(wide, narrow):
        return False
    pattern, text = _cells(wide), _cells(narrow)
    at = position = 0
    star = resume = -1
    for step in range(_MOST_STEPS if effort is None else min(_MOST_STEPS, max(effort.left, 0))):
        if effort is not None and step & 0x7F == 0:
            effort.left -= 0x80
        if position == len(text):
            return all(cell is Wild.ANY for cell in pattern[at:])
        if at < len(pattern) and pattern[at] is Wild.ANY:
            star, resume = at, position
            at += 1
        elif at < len(pattern) and _matches(pattern[at], text[position]):
            at += 1
            position += 1
        elif star >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return False


def disjoint(one: Tokens, other: Tokens, effort: Effort | None = None) -> bool:
    """No text matches both, whatever their variables stand for."""
    if _spent(effort, 1):
        return False
    if all(len(tokens) == 1 and isinstance(tokens[0], str) for tokens in (one, other)):
        return one != other
    left, right = _cells(one, variables_match_anything=True), _cells(other, variables_match_anything=True)
    steps = len(left) * len(right)
    if steps > (_MOST_STEPS if effort is None else min(_MOST_STEPS, effort.left)):
        return False
    if effort is not None:
        effort.left -= steps
    # reached[j]: the first i cells of `left` and the first j of `right` match a common text.
    reached = [True, *(False for _ in right)]
    for j, cell in enumerate(right):
        reached[j + 1] = reached[j] and cell is Wild.ANY
    for mine in left:
        before, reached = reached, [reached[0] and mine is Wild.ANY]
        for j, theirs in enumerate(right):
            skips = (mine is Wild.ANY and before[j + 1]) or (theirs is Wild.ANY and reached[j])
            # A star also swallows the other side's cell.
            swallows = (mine is Wild.ANY and reached[j]) or (theirs is Wild.ANY and before[j + 1])
            both = before[j] and (isinstance(mine, Wild) or isinstance(theirs, Wild) or mine == theirs)
            reached.append(skips or swallows or both)
    return not reached[-1]


def arn_covers(wide: Tokens, narrow: Tokens, effort: Effort | None = None) -> bool:
    """`covers` for patterns of resources: segment by segment; only `*` covers `*`."""
    if is_everything(wide):
        return True
    if is_everything(narrow) or _spent(effort, _PER_ARN):
        return False
    return all(covers(a, b, effort) for a, b in zip(_segments(wide), _segments(narrow), strict=True))


def arn_disjoint(one: Tokens, other: Tokens, effort: Effort | None = None) -> bool:
    """`disjoint` for patterns of resources."""
    if is_everything(one) or is_everything(other) or _spent(effort, _PER_ARN):
        return False
    return any(disjoint(a, b, effort) for a, b in zip(_segments(one), _segments(other), strict=True))


def action_pattern(text: str) -> Tokens:
    """An Action element's pattern. Actions are case-insensitive and have no variables."""
    return parse_pattern(text.lower(), variables=False, wildcards=True)


def resource_pattern(text: str, *, variables: bool) -> Tokens:
    """A Resource element's pattern."""
    return parse_pattern(text, variables=variables, wildcards=True)


def _spent(effort: Effort | None, steps: int) -> bool:
    """Takes the steps; True when none are left."""
    if effort is None:
        return False
    effort.left -= steps
    return effort.left <= 0


@lru_cache(maxsize=4096)
def _segments(tokens: Tokens) -> tuple[Tokens, ...]:
    return split_segments(tokens)


def _heads_differ(wide: Tokens, narrow: Tokens) -> bool:
    """The usual case, told without going through both: the texts in front differ."""
    head, other = (tokens[0] if tokens else "" for tokens in (wide, narrow))
    if not isinstance(head, str) or not isinstance(other, str):
        return False
    return not other.startswith(head) or (len(wide) == 1 and narrow != wide)


def _cells(tokens: Tokens, *, variables_match_anything: bool = False) -> Sequence[_Cell]:
    """One cell for each character, wildcard and variable; `?` before `*`, so that `*?` and `?*` are the same."""
    cells: list[_Cell] = []
    for token in joined(tokens):
        if isinstance(token, str):
            cells.extend(token)
        elif isinstance(token, Variable) and variables_match_anything:
            cells.append(Wild.ANY)
        elif token is Wild.ONE and cells and cells[-1] is Wild.ANY:
            cells.insert(-1, token)
        elif not (token is Wild.ANY and cells and cells[-1] is Wild.ANY):
            cells.append(token)
    return cells


def _matches(pattern: _Cell, cell: _Cell) -> bool:
    if isinstance(cell, (Wild, Variable)):
        return pattern == cell
    return pattern is Wild.ONE or pattern == cell
