"""SimulatePrincipalPolicy and SimulateCustomPolicy.

Source: IAM API Reference. Beyond AWS's: SimulatePrincipalPolicy takes the resource's own policy (of a function, or a
role's trust policy) into account without being handed it, when the resource is one of the account's, and the guardrails
of both sides. What depends on context that was not given is `implicitDeny` with MissingContextValues, never `allowed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.flows.why_targets import EVERYTHING, KnownTarget, called_region, may_read, target_named
from leastwise.iam.interface import InvalidInput, PrincipalKind
from leastwise.iam.policy.vocabulary import action_named, resources_of
from leastwise.iam.service.simulating import Caller, Setup, stranger_named
from leastwise.iam.why.simulation import MatchedStatement, Simulated, SimulatedPolicy, read_entries, read_exclusions
from leastwise.iam.why.trace import Verdict

_MOST_EVALUATIONS: Final = 500
"""In one answer. SECURITY: simulations run beside the calls of everybody; what is left comes with the next page."""
_MOST_POLICIES: Final = 100
_MOST_GIVEN: Final = 64 * 1024
"""Characters of all policies that one call brings with it."""
_MOST_TEXT: Final = 4 * 1024 * 1024
"""Characters of policies in one answer, those of every evaluation."""
_MOST_MATCHING: Final = 128 * 1024 * 1024
"""Characters of policies times characters of context and resource, in one evaluation, which nothing interrupts.
MEASURED: 1e9 took 2.5 s."""
_MOST_MATCHING_OF_PAGE: Final = 4 * _MOST_MATCHING
_ARN_ACCOUNT: Final = 4
_WORST_FIRST: Final = (Verdict.EXPLICIT_DENY, Verdict.IMPLICIT_DENY, Verdict.ALLOWED)


def _source(_scene: Scene, parameters: Parameters) -> Target:
    """Raises: InvalidInput."""
    arn = str(parameters["PolicySourceArn"])
    match arn.split(":", 5):
        case ["arn", "aws", "iam", "", account_id, resource] if "/" in resource:
            return Target(arn=arn, account_id=account_id)
    message = f"Invalid Entity Arn: {arn} does not clearly define entity type and name."
    raise InvalidInput(message)


async def _simulate_principal_policy(scene: Scene, parameters: Parameters) -> Parameters:
    _check_given(parameters)
    arn = str(parameters["PolicySourceArn"])
    simulating = scene.services.identities.simulating
    excluded = read_exclusions(parameters.get("PolicyExclusionList") or ())
    identity, boundary = await simulating.policies_of(scene.account_id, arn, excluded)
    setup = Setup(
        account_id=scene.account_id,
        caller=await _caller(scene, parameters.get("CallerArn", arn), simulated=arn),
        identity=(*identity, *_given(parameters, "PolicyInputList")),
        boundary=_boundary(parameters) or boundary,
        organization=() if "scp" in excluded.types else None,
        told=read_entries(parameters.get("ContextEntries") or ()),
        now_ms=scene.now_ms,
    )
    return await _simulate(scene, parameters, setup, look_up=True)


async def _simulate_custom_policy(scene: Scene, parameters: Parameters) -> Parameters:
    _check_given(parameters)
    if "ResourcePolicy" in parameters and "CallerArn" not in parameters:
        message = "Invalid Input: CallerArn is required when a ResourcePolicy is given."
        raise InvalidInput(message)
    levels = tuple(
        tuple(
            SimulatedPolicy(source_id=f"ServiceControlPolicyInputList.{number}", source_type="none", text=text)
            for number, text in enumerate(level.get("ServiceControlPolicyInputList") or (), 1)
        )
        for level in parameters.get("OrderedOrganizationPolicyInputList") or ()
    )
    setup = Setup(
        account_id=scene.account_id,
        caller=await _caller(scene, parameters.get("CallerArn")),
        identity=_given(parameters, "PolicyInputList"),
        boundary=_boundary(parameters),
        organization=levels,
        told=read_entries(parameters.get("ContextEntries") or ()),
        now_ms=scene.now_ms,
    )
    return await _simulate(scene, parameters, setup, look_up=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resource:
    """One of ResourceArns, and what is decided on."""

    arn: str
    account_id: str
    policy: SimulatedPolicy | None
    found: KnownTarget


async def _simulate(scene: Scene, parameters: Parameters, setup: Setup, *, look_up: bool) -> Parameters:
    actions = list(dict.fromkeys(map(_checked_action, parameters["ActionNames"])))
    arns = list(dict.fromkeys(parameters.get("ResourceArns") or (EVERYTHING,)))
    text = max(1, _characters(setup, parameters))
    matching = text * (_told_characters(parameters) + max(map(len, arns)))
    if matching > _MOST_MATCHING:
        message = "Invalid Input: this is too much context for policies of this size; give less of either."
        raise InvalidInput(message)
    most = min(_MOST_EVALUATIONS, max(1, _MOST_TEXT // text), _MOST_MATCHING_OF_PAGE // matching)
    if len(arns) > most:
        message = f"Invalid Input: at most {most} resources at a time with policies of this size."
        raise InvalidInput(message)
    # Keys of a page must be in order: positions with leading zeros are.
    numbered = [(f"{number:06d}", action) for number, action in enumerate(actions)]
    limit = min(int(parameters.get("MaxItems", shapes.DEFAULT_PAGE)), max(1, most // len(arns)))
    page, more = shapes.page({**parameters, "MaxItems": limit}, numbered, key=lambda item: item[0])
    results = []
    for _, action in page:
        evaluated = []
        for arn in arns:
            resource = await _resource(scene, parameters, action, arn, look_up=look_up)
            evaluated.append((arn, await _evaluate(scene, setup, action, resource)))
            # The loop is everybody's: others go on between two evaluations.
            await asyncio.sleep(0)
        results.append(_result(action, evaluated))
    return {"EvaluationResults": results, **more}


async def _caller(scene: Scene, arn: str | None, *, simulated: str | None = None) -> Caller:
    """Who calls in the simulation: somebody of whom only the ARN is known when the asker may read no more.

    SECURITY: conditions of made-up policies would read the tags of anybody, one question at a time. Whoever may
    simulate somebody may know what that one's permissions depend on.
    """
    caller = await scene.services.identities.simulating.caller(scene.account_id, arn)
    if arn is None or arn == simulated or not caller.known or caller.principal.kind is PrincipalKind.ROOT:
        return caller
    readable = await may_read(scene, Target(arn=arn, account_id=scene.account_id))
    return caller if readable else stranger_named(arn)


def _check_given(parameters: Parameters) -> None:
    """Raises: InvalidInput (more text than `_MOST_GIVEN`)."""
    texts = [parameters.get("ResourcePolicy") or ""]
    for member in ("PolicyInputList", "PermissionsBoundaryPolicyInputList"):
        texts += parameters.get(member) or ()
    for level in parameters.get("OrderedOrganizationPolicyInputList") or ():
        texts += level.get("ServiceControlPolicyInputList") or ()
    # SECURITY: they are compiled, and every value of the context is held against each of their patterns.
    if sum(map(len, texts)) > _MOST_GIVEN:
        message = f"Invalid Input: the policies that are given may have {_MOST_GIVEN} characters altogether."
        raise InvalidInput(message)


def _told_characters(parameters: Parameters) -> int:
    entries = parameters.get("ContextEntries") or ()
    return sum(len(str(value)) for entry in entries for value in entry.get("ContextKeyValues") or ())


def _characters(setup: Setup, parameters: Parameters) -> int:
    """Of all policies that one evaluation reads."""
    policies = [*setup.identity, *(policy for level in setup.organization or () for policy in level)]
    if setup.boundary is not None:
        policies.append(setup.boundary)
    return sum(len(policy.text) for policy in policies) + len(parameters.get("ResourcePolicy") or "")


async def _evaluate(scene: Scene, setup: Setup, action: str, resource: _Resource) -> tuple[Simulated, bool]:
    simulated = await scene.services.identities.simulating.evaluate(
        setup,
        action,
        resource.arn,
        resource_account_id=resource.account_id,
        resource_policy=resource.policy,
        resource_known=resource.found.known,
        supplied=resource.found.target.context,
        region=called_region(action, scene.services.log_reader.region),
    )
    return simulated, resource.arn != EVERYTHING


async def _resource(scene: Scene, parameters: Parameters, action: str, arn: str, *, look_up: bool) -> _Resource:
    """Raises: InvalidInput (no ARN; another account's ResourceOwner that is none)."""
    segments = arn.split(":", 5)
    if arn != EVERYTHING and (len(segments) <= _ARN_ACCOUNT + 1 or segments[0] != "arn"):
        message = f"Invalid Resource Arn: {arn}"
        raise InvalidInput(message)
    plain = KnownTarget(target=Target(arn=arn, account_id=scene.account_id), known=arn == EVERYTHING)
    found = await target_named(scene, action, arn) if look_up and "*" not in arn and "?" not in arn else plain
    owner = (segments[_ARN_ACCOUNT] if arn != EVERYTHING else "") or _owner(scene, parameters)
    text = parameters.get("ResourcePolicy")
    source_id = "ResourcePolicy"
    if text is None and found.target.policy is not None:
        text, source_id = found.target.policy, arn
    policy = None if text is None else SimulatedPolicy(source_id=source_id, source_type="resource", text=str(text))
    return _Resource(arn=arn, account_id=owner, policy=policy, found=found)


def _owner(scene: Scene, parameters: Parameters) -> str:
    """Of resources whose ARN names none: ResourceOwner, an account id or root ARN; else the caller's account."""
    named = str(parameters.get("ResourceOwner") or parameters.get("CallerArn") or scene.account_id)
    segments = named.split(":", 5)
    owner = segments[_ARN_ACCOUNT] if len(segments) > _ARN_ACCOUNT else named
    if not owner.isdigit():
        message = f"Invalid Resource Owner: {named}"
        raise InvalidInput(message)
    return owner


def _given(parameters: Parameters, member: str) -> tuple[SimulatedPolicy, ...]:
    texts = parameters.get(member) or ()
    if len(texts) > _MOST_POLICIES:
        message = f"Invalid Input: at most {_MOST_POLICIES} policies in {member}."
        raise InvalidInput(message)
    return tuple(
        SimulatedPolicy(source_id=f"{member}.{number}", source_type="none", text=str(text))
        for number, text in enumerate(texts, 1)
    )


def _boundary(parameters: Parameters) -> SimulatedPolicy | None:
    given = _given(parameters, "PermissionsBoundaryPolicyInputList")
    if len(given) > 1:
        message = "Invalid Input: You can specify only one permissions boundary policy."
        raise InvalidInput(message)
    return given[0] if given else None


def _checked_action(action: Any) -> str:
    service, colon, name = str(action).partition(":")
    if not service or not colon or not name or ":" in name or any(mark in name for mark in "*? ,"):
        message = f"Invalid Action: {action}"
        raise InvalidInput(message)
    return str(action)


# Shapes.


def _result(action: str, evaluated: Sequence[tuple[str, tuple[Simulated, bool]]]) -> Parameters:
    """One action: over all resources what is most restrictive, and each resource by itself."""
    outcomes = [outcome for _, (outcome, _) in evaluated]
    verdict = next(word for word in _WORST_FIRST if any(outcome.verdict is word for outcome in outcomes))
    one_by_one = [(arn, outcome) for arn, (outcome, specific) in evaluated if specific]
    deciding = [outcome for outcome in outcomes if outcome.verdict is verdict]
    missing = dict.fromkeys(key for outcome in outcomes for key in outcome.missing_context)
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": _template(action) if one_by_one else EVERYTHING,
        "EvalDecision": verdict.value,
        "MatchedStatements": _union(outcome.matched for outcome in deciding),
        "MissingContextValues": list(missing),
    }
    organization = [outcome.allowed_by_organization for outcome in outcomes]
    if None not in organization:
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": all(organization)}
    result |= _boundary_detail(outcomes)
    if one_by_one:
        result["EvalDecisionDetails"] = _worst_details(outcomes)
        result["ResourceSpecificResults"] = [_specific(arn, outcome) for arn, outcome in one_by_one]
    return result


