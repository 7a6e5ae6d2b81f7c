"""IAM users and their access keys: rows and handlers."""

from __future__ import annotations

from typing import Final

from leastwise.flows import function_policy
from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.iam.directory import IdentityKind
from leastwise.kernel.events import Access

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
        return {"User": shapes.user_shape(await scene.services.identities.users.get(scene.account_id, name))}
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


async def _list_users(scene: Scene, parameters: Parameters) -> Parameters:
    found = await scene.services.identities.users.list(scene.account_id, parameters.get("PathPrefix", "/"))
    cut, more = shapes.page(parameters, found, key=lambda user: user.name)
    return {"Users": [shapes.user_in_list(user) for user in cut], **more}


async def _update_user(scene: Scene, parameters: Parameters) -> Parameters:
    users = scene.services.identities.users
    user = await users.get(scene.account_id, parameters["UserName"])
    moved = await users.move(
        scene.account_id,
        user.name,
        new_name=parameters.get("NewUserName"),
        new_path=parameters.get("NewPath"),
    )
    if moved.arn != user.arn:
        await function_policy.identity_moved(scene, _USER, user.arn, new_arn=moved.arn)
    return {}


async def _delete_user(scene: Scene, parameters: Parameters) -> Parameters:
    users = scene.services.identities.users
    user = await users.get(scene.account_id, parameters["UserName"])
    await users.delete(scene.account_id, user.name)
    await function_policy.identity_deleted(scene, _USER, user.arn, unique_id=user.user_id)
    return {}


async def _tag_user(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.users.tag(scene.account_id, parameters["UserName"], shapes.tags_of(parameters))
    return {}


async def _untag_user(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.users.untag(scene.account_id, parameters["UserName"], parameters["TagKeys"])
    return {}


async def _list_user_tags(scene: Scene, parameters: Parameters) -> Parameters:
    user = await scene.services.identities.users.get(scene.account_id, parameters["UserName"])
    cut, more = shapes.page(parameters, shapes.tag_list(user.tags), key=lambda tag: tag["Key"])
    return {"Tags": list(cut), **more}


async def _owner_name(scene: Scene, parameters: Parameters) -> str | None:
    """The acting user under the name it has; None is root. Raises: NoSuchEntity."""
    name = targets.acting_user_name(scene, parameters)
    return None if name is None else (await scene.services.identities.users.get(scene.account_id, name)).name


async def _create_access_key(scene: Scene, parameters: Parameters) -> Parameters:
    owner = await _owner_name(scene, parameters)
    made = await scene.services.identities.access_keys.create(scene.account_id, owner, now_ms=scene.now_ms)
    scene.notes["createdAccessKeyId"] = made.key.access_key_id
    return {"AccessKey": shapes.access_key_in_list(made.key) | {"SecretAccessKey": made.secret}}


async def _list_access_keys(scene: Scene, parameters: Parameters) -> Parameters:
    keys = await scene.services.identities.access_keys.list(scene.account_id, await _owner_name(scene, parameters))
    ordered = sorted(keys, key=lambda key: key.access_key_id)
    cut, more = shapes.page(parameters, ordered, key=lambda key: key.access_key_id)
    return {"AccessKeyMetadata": [shapes.access_key_in_list(key) for key in cut], **more}


async def _update_access_key(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.access_keys.set_active(
        scene.account_id,
        await _owner_name(scene, parameters),
        parameters["AccessKeyId"],
        active=parameters["Status"] == "Active",
    )
    return {}


async def _delete_access_key(scene: Scene, parameters: Parameters) -> Parameters:
    owner = await _owner_name(scene, parameters)
    await scene.services.identities.access_keys.delete(scene.account_id, owner, parameters["AccessKeyId"])
    return {}


async def _key_owner(scene: Scene, parameters: Parameters) -> Target:
    """The user whose key it is; an unknown key resolves to no user in particular."""
    key = await scene.services.identities.access_keys.find(parameters["AccessKeyId"])
    if key is None or key.account_id != scene.account_id:
        return targets.everything(scene, parameters)
    if key.user_name is None:
        return Target(arn=f"arn:aws:iam::{scene.account_id}:root", account_id=scene.account_id)
    return await targets.named(_USER)(scene, {"UserName": key.user_name})


async def _get_access_key_last_used(scene: Scene, parameters: Parameters) -> Parameters:
    key = await scene.services.identities.access_keys.last_used(scene.account_id, parameters["AccessKeyId"])
    used = {"ServiceName": key.last_used_service or "N/A", "Region": key.last_used_region or "N/A"}
    if key.last_used_at_ms is None:
        return {"UserName": key.user_name or shapes.ROOT_USER, "AccessKeyLastUsed": used}
    dated = used | {"LastUsedDate": shapes.instant(key.last_used_at_ms)}
    return {"UserName": key.user_name or shapes.ROOT_USER, "AccessKeyLastUsed": dated}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        service="iam",
        name="CreateUser",
        action="iam:CreateUser",
        target=targets.created(_USER),
        further=targets.tagged("iam:TagUser", targets.created(_USER)),
        handle=_create_user,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="GetUser",
        action="iam:GetUser",
        target=targets.acting_user,
        handle=_get_user,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="ListUsers",
        action="iam:ListUsers",
        target=targets.listed("user"),
        handle=_list_users,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="UpdateUser",
        action="iam:UpdateUser",
        target=targets.named(_USER),
        further=targets.moved_user,
        handle=_update_user,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="DeleteUser",
        action="iam:DeleteUser",
        target=targets.named(_USER),
        handle=_delete_user,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="TagUser",
        action="iam:TagUser",
        target=targets.named(_USER, targets.request_tags),
        handle=_tag_user,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="UntagUser",
        action="iam:UntagUser",
        target=targets.named(_USER, targets.request_tags),
        handle=_untag_user,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="ListUserTags",
        action="iam:ListUserTags",
        target=targets.named(_USER),
        handle=_list_user_tags,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="CreateAccessKey",
        action="iam:CreateAccessKey",
        target=targets.acting_user,
        handle=_create_access_key,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="ListAccessKeys",
        action="iam:ListAccessKeys",
        target=targets.acting_user,
        handle=_list_access_keys,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="UpdateAccessKey",
        action="iam:UpdateAccessKey",
        target=targets.acting_user,
        handle=_update_access_key,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="DeleteAccessKey",
        action="iam:DeleteAccessKey",
        target=targets.acting_user,
        handle=_delete_access_key,
        access=Access.WRITE,
    ),
    Operation(
        service="iam",
        name="GetAccessKeyLastUsed",
        action="iam:GetAccessKeyLastUsed",
        target=_key_owner,
        handle=_get_access_key_last_used,
        access=Access.READ,
    ),
)
