"""Why may somebody do something, or not; or why was a call allowed, or denied. An operation of the platform's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from leastwise.flows import why_shapes as shapes
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.flows.why_records import RecordedCall, read_back, service_of
from leastwise.flows.why_targets import EVERYTHING, acts_on_resources, called_region, target_named
from leastwise.iam.interface import ContextValue, InvalidInput, NoSuchEntity
from leastwise.iam.service.asking import Asking, Explanation, Question
from leastwise.iam.why.certainty import Certainty
from leastwise.iam.why.presumed import would_be
from leastwise.iam.why.simulation import check_entries
from leastwise.iam.why.trace import Verdict
from leastwise.kernel import errors
from leastwise.kernel.clock import iso_seconds
from leastwise.kernel.events import Access


async def _asked_about(scene: Scene, parameters: Parameters) -> Target:
    """The principal whose access is explained, so that a policy can let people ask about themselves only. What a
    recorded call was is not known before it is found, and finding comes after permission: that needs `*`.

    SECURITY: however a principal is named, by session, name or ARN, the decision is on the ARN of its user or role: a
    Deny of that one must not end at another way to write it. Nobody is decided on as somebody of that name would be: a
    refusal does not say who there is.
    """
    named = str(parameters.get("PrincipalArn", EVERYTHING))
    try:
        principal = await scene.services.identities.asking.somebody(scene.account_id, named)
    except NoSuchEntity:
        return Target(arn=would_be(scene.account_id, named), account_id=scene.account_id)
    except errors.LeastwiseError:
        # No principal of this account: the handler says so to whoever may ask about everybody.
        return Target(arn=EVERYTHING, account_id=scene.account_id)
    arn = principal.role_arn or principal.arn
    return Target(arn=arn if arn.startswith("arn:") else EVERYTHING, account_id=scene.account_id)


async def _explain_access(scene: Scene, parameters: Parameters) -> Parameters:
    told = read_context(parameters.get("ContextEntries") or ())
    record_id = parameters.get("RecordId")
    if record_id is not None:
        if any(member in parameters for member in ("PrincipalArn", "Action", "ResourceArn")):
            message = "Give either RecordId or PrincipalArn, Action and ResourceArn."
            raise InvalidInput(message)
        return await _of_record(scene, str(record_id), told)
    if "PrincipalArn" not in parameters or "Action" not in parameters:
        message = "PrincipalArn and Action are required, or RecordId."
        raise InvalidInput(message)
    asking = scene.services.identities.asking
    action = read_action(str(parameters["Action"]))
    principal = await asking.somebody(scene.account_id, str(parameters["PrincipalArn"]))
    found = await target_named(scene, action, str(parameters.get("ResourceArn", EVERYTHING)))
    question = Question(
        principal=principal,
        action=action,
        resource=found.target.arn,
        resource_account_id=found.target.account_id,
        resource_policy=found.target.policy,
        resource_known=found.known,
        resource_can_grant=found.can_grant,
        resource_hidden=found.hidden,
        some_resource=found.target.arn == EVERYTHING and acts_on_resources(action),
        supplied=found.target.context,
        told=told,
        now_ms=scene.now_ms,
        region=called_region(action, scene.region),
        asking_account_id=scene.account_id,
    )
    explanation = await _explain(asking, question, found.target)
    if found.remark is not None:
        explanation = replace(explanation, remarks=(*explanation.remarks, found.remark))
    return shapes.explanation_shape(explanation, now=iso_seconds(scene.now_ms))


async def _explain(asking: Asking, question: Question, target: Target) -> Explanation:
    """Decides as `flows.perform` does: a Deny of the other ARN of the very same thing counts too."""
    explanation = await asking.explain(question)
    if target.also_arn is None or target.also_arn == question.resource:
        return explanation
    other = await asking.explain(replace(question, resource=target.also_arn))
    if other.trace.verdict is Verdict.EXPLICIT_DENY:
        return other
    doubtful = any(
        not one.allow and one.certainty is Certainty.MAYBE for layer in other.trace.layers for one in layer.statements
    )
    if doubtful and explanation.trace.verdict is Verdict.ALLOWED:
        # What may deny the other name may deny this one.
        decision = replace(other.trace.decision, allowed=False, statements=())
        return replace(other, trace=replace(other.trace, verdict=Verdict.DEPENDS, decision=decision))
    return explanation


async def _of_record(scene: Scene, record_id: str, told: Mapping[str, ContextValue]) -> Parameters:
    record = await scene.services.records.find(record_id, account_id=scene.account_id)
    if record is None:
        message = f"No call with the id {record_id} is among the recent records of this account."
        raise errors.NotFound(message)
    # The table holds this very operation, and so cannot be imported before it is made.
    from leastwise.flows.operations import operations_table  # noqa: PLC0415

    at_ms = _instant_ms(record)
    row = operations_table().get((service_of(record), str(record.get("eventName", ""))))
    call = await read_back(scene, record, row, now_ms=at_ms)
    target = call.target.target
    question = Question(
        principal=call.principal,
        action=call.action,
        resource=call.resource,
        resource_account_id=target.account_id,
        resource_policy=target.policy,
        resource_known=call.target.known,
        resource_can_grant=call.target.can_grant,
        resource_hidden=call.target.hidden,
        supplied=target.context,
        told=told,
        now_ms=at_ms,
        region=call.scene.region,
        source=call.scene.source,
        request_known=call.request_known,
        session_limited=call.session_limited,
        asking_account_id=scene.account_id,
    )
    explanation = await _explain(scene.services.identities.asking, question, target)
    if call.target.remark is not None:
        explanation = replace(explanation, remarks=(*explanation.remarks, call.target.remark))
    shape = shapes.explanation_shape(explanation, now=str(record.get("eventTime", "")))
    return shape | {"Recorded": _recorded(call), **_difference(call, explanation)}


def _recorded(call: RecordedCall) -> Parameters:
    record, decision = call.record, call.decision
    shape: dict[str, Any] = {
        "RequestId": record.get("requestID"),
        "EventId": record.get("eventID"),
        "EventTime": record.get("eventTime"),
        "EventName": record.get("eventName"),
        "ErrorCode": record.get("errorCode"),
        "ErrorMessage": record.get("errorMessage"),
    }
    if decision is not None:
        shape["Decision"] = recorded_verdict(decision).value
        shape["Layer"] = decision.get("layer")
        shape["Statements"] = [
            {
                "Policy": one.get("policy", ""),
                "Sid": one.get("sid", ""),
                "Number": one.get("index", 0) + 1,
                "Effect": "Allow" if decision.get("allowed") else "Deny",
            }
            for one in decision.get("statements", ())
        ]
    return {name: value for name, value in shape.items() if value is not None}


def recorded_verdict(decision: Mapping[str, Any]) -> Verdict:
    """The verdict of a decision as it stands in a record."""
    if decision.get("allowed"):
        return Verdict.ALLOWED
    return Verdict.EXPLICIT_DENY if decision.get("explicit") else Verdict.IMPLICIT_DENY


def _difference(call: RecordedCall, explanation: Explanation) -> Parameters:
    """Whether the same call would be decided otherwise now. Left out where that cannot be said."""
    now = explanation.trace
    if call.decision is None or now.verdict is Verdict.DEPENDS:
        return {}
    then = recorded_verdict(call.decision)
    return {
        "Changed": then is not now.verdict
        or (then is not Verdict.ALLOWED and call.decision["layer"] != now.decision.layer)
    }


def _instant_ms(record: Mapping[str, Any]) -> int:
    text = str(record.get("eventTime", ""))
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()) * 1000


def read_action(action: str) -> str:
    """Raises: InvalidInput (no `service:Operation`, or a pattern)."""
    service, colon, name = action.partition(":")
    if not service or not colon or not name or ":" in name or any(mark in action for mark in "*? ,"):
        message = f"Invalid Action: {action}. Name one action, such as lambda:InvokeFunction."
        raise InvalidInput(message)
    return action


def read_context(entries: Any) -> dict[str, ContextValue]:
    """The context that the asker gives, by key in lower case.

    Raises:
        InvalidInput: a key twice, or too much of it.
    """
    check_entries(entries)
    told: dict[str, ContextValue] = {}
    for entry in entries:
        key = str(entry["ContextKeyName"]).lower()
        if key in told:
            message = f"Duplicate context key: {entry['ContextKeyName']}"
            raise InvalidInput(message)
        values = tuple(map(str, entry["ContextKeyValues"]))
        told[key] = values[0] if len(values) == 1 else values
    return told


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        service="leastwise",
        name="ExplainAccess",
        action="leastwise:ExplainAccess",
        target=_asked_about,
        handle=_explain_access,
        access=Access.READ,
    ),
)
