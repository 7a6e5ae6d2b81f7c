"""A call that is on record, read back: who called, what was decided, and what would be decided on now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from leastwise.flows.interface import Demand, Operation, Parameters, Scene, Target
from leastwise.flows.why_targets import KnownTarget, concealed, may_read, target_named
from leastwise.iam.interface import InvalidInput, Principal
from leastwise.kernel import errors
from leastwise.kernel.call import Source
from leastwise.kernel.events import EventClass

_SUFFIX: Final = ".amazonaws.com"
_SERVICES: Final = {"access-analyzer": "accessanalyzer"}
"""Where the name in `eventSource` is not the one of the service model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """What a record says about a decision.

    Args:
        record: all of it, as CloudTrail writes it.
        principal: who called.
        action: that was decided on.
        resource: that was decided on.
        target: what that is now.
        request_known: the keys that the call's input supplied could be made again.
        scene: of the call, to resolve in.
    """

    record: Mapping[str, Any]
    principal: Principal
    action: str
    resource: str
    target: KnownTarget
    request_known: bool
    scene: Scene

    @property
    def decision(self) -> Mapping[str, Any] | None:
        """The decision as it was recorded; None when there was none."""
        return _part(_part(self.record, "additionalEventData"), "decision") or None

    @property
    def session_limited(self) -> bool:
        return bool(_part(self.record, "additionalEventData").get("sessionPolicies"))


async def read_back(scene: Scene, record: Mapping[str, Any], row: Operation | None, *, now_ms: int) -> RecordedCall:
    """Takes a record of the caller's account apart and looks up what it acted on.

    Args:
        scene: of whoever asks.
        record: as it was found.
        row: the operation's, None when there is none (any more).
        now_ms: when the call was made, epoch ms.

    Raises:
        InvalidInput: nothing was decided: nobody of this account was authenticated, or no permission is needed.
    """
    principal = await scene.services.identities.asking.recorded(
        _part(record, "userIdentity"), account_id=scene.account_id
    )
    if principal is None:
        message = "Nobody of this account made that call, so there was nothing to decide for it."
        raise InvalidInput(message)
    if row is None or row.action is None:
        message = f"{record.get('eventName')} needs no permission."
        raise InvalidInput(message)
    source = Source(
        ip=str(record.get("sourceIPAddress", "")),
        user_agent=str(record.get("userAgent", "")),
        tls="tlsDetails" in record,
        received_at_ms=now_ms,
    )
    then = msgspec.structs.replace(
        scene,
        principal=principal,
        region=str(record.get("awsRegion", scene.region)),
        now_ms=now_ms,
        source=source,
        notes={},
    )
    additional = _part(record, "additionalEventData")
    action = str(additional.get("deniedAction", row.action))
    resource = str(additional.get("deniedResource", "")) or _first_resource(record)
    target = await _target_again(then, row, record, action=action, resource=resource)
    if target is not None and not await may_read(scene, target):
        # SECURITY: the asker's permissions count, not those of whoever made the call.
        return RecordedCall(
            record=record,
            principal=principal,
            action=action,
            resource=resource or target.arn,
            target=concealed(scene, target),
            request_known=False,
            scene=then,
        )
    if target is not None:
        known = KnownTarget(target=target, known=True, can_grant=target.policy is not None)
        return RecordedCall(
            record=record,
            principal=principal,
            action=action,
            resource=resource or target.arn,
            target=known,
            request_known=True,
            scene=then,
        )
    return RecordedCall(
        record=record,
        principal=principal,
        action=action,
        resource=resource,
        target=await target_named(scene, action, resource),
        request_known=False,
        scene=then,
    )


async def _target_again(
    then: Scene, row: Operation, record: Mapping[str, Any], *, action: str, resource: str
) -> Target | None:
    """The target that the operations table resolves from the recorded input; None when that is not enough for it."""
    parameters = _parameters(row, record, resource)
    if parameters is None:
        return None
    try:
        resolved = row.target(then, parameters)
        main = resolved if isinstance(resolved, Target) else await resolved
        demands: tuple[Demand, ...] = ()
        if action != row.action:
            further = row.further(then, parameters)
            demands = further if isinstance(further, tuple) else await further
    except (errors.LeastwiseError, LookupError, TypeError, ValueError):
        # Records leave out secrets, code and whatever is too long: not every target can be found again.
        return None
    candidates = [(str(row.action), main), *((demand.action, demand.target) for demand in demands)]
    for wanted, target in candidates:
        if wanted == action and resource in {"", target.arn, target.also_arn}:
            return target
    return None


def _parameters(row: Operation, record: Mapping[str, Any], resource: str) -> Parameters | None:
    if row.event_class is EventClass.DATA:
        # Data events have no parameters; those that there are act on what their ARN names, and supply no keys.
        return {"FunctionName": resource} if row.service == "lambda" else None
    recorded = record.get("requestParameters")
    if not isinstance(recorded, Mapping):
        return None
    # Members of the record start in lower case, those of the models mostly in upper case.
    return {**recorded, **{name[:1].upper() + name[1:]: value for name, value in recorded.items()}}


def service_of(record: Mapping[str, Any]) -> str:
    """As the operations table calls it."""
    source = str(record.get("eventSource", "")).removesuffix(_SUFFIX)
    return _SERVICES.get(source, source)


def _first_resource(record: Mapping[str, Any]) -> str:
    resources = record.get("resources")
    if isinstance(resources, list) and resources and isinstance(resources[0], Mapping):
        return str(resources[0].get("ARN", ""))
    return ""


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = of.get(name)
    return value if isinstance(value, Mapping) else {}
