"""`leastwise deploy`: a directory becomes a function, or a function's new code."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from leastwise.cli import requirements, variables
from leastwise.cli.failures import CommandError
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.package import (
    NEVER_PACKED,
    Entry,
    build_zip,
    handler_problem,
    merge,
    read_ignore,
    select_files,
)
from leastwise.cli.role import resolve_role
from leastwise.cli.session import Session

_FILES_SHOWN: Final = 20
_SMALLEST_MIB: Final = 128
_LARGEST_MIB: Final = 10_240
_LONGEST_S: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A built package. `digest` is the base64 SHA-256 that Lambda calls CodeSha256."""

    content: bytes
    digest: str
    files: int


def build(directory: Path, *, handler: str, runtime: str, without: tuple[Path, ...], printer: Printer) -> Package:
    """Selects, installs and packs.

    Raises:
        CommandError: the handler is not in it, requirements cannot be installed, or it is too large.
    """
    own = select_files(directory, patterns=(*NEVER_PACKED, *read_ignore(directory)), without=without)
    for entry in own[:_FILES_SHOWN]:
        printer.note(f"  {entry.name}")
    if len(own) > _FILES_SHOWN:
        printer.note(f"  and {len(own) - _FILES_SHOWN} more")
    problem = handler_problem(handler, runtime, (entry.name for entry in own))
    if problem is not None:
        raise CommandError(problem)
    with tempfile.TemporaryDirectory(prefix="leastwise-deploy-") as scratch:
        entries = merge(_dependencies(directory, runtime, Path(scratch), printer), own)
        with printer.busy(f"packing {len(entries)} files"):
            content = build_zip(entries)
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return Package(content=content, digest=digest, files=len(entries))


def _dependencies(directory: Path, runtime: str, scratch: Path, printer: Printer) -> list[Entry]:
    file = requirements.wanted(directory, runtime)
    if file is None:
        return []
    if not requirements.is_locked(file):
        printer.note(f"{file} has no hashes: whatever the index serves that day is installed")
    with printer.busy(f"installing {file} for {runtime}"):
        requirements.install(file, scratch, runtime)
    return select_files(scratch, patterns=requirements.left_out())


@with_options
def deploy(
    options: Options,
    printer: Printer,
    directory: Annotated[Path, typer.Argument(help="Directory with the function's files.", metavar="DIR")],
    *,
    handler: Annotated[str, typer.Option("--handler", metavar="FILE.FUNCTION", help="What to call.")],
    role: Annotated[str, typer.Option("--role", metavar="NAME|ARN", help="Execution role.")],
    create_role: Annotated[
        bool, typer.Option("--create-role", help="Make the role when there is none: it may write its log, no more.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Name of the function; the directory's unless said.")
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(
            "--runtime", metavar="ID", help="python3.x, nodejs20.x, provided.al2023; this Python unless said."
        ),
    ] = None,
    memory: Annotated[
        int | None,
        typer.Option(
            "--memory", metavar="MIB", min=_SMALLEST_MIB, max=_LARGEST_MIB, help="Memory; new functions: 128."
        ),
    ] = None,
    timeout: Annotated[
        int | None,
        typer.Option("--timeout", metavar="SECONDS", min=1, max=_LONGEST_S, help="Time limit; new functions: 3."),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="K=V|K",
            help="Environment variable; K alone takes its value from this environment. Together they replace all.",
        ),
    ] = None,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", metavar="FILE", help="Environment variables, K=V on each line.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What it does.")] = None,
) -> None:
    """Creates a function from a directory, or updates it. Secrets belong in --env-file or --env NAME, not in --env K=V."""
    if not directory.is_dir():
        message = f"not a directory: {directory}"
        raise CommandError(message)
    function = name or directory.resolve().name
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", function):
        message = f"not a name for a function: {function} (letters, digits, - and _; --name says another one)"
        raise CommandError(message)
    environment, exposed = variables.collect(env or [], env_file, os.environ)
    for variable in exposed:
        printer.warn(f"--env {variable}=... can be read in the process list and the shell's history")
    session = Session(options, printer)
    client = session.client("lambda")
    present = find(client, function)
    chosen_runtime = runtime or (present or {}).get("Configuration", {}).get("Runtime") or this_python()
    package = build(directory, handler=handler, runtime=chosen_runtime, without=(options.data_dir,), printer=printer)
    role_arn, role_made = resolve_role(
        session.client("iam"), role, function=function, region=client.meta.region_name, create=create_role
    )
    if role_made:
        printer.note(f"made the role {role_arn}")
    wanted = _wanted(
        Runtime=chosen_runtime,
        Role=role_arn,
        Handler=handler,
        MemorySize=memory,
        Timeout=timeout,
        Environment=None if environment is None else {"Variables": environment},
        Description=description,
    )
    if present is None:
        with printer.busy(f"creating {function}"):
            client.create_function(FunctionName=function, Code={"ZipFile": package.content}, **wanted)
            client.get_waiter("function_active_v2").wait(FunctionName=function)
        action = "created"
    else:
        action = update(
            client, function, present=present["Configuration"], package=package, wanted=wanted, printer=printer
        )
    now = client.get_function_configuration(FunctionName=function)
    _show(printer, now, action=action, files=package.files, role_made=role_made)


