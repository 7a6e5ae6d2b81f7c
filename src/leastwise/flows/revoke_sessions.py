"""Ending sessions before their time, by operations of the platform's own (service `leastwise`; AWS has none like it:
there a policy that denies what is older than an instant has to be put on the role by hand).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from leastwise.flows import identity_targets as targets
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.iam.directory import IdentityKind, Revocation, Role, User
from leastwise.kernel import errors
from leastwise.kernel.events import Access

_MEMBERS: Final = {IdentityKind.ROLE: "RoleName", IdentityKind.USER: "UserName"}


def _kind(parameters: Parameters) -> IdentityKind:
    """Raises: errors.Invalid: not exactly one is named."""
    named = [kind for kind in _MEMBERS if _MEMBERS[kind] in parameters]
    if len(named) != 1:
        message = "Name a role (RoleName) or a user (UserName), and not both."
        raise errors.Invalid(message)
    return named[0]


async def _whose(scene: Scene, parameters: Parameters) -> Target:
    return await targets.named(_kind(parameters))(scene, parameters)


async def _revoke_sessions(scene: Scene, parameters: Parameters) -> Parameters:
    identities = scene.services.identities
    kind = _kind(parameters)
    identity: User | Role
    if kind is IdentityKind.ROLE:
        identity = await identities.roles.get(scene.account_id, parameters["RoleName"])
    else:
        identity = await identities.users.get(scene.account_id, parameters["UserName"])
    until: datetime | None = parameters.get("NotBefore")
    revocation = await identities.revoking.revoke(
        identity, until_ms=None if until is None else int(until.timestamp() * 1000), now_ms=scene.now_ms
    )
    scene.notes["revokedUntilMs"] = revocation.not_before_ms
    _renew_environments(scene, identity.arn)
    return {"Arn": identity.arn, **_shown(revocation)}


def _renew_environments(scene: Scene, role_arn: str) -> None:
    """Functions that run as the role go on with keys of new sessions. Those made from now on begin after the instant."""
    for function in scene.services.catalog.of_account(scene.account_id):
        if function.role_arn == role_arn:
            scene.services.runtime.renew(function.account_id, function.name)


async def _list_revocations(scene: Scene, _parameters: Parameters) -> Parameters:
    """Also those of identities that are gone: what was made from their sessions has ended with them."""
    revoked = await scene.services.identities.revoking.of_account(scene.account_id)
    return {"Revocations": [_shown(revocation) for revocation in revoked]}


def _shown(revocation: Revocation) -> dict[str, Any]:
    return {
        "Kind": revocation.kind.value,
        "UniqueId": revocation.unique_id,
        "NotBefore": datetime.fromtimestamp(revocation.not_before_ms / 1000, UTC),
    }


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        service="leastwise",
        name="RevokeSessions",
        action="leastwise:RevokeSessions",
        target=_whose,
        handle=_revoke_sessions,
        access=Access.WRITE,
    ),
    Operation(
        service="leastwise",
        name="ListRevocations",
        action="leastwise:ListRevocations",
        target=targets.everything,
        handle=_list_revocations,
        access=Access.READ,
    ),
)
