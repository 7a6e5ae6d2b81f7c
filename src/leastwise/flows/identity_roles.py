"""IAM roles: rows and handlers."""

from __future__ import annotations

from typing import Final

from leastwise.flows import function_policy
from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam.directory import IdentityKind
from leastwise.kernel.events import Access

_ROLE: Final = IdentityKind.ROLE
_DEFAULT_SESSION_S: Final = 3600


async def _create_role(scene: Scene, parameters: Parameters) -> Parameters:
    role = await scene.services.identities.roles.create(
        scene.account_id,
        parameters["RoleName"],
        path=parameters.get("Path", "/"),
        trust_policy=parameters["AssumeRolePolicyDocument"],
        description=parameters.get("Description", ""),
        max_session_s=parameters.get("MaxSessionDuration", _DEFAULT_SESSION_S),
        tags=shapes.tags_of(parameters),
        boundary_arn=parameters.get("PermissionsBoundary"),
        now_ms=scene.now_ms,
    )
    return {"Role": shapes.role_shape(role)}


async def _get_role(scene: Scene, parameters: Parameters) -> Parameters:
    role = await scene.services.identities.roles.get(scene.account_id, parameters["RoleName"])
    return {"Role": shapes.role_shape(role) | {"RoleLastUsed": {}}}


async def _list_roles(scene: Scene, parameters: Parameters) -> Parameters:
    found = await scene.services.identities.roles.list(scene.account_id, parameters.get("PathPrefix", "/"))
    cut, more = shapes.page(parameters, found, key=lambda role: role.name)
    return {"Roles": [shapes.role_in_list(role) for role in cut], **more}


async def _update_role(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.roles.update(
        scene.account_id,
        parameters["RoleName"],
        description=parameters.get("Description"),
        max_session_s=parameters.get("MaxSessionDuration"),
    )
    return {}


async def _update_role_description(scene: Scene, parameters: Parameters) -> Parameters:
    role = await scene.services.identities.roles.update(
        scene.account_id, parameters["RoleName"], description=parameters["Description"], max_session_s=None
    )
    return {"Role": shapes.role_shape(role)}


async def _update_assume_role_policy(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.roles.trust(scene.account_id, parameters["RoleName"], parameters["PolicyDocument"])
    return {}


async def _delete_role(scene: Scene, parameters: Parameters) -> Parameters:
    roles = scene.services.identities.roles
    role = await roles.get(scene.account_id, parameters["RoleName"])
    await roles.delete(scene.account_id, role.name)
    await function_policy.identity_deleted(scene, _ROLE, role.arn, unique_id=role.role_id)
    return {}


async def _tag_role(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.roles.tag(scene.account_id, parameters["RoleName"], shapes.tags_of(parameters))
    return {}


async def _untag_role(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.roles.untag(scene.account_id, parameters["RoleName"], parameters["TagKeys"])
    return {}


async def _list_role_tags(scene: Scene, parameters: Parameters) -> Parameters:
    role = await scene.services.identities.roles.get(scene.account_id, parameters["RoleName"])
    cut, more = shapes.page(parameters, shapes.tag_list(role.tags), key=lambda tag: tag["Key"])
    return {"Tags": list(cut), **more}


async def _list_instance_profiles_for_role(scene: Scene, parameters: Parameters) -> Parameters:
    """There are no instances, so no role is in a profile of one. Terraform asks before it deletes a role."""
    await scene.services.identities.roles.get(scene.account_id, parameters["RoleName"])
    return {"InstanceProfiles": [], "IsTruncated": False}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        service="iam",
        name="CreateRole",
        action="iam:CreateRole",
        target=targets.created(_ROLE),
        further=targets.tagged("iam:TagRole", targets.created(_ROLE)),
        handle=_create_role,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="GetRole",
        action="iam:GetRole",
        target=targets.named(_ROLE),
        handle=_get_role,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="ListRoles",
        action="iam:ListRoles",
        target=targets.listed("role"),
        handle=_list_roles,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="UpdateRole",
        action="iam:UpdateRole",
        target=targets.named(_ROLE),
        handle=_update_role,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="UpdateRoleDescription",
        action="iam:UpdateRoleDescription",
        target=targets.named(_ROLE),
        handle=_update_role_description,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="UpdateAssumeRolePolicy",
        action="iam:UpdateAssumeRolePolicy",
        target=targets.named(_ROLE),
        handle=_update_assume_role_policy,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="DeleteRole",
        action="iam:DeleteRole",
        target=targets.named(_ROLE),
        handle=_delete_role,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="TagRole",
        action="iam:TagRole",
        target=targets.named(_ROLE, targets.request_tags),
        handle=_tag_role,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="UntagRole",
        action="iam:UntagRole",
        target=targets.named(_ROLE, targets.request_tags),
        handle=_untag_role,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="ListRoleTags",
        action="iam:ListRoleTags",
        target=targets.named(_ROLE),
        handle=_list_role_tags,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="ListInstanceProfilesForRole",
        action="iam:ListInstanceProfilesForRole",
        target=targets.named(_ROLE),
        handle=_list_instance_profiles_for_role,
        access=Access.READ,
    ),
)
