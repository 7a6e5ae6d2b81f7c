"""Making, changing and removing functions.

Unpacking and compiling a package takes long, and a transaction holds the database's only write lock: so packages are
taken in before (`prepare`), and the transaction only writes what has been decided.
"""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows.function_shapes import read_settings, show_configuration
from leastwise.flows.function_target import find_function, function_name, resolve_function, tag_context, target_of
from leastwise.flows.identity_targets import find, resource_tags
from leastwise.flows.interface import Demand, Operation, Parameters, Scene, Target
from leastwise.functions.interface import CodePackage, FunctionAlreadyExists, InvalidParameter
from leastwise.functions.naming import LATEST, FunctionName
from leastwise.functions.offered import refuse_what_is_not_offered
from leastwise.iam.directory import IdentityKind, Role
from leastwise.iam.interface import ContextValue
from leastwise.kernel import errors
from leastwise.kernel.arn import parse_arn
from leastwise.kernel.events import Access
from leastwise.logs.names import decided_arn

_LAMBDA: Final = "lambda.amazonaws.com"
_PACKAGE: Final = "leastwise:package"
"""Where `prepare` puts what it unpacked. No member of the service model can have this name."""

_NO_CONTENT: Final = 204


# --- CreateFunction ------------------------------------------------------------------------------------------------


async def resolve_new_function(scene: Scene, parameters: Parameters) -> Target:
    """The ARN that the function would have, with the tags that it would have."""
    name = function_name(scene, parameters)
    found = await scene.services.catalog.get(name.account_id, name.name)
    return target_of(name, found, asks=_asked_tags(parameters))


async def demand_for_new_function(scene: Scene, parameters: Parameters) -> tuple[Demand, ...]:
    """`iam:PassRole`, and `lambda:TagResource` when there are tags.

    SECURITY: without the second, whoever may create functions could take any tag that policies trust.
    """
    demands = await demand_for_configuration(scene, parameters)
    if parameters.get("Tags"):
        name = function_name(scene, parameters)
        tagging = target_of(name, None, asks=_asked_tags(parameters))
        demands = (*demands, Demand(action="lambda:TagResource", target=tagging))
    return demands


async def prepare_new_function(scene: Scene, parameters: Parameters) -> Parameters:
    """Judges everything that needs no transaction, then takes the package in."""
    refuse_what_is_not_offered(parameters)
    name = _new_name(scene, parameters)
    settings = read_settings(parameters)
    functions = scene.services.functions
    functions.check_new(name, settings, parameters.get("Tags") or {})
    if await scene.services.catalog.get(name.account_id, name.name) is not None:
        message = f"Function already exist: {name.name}"
        raise FunctionAlreadyExists(message, detail={"Type": "User"})
    await _check_role(scene, parameters)
    return {_PACKAGE: await functions.unpack(_zip_file(parameters.get("Code") or {}), runtime=settings.runtime)}


async def create_function(scene: Scene, parameters: Parameters) -> Parameters:
    function = await scene.services.functions.create(
        _new_name(scene, parameters),
        read_settings(parameters),
        parameters[_PACKAGE],
        tags=parameters.get("Tags") or {},
        now_ms=scene.now_ms,
    )
    _note_code(scene, function.code)
    return show_configuration(function)


# --- UpdateFunctionCode --------------------------------------------------------------------------------------------


async def prepare_new_code(scene: Scene, parameters: Parameters) -> Parameters:
    refuse_what_is_not_offered(parameters)
    function = await find_function(scene, function_name(scene, parameters))
    return {_PACKAGE: await scene.services.functions.unpack(_zip_file(parameters), runtime=function.runtime)}


async def update_function_code(scene: Scene, parameters: Parameters) -> Parameters:
    architectures = parameters.get("Architectures")
    dry_run = bool(parameters.get("DryRun"))
    function = await scene.services.functions.update_code(
        function_name(scene, parameters),
        parameters[_PACKAGE],
        architecture=architectures[0] if architectures else None,
        revision_id=parameters.get("RevisionId"),
        dry_run=dry_run,
        now_ms=scene.now_ms,
    )
    if not dry_run:
        _note_code(scene, function.code)
    return show_configuration(function)


# --- UpdateFunctionConfiguration -----------------------------------------------------------------------------------


async def prepare_new_configuration(scene: Scene, parameters: Parameters) -> Parameters:
    refuse_what_is_not_offered(parameters)
    function = await find_function(scene, function_name(scene, parameters))
    settings = read_settings(parameters)
    scene.services.functions.check_settings(settings)
    await _check_role(scene, parameters)
    if settings.runtime is not None:
        await scene.services.functions.compile_for(function, settings.runtime)
    return {}


async def update_function_configuration(scene: Scene, parameters: Parameters) -> Parameters:
    function = await scene.services.functions.update_configuration(
        function_name(scene, parameters),
        read_settings(parameters),
        revision_id=parameters.get("RevisionId"),
        now_ms=scene.now_ms,
    )
    return show_configuration(function)


