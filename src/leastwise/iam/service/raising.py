"""Ways to give a principal more: itself, or one that one can become."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final

from leastwise.iam.directory import IdentityKind, ManagedPolicy, OwnedPolicies
from leastwise.iam.escalation.paths import ADMINISTRATOR, WITHIN_BOUNDARY, MadeCall, Step
from leastwise.iam.interface import ContextValue
from leastwise.iam.policy.evaluate import Layers
from leastwise.iam.service.estate import (
    ADMINISTRATOR_ACCESS,
    Estate,
    Somebody,
    compiled,
    policies_in,
    whole_account,
)
from leastwise.iam.service.judging import ALL, Consent, Judge, Planned

_ATTACH: Final[dict[str, ContextValue]] = {"iam:policyarn": ADMINISTRATOR_ACCESS}
_OWNERS: Final = {IdentityKind.USER: "User", IdentityKind.ROLE: "Role", IdentityKind.GROUP: "Group"}


class Raising:
    """Tries every way of `Gain.RAISE`."""

    def __init__(self, judge: Judge, estate: Estate) -> None:
        self._judge = judge
        self._estate = estate

    async def of(self, who: Somebody, target: Somebody) -> AsyncIterator[Step]:
        """Steps by which `who` makes `target` able to do more. What `target` gains is in `becomes`."""
        layers = await self._judge.layers(target.principal, self._estate.account_id)
        gained = await self._gain(target, replace(layers, identity=(ALL,)))
        if gained is not None:
            becomes, conditions = gained
            async for way, calls, consent in self._grants(who, target):
                yield _step(way, calls, becomes, (*consent.conditions, *conditions))
        async for step in self._removals(who, target, layers):
            yield step

    async def _gain(self, target: Somebody, layers: Layers) -> tuple[str, tuple[str, ...]] | None:
        """What the target could do with these layers, if that is much."""
        whole = await whole_account(self._judge, target.principal, self._estate.account_id, instead=layers)
        if whole is not None:
            return ADMINISTRATOR, whole.conditions
        return (WITHIN_BOUNDARY, ()) if layers.identity == (ALL,) else None

    async def _grants(
        self, who: Somebody, target: Somebody
    ) -> AsyncIterator[tuple[str, tuple[MadeCall, ...], Consent]]:
        """Ways that end with policies of the target that allow everything."""
        kind = target.kind
        for action, extra in ((f"Put{kind}Policy", {}), (f"Attach{kind}Policy", _ATTACH)):
            consent = await self._may(who, f"iam:{action}", target.arn, target.supplied() | extra)
            if consent is not None:
                yield action, (_call(f"iam:{action}", target.arn),), consent
        async for way, call, consent in self._rewrites(who, target):
            yield way, (call,), consent
        if target.user is not None:
            for name, arn in self._estate.group_arns.items():
                async for grant in self._through_group(who, target, name, arn):
                    yield grant

    async def _through_group(
        self, who: Somebody, target: Somebody, name: str, arn: str
    ) -> AsyncIterator[tuple[str, tuple[MadeCall, ...], Consent]]:
        """A group that the target is in, or could be added to."""
        raises = []
        for action, extra in (("PutGroupPolicy", {}), ("AttachGroupPolicy", _ATTACH)):
            consent = await self._may(who, f"iam:{action}", arn, extra)
            if consent is not None:
                raises.append((action, _call(f"iam:{action}", arn), consent))
        if name in {group.name for group in target.groups}:
            for way, call, consent in raises:
                yield way, (call,), consent
            return
        join = await self._may(who, "iam:AddUserToGroup", arn, {})
        if join is None:
            return
        added = _call("iam:AddUserToGroup", arn)
        has = Layers(identity=policies_in(self._estate.groups[name]))
        if await whole_account(self._judge, target.principal, self._estate.account_id, instead=has) is not None:
            yield "AddUserToGroup", (added,), join
        for _, call, consent in raises[:1]:
            both = Consent(conditions=(*consent.conditions, *join.conditions))
            yield "PutGroupPolicyAndAddUser", (call, added), both

    async def _rewrites(self, who: Somebody, target: Somebody) -> AsyncIterator[tuple[str, MadeCall, Consent]]:
        """Managed policies that the target has and that `who` can change."""
        for policy in {one.arn: one for held in target.held for one in held.attached}.values():
            if not self._estate.is_own(policy):
                continue
            consent = await self._may(who, "iam:CreatePolicyVersion", policy.arn, _tags(policy))
            if consent is not None:
                yield "CreatePolicyVersion", _call("iam:CreatePolicyVersion", policy.arn), consent
            if await self._has_wider_version(target, policy):
                consent = await self._may(who, "iam:SetDefaultPolicyVersion", policy.arn, _tags(policy))
                if consent is not None:
                    yield "SetDefaultPolicyVersion", _call("iam:SetDefaultPolicyVersion", policy.arn), consent

    async def _has_wider_version(self, target: Somebody, policy: ManagedPolicy) -> bool:
        for version in policy.versions:
            text = None if version.is_default else compiled(version.document, policy.arn)
            if text is not None and await whole_account(
                self._judge, target.principal, self._estate.account_id, instead=Layers(identity=(text,))
            ):
                return True
        return False

    async def _removals(self, who: Somebody, target: Somebody, layers: Layers) -> AsyncIterator[Step]:
        """Ways that end with one limit less. They count when the target may do everything then."""
        if target.boundary_arn is not None:
            async for step in self._without_boundary(who, target, layers, target.boundary_arn):
                yield step
        for held in target.held:
            async for step in self._without_denials(who, target, layers, held):
                yield step

    async def _without_boundary(
        self, who: Somebody, target: Somebody, layers: Layers, boundary_arn: str
    ) -> AsyncIterator[Step]:
        gained = await self._gain(target, replace(layers, boundary=None))
        if gained is not None:
            async for way, calls, consent in self._unbindings(who, target, boundary_arn):
                yield _step(way, calls, ADMINISTRATOR, (*consent.conditions, *gained[1]))
            return
        # No boundary any longer, and more besides.
        both = await self._gain(target, replace(layers, boundary=None, identity=(ALL,)))
        if both is None or both[0] != ADMINISTRATOR:
            return
        async for way, calls, consent in self._unbindings(who, target, boundary_arn):
            async for other, more, also in self._grants(who, target):
                conditions = (*consent.conditions, *also.conditions, *both[1])
                yield _step(f"{way}+{other}", (*calls, *more), ADMINISTRATOR, conditions)
                break

    async def _without_denials(
        self, who: Somebody, target: Somebody, layers: Layers, held: OwnedPolicies
    ) -> AsyncIterator[Step]:
        """Policies of one owner (the target itself, or a group of it) whose Deny stands in the way."""
        owner = _OWNERS[held.owner.kind]
        in_group = held.owner.kind is IdentityKind.GROUP
        arn = self._estate.group_arns.get(held.owner.name, "") if in_group else target.arn
        supplied = {} if in_group else target.supplied()
        prefix = f"group/{held.owner.name}/" if in_group else ""
        removals = [
            (prefix + one.name, "DeleteDenyPolicy", f"iam:Delete{owner}Policy", supplied) for one in held.inline
        ]
        removals += [
            (one.arn, "DetachDenyPolicy", f"iam:Detach{owner}Policy", supplied | {"iam:policyarn": one.arn})
            for one in held.attached
        ]
        wholes = [({name}, way, action, extra) for name, way, action, extra in removals]
        if in_group:
            wholes.append(({name for name, *_ in removals}, "RemoveUserFromGroup", "iam:RemoveUserFromGroup", {}))
        for names, way, action, extra in wholes:
            gained = await self._without(target, layers, names)
            consent = None if gained is None else await self._may(who, action, arn, extra)
            if gained is not None and consent is not None:
                yield _step(way, (_call(action, arn),), gained[0], (*consent.conditions, *gained[1]))

    async def _without(self, target: Somebody, layers: Layers, names: set[str]) -> tuple[str, tuple[str, ...]] | None:
        """What the target gains when policies with a Deny are gone; None when there is none in them, or nothing gained."""
        gone = [policy for policy in layers.identity if policy.name in names]
        if not any(not statement.allow for policy in gone for statement in policy.statements):
            return None
        left = replace(layers, identity=tuple(policy for policy in layers.identity if policy.name not in names))
        gained = await self._gain(target, left)
        return gained if gained is not None and gained[0] == ADMINISTRATOR else None

    async def _unbindings(
        self, who: Somebody, target: Somebody, boundary_arn: str
    ) -> AsyncIterator[tuple[str, tuple[MadeCall, ...], Consent]]:
        kind = target.kind
        for action, extra in (
            (f"Delete{kind}PermissionsBoundary", {}),
            (f"Put{kind}PermissionsBoundary", {"iam:permissionsboundary": ADMINISTRATOR_ACCESS}),
        ):
            supplied: dict[str, ContextValue] = target.supplied() | extra
            consent = await self._may(who, f"iam:{action}", target.arn, supplied)
            if consent is not None:
                yield action, (_call(f"iam:{action}", target.arn),), consent
        policy = self._estate.managed.get(boundary_arn)
        if policy is not None and self._estate.is_own(policy):
            consent = await self._may(who, "iam:CreatePolicyVersion", boundary_arn, _tags(policy))
            if consent is not None:
                yield "RewriteBoundaryPolicy", (_call("iam:CreatePolicyVersion", boundary_arn),), consent

    async def _may(
        self, who: Somebody, action: str, resource: str, supplied: dict[str, ContextValue]
    ) -> Consent | None:
        planned = Planned(action=action, resource=resource, account_id=self._estate.account_id, supplied=supplied)
        return await self._judge.may(who.principal, planned)


def _tags(policy: ManagedPolicy) -> dict[str, ContextValue]:
    return {f"aws:resourcetag/{key.lower()}": value for key, value in policy.tags.items()}


def _call(action: str, resource: str) -> MadeCall:
    return MadeCall(action=action, resource=resource)


def _step(way: str, calls: tuple[MadeCall, ...], becomes: str, conditions: tuple[str, ...]) -> Step:
    return Step(way=way, calls=calls, becomes=becomes, conditions=tuple(dict.fromkeys(conditions)))
