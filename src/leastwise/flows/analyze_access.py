"""Access Analyzer: ValidatePolicy and the three custom policy checks. Policies are input only; nothing is kept.

FAIL closed: where nothing could be proved the result is FAIL, and the message says so.

Source: IAM Access Analyzer API Reference, CheckNoNewAccess, CheckAccessNotGranted, CheckNoPublicAccess, ValidatePolicy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.flows.pages import cut_page
from leastwise.iam.authoring.positioned_json import PositionedDocument, Span, UnreadableText, read_json
from leastwise.iam.interface import PolicyKind
from leastwise.iam.lint.linter import LintFinding
from leastwise.iam.policy.document import parse_document
from leastwise.iam.reasoning.questions import Access as Granted
from leastwise.iam.reasoning.verdicts import Counterexample, Outcome, Verdict
from leastwise.iam.service.linting import LONGEST_LINTED
from leastwise.kernel import errors
from leastwise.kernel.events import Access

_TRUST_TYPE: Final = "AWS::IAM::AssumeRolePolicyDocument"
_FUNCTION_TYPE: Final = "AWS::Lambda::Function"
_KINDS: Final = {
    "IDENTITY_POLICY": PolicyKind.IDENTITY,
    "RESOURCE_POLICY": PolicyKind.RESOURCE,
    "SERVICE_CONTROL_POLICY": PolicyKind.SERVICE_CONTROL,
    "RESOURCE_CONTROL_POLICY": PolicyKind.RESOURCE_CONTROL,
}
_MOST_FINDINGS: Final = 1000
_UNPROVED: Final = "It could not be proved that it does not, so the check fails"
_ABOUT_NAMES: Final = re.compile(r"ELEMENT|KEY|OPERATOR|UNSUPPORTED")
"""Issue codes about the name of a member, not about its value."""
_LEARN_MORE: Final = "docs/reference/lint.md"


def _nothing_in_particular(scene: Scene, _parameters: Parameters) -> Target:
    return Target(arn="*", account_id=scene.account_id)


async def check_no_new_access(scene: Scene, parameters: Parameters) -> Parameters:
    """Does the new policy allow anything that the existing one does not?"""
    new, existing = parameters["newPolicyDocument"], parameters["existingPolicyDocument"]
    kind = _kind_of(parameters["policyType"], new, existing)
    verdict = await scene.services.identities.reasoning.new_access(
        [existing], [new], account_id=scene.account_id, kind=kind
    )
    return _result(
        verdict,
        passes="The modified permissions do not grant new access compared to your existing policy.",
        fails="The modified permissions grant new access compared to your existing policy.",
        reason="New access in the statement with",
    )


async def check_access_not_granted(scene: Scene, parameters: Parameters) -> Parameters:
    """Does the policy allow one of these actions on one of these resources?"""
    policy = parameters["policyDocument"]
    kind = _kind_of(parameters["policyType"], policy)
    wanted = [
        Granted(actions=tuple(one.get("actions") or ()), resources=tuple(one.get("resources") or ()))
        for one in parameters["access"]
    ]
    if not wanted or any(not one.actions and not one.resources for one in wanted):
        message = "The access to check must name at least one action or resource."
        raise errors.Invalid(message, detail={"reason": "fieldValidationFailed"})
    verdict = Verdict(outcome=Outcome.PROVED)
    for one in wanted:
        _check_access(one)
        verdict = await scene.services.identities.reasoning.grants(policy, one, account_id=scene.account_id, kind=kind)
        if verdict.outcome is not Outcome.PROVED:
            break
    return _result(
        verdict,
        passes="The policy document does not grant access to perform one or more of the listed actions or resources.",
        fails="The policy document grants access to perform one or more of the listed actions or resources.",
        reason="One or more of the listed actions or resources in the statement with",
    )


async def check_no_public_access(scene: Scene, parameters: Parameters) -> Parameters:
    """Does the policy allow anything to everybody? See `iam.reasoning.outsider` for who that is."""
    kind = PolicyKind.TRUST if parameters["resourceType"] == _TRUST_TYPE else PolicyKind.RESOURCE
    verdict = await scene.services.identities.reasoning.public(
        parameters["policyDocument"],
        account_id=scene.account_id,
        kind=kind,
        services_act_for_anybody=parameters["resourceType"] == _FUNCTION_TYPE,
    )
    return _result(
        verdict,
        passes="The resource policy does not grant public access for the given resource type.",
        fails="The resource policy grants public access for the given resource type.",
        reason="Public access granted in the following statement with",
    )


async def validate_policy(scene: Scene, parameters: Parameters) -> Parameters:
    """Lint's findings, in pages, with their places in the text."""
    text = parameters["policyDocument"]
    kind = _KINDS[parameters["policyType"]]
    if kind is PolicyKind.RESOURCE and parameters.get("validatePolicyResourceType") == _TRUST_TYPE:
        kind = PolicyKind.TRUST
    limit = parameters.get("maxResults") or _MOST_FINDINGS
    if not 1 <= limit <= _MOST_FINDINGS:
        message = f"maxResults must be between 1 and {_MOST_FINDINGS}."
        raise errors.Invalid(message, detail={"reason": "fieldValidationFailed"})
    numbered = list(enumerate(await scene.services.identities.linting.findings(scene.account_id, text, kind=kind)))
    page, marker = cut_page(
        numbered, key=lambda item: f"{item[0]:06d}", marker=parameters.get("nextToken"), limit=limit
    )
    nowhere: list[dict[str, Any]]
    try:
        # SECURITY: a larger document has one finding, about the whole of it; it is not read here either.
        read = read_json(text if len(text) <= LONGEST_LINTED else "{}")
    except UnreadableText as error:
        place = {"line": error.place.line, "column": error.place.column, "offset": error.place.offset}
        nowhere = [{"path": [], "span": {"start": place, "end": place}}]
        findings = [_finding(finding, nowhere) for _, finding in page]
    else:
        findings = [_finding(finding, [_location(finding, read)]) for _, finding in page]
    return {"findings": findings} | ({} if marker is None else {"nextToken": marker})


