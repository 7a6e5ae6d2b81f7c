"""Why may somebody do something, or not: requests that are made up, and calls that are on record, explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from leastwise.iam.directory import Directory
from leastwise.iam.interface import (
    ContextValue,
    InvalidInput,
    NoSuchEntity,
    Principal,
    PrincipalKind,
    Request,
)
from leastwise.iam.lint.findings import did_you_mean
from leastwise.iam.policy import clockkeys, vocabulary
from leastwise.iam.policy.evaluate import Layers
from leastwise.iam.policy.operators import parse_instant
from leastwise.iam.service.gate import IdentityGate
from leastwise.iam.service.slow_work import SlowWork
from leastwise.iam.why import presumed
from leastwise.iam.why.certainty import Unknown
from leastwise.iam.why.discretion import discreet_layer, discreet_remedy
from leastwise.iam.why.knowledge import of_made_up_request, of_recorded_request
from leastwise.iam.why.remedies import Remedy, remedies
from leastwise.iam.why.trace import Trace, Unseen, Verdict, trace
from leastwise.kernel.call import Source

_SOMEWHERE: Final = (
    Source(ip="192.0.2.1", user_agent="one", tls=True, received_at_ms=0),
    Source(ip="2001:db8::1", user_agent="other", tls=False, received_at_ms=0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked.

    Args:
        principal: who would call, or did.
        action: `service:Operation`.
        resource: ARN or `*`.
        resource_account_id: who owns it.
        resource_policy: its own policy, as `Gate.authorize` takes it.
        resource_known: the resource was looked up: a tag that is not in `supplied` is one that it does not have.
        resource_can_grant: it has, or can have, a policy of its own.
        resource_hidden: the asker may not read the resource: neither its policy nor its tags are known here.
        some_resource: the action acts on a resource, and `resource` does not say which.
        supplied: keys that resource and operation supply, lower case.
        told: keys that the asker gives, lower case. They win.
        now_ms: the instant that is asked about, epoch ms.
        region: the region that the call is addressed to.
        source: where the call came from; None when it is made up.
        request_known: of a call on record: the keys that its input supplied are in `supplied`.
        session_limited: of a call on record: the session had session policies, which are not on record.
        asking_account_id: the account in which it is explained.
    """

    principal: Principal
    action: str
    resource: str
    resource_account_id: str
    resource_policy: str | None = None
    resource_known: bool = False
    resource_can_grant: bool = False
    resource_hidden: bool = False
    some_resource: bool = False
    supplied: Mapping[str, ContextValue] = field(default_factory=dict)
    told: Mapping[str, ContextValue] = field(default_factory=dict)
    now_ms: int
    region: str
    source: Source | None = None
    request_known: bool = True
    session_limited: bool = False
    asking_account_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The answer.

    Args:
        request: that was decided.
        trace: why, without the text of other accounts' policies.
        remedies: of a denial: what would have to change.
        remarks: what else the reader must know.
    """

    request: Request
    trace: Trace
    remedies: tuple[Remedy, ...]
    remarks: tuple[str, ...] = ()


class Asking:
    """Explains decisions within one account.

    Args:
        directory: who there is.
        gate: decides, and knows the layers.
        threads: where explanations are worked out. SECURITY: large policies make that long, and others must not wait.
    """

    def __init__(self, *, directory: Directory, gate: IdentityGate, threads: SlowWork) -> None:
        self._directory = directory
        self._gate = gate
        self._threads = threads

    # Who?

    async def somebody(self, account_id: str, named: str) -> Principal:
        """A principal of the account as policies see it when it calls; `named` as in `presumed.read_name`.

        Raises:
            NoSuchEntity: nobody has that name.
            InvalidInput: it is no principal, or one of another account.
        """
        who = presumed.read_name(account_id, named)
        if who.kind is PrincipalKind.ROOT:
            return presumed.root_principal(account_id)
        if who.kind is PrincipalKind.SERVICE:
            return presumed.service_principal(account_id, who.name)
        if who.kind is PrincipalKind.USER:
            user = await self._directory.user(account_id, who.name)
            if user is not None and who.arn in {None, user.arn}:
                return presumed.user_principal(user)
        else:
            role = await self._directory.role(account_id, who.name)
            if role is not None and who.arn in {None, role.arn}:
                return presumed.role_principal(role, who.session)
        message = f"There is no {named} in this account."
        raise NoSuchEntity(message)

    async def recorded(self, identity: Mapping[str, object], *, account_id: str) -> Principal | None:
        """Whoever a record's `userIdentity` names, with the tags that user has now. None: it names nobody."""
        principal = presumed.recorded_principal(identity, account_id=account_id)
        if principal is None or principal.kind is not PrincipalKind.USER:
            return principal
        user = await self._directory.user(account_id, principal.name)
        return (
            replace(principal, tags=user.tags)
            if user is not None and user.user_id == principal.unique_id
            else principal
        )

    # Why?

    async def explain(self, question: Question) -> Explanation:
        """Decides and says why.

        Raises:
            InvalidInput: a key is given that nothing reads.
        """
        request, unknown = self._request(question)
        abroad = question.resource_account_id != question.asking_account_id
        unseen = Unseen(
            key=unknown,
            resource_policy=abroad or question.resource_hidden,
            resource_control=abroad,
            session_policies=question.session_limited,
            resource=question.some_resource,
        )
        layers, trust = await self._gate.layers(request, resource_policy=None if abroad else question.resource_policy)
        if abroad:
            # SECURITY: what guards another account's resources is not told, not even by how the answer turns out.
            layers = replace(layers, resource_control=())
        if question.session_limited:
            layers = replace(layers, session=None)

        def explained() -> tuple[Trace, tuple[str, ...], tuple[Remedy, ...]]:
            first = trace(request, layers, trust=trust, unseen=unseen)
            found, remarks = _with_named_sessions(first, request, layers, trust=trust, unseen=unseen)
            can_grant = question.resource_can_grant and not abroad
            offered = remedies(request, layers, found, trust=trust, unseen=unseen, resource_can_grant=can_grant)
            return found, remarks, offered

        asking = question.asking_account_id
        found, remarks, offered = await self._threads.run(asking, explained)
        return Explanation(
            request=request,
            trace=replace(found, layers=tuple(discreet_layer(layer, asking) for layer in found.layers)),
            remedies=tuple(discreet_remedy(remedy, asking) for remedy in offered),
            remarks=(*_of_action(question.action), *remarks, *_remarks(question, abroad=abroad)),
        )

    async def may(
        self, request: Request, source: Source, *, resource_policy: str | None, now_ms: int, region: str
    ) -> bool:
        """Whether somebody may do something, decided as a call of theirs would be.

        Args:
            request: with the keys that the resource supplies.
            source: where the question came from.
            resource_policy: the resource's own.
            now_ms: epoch ms.
            region: that would be called.
        """
        context = self._gate.context(
            request.principal,
            source,
            now_ms=now_ms,
            region=region,
            extra=request.context,
            resource_account_id=request.resource_account_id,
        )
        decision = await self._gate.authorize(replace(request, context=context), resource_policy=resource_policy)
        return decision.allowed

    def _request(self, question: Question) -> tuple[Request, Unknown]:
        principal = question.principal
        context = known_context(
            self._gate,
            principal,
            supplied=question.supplied,
            told=question.told,
            now_ms=question.now_ms,
            region=question.region,
            resource_account_id=question.resource_account_id,
            source=question.source,
        )
        if question.source is None:
            unknown = of_made_up_request(principal, context, resource_known=question.resource_known)
        else:
            unknown = of_recorded_request(
                principal, context, request_known=question.request_known, resource_known=question.resource_known
            )
        request = Request(
            principal=principal,
            action=question.action,
            resource=question.resource,
            resource_account_id=question.resource_account_id,
            context=context,
        )
        any_session = principal.session_name == presumed.ANY_SESSION
        return request, lambda key: unknown(key) or (any_session and key == "aws:userid" and key not in context)