def find(client: Any, function: str) -> dict[str, Any] | None:
    """What is deployed under that name, None when nothing is."""
    try:
        found: dict[str, Any] = client.get_function(FunctionName=function)
    except client.exceptions.ResourceNotFoundException:
        return None
    return found


def this_python() -> str:
    """The runtime of the interpreter that runs the command."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def differences(present: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the wanted settings that are not as they should be."""
    changed = {}
    for key, value in wanted.items():
        now = present.get(key)
        if key == "Environment":
            now = {"Variables": (now or {}).get("Variables", {})}
        if key == "Description":
            now = now or ""
        if now != value:
            changed[key] = value
    return changed


def update(
    client: Any,
    function: str,
    *,
    present: Mapping[str, Any],
    package: Package,
    wanted: Mapping[str, Any],
    printer: Printer,
) -> str:
    """Brings code and configuration up to date: `updated`, or `unchanged` when there was nothing to do.

    Each step names the revision it was decided on, so that of two deploys at the same time one fails
    (PreconditionFailedException) instead of mixing with the other.
    """
    revision = present["RevisionId"]
    changed = differences(present, wanted)
    new_code = present["CodeSha256"] != package.digest
    waiter = client.get_waiter("function_updated_v2")
    if changed:
        with printer.busy(f"configuring {function}"):
            client.update_function_configuration(FunctionName=function, RevisionId=revision, **changed)
            waiter.wait(FunctionName=function)
            revision = client.get_function_configuration(FunctionName=function)["RevisionId"]
        printer.note(f"changed {', '.join(sorted(changed))}")
    if new_code:
        with printer.busy(f"uploading {len(package.content):,} bytes"):
            client.update_function_code(FunctionName=function, RevisionId=revision, ZipFile=package.content)
            waiter.wait(FunctionName=function)
    else:
        printer.note("the code is unchanged; nothing was uploaded")
    return "updated" if changed or new_code else "unchanged"


def _wanted(**settings: Any) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _show(printer: Printer, now: Mapping[str, Any], *, action: str, files: int, role_made: bool) -> None:
    value = {
        "FunctionName": now["FunctionName"],
        "FunctionArn": now["FunctionArn"],
        "Action": action,
        "Runtime": now.get("Runtime"),
        "Handler": now.get("Handler"),
        "Role": now["Role"],
        "RoleCreated": role_made,
        "CodeSize": now["CodeSize"],
        "CodeSha256": now["CodeSha256"],
        "Files": files,
    }
    shown = {
        action: now["FunctionName"],
        "arn": now["FunctionArn"],
        "runtime": f"{now.get('Runtime')}, {now.get('Handler')}",
        "role": now["Role"],
        "code": f"{now['CodeSize']:,} bytes, {files} files",
        "sha256": now["CodeSha256"],
    }
    printer.record(shown, value=value)
