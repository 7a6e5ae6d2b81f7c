"""What IAM has and nobody can have here yet: groups, factors, an alias. The honest answer to "list them" is none.

Clients ask these before they delete or show a user. Making any of them answers that it is not implemented.
"""

from __future__ import annotations

from typing import Final

from leastwise.flows import identity_targets as targets
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.iam.directory import IdentityKind
from leastwise.kernel.events import Access


def _everything(scene: Scene, _parameters: Parameters) -> Target:
    return Target(arn="*", account_id=scene.account_id)


def _groups(scene: Scene, _parameters: Parameters) -> Target:
    return Target(arn=f"arn:aws:iam::{scene.account_id}:group/", account_id=scene.account_id)


async def _no_groups(_scene: Scene, _parameters: Parameters) -> Parameters:
    return {"Groups": [], "IsTruncated": False}


async def _no_groups_of_user(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.users.get(scene.account_id, parameters["UserName"])
    return {"Groups": [], "IsTruncated": False}


async def _no_factors(scene: Scene, parameters: Parameters) -> Parameters:
    if "UserName" in parameters:
        await scene.services.identities.users.get(scene.account_id, parameters["UserName"])
    return {"MFADevices": [], "IsTruncated": False}


async def _no_aliases(_scene: Scene, _parameters: Parameters) -> Parameters:
    return {"AccountAliases": [], "IsTruncated": False}


OPERATIONS: Final = (
    Operation(
        service="iam",
        name="ListGroups",
        action="iam:ListGroups",
        target=_groups,
        handle=_no_groups,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="ListGroupsForUser",
        action="iam:ListGroupsForUser",
        target=targets.named(IdentityKind.USER),
        handle=_no_groups_of_user,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="ListMFADevices",
        action="iam:ListMFADevices",
        target=targets.acting_user,
        handle=_no_factors,
        access=Access.READ,
    ),
    Operation(
        service="iam",
        name="ListAccountAliases",
        action="iam:ListAccountAliases",
        target=_everything,
        handle=_no_aliases,
        access=Access.READ,
    ),
)
