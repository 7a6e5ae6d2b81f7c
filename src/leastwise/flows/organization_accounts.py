"""The organization and its accounts: rows and handlers."""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows import organization_shapes as shapes
from leastwise.flows import organization_targets as targets
from leastwise.flows.identity_shapes import tags_of
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam import organization_refusals as refuse
from leastwise.iam.service import ACCESS_ROLE, NewAccount
from leastwise.kernel.events import Access


async def _describe_organization(scene: Scene, _parameters: Parameters) -> Parameters:
    return {"Organization": shapes.organization(await scene.services.organization.accounts.tree())}


async def _create_organization(_scene: Scene, _parameters: Parameters) -> Parameters:
    """There is one from the first start on, and every account is in it."""
    raise refuse.already_in_organization()


async def _create_account(scene: Scene, parameters: Parameters) -> Parameters:
    """IamUserAccessToBilling is taken and means nothing: there is no billing console."""
    made = await scene.services.organization.accounts.create_account(
        NewAccount(
            name=parameters["AccountName"],
            email=parameters["Email"],
            role_name=parameters.get("RoleName") or ACCESS_ROLE,
            tags=tuple(tags_of(parameters)),
        ),
        now_ms=scene.now_ms,
    )
    if made.account_id is not None:
        scene.notes["createdAccountId"] = made.account_id
    return {"CreateAccountStatus": shapes.creation(made)}


async def _describe_create_account_status(scene: Scene, parameters: Parameters) -> Parameters:
    found = await scene.services.organization.accounts.creation(parameters["CreateAccountRequestId"])
    return {"CreateAccountStatus": shapes.creation(found)}


async def _list_create_account_status(scene: Scene, parameters: Parameters) -> Parameters:
    states = parameters.get("States") or ("SUCCEEDED", "FAILED")
    found = [
        creation
        for creation in await scene.services.organization.accounts.creations()
        if ("SUCCEEDED" if creation.failure is None else "FAILED") in states
    ]
    cut, more = shapes.page(parameters, found, key=lambda creation: creation.request_id)
    return {"CreateAccountStatuses": [shapes.creation(creation) for creation in cut], **more}


async def _describe_account(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    member = tree.members.get(parameters["AccountId"])
    if member is None:
        raise refuse.no_account()
    return {"Account": shapes.account(tree, member)}


async def _list_accounts(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    members = sorted(tree.members.values(), key=lambda member: member.account_id)
    cut, more = shapes.page(parameters, members, key=lambda member: member.account_id)
    return {"Accounts": [shapes.account(tree, member) for member in cut], **more}


async def _list_accounts_for_parent(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    if not tree.is_parent(parameters["ParentId"]):
        raise refuse.no_parent()
    members = tree.members_under(parameters["ParentId"])
    cut, more = shapes.page(parameters, members, key=lambda member: member.account_id)
    return {"Accounts": [shapes.account(tree, member) for member in cut], **more}


async def _close_account(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.organization.accounts.close_account(parameters["AccountId"])
    return {}


async def _move_account(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.organization.accounts.move_account(
        parameters["AccountId"],
        source_id=parameters["SourceParentId"],
        destination_id=parameters["DestinationParentId"],
    )
    return {}


def _row(name: str, **parts: Any) -> Operation:
    return Operation(service="organizations", name=name, action=f"organizations:{name}", **parts)


OPERATIONS: Final[tuple[Operation, ...]] = (
    _row(
        "DescribeOrganization",
        target=targets.own_organization,
        handle=_describe_organization,
        access=Access.READ,
    ),
    _row(
        "CreateOrganization",
        target=targets.own_organization,
        handle=_create_organization,
        access=Access.WRITE,
    ),
    _row(
        "CreateAccount",
        target=targets.everything,
        further=targets.tagging,
        handle=_create_account,
        access=Access.WRITE,
        # SOURCE: both are `sensitive` in the service model, and hidden in CloudTrail.
        redact=frozenset({"AccountName", "Email"}),
    ),
    _row(
        "DescribeCreateAccountStatus",
        target=targets.everything,
        handle=_describe_create_account_status,
        access=Access.READ,
    ),
    _row(
        "ListCreateAccountStatus",
        target=targets.everything,
        handle=_list_create_account_status,
        access=Access.READ,
    ),
    _row("DescribeAccount", target=targets.node("AccountId"), handle=_describe_account, access=Access.READ),
    _row("ListAccounts", target=targets.everything, handle=_list_accounts, access=Access.READ),
    _row(
        "ListAccountsForParent",
        target=targets.node("ParentId"),
        handle=_list_accounts_for_parent,
        access=Access.READ,
    ),
    _row("CloseAccount", target=targets.node("AccountId"), handle=_close_account, access=Access.WRITE),
    _row(
        "MoveAccount",
        target=targets.node("AccountId"),
        further=targets.further_nodes("organizations:MoveAccount", "SourceParentId", "DestinationParentId"),
        handle=_move_account,
        access=Access.WRITE,
    ),
)
