"""Lint: statements and actions that never matter, because a Deny or another statement says it all.

Sound, not complete (see `containment`): what is reported really never matters; not everything is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from leastwise.iam.interface import MalformedPolicy
from leastwise.iam.lint.draft import Draft, DraftStatement
from leastwise.iam.lint.findings import LintFinding, Severity
from leastwise.iam.lint.shape import Rule
from leastwise.iam.policy.clockkeys import TIME_OF_DAY
from leastwise.iam.policy.containment import Effort, action_pattern, arn_covers, covers, disjoint, resource_pattern
from leastwise.iam.policy.document import ConditionEntry, PolicyDocument, Statement, parse_document
from leastwise.iam.policy.matching import Tokens, has_variables, is_everything

_LARGEST: Final = 200
"""Statements. Above it the pairs are too many, and so is the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a statement is about, ready to be compared."""

    statement: Statement
    raw_principal: tuple[str, Any]
    actions: tuple[Tokens, ...]
    resources: tuple[Tokens, ...] | None
    effort: Effort


def reach_of(statement: Statement, raw: Mapping[str, Any], *, variables: bool, effort: Effort) -> Reach:
    """Of a statement and of what it was read from; `effort` is shared by all that are compared."""
    element = "NotPrincipal" if "NotPrincipal" in raw else "Principal"
    resources = None
    if statement.resources is not None:
        resources = tuple(resource_pattern(text, variables=variables) for text in statement.resources)
    return Reach(
        statement=statement,
        raw_principal=(element, raw.get(element)),
        actions=tuple(action_pattern(text) for text in statement.actions),
        resources=resources,
        effort=effort,
    )


def includes(wide: Reach, narrow: Reach) -> bool:
    """Whenever the narrow statement applies to a request, the wide one does too (whatever their effects).

    Principals are compared by what is written, so that the narrow one never stands more firmly (`principals.Grade`).
    """
    return (
        _principal_includes(wide, narrow)
        and _actions_include(wide, narrow)
        and _resources_include(wide, narrow)
        and conditions_imply(narrow.statement.conditions, wide.statement.conditions)
    )


def unreachable(draft: Draft) -> Iterator[LintFinding]:
    """Allows, and single actions of them, that a Deny of the same policy takes back whatever the request."""
    pairs = _reaches(draft)
    denies = [reach for _, reach in pairs if not reach.statement.allow]
    for drafted, reach in pairs:
        if not reach.statement.allow or not denies:
            continue
        if reach.statement.not_action:
            dead = [any(includes(deny, reach) for deny in denies)]
        else:
            dead = [_denied(action, reach, denies) for action in reach.actions]
        if dead and all(dead):
            yield LintFinding(
                severity=Severity.WARNING,
                code="UNREACHABLE_STATEMENT",
                message="All that this statement allows is denied by this policy.",
                path=drafted.path,
                remedy="Remove it, or narrow the Deny.",
            )
        elif not reach.statement.not_action:
            for index, word in enumerate(drafted.actions):
                if dead[index]:
                    yield LintFinding(
                        severity=Severity.WARNING,
                        code="UNREACHABLE_ACTION",
                        message=f"{word.text} is denied by this policy wherever it is allowed here.",
                        path=word.path,
                        remedy="Remove it, or narrow the Deny.",
                    )


def _denied(action: Tokens, reach: Reach, denies: Sequence[Reach]) -> bool:
    """For this one action, each of the statement's resources is denied by some statement."""
    if reach.resources is None or reach.statement.not_resource:
        return any(includes(deny, replace(reach, actions=(action,))) for deny in denies)
    return all(
        any(includes(deny, replace(reach, actions=(action,), resources=(resource,))) for deny in denies)
        for resource in reach.resources
    )


def redundant_statements(draft: Draft) -> Iterator[LintFinding]:
    """Statements that another one of the same effect includes; of equal ones the later is the redundant one."""
    pairs = _reaches(draft)
    for index, (drafted, reach) in enumerate(pairs):
        for other, (_, wide) in enumerate(pairs):
            if wide.effort.left <= 0:
                return
            if index == other or wide.statement.allow is not reach.statement.allow or not includes(wide, reach):
                continue
            if other > index and includes(reach, wide):
                continue
            name = f" ({wide.statement.sid})" if wide.statement.sid else ""
            yield LintFinding(
                severity=Severity.SUGGESTION,
                code="REDUNDANT_STATEMENT",
                message=f"Statement {wide.statement.index + 1}{name} includes all of this one.",
                path=drafted.path,
                remedy="Remove it.",
            )
            break


