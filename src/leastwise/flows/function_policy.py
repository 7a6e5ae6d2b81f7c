"""Who besides the account may use a function: its resource policy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from leastwise.flows.function_shapes import read_permission
from leastwise.flows.function_target import find_function, function_name, resolve_function, target_of
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.functions.interface import FunctionNotFound, InvalidParameter
from leastwise.functions.naming import LATEST, FunctionName
from leastwise.iam.directory import IdentityKind
from leastwise.iam.interface import ContextValue
from leastwise.iam.trust import after_deletion, after_renaming
from leastwise.kernel.events import Access


async def resolve_granting_function(scene: Scene, parameters: Parameters) -> Target:
    """The function, and to whom the call would open it, so that policies can say whom nobody may let in."""
    name = function_name(scene, parameters)
    asks: dict[str, ContextValue] = {"lambda:principal": parameters["Principal"]}
    if parameters.get("FunctionUrlAuthType"):
        asks["lambda:functionurlauthtype"] = parameters["FunctionUrlAuthType"]
    return target_of(name, await scene.services.catalog.get(name.account_id, name.name), asks=asks)


async def resolve_ungranting_function(scene: Scene, parameters: Parameters) -> Target:
    """The function, and to whom the statement that would go opens it.

    Source: Service Authorization Reference, AWS Lambda, RemovePermission.
    """
    name = function_name(scene, parameters)
    function = await scene.services.catalog.get(name.account_id, name.name)
    asks: dict[str, ContextValue] = {}
    if function is not None and function.policy is not None:
        asks = _granted(json.loads(function.policy), parameters["StatementId"])
    return target_of(name, function, asks=asks)


def _granted(policy: Mapping[str, Any], sid: str) -> dict[str, ContextValue]:
    """What AddPermission was asked for, from the statement that it made."""
    for statement in policy["Statement"]:
        if statement.get("Sid") != sid:
            continue
        principal = statement["Principal"]
        asks: dict[str, ContextValue] = {
            "lambda:principal": principal if isinstance(principal, str) else next(iter(principal.values()))
        }
        auth_type = statement.get("Condition", {}).get("StringEquals", {}).get("lambda:FunctionUrlAuthType")
        if auth_type is not None:
            asks["lambda:functionurlauthtype"] = auth_type
        return asks
    return {}


async def add_permission(scene: Scene, parameters: Parameters) -> Parameters:
    await _check_identity(scene, parameters["Principal"])
    statement = await scene.services.functions.add_permission(
        _policy_name(scene, parameters), read_permission(parameters), revision_id=parameters.get("RevisionId")
    )
    return {"Statement": statement}


async def remove_permission(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.functions.remove_permission(
        _policy_name(scene, parameters), parameters["StatementId"], revision_id=parameters.get("RevisionId")
    )
    return {}


async def get_policy(scene: Scene, parameters: Parameters) -> Parameters:
    function = await find_function(scene, function_name(scene, parameters))
    if function.policy is None:
        message = "The resource you requested does not exist."
        raise FunctionNotFound(message, detail={"Type": "User"})
    return {"Policy": function.policy, "RevisionId": function.policy_revision_id}


async def _check_identity(scene: Scene, principal: str) -> None:
    """SECURITY: a grant to a name that nobody has yet would be for whoever makes an identity of that name.

    Raises:
        InvalidParameter: an ARN that is nobody's.
    """
    if principal.startswith("arn:") and not await scene.services.identities.trusting.exists("AWS", principal):
        message = "The provided principal was invalid. Please check the principal and try again."
        raise InvalidParameter(message, detail={"Type": "User"})


async def identity_deleted(scene: Scene, kind: IdentityKind, arn: str, *, unique_id: str) -> None:
    """What functions grant to a deleted user or role becomes a grant to its unique id, which nobody has again.

    SECURITY: without this, whoever makes a new user of the old name may invoke whatever the old one might.
    Source: IAM User Guide, "AWS JSON policy elements: Principal" (a deleted principal shows as its id).
    """
    await _rewrite(scene, lambda text: after_deletion(text, kind=kind, arn=arn, unique_id=unique_id))


async def identity_moved(scene: Scene, kind: IdentityKind, arn: str, *, new_arn: str) -> None:
    """Grants follow a user who is renamed, and do not stay behind for the next one of that name."""
    await _rewrite(scene, lambda text: after_renaming(text, kind=kind, arn=arn, new_arn=new_arn))


async def _rewrite(scene: Scene, rewritten: Callable[[str], str | None]) -> None:
    for account in await scene.services.identities.directory.accounts():
        await scene.services.functions.rewrite_policies(account.account_id, rewritten)


def _policy_name(scene: Scene, parameters: Parameters) -> FunctionName:
    name = function_name(scene, parameters)
    if name.qualifier == LATEST:
        message = "We currently do not support adding policies for $LATEST."
        raise InvalidParameter(message, detail={"Type": "User"})
    return name


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        service="lambda",
        name="AddPermission",
        action="lambda:AddPermission",
        target=resolve_granting_function,
        handle=add_permission,
        access=Access.WRITE,
        redact=frozenset({"EventSourceToken"}),
    ),
    Operation(
        service="lambda",
        name="RemovePermission",
        action="lambda:RemovePermission",
        target=resolve_ungranting_function,
        handle=remove_permission,
        access=Access.WRITE,
    ),
    Operation(
        service="lambda",
        name="GetPolicy",
        action="lambda:GetPolicy",
        target=resolve_function,
        handle=get_policy,
        access=Access.READ,
    ),
)
