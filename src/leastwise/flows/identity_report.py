"""Whole accounts: GetAccountAuthorizationDetails, every identity with every policy, in pages; GetAccountSummary."""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam.directory import Group, IdentityKind, IdentityRef, ManagedPolicy, Role, User

_ALL: Final = ("User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy")
_KINDS: Final = (IdentityKind.USER, IdentityKind.GROUP, IdentityKind.ROLE)


async def _get_account_authorization_details(scene: Scene, parameters: Parameters) -> Parameters:
    wanted = parameters.get("Filter") or _ALL
    identities = scene.services.identities
    items: list[tuple[str, User | Role | Group | ManagedPolicy]] = []
    for place, kind in enumerate(_KINDS):
        if targets.title(kind) in wanted:
            found = await targets.verbs(scene, kind).list(scene.account_id, "/")
            items += [(f"{place} {identity.name}", identity) for identity in found]
    bounds = await identities.grants.boundary_counts(scene.account_id)
    policies = await identities.policies.list(
        scene.account_id, "/", own="LocalManagedPolicy" in wanted, built_in="AWSManagedPolicy" in wanted
    )
    for policy in policies:
        # Of the built-in ones only those that are in use, as in AWS.
        if policy.account_id == scene.account_id or policy.attachment_count or bounds[policy.arn]:
            items.append((f"3 {policy.name} {policy.account_id}", policy))
    cut, more = shapes.page(parameters, sorted(items, key=lambda item: item[0]), key=lambda item: item[0])
    details: dict[str, list[dict[str, Any]]] = {
        "UserDetailList": [],
        "GroupDetailList": [],
        "RoleDetailList": [],
        "Policies": [],
    }
    for _, item in cut:
        match item:
            case User():
                details["UserDetailList"].append(await _user_detail(scene, item))
            case Group():
                granted = await _granted(scene, IdentityKind.GROUP, item.name)
                details["GroupDetailList"].append(shapes.in_list(item) | granted)
            case Role():
                details["RoleDetailList"].append(await _role_detail(scene, item))
            case ManagedPolicy():
                details["Policies"].append(_policy_detail(item, bounds[item.arn]))
    return {**details, **more}


async def _user_detail(scene: Scene, user: User) -> dict[str, Any]:
    groups = await scene.services.identities.groups.of_user(user.account_id, user.name)
    return {
        **shapes.user_shape(user),
        **await _granted(scene, IdentityKind.USER, user.name),
        "GroupList": [group.name for group in groups],
    }


async def _role_detail(scene: Scene, role: Role) -> dict[str, Any]:
    shape = shapes.role_shape(role)
    for member in ("Description", "MaxSessionDuration"):
        shape.pop(member, None)
    return {
        **shape,
        **await _granted(scene, IdentityKind.ROLE, role.name),
        **shapes.role_last_used(scene.services.identities.roles.with_last_use(role)),
        "InstanceProfileList": [],
    }


def _policy_detail(policy: ManagedPolicy, boundary_uses: int) -> dict[str, Any]:
    shape = shapes.policy_in_list(policy, boundary_uses)
    described = {"Description": policy.description} if policy.description else {}
    return shape | described | {"PolicyVersionList": [shapes.version_shape(version) for version in policy.versions]}


async def _granted(scene: Scene, kind: IdentityKind, name: str) -> dict[str, Any]:
    """Inline and attached policies, as every kind of identity shows them."""
    owner = IdentityRef(account_id=scene.account_id, kind=kind, name=name)
    grants = scene.services.identities.grants
    inline = [
        {"PolicyName": policy.name, "PolicyDocument": shapes.encoded(policy.document)}
        for policy in await grants.inline_policies(owner)
    ]
    attached = [shapes.attached_shape(policy) for policy in await grants.attached(owner)]
    return {f"{targets.title(kind)}PolicyList": inline, "AttachedManagedPolicies": attached}


async def _get_account_summary(scene: Scene, _parameters: Parameters) -> Parameters:
    return {"SummaryMap": dict(await scene.services.identities.summary(scene.account_id))}


OPERATIONS: tuple[Operation, ...] = (
    read("GetAccountAuthorizationDetails", targets.everything, _get_account_authorization_details),
    read("GetAccountSummary", targets.everything, _get_account_summary),
)
