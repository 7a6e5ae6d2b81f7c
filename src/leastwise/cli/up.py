"""`leastwise up`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from leastwise.cli.failures import CommandError, ExitCode
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer


@with_options
def up(
    options: Options,
    _printer: Printer,
    *,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen. Off loopback TLS is a must.")
    ] = None,
    account_id: Annotated[
        str | None,
        typer.Option("--account-id", metavar="12DIGITS", help="Account of a first start; random unless said."),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings, in TOML.")] = None,
    tls_cert: Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its private key, PEM.")] = None,
) -> None:
    """Starts the platform; the first time it makes an account and its keys. Stops on SIGTERM, finishing what it took."""
    if account_id is not None and not re.fullmatch(r"[0-9]{12}", account_id):
        message = f"not an account id: {account_id} (12 digits)"
        raise CommandError(message)
    if (tls_cert is None) != (tls_key is None):
        message = "--tls-cert and --tls-key go together"
        raise CommandError(message)
    from leastwise.kernel.errors import Invalid, LeastwiseError  # noqa: PLC0415 - a quick start matters more
    from leastwise.wiring import serve  # noqa: PLC0415

    try:
        serve.up(
            data=options.data_dir,
            listen=listen,
            account_id=account_id,
            config=config,
            tls_cert=tls_cert,
            tls_key=tls_key,
        )
    except LeastwiseError as error:
        # Invalid: a setting or a file that it names is wrong. All others: this machine cannot serve it now.
        code = ExitCode.USAGE if isinstance(error, Invalid) else ExitCode.PLATFORM
        raise CommandError(error.message, code=code) from error
