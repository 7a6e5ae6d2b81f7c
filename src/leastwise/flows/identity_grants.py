"""Policies of users, groups and roles: inline, attached, and permissions boundaries. The same rows for each kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_kinds import of_kind
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam.directory import IdentityKind
from leastwise.kernel.events import Access

_Verb = Callable[[Scene, IdentityKind, Parameters], Awaitable[Parameters]]


async def _put_inline(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    await scene.services.identities.grants.put_inline(owner, parameters["PolicyName"], parameters["PolicyDocument"])
    return {}


async def _get_inline(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    policy = await scene.services.identities.grants.inline(owner, parameters["PolicyName"])
    return {
        shapes.NAME_MEMBER[kind]: owner.name,
        "PolicyName": policy.name,
        "PolicyDocument": shapes.encoded(policy.document),
    }


async def _list_inline(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    found = [policy.name for policy in await scene.services.identities.grants.inline_policies(owner)]
    cut, more = shapes.page(parameters, found, key=str)
    return {"PolicyNames": list(cut), **more}


async def _delete_inline(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    await scene.services.identities.grants.remove_inline(owner, parameters["PolicyName"])
    return {}


async def _attach(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    await scene.services.identities.grants.attach(owner, parameters["PolicyArn"])
    return {}


async def _detach(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    await scene.services.identities.grants.detach(owner, parameters["PolicyArn"])
    return {}


async def _list_attached(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    found = await scene.services.identities.grants.attached(owner, path_prefix=parameters.get("PathPrefix", "/"))
    cut, more = shapes.page(parameters, found, key=lambda policy: f"{policy.name} {policy.account_id}")
    return {"AttachedPolicies": [shapes.attached_shape(policy) for policy in cut], **more}


async def _put_boundary(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    await scene.services.identities.grants.set_boundary(owner, parameters["PermissionsBoundary"])
    return {}


async def _delete_boundary(scene: Scene, kind: IdentityKind, parameters: Parameters) -> Parameters:
    owner = await targets.owner(scene, kind, parameters)
    await scene.services.identities.grants.set_boundary(owner, None)
    return {}


_Supply = Callable[[Parameters], targets.Context]

_VERBS: tuple[tuple[str, _Verb, Access, _Supply | None], ...] = (
    ("Put{}Policy", _put_inline, Access.WRITE, None),
    ("Get{}Policy", _get_inline, Access.READ, None),
    ("List{}Policies", _list_inline, Access.READ, None),
    ("Delete{}Policy", _delete_inline, Access.WRITE, None),
    ("Attach{}Policy", _attach, Access.WRITE, targets.policy_arn),
    ("Detach{}Policy", _detach, Access.WRITE, targets.policy_arn),
    ("ListAttached{}Policies", _list_attached, Access.READ, None),
)
_BOUNDARY_VERBS: tuple[tuple[str, _Verb, Access, _Supply | None], ...] = (
    ("Put{}PermissionsBoundary", _put_boundary, Access.WRITE, targets.requested_boundary),
    ("Delete{}PermissionsBoundary", _delete_boundary, Access.WRITE, None),
)


def _row(pattern: str, verb: _Verb, access: Access, supply: _Supply | None, kind: IdentityKind) -> Operation:
    name, target, handle = pattern.format(targets.title(kind)), targets.named(kind, supply), of_kind(kind, verb)
    return write(name, target, handle) if access is Access.WRITE else read(name, target, handle)


OPERATIONS: tuple[Operation, ...] = (
    *(_row(*verb, kind) for kind in IdentityKind for verb in _VERBS),
    # A group has no boundary: it is nobody.
    *(_row(*verb, kind) for kind in (IdentityKind.USER, IdentityKind.ROLE) for verb in _BOUNDARY_VERBS),
)
