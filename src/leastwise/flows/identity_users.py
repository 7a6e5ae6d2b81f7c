"""IAM users: what is theirs alone. What they have in common with groups and roles is in `identity_kinds.py`."""

from __future__ import annotations

from typing import Final

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam.directory import IdentityKind

_USER: Final = IdentityKind.USER


async def _create_user(scene: Scene, parameters: Parameters) -> Parameters:
    user = await scene.services.identities.users.create(
        scene.account_id,
        parameters["UserName"],
        path=parameters.get("Path", "/"),
        tags=shapes.tags_of(parameters),
        boundary_arn=parameters.get("PermissionsBoundary"),
        now_ms=scene.now_ms,
    )
    return {"User": shapes.user_shape(user)}


async def _get_user(scene: Scene, parameters: Parameters) -> Parameters:
    name = targets.acting_user_name(scene, parameters)
    if name is not None:
        user = await scene.services.identities.users.get(scene.account_id, name)
        return {"User": shapes.user_shape(user) | shapes.password_use(user)}
    account = await scene.services.identities.account(scene.account_id)
    return {
        "User": {
            "Path": "/",
            "UserName": shapes.ROOT_USER,
            "UserId": scene.account_id,
            "Arn": scene.principal.arn,
            "CreateDate": shapes.instant(account.created_at_ms),
        }
    }


OPERATIONS: tuple[Operation, ...] = (
    write(
        "CreateUser",
        targets.created(_USER),
        _create_user,
        further=targets.tagged("iam:TagUser", targets.created(_USER)),
    ),
    read("GetUser", targets.acting_user, _get_user),
)
