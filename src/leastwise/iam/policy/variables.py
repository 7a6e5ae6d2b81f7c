"""Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, `${*}`, `${?}`, `${$}`.

Only Version 2012-10-17 has them; in older documents the same characters are literal. What a variable stands for is
always literal text: a tag value `*` matches a `*`, not everything.

Source: IAM User Guide, "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from leastwise.iam.interface import ContextValue
from leastwise.iam.policy.matching import Token, Tokens, Variable, has_variables, joined, parse_wildcards

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


def bind_segments(segments: tuple[Tokens, ...], context: Mapping[str, ContextValue]) -> tuple[Tokens, ...] | None:
    """`bind` for an ARN pattern that was cut into segments.

    SECURITY: cutting comes before substitution, so that a tag `1:role/evil` cannot move the borders of the segments.
    """
    bound = tuple(bind(segment, context) for segment in segments)
    return None if None in bound else tuple(segment for segment in bound if segment is not None)


def bind(tokens: Tokens, context: Mapping[str, ContextValue]) -> Tokens | None:
    """Puts the request's values in the place of the variables.

    Returns:
        Tokens without variables, or None when a variable has no value: its key is absent and it has no default, or the
        key has several values (a multi-valued key cannot be a variable, default or not).
    """
    if not has_variables(tokens):
        return tokens
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
