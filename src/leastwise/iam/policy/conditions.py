"""Compiles the Condition block of a statement into one test of the request's context.

Operators and keys are ANDed, values are ORed, and a negated operator holds when none of its values match (NOR).

Source: IAM User Guide, "IAM JSON policy elements: Condition", "Condition operators", "Conditions with multiple context
keys or values" and "Single-valued vs. multivalued context keys".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from operator import eq, ge, gt, le, lt
from typing import Any, Final

from leastwise.iam.interface import ContextValue
from leastwise.iam.policy import clockkeys
from leastwise.iam.policy.document import ConditionEntry
from leastwise.iam.policy.matching import (
    Tokens,
    compile_alternatives,
    has_variables,
)
from leastwise.iam.policy.operators import (
    Family,
    Order,
    SetOperator,
    parse_address,
    parse_bool,
    parse_bytes,
    parse_instant,
    parse_network,
    parse_number,
)
from leastwise.iam.policy.variables import bind, compile_late_arn, compile_late_glob, keys_of, parse_pattern

Context = Mapping[str, ContextValue]
Test = Callable[[Context], bool]
"""Does this hold in the request's context?"""

Compare = Callable[[str], bool | None]
"""Does this value of the request match one of the policy's? None: it cannot be compared at all."""

_COMPARE: Final[dict[Order, Callable[[Any, Any], bool]]] = {
    Order.EQUALS: eq,
    Order.LESS: lt,
    Order.LESS_OR_EQUAL: le,
    Order.GREATER: gt,
    Order.GREATER_OR_EQUAL: ge,
}
_LOWER_BOUNDS: Final = frozenset({Order.GREATER, Order.GREATER_OR_EQUAL})
_UPPER_BOUNDS: Final = frozenset({Order.LESS, Order.LESS_OR_EQUAL})


def compile_conditions(entries: Sequence[ConditionEntry], *, variables: bool, allow: bool) -> Test | None:
    """One test for a whole Condition block; None when there is nothing to test.

    Args:
        entries: of the block.
        variables: the document's version has variables.
        allow: the statement's effect (see `_quantify`).
    """
    windows = _midnight_windows(entries)
    in_windows = {id(entry) for pair in windows for entry in pair}
    tests = [_window(pair, allow=allow) for pair in windows]
    tests += [
        compile_entry(entry, variables=variables, allow=allow) for entry in entries if id(entry) not in in_windows
    ]
    match tests:
        case []:
            return None
        case [only]:
            return only
        case [first, second]:
            return lambda context: first(context) and second(context)
        case _:
            several = tuple(tests)

            def holds(context: Context) -> bool:
                for test in several:  # noqa: SIM110 - a generator would cost as much as the tests
                    if not test(context):
                        return False
                return True

            return holds


def parts_of(entries: Sequence[ConditionEntry]) -> list[tuple[ConditionEntry, ...]]:
    """The parts that a Condition block is the conjunction of: single entries, and windows that cross midnight (two
    entries, of which one must hold).
    """
    windows = _midnight_windows(entries)
    in_windows = {id(entry) for pair in windows for entry in pair}
    return [*windows, *((entry,) for entry in entries if id(entry) not in in_windows)]


def compile_entry(entry: ConditionEntry, *, variables: bool, allow: bool) -> Test:
    """The test of one operator and one key."""
    zoned = clockkeys.zone_of_key(entry.key)
    if zoned:
        plain, zone = zoned
        inner = compile_entry(replace(entry, key=plain), variables=variables, allow=allow)
        return _in_zone(inner, plain, zone)
    key = entry.key.lower()
    family = entry.operator.family
    if family is Family.NULL:
        return _presence(key, frozenset(parse_bool(value) == "true" for value in entry.values))
    if entry.operator.takes_variables:
        patterns = patterns_of(entry, variables=variables)
        if any(has_variables(pattern) for pattern in patterns):
            return _quantify(entry, key, _late_compare(family, patterns), allow=allow)
        compare = _arn_compare(patterns) if family is Family.ARN else _text_compare(family, patterns)
    elif family is Family.IP:
        compare = _address_compare(entry.values)
    elif family is Family.BINARY:
        compare = _bytes_compare(entry.values)
    else:
        compare = _order_compare(entry, key)
    if entry.set_operator is None:
        return _single(entry, key, compare, allow=allow)
    return _quantify(entry, key, lambda _context: compare, allow=allow)


def patterns_of(entry: ConditionEntry, *, variables: bool) -> list[Tokens]:
    """The values of an operator that takes variables, as patterns."""
    wildcards = entry.operator.takes_wildcards
    return [parse_pattern(value, variables=variables, wildcards=wildcards) for value in entry.values]


def keys_read(entry: ConditionEntry, *, variables: bool) -> frozenset[str]:
    """Every condition key, in lower case, that the test of an entry reads."""
    zoned = clockkeys.zone_of_key(entry.key)
    keys = frozenset({"aws:epochtime" if zoned else entry.key.lower()})
    if not entry.operator.takes_variables:
        return keys
    return keys.union(*(keys_of(pattern) for pattern in patterns_of(entry, variables=variables)))


def _single(entry: ConditionEntry, key: str, compare: Compare, *, allow: bool) -> Test:
    """The common case, without set operator: as `_quantify`, with the single value first."""
    wanted = not entry.operator.negated
    missing = entry.operator.negated or entry.if_exists
    several = _quantify(entry, key, lambda _context: compare, allow=allow)

    def holds(context: Context) -> bool:
        value = context.get(key)
        if value is None:
            return missing
        if isinstance(value, str):
            return compare(value) is wanted
        return several(context)

    return holds


