"""Long-term access keys: rows and handlers."""

from __future__ import annotations

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.iam.directory import IdentityKind


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
    return await targets.named(IdentityKind.USER)(scene, {"UserName": key.user_name})


async def _get_access_key_last_used(scene: Scene, parameters: Parameters) -> Parameters:
    key = await scene.services.identities.access_keys.last_used(scene.account_id, parameters["AccessKeyId"])
    used = {"ServiceName": key.last_used_service or "N/A", "Region": key.last_used_region or "N/A"}
    if key.last_used_at_ms is None:
        return {"UserName": key.user_name or shapes.ROOT_USER, "AccessKeyLastUsed": used}
    dated = used | {"LastUsedDate": shapes.instant(key.last_used_at_ms)}
    return {"UserName": key.user_name or shapes.ROOT_USER, "AccessKeyLastUsed": dated}


OPERATIONS: tuple[Operation, ...] = (
    write("CreateAccessKey", targets.acting_user, _create_access_key),
    read("ListAccessKeys", targets.acting_user, _list_access_keys),
    write("UpdateAccessKey", targets.acting_user, _update_access_key),
    write("DeleteAccessKey", targets.acting_user, _delete_access_key),
    read("GetAccessKeyLastUsed", _key_owner, _get_access_key_last_used),
)
