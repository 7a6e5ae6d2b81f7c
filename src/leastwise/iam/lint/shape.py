"""Lint: elements that are missing, unknown, empty, of the wrong type, or cannot stand together; sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from leastwise.iam.authoring.positioned_json import Path
from leastwise.iam.interface import PolicyKind
from leastwise.iam.lint.draft import Draft, DraftStatement
from leastwise.iam.lint.findings import LintFinding, Severity, did_you_mean
from leastwise.iam.policy.document import CURRENT_VERSION, OLD_VERSION
from leastwise.iam.policy.sizes import policy_size

Rule = Callable[[Draft], Iterator[LintFinding]]

_TOP: Final = ("Version", "Id", "Statement")
_ELEMENTS: Final = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)
_PAIRS: Final = (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal"))
_WITH_PRINCIPAL: Final = frozenset({PolicyKind.RESOURCE, PolicyKind.TRUST, PolicyKind.RESOURCE_CONTROL})
_ANY_VERSION: Final = frozenset({PolicyKind.IDENTITY, PolicyKind.SESSION, PolicyKind.RESOURCE, PolicyKind.TRUST})
_PLAIN_SID: Final = re.compile(r"[0-9A-Za-z]*")
_LARGEST: Final = {
    PolicyKind.IDENTITY: 6_144,
    PolicyKind.BOUNDARY: 6_144,
    PolicyKind.SESSION: 2_048,
    PolicyKind.TRUST: 2_048,
    PolicyKind.RESOURCE: 20_480,
    PolicyKind.SERVICE_CONTROL: 5_120,
    PolicyKind.RESOURCE_CONTROL: 5_120,
}
"""Source: IAM User Guide, "IAM and AWS STS quotas"; Lambda and Organizations quotas."""
_INLINE: Final = {"user": 2_048, "group": 5_120, "role": 10_240}


def unknown_elements(draft: Draft) -> Iterator[LintFinding]:
    """Elements that the language does not have. SECURITY: "Conditions" on an Allow would be no condition at all."""
    for name in draft.raw:
        if name not in _TOP:
            yield _unknown((name,), name, _TOP)
    for statement in draft.statements:
        for name in statement.raw:
            if name not in _ELEMENTS:
                yield _unknown((*statement.path, name), name, _ELEMENTS)


def _unknown(path: Path, name: str, known: tuple[str, ...]) -> LintFinding:
    return LintFinding(
        severity=Severity.ERROR,
        code="INVALID_POLICY_ELEMENT",
        message=f"{name} is not an element of the policy language.{did_you_mean(name, known)}",
        path=path,
        remedy=f"Use one of {', '.join(known)}, spelled like this.",
    )


def wrong_types(draft: Draft) -> Iterator[LintFinding]:
    """Values that are not of the JSON type that their element takes."""
    for name in ("Version", "Id"):
        if not isinstance(draft.raw.get(name, ""), str):
            yield _mismatch((name,), "a string")
    statements = draft.raw.get("Statement", {})
    if not isinstance(statements, (Mapping, list)):
        yield _mismatch(("Statement",), "a statement or a list of statements")
    for index, item in enumerate(statements if isinstance(statements, list) else ()):
        if not isinstance(item, Mapping):
            yield _mismatch(("Statement", index), "an object")
    for statement in draft.statements:
        yield from _wrong_types(statement)


def _wrong_types(statement: DraftStatement) -> Iterator[LintFinding]:
    for name in ("Sid", "Effect"):
        if not isinstance(statement.raw.get(name, ""), str):
            yield _mismatch((*statement.path, name), "a string")
    for name in ("Action", "NotAction", "Resource", "NotResource"):
        if name in statement.raw:
            yield from _not_strings((*statement.path, name), statement.raw[name])
    for name in ("Principal", "NotPrincipal"):
        value = statement.raw.get(name, "*")
        if isinstance(value, Mapping):
            for kind, names in value.items():
                yield from _not_strings((*statement.path, name, kind), names)
        elif not isinstance(value, str):
            yield _mismatch((*statement.path, name), '"*" or an object')
    yield from _wrong_conditions((*statement.path, "Condition"), statement.raw.get("Condition", {}))


def _wrong_conditions(path: Path, block: Any) -> Iterator[LintFinding]:
    if not isinstance(block, Mapping):
        yield _mismatch(path, "an object")
        return
    for operator, keys in block.items():
        here: Path = (*path, operator)
        if not isinstance(keys, Mapping):
            yield _mismatch(here, "an object of condition keys")
            continue
        for key, values in keys.items():
            for value in values if isinstance(values, list) else [values]:
                if not isinstance(value, (str, int, float)):
                    yield _mismatch((*here, key), "a string, a number, a boolean, or a list of them")


def _not_strings(path: Path, value: Any) -> Iterator[LintFinding]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            if not isinstance(item, str):
                yield _mismatch((*path, index), "a string")
    elif not isinstance(value, str):
        yield _mismatch(path, "a string or a list of strings")


def _mismatch(path: Path, wanted: str) -> LintFinding:
    return LintFinding(
        severity=Severity.ERROR,
        code="DATA_TYPE_MISMATCH",
        message=f"{path[-1]} must be {wanted}.",
        path=path,
        remedy=f"Write {wanted}.",
    )


def version(draft: Draft) -> Iterator[LintFinding]:
    """The language version: without 2012-10-17 there are no policy variables."""
    value = draft.raw.get("Version")
    strict = draft.kind not in _ANY_VERSION
    if value is None:
        yield LintFinding(
            severity=Severity.ERROR if strict else Severity.WARNING,
            code="MISSING_VERSION",
            message=f"Without Version the document is read as {OLD_VERSION}, which has no policy variables."
            + (" It cannot be stored." if strict else ""),
            path=(),
            remedy=f'Add "Version": "{CURRENT_VERSION}".',
        )
    elif value not in (CURRENT_VERSION, OLD_VERSION) or (value == OLD_VERSION and strict):
        yield LintFinding(
            severity=Severity.ERROR,
            code="INVALID_VERSION",
            message=f"Version {value} cannot be used here.",
            path=("Version",),
            remedy=f'Write "{CURRENT_VERSION}".',
        )
    elif value == OLD_VERSION and draft.kind is PolicyKind.IDENTITY:
        yield LintFinding(
            severity=Severity.WARNING,
            code="INVALID_VERSION",
            message=f"Version {value} has no policy variables, and a managed policy cannot have it.",
            path=("Version",),
            remedy=f'Write "{CURRENT_VERSION}".',
        )


def missing_elements(draft: Draft) -> Iterator[LintFinding]:
    """Elements that every statement must have."""
    if not draft.raw.get("Statement") and draft.raw.get("Statement") != {}:
        yield _missing("STATEMENT", (), "Statement", "Add a statement.")
    for statement in draft.statements:
        raw = statement.raw
        if "Effect" not in raw:
            yield _missing("EFFECT", statement.path, "Effect", 'Add "Effect": "Allow" or "Deny".')
        elif isinstance(raw["Effect"], str) and raw["Effect"] not in ("Allow", "Deny"):
            yield LintFinding(
                severity=Severity.ERROR,
                code="INVALID_EFFECT",
                message=f"Effect {raw['Effect']} does not exist.{did_you_mean(raw['Effect'], ('Allow', 'Deny'))}",
                path=(*statement.path, "Effect"),
                remedy="Write Allow or Deny, capitalized like this.",
            )
        if "Action" not in raw and "NotAction" not in raw:
            yield _missing("ACTION", statement.path, "Action", "Name the actions it is about.")
        if draft.kind is not PolicyKind.TRUST and "Resource" not in raw and "NotResource" not in raw:
            yield _missing("RESOURCE", statement.path, "Resource", 'Name the resources it is about, or "*".')
        if draft.kind in _WITH_PRINCIPAL and "Principal" not in raw and "NotPrincipal" not in raw:
            yield _missing("PRINCIPAL", statement.path, "Principal", "Name the principals it is about.")


def _missing(what: str, path: Path, element: str, remedy: str) -> LintFinding:
    return LintFinding(
        severity=Severity.ERROR,
        code=f"MISSING_{what}",
        message=f"{element} is missing.",
        path=path,
        remedy=remedy,
    )


def elements_out_of_place(draft: Draft) -> Iterator[LintFinding]:
    """Elements that exclude each other, or that this kind of policy does not have."""
    for statement in draft.statements:
        for name, negated in _PAIRS:
            if name in statement.raw and negated in statement.raw:
                yield LintFinding(
                    severity=Severity.ERROR,
                    code="UNSUPPORTED_ELEMENT_COMBINATION",
                    message=f"{name} and {negated} exclude each other.",
                    path=(*statement.path, negated),
                    remedy=f"Keep {name} or {negated}, or make two statements.",
                )
        for name in ("Principal", "NotPrincipal"):
            if name in statement.raw and draft.kind not in _WITH_PRINCIPAL:
                yield LintFinding(
                    severity=Severity.ERROR,
                    code="UNSUPPORTED_PRINCIPAL",
                    message=f"A policy of this kind ({draft.kind}) has no {name}: it speaks about whom it hangs on.",
                    path=(*statement.path, name),
                    remedy=f"Remove {name}, or say that this is a resource policy or a trust policy.",
                )
        for name in ("Resource", "NotResource"):
            if name in statement.raw and draft.kind is PolicyKind.TRUST:
                yield LintFinding(
                    severity=Severity.ERROR,
                    code="INVALID_POLICY_ELEMENT",
                    message=f"A trust policy has no {name}: its resource is the role.",
                    path=(*statement.path, name),
                    remedy=f"Remove {name}.",
                )


def empty_elements(draft: Draft) -> Iterator[LintFinding]:
    """Lists and objects without anything in them."""
    for statement in draft.statements:
        raw = statement.raw
        if raw.get("Sid") == "":
            yield _empty(Severity.SUGGESTION, "EMPTY_SID_VALUE", (*statement.path, "Sid"), "Sid", "It says nothing.")
        for name, code in (("Action", "ACTION"), ("NotAction", "ACTION"), ("Resource", "RESOURCE")):
            if raw.get(name) == []:
                why = "The statement is about nothing and cannot be stored."
                yield _empty(Severity.ERROR, f"EMPTY_ARRAY_{code}", (*statement.path, name), name, why)
        for name in ("Principal", "NotPrincipal"):
            value = raw.get(name)
            if value in ({}, []) or (isinstance(value, Mapping) and all(item == [] for item in value.values())):
                why = "It names nobody and cannot be stored."
                yield _empty(Severity.ERROR, "EMPTY_ARRAY_PRINCIPAL", (*statement.path, name), name, why)
        if raw.get("Condition") == {}:
            why = "The statement has no condition."
            path: Path = (*statement.path, "Condition")
            yield _empty(Severity.SUGGESTION, "EMPTY_OBJECT_CONDITION", path, "Condition", why)
        for condition in statement.conditions:
            if not condition.values and raw["Condition"][condition.operator_name][condition.key] == []:
                negated = condition.operator is not None and condition.operator.negated
                why = "The condition always holds." if negated else "The condition holds for no value."
                yield _empty(Severity.WARNING, "EMPTY_ARRAY_CONDITION", condition.path, condition.key, why)


def _empty(severity: Severity, code: str, path: Path, element: str, why: str) -> LintFinding:
    return LintFinding(
        severity=severity,
        code=code,
        message=f"{element} is empty. {why}",
        path=path,
        remedy="Fill it, or remove it.",
    )


def sids(draft: Draft) -> Iterator[LintFinding]:
    """Statement ids name statements in decisions: each once, and in the characters that are allowed."""
    seen: set[str] = set()
    plain = draft.kind not in _WITH_PRINCIPAL
    for statement in draft.statements:
        sid = statement.raw.get("Sid")
        if not isinstance(sid, str) or not sid:
            continue
        path: Path = (*statement.path, "Sid")
        if sid in seen:
            yield LintFinding(
                severity=Severity.ERROR,
                code="UNIQUE_SIDS_REQUIRED",
                message=f"The statement id {sid} stands there twice.",
                path=path,
                remedy="Give each statement an id of its own.",
            )
        seen.add(sid)
        if plain and not _PLAIN_SID.fullmatch(sid):
            yield LintFinding(
                severity=Severity.ERROR,
                code="UNSUPPORTED_SID",
                message=f"The statement id {sid} has characters other than letters and digits.",
                path=path,
                remedy="Use A-Z, a-z and 0-9.",
            )


def size(draft: Draft) -> Iterator[LintFinding]:
    """How large the policy is, without white space, beside what it may be."""
    limit = _LARGEST[draft.kind]
    owner = (draft.attached_to or "").rpartition(":")[2].partition("/")[0]
    if draft.kind is PolicyKind.IDENTITY and owner in _INLINE:
        limit = _INLINE[owner]
    characters = policy_size(draft.text)
    if characters > limit:
        yield too_large(characters, limit, kind=draft.kind)


def too_large(characters: int, limit: int, *, kind: PolicyKind) -> LintFinding:
    """The finding about a document of more characters than there may be."""
    family = "RESOURCE" if kind in _WITH_PRINCIPAL else "IDENTITY"
    return LintFinding(
        severity=Severity.WARNING,
        code=f"POLICY_SIZE_EXCEEDS_{family}_POLICY_QUOTA",
        message=f"{characters:,} characters; a policy of this kind may have {limit:,}.",
        path=(),
        remedy="Take out what is redundant, use wildcards where they are safe, or make two policies.",
    )


RULES: Final[tuple[Rule, ...]] = (
    unknown_elements,
    wrong_types,
    version,
    missing_elements,
    elements_out_of_place,
    empty_elements,
    sids,
    size,
)
