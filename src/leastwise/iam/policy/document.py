"""Reads a policy document and refuses everything that the grammar does not know.

`parse_document` is the grammar, for documents that are already stored. `validate_document` is the door, for documents
that somebody wants to store: it also asks for the present language version where IAM does.

SECURITY: an element or operator that is misspelled must not be ignored: `"Conditions": {...}` on an Allow would grant
without the condition. Duplicate JSON keys are refused, because two readers of the same text may keep different ones.

Source: IAM User Guide, "Grammar of the IAM JSON policy language"; the messages are those of the IAM API.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from leastwise.iam.interface import AnyDocument, PolicyKind
from leastwise.iam.policy import grammar
from leastwise.iam.policy.malformed import quoted, refuse, refuse_syntax
from leastwise.iam.policy.operators import Operator, SetOperator, parse_operator
from leastwise.iam.policy.principals import PrincipalElement, parse_principal_element

CURRENT_VERSION: Final = "2012-10-17"
OLD_VERSION: Final = "2008-10-17"
LONGEST_DOCUMENT: Final = 131_072
"""Characters. Source: IAM API Reference, PolicyDocument, maximum length."""

_TOP_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS: Final = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_KINDS_WITH_PRINCIPAL: Final = frozenset({PolicyKind.RESOURCE, PolicyKind.TRUST, PolicyKind.RESOURCE_CONTROL})
_KINDS_OF_ANY_VERSION: Final = frozenset({PolicyKind.RESOURCE, PolicyKind.TRUST})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionEntry:
    """One operator applied to one key. Values are text: JSON booleans and numbers are written out."""

    set_operator: SetOperator | None
    operator: Operator
    if_exists: bool
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement, as it is written.

    Args:
        index: position in the document, from 0.
        sid: may be empty.
        allow: Effect.
        principal: None in policies that have no principal.
        not_principal: `principal` is a NotPrincipal.
        actions: of Action or NotAction.
        not_action: `actions` is a NotAction.
        resources: of Resource or NotResource; None in trust policies.
        not_resource: `resources` is a NotResource.
        conditions: all must hold.
    """

    index: int
    sid: str
    allow: bool
    principal: PrincipalElement | None
    not_principal: bool
    actions: tuple[str, ...]
    not_action: bool
    resources: tuple[str, ...] | None
    not_resource: bool
    conditions: tuple[ConditionEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDocument:
    """A well-formed policy document."""

    version: str
    document_id: str
    statements: tuple[Statement, ...]

    @property
    def has_variables(self) -> bool:
        """`${...}` are variables. Source: IAM User Guide, "IAM JSON policy elements: Version"."""
        return self.version == CURRENT_VERSION


def validate_document(document: AnyDocument, *, kind: PolicyKind) -> PolicyDocument:
    """Checks a document that is about to be stored.

    Args:
        document: JSON text, or what it stands for.
        kind: what the policy will be used as.

    Raises:
        MalformedPolicy: with AWS's sentence and the place.
    """
    parsed = parse_document(document, kind=kind)
    if kind not in _KINDS_OF_ANY_VERSION and parsed.version != CURRENT_VERSION:
        refuse("Policy document must be version 2012-10-17 or greater.", "Version")
    return parsed


def parse_document(document: AnyDocument, *, kind: PolicyKind) -> PolicyDocument:
    """Reads a document.

    Raises:
        MalformedPolicy: it is not in the grammar.
    """
    top = _object(_load(document) if isinstance(document, str) else document, "the document")
    _known(top, _TOP_ELEMENTS, "")
    version = top.get("Version", OLD_VERSION)
    if version not in (CURRENT_VERSION, OLD_VERSION):
        refuse_syntax("Version", "must be 2012-10-17 or 2008-10-17")
    document_id = top.get("Id", "")
    if not isinstance(document_id, str):
        refuse_syntax("Id", "must be a string")
    raw = top.get("Statement")
    if isinstance(raw, Mapping):
        raw = [raw]
    if not isinstance(raw, list) or not raw:
        refuse_syntax("Statement", "must be a statement or a list of statements")
    statements = tuple(
        _statement(_object(item, f"Statement[{index}]"), index, kind=kind, variables=version == CURRENT_VERSION)
        for index, item in enumerate(raw)
    )
    seen: set[str] = set()
    for statement in statements:
        if statement.sid and statement.sid in seen:
            refuse("Statement IDs (SID) in a single policy must be unique.", f"Statement[{statement.index}].Sid")
        seen.add(statement.sid)
    return PolicyDocument(version=version, document_id=document_id, statements=statements)


def _load(text: str) -> object:
    if len(text) > LONGEST_DOCUMENT:
        refuse_syntax("the document", f"is longer than {LONGEST_DOCUMENT} characters")
    try:
        return json.loads(text, object_pairs_hook=_unique_pairs, parse_constant=_no_constant)
    except RecursionError:
        # SECURITY: thousands of opening brackets exhaust the parser's stack, not the platform.
        refuse_syntax("the document", "is nested too deeply")
    except ValueError:
        refuse_syntax("the document", "is not JSON")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        refuse_syntax(quoted(twice), "appears twice in one object")
    return result


def _no_constant(name: str) -> NoReturn:
    refuse_syntax(name, "is not JSON")


def _statement(raw: Mapping[str, Any], index: int, *, kind: PolicyKind, variables: bool) -> Statement:
    place = f"Statement[{index}]"
    _known(raw, _STATEMENT_ELEMENTS, place)
    sid = raw.get("Sid", "")
    if not isinstance(sid, str):
        refuse_syntax(f"{place}.Sid", "must be a string")
    grammar.check_sid(sid, kind, f"{place}.Sid")
    effect = raw.get("Effect")
    if effect is None:
        refuse_syntax(f"{place}.Effect", "is missing")
    if effect not in ("Allow", "Deny"):
        refuse_syntax(f"{place}.Effect", "must be Allow or Deny")
    actions, not_action = _one_of(raw, "Action", "NotAction", place)
    if not actions:
        refuse("Policy statement must contain actions.", place)
    for action in actions:
        grammar.check_action(action, kind, place)
    resources, not_resource = _resources(raw, kind, place, variables=variables)
    principal, not_principal = _principal(raw, kind, place, allow=effect == "Allow")
    return Statement(
        index=index,
        sid=sid,
        allow=effect == "Allow",
        principal=principal,
        not_principal=not_principal,
        actions=actions,
        not_action=not_action,
        resources=resources,
        not_resource=not_resource,
        conditions=_conditions(raw.get("Condition", {}), f"{place}.Condition", variables=variables),
    )


def _resources(
    raw: Mapping[str, Any], kind: PolicyKind, place: str, *, variables: bool
) -> tuple[tuple[str, ...] | None, bool]:
    if kind is PolicyKind.TRUST:
        if "Resource" in raw:
            refuse("Has prohibited field Resource", place)
        if "NotResource" in raw:
            refuse("AssumeRole policy must not contain resources.", place)
        return None, False
    resources, not_resource = _one_of(raw, "Resource", "NotResource", place)
    if not resources:
        refuse("Policy statement must contain resources.", place)
    for resource in resources:
        grammar.check_resource(resource, place, variables=variables)
    return resources, not_resource


def _principal(
    raw: Mapping[str, Any], kind: PolicyKind, place: str, *, allow: bool
) -> tuple[PrincipalElement | None, bool]:
    if kind not in _KINDS_WITH_PRINCIPAL:
        if "Principal" in raw or "NotPrincipal" in raw:
            refuse("Policy document should not specify a principal.", place)
        return None, False
    if "Principal" in raw and "NotPrincipal" in raw:
        refuse_syntax(place, "has both Principal and NotPrincipal")
    if "NotPrincipal" in raw:
        if kind is PolicyKind.TRUST:
            refuse(
                "Allow with NotPrincipal is not allowed."
                if allow
                else "AssumeRole policy must not contain NotPrincipal field.",
                place,
            )
        if kind is PolicyKind.RESOURCE_CONTROL:
            refuse_syntax(f"{place}.NotPrincipal", "is not supported in resource control policies")
        return parse_principal_element(raw["NotPrincipal"], f"{place}.NotPrincipal"), True
    if "Principal" not in raw:
        refuse("Missing required field Principal", place)
    principal = parse_principal_element(raw["Principal"], f"{place}.Principal")
    if kind is PolicyKind.RESOURCE_CONTROL and not principal.everyone:
        refuse_syntax(f"{place}.Principal", 'must be "*" in resource control policies')
    return principal, False


def _conditions(raw: object, place: str, *, variables: bool) -> tuple[ConditionEntry, ...]:
    entries: list[ConditionEntry] = []
    for name, keys in _object(raw, place).items():
        known = parse_operator(name)
        if known is None:
            refuse_syntax(f"{place}.{quoted(name)}", "is not a condition operator")
        set_operator, operator, if_exists = known
        for key, values in _object(keys, f"{place}.{name}").items():
            here = f"{place}.{name}.{quoted(key)}"
            grammar.check_condition_key(key, here)
            texts = tuple(_condition_value(value, here) for value in (values if isinstance(values, list) else [values]))
            for text in texts:
                grammar.check_condition_value(operator, key, text, here, variables=variables)
            entries.append(
                ConditionEntry(set_operator=set_operator, operator=operator, if_exists=if_exists, key=key, values=texts)
            )
    return tuple(entries)


def _condition_value(value: object, place: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, int) and not (isinstance(value, float) and math.isfinite(value)):
        refuse_syntax(place, "must be a string, a number, a boolean, or a list of them")
    return str(value)


def _one_of(raw: Mapping[str, Any], name: str, not_name: str, place: str) -> tuple[tuple[str, ...], bool]:
    if name in raw and not_name in raw:
        refuse_syntax(place, f"has both {name} and {not_name}")
    negated = not_name in raw
    value = raw.get(not_name if negated else name, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        refuse_syntax(f"{place}.{not_name if negated else name}", "must be a string or a list of strings")
    return tuple(values), negated


def _object(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        refuse_syntax(place, "must be an object")
    return value


def _known(raw: Mapping[str, Any], allowed: frozenset[str], place: str) -> None:
    for name in raw:
        if name not in allowed:
            refuse_syntax(f"{place}.{quoted(name)}".lstrip("."), "is not an element of the policy language")
