"""Looking at functions. What does not exist on this platform is answered as AWS answers for a function without it."""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows.function_shapes import show_configuration
from leastwise.flows.function_target import find_function, function_name, resolve_function
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.flows.pages import cut_page
from leastwise.functions.interface import Function, FunctionNotFound
from leastwise.functions.naming import LATEST
from leastwise.functions.packages import LARGEST_UNPACKED_BYTES, LARGEST_ZIP_BYTES
from leastwise.kernel.events import Access

_NOT_LISTED: Final = frozenset(
    {
        "State",
        "StateReason",
        "StateReasonCode",
        "LastUpdateStatus",
        "LastUpdateStatusReason",
        "LastUpdateStatusReasonCode",
        "RuntimeVersionConfig",
    }
)
_LARGEST_PAGE: Final = 50
"""Source: Lambda API Reference, ListFunctions: "returns a maximum of 50 items in each response"."""


def resolve_account(scene: Scene, _parameters: Parameters) -> Target:
    """For operations on no function in particular."""
    return Target(arn="*", account_id=scene.account_id)


async def get_function(scene: Scene, parameters: Parameters) -> Parameters:
    name = function_name(scene, parameters)
    function = await find_function(scene, name)
    code: dict[str, Any] = {"RepositoryType": "S3"}
    links = scene.services.code_links
    if links is not None:
        code["Location"] = links.location(account_id=scene.account_id, digest=function.code.digest, now_ms=scene.now_ms)
    result: dict[str, Any] = {"Configuration": show_configuration(function, name), "Code": code}
    if function.tags:
        result["Tags"] = dict(function.tags)
    if function.reserved_concurrency is not None:
        result["Concurrency"] = {"ReservedConcurrentExecutions": function.reserved_concurrency}
    return result


async def get_function_configuration(scene: Scene, parameters: Parameters) -> Parameters:
    name = function_name(scene, parameters)
    return show_configuration(await find_function(scene, name), name)


async def list_functions(scene: Scene, parameters: Parameters) -> Parameters:
    # MasterRegion asks for replicas of edge functions, and there are none.
    functions: tuple[Function, ...] = ()
    if not parameters.get("MasterRegion"):
        functions = await scene.services.functions.list(scene.account_id, scene.region)
    page, marker = cut_page(
        functions,
        key=lambda function: function.name,
        marker=parameters.get("Marker") or None,
        limit=min(parameters.get("MaxItems") or _LARGEST_PAGE, _LARGEST_PAGE),
    )
    qualify = parameters.get("FunctionVersion") == "ALL"
    shown = [_listed(_show_version(function) if qualify else show_configuration(function)) for function in page]
    return {"Functions": shown} if marker is None else {"Functions": shown, "NextMarker": marker}


async def list_versions_by_function(scene: Scene, parameters: Parameters) -> Parameters:
    return {"Versions": [_show_version(await find_function(scene, function_name(scene, parameters)))]}


async def get_account_settings(scene: Scene, _parameters: Parameters) -> Parameters:
    functions = scene.services.functions
    use = await functions.use(scene.account_id)
    limits = functions.limits
    return {
        "AccountLimit": {
            "TotalCodeSize": limits.code_bytes,
            "CodeSizeUnzipped": LARGEST_UNPACKED_BYTES,
            "CodeSizeZipped": LARGEST_ZIP_BYTES,
            "ConcurrentExecutions": limits.concurrency,
            "UnreservedConcurrentExecutions": limits.concurrency - use.reserved_concurrency,
        },
        "AccountUsage": {"TotalCodeSize": use.code_bytes, "FunctionCount": use.functions},
    }


async def get_code_signing_config(scene: Scene, parameters: Parameters) -> Parameters:
    function = await find_function(scene, function_name(scene, parameters))
    return {"CodeSigningConfigArn": "", "FunctionName": function.name}


async def get_recursion_config(scene: Scene, parameters: Parameters) -> Parameters:
    """`Allow` is the truth: loops are not detected here."""
    await find_function(scene, function_name(scene, parameters))
    return {"RecursiveLoop": "Allow"}


async def get_runtime_management_config(scene: Scene, parameters: Parameters) -> Parameters:
    """`Auto` is the truth: a function runs on whatever patch version of its runtime the machine has."""
    name = function_name(scene, parameters)
    await find_function(scene, name)
    return {"UpdateRuntimeOn": "Auto", "FunctionArn": name.qualified_arn}


async def get_event_invoke_config(scene: Scene, parameters: Parameters) -> Parameters:
    """Always AWS's answer for a function without one."""
    name = function_name(scene, parameters)
    message = f"The function {name.arn}:{name.qualifier or LATEST} doesn't have an EventInvokeConfig"
    raise FunctionNotFound(message, detail={"Type": "User"})


async def get_url_config(_scene: Scene, _parameters: Parameters) -> Parameters:
    """Always AWS's answer for a function without one."""
    message = "The resource you requested does not exist."
    raise FunctionNotFound(message, detail={"Type": "User"})


async def list_aliases(scene: Scene, parameters: Parameters) -> Parameters:
    await find_function(scene, function_name(scene, parameters))
    return {"Aliases": []}


async def list_url_configs(scene: Scene, parameters: Parameters) -> Parameters:
    await find_function(scene, function_name(scene, parameters))
    return {"FunctionUrlConfigs": []}


async def list_provisioned_concurrency_configs(scene: Scene, parameters: Parameters) -> Parameters:
    await find_function(scene, function_name(scene, parameters))
    return {"ProvisionedConcurrencyConfigs": []}


async def list_event_source_mappings(_scene: Scene, _parameters: Parameters) -> Parameters:
    return {"EventSourceMappings": []}


def _listed(configuration: dict[str, Any]) -> dict[str, Any]:
    """Source: Lambda API Reference, ListFunctions ("returns a subset of the FunctionConfiguration fields")."""
    return {member: value for member, value in configuration.items() if member not in _NOT_LISTED}


def _show_version(function: Function) -> dict[str, Any]:
    return {**show_configuration(function), "FunctionArn": f"{function.arn}:{LATEST}"}


def _row(name: str, **parts: Any) -> Operation:
    return Operation(**{
        "service": "lambda", "name": name, "action": f"lambda:{name}", "access": Access.READ,
        "target": resolve_function, **parts,
    })  # fmt: skip


OPERATIONS: Final[tuple[Operation, ...]] = (
    _row("GetFunction", handle=get_function),
    _row("GetFunctionConfiguration", handle=get_function_configuration),
    _row("ListFunctions", target=resolve_account, handle=list_functions),
    _row("ListVersionsByFunction", handle=list_versions_by_function),
    _row("GetAccountSettings", target=resolve_account, handle=get_account_settings),
    _row("GetFunctionCodeSigningConfig", handle=get_code_signing_config),
    _row("GetFunctionRecursionConfig", handle=get_recursion_config),
    _row("GetRuntimeManagementConfig", handle=get_runtime_management_config),
    _row("GetFunctionEventInvokeConfig", handle=get_event_invoke_config),
    _row("GetFunctionUrlConfig", handle=get_url_config),
    _row("ListAliases", handle=list_aliases),
    _row("ListFunctionUrlConfigs", handle=list_url_configs),
    _row("ListProvisionedConcurrencyConfigs", handle=list_provisioned_concurrency_configs),
    _row("ListEventSourceMappings", target=resolve_account, handle=list_event_source_mappings),
)
