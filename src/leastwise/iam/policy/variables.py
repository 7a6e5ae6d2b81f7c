"""Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, `${*}`, `${?}`, `${$}`.

Only Version 2012-10-17 has them; in older documents the same characters are literal. What a variable stands for is
always literal text: a tag value `*` matches a `*`, not everything.

Source: IAM User Guide, "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from leastwise.iam.interface import ContextValue
from leastwise.iam.policy.matching import (
    ARN_SEGMENTS,
    Run,
    Token,
    Tokens,
    Variable,
    Wild,
    compile_glob,
    cut_at_stars,
    has_variables,
    joined,
    matches_without_ones,
    parse_wildcards,
    run_of,
    runs_match,
    split_segments,
)

LateMatcher = Callable[[str, Mapping[str, ContextValue]], bool]
"""Does this text match, with this request's values in the place of the variables? No value, no match."""

# Possessive (`++`), so that a long unfinished `${` costs one pass.
_VARIABLE: Final = re.compile(r"\$\{(?:([*?$])|([^,{}']++)(?:,\s*+'([^']*+)'\s*+)?)\}")


def parse_pattern(text: str, *, variables: bool, wildcards: bool) -> Tokens:
    """Reads one pattern.

    Args:
        text: as it stands in the policy.
        variables: the document's version has variables.
        wildcards: `*` and `?` are wildcards here (not in StringEquals). `${*}` is a literal `*` either way.
    """
    tokens: list[Token] = []
    position = 0
    for found in _VARIABLE.finditer(text) if variables else ():
        tokens.extend(_plain(text[position : found.start()], wildcards=wildcards))
        special, key, default = found.groups()
        tokens.append(special or Variable(key=key.strip().lower(), default=default))
        position = found.end()
    tokens.extend(_plain(text[position:], wildcards=wildcards))
    return joined(tokens)


def _plain(text: str, *, wildcards: bool) -> Tokens:
    return parse_wildcards(text) if wildcards else (text,)


def keys_of(tokens: Tokens) -> frozenset[str]:
    """The condition keys that a pattern's variables read, in lower case."""
    return frozenset(token.key for token in tokens if isinstance(token, Variable))


def compile_late_glob(tokens: Tokens) -> LateMatcher:
    """A matcher of the whole text by a pattern with variables. Exact texts and prefixes are the usual, fast cases."""
    wild = [token for token in tokens if isinstance(token, Wild)]
    if not wild:
        return lambda text, context: text == _literal(tokens, context)
    if wild == [Wild.ANY] and tokens[-1] is Wild.ANY:
        stem = tokens[:-1]

        def starts(text: str, context: Mapping[str, ContextValue]) -> bool:
            head = _literal(stem, context)
            return head is not None and text.startswith(head)

        return starts
    return _compile_late_runs(tokens) if Wild.ONE in wild else _compile_late_stars(tokens)


def _compile_late_stars(tokens: Tokens) -> LateMatcher:
    def matches(text: str, context: Mapping[str, ContextValue]) -> bool:
        bound = bind(tokens, context)
        return bound is not None and matches_without_ones(bound, text)

    return matches


def _compile_late_runs(tokens: Tokens) -> LateMatcher:
    """SECURITY: nothing is compiled for a request: with many such patterns that would stop everybody else's calls."""
    parts = [tuple(part) for part in cut_at_stars(joined(tokens))]
    runs = [part if has_variables(part) else run_of(part) for part in parts]

    def matches(text: str, context: Mapping[str, ContextValue]) -> bool:
        ready: list[Run] = []
        for run in runs:
            if isinstance(run, Run):
                ready.append(run)
                continue
            bound = bind(run, context)
            if bound is None:
                return False
            ready.append(run_of(bound, passing=True))
        return runs_match(ready, text)

    return matches


def mixes_variable_and_one(tokens: Tokens) -> bool:
    """Whether a variable and a `?` stand together between two `*`: such a part is searched for piece by piece."""
    return any(has_variables(tuple(part)) and Wild.ONE in part for part in cut_at_stars(tokens)[1:-1])


def compile_late_arn(tokens: Tokens) -> LateMatcher:
    """A matcher of ARNs by a pattern with variables, segment by segment.

    SECURITY: the pattern is cut before substitution, so that a tag `1:role/evil` cannot move the borders.
    """
    segments = split_segments(tokens)
    fixed = [(index, compile_glob(segment)) for index, segment in enumerate(segments) if not has_variables(segment)]
    late = [(index, compile_late_glob(segment)) for index, segment in enumerate(segments) if has_variables(segment)]

    def matches(text: str, context: Mapping[str, ContextValue]) -> bool:
        parts = text.split(":", ARN_SEGMENTS - 1)
        if len(parts) != ARN_SEGMENTS:
            return False
        for index, matcher in fixed:
            if not matcher(parts[index]):
                return False
        for index, late_matcher in late:  # noqa: SIM110 - a generator would cost as much as the match
            if not late_matcher(parts[index], context):
                return False
        return True

    return matches


def _literal(tokens: Tokens, context: Mapping[str, ContextValue]) -> str | None:
    """The text of a pattern without wildcards; None when a variable has no value."""
    text = ""
    for token in tokens:
        if isinstance(token, str):
            text += token
        elif isinstance(token, Variable):
            value = context.get(token.key, token.default)
            if not isinstance(value, str):
                return None
            text += value
    return text


def bind_segments(segments: tuple[Tokens, ...], context: Mapping[str, ContextValue]) -> tuple[Tokens, ...] | None:
    """`bind` for an ARN pattern that was cut into segments."""
    bound = tuple(bind(segment, context) for segment in segments)
    return None if None in bound else tuple(segment for segment in bound if segment is not None)


def bind(tokens: Tokens, context: Mapping[str, ContextValue]) -> Tokens | None:
    """Puts the request's values in the place of the variables.

    Returns:
        Tokens without variables, or None when a variable has no value: its key is absent and it has no default, or the
        key has several values (a multi-valued key cannot be a variable, default or not).
    """
    bound: list[Token] = []
    for token in tokens:
        if not isinstance(token, Variable):
            bound.append(token)
            continue
        value = context.get(token.key, token.default)
        if not isinstance(value, str):
            return None
        bound.append(value)
    return joined(bound)
