"""`leastwise whoami`."""

from __future__ import annotations

from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.session import Session


@with_options
def whoami(options: Options, printer: Printer) -> None:
    """Shows whose keys are used, and where."""
    session = Session(options, printer)
    identity = session.client("sts").get_caller_identity()
    value = {
        "Account": identity["Account"],
        "Arn": identity["Arn"],
        "UserId": identity["UserId"],
        "EndpointUrl": session.target.endpoint_url,
        "Region": session.target.region,
        "Profile": session.target.profile,
    }
    shown = {
        "account": identity["Account"],
        "arn": identity["Arn"],
        "user id": identity["UserId"],
        "endpoint": session.target.endpoint_url,
        "region": session.target.region,
        "keys": f"profile {session.target.profile}" if session.target.profile else "AWS_ACCESS_KEY_ID",
    }
    printer.record(shown, value=value)