def _quantify(entry: ConditionEntry, key: str, compare_in: Callable[[Context], Compare], *, allow: bool) -> Test:
    """Applies a comparison to a key with no, one or several values.

    ForAllValues holds without values, ForAnyValue does not. Without a set operator a missing key fails a positive
    operator and satisfies a negated one. Several values under an operator without set operator are ambiguous:
    SECURITY: they are read in the way that grants least, all of them for an Allow, any of them for a Deny.
    """
    wanted = not entry.operator.negated
    match entry.set_operator:
        case SetOperator.FOR_ALL:
            missing, quantifier = True, all
        case SetOperator.FOR_ANY:
            missing, quantifier = entry.if_exists, any
        case _:
            missing, quantifier = entry.operator.negated or entry.if_exists, (all if allow else any)

    def holds(context: Context) -> bool:
        value = context.get(key)
        if not value and value != "":
            return missing
        compare = compare_in(context)
        values = (value,) if isinstance(value, str) else value
        return quantifier(compare(item) is wanted for item in values)

    return holds


def _presence(key: str, wanted: frozenset[bool]) -> Test:
    def holds(context: Context) -> bool:
        value = context.get(key)
        return (not value and value != "") in wanted

    return holds


def _late_compare(family: Family, patterns: list[Tokens]) -> Callable[[Context], Compare]:
    """Compares with the request's values in the place of the variables.

    A pattern with a variable that has no value matches nothing: positive operators fail, negated ones hold.
    """
    if family in {Family.ARN, Family.STRING, Family.STRING_LIKE}:
        compile_late = compile_late_arn if family is Family.ARN else compile_late_glob
        matchers = [compile_late(pattern) for pattern in patterns]
        return lambda context: lambda value: any(matches(value, context) for matches in matchers)

    def compare_texts(context: Context) -> Compare:
        bound = [bind(pattern, context) for pattern in patterns]
        return _text_compare(family, [tokens for tokens in bound if tokens is not None])

    return compare_texts


def _arn_compare(patterns: list[Tokens]) -> Compare:
    return compile_alternatives(patterns, arn=True) or _everything


def _text_compare(family: Family, patterns: list[Tokens]) -> Compare:
    if family is Family.STRING_LIKE:
        return compile_alternatives(patterns, arn=False) or _everything
    texts = frozenset("".join(token for token in tokens if isinstance(token, str)) for tokens in patterns)
    if family is Family.STRING:
        return texts.__contains__
    lowered = frozenset(text.lower() for text in texts)
    if family is Family.BOOL:
        lowered &= {"true", "false"}
    return lambda value: value.lower() in lowered


def _everything(_value: str) -> bool:
    return True


def _order_compare(entry: ConditionEntry, key: str) -> Compare:
    parse: Callable[[str], int | Decimal | None] = parse_number
    if entry.operator.family is Family.DATE:
        parse = parse_instant
    elif key == clockkeys.TIME_OF_DAY:
        parse = clockkeys.minutes_of_day
    order = entry.operator.order
    compare = _COMPARE[order]
    bounds = {bound for bound in map(parse, entry.values) if bound is not None}
    # Of several bounds only the one that is easiest to keep matters; of several equals, whether it is among them.
    widest = None if not bounds else min(bounds) if order in _LOWER_BOUNDS else max(bounds)

    def matches(value: str) -> bool | None:
        number = parse(value)
        if number is None:
            return None
        if order is Order.EQUALS:
            return number in bounds
        return widest is not None and compare(number, widest)

    return matches


def _address_compare(values: Sequence[str]) -> Compare:
    networks = tuple(network for network in map(parse_network, values) if network is not None)

    def matches(value: str) -> bool:
        address = parse_address(value)
        if address is None:
            return False
        version, number = address
        for network in networks:  # noqa: SIM110 - a generator would cost as much as the comparison
            if number & network.mask == network.prefix and version == network.version:
                return True
        return False

    return matches


def _bytes_compare(values: Sequence[str]) -> Compare:
    wanted = frozenset(data for data in map(parse_bytes, values) if data is not None)
    return lambda value: parse_bytes(value) in wanted


def _in_zone(inner: Test, plain_key: str, zone: str) -> Test:
    def holds(context: Context) -> bool:
        value = clockkeys.read_zoned(plain_key, zone, context.get("aws:epochtime"))
        return inner({plain_key: value} if value is not None else {})

    return holds


def _midnight_windows(entries: Sequence[ConditionEntry]) -> list[tuple[ConditionEntry, ConditionEntry]]:
    """Pairs of bounds on one time-of-day key whose lower bound is later than the upper one (see `clockkeys`)."""
    bounds = [
        entry
        for entry in entries
        if entry.operator.family is Family.NUMERIC
        and entry.key.partition("/")[0].lower() == clockkeys.TIME_OF_DAY
        and len(entry.values) == 1
        and entry.set_operator is None
    ]
    pairs: list[tuple[ConditionEntry, ConditionEntry]] = []
    for lower in (entry for entry in bounds if entry.operator.order in _LOWER_BOUNDS):
        for upper in (entry for entry in bounds if entry.operator.order in _UPPER_BOUNDS):
            opens, closes = (clockkeys.minutes_of_day(entry.values[0]) for entry in (lower, upper))
            if upper.key.lower() == lower.key.lower() and opens is not None and closes is not None and opens > closes:
                pairs.append((lower, upper))
    return pairs


def _window(pair: tuple[ConditionEntry, ConditionEntry], *, allow: bool) -> Test:
    opens, closes = (compile_entry(entry, variables=False, allow=allow) for entry in pair)
    return lambda context: opens(context) or closes(context)