def known_context(
    gate: IdentityGate,
    principal: Principal,
    *,
    supplied: Mapping[str, ContextValue],
    told: Mapping[str, ContextValue],
    now_ms: int,
    region: str,
    resource_account_id: str,
    source: Source | None = None,
) -> dict[str, ContextValue]:
    """What is known of a request that nobody makes now: keys in lower case, those that are told over all others.

    Args:
        gate: knows what follows from the principal and its account.
        principal: who would call, or did.
        supplied: by operation and resource.
        told: by whoever asks.
        now_ms: the instant, unless one is told, epoch ms.
        region: that is called.
        resource_account_id: who owns the resource.
        source: where the call came from; None when it is made up.

    Raises:
        InvalidInput: a key is told that nothing reads, or an instant that is none.
    """
    at_ms = _instant_told(told, now_ms)
    contexts = [
        gate.context(
            principal,
            place,
            now_ms=at_ms,
            region=region,
            extra=supplied,
            resource_account_id=resource_account_id,
        )
        for place in (_SOMEWHERE if source is None else (source,))
    ]
    # What follows from where a call comes from differs between two places; what is left is known.
    context = {key: value for key, value in contexts[0].items() if contexts[-1].get(key) == value}
    if principal.session_name == presumed.ANY_SESSION:
        context.pop("aws:userid", None)
    if source is not None and principal.mfa_authenticated_at_ms is not None:
        # The record says that there was a second factor, not when.
        context.pop("aws:multifactorauthage", None)
    context.update(told)
    return context


