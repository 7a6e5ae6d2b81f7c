"""Lint: actions and resources that do not exist, do not fit together, or are said twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from leastwise.iam.interface import PolicyKind
from leastwise.iam.lint.draft import Draft, DraftStatement, Word
from leastwise.iam.lint.findings import LintFinding, Severity, did_you_mean
from leastwise.iam.lint.shape import Rule
from leastwise.iam.policy import vocabulary
from leastwise.iam.policy.containment import (
    Effort,
    action_pattern,
    arn_covers,
    arn_disjoint,
    covers,
    resource_pattern,
)
from leastwise.iam.policy.matching import ARN_SEGMENTS, Tokens, is_everything, parse_wildcards, split_segments

_ACCOUNT: Final = re.compile(r"[0-9]{12}|aws|")
_REGIONLESS: Final = frozenset({"iam", "organizations", "sts"})


def unknown_actions(draft: Draft) -> Iterator[LintFinding]:
    """Services and actions that do not exist. An Allow of them gives nothing; a Deny of them forbids nothing."""
    for statement in draft.statements:
        for word in statement.actions:
            prefix, colon, name = word.text.partition(":")
            if not colon or not name:
                continue
            lowered = prefix.lower()
            if "*" in prefix or "?" in prefix:
                if not vocabulary.actions_matching(word.text):
                    yield _invalid_action(word, statement)
            elif not vocabulary.service_exists(lowered):
                yield LintFinding(
                    severity=Severity.ERROR,
                    code="INVALID_SERVICE_IN_ACTION",
                    message=f"There is no service {prefix}.{did_you_mean(prefix, vocabulary.services())}",
                    path=word.path,
                    remedy="Correct the service's prefix.",
                )
            elif lowered not in vocabulary.services():
                yield LintFinding(
                    severity=Severity.SUGGESTION,
                    code="SERVICE_NOT_CHECKED",
                    message=f"This platform does not offer {prefix}; its actions were not checked.",
                    path=word.path,
                    remedy="Nothing, if the policy is also used elsewhere.",
                )
            elif not vocabulary.actions_matching(word.text):
                yield _invalid_action(word, statement)


def _invalid_action(word: Word, statement: DraftStatement) -> LintFinding:
    service = vocabulary.services().get(word.text.partition(":")[0].lower())
    names = [action.full_name for action in service.actions.values()] if service else []
    what = "No action matches" if "*" in word.text or "?" in word.text else "There is no action"
    effect = "an exception from nothing" if statement.not_action else "without effect"
    return LintFinding(
        severity=Severity.ERROR,
        code="INVALID_ACTION",
        message=f"{what} {word.text}; it is {effect}.{did_you_mean(word.text, names)}",
        path=word.path,
        remedy="Correct it, or remove it.",
    )


def wildcard_in_service_name(draft: Draft) -> Iterator[LintFinding]:
    """`*:Get*` also means services that come later."""
    for statement in draft.statements:
        for word in statement.actions:
            prefix, colon, _ = word.text.partition(":")
            if colon and ("*" in prefix or "?" in prefix):
                yield LintFinding(
                    severity=Severity.SUGGESTION,
                    code="WILDCARD_IN_SERVICE_NAME",
                    message=f"{word.text} means every service whose prefix fits, also those that come later.",
                    path=word.path,
                    remedy="Name the services.",
                )


def redundant_actions(draft: Draft) -> Iterator[LintFinding]:
    """Actions and resources that another one of the same element includes."""
    for statement in draft.statements:
        actions = [action_pattern(word.text) for word in statement.actions]
        for index, other in _included(actions, arn=False):
            yield _redundant("REDUNDANT_ACTION", statement.actions[index], statement.actions[other])
        resources = [resource_pattern(word.text, variables=draft.variables) for word in statement.resources]
        for index, other in _included(resources, arn=True):
            yield _redundant("REDUNDANT_RESOURCE", statement.resources[index], statement.resources[other])


def _included(patterns: Sequence[Tokens], *, arn: bool) -> Iterator[tuple[int, int]]:
    """(which, in which other); of equal ones the later is the redundant one."""
    compare, effort = (arn_covers if arn else covers), Effort()
    for index, pattern in enumerate(patterns):
        if effort.left <= 0:
            return
        for other, wide in enumerate(patterns):
            if index == other or not compare(wide, pattern, effort):
                continue
            if other < index or not compare(pattern, wide):
                yield index, other
                break


def _redundant(code: str, word: Word, other: Word) -> LintFinding:
    return LintFinding(
        severity=Severity.SUGGESTION,
        code=code,
        message=f"{word.text} is included in {other.text}.",
        path=word.path,
        remedy=f"Remove {word.text}.",
    )


def malformed_resources(draft: Draft) -> Iterator[LintFinding]:
    """ARNs that are not whole, or whose segments cannot be."""
    for statement in draft.statements:
        for word in statement.resources:
            pattern = resource_pattern(word.text, variables=draft.variables)
            if is_everything(pattern):
                continue
            if not word.text.startswith("arn:"):
                yield _arn(
                    Severity.ERROR, "INVALID_ARN_PREFIX", word, 'is neither an ARN nor "*".', 'Begin it with "arn:".'
                )
                continue
            segments = word.text.split(":", ARN_SEGMENTS - 1)
            if len(segments) < ARN_SEGMENTS:
                what = "is not a whole ARN; what is missing is read as `*`."
                yield _arn(Severity.WARNING, "MISSING_ARN_FIELD", word, what, "Write all six segments.")
                continue
            service, region, account = segments[2:5]
            literal = not any(mark in account for mark in "*?$")
            if literal and not _ACCOUNT.fullmatch(account):
                what = f"names the account {account}, which is not twelve digits."
                yield _arn(Severity.ERROR, "INVALID_ARN_ACCOUNT", word, what, "Write the account's twelve digits.")
            if region not in {"", "*"} and service in _REGIONLESS:
                what = f"names a region, and {service} has none: it matches nothing."
                yield _arn(Severity.ERROR, "ARN_REGION_NOT_ALLOWED", word, what, "Leave the region empty.")


def _arn(severity: Severity, code: str, word: Word, what: str, remedy: str) -> LintFinding:
    return LintFinding(severity=severity, code=code, message=f"{word.text} {what}", path=word.path, remedy=remedy)


def actions_and_resources(draft: Draft) -> Iterator[LintFinding]:
    """Actions that work on none of the statement's resources, and resources that none of its actions works on."""
    if draft.kind is PolicyKind.TRUST:
        return
    for statement in draft.statements:
        if statement.not_action or statement.not_resource or not statement.resources:
            continue
        patterns = [resource_pattern(word.text, variables=draft.variables) for word in statement.resources]
        if any(is_everything(pattern) or not _readable(pattern) for pattern in patterns):
            continue
        reached: set[int] = set()
        unknown = False
        effort = Effort()
        for word in statement.actions:
            actions = vocabulary.actions_matching(word.text)
            unknown = unknown or not actions or word.text.partition(":")[0].lower() not in vocabulary.services()
            if effort.left <= 0:
                break
            known = _resources(actions)
            fitting = {index for index, pattern in enumerate(patterns) if _fits(known, pattern, effort)}
            reached |= fitting
            if actions and not fitting:
                yield _mismatched_action(word, actions)
        if not unknown and reached and effort.left > 0:
            for index in sorted(set(range(len(patterns))) - reached):
                yield LintFinding(
                    severity=Severity.WARNING,
                    code="RESOURCE_WITHOUT_ACTION",
                    message=f"No action of this statement works on {statement.resources[index].text}.",
                    path=statement.resources[index].path,
                    remedy="Remove the resource, or name the actions that are meant.",
                )


