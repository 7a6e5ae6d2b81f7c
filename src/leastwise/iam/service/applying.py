"""Which policies apply to a principal: loaded once, compiled once, forgotten when identities change."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from leastwise.iam.directory import Directory, IdentityKind, IdentityRef, OwnedPolicies
from leastwise.iam.interface import Issuer, MalformedPolicy, PolicyKind, Principal, PrincipalKind
from leastwise.iam.organization import GuardrailType
from leastwise.iam.policy.compile import CompiledPolicy, compile_policy
from leastwise.iam.policy.evaluate import Layers, Level
from leastwise.iam.remembering import Remembered, compiled_weight
from leastwise.iam.service.standing import AccountStanding
from leastwise.kernel.units import MIB

_LOG: Final = logging.getLogger(__name__)

# SECURITY: exhausting the memory, and pushing out what other accounts use. Anybody who may call GetFederationToken or
# AssumeRole writes session policies and names sessions, as many as they like: those have little room, and of their own.
_COMPILED_ROOM: Final = 128 * MIB
_COMPILED_SESSION_ROOM: Final = 16 * MIB
_LAYERS_ROOM: Final = 16 * MIB
_SESSION_LAYERS_ROOM: Final = 2 * MIB
_LAYERS_WEIGHT: Final = 2048
"""What layers weigh beside the texts in their key."""

_NOTHING: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
)
_EVERYTHING: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
_NOTHING_FOR_ANYBODY: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]}
)

_SERVICES: Final = {
    "lambda.amazonaws.com": json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Sid": "RunAcceptedEvents", "Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"}
            ],
        }
    )
}
"""What the platform's own services may do, in the account on whose behalf they act. Their proofs cannot be made from
bytes: no door builds a `ServiceProof`."""

_CLOSED: Final = "closed account"

_Compiled = tuple[str, PolicyKind, str]
_Key = tuple[str, str, tuple[str, ...], str, str | None, bool]


class Applying:
    """The layers of decisions, by principal and resource policy.

    INVARIANT: a policy that is missing or cannot be read is never left out: it denies everything.
    INVARIANT: layers hold no policy that is not remembered as compiled. What there is room for is all there is.
    """

    def __init__(self, *, directory: Directory, standing: AccountStanding) -> None:
        self._directory = directory
        self._standing = standing
        self._compiled: Remembered[_Compiled, CompiledPolicy] = Remembered(room=_COMPILED_ROOM)
        self._compiled_of_sessions: Remembered[_Compiled, CompiledPolicy] = Remembered(room=_COMPILED_SESSION_ROOM)
        self._identities: Remembered[tuple[str, str], Layers] = Remembered(room=_LAYERS_ROOM)
        self._federated: Remembered[tuple[str, str], Layers] = Remembered(room=_SESSION_LAYERS_ROOM)
        self._layers: Remembered[_Key, Layers] = Remembered(room=_LAYERS_ROOM)
        self._layers_of_sessions: Remembered[_Key, Layers] = Remembered(room=_SESSION_LAYERS_ROOM)
        self._generation = 0

    def forget(self) -> None:
        """Policies stay compiled as long as there is room: they are found by their text. Whose they are is asked anew."""
        self._generation += 1
        for layers in (self._identities, self._federated):
            layers.clear()
        for known in (self._layers, self._layers_of_sessions):
            known.clear()

    def known(
        self, principal: Principal, resource_policy: str | None, *, resource_account_id: str, trust: bool
    ) -> Layers | None:
        """The hot path: one lookup."""
        layers = self._layers_of_sessions if _chosen_by_caller(principal) else self._layers
        return layers.get(_key(principal, resource_policy, resource_account_id, trust=trust))

    async def load(
        self, principal: Principal, resource_policy: str | None, *, resource_account_id: str, trust: bool
    ) -> Layers:
        """The layers, read from the directory as far as they are not known."""
        generation = self._generation
        whose = _whose(principal)
        identities = self._identities if principal.federated_by is None else self._federated
        own = identities.get(whose)
        if own is None:
            own = await self._own_layers(principal)
            if generation == self._generation:
                identities.put(whose, own, weight=_LAYERS_WEIGHT)
        layers = Layers(
            identity=own.identity,
            boundary=own.boundary,
            session=self._session_level(principal),
            resource=self._resource(resource_policy, trust=trust),
            service_control=await self._service_control(principal),
            resource_control=await self._resource_control(resource_account_id),
        )
        if generation == self._generation:
            known = self._layers_of_sessions if _chosen_by_caller(principal) else self._layers
            weight = _LAYERS_WEIGHT + sum(map(len, principal.session_policies)) + len(resource_policy or "")
            known.put(_key(principal, resource_policy, resource_account_id, trust=trust), layers, weight=weight)
        return layers

    async def session_policies(self, arns: tuple[str, ...]) -> tuple[str, ...]:
        """Texts of managed session policies; one that is gone allows nothing."""
        texts = []
        for arn in arns:
            policy = await self._directory.managed_policy(arn)
            # Sessions are many and name the same policies: their texts are in memory once.
            texts.append(sys.intern(_NOTHING if policy is None else policy.default_version.document))
        return tuple(texts)

    async def _own_layers(self, principal: Principal) -> Layers:
        """Identity policies and boundary of the user, its groups' included, or of the role behind a session."""
        boundary_arn: str | None
        if principal.federated_by is not None:
            return await self._layers_of_issuer(principal, principal.federated_by)
        if principal.kind is PrincipalKind.USER:
            user = await self._directory.user(principal.account_id, principal.name)
            if user is None or user.user_id != principal.unique_id:
                return Layers()
            boundary_arn, kind = user.boundary_arn, IdentityKind.USER
        elif principal.kind is PrincipalKind.ROLE_SESSION:
            role = await self._directory.role(principal.account_id, principal.name)
            if role is None or role.role_id != principal.unique_id.partition(":")[0]:
                return Layers()
            boundary_arn, kind = role.boundary_arn, IdentityKind.ROLE
        elif principal.kind is PrincipalKind.SERVICE and principal.name in _SERVICES:
            text = _SERVICES[principal.name]
            return Layers(identity=(self._compile(text, f"service/{principal.name}", PolicyKind.IDENTITY),))
        else:
            return Layers()
        owners = [IdentityRef(account_id=principal.account_id, kind=kind, name=principal.name)]
        if kind is IdentityKind.USER:
            groups = await self._directory.groups_of_user(principal.account_id, principal.name)
            owners += [replace(owners[0], kind=IdentityKind.GROUP, name=group.name) for group in groups]
        identity = [
            self._compile(text, name, PolicyKind.IDENTITY)
            for held in await self._directory.policies_of(owners)
            for name, text in _named(held)
        ]
        boundary = None
        if boundary_arn is not None:
            bounding = await self._directory.managed_policy(boundary_arn)
            text = _NOTHING if bounding is None else bounding.default_version.document
            boundary = self._compile(text, boundary_arn, PolicyKind.BOUNDARY)
        return Layers(identity=tuple(identity), boundary=boundary)

    async def _layers_of_issuer(self, principal: Principal, issuer: Issuer) -> Layers:
        """What the user has who made a federated user's session; it is never more than that."""
        if not issuer.name:
            return Layers(identity=(self._compile(_EVERYTHING, issuer.arn, PolicyKind.IDENTITY),))
        return await self._own_layers(
            replace(
                principal,
                kind=PrincipalKind.USER,
                name=issuer.name,
                unique_id=issuer.unique_id,
                federated_by=None,
            )
        )

    async def _service_control(self, principal: Principal) -> tuple[Level, ...]:
        """What binds the caller's account. Services, and nobody in particular, are bound by none.

        Source: AWS Organizations User Guide, "Service control policies", what they do not restrict.
        """
        if principal.kind in {PrincipalKind.SERVICE, PrincipalKind.ANONYMOUS}:
            return ()
        return await self._guardrails(principal.account_id, GuardrailType.SERVICE_CONTROL, PolicyKind.SERVICE_CONTROL)

    async def _resource_control(self, account_id: str) -> tuple[Level, ...]:
        """What binds the account that owns the resource. Nobody may do anything with those of a closed account."""
        if await self._standing.is_suspended(account_id):
            return ((self._compile(_NOTHING_FOR_ANYBODY, _CLOSED, PolicyKind.RESOURCE_CONTROL),),)
        return await self._guardrails(account_id, GuardrailType.RESOURCE_CONTROL, PolicyKind.RESOURCE_CONTROL)

    async def _guardrails(self, account_id: str, which: GuardrailType, kind: PolicyKind) -> tuple[Level, ...]:
        tree = await self._standing.tree()
        if tree is None:
            return ()
        return tuple(
            tuple(self._compile(policy.content, tree.arn_of(policy), kind) for policy in level)
            for level in tree.levels(account_id, which)
        )

    def _session_level(self, principal: Principal) -> tuple[CompiledPolicy, ...] | None:
        if not principal.session_policies:
            # SECURITY: a federated user without a session policy has nothing of its issuer's.
            # SOURCE: STS API Reference, GetFederationToken, "Permissions".
            return () if principal.federated_by is not None else None
        return tuple(self._compile(text, "", PolicyKind.SESSION) for text in principal.session_policies)

    def _resource(self, text: str | None, *, trust: bool) -> CompiledPolicy | None:
        if text is None:
            return None
        return self._compile(text, "", PolicyKind.TRUST if trust else PolicyKind.RESOURCE)

    def _compile(self, text: str, name: str, kind: PolicyKind) -> CompiledPolicy:
        remembered = self._compiled_of_sessions if kind is PolicyKind.SESSION else self._compiled
        known = remembered.get((name, kind, text))
        if known is not None:
            return known
        try:
            compiled = compile_policy(text, name=name, kind=kind)
        except MalformedPolicy as error:
            _LOG.error("a stored %s policy %s cannot be read and denies everything: %s", kind.value, name, error)
            with_principal = kind in {PolicyKind.RESOURCE, PolicyKind.TRUST, PolicyKind.RESOURCE_CONTROL}
            unreadable = PolicyKind.RESOURCE if kind is PolicyKind.TRUST else kind
            compiled = compile_policy(_NOTHING_FOR_ANYBODY if with_principal else _NOTHING, name=name, kind=unreadable)
        gone = remembered.put((name, kind, text), compiled, weight=compiled_weight(text))
        if gone:
            self._let_go(gone)
        return compiled

    def _let_go(self, gone: Iterable[CompiledPolicy]) -> None:
        """Layers must not keep alive what there is no room for, nor may those that are being put together now."""
        self._generation += 1
        unwanted = {id(policy) for policy in gone}

        def holds_one(layers: Layers) -> bool:
            return any(id(policy) in unwanted for policy in _policies(layers))

        for own in (self._identities, self._federated):
            own.drop(holds_one)
        for known in (self._layers, self._layers_of_sessions):
            known.drop(holds_one)


