"""`leastwise sessions`: ends sessions before their time, and tells which were."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from leastwise.cli.failures import CommandError
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.session import Session

app: Final = typer.Typer(help="Ends sessions before their time.", no_args_is_help=True, rich_markup_mode=None)

RoleOption = Annotated[str | None, typer.Option("--role", help="Name of the role whose sessions end.")]
UserOption = Annotated[str | None, typer.Option("--user", help="Name of the user whose sessions end.")]
BeforeOption = Annotated[
    str | None,
    typer.Option(
        "--before", help="End those that began then or before, ISO 8601 (2026-11-23T18:00:00Z). Now if absent."
    ),
]


@app.command()
@with_options
def revoke(
    options: Options,
    printer: Printer,
    *,
    role: RoleOption = None,
    user: UserOption = None,
    before: BeforeOption = None,
) -> None:
    """Ends the sessions of a role or user, and all that were made from them, within one second.

    Access keys and passwords stay good, and new sessions can be made. To lock somebody out, take the permissions first.
    """
    if (role is None) == (user is None):
        message = "give --role or --user" + ("" if role is None else ", not both")
        raise CommandError(message)
    given: dict[str, Any] = {"RoleName": role} if role is not None else {"UserName": user}
    if before is not None:
        given["NotBefore"] = _instant(before)
    told = Session(options, printer).client("leastwise").revoke_sessions(**given)
    instant = _shown(told["NotBefore"])
    value = {"Arn": told["Arn"], "UniqueId": told["UniqueId"], "NotBefore": instant}
    printer.record({"ended": f"sessions of {told['Arn']}", "that began until": instant}, value=value)


@app.command("list")
@with_options
def list_revocations(options: Options, printer: Printer) -> None:
    """Shows whose sessions were ended, newest first."""
    revoked = Session(options, printer).client("leastwise").list_revocations()["Revocations"]
    rows = [(one["Kind"], one["UniqueId"], _shown(one["NotBefore"])) for one in revoked]
    names = ("Kind", "UniqueId", "NotBefore")
    printer.table(("kind", "id", "ended up to"), rows, value=[dict(zip(names, row, strict=True)) for row in rows])


def _shown(moment: datetime) -> str:
    """As --before takes it: UTC, with as many decimals of a second as it has."""
    parts = moment.astimezone(UTC).replace(tzinfo=None)
    return parts.isoformat(timespec="milliseconds" if parts.microsecond else "seconds") + "Z"


def _instant(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"--before {text}: not an instant of ISO 8601"
        raise CommandError(message) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
