"""Which policies apply to a principal: loaded once, compiled once, forgotten when identities change."""

from __future__ import annotations

import json
import logging
from typing import Final

from leastwise.iam.directory import Directory, IdentityKind, IdentityRef
from leastwise.iam.interface import MalformedPolicy, PolicyKind, Principal, PrincipalKind
from leastwise.iam.policy.compile import CompiledPolicy, compile_policy
from leastwise.iam.policy.evaluate import Layers

_LOG: Final = logging.getLogger(__name__)

_MOST_COMPILED: Final = 8192
_MOST_LAYERS: Final = 8192

_NOTHING: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
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

_Key = tuple[str, str, tuple[str, ...], str | None, bool]


class Applying:
    """The layers of decisions, by principal and resource policy.

    INVARIANT: a policy that is missing or cannot be read is never left out: it denies everything.
    """

    def __init__(self, *, directory: Directory) -> None:
        self._directory = directory
        self._compiled: dict[tuple[str, PolicyKind, str], CompiledPolicy] = {}
        self._identities: dict[tuple[str, str], Layers] = {}
        self._layers: dict[_Key, Layers] = {}
        self._generation = 0

    def forget(self) -> None:
        """Policies stay compiled: they are found by their text. Whose they are is asked anew."""
        self._generation += 1
        self._identities.clear()
        self._layers.clear()

    def known(self, principal: Principal, resource_policy: str | None, *, trust: bool) -> Layers | None:
        """The hot path: one lookup."""
        return self._layers.get(_key(principal, resource_policy, trust=trust))

    async def load(self, principal: Principal, resource_policy: str | None, *, trust: bool) -> Layers:
        """The layers, read from the directory as far as they are not known."""
        generation = self._generation
        whose = _whose(principal)
        own = self._identities.get(whose)
        if own is None:
            own = await self._own_layers(principal)
            if generation == self._generation:
                if len(self._identities) >= _MOST_LAYERS:
                    self._identities.clear()
                self._identities[whose] = own
        layers = Layers(
            identity=own.identity,
            boundary=own.boundary,
            session=self._session_level(principal),
            resource=self._resource(resource_policy, trust=trust),
        )
        if generation == self._generation:
            if len(self._layers) >= _MOST_LAYERS:
                self._layers.clear()
            self._layers[_key(principal, resource_policy, trust=trust)] = layers
        return layers

    async def session_policies(self, arns: tuple[str, ...]) -> tuple[str, ...]:
        """Texts of managed session policies; one that is gone allows nothing."""
        texts = []
        for arn in arns:
            policy = await self._directory.managed_policy(arn)
            texts.append(_NOTHING if policy is None else policy.default_version.document)
        return tuple(texts)

    async def _own_layers(self, principal: Principal) -> Layers:
        """Identity policies and boundary of the user, or of the role behind a session."""
        boundary_arn: str | None
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
        owner = IdentityRef(account_id=principal.account_id, kind=kind, name=principal.name)
        inline = await self._directory.inline_policies(owner)
        attached = await self._directory.attached_policies(owner)
        identity = [self._compile(policy.document, policy.name, PolicyKind.IDENTITY) for policy in inline]
        identity += [
            self._compile(policy.default_version.document, policy.arn, PolicyKind.IDENTITY) for policy in attached
        ]
        boundary = None
        if boundary_arn is not None:
            bounding = await self._directory.managed_policy(boundary_arn)
            text = _NOTHING if bounding is None else bounding.default_version.document
            boundary = self._compile(text, boundary_arn, PolicyKind.BOUNDARY)
        return Layers(identity=tuple(identity), boundary=boundary)

    def _session_level(self, principal: Principal) -> tuple[CompiledPolicy, ...] | None:
        if not principal.session_policies:
            return None
        return tuple(self._compile(text, "", PolicyKind.SESSION) for text in principal.session_policies)

    def _resource(self, text: str | None, *, trust: bool) -> CompiledPolicy | None:
        if text is None:
            return None
        return self._compile(text, "", PolicyKind.TRUST if trust else PolicyKind.RESOURCE)

    def _compile(self, text: str, name: str, kind: PolicyKind) -> CompiledPolicy:
        known = self._compiled.get((name, kind, text))
        if known is not None:
            return known
        try:
            compiled = compile_policy(text, name=name, kind=kind)
        except MalformedPolicy as error:
            _LOG.error("a stored %s policy %s cannot be read and denies everything: %s", kind.value, name, error)
            with_principal = kind in {PolicyKind.RESOURCE, PolicyKind.TRUST}
            unreadable = PolicyKind.RESOURCE if with_principal else kind
            compiled = compile_policy(_NOTHING_FOR_ANYBODY if with_principal else _NOTHING, name=name, kind=unreadable)
        if len(self._compiled) >= _MOST_COMPILED:
            self._compiled.clear()
        self._compiled[name, kind, text] = compiled
        return compiled


def _whose(principal: Principal) -> tuple[str, str]:
    return principal.role_arn or principal.arn, principal.unique_id.partition(":")[0]


def _key(principal: Principal, resource_policy: str | None, *, trust: bool) -> _Key:
    return (principal.arn, principal.unique_id, principal.session_policies, resource_policy, trust)