def _reaches(draft: Draft) -> list[tuple[DraftStatement, Reach]]:
    """Nothing when the document cannot be read: its other findings come first."""
    try:
        document: PolicyDocument = parse_document(draft.text, kind=draft.kind)
    except MalformedPolicy:
        return []
    if len(document.statements) > _LARGEST or len(document.statements) != len(draft.statements):
        return []
    effort = Effort()
    return [
        (drafted, reach_of(statement, drafted.raw, variables=document.has_variables, effort=effort))
        for drafted, statement in zip(draft.statements, document.statements, strict=True)
    ]


def _principal_includes(wide: Reach, narrow: Reach) -> bool:
    if wide.raw_principal == narrow.raw_principal:
        return True
    if "NotPrincipal" in {wide.raw_principal[0], narrow.raw_principal[0]}:
        return False
    if _is_everyone(wide.raw_principal[1]):
        return True
    if not isinstance(wide.raw_principal[1], Mapping) or not isinstance(narrow.raw_principal[1], Mapping):
        return False
    return all(
        set(_listed(values)) <= set(_listed(wide.raw_principal[1].get(kind, [])))
        for kind, values in narrow.raw_principal[1].items()
    )


def _is_everyone(raw: Any) -> bool:
    return raw == "*" or (isinstance(raw, Mapping) and "*" in _listed(raw.get("AWS", [])))


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _actions_include(wide: Reach, narrow: Reach) -> bool:
    match wide.statement.not_action, narrow.statement.not_action:
        case False, False:
            return all(any(covers(a, b, wide.effort) for a in wide.actions) for b in narrow.actions)
        case True, False:
            return all(disjoint(a, b, wide.effort) for a in wide.actions for b in narrow.actions)
        case True, True:
            return all(any(covers(b, a, wide.effort) for b in narrow.actions) for a in wide.actions)
        case _:
            return any(is_everything(a) for a in wide.actions)


def _resources_include(wide: Reach, narrow: Reach) -> bool:
    if wide.resources is None or narrow.resources is None:
        return wide.resources is narrow.resources
    if not wide.statement.not_resource:
        if any(is_everything(a) for a in wide.resources):
            return True
        return not narrow.statement.not_resource and all(
            any(arn_covers(a, b, wide.effort) for a in wide.resources) for b in narrow.resources
        )
    # What a NotResource with a variable leaves out depends on the request and on the effect.
    if any(has_variables(pattern) for pattern in (*wide.resources, *narrow.resources)):
        return False
    return narrow.statement.not_resource and all(
        any(arn_covers(b, a, wide.effort) for b in narrow.resources) for a in wide.resources
    )


def conditions_imply(narrow: Sequence[ConditionEntry], wide: Sequence[ConditionEntry]) -> bool:
    """When all of `narrow` hold, all of `wide` do.

    Each wide entry must be one of the narrow ones, with at least its values (at most, where the operator is negated).
    Two bounds on the time of day are read together (`clockkeys`), so these must be the same on both sides.
    """
    if not wide:
        return True
    windows = [
        {_comparable(entry) for entry in entries if entry.key.partition("/")[0].lower() == TIME_OF_DAY}
        for entries in (narrow, wide)
    ]
    if windows[0] != windows[1]:
        return False
    return all(any(_implies(given, wanted) for given in narrow) for wanted in wide)


def _comparable(entry: ConditionEntry) -> tuple[Any, ...]:
    return (entry.set_operator, entry.operator.name, entry.if_exists, entry.key.lower(), frozenset(entry.values))


def _implies(given: ConditionEntry, wanted: ConditionEntry) -> bool:
    if _comparable(given)[:-1] != _comparable(wanted)[:-1]:
        return False
    mine, theirs = set(given.values), set(wanted.values)
    return mine >= theirs if given.operator.negated else mine <= theirs


RULES: Final[tuple[Rule, ...]] = (unreachable, redundant_statements)
