"""Lint: condition keys that do not exist, are never there, or whose absence decides what nobody meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from leastwise.iam.lint.draft import GRANTING_KINDS, Draft, DraftCondition, DraftStatement
from leastwise.iam.lint.findings import LintFinding, Severity, did_you_mean
from leastwise.iam.lint.shape import Rule
from leastwise.iam.policy import clockkeys, vocabulary
from leastwise.iam.policy.globalkeys import GLOBAL_KEYS, Presence
from leastwise.iam.policy.operators import Family, SetOperator

_MFA: Final = "aws:multifactorauthpresent"
_TAG_KEYS: Final = frozenset({"aws:requesttag", "aws:resourcetag", "aws:tagkeys"})


def keys(draft: Draft) -> Iterator[LintFinding]:
    """Condition keys that do not exist."""
    for statement, condition in each_condition(draft):
        key = condition.key
        prefix, colon, name = key.partition(":")
        if not colon or not prefix or not name:
            code, message = "INVALID_CONDITION_KEY_FORMAT", f"{key} has no service in front of a colon."
        elif vocabulary.key_named(key) is not None:
            continue
        elif prefix.lower() in {"aws", "leastwise"}:
            known = [item.name.partition("/")[0] for item in GLOBAL_KEYS.values()]
            code, message = "INVALID_GLOBAL_CONDITION_KEY", f"There is no key {key}.{did_you_mean(key, known)}"
        elif prefix.lower() in vocabulary.services():
            service = vocabulary.services()[prefix.lower()]
            known = [item.name.partition("/")[0] for item in service.keys.values()]
            code, message = "INVALID_SERVICE_CONDITION_KEY", f"{prefix} has no key {key}.{did_you_mean(key, known)}"
        elif vocabulary.service_exists(prefix.lower()) or "." in prefix:
            continue  # A service that is not known in detail, or an identity provider's host.
        else:
            code = "INVALID_SERVICE_CONDITION_KEY"
            message = f"There is no service {prefix}.{did_you_mean(prefix, ['aws', *vocabulary.services()])}"
        effect = _effect_of_missing(condition, statement)
        yield LintFinding(
            severity=Severity.ERROR,
            code=code,
            message=f"{message} {effect}",
            path=condition.path,
            remedy="Correct the key.",
        )


def _effect_of_missing(condition: DraftCondition, statement: DraftStatement) -> str:
    """What becomes of a condition whose key is never there."""
    if condition.operator is None:
        return ""
    holds = condition.operator.negated or condition.if_exists or condition.set_operator is SetOperator.FOR_ALL
    if condition.operator.family is Family.NULL:
        holds = any(word.text.lower() == "true" for word in condition.values)
    if holds:
        return "The condition always holds."
    effect = "allows" if statement.allow else "denies"
    return f"The condition never holds, so that the statement never {effect} anything."


def keys_of_other_requests(draft: Draft) -> Iterator[LintFinding]:
    """Keys that requests for the statement's actions never carry."""
    for statement in draft.statements:
        carried = _carried(statement)
        for condition in statement.conditions:
            known = vocabulary.key_named(condition.key)
            if known is None or condition.operator is None:
                continue
            effect = _effect_of_missing(condition, statement)
            if known.presence is Presence.NEVER:
                yield LintFinding(
                    severity=Severity.WARNING,
                    code="KEY_NEVER_PRESENT",
                    message=f"No request to this platform carries {condition.key}. {effect}",
                    path=condition.path,
                    remedy="Remove the condition, unless the policy is also used elsewhere.",
                )
            elif known.family in GLOBAL_KEYS and known.family not in _TAG_KEYS:
                continue
            elif carried is not None and known.family not in carried:
                yield _unsupported(statement, condition, effect)


def _carried(statement: DraftStatement) -> frozenset[str] | None:
    """Families of the keys that requests for some action of the statement carry; None when that is not known."""
    several = {word.text.lower() for word in statement.actions}
    actions = [vocabulary.actions_matching(text) for text in several]
    if statement.not_action or not all(actions):
        return None
    return frozenset(key.partition("/")[0].lower() for found in set(actions) for one in found for key in one.keys)


def _unsupported(statement: DraftStatement, condition: DraftCondition, effect: str) -> LintFinding:
    code = "KEY_NEVER_PRESENT"
    if condition.key.partition("/")[0].lower() in _TAG_KEYS:
        code = f"{'ALLOW' if statement.allow else 'DENY'}_WITH_UNSUPPORTED_TAG_CONDITION_KEY_FOR_SERVICE"
    return LintFinding(
        severity=Severity.WARNING,
        code=code,
        message=f"Requests for these actions do not carry {condition.key}. {effect}",
        path=condition.path,
        remedy="Use a key that these actions have (docs/reference/actions.md), or other actions.",
    )


