"""When a Condition block holds, as a term: the same rules as `iam.policy.conditions`, which is the authority.

What cannot be expressed exactly becomes a truth value that nothing is known about (`Script.unconstrained`), the same one
wherever the same condition stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

from leastwise.iam.policy import clockkeys
from leastwise.iam.policy.conditions import parts_of, patterns_of
from leastwise.iam.policy.document import ConditionEntry
from leastwise.iam.policy.matching import ARN_SEGMENTS, Tokens, has_variables, is_everything, split_segments
from leastwise.iam.policy.operators import (
    Family,
    Order,
    SetOperator,
    parse_bool,
    parse_bytes,
    parse_instant,
    parse_network,
    parse_number,
)
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.context import ContextKey, ContextTerms, canonical, entry_identity
from leastwise.iam.reasoning.readings import Reading, Slot, reading_of
from leastwise.iam.reasoning.script import Script
from leastwise.iam.reasoning.terms import Inexpressible

Holds = Callable[[Slot], str]
"""The term: this value satisfies the operator."""

_COMPARE: Final = {
    Order.EQUALS: "=",
    Order.LESS: "<",
    Order.LESS_OR_EQUAL: "<=",
    Order.GREATER: ">",
    Order.GREATER_OR_EQUAL: ">=",
}
_SEGMENT: Final = f"(re.* {terms.NO_COLON})"
_ARN: Final = terms.sequence([*(_SEGMENT, '(str.to_re ":")') * (ARN_SEGMENTS - 1), terms.ANY_TEXT])


class Conditions:
    """Encodes Condition blocks over one context."""

    def __init__(self, script: Script, context: ContextTerms) -> None:
        self._script = script
        self._context = context
        self._known: dict[object, str] = {}

    def block(self, entries: Sequence[ConditionEntry], *, variables: bool, allow: bool) -> str:
        """The term of a whole Condition block. Args as for `iam.policy.conditions.compile_conditions`."""
        return terms.all_of(
            terms.any_of(self._entry(entry, variables=variables, allow=allow) for entry in part)
            for part in parts_of(entries)
        )

    def bound(self, tokens: Sequence[Tokens]) -> tuple[str, dict[str, str]]:
        """(term: every variable has a value, variable -> term of its value)."""
        have, values = [], dict[str, str]()
        for variable in (variable for part in tokens for variable in terms.variables_in(part)):
            key = self._context.key(variable.key)
            single = terms.all_of((key.present, terms.negation(key.several)))
            value = key.slots[0].text
            if variable.default is None:
                have.append(single)
            else:
                have.append(terms.negation(terms.all_of((key.present, key.several))))
                value = f"(ite {key.present} {value} {terms.quoted(variable.default)})"
            if values.setdefault(variable.key, value) != value:
                message = "one variable with several defaults"
                raise Inexpressible(message)
        return terms.all_of(have), values

    def arn_segments(self, text: str) -> tuple[str, tuple[str, ...]]:
        """(term: the text is an ARN, its six segments as variables)."""
        names = tuple(f"{text}_{index}" for index in range(ARN_SEGMENTS))
        is_arn = terms.within(text, _ARN)
        if names[0] not in self._script:
            for name in names:
                self._script.declare(name, "String")
            self._script.fact(
                terms.implies(
                    is_arn,
                    terms.all_of(
                        [
                            terms.equal(text, terms.concatenated(' ":" '.join(names).split(" "))),
                            *(terms.within(name, _SEGMENT) for name in names[:-1]),
                        ]
                    ),
                )
            )
        return is_arn, names

    def _entry(self, entry: ConditionEntry, *, variables: bool, allow: bool) -> str:
        identity = (*entry_identity(entry), variables, allow)
        known = self._known.get(identity)
        if known is None:
            try:
                known = self._encode(entry, variables=variables, allow=allow)
            except Inexpressible as reason:
                known = self._script.unconstrained(f"{entry.operator.name} on {entry.key}: {reason}")
            self._known[identity] = known
        return known

    def _encode(self, entry: ConditionEntry, *, variables: bool, allow: bool) -> str:
        key = self._context.key(canonical(entry.key))
        if entry.operator.family is Family.NULL:
            wanted = {parse_bool(value) == "true" for value in entry.values}
            return terms.any_of(terms.negation(key.present) if absent else key.present for absent in sorted(wanted))
        return _quantified(entry, key, self._holds(entry, variables=variables), allow=allow)

    def _holds(self, entry: ConditionEntry, *, variables: bool) -> Holds:
        family = entry.operator.family
        wanted = terms.negation if entry.operator.negated else str
        if entry.operator.takes_variables:
            patterns = patterns_of(entry, variables=variables)
            if any(has_variables(pattern) for pattern in patterns):
                if clockkeys.zone_of_key(entry.key):
                    message = "a variable beside a time zone"
                    raise Inexpressible(message)
                late = self._late(family, patterns)
                return lambda slot: wanted(late(slot))
            match = _arn(patterns) if family is Family.ARN else _text(family, patterns)
            return lambda slot: wanted(match(slot.text))
        if family is Family.IP:
            return lambda slot: wanted(_address(entry.values, slot))
        if family is Family.BINARY:
            return lambda slot: wanted(_bytes(entry.values, slot))
        return lambda slot: _ordered(entry, slot, wanted)

    def _late(self, family: Family, patterns: Sequence[Tokens]) -> Holds:
        """A pattern with a variable that has no value matches nothing."""
        if family not in {Family.ARN, Family.STRING, Family.STRING_LIKE}:
            message = "a variable where case is ignored"
            raise Inexpressible(message)

        def matches(slot: Slot) -> str:
            return terms.any_of(self._late_one(family, pattern, slot.text) for pattern in patterns)

        return matches

    def _late_one(self, family: Family, pattern: Tokens, text: str) -> str:
        if family is not Family.ARN:
            if not has_variables(pattern):
                return terms.matches_any(text, [pattern])
            have, bound = self.bound([pattern])
            return terms.all_of((have, terms.matches_bound(text, pattern, bound)))
        is_arn, names = self.arn_segments(text)
        segments = split_segments(pattern)
        have, bound = self.bound(segments)
        return terms.all_of(
            [is_arn, have, *(segment_matches(n, s, bound) for n, s in zip(names, segments, strict=True))]
        )


def segment_matches(term: str, tokens: Tokens, bound: dict[str, str]) -> str:
    """One segment of an ARN matches its part of a pattern."""
    if has_variables(tokens):
        return terms.matches_bound(term, tokens, bound)
    return terms.matches_any(term, [tokens])


def _quantified(entry: ConditionEntry, key: ContextKey, holds: Holds, *, allow: bool) -> str:
    """See `iam.policy.conditions._quantify`."""
    match entry.set_operator:
        case SetOperator.FOR_ALL:
            missing, every = True, True
        case SetOperator.FOR_ANY:
            missing, every = entry.if_exists, False
        case _:
            missing, every = entry.operator.negated or entry.if_exists, allow
    pairs = list(zip(key.used, key.slots, strict=True))
    if every:
        values = terms.all_of(terms.implies(used, holds(slot)) for used, slot in pairs)
    else:
        values = terms.any_of(terms.all_of((used, holds(slot))) for used, slot in pairs)
    if missing:
        return terms.implies(key.present, values)
    return terms.all_of((key.present, values))


def _arn(patterns: Sequence[Tokens]) -> Callable[[str], str]:
    if any(is_everything(tokens) for tokens in patterns):
        return lambda _text: terms.TRUE
    expressions = []
    for tokens in patterns:
        *first, last = split_segments(tokens)
        parts: list[str] = []
        for segment in first:
            parts += [terms.pattern(segment, in_segment=True), '(str.to_re ":")']
        expressions.append(terms.sequence([*parts, terms.pattern(last)]))
    return lambda text: terms.within(text, terms.union(expressions)) if expressions else terms.FALSE


def _text(family: Family, patterns: Sequence[Tokens]) -> Callable[[str], str]:
    if family in {Family.STRING, Family.STRING_LIKE}:
        return lambda text: terms.matches_any(text, patterns)
    lowered = {"".join(str(token) for token in tokens).lower() for tokens in patterns}
    if family is Family.BOOL:
        lowered &= {"true", "false"}
    expressions = [any_case(text) for text in sorted(lowered)]
    return lambda text: terms.within(text, terms.union(expressions)) if expressions else terms.FALSE


def any_case(lowered: str) -> str:
    """Every text that is this one in lower case. Raises: Inexpressible: beyond ASCII, where lower case has surprises."""
    if not lowered.isascii():
        message = "case beyond ASCII"
        raise Inexpressible(message)
    parts = []
    for character in lowered:
        # U+212A, the sign of Kelvin, is `k` in lower case.
        same = {character, character.upper()} | ({"\u212a"} if character == "k" else set())
        parts.append(terms.union([f"(str.to_re {terms.quoted(one)})" for one in sorted(same)]))
    return terms.sequence(parts)


def _ordered(entry: ConditionEntry, slot: Slot, wanted: Callable[[str], str]) -> str:
    reading = reading_of(entry, canonical(entry.key))
    bounds: list[int]
    if reading is Reading.MINUTES:
        bounds = [minutes for minutes in map(clockkeys.minutes_of_day, entry.values) if minutes is not None]
    elif reading is Reading.INSTANT:
        bounds = [instant for instant in map(parse_instant, entry.values) if instant is not None]
    else:
        scale = slot.uses.scale
        numbers = [number for number in map(parse_number, entry.values) if number is not None]
        bounds = [int(Fraction(number) * scale) for number in numbers]
    letter = Reading.NUMBER.value if reading is None else reading.value
    compare, value = _COMPARE[entry.operator.order], slot.name(letter)
    found = terms.any_of(f"({compare} {value} {terms.number(bound)})" for bound in bounds)
    return terms.all_of((slot.name(f"is{letter}"), wanted(found)))


def _address(values: Sequence[str], slot: Slot) -> str:
    networks = [network for network in map(parse_network, values) if network is not None]
    found = []
    for network in networks:
        last = network.prefix | (network.mask ^ ((1 << (32 if network.version == 4 else 128)) - 1))  # noqa: PLR2004
        found.append(f"(and (= {slot.name('av')} {network.version}) (<= {network.prefix} {slot.name('a')} {last}))")
    return terms.any_of(found)


def _bytes(values: Sequence[str], slot: Slot) -> str:
    known = slot.uses.wanted_bytes
    wanted = [data for data in map(parse_bytes, values) if data is not None]
    return terms.any_of(f"(= {slot.name('b')} {known.index(data) + 1})" for data in wanted)
