"""IAM groups and who is in them: rows and handlers."""

from __future__ import annotations

from typing import Final

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam.directory import IdentityKind

_GROUP: Final = IdentityKind.GROUP


async def _create_group(scene: Scene, parameters: Parameters) -> Parameters:
    group = await scene.services.identities.groups.create(
        scene.account_id, parameters["GroupName"], path=parameters.get("Path", "/"), now_ms=scene.now_ms
    )
    return {"Group": shapes.in_list(group)}


async def _get_group(scene: Scene, parameters: Parameters) -> Parameters:
    groups = scene.services.identities.groups
    group = await groups.get(scene.account_id, parameters["GroupName"])
    members = await groups.members(scene.account_id, group.name)
    cut, more = shapes.page(parameters, members, key=lambda user: user.name)
    return {"Group": shapes.in_list(group), "Users": [shapes.in_list(user) for user in cut], **more}


async def _add_user_to_group(scene: Scene, parameters: Parameters) -> Parameters:
    groups = scene.services.identities.groups
    await groups.add_user(scene.account_id, parameters["GroupName"], parameters["UserName"])
    return {}


async def _remove_user_from_group(scene: Scene, parameters: Parameters) -> Parameters:
    groups = scene.services.identities.groups
    await groups.remove_user(scene.account_id, parameters["GroupName"], parameters["UserName"])
    return {}


async def _list_groups_for_user(scene: Scene, parameters: Parameters) -> Parameters:
    identities = scene.services.identities
    user = await identities.users.get(scene.account_id, parameters["UserName"])
    found = await identities.groups.of_user(scene.account_id, user.name)
    cut, more = shapes.page(parameters, found, key=lambda group: group.name)
    return {"Groups": [shapes.in_list(group) for group in cut], **more}


OPERATIONS: tuple[Operation, ...] = (
    write("CreateGroup", targets.created(_GROUP), _create_group),
    read("GetGroup", targets.named(_GROUP), _get_group),
    write("AddUserToGroup", targets.named(_GROUP), _add_user_to_group),
    write("RemoveUserFromGroup", targets.named(_GROUP), _remove_user_from_group),
    read("ListGroupsForUser", targets.named(IdentityKind.USER), _list_groups_for_user),
)