# --- DeleteFunction ------------------------------------------------------------------------------------------------


async def delete_function(scene: Scene, parameters: Parameters) -> Parameters:
    name = function_name(scene, parameters)
    if name.qualifier == LATEST:
        message = "$LATEST version cannot be deleted without deleting the function."
        raise InvalidParameter(message, detail={"Type": "User"})
    await scene.services.functions.delete(name)
    return {"StatusCode": _NO_CONTENT}


# --- shared --------------------------------------------------------------------------------------------------------


async def demand_role(scene: Scene, parameters: Parameters) -> tuple[Demand, ...]:
    """`iam:PassRole` on the execution role that the call hands over, if it hands one over.

    SECURITY: without it, whoever may deploy could act as any role that Lambda may assume.

    Raises:
        errors.Denied: another account's role.
    """
    role_arn = parameters.get("Role")
    if not role_arn:
        return ()
    name = function_name(scene, parameters)
    account_id = parse_arn(role_arn).account_id
    if not account_id == scene.account_id == name.account_id:
        message = "Cross-account pass role is not allowed."
        raise errors.Denied(message)
    context: dict[str, ContextValue] = {"iam:passedtoservice": _LAMBDA, "iam:associatedresourcearn": name.arn}
    role = await find(scene, IdentityKind.ROLE, role_arn.rpartition("/")[2])
    if isinstance(role, Role) and role.arn == role_arn:
        context = {**resource_tags(role.tags), **context}
    return (Demand(action="iam:PassRole", target=Target(arn=role_arn, account_id=account_id, context=context)),)


async def demand_for_configuration(scene: Scene, parameters: Parameters) -> tuple[Demand, ...]:
    """`iam:PassRole`, and `logs:PutLogEvents` on a log group that is not the function's own.

    SECURITY: forged and crowded-out logs. AWS asks at run time whether the execution role may write to the group; here
    the platform writes for every function, so it is asked whether whoever says where to write could do it himself.
    """
    demands = await demand_role(scene, parameters)
    group = (parameters.get("LoggingConfig") or {}).get("LogGroup")
    name = function_name(scene, parameters)
    if group and group != f"/aws/lambda/{name.name}":
        target = Target(arn=decided_arn(scene.region, name.account_id, group), account_id=name.account_id)
        demands = (*demands, Demand(action="logs:PutLogEvents", target=target))
    return demands


async def _check_role(scene: Scene, parameters: Parameters) -> None:
    role_arn = parameters.get("Role")
    if role_arn is None:
        return
    function_arn = function_name(scene, parameters).arn
    if await scene.services.sessions.role_can_be_assumed_by(
        role_arn, _LAMBDA, now_ms=scene.now_ms, source_arn=function_arn
    ):
        return
    message = "The role defined for the function cannot be assumed by Lambda."
    raise InvalidParameter(message, detail={"Type": "User"})


def _new_name(scene: Scene, parameters: Parameters) -> FunctionName:
    name = function_name(scene, parameters)
    if name.qualifier is not None:
        message = "A function is created without a qualifier: versions and aliases come later."
        raise InvalidParameter(message, detail={"Type": "User"})
    return name


def _zip_file(code: Parameters) -> bytes:
    zip_file: bytes | None = code.get("ZipFile")
    if zip_file is None:
        message = "Please provide a source for function code."
        raise InvalidParameter(message, detail={"Type": "User"})
    return zip_file


def _asked_tags(parameters: Parameters) -> dict[str, ContextValue]:
    tags: dict[str, str] = parameters.get("Tags") or {}
    if not tags:
        return {}
    return {**tag_context("aws:requesttag/", tags), "aws:tagkeys": list(tags)}


def _note_code(scene: Scene, code: CodePackage) -> None:
    """What was deployed is on record by its content, which is hidden itself."""
    scene.notes["codeSha256"] = code.digest
    scene.notes["codeBytes"] = code.zip_bytes


def _row(name: str, **parts: Any) -> Operation:
    return Operation(service="lambda", name=name, action=f"lambda:{name}", access=Access.WRITE, **parts)


OPERATIONS: Final[tuple[Operation, ...]] = (
    _row(
        "CreateFunction",
        target=resolve_new_function,
        further=demand_for_new_function,
        prepare=prepare_new_function,
        handle=create_function,
        redact=frozenset({"Code", "Environment.Variables"}),
    ),
    _row(
        "UpdateFunctionCode",
        target=resolve_function,
        prepare=prepare_new_code,
        handle=update_function_code,
        redact=frozenset({"ZipFile"}),
    ),
    _row(
        "UpdateFunctionConfiguration",
        target=resolve_function,
        further=demand_for_configuration,
        prepare=prepare_new_configuration,
        handle=update_function_configuration,
        redact=frozenset({"Environment.Variables"}),
    ),
    _row("DeleteFunction", target=resolve_function, handle=delete_function),
)