def _kind_of(policy_type: str, *documents: str) -> PolicyKind:
    """A resource policy without resources is a trust policy."""
    kind = _KINDS[policy_type]
    if kind is PolicyKind.RESOURCE and all(_without_resources(document) for document in documents):
        return PolicyKind.TRUST
    return kind


def _without_resources(document: str) -> bool:
    try:
        top = json.loads(document)
    except (ValueError, RecursionError):
        return False
    raw = top.get("Statement", ()) if isinstance(top, Mapping) else ()
    statements = [raw] if isinstance(raw, Mapping) else raw
    return bool(statements) and all(
        isinstance(one, Mapping) and "Resource" not in one and "NotResource" not in one for one in statements
    )


def _check_access(wanted: Granted) -> None:
    """The actions and resources are patterns as in a policy. Raises: MalformedPolicy."""
    statement = {"Effect": "Deny", "Action": list(wanted.actions or "*"), "Resource": list(wanted.resources or "*")}
    # 2008 has no variables: here, `${...}` would be none either.
    parse_document({"Version": "2008-10-17", "Statement": statement}, kind=PolicyKind.IDENTITY)


def _result(verdict: Verdict, *, passes: str, fails: str, reason: str) -> Parameters:
    match verdict.outcome:
        case Outcome.PROVED:
            return {"result": "PASS", "message": passes}
        case Outcome.REFUTED:
            return {
                "result": "FAIL",
                "message": fails,
                "reasons": [_reason(example, reason) for example in verdict.counterexamples],
            }
        case Outcome.UNKNOWN:
            return {"result": "FAIL", "message": f"{_UNPROVED}: {verdict.reason}.", "reasons": []}


def _reason(example: Counterexample, reason: str) -> dict[str, Any]:
    named = f"sid: {example.sid}" if example.sid else f"index: {example.statement}"
    shape: dict[str, Any] = {
        "description": f"{reason} {named}. For example: {example.sentence()}.",
        "statementIndex": example.statement,
    }
    return shape | ({"statementId": example.sid} if example.sid else {})


def _finding(finding: LintFinding, locations: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "findingType": finding.severity.value,
        "issueCode": finding.code,
        "findingDetails": f"{finding.message} {finding.remedy}",
        "learnMoreLink": f"{_LEARN_MORE}#{finding.code.lower()}",
        "locations": locations,
    }


def _location(finding: LintFinding, read: PositionedDocument) -> dict[str, Any]:
    path = finding.path
    elements: list[dict[str, str | int]] = [
        {"index": step} if isinstance(step, int) else {"value": step} for step in path
    ]
    if path in read.names and _ABOUT_NAMES.search(finding.code):
        elements[-1] = {"key": str(path[-1])}
        return {"path": elements, "span": _span(read.names[path])}
    return {"path": elements, "span": _span(read.values.get(path) or read.span(path))}


def _span(span: Span) -> dict[str, Any]:
    return {
        name: {"line": place.line, "column": place.column, "offset": place.offset}
        for name, place in (("start", span.start), ("end", span.end))
    }


_DOCUMENTS: Final = frozenset({"policyDocument", "newPolicyDocument", "existingPolicyDocument"})
"""Never on record: the service model calls them sensitive."""

OPERATIONS: tuple[Operation, ...] = tuple(
    Operation(
        service="accessanalyzer",
        name=name,
        action=f"access-analyzer:{name}",
        target=_nothing_in_particular,
        handle=handle,
        access=Access.READ,
        redact=_DOCUMENTS,
    )
    for name, handle in (
        ("CheckAccessNotGranted", check_access_not_granted),
        ("CheckNoNewAccess", check_no_new_access),
        ("CheckNoPublicAccess", check_no_public_access),
        ("ValidatePolicy", validate_policy),
    )
)
