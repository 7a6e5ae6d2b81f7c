"""Lint: what allows more than it should. Only policies that give are looked at; those that limit are wide on purpose.

Source: IAM User Guide, "Access Analyzer policy check reference" (security warnings) and "Security best practices in
IAM"; the actions of `_ESCALATION` are those of the published privilege-escalation paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from leastwise.iam.interface import PolicyKind
from leastwise.iam.lint.draft import GRANTING_KINDS, Draft, DraftStatement, Word
from leastwise.iam.lint.findings import LintFinding, Severity
from leastwise.iam.lint.shape import Rule
from leastwise.iam.policy.containment import action_pattern, covers, resource_pattern
from leastwise.iam.policy.matching import is_everything

_HANDING_OVER: Final = "iam:passrole"
_ASSUME_ROLE: Final = "sts:assumerole"
_POWERFUL_SERVICES: Final = frozenset({"iam", "sts", "organizations", "kms"})
_ESCALATION: Final = {
    "iam:addusertogroup": "joins any group",
    "iam:attachgrouppolicy": "gives a group any policy",
    "iam:attachrolepolicy": "gives a role any policy",
    "iam:attachuserpolicy": "gives a user any policy",
    "iam:createaccesskey": "makes keys for another user",
    "iam:createloginprofile": "sets a password for another user",
    "iam:createpolicyversion": "rewrites a policy that others have",
    "iam:deleterolepermissionsboundary": "lifts the limit of a role",
    "iam:deleteuserpermissionsboundary": "lifts the limit of a user",
    "iam:putgrouppolicy": "gives a group any permission",
    "iam:putrolepermissionsboundary": "changes the limit of a role",
    "iam:putrolepolicy": "gives a role any permission",
    "iam:putuserpermissionsboundary": "changes the limit of a user",
    "iam:putuserpolicy": "gives a user any permission",
    "iam:setdefaultpolicyversion": "brings back a wider version of a policy",
    "iam:updateassumerolepolicy": "lets anybody become a role",
    "iam:updateloginprofile": "changes the password of another user",
    "lambda:addpermission": "lets anybody call a function",
    "lambda:updatefunctioncode": "runs its own code as any function's role",
    "lambda:updatefunctionconfiguration": "runs its own layer or environment as any function's role",
    "organizations:attachpolicy": "changes what whole accounts may do",
    "organizations:detachpolicy": "lifts what whole accounts must not do",
    "organizations:updatepolicy": "changes what whole accounts may do",
}
"""Actions with which a principal gets more than it has, and how."""


def everything(draft: Draft) -> Iterator[LintFinding]:
    """Every action, or every action of a service."""
    for statement in _giving(draft):
        if statement.not_action:
            continue
        for word in statement.actions:
            service, colon, name = word.text.lower().partition(":")
            if is_everything(action_pattern(word.text)) or (set(service) == {"*"} and set(name) == {"*"}):
                yield _risk(
                    Severity.SECURITY_WARNING,
                    "ALLOW_EVERY_ACTION",
                    word,
                    "This allows every action, also those that come later.",
                    "Name the actions that are needed.",
                )
            elif colon and set(name) == {"*"} and "*" not in service:
                powerful = service in _POWERFUL_SERVICES
                yield _risk(
                    Severity.SECURITY_WARNING if powerful else Severity.WARNING,
                    "ALLOW_WHOLE_SERVICE",
                    word,
                    f"This allows every action of {service}, also those that come later"
                    + (", and with it everything else." if powerful else "."),
                    "Name the actions that are needed.",
                )


def negations(draft: Draft) -> Iterator[LintFinding]:
    """An Allow with NotAction, NotResource or NotPrincipal allows whatever is not named."""
    for statement in _giving(draft):
        for element, code in (
            ("NotAction", "ALLOW_WITH_NOT_ACTION"),
            ("NotResource", "ALLOW_WITH_NOT_RESOURCE"),
            ("NotPrincipal", "ALLOW_WITH_NOT_PRINCIPAL"),
        ):
            if element in statement.raw:
                path = (*statement.path, element)
                yield _risk(
                    Severity.SECURITY_WARNING,
                    code,
                    Word(path=path, text=""),
                    f"An Allow with {element} allows everything that is not named, also what comes later.",
                    f"Use {element.removeprefix('Not')}, or a Deny with {element}.",
                )


def pass_role(draft: Draft) -> Iterator[LintFinding]:
    """Handing any role to a service is having any role."""
    for statement in _giving(draft):
        if statement.not_action or _has_key(statement, "iam:passedtoservice"):
            continue
        for word in statement.actions:
            if not covers(action_pattern(word.text), action_pattern(_HANDING_OVER)):
                continue
            star = word.text.lower() != _HANDING_OVER
            if statement.not_resource:
                code = "PASS_ROLE_WITH_STAR_IN_ACTION_AND_NOT_RESOURCE" if star else "PASS_ROLE_WITH_NOT_RESOURCE"
            elif _any_role(draft, statement):
                code = "PASS_ROLE_WITH_STAR_IN_ACTION_AND_RESOURCE" if star else "PASS_ROLE_WITH_STAR_IN_RESOURCE"
            else:
                continue
            yield _risk(
                Severity.SECURITY_WARNING,
                code,
                word,
                "This lets whoever has it run code as any role.",
                "Name the roles, and add a condition on iam:PassedToService.",
            )


def assume_role(draft: Draft) -> Iterator[LintFinding]:
    """Becoming any role that lets itself be assumed."""
    for statement in _giving(draft):
        if statement.not_action or statement.conditions or draft.kind is PolicyKind.TRUST:
            continue
        for word in statement.actions:
            exact = word.text.lower() in {_ASSUME_ROLE, f"{_ASSUME_ROLE}*"}
            if exact and (statement.not_resource or _any_role(draft, statement)):
                yield _risk(
                    Severity.SECURITY_WARNING,
                    "ASSUME_ROLE_WITH_STAR_IN_RESOURCE",
                    word,
                    "This lets whoever has it become every role that trusts the account.",
                    "Name the roles.",
                )


def everyone(draft: Draft) -> Iterator[LintFinding]:
    """A Principal of `*` without a condition is the whole world, other accounts included."""
    for statement in _giving(draft):
        if statement.conditions or draft.kind not in {PolicyKind.RESOURCE, PolicyKind.TRUST}:
            continue
        for path, text in _principals(statement):
            if text == "*":
                yield _risk(
                    Severity.SECURITY_WARNING,
                    "PRINCIPAL_WITH_STAR",
                    Word(path=path, text="*"),
                    "This allows everybody, in every account.",
                    "Name the principals, or add a condition such as aws:PrincipalOrgID or aws:PrincipalArn.",
                )


def services_without_source(draft: Draft) -> Iterator[LintFinding]:
    """A service acts for everybody: without a source, for everybody on this resource (the confused deputy)."""
    wanted = ("aws:sourcearn", "aws:sourceaccount", "aws:sourceorgid", "aws:sourceorgpaths")
    for statement in _giving(draft):
        if draft.kind is not PolicyKind.RESOURCE or any(_has_key(statement, key) for key in wanted):
            continue
        for path, text in _principals(statement):
            if "Service" in path:
                yield _risk(
                    Severity.SUGGESTION,
                    "RECOMMENDED_CONDITION_KEY_FOR_SERVICE_PRINCIPAL",
                    Word(path=path, text=text),
                    f"{text} may do this on behalf of any account.",
                    "Add a condition on aws:SourceArn or aws:SourceAccount.",
                )


def escalation(draft: Draft) -> Iterator[LintFinding]:
    """Actions with which a principal can get more than it was given, on resources that are not named."""
    for statement in _giving(draft):
        if statement.not_action or statement.conditions or draft.kind is not PolicyKind.IDENTITY:
            continue
        if not statement.not_resource and not any(_wide(draft, word) for word in statement.resources):
            continue
        for word in statement.actions:
            service, _, name = word.text.lower().partition(":")
            if set(name) <= {"*"} or "*" in service:
                continue  # `everything` says so.
            pattern = action_pattern(word.text)
            ways = [how for action, how in _ESCALATION.items() if covers(pattern, action_pattern(action))]
            if ways:
                yield _risk(
                    Severity.SECURITY_WARNING,
                    "PRIVILEGE_ESCALATION",
                    word,
                    f"On resources that are not named, {word.text} is a way to more permissions: it {ways[0]}"
                    + (f", and {len(ways) - 1} more." if len(ways) > 1 else "."),
                    "Name the resources, or add a condition such as iam:PermissionsBoundary or iam:PolicyARN.",
                )


def deny_with_not_principal(draft: Draft) -> Iterator[LintFinding]:
    """It must list the account and each session of a role, and always hits principals with a boundary."""
    for statement in draft.statements:
        if statement.deny and "NotPrincipal" in statement.raw:
            yield _risk(
                Severity.WARNING,
                "DENY_WITH_NOT_PRINCIPAL",
                Word(path=(*statement.path, "NotPrincipal"), text=""),
                "It also denies those it names, unless their account is listed too, and whoever has a boundary.",
                "Deny everybody under a condition, ArnNotEquals on aws:PrincipalArn.",
            )


def _giving(draft: Draft) -> Iterator[DraftStatement]:
    if draft.kind in GRANTING_KINDS:
        yield from (statement for statement in draft.statements if statement.allow)


def _has_key(statement: DraftStatement, key: str) -> bool:
    return any(condition.key.lower() == key for condition in statement.conditions)


def _any_role(draft: Draft, statement: DraftStatement) -> bool:
    """Some resource means every role of an account."""
    return any(
        is_everything(resource_pattern(word.text, variables=draft.variables)) or word.text.endswith((":role/*", ":*"))
        for word in statement.resources
    )


def _wide(draft: Draft, word: Word) -> bool:
    """`*`, or an ARN whose name is `*`."""
    pattern = resource_pattern(word.text, variables=draft.variables)
    return is_everything(pattern) or word.text.endswith((":*", "/*"))


def _principals(statement: DraftStatement) -> Iterator[tuple[tuple[str | int, ...], str]]:
    principal: Any = statement.principal
    path = (*statement.path, "Principal")
    if isinstance(principal, str):
        yield path, principal
    for kind, value in principal.items() if isinstance(principal, Mapping) else ():
        if isinstance(value, str):
            yield (*path, kind), value
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, str):
                yield (*path, kind, index), item


def _risk(severity: Severity, code: str, word: Word, message: str, remedy: str) -> LintFinding:
    return LintFinding(severity=severity, code=code, message=message, path=word.path, remedy=remedy)


RULES: Final[tuple[Rule, ...]] = (
    everything,
    negations,
    pass_role,
    assume_role,
    everyone,
    services_without_source,
    escalation,
    deny_with_not_principal,
)
