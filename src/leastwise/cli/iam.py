"""`leastwise iam`: questions about everybody in the account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from leastwise.cli.failures import ExitCode
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.session import Session

app: Final = typer.Typer(help="Questions about everybody in the account.", no_args_is_help=True, rich_markup_mode=None)
_ANSWER: Final = ("Escalations", "Administrators", "PrincipalsExamined", "Complete")


@app.callback()
def _iam() -> None:
    """Keeps `escalations` a command of its own while it is the only one."""


@app.command()
@with_options
def escalations(
    options: Options,
    printer: Printer,
    *,
    principal: Annotated[
        str | None,
        typer.Option(
            "--principal", metavar="WHO", help="Only paths of this user or role: ARN, user/NAME or role/NAME."
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Also roles assumed as they are meant to be, and chains to others than administrators."
        ),
    ] = False,
) -> None:
    """Shows who can become more than they were made, by which calls.

    Exit code 0: nobody. 8: somebody can, or not everything could be looked at.
    """
    asked: dict[str, Any] = ({} if principal is None else {"PrincipalArn": principal}) | (
        {"All": True} if every else {}
    )
    with printer.busy("trying every known way"):
        told = Session(options, printer).client("leastwise").list_escalations(**asked)
    answer = {name: told[name] for name in _ANSWER}
    rows = [
        (_short(path["Principal"]), _short(path["Becomes"]), by_which_calls(path), "; ".join(path["Conditions"]) or "-")
        for path in answer["Escalations"]
    ]
    if rows or printer.as_json:
        printer.table(("who", "becomes", "by", "conditions"), rows, value=answer)
    else:
        printer.text(f"Nobody, of {answer['PrincipalsExamined']} users and roles, by a way that is known.")
    if not answer["Complete"]:
        printer.warn("there was more to try than one report may take; what is shown is not all")
    if rows or not answer["Complete"]:
        raise typer.Exit(ExitCode.FOUND)


def by_which_calls(path: Mapping[str, Any]) -> str:
    """The chain: calls joined by commas, steps by arrows."""
    steps = []
    for step in path["Steps"]:
        calls = ", ".join(f"{call['Action']} {_short(call['Resource'])}" for call in step["Calls"])
        steps.append(calls)
    return " -> ".join(steps)


def _short(arn: str) -> str:
    """The part of an ARN that tells one identity of the account from another."""
    segments = arn.split(":", 5)
    return segments[-1] if len(segments) == 6 else arn  # noqa: PLR2004 - an ARN's segments
