"""Tags of functions."""

from __future__ import annotations

from typing import Final

from leastwise.flows.function_target import find_function, tag_context, target_of
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.functions.interface import FunctionNotFound, InvalidParameter
from leastwise.functions.naming import FunctionName, parse_function_name
from leastwise.iam.interface import ContextValue
from leastwise.kernel.events import Access


async def resolve_tagged(scene: Scene, parameters: Parameters) -> Target:
    """The function behind `Resource`, with the tags and keys that the call names."""
    name = _tagged_name(scene, parameters)
    tags: dict[str, str] = parameters.get("Tags") or {}
    keys = [*tags, *(parameters.get("TagKeys") or ())]
    asks: dict[str, ContextValue] = tag_context("aws:requesttag/", tags)
    if keys:
        asks["aws:tagkeys"] = keys
    return target_of(name, await scene.services.catalog.get(name.account_id, name.name), asks=asks)


async def tag_resource(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.functions.tag(_tagged_name(scene, parameters), parameters["Tags"])
    return {}


async def untag_resource(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.functions.untag(_tagged_name(scene, parameters), frozenset(parameters["TagKeys"]))
    return {}


async def list_tags(scene: Scene, parameters: Parameters) -> Parameters:
    function = await find_function(scene, _tagged_name(scene, parameters))
    return {"Tags": dict(function.tags)}


def _tagged_name(scene: Scene, parameters: Parameters) -> FunctionName:
    resource = parameters["Resource"]
    if not resource.startswith("arn:") or ":function:" not in resource:
        message = f"The resource {resource[:256]} does not exist: only functions have tags here."
        raise FunctionNotFound(message, detail={"Type": "User"})
    name = parse_function_name(resource, account_id=scene.account_id, region=scene.region)
    if name.qualifier is not None:
        message = "Tags on function aliases and versions are not supported. Please specify a function ARN."
        raise InvalidParameter(message, detail={"Type": "User"})
    return name


OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        service="lambda",
        name="TagResource",
        action="lambda:TagResource",
        target=resolve_tagged,
        handle=tag_resource,
        access=Access.WRITE,
    ),
    Operation(
        service="lambda",
        name="UntagResource",
        action="lambda:UntagResource",
        target=resolve_tagged,
        handle=untag_resource,
        access=Access.WRITE,
    ),
    Operation(
        service="lambda",
        name="ListTags",
        action="lambda:ListTags",
        target=resolve_tagged,
        handle=list_tags,
        access=Access.READ,
    ),
)
