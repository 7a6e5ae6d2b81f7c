"""What users, groups and roles have alike: they are listed, moved, deleted and tagged. The same rows for each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from leastwise.flows import function_policy, identity_rows
from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.interface import Handler, Operation, Parameters, Scene
from leastwise.iam.directory import IdentityKind
from leastwise.iam.service import Roles, Users

_USER, _ROLE, _GROUP = IdentityKind.USER, IdentityKind.ROLE, IdentityKind.GROUP


async def _list(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    found = await targets.verbs(scene, kind).list(scene.account_id, parameters.get("PathPrefix", "/"))
    cut, more = shapes.page(parameters, found, key=lambda identity: identity.name)
    return {
        f"{targets.title(kind)}s": [shapes.in_list(identity) | shapes.password_use(identity) for identity in cut],
        **more,
    }


async def _move(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    identities = scene.services.identities
    verbs = identities.users if kind is _USER else identities.groups
    before = await verbs.get(scene.account_id, parameters[shapes.NAME_MEMBER[kind]])
    moved = await verbs.move(
        scene.account_id,
        before.name,
        new_name=parameters.get(f"New{shapes.NAME_MEMBER[kind]}"),
        new_path=parameters.get("NewPath"),
    )
    if moved.arn != before.arn:
        await function_policy.identity_moved(scene, kind, before.arn, new_arn=moved.arn)
    return {}


async def _delete(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    verbs = targets.verbs(scene, kind)
    identity = await verbs.get(scene.account_id, parameters[shapes.NAME_MEMBER[kind]])
    await verbs.delete(scene.account_id, identity.name)
    await function_policy.identity_deleted(scene, kind, identity.arn, unique_id=shapes.unique_id(identity))
    return {}


def _tagged(scene: Scene, kind: IdentityKind) -> Users | Roles:
    identities = scene.services.identities
    return identities.users if kind is _USER else identities.roles


async def _tag(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    name = parameters[shapes.NAME_MEMBER[kind]]
    await _tagged(scene, kind).tag(scene.account_id, name, shapes.tags_of(parameters))
    return {}


async def _untag(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    name = parameters[shapes.NAME_MEMBER[kind]]
    await _tagged(scene, kind).untag(scene.account_id, name, parameters["TagKeys"])
    return {}


async def _list_tags(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    identity = await _tagged(scene, kind).get(scene.account_id, parameters[shapes.NAME_MEMBER[kind]])
    return shapes.tag_page(parameters, identity.tags)


def of_kind(kind: IdentityKind, verb: Callable[[Scene, IdentityKind, Parameters], Awaitable[Parameters]]) -> Handler:
    """The handler that does the verb to this kind of identity."""

    async def handle(scene: Scene, parameters: Parameters) -> Parameters:
        return await verb(scene, kind, parameters)

    return handle


def _lists(kind: IdentityKind) -> Operation:
    return identity_rows.read(f"List{targets.title(kind)}s", targets.listed(kind.value), of_kind(kind, _list))


def _updates(kind: IdentityKind) -> Operation:
    name = f"Update{targets.title(kind)}"
    return identity_rows.write(name, targets.named(kind), of_kind(kind, _move), further=targets.moved(kind))


def _deletes(kind: IdentityKind) -> Operation:
    return identity_rows.write(f"Delete{targets.title(kind)}", targets.named(kind), of_kind(kind, _delete))


def _tags(kind: IdentityKind) -> tuple[Operation, ...]:
    title, target = targets.title(kind), targets.named(kind, targets.request_tags)
    return (
        identity_rows.write(f"Tag{title}", target, of_kind(kind, _tag)),
        identity_rows.write(f"Untag{title}", target, of_kind(kind, _untag)),
        identity_rows.read(f"List{title}Tags", targets.named(kind), of_kind(kind, _list_tags)),
    )


OPERATIONS: tuple[Operation, ...] = (
    *(_lists(kind) for kind in (_USER, _GROUP, _ROLE)),
    *(_updates(kind) for kind in (_USER, _GROUP)),
    *(_deletes(kind) for kind in (_USER, _GROUP, _ROLE)),
    *_tags(_USER),
    *_tags(_ROLE),
)
