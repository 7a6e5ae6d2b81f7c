"""Lint: conditions on one key that can never hold together.

The engine itself is asked, with a finite set of values that stands for all: when the statement's conditions on a key
hold for none of them, they hold for no value. Where no such set is known, nothing is claimed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Final

from leastwise.iam.interface import MalformedPolicy
from leastwise.iam.lint.draft import Draft, DraftCondition, DraftStatement
from leastwise.iam.lint.findings import LintFinding, Severity
from leastwise.iam.lint.shape import Rule
from leastwise.iam.policy import clockkeys, vocabulary
from leastwise.iam.policy.conditions import compile_conditions, keys_read
from leastwise.iam.policy.document import ConditionEntry
from leastwise.iam.policy.operators import Family, parse_instant, parse_number

_MOST_VALUES: Final = 200
"""Of all conditions on one key. SECURITY: with more the answer would take too long, and nothing is claimed."""
_LONGEST_NUMBER: Final = 20
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTES: Final = 24 * 60


def contradictions(draft: Draft) -> Iterator[LintFinding]:
    """Statements that never apply, because two conditions exclude each other."""
    for statement in draft.statements:
        by_key: dict[str, list[DraftCondition]] = {}
        for condition in statement.conditions:
            by_key.setdefault(condition.key.lower(), []).append(condition)
        for key, conditions in by_key.items():
            if not _can_hold(key, conditions, variables=draft.variables, allow=statement.allow):
                yield _contradiction(statement, conditions)


def _contradiction(statement: DraftStatement, conditions: Sequence[DraftCondition]) -> LintFinding:
    names = " and ".join(condition.operator_name for condition in conditions)
    effect = "allows" if statement.allow else "denies"
    return LintFinding(
        severity=Severity.WARNING,
        code="CONTRADICTORY_CONDITIONS",
        message=f"{names} on {conditions[-1].key} never hold together: the statement never {effect} anything.",
        path=conditions[-1].path,
        remedy="Several values of one operator are alternatives; several operators must all hold.",
    )


def _can_hold(key: str, conditions: Sequence[DraftCondition], *, variables: bool, allow: bool) -> bool:
    """False only when no value, and no absence, satisfies all of them."""
    if len(conditions) == 1 or clockkeys.zone_of_key(key):
        return True
    if sum(len(condition.values) for condition in conditions) > _MOST_VALUES:
        return True
    known = vocabulary.key_named(key)
    entries = [entry for condition in conditions if (entry := condition.entry()) is not None]
    if known is None or known.multivalued or len(entries) != len(conditions):
        return True
    if any(entry.set_operator is not None or not entry.values for entry in entries):
        return True
    try:
        if any(keys_read(entry, variables=variables) != {key} for entry in entries):
            return True  # A variable: the other value is not known.
        holds = compile_conditions(entries, variables=variables, allow=allow)
        values = _representatives(key, entries)
    except (MalformedPolicy, ValueError, ArithmeticError):
        return True
    if holds is None or values is None:
        return True
    return holds({}) or any(holds({key: value}) for value in values)


def _representatives(key: str, entries: Sequence[ConditionEntry]) -> list[str] | None:
    """Values of which one satisfies the entries if any value does; None when there is no finite set of them."""
    compared = [entry for entry in entries if entry.operator.family is not Family.NULL]
    absent = any(
        entry.operator.family is Family.NULL and {value.lower() for value in entry.values} == {"true"}
        for entry in entries
    )
    if absent:
        return []
    exact = [entry for entry in compared if entry.operator.family is Family.STRING and not entry.operator.negated]
    if exact:
        fewest = min((entry.values for entry in exact), key=len)
        return None if any("${" in value for value in fewest) else list(fewest)
    families = {entry.operator.family for entry in compared}
    if len(families) != 1:
        return None
    texts = [value for entry in compared for value in entry.values]
    match families.pop():
        case Family.BOOL:
            return ["true", "false"]
        case Family.NUMERIC if key == clockkeys.TIME_OF_DAY:
            return _minutes(texts)
        case Family.NUMERIC:
            return _around(texts)
        case Family.DATE:
            return _instants(texts)
        case Family.IP:
            return _addresses(texts)
    return None


def _around(texts: Sequence[str]) -> list[str] | None:
    """Every bound, something between each two neighbours, and something outside of all."""
    if any(len(text) > _LONGEST_NUMBER for text in texts):
        return None
    numbers = [number for text in texts if (number := parse_number(text)) is not None]
    with localcontext(prec=4 * _LONGEST_NUMBER):
        ordered = sorted({Decimal(number) for number in numbers})
        between = [(low + high) / 2 for low, high in pairwise(ordered)]
        found = [*ordered, *between, *(number + step for number in ordered for step in (-1, 1))]
        return [f"{number:f}" for number in found]


def _instants(texts: Sequence[str]) -> list[str]:
    """Every bound, and the microseconds before and after it: dates are compared in microseconds."""
    bounds = [instant for text in texts if (instant := parse_instant(text)) is not None]
    near = {bound + step for bound in bounds for step in (-1, 0, 1)}
    return [(_EPOCH + timedelta(microseconds=instant)).isoformat() for instant in sorted(near)]


def _minutes(texts: Sequence[str]) -> list[str]:
    bounds = [minute for text in texts if (minute := clockkeys.minutes_of_day(text)) is not None]
    near = {bound + step for bound in bounds for step in (-1, 0, 1)}
    return [f"{minute // 60:02d}:{minute % 60:02d}" for minute in sorted(near) if 0 <= minute < _MINUTES]


def _addresses(texts: Sequence[str]) -> list[str]:
    """First and last address of each range, and their neighbours outside of it."""
    found: list[str] = []
    for text in texts:
        network = ipaddress.ip_network(text, strict=False)
        first, last = int(network.network_address), int(network.broadcast_address)
        kind = ipaddress.IPv4Address if network.version == 4 else ipaddress.IPv6Address  # noqa: PLR2004 - IP versions
        most = 2**network.max_prefixlen - 1
        found += [str(kind(number)) for number in (first, last, first - 1, last + 1) if 0 <= number <= most]
    versions = {ipaddress.ip_network(text, strict=False).version for text in texts}
    return [*found, *(other for version, other in ((6, "192.0.2.1"), (4, "2001:db8::1")) if versions == {version})]


RULES: Final[tuple[Rule, ...]] = (contradictions,)
