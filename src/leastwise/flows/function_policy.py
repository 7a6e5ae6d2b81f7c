"""Who besides the account may use a function: its resource policy."""

from __future__ import annotations

from typing import Final

from leastwise.flows.function_shapes import read_permission
from leastwise.flows.function_target import find_function, function_name, resolve_function, target_of
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.functions.interface import FunctionNotFound, InvalidParameter
from leastwise.functions.naming import LATEST, FunctionName
from leastwise.iam.interface import ContextValue
from leastwise.kernel.events import Access


async def resolve_granting_function(scene: Scene, parameters: Parameters) -> Target:
    """The function, and to whom the call would open it, so that policies can say whom nobody may let in."""
    name = function_name(scene, parameters)
    asks: dict[str, ContextValue] = {"lambda:principal": parameters["Principal"]}
    if parameters.get("FunctionUrlAuthType"):
        asks["lambda:functionurlauthtype"] = parameters["FunctionUrlAuthType"]
    return target_of(name, await scene.services.catalog.get(name.account_id, name.name), asks=asks)


async def add_permission(scene: Scene, parameters: Parameters) -> Parameters:
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
        target=resolve_function,
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
