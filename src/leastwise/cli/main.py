"""The command `leastwise`: which commands there are. Most are clients of the API like any other; `up`,
`doctor` and `audit verify` work on this machine, `policy` on files.
"""

from __future__ import annotations

from typing import Annotated, Final

import typer

from leastwise import __version__
from leastwise.cli import accounts, audit, iam, options, policy, sessions
from leastwise.cli.deploy import deploy
from leastwise.cli.doctor import doctor
from leastwise.cli.functions import functions
from leastwise.cli.invoke import invoke
from leastwise.cli.logs import logs
from leastwise.cli.up import up
from leastwise.cli.usage import usage
from leastwise.cli.whoami import whoami
from leastwise.cli.why import why

EXIT_CODES: Final = """\b
Exit codes:
  0  done
  1  the platform answered with an error, or a check of policies found something
  2  the command or a file it names is wrong
  3  the function ran and failed
  4  doubt about the trail
  5  nobody answers at the endpoint
  6  why: the answer is no
  7  why: the answer depends on context that was not given
  8  iam escalations: somebody can become more than they were made
"""

app = typer.Typer(
    name="leastwise",
    help="A self-hosted serverless platform that is secure before you do anything.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    # Plain help: it starts twice as fast, and is the same in a terminal, in a pipe and in the reference.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it by position
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    *,
    output: options.OutputOption = None,
    data: options.DataOption = None,
    profile: options.ProfileOption = None,
    endpoint_url: options.EndpointOption = None,
    region: options.RegionOption = None,
    debug: options.DebugOption = None,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A self-hosted serverless platform that is secure before you do anything.

    Options before the command's name and behind it mean the same.
    """
    options.remember(
        ctx, output=output, data=data, profile=profile, endpoint_url=endpoint_url, region=region, debug=debug
    )


for command in (up, deploy, invoke, logs, functions, whoami, why, usage, doctor):
    app.command()(command)
app.add_typer(accounts.app, name="accounts")
app.add_typer(audit.app, name="audit")
app.add_typer(iam.app, name="iam")
app.add_typer(policy.app, name="policy")
app.add_typer(sessions.app, name="sessions")


def main() -> None:
    """The console script."""
    app()
