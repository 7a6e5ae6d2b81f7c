"""SMT-LIB 2.6 text: literals, connectives, and wildcard patterns as regular expressions.

Terms are plain strings, so that the encoder needs no solver and any solver can read what it writes.

Source: The SMT-LIB Standard 2.6 and its theory of Unicode Strings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from leastwise.iam.policy.matching import Token, Tokens, Variable, Wild, is_everything, joined

TRUE: Final = "true"
FALSE: Final = "false"
_LAST_CHARACTER: Final = 0x2FFFF
_PLAIN: Final = frozenset(map(chr, range(0x20, 0x7F))) - {'"', "\\"}

ANY_TEXT: Final = "re.all"
ANY_CHARACTER: Final = "re.allchar"
NO_COLON: Final = r'(re.union (re.range "\u{0}" "9") (re.range ";" "\u{2ffff}"))'
"""One character of an ARN segment. SECURITY: a wildcard in a region or account must not swallow a `:`."""


class Inexpressible(Exception):
    """Something cannot be said to the solver. Whoever asks must not take silence for a proof."""


def quoted(text: str) -> str:
    """A string literal. Raises: Inexpressible: a character that the theory of strings does not have."""
    if text and ord(max(text)) > _LAST_CHARACTER:
        message = "a character beyond U+2FFFF"
        raise Inexpressible(message)
    return '"' + "".join(c if c in _PLAIN else f"\\u{{{ord(c):x}}}" for c in text) + '"'


def all_of(terms: Iterable[str]) -> str:
    """Conjunction. Of nothing: true."""
    kept = [term for term in dict.fromkeys(terms) if term != TRUE]
    if FALSE in kept:
        return FALSE
    return TRUE if not kept else kept[0] if len(kept) == 1 else f"(and {' '.join(kept)})"


def any_of(terms: Iterable[str]) -> str:
    """Disjunction. Of nothing: false."""
    kept = [term for term in dict.fromkeys(terms) if term != FALSE]
    if TRUE in kept:
        return TRUE
    return FALSE if not kept else kept[0] if len(kept) == 1 else f"(or {' '.join(kept)})"


def negation(term: str) -> str:
    if term in {TRUE, FALSE}:
        return FALSE if term == TRUE else TRUE
    return term[5:-1] if term.startswith("(not ") else f"(not {term})"


def implies(premise: str, conclusion: str) -> str:
    return any_of((negation(premise), conclusion))


def equal(left: str, right: str) -> str:
    return f"(= {left} {right})"


def constant(value: bool) -> str:  # noqa: FBT001 - it is the subject, not a switch
    return TRUE if value else FALSE


def number(value: int) -> str:
    return str(value) if value >= 0 else f"(- {-value})"


def concatenated(terms: Sequence[str]) -> str:
    return '""' if not terms else terms[0] if len(terms) == 1 else f"(str.++ {' '.join(terms)})"


def within(term: str, expression: str) -> str:
    return f"(str.in_re {term} {expression})"


def sequence(expressions: Sequence[str]) -> str:
    return (
        '(str.to_re "")' if not expressions else expressions[0] if len(expressions) == 1 else _many("++", expressions)
    )


def union(expressions: Sequence[str]) -> str:
    kept = list(dict.fromkeys(expressions))
    return "re.none" if not kept else kept[0] if len(kept) == 1 else _many("union", kept)


def _many(operator: str, expressions: Sequence[str]) -> str:
    return f"(re.{operator} {' '.join(expressions)})"


def pattern(tokens: Tokens, *, in_segment: bool = False) -> str:
    """A wildcard pattern without variables as a regular expression.

    Args:
        tokens: literals and wildcards.
        in_segment: wildcards stop at `:` (the first five segments of an ARN).
    """
    character = NO_COLON if in_segment else ANY_CHARACTER
    text = f"(re.* {NO_COLON})" if in_segment else ANY_TEXT
    return sequence(
        [text if token is Wild.ANY else character if token is Wild.ONE else f"(str.to_re {quoted(str(token))})"
         for token in joined(tokens)]
    )  # fmt: skip


def matches_any(term: str, patterns: Iterable[Tokens]) -> str:
    """The text matches one of these patterns, none of which has a variable."""
    exact: list[str] = []
    wild: list[str] = []
    for raw in patterns:
        tokens = joined(raw)
        if is_everything(tokens):
            return TRUE
        if any(isinstance(token, Wild) for token in tokens):
            wild.append(pattern(tokens))
        else:
            exact.append(quoted("".join(str(token) for token in tokens)))
    found = [equal(term, text) for text in dict.fromkeys(exact)]
    return any_of([*found, *([within(term, union(wild))] if wild else [])])


def matches_bound(term: str, tokens: Tokens, bound: dict[str, str]) -> str:
    """The text matches a pattern whose variables stand for `bound`, given that all of them have a value.

    Runs between `*` are found from left to right, each at its leftmost place, as the engine finds them: no quantifier
    is needed, so the term may be negated.

    Args:
        term: the text.
        tokens: with variables.
        bound: variable key -> term of its value.

    Raises:
        Inexpressible: `?` beside a variable.
    """
    runs: list[list[str]] = [[]]
    for token in joined(tokens):
        if token is Wild.ANY:
            runs.append([])
        elif token is Wild.ONE:
            message = "`?` in a pattern with a variable"
            raise Inexpressible(message)
        else:
            runs[-1].append(bound[token.key] if isinstance(token, Variable) else quoted(str(token)))
    texts = [concatenated(run) for run in runs]
    if len(texts) == 1:
        return equal(term, texts[0])
    first, *between, last = texts
    length = f"(+ {' '.join(f'(str.len {text})' for text in texts)})"
    parts = [f"(str.prefixof {first} {term})", f"(str.suffixof {last} {term})", f"(>= (str.len {term}) {length})"]
    position = f"(str.len {first})"
    for run in between:
        found = f"(str.indexof {term} {run} {position})"
        parts.append(f"(>= {found} 0)")
        position = f"(+ {found} (str.len {run}))"
    if between:
        parts.append(f"(<= {position} (- (str.len {term}) (str.len {last})))")
    return all_of(parts)


def variables_in(tokens: Iterable[Token]) -> list[Variable]:
    return [token for token in tokens if isinstance(token, Variable)]
