"""The one way in: authenticate, authorize, admit, run, record. For every operation, without exception."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from leastwise.audit.interface import Happening, Trail
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.flows.redaction import redact
from leastwise.flows.services import Services
from leastwise.flows.strangers import StrangersShare
from leastwise.iam.interface import (
    SEALED_DENIAL,
    Decision,
    Gate,
    PolicyKind,
    Principal,
    Request,
    SignatureMismatch,
)
from leastwise.kernel import errors
from leastwise.kernel.call import Call, NoProof, Outcome, SigV4Proof
from leastwise.kernel.clock import Clock
from leastwise.kernel.events import Access, EventClass
from leastwise.kernel.ids import request_id as new_id
from leastwise.kernel.transactions import Transactions

_LOG: Final = logging.getLogger(__name__)

ErrorWords = Callable[[Exception, str], tuple[str, str]]
"""(error, service) -> the AWS code and message that the caller will read. Injected: codes belong to the door."""

_GLOBAL_SERVICES: Final = frozenset({"iam", "sts", "organizations"})
_ONE_REGION: Final = frozenset({"iam", "organizations"})
"""Those of them that are nowhere else."""
_GLOBAL_REGION: Final = "us-east-1"
"""Where the services without a region are said to be. Source: IAM User Guide, aws:RequestedRegion."""

_UNSIGNED: Final = frozenset({("sts", "AssumeRoleWithWebIdentity"), ("sts", "AssumeRoleWithSAML")})
"""Operations that AWS takes unsigned, because another proof is in them. They are not here, and strangers may know it."""
_OPEN_TO_ALL: Final = Decision(allowed=True, layer=PolicyKind.IDENTITY, explicit=False)


class Performer:
    """Takes every call through the same steps.

    Args:
        table: (service, operation) -> row. What is not in it cannot be called.
        services: what handlers use.
        gate: who is it, may they.
        trail: where it is recorded.
        transactions: a change and its record commit together.
        clock: read once a call.
        home_region: region of calls that name none.
        home_account: account in whose name strangers' calls are recorded.
        error_words: the door's words for an error.
    """

    def __init__(
        self,
        *,
        table: Mapping[tuple[str, str], Operation],
        services: Services,
        gate: Gate,
        trail: Trail,
        transactions: Transactions,
        clock: Clock,
        home_region: str,
        home_account: str,
        error_words: ErrorWords,
    ) -> None:
        self.table = table
        self.services = services
        self._gate = gate
        self._trail = trail
        self._transactions = transactions
        self._clock = clock
        self._home_region = home_region
        self._home_account = home_account
        self._error_words = error_words
        self._strangers = StrangersShare(now_ms=clock.now_ms())

    async def perform(self, call: Call) -> Outcome:
        """One call from proof to outcome. Never raises; whatever goes wrong is the outcome's error."""
        progress = _Progress(self._clock.now_ms(), self._home_region)
        try:
            result = await self._steps(call, progress)
        except errors.LeastwiseError as error:
            return self._failed(call, progress, error)
        except Exception as error:  # noqa: BLE001 - logged, and answered as a failure of ours
            _LOG.exception("%s:%s failed, request %s", call.service, call.operation, call.request_id)
            message = "An internal error occurred."
            bug = errors.Bug(message)
            bug.__cause__ = error
            return self._failed(call, progress, bug)
        return Outcome(request_id=call.request_id, result=result)

    async def _steps(self, call: Call, progress: _Progress) -> Parameters:
        operation, scene, target = await self._judge(call, progress)
        # 3. Do it, and put it on record.
        if operation.event_class is EventClass.MANAGEMENT and operation.access is Access.WRITE:
            return await self._change(operation, scene, call, progress)
        result = await operation.handle(scene, call.command)
        progress.share(scene.principal, target)
        operation.recorded(scene, self._trail.append(self._happening(call, progress, None)))
        if progress.shared_event_id is not None:
            self._trail.append(self._told_to_owner(call, progress, target))
        return result

    async def _judge(self, call: Call, progress: _Progress) -> tuple[Operation, Scene, Target]:
        # 1. Who is it?
        operation = progress.operation = self.table.get((call.service, call.operation))
        if operation is None and (call.service, call.operation) in _UNSIGNED and _is_unsigned(call):
            message = f"The operation {call.service}:{call.operation} is not implemented by Leastwise."
            raise errors.NotImplementedHere(message)
        principal = progress.principal = await self._gate.authenticate(call.proof, now_ms=progress.judged_ms)
        progress.region = _region_of(call, self._home_region)
        if call.problem is not None:
            raise call.problem
        if operation is None:
            message = f"The operation {call.service}:{call.operation} is not implemented by Leastwise."
            raise errors.NotImplementedHere(message)
        scene = Scene(
            services=self.services,
            principal=principal,
            region=progress.region,
            request_id=call.request_id,
            now_ms=progress.judged_ms,
            source=call.source,
            notes=progress.notes,
        )
        # 2. May they?
        found = operation.target(scene, call.command)
        target = found if isinstance(found, Target) else await found
        progress.target = target
        if operation.action is None:
            progress.decision = _OPEN_TO_ALL
        else:
            progress.decision = await self._authorize(operation.action, target, call, progress, principal)
        further = operation.further(scene, call.command)
        for demand in further if isinstance(further, tuple) else await further:
            await self._authorize(demand.action, demand.target, call, progress, principal)
        return operation, scene, target

    async def _change(self, operation: Operation, scene: Scene, call: Call, progress: _Progress) -> Parameters:
        command = call.command
        if operation.prepare is not None:
            command = {**command, **await operation.prepare(scene, command)}
        # INVARIANT: no change without its record. Both stand in one transaction, or neither does.
        async with self._transactions.begin():
            # SECURITY: a call that waited (for its package, for a hash, for other writers) while its caller was revoked
            # or its target was made anew, or its session ran out. What allows a change is judged in the transaction
            # that makes it, by the time it is then.
            progress.judged_ms = self._clock.now_ms()
            _, scene, target = await self._judge(call, progress)
            result = await operation.handle(scene, command)
            progress.share(scene.principal, target)
            await self._trail.stage(self._happening(call, progress, None))
            if progress.shared_event_id is not None:
                await self._trail.stage(self._told_to_owner(call, progress, target))
        try:
            await self._trail.publish()
        except Exception:  # noqa: BLE001 - logged; the change and its record are committed, and will be published
            # What has happened must be neither told nor recorded as a failure.
            _LOG.exception("the record of request %s waits in the database", call.request_id)
        return result

    async def _authorize(
        self, action: str, target: Target, call: Call, progress: _Progress, principal: Principal
    ) -> Decision:
        request = Request(
            principal=principal,
            action=action,
            resource=target.arn,
            resource_account_id=target.account_id,
            context=self._gate.context(
                principal,
                call.source,
                now_ms=progress.judged_ms,
                region=progress.region,
                extra=target.context,
                resource_account_id=target.account_id,
            ),
        )
        decision = await self._gate.authorize(request, resource_policy=target.policy)
        if not decision.allowed:
            raise self._denied(request, decision, progress, target)
        if target.also_arn is not None:
            other = replace(request, resource=target.also_arn)
            refusal = await self._gate.authorize(other, resource_policy=target.policy)
            if refusal.explicit and not refusal.allowed:
                raise self._denied(other, refusal, progress, target)
        return decision

    def _denied(self, request: Request, decision: Decision, progress: _Progress, target: Target) -> errors.Denied:
        progress.decision = decision
        # What was denied may be a further permission on something else than the call's own target.
        progress.notes["deniedAction"], progress.notes["deniedResource"] = request.action, request.resource
        sealed = self._gate.sealed_denial(request, decision, resource_policy=target.policy)
        return errors.Denied(
            self._gate.denial_message(request, decision), detail={} if sealed is None else {SEALED_DENIAL: sealed}
        )

    def _failed(self, call: Call, progress: _Progress, error: errors.LeastwiseError) -> Outcome:
        if progress.principal is None and isinstance(error, errors.Unauthenticated | errors.NotImplementedHere):
            if not self._strangers.admit(now_ms=progress.now_ms):
                message = "Rate exceeded"
                return Outcome(request_id=call.request_id, error=errors.Throttled(message))
            unrecorded = self._strangers.take_unrecorded()
            if unrecorded:
                progress.notes["unrecordedRefusalsBefore"] = unrecorded
        try:
            self._trail.append(self._happening(call, progress, error))
        except errors.LeastwiseError as broken:
            # The call has failed already: what is left to say is that it could not even be recorded.
            _LOG.error("request %s failed and could not be recorded: %s", call.request_id, broken)
            return Outcome(request_id=call.request_id, error=broken)
        return Outcome(request_id=call.request_id, error=error)

    def _happening(self, call: Call, progress: _Progress, error: Exception | None) -> Happening:
        operation = progress.operation
        event_class = EventClass.MANAGEMENT if operation is None else operation.event_class
        parameters: dict[str, Any] | None = None
        if operation is not None and event_class is EventClass.MANAGEMENT and progress.principal is not None:
            parameters = redact(call.command, operation.redact)
        code = words = None
        if error is not None:
            code, words = self._error_words(error, call.service)
        principal = progress.principal
        proof = call.proof
        return Happening(
            request_id=call.request_id,
            event_id=new_id(),
            at_ms=progress.now_ms,
            service=call.service,
            operation=call.operation,
            event_class=event_class,
            access=Access.WRITE if operation is None else operation.access,
            account_id=self._home_account if principal is None else principal.account_id,
            region=progress.region,
            source=call.source,
            principal=principal,
            claimed_access_key_id=proof.access_key_id if isinstance(proof, SigV4Proof) else "",
            resources=() if progress.target is None else (progress.target.arn,),
            parameters=parameters,
            error_code=code,
            error_message=words,
            decision=progress.decision,
            additional=progress.notes,
            shared_event_id=None if error is not None else progress.shared_event_id,
        )

    def _told_to_owner(self, call: Call, progress: _Progress, target: Target) -> Happening:
        """The record that the owner of the target gets of a call from another account.

        SECURITY: without the caller's policies (`decision`) and without its notes; usage is counted from these, once.
        Source: CloudTrail User Guide, "CloudTrail record contents", sharedEventID.
        """
        happening = self._happening(call, progress, None)
        return msgspec.structs.replace(
            happening, event_id=new_id(), account_id=target.account_id, decision=None, additional={}
        )


