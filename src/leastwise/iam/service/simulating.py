"""The policy simulators of IAM: what would these policies say?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from leastwise.iam import names
from leastwise.iam.directory import Directory, IdentityKind, IdentityRef
from leastwise.iam.interface import ContextValue, InvalidInput, PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy.compile import CompiledPolicy
from leastwise.iam.policy.evaluate import Layers, Level
from leastwise.iam.service.asking import known_context
from leastwise.iam.service.gate import IdentityGate
from leastwise.iam.service.grants import Grants, PolicySource
from leastwise.iam.service.slow_work import SlowWork
from leastwise.iam.why import presumed
from leastwise.iam.why.knowledge import of_made_up_request
from leastwise.iam.why.simulation import Exclusions, Simulated, SimulatedPolicy, simulated
from leastwise.iam.why.trace import Unseen, trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls in a simulation.

    Args:
        principal: as policies see it.
        known: it is somebody of the asking account, so that what it lacks is known.
        named: an ARN was given at all; without one, nothing about the caller is known.
    """

    principal: Principal
    known: bool
    named: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all evaluations of one simulation share.

    Args:
        account_id: the asker's.
        caller: who calls.
        identity: policies of the caller.
        boundary: its permissions boundary, None for none.
        organization: service control policies by level, from the root down; None: those that bind the account.
        told: context that is given, keys in lower case.
        now_ms: epoch ms.
        compiled: what was compiled for one evaluation, for the next.
    """

    account_id: str
    caller: Caller
    identity: tuple[SimulatedPolicy, ...]
    boundary: SimulatedPolicy | None
    organization: tuple[tuple[SimulatedPolicy, ...], ...] | None
    told: Mapping[str, ContextValue]
    now_ms: int
    compiled: dict[tuple[str, PolicyKind, str], CompiledPolicy] = field(default_factory=dict, repr=False)


class Simulating:
    """Evaluates made-up requests against real or made-up policies.

    Args:
        directory: who there is.
        gate: knows guardrails and contexts.
        grants: policies of identities.
        threads: where evaluations are made. SECURITY: made-up policies can make one long, and others must not wait.
    """

    def __init__(self, *, directory: Directory, gate: IdentityGate, grants: Grants, threads: SlowWork) -> None:
        self._directory = directory
        self._gate = gate
        self._grants = grants
        self._threads = threads

    async def caller(self, account_id: str, arn: str | None) -> Caller:
        """Who an ARN is as a caller; somebody unknown without one.

        Raises:
            InvalidInput: no user, group or role.
        """
        if arn is None:
            return Caller(principal=_stranger(account_id, "user", presumed.ANY_SESSION), known=False, named=False)
        if arn == names.root_arn(account_id):
            return Caller(principal=presumed.root_principal(account_id), known=True)
        who = _identity_of(arn)
        if who.account_id == account_id and who.kind is IdentityKind.USER:
            user = await self._directory.user(account_id, who.name)
            if user is not None and user.arn == arn:
                return Caller(principal=presumed.user_principal(user), known=True)
        if who.account_id == account_id and who.kind is IdentityKind.ROLE:
            role = await self._directory.role(account_id, who.name)
            if role is not None and role.arn == arn:
                return Caller(principal=presumed.role_principal(role, presumed.ANY_SESSION), known=True)
        return stranger_named(arn)

    async def policies_of(
        self, account_id: str, arn: str, excluded: Exclusions
    ) -> tuple[tuple[SimulatedPolicy, ...], SimulatedPolicy | None]:
        """Identity policies and boundary of a user, group or role, but those left out.

        Raises:
            NoSuchEntity: there is none of that ARN.
        """
        sources = await self._grants.sources_of(account_id, arn)
        identity = tuple(_policy(source) for source in sources if not _dropped(source, excluded))
        boundary_arn = None if "permission-boundary" in excluded.types else await self._boundary_arn(account_id, arn)
        if boundary_arn is None:
            return identity, None
        policy = await self._directory.managed_policy(boundary_arn)
        if policy is None:
            # As in `applying`: a boundary that is gone bounds everything.
            gone = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
            return identity, SimulatedPolicy(source_id=boundary_arn, source_type="user-managed", text=gone)
        return identity, SimulatedPolicy(
            source_id=policy.name, source_type=_managed_type(policy.arn), text=policy.default_version.document
        )

    async def evaluate(
        self,
        setup: Setup,
        action: str,
        resource: str,
        *,
        resource_account_id: str,
        resource_policy: SimulatedPolicy | None,
        resource_known: bool,
        supplied: Mapping[str, ContextValue],
        region: str,
    ) -> Simulated:
        """One action on one resource.

        Args:
            setup: what all evaluations share.
            action: `service:Operation`.
            resource: ARN or `*`.
            resource_account_id: who owns it.
            resource_policy: its own policy, None for none.
            resource_known: it was looked up.
            supplied: keys that it supplies, lower case.
            region: that is called.

        Raises:
            InvalidInput: a policy cannot be read.
        """
        principal = setup.caller.principal
        context = known_context(
            self._gate,
            principal,
            supplied=supplied,
            told=setup.told,
            now_ms=setup.now_ms,
            region=region,
            resource_account_id=resource_account_id,
        )
        if not setup.caller.known:
            context = _without_identity(context, setup)
        request = Request(
            principal=principal,
            action=action,
            resource=resource,
            resource_account_id=resource_account_id,
            context=context,
        )
        unknown = of_made_up_request(
            principal, context, resource_known=resource_known, principal_known=setup.caller.known
        )
        policies: dict[str, SimulatedPolicy] = {}
        layers, trust = await self._layers(setup, request, resource_policy, policies)

        def outcome() -> Simulated:
            found = trace(request, layers, trust=trust, unseen=Unseen(key=unknown))
            return simulated(found, policies, across_accounts=principal.account_id != resource_account_id)

        return await self._threads.run(setup.account_id, outcome)

    async def _layers(
        self,
        setup: Setup,
        request: Request,
        resource_policy: SimulatedPolicy | None,
        policies: dict[str, SimulatedPolicy],
    ) -> tuple[Layers, bool]:
        """The real layers of the account, with the simulation's policies in their places."""

        def compiled(policy: SimulatedPolicy, kind: PolicyKind) -> CompiledPolicy:
            name = str(len(policies))
            policies[name] = policy
            known = setup.compiled.get((name, kind, policy.text))
            if known is None:
                known = setup.compiled[name, kind, policy.text] = policy.compiled(name=name, kind=kind)
            return known

        real, trust = await self._gate.layers(request, resource_policy=None)
        resource_kind = PolicyKind.TRUST if trust else PolicyKind.RESOURCE
        # SECURITY: what guards another account is not told by how a simulation turns out.
        service_control: Sequence[Level] = (
            real.service_control if request.principal.account_id == setup.account_id else ()
        )
        if setup.organization is not None:
            service_control = [
                tuple(compiled(policy, PolicyKind.SERVICE_CONTROL) for policy in level) for level in setup.organization
            ]
        layers = Layers(
            identity=tuple(compiled(policy, PolicyKind.IDENTITY) for policy in setup.identity),
            boundary=None if setup.boundary is None else compiled(setup.boundary, PolicyKind.BOUNDARY),
            session=None,
            resource=None if resource_policy is None else compiled(resource_policy, resource_kind),
            service_control=tuple(service_control),
            resource_control=real.resource_control if request.resource_account_id == setup.account_id else (),
        )
        return layers, trust

    async def _boundary_arn(self, account_id: str, arn: str) -> str | None:
        who = names.identity_in_arn(arn)
        if who is None or who.kind is IdentityKind.GROUP:
            return None
        find = self._directory.user if who.kind is IdentityKind.USER else self._directory.role
        found = await find(account_id, who.name)
        return None if found is None else found.boundary_arn


