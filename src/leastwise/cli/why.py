"""`leastwise why`: why somebody may do something, or not; or why a call was decided as it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from leastwise.cli.failures import CommandError, ExitCode
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.session import Session

_SAID: Final = {
    "allowed": "allowed",
    "explicitDeny": "denied, explicitly",
    "implicitDeny": "denied: nothing allows it",
    "depends": "it depends on what is not known",
}
_ANSWER: Final = {
    "absent": "-",
    "allows": "allows",
    "denies": "denies",
    "grantsNothing": "grants nothing",
    "depends": "depends",
}
_CODES: Final = {"allowed": ExitCode.OK, "depends": ExitCode.DEPENDS}
_MOST_NEAR: Final = 3
_FIRST: Final = ("There is no action ", "There is no service ")
"""How remarks begin that put the question itself in doubt: those come before the answer."""
_LEVELS: Final = frozenset({"service control", "resource control"})


@with_options
def why(
    options: Options,
    printer: Printer,
    *,
    principal: Annotated[
        str | None,
        typer.Argument(help="ARN of a user, role, role session or the root user; user/NAME; role/NAME; or a service."),
    ] = None,
    action: Annotated[str | None, typer.Argument(help="For example lambda:InvokeFunction.")] = None,
    resource: Annotated[str, typer.Argument(help="ARN, or * for an action without a resource.")] = "*",
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context", metavar="KEY=VALUE", help="What the request would carry; several values: give it again."
        ),
    ] = None,
    request_id: Annotated[
        str | None, typer.Option("--request-id", metavar="ID", help="Request id or event id of a call on record.")
    ] = None,
) -> None:
    """Explains a decision: what was decided, by which layer and statement, and what would have to change.

    Asks about PRINCIPAL, ACTION and RESOURCE, or about a call on record with --request-id.
    """
    question = asked(principal, action, resource, request_id)
    if context:
        question["ContextEntries"] = read_context(context)
    answer = Session(options, printer).client("leastwise").explain_access(**question)
    answer.pop("ResponseMetadata", None)
    if printer.as_json:
        printer.json(answer)
    else:
        show(answer, printer)
    code = _CODES.get(answer["Decision"], ExitCode.DENIED)
    if code is not ExitCode.OK:
        raise typer.Exit(int(code))


def asked(principal: str | None, action: str | None, resource: str, request_id: str | None) -> dict[str, Any]:
    """The input of ExplainAccess.

    Raises:
        CommandError: neither of the two forms.
    """
    if request_id is not None:
        if principal is not None:
            message = "give either --request-id or PRINCIPAL ACTION RESOURCE"
            raise CommandError(message)
        return {"RecordId": request_id}
    if principal is None or action is None:
        message = "PRINCIPAL and ACTION are missing"
        raise CommandError(
            message,
            hint="For example: leastwise why user/ann lambda:InvokeFunction arn:aws:lambda:..., or --request-id.",
        )
    return {"PrincipalArn": principal, "Action": action, "ResourceArn": resource}


def read_context(texts: Iterable[str]) -> list[dict[str, Any]]:
    """`KEY=VALUE` as context entries; a key that is given again gets several values. Raises: CommandError."""
    values: dict[str, list[str]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or ":" not in key:
            message = f"--context {text}: not KEY=VALUE (aws:SourceIp=192.0.2.1)"
            raise CommandError(message)
        values.setdefault(key, []).append(value)
    return [{"ContextKeyName": key, "ContextKeyValues": given} for key, given in values.items()]


def show(answer: Mapping[str, Any], printer: Printer) -> None:
    """For people: the decision, the layers, what nearly fitted, what would have to change."""
    summary = {
        "decision": _SAID.get(answer["Decision"], answer["Decision"]),
        "principal": answer["Principal"],
        "action": answer["Action"],
        "resource": answer["Resource"],
    }
    recorded = answer.get("Recorded")
    if recorded:
        summary |= _recorded(answer, recorded)
    if answer["MissingContext"]:
        summary["not known"] = ", ".join(answer["MissingContext"])
    doubts = [f"Note: {remark}" for remark in answer["Remarks"] if remark.startswith(_FIRST)]
    notes = [f"Note: {remark}" for remark in answer["Remarks"] if not remark.startswith(_FIRST)]
    for line in doubts:
        printer.text(line)
    printer.record(summary, value=answer)
    rows = [
        (
            "*" if layer["Decisive"] else "",
            _name(layer),
            _ANSWER.get(layer["Answer"], layer["Answer"]),
            _by(layer) or _root(answer, layer),
        )
        for layer in answer["Layers"]
    ]
    printer.text("")
    printer.table(("", "layer", "says", "by"), rows, value=answer)
    for line in (*_nearly(answer), *_remedies(answer), *notes):
        printer.text(line)


def _recorded(answer: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, str]:
    then = _SAID.get(recorded.get("Decision", ""), "not decided")
    statements = ", ".join(map(_statement, recorded.get("Statements", ())))
    shown = {
        "decision": f"{_SAID[answer['Decision']]} (with today's policies)",
        "call": f"{recorded.get('EventName', '')} at {recorded.get('EventTime', '')}",
        "decided then": then
        + (f" ({recorded['Layer']}" + (f": {statements}" if statements else "") + ")" if "Layer" in recorded else ""),
    }
    if "Changed" in answer:
        shown["changed since"] = (
            "yes: policies, tags or the resource are not what they were" if answer["Changed"] else "no"
        )
    if "ErrorMessage" in recorded:
        shown["answered"] = recorded["ErrorMessage"]
    return shown


def _name(layer: Mapping[str, Any]) -> str:
    name = str(layer["Layer"])
    if name in _LEVELS and layer["Answer"] != "absent":
        return f"{name}, level {layer['Level']}"
    return name


def _root(answer: Mapping[str, Any], layer: Mapping[str, Any]) -> str:
    """The root user needs no statement."""
    is_root = str(answer["Principal"]).endswith(":root")
    return "root user" if is_root and layer["Layer"] == "identity-based" and layer["Answer"] == "allows" else ""


def _by(layer: Mapping[str, Any]) -> str:
    if layer["Unseen"]:
        return "not visible from here"
    effect = "Deny" if layer["Answer"] == "denies" else "Allow"
    deciding = [one for one in layer["Statements"] if one["Effect"] == effect and one["Applies"] == "yes"]
    doubtful = [one for one in layer["Statements"] if one["Applies"] == "maybe"]
    if layer["Answer"] == "depends":
        return "; ".join(f"{_statement(one)} ({one['Effect']}?)" for one in doubtful[:_MOST_NEAR])
    shown = [_statement(one) + _grade(one) for one in deciding[:_MOST_NEAR]]
    if len(deciding) > _MOST_NEAR:
        shown.append(f"{len(deciding) - _MOST_NEAR} more")
    return "; ".join(shown)


def _grade(one: Mapping[str, Any]) -> str:
    named = {"account": "names the account", "role": "names the role", "direct": ""}.get(one.get("NamedAs", ""), "")
    return f" ({named})" if named else ""


def _statement(one: Mapping[str, Any]) -> str:
    which = one["Sid"] or f"statement {one['Number']}"
    return f"{one['Policy']}: {which}" if one["Policy"] else str(which)


def _nearly(answer: Mapping[str, Any]) -> Iterator[str]:
    """What keeps statements whose action fits from deciding, where that matters."""
    if answer["Decision"] == "allowed":
        return
    lines = [
        f"  {_statement(one)} ({one['Effect']}): {'; '.join(map(_failure, one['Failures']))}"
        for layer in answer["Layers"]
        if layer["Answer"] in {"grantsNothing", "depends"}
        for one in layer["Statements"]
        if one["Failures"] and (one["Effect"] == "Allow" or one["Applies"] == "maybe")
    ]
    if lines:
        yield "Statements that come near:"
        yield from lines
        yield ""


def _failure(failure: Mapping[str, Any]) -> str:
    wanted = ", ".join(failure["Wanted"])
    if failure["Missing"]:
        return f"not known: {', '.join(failure['Missing'])}"
    match failure["Part"]:
        case "condition" if failure["Operator"]:
            found = ", ".join(failure["Found"]) or "nothing"
            return f"{failure['Operator']} {failure['Key']} wants {wanted}; the request has {found}"
        case "resource" if wanted:
            return f"is about {'all but ' if failure['Operator'] == 'NotResource' else ''}{wanted}"
        case "principal":
            return "does not name the principal"
        case part:
            return f"its {part} does not fit"


def _remedies(answer: Mapping[str, Any]) -> Iterator[str]:
    remedies = answer["Remedies"]
    if answer["Decision"] == "depends" and answer["MissingContext"]:
        given = " ".join(f"--context {key}=..." for key in answer["MissingContext"])
        yield f"To know, give what the request would carry: {given}"
    for number, remedy in enumerate(remedies):
        yield "To have it allowed:" if number == 0 else "or:"
        for step in remedy["Steps"]:
            yield f"  - {step['Sentence']}"
            yield from (f"      {hint}" for hint in step["Otherwise"])
