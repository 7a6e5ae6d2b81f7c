"""Reads a policy document and refuses everything that the grammar does not know.

`parse_document` is the grammar, for documents that are already stored. `validate_document` is the door, for documents
that somebody wants to store: it also asks for the present language version where every policy of a kind must have it,
and refuses what could be read and would never do what it says.

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
from leastwise.iam.policy.malformed import item_place, quoted, refuse, refuse_syntax, statement_place
from leastwise.iam.policy.operators import Operator, SetOperator, parse_operator
from leastwise.iam.policy.principals import PrincipalElement, parse_principal_element
from leastwise.iam.policy.variables import mixes_variable_and_one, parse_pattern

CURRENT_VERSION: Final = "2012-10-17"
OLD_VERSION: Final = "2008-10-17"
_MOST_MIXED_PARTS: Final = 8
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
# What is attached as a document of its own. A managed policy must be of the present version (`check_current_version`).
_KINDS_OF_ANY_VERSION: Final = frozenset(
    {PolicyKind.IDENTITY, PolicyKind.SESSION, PolicyKind.RESOURCE, PolicyKind.TRUST}
)


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
    if kind not in _KINDS_OF_ANY_VERSION:
        check_current_version(parsed)
    for statement in parsed.statements:
        _check_writable(statement, kind)
    if parsed.has_variables:
        _check_searches(parsed)
    return parsed


def check_current_version(parsed: PolicyDocument) -> None:
    """What managed policies must be, and inline ones need not.

    Raises:
        MalformedPolicy: of the old version, or of none.
    """
    if parsed.version != CURRENT_VERSION:
        refuse("Policy document must be version 2012-10-17 or greater.", "Version")


def _check_searches(parsed: PolicyDocument) -> None:
    """SECURITY: a part like `*${aws:username}?*` has to be searched for anew in every request, place by place. A few
    cost nothing; policies full of them would stop everybody else's calls.
    """
    mixed = 0
    for statement in parsed.statements:
        texts = [*(statement.resources or ()), *(value for entry in statement.conditions for value in entry.values)]
        for text in texts:
            if "${" in text and mixes_variable_and_one(parse_pattern(text, variables=True, wildcards=True)):
                mixed += 1
        if mixed > _MOST_MIXED_PARTS:
            refuse(
                f"At most {_MOST_MIXED_PARTS} values of a policy may have a policy variable and ? between the same two *.",
                statement_place(statement.index, statement.sid),
            )


def _check_writable(statement: Statement, kind: PolicyKind) -> None:
    """Refuses what is in the grammar, and is a mistake or not offered for the kind of policy."""
    place = statement_place(statement.index, statement.sid)
    element = "NotAction" if statement.not_action else "Action"
    for action in statement.actions:
        grammar.check_action_is_writable(action, f"{place}.{element}")
    if statement.not_principal and statement.allow:
        # SECURITY: everybody but the named ones, strangers included.
        refuse("Allow with NotPrincipal is not allowed.", place)
    if kind is PolicyKind.RESOURCE_CONTROL:
        # SOURCE: Organizations User Guide, "RCP syntax", elements summary (the platform's own RCPFullAWSAccess is the
        # one policy that allows; it does not come through the door).
        if statement.allow:
            refuse_syntax(f"{place}.Effect", "must be Deny in resource control policies")
        if statement.not_action:
            refuse_syntax(f"{place}.NotAction", "is not supported in resource control policies")


def parse_document(document: AnyDocument, *, kind: PolicyKind) -> PolicyDocument:
    """Reads a document.

    Raises:
        MalformedPolicy: it is not in the grammar.
    """
    top = _object(_load(document) if isinstance(document, str) else document, "the document")
    _known(top, _TOP_ELEMENTS, "")
    version = top.get("Version", OLD_VERSION)
    if version not in (CURRENT_VERSION, OLD_VERSION):
        refuse_syntax("Version", f"must be 2012-10-17 or 2008-10-17{_not(version)}")
    document_id = top.get("Id", "")
    if not isinstance(document_id, str):
        refuse_syntax("Id", "must be a string")
    raw = top.get("Statement")
    if isinstance(raw, Mapping):
        raw = [raw]
    if not isinstance(raw, list) or not raw:
        refuse_syntax("Statement", "must be a statement or a list of statements")
    statements = tuple(
        _statement(_object(item, statement_place(index, None)), index, kind=kind, variables=version == CURRENT_VERSION)
        for index, item in enumerate(raw)
    )
    seen: set[str] = set()
    for statement in statements:
        if statement.sid and statement.sid in seen:
            place = f"{statement_place(statement.index, None)}.Sid"
            refuse("Statement IDs (SID) in a single policy must be unique.", place, value=statement.sid)
        seen.add(statement.sid)
    return PolicyDocument(version=version, document_id=document_id, statements=statements)


def _load(text: str) -> object:
    if len(text) > LONGEST_DOCUMENT:
        refuse_syntax("the document", f"is longer than {LONGEST_DOCUMENT} characters")
    try:
        loaded = json.loads(text, object_pairs_hook=_unique_pairs, parse_constant=_no_constant)
        # SECURITY: half a character (`\\ud800`) can be neither compared with a request nor stored nor sent on.
        if "\\u" in text:
            json.dumps(loaded, ensure_ascii=False).encode()
    except RecursionError:
        # SECURITY: thousands of opening brackets exhaust the parser's stack, not the platform.
        refuse_syntax("the document", "is nested too deeply")
    except UnicodeEncodeError:
        refuse_syntax("the document", "has half of a surrogate pair in it")
    except json.JSONDecodeError as error:
        refuse_syntax("the document", f"is not JSON: {error.msg}, line {error.lineno}, column {error.colno}")
    except ValueError:
        refuse_syntax("the document", "has a number with too many digits")
    return loaded


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            refuse_syntax(quoted(name), "appears twice in one object")
        result[name] = value
    return result


def _no_constant(name: str) -> NoReturn:
    refuse_syntax(name, "is not JSON")


def _statement(raw: Mapping[str, Any], index: int, *, kind: PolicyKind, variables: bool) -> Statement:
    sid = raw.get("Sid", "")
    place = statement_place(index, sid)
    _known(raw, _STATEMENT_ELEMENTS, place)
    if not isinstance(sid, str):
        refuse_syntax(f"{place}.Sid", "must be a string")
    grammar.check_sid(sid, kind, f"{place}.Sid")
    effect = raw.get("Effect")
    if effect is None:
        refuse_syntax(f"{place}.Effect", "is missing")
    if effect not in ("Allow", "Deny"):
        refuse_syntax(f"{place}.Effect", f"must be Allow or Deny{_not(effect)}")
    actions, not_action = _one_of(raw, "Action", "NotAction", place)
    if not actions:
        refuse("Policy statement must contain actions.", place)
    action_element = "NotAction" if not_action else "Action"
    if not grammar.are_plain_actions(actions, kind):
        for position, action in enumerate(actions):
            grammar.check_action(action, kind, item_place(place, action_element, raw[action_element], position))
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
    element = "NotResource" if not_resource else "Resource"
    for position, resource in enumerate(resources):
        grammar.check_resource(resource, item_place(place, element, raw[element], position), variables=variables)
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
        for key, values in _object(keys, f"{place}.{quoted(name)}").items():
            here = f"{place}.{quoted(name)}.{quoted(key)}"
            grammar.check_condition_key(key, here)
            given = values if isinstance(values, list) else [values]
            texts = tuple(_condition_value(value, here) for value in given)
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


def _not(value: object) -> str:
    """What stands there instead, if it can be shown."""
    return f', not "{quoted(value)}"' if isinstance(value, str) else ""


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
