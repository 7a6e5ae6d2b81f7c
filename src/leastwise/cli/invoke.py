"""`leastwise invoke`."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from leastwise.cli.failures import CommandError, ExitCode
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer, printable
from leastwise.cli.session import Session

_ACCEPTED: Final = 202
_ALLOWED: Final = 204


@with_options
def invoke(
    options: Options,
    printer: Printer,
    name: Annotated[str, typer.Argument(help="Name or ARN of the function.", metavar="NAME")],
    *,
    payload: Annotated[
        str | None, typer.Option("--payload", metavar="JSON|@FILE|-", help="The event: JSON, a file, or - for stdin.")
    ] = None,
    event: Annotated[bool, typer.Option("--event", help="Put it in the queue and do not wait for the result.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only ask whether the call would be allowed.")] = False,
    log: Annotated[bool, typer.Option("--log", help="Show the end of the invocation's log on stderr.")] = False,
) -> None:
    """Calls a function and prints what it returns."""
    if event and dry_run:
        message = "--event and --dry-run exclude each other"
        raise CommandError(message)
    kind = "Event" if event else "DryRun" if dry_run else "RequestResponse"
    wanted: dict[str, Any] = {"FunctionName": name, "InvocationType": kind, "Payload": read_payload(payload)}
    if log and kind == "RequestResponse":
        wanted["LogType"] = "Tail"
    client = Session(options, printer).invoking_client()
    with printer.busy(f"calling {name}"):
        answer = client.invoke(**wanted)
        returned = answer["Payload"].read()
    if log and "LogResult" in answer:
        sys.stderr.write(printable(base64.b64decode(answer["LogResult"]).decode("utf-8", "replace")))
    _show(printer, answer, returned)
    if "FunctionError" in answer:
        raise CommandError(describe_error(returned, answer["FunctionError"]), code=ExitCode.FUNCTION)


def read_payload(argument: str | None) -> bytes:
    """The event's bytes: from the argument, the file behind `@`, or stdin for `-`. Nothing said is `{}`.

    Raises:
        OSError: the file cannot be read.
    """
    if argument is None:
        return b"{}"
    if argument == "-":
        return sys.stdin.buffer.read()
    if argument.startswith("@"):
        return Path(argument[1:]).read_bytes()
    return argument.encode()


def describe_error(payload: bytes, kind: str) -> str:
    """One line about a function error, from its error JSON."""
    try:
        error = json.loads(payload)
    except ValueError:
        error = None
    if not isinstance(error, dict):
        return f"the function failed ({kind})"
    return f"the function failed ({kind}): {error.get('errorType', 'Error')}: {error.get('errorMessage', '')}"


def _show(printer: Printer, answer: dict[str, Any], returned: bytes) -> None:
    status = answer["StatusCode"]
    text = returned.decode("utf-8", "replace")
    if printer.as_json:
        value = {
            "StatusCode": status,
            "FunctionError": answer.get("FunctionError"),
            "ExecutedVersion": answer.get("ExecutedVersion"),
            "RequestId": answer["ResponseMetadata"].get("RequestId"),
            "Payload": _parsed(text),
        }
        printer.json(value)
    elif status == _ACCEPTED:
        printer.text(f"accepted {answer['ResponseMetadata'].get('RequestId', '')}".rstrip())
    elif status == _ALLOWED:
        printer.text("allowed")
    else:
        printer.text(text)


def _parsed(text: str) -> Any:
    """The payload as a value, or as text when it is not JSON."""
    try:
        return json.loads(text) if text else None
    except ValueError:
        return text