def _policies(layers: Layers) -> Iterator[CompiledPolicy]:
    yield from layers.identity
    yield from layers.session or ()
    for level in (*layers.service_control, *layers.resource_control):
        yield from level
    for policy in (layers.boundary, layers.resource):
        if policy is not None:
            yield policy


def _chosen_by_caller(principal: Principal) -> bool:
    """Whether callers can have as many of these layers as they like, by what they write into or call their sessions."""
    return bool(principal.session_policies) or principal.federated_by is not None


def _named(held: OwnedPolicies) -> list[tuple[str, str]]:
    """(name, document) of inline and attached policies."""
    # An explanation must not take a group's inline policy for one of the user's own.
    within = f"group/{held.owner.name}/" if held.owner.kind is IdentityKind.GROUP else ""
    found = [(within + policy.name, policy.document) for policy in held.inline]
    return found + [(policy.arn, policy.default_version.document) for policy in held.attached]


def _whose(principal: Principal) -> tuple[str, str]:
    if principal.federated_by is not None:
        # Apart from the issuer itself, of which not only the policies are remembered.
        return principal.arn, principal.federated_by.unique_id
    return principal.role_arn or principal.arn, principal.unique_id.partition(":")[0]


def _key(principal: Principal, resource_policy: str | None, resource_account_id: str, *, trust: bool) -> _Key:
    # SECURITY: two users may give the same name to those whom they federate; they share nothing for it.
    # The name of a role's session changes no layer, and callers choose it.
    arn, unique_id = _whose(principal)
    return (arn, unique_id, principal.session_policies, resource_account_id, resource_policy, trust)