class _Progress:
    """How far a call has come; what its record is made from."""

    __slots__ = (
        "decision",
        "judged_ms",
        "notes",
        "now_ms",
        "operation",
        "principal",
        "region",
        "shared_event_id",
        "target",
    )

    def __init__(self, now_ms: int, home_region: str) -> None:
        self.now_ms = now_ms
        self.judged_ms = now_ms
        self.operation: Operation | None = None
        self.principal: Principal | None = None
        self.target: Target | None = None
        self.decision: Decision | None = None
        self.notes: dict[str, str | int] = {}
        self.region = home_region
        self.shared_event_id: str | None = None

    def share(self, principal: Principal, target: Target) -> None:
        """The call is over and went well: does another account own what it acted on?"""
        if target.account_id != principal.account_id:
            self.shared_event_id = new_id()


def _is_unsigned(call: Call) -> bool:
    """Nothing was signed, not even badly."""
    return isinstance(call.proof, NoProof) and call.proof.reason == "missing"


def _region_of(call: Call, home_region: str) -> str:
    """The region that an authenticated call was addressed to.

    SECURITY: the region of the scope becomes part of the ARNs that are decided on and of aws:RequestedRegion. Were it
    the caller's free choice, a Deny that names the region could be walked around by signing for another.

    Raises:
        SignatureMismatch: not this installation's region, nor the one of the services that have none.
    """
    proof = call.proof
    if not isinstance(proof, SigV4Proof):
        return home_region
    known = proof.region == home_region or (call.service in _GLOBAL_SERVICES and proof.region == _GLOBAL_REGION)
    if not known:
        message = "Credential should be scoped to a valid region."
        raise SignatureMismatch(message)
    return _GLOBAL_REGION if call.service in _ONE_REGION else proof.region
