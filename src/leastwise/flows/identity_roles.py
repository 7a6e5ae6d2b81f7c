"""IAM roles: what is theirs alone. What they have in common with users and groups is in `identity_kinds.py`."""

from __future__ import annotations

from typing import Final

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam.directory import IdentityKind

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
    roles = scene.services.identities.roles
    role = roles.with_last_use(await roles.get(scene.account_id, parameters["RoleName"]))
    return {"Role": shapes.role_shape(role) | shapes.role_last_used(role)}


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


async def _list_instance_profiles_for_role(scene: Scene, parameters: Parameters) -> Parameters:
    """There are no instances, so no role is in a profile of one. Terraform asks before it deletes a role."""
    await scene.services.identities.roles.get(scene.account_id, parameters["RoleName"])
    return {"InstanceProfiles": [], "IsTruncated": False}


OPERATIONS: tuple[Operation, ...] = (
    write(
        "CreateRole",
        targets.created(_ROLE),
        _create_role,
        further=targets.tagged("iam:TagRole", targets.created(_ROLE)),
    ),
    read("GetRole", targets.named(_ROLE), _get_role),
    write("UpdateRole", targets.named(_ROLE), _update_role),
    write("UpdateRoleDescription", targets.named(_ROLE), _update_role_description),
    write("UpdateAssumeRolePolicy", targets.named(_ROLE), _update_assume_role_policy),
    read("ListInstanceProfilesForRole", targets.named(_ROLE), _list_instance_profiles_for_role),
)