def _readable(pattern: Tokens) -> bool:
    """An ARN whose service is a plain word: what is malformed is said elsewhere."""
    service = split_segments(pattern)[2]
    return len(service) == 1 and isinstance(service[0], str)


def _fits(known: Sequence[Tokens], pattern: Tokens, effort: Effort) -> bool:
    return any(not arn_disjoint(kind, pattern, effort) for kind in known)


@lru_cache(maxsize=1024)
def _resources(actions: tuple[vocabulary.Action, ...]) -> tuple[Tokens, ...]:
    """What actions are asked for. Some that have no resource types are asked for a path of their service all the same
    (`iam:ListUsers` for `user/`), so that only resources of other services are surely wrong.
    """
    found: dict[Tokens, None] = {}
    for action in actions:
        kinds = [kind.pattern for kind in vocabulary.resources_of(action)]
        found.update(dict.fromkeys(kinds or [parse_wildcards(f"arn:*:{action.service}:*:*:*")]))
    return tuple(found)


def _mismatched_action(word: Word, actions: Sequence[vocabulary.Action]) -> LintFinding:
    formats = sorted({kind.arn for action in actions for kind in vocabulary.resources_of(action)})
    if formats:
        shown = ", ".join(formats[:3]) + (", ..." if len(formats) > len(formats[:3]) else "")
        message = f"{word.text} works on none of the statement's resources, but on {shown}."
    else:
        message = f"{word.text} is not about single resources: it is only matched by the resource *."
    return LintFinding(
        severity=Severity.WARNING,
        code="ACTION_RESOURCE_MISMATCH",
        message=message,
        path=word.path,
        remedy="Put the action into a statement with resources that it works on.",
    )


RULES: Final[tuple[Rule, ...]] = (
    unknown_actions,
    wildcard_in_service_name,
    redundant_actions,
    malformed_resources,
    actions_and_resources,
)