def _with_named_sessions(
    found: Trace, request: Request, layers: Layers, *, trust: bool, unseen: Unseen
) -> tuple[Trace, tuple[str, ...]]:
    """A role's sessions may be named one by one; when that decides, the answer depends on the session's name."""
    principal = request.principal
    if principal.session_name != presumed.ANY_SESSION or layers.resource is None:
        return found, ()
    prefix = principal.arn.removesuffix(presumed.ANY_SESSION)
    named = sorted(
        {
            arn
            for statement in layers.resource.document.statements
            if statement.principal is not None
            for arn in statement.principal.arns
            if arn.startswith(prefix)
        }
    )
    for arn in named:
        other = replace(request, principal=replace(principal, arn=arn, session_name=arn.removeprefix(prefix)))
        verdict = trace(other, layers, trust=trust, unseen=unseen).verdict
        if verdict is not found.verdict:
            remark = f"It depends on the session's name: as {arn} the answer is {verdict}."
            decision = replace(found.decision, allowed=False, explicit=False, statements=())
            return replace(found, verdict=Verdict.DEPENDS, decision=decision), (remark,)
    return found, ()


def _of_action(action: str) -> list[str]:
    """What is decided of an action that nobody has is true, and seldom what was meant."""
    prefix = action.partition(":")[0].lower()
    if not vocabulary.service_exists(prefix):
        return [f"There is no service {prefix}.{did_you_mean(prefix, vocabulary.services())}"]
    service = vocabulary.services().get(prefix)
    if service is None or vocabulary.action_named(action) is not None:
        return []
    known = (one.full_name for one in service.actions.values())
    return [f"There is no action {action}.{did_you_mean(action, known)}"]


def _remarks(question: Question, *, abroad: bool) -> list[str]:
    remarks = []
    if abroad:
        remarks.append("The resource belongs to another account, whose policies are not shown: they must allow it too.")
    if question.some_resource:
        remarks.append(
            f"{question.action} acts on a resource, and none was named: what is about single resources may apply or not. "
            "Policies of resources are left out of account."
        )
    if question.session_limited:
        remarks.append("The session was limited by session policies that are not on record.")
    elif question.principal.session_name == presumed.ANY_SESSION:
        remarks.append("Asked for a session of the role without session policies; those can only take away.")
    return remarks


def _instant_told(told: Mapping[str, ContextValue], now_ms: int) -> int:
    """The instant that the asker gives; all clock keys follow from it.

    Raises:
        InvalidInput: no instant; or a clock key with a zone of its own, which is always computed.
    """
    for key in told:
        if clockkeys.zone_of_key(key) is not None:
            message = f"{key} is computed from aws:EpochTime; give that instead."
            raise InvalidInput(message)
    for key in ("aws:epochtime", "aws:currenttime"):
        value = told.get(key)
        if isinstance(value, str):
            instant = parse_instant(value)
            if instant is None:
                message = f"{value} is not an instant."
                raise InvalidInput(message)
            return instant // 1000
    return now_ms