def stranger_named(arn: str) -> Caller:
    """Somebody of whom only the ARN is known. Raises: InvalidInput (no user, group or role)."""
    who = _identity_of(arn)
    return Caller(principal=_stranger(who.account_id, who.kind.value, who.name, arn), known=False)


def _identity_of(arn: str) -> IdentityRef:
    who = names.identity_in_arn(arn)
    if who is None:
        message = f"Invalid Entity Arn: {arn} does not clearly define entity type and name."
        raise InvalidInput(message)
    return who


def _policy(source: PolicySource) -> SimulatedPolicy:
    if source.arn is not None:
        return SimulatedPolicy(source_id=source.name, source_type=_managed_type(source.arn), text=source.document)
    kind = source.owner.kind.value
    return SimulatedPolicy(
        source_id=f"{kind}_{source.owner.name}_{source.name}", source_type=kind, text=source.document
    )


def _dropped(source: PolicySource, excluded: Exclusions) -> bool:
    if source.arn is not None:
        return excluded.drops_managed(source.arn)
    return excluded.drops_inline(source.owner.kind.value, source.owner.name, source.name)


def _managed_type(arn: str) -> str:
    return "aws-managed" if arn.startswith("arn:aws:iam::aws:") else "user-managed"


def _stranger(account_id: str, kind: str, name: str, arn: str | None = None) -> Principal:
    """Somebody of whom no more than an ARN is known. A group never is a principal, and so no policy can name it."""
    arn = arn or f"arn:aws:iam::{account_id}:{kind}/{name}"
    is_role = kind == IdentityKind.ROLE
    return Principal(
        kind=PrincipalKind.ROLE_SESSION if is_role else PrincipalKind.USER,
        account_id=account_id,
        arn=names.session_arn(account_id, name, presumed.ANY_SESSION) if is_role else arn,
        role_arn=arn if is_role else None,
        unique_id=presumed.ANY_SESSION,
        name=name,
        session_name=presumed.ANY_SESSION if is_role else None,
    )


_OF_IDENTITY = frozenset({"aws:userid"})
_OF_NOBODY = _OF_IDENTITY | {"aws:username", "aws:principalarn", "aws:principaltype", "aws:principalaccount"}


def _without_identity(context: Mapping[str, ContextValue], setup: Setup) -> dict[str, ContextValue]:
    """What is not known of a caller who is only an ARN, or not even that."""
    hidden = _OF_IDENTITY if setup.caller.named else _OF_NOBODY
    return {key: value for key, value in context.items() if key not in hidden or key in setup.told}