def same_key_twice(draft: Draft) -> Iterator[LintFinding]:
    """Keys are case-insensitive: one operator must not have one twice."""
    for statement in draft.statements:
        seen: dict[tuple[str, str], str] = {}
        for condition in statement.conditions:
            known = seen.setdefault((condition.operator_name, condition.key.lower()), condition.key)
            if known != condition.key:
                yield LintFinding(
                    severity=Severity.ERROR,
                    code="DUPLICATE_KEYS_WITH_DIFFERENT_CASE",
                    message=f"{known} and {condition.key} are the same key.",
                    path=condition.path,
                    remedy="Put all values under one of them.",
                )


def set_operators(draft: Draft) -> Iterator[LintFinding]:
    """ForAllValues and ForAnyValue where they do not belong, and missing where they do."""
    for statement, condition in each_condition(draft):
        known = vocabulary.key_named(condition.key)
        if known is None or condition.operator is None or condition.operator.family is Family.NULL:
            continue
        if condition.set_operator is None and known.multivalued:
            yield LintFinding(
                severity=Severity.ERROR,
                code="MISSING_QUALIFIER",
                message=f"{condition.key} may have several values.",
                path=condition.path,
                remedy="Write ForAnyValue: or ForAllValues: in front of the operator.",
            )
        if condition.set_operator is not SetOperator.FOR_ALL or not statement.allow:
            continue
        if not known.multivalued:
            yield LintFinding(
                severity=Severity.SECURITY_WARNING,
                code="FORALLVALUES_WITH_SINGLE_VALUED_KEY",
                message=f"{condition.key} has one value or none, and ForAllValues also holds when it has none.",
                path=condition.path,
                remedy="Remove ForAllValues:.",
            )
        elif condition.key.lower() not in statement.required_keys:
            yield LintFinding(
                severity=Severity.WARNING,
                code="FORALLVALUES_WITHOUT_NULL_CHECK",
                message=f"ForAllValues also holds for requests without {condition.key}.",
                path=condition.path,
                remedy=f'Add "Null": {{"{condition.key}": "false"}}, unless those are meant too.',
            )


def missing_keys(draft: Draft) -> Iterator[LintFinding]:
    """What holds, or does not, because the key is not there at all."""
    for statement, condition in each_condition(draft):
        if condition.operator is None:
            continue
        key, operator = condition.key.lower(), condition.operator
        said = {word.text.lower() for word in condition.values}
        if key == _MFA and operator.family is Family.BOOL:
            if statement.deny and said == {"false"} and not condition.if_exists:
                yield LintFinding(
                    severity=Severity.SECURITY_WARNING,
                    code="MFA_DENY_WITHOUT_IF_EXISTS",
                    message="Requests with a long-term key do not carry aws:MultiFactorAuthPresent: "
                    "this Deny does not stop them.",
                    path=condition.path,
                    remedy="Use BoolIfExists.",
                )
            if statement.allow and said == {"true"} and condition.if_exists:
                yield LintFinding(
                    severity=Severity.SECURITY_WARNING,
                    code="MFA_ALLOW_WITH_IF_EXISTS",
                    message="Requests with a long-term key do not carry aws:MultiFactorAuthPresent: "
                    "this Allow holds for them, without a second factor.",
                    path=condition.path,
                    remedy="Use Bool.",
                )
            continue
        known = vocabulary.key_named(condition.key)
        optional = known is not None and known.presence is Presence.SOMETIMES
        if (
            statement.allow
            and draft.kind in GRANTING_KINDS
            and optional
            and operator.negated
            and condition.set_operator is None
            and condition.key.lower() not in statement.required_keys
        ):
            yield LintFinding(
                severity=Severity.WARNING,
                code="NEGATED_OPERATOR_WITH_MISSING_KEY",
                message=f"{condition.operator_name} also holds for requests without {condition.key}.",
                path=condition.path,
                remedy=f'Add "Null": {{"{condition.key}": "false"}}, or make it a Deny.',
            )


def zones(draft: Draft) -> Iterator[LintFinding]:
    """Time zones behind clock keys that do not exist."""
    for _, condition in each_condition(draft):
        zoned = clockkeys.zone_of_key(condition.key)
        if zoned and clockkeys.zone_named(zoned[1]) is None:
            yield LintFinding(
                severity=Severity.ERROR,
                code="INVALID_TIME_ZONE",
                message=f"{zoned[1]} is not a time zone.",
                path=condition.path,
                remedy="Write it as IANA does, e.g. Europe/Berlin.",
            )


def each_condition(draft: Draft) -> Iterator[tuple[DraftStatement, DraftCondition]]:
    for statement in draft.statements:
        for condition in statement.conditions:
            yield statement, condition


RULES: Final[tuple[Rule, ...]] = (
    keys,
    keys_of_other_requests,
    same_key_twice,
    set_operators,
    missing_keys,
    zones,
)
