"""Which function a call is about, before anybody asks whether it exists."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from leastwise.flows.interface import Parameters, Scene, Target
from leastwise.functions.interface import Function
from leastwise.functions.naming import LATEST, FunctionName, parse_function_name
from leastwise.iam.interface import ContextValue


def function_name(scene: Scene, parameters: Parameters) -> FunctionName:
    """The name in `FunctionName`, together with `Qualifier`.

    Raises: as `parse_function_name`.
    """
    return parse_function_name(
        parameters["FunctionName"],
        account_id=scene.account_id,
        region=scene.region,
        qualifier=parameters.get("Qualifier"),
    )


def resolve_function(scene: Scene, parameters: Parameters) -> Target | Awaitable[Target]:
    """What the call acts on. Waits for nothing when the function is in memory."""
    name = function_name(scene, parameters)
    function = scene.services.catalog.peek(name.account_id, name.name)
    if function is None:
        return _ask_and_resolve(scene, name)
    return target_of(name, function)


async def find_function(scene: Scene, name: FunctionName) -> Function:
    """The function itself, for a call that is allowed. Only `$LATEST` exists yet.

    Raises:
        FunctionNotFound: no such function in this region, or no such version.
    """
    function = scene.services.catalog.peek(name.account_id, name.name)
    if function is None:
        function = await scene.services.catalog.get(name.account_id, name.name)
    return name.check(function)


def target_of(
    name: FunctionName, function: Function | None, *, asks: Mapping[str, ContextValue] | None = None
) -> Target:
    """A function as the target of a decision; one that is not there has the ARN it would have.

    Args:
        name: as it was called.
        function: what has that name now, None when nothing has.
        asks: condition keys that the request itself supplies.
    """
    # SECURITY: qualifier games. `x:$LATEST` is `x` itself: a Deny of `x` must not end at the colon. What is allowed stays
    # as in AWS, where an Allow of `x` does not cover `x:$LATEST`.
    also_arn = name.arn if name.qualifier == LATEST else None
    if function is None or function.region != name.region:
        return Target(arn=name.qualified_arn, account_id=name.account_id, context=asks or {}, also_arn=also_arn)
    return Target(
        arn=name.qualified_arn,
        account_id=function.account_id,
        policy=function.policy,
        context={**tag_context("aws:resourcetag/", function.tags), **(asks or {})},
        also_arn=also_arn,
    )


def tag_context(prefix: str, tags: Mapping[str, str]) -> dict[str, ContextValue]:
    """Tags as condition keys, which are in lower case."""
    return {f"{prefix}{key.lower()}": value for key, value in tags.items()}


async def _ask_and_resolve(scene: Scene, name: FunctionName) -> Target:
    return target_of(name, await scene.services.catalog.get(name.account_id, name.name))
