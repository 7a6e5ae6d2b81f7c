"""Reserved concurrency of functions."""

from __future__ import annotations

from typing import Final

from leastwise.flows.function_target import find_function, function_name, resolve_function
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.functions.interface import InvalidParameter
from leastwise.functions.naming import FunctionName
from leastwise.kernel.events import Access


async def put_function_concurrency(scene: Scene, parameters: Parameters) -> Parameters:
    wanted: int = parameters["ReservedConcurrentExecutions"]
    await scene.services.functions.reserve_concurrency(_unqualified(scene, parameters), wanted)
    return {"ReservedConcurrentExecutions": wanted}


async def get_function_concurrency(scene: Scene, parameters: Parameters) -> Parameters:
    function = await find_function(scene, _unqualified(scene, parameters))
    if function.reserved_concurrency is None:
        return {}
    return {"ReservedConcurrentExecutions": function.reserved_concurrency}


async def delete_function_concurrency(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.functions.reserve_concurrency(_unqualified(scene, parameters), None)
    return {}


def _unqualified(scene: Scene, parameters: Parameters) -> FunctionName:
    name = function_name(scene, parameters)
    if name.qualifier is not None:
        message = (
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation."
            " Please specify either a function name or an unqualified function ARN."
        )
        raise InvalidParameter(message, detail={"Type": "User"})
    return name


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        service="lambda",
        name="PutFunctionConcurrency",
        action="lambda:PutFunctionConcurrency",
        target=resolve_function,
        handle=put_function_concurrency,
        access=Access.WRITE,
    ),
    Operation(
        service="lambda",
        name="GetFunctionConcurrency",
        action="lambda:GetFunctionConcurrency",
        target=resolve_function,
        handle=get_function_concurrency,
        access=Access.READ,
    ),
    Operation(
        service="lambda",
        name="DeleteFunctionConcurrency",
        action="lambda:DeleteFunctionConcurrency",
        target=resolve_function,
        handle=delete_function_concurrency,
        access=Access.WRITE,
    ),
)
