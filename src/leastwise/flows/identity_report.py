"""GetAccountAuthorizationDetails: every identity with every policy, in pages. Security tools read it whole."""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam.directory import IdentityKind, IdentityRef, ManagedPolicy, Role, User
from leastwise.kernel.events import Access

_ALL: Final = ("User", "Role", "LocalManagedPolicy", "AWSManagedPolicy")


async def _get_account_authorization_details(scene: Scene, parameters: Parameters) -> Parameters:
    wanted = parameters.get("Filter") or _ALL
    identities = scene.services.identities
    items: list[tuple[str, User | Role | ManagedPolicy]] = []
    if "User" in wanted:
        items += [(f"1 {user.name}", user) for user in await identities.users.list(scene.account_id, "/")]
    if "Role" in wanted:
        items += [(f"2 {role.name}", role) for role in await identities.roles.list(scene.account_id, "/")]
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
        if isinstance(item, User):
            details["UserDetailList"].append(await _user_detail(scene, item))
        elif isinstance(item, Role):
            details["RoleDetailList"].append(await _role_detail(scene, item))
        else:
            details["Policies"].append(_policy_detail(item, bounds[item.arn]))
    return {**details, **more}


async def _user_detail(scene: Scene, user: User) -> dict[str, Any]:
    owner = IdentityRef(account_id=user.account_id, kind=IdentityKind.USER, name=user.name)
    return {
        **shapes.user_shape(user),
        "UserPolicyList": await _inline(scene, owner),
        "GroupList": [],
        "AttachedManagedPolicies": await _attached(scene, owner),
    }


async def _role_detail(scene: Scene, role: Role) -> dict[str, Any]:
    owner = IdentityRef(account_id=role.account_id, kind=IdentityKind.ROLE, name=role.name)
    shape = shapes.role_shape(role)
    for member in ("Description", "MaxSessionDuration"):
        shape.pop(member, None)
    return {
        **shape,
        "InstanceProfileList": [],
        "RolePolicyList": await _inline(scene, owner),
        "AttachedManagedPolicies": await _attached(scene, owner),
        "RoleLastUsed": {},
    }


def _policy_detail(policy: ManagedPolicy, boundary_uses: int) -> dict[str, Any]:
    shape = shapes.policy_in_list(policy, boundary_uses)
    described = {"Description": policy.description} if policy.description else {}
    return shape | described | {"PolicyVersionList": [shapes.version_shape(version) for version in policy.versions]}


async def _inline(scene: Scene, owner: IdentityRef) -> list[dict[str, str]]:
    found = await scene.services.identities.grants.inline_policies(owner)
    return [{"PolicyName": policy.name, "PolicyDocument": shapes.encoded(policy.document)} for policy in found]


async def _attached(scene: Scene, owner: IdentityRef) -> list[dict[str, str]]:
    return [shapes.attached_shape(policy) for policy in await scene.services.identities.grants.attached(owner)]


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        service="iam",
        name="GetAccountAuthorizationDetails",
        action="iam:GetAccountAuthorizationDetails",
        target=targets.everything,
        handle=_get_account_authorization_details,
        access=Access.READ,
    ),
)