def _specific(arn: str, outcome: Simulated) -> Parameters:
    return {
        "EvalResourceName": arn,
        "EvalResourceDecision": outcome.verdict.value,
        "MatchedStatements": _union([outcome.matched]),
        "MissingContextValues": list(outcome.missing_context),
        "EvalDecisionDetails": dict(outcome.details or {}),
        **_boundary_detail([outcome]),
    }


def _boundary_detail(outcomes: Sequence[Simulated]) -> dict[str, Any]:
    answers = [outcome.allowed_by_boundary for outcome in outcomes]
    if None in answers:
        return {}
    return {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": all(answers)}}


def _worst_details(outcomes: Sequence[Simulated]) -> Mapping[str, str]:
    worst: dict[str, str] = {}
    order = [word.value for word in _WORST_FIRST]
    for outcome in outcomes:
        for name, word in (outcome.details or {}).items():
            worst[name] = min(worst.get(name, word), word, key=order.index)
    return worst


def _union(groups: Any) -> list[dict[str, Any]]:
    found: dict[MatchedStatement, None] = dict.fromkeys(one for group in groups for one in group)
    return [
        {
            "SourcePolicyId": one.source_id,
            "SourcePolicyType": one.source_type,
            "StartPosition": {"Line": one.start.line, "Column": one.start.column},
            "EndPosition": {"Line": one.end.line, "Column": one.end.column},
        }
        for one in found
    ]


def _template(action: str) -> str:
    """The form of the ARNs that the action is allowed on, `*` when it has none."""
    known = action_named(action)
    if known is None or not known.resources:
        return EVERYTHING
    kinds = resources_of(known)
    return next((kind.arn for kind in kinds if kind.name in known.required), kinds[0].arn)


OPERATIONS: tuple[Operation, ...] = (
    read("SimulatePrincipalPolicy", _source, _simulate_principal_policy),
    read("SimulateCustomPolicy", targets.everything, _simulate_custom_policy),
)
