"""`leastwise accounts`: the accounts of the installation, for whoever administers its management account."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import typer

from leastwise.cli.failures import CommandError, ExitCode
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.session import PROFILE, Session

ACCESS_ROLE: Final = "OrganizationAccountAccessRole"
_REASONS: Final = {"EMAIL_ALREADY_EXISTS": "another account has this e-mail address (EMAIL_ALREADY_EXISTS)"}
# The shape that the API asks for: Organizations API Reference, CreateAccount, Email.
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")

app = typer.Typer(help="Lists and makes accounts.", rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def accounts() -> None:
    """Lists and makes accounts."""


@app.command(name="list")
@with_options
def list_accounts(options: Options, printer: Printer) -> None:
    """Lists the accounts of the installation."""
    client = Session(options, printer).client("organizations")
    management = client.describe_organization()["Organization"]["MasterAccountId"]
    found = [account for page in client.get_paginator("list_accounts").paginate() for account in page["Accounts"]]
    shown = ("Id", "Name", "Email", "Status", "JoinedTimestamp")
    value = [{key: account.get(key) for key in shown} for account in found]
    rows = [
        (
            account["Id"],
            account["Name"],
            account["Email"],
            account["Status"].lower(),
            "management" if account["Id"] == management else "member",
        )
        for account in found
    ]
    printer.table(("account", "name", "email", "status", "kind"), rows, value=value)


@app.command()
@with_options
def create(
    options: Options,
    printer: Printer,
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the account.")],
    email: Annotated[str, typer.Option("--email", help="Of whoever answers for it; each can be used once.")],
    role_name: Annotated[
        str, typer.Option("--role-name", help="Of the role through which the management account gets in.")
    ] = ACCESS_ROLE,
) -> None:
    """Makes an account, and shows how to get into it."""
    if not _EMAIL.fullmatch(email):
        message = f"--email {email}: not an e-mail address"
        raise CommandError(message)
    session = Session(options, printer)
    client = session.client("organizations")
    status = client.create_account(AccountName=name, Email=email, RoleName=role_name)["CreateAccountStatus"]
    if status["State"] != "SUCCEEDED":
        reason = status.get("FailureReason", status["State"])
        message = f"the account was not made: {_REASONS.get(reason, reason)}"
        raise CommandError(message, code=ExitCode.PLATFORM)
    account_id = status["AccountId"]
    role_arn = f"arn:aws:iam::{account_id}:role/{role_name}"
    value = {"AccountId": account_id, "AccountName": name, "RoleArn": role_arn}
    printer.record({"account": account_id, "access role": role_arn}, value=value)
    if not printer.as_json:
        printer.text("\n" + _how_to_get_in(session.target, name, role_arn))


def _how_to_get_in(target: Any, name: str, role_arn: str) -> str:
    profile = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-") or "member"
    lines = [
        "Get in with these lines in the file that AWS_CONFIG_FILE names:",
        "",
        f"[profile {profile}]",
        f"role_arn = {role_arn}",
        f"source_profile = {target.profile or PROFILE}",
        f"endpoint_url = {target.endpoint_url}",
        f"region = {target.region}",
    ]
    if target.ca_bundle is not None:
        lines.append(f"ca_bundle = {target.ca_bundle}")
    return "\n".join(lines)
