"""`leastwise usage`: not an operation of AWS's, so it is signed and sent by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

import typer

from leastwise.cli.failures import CommandError, ExitCode
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.session import Session

SERVICE: Final = "leastwise"
PATH: Final = "/2026-11-23/usage"
_OK: Final = 200


@with_options
def usage(
    options: Options,
    printer: Printer,
    *,
    function: Annotated[str | None, typer.Option("--function", metavar="NAME", help="Only this function.")] = None,
    since: Annotated[
        str, typer.Option("--since", metavar="DAY", help="First day: 7d (days back), or YYYY-MM-DD (UTC).")
    ] = "30d",
) -> None:
    """Shows what was used: requests, time and memory by function and day."""
    today = datetime.now(UTC).date()
    wanted = {"FirstDay": first_day(since, today=today).isoformat(), "LastDay": today.isoformat()}
    if function is not None:
        wanted["FunctionName"] = function
    answer = signed_get(Session(options, printer), PATH, wanted)
    totals = sorted(answer["Totals"], key=lambda total: (total["Day"], total["FunctionArn"]))
    rows = [
        (
            total["Day"],
            total["FunctionArn"].rpartition(":")[2],
            total["Requests"],
            total["BilledMs"],
            total["GbSeconds"],
        )
        for total in totals
    ]
    printer.table(("day", "function", "requests", "billed ms", "GB-seconds"), rows, value=answer)


def first_day(text: str, *, today: date) -> date:
    """The first day of the report: `7d` is today and the six days before it.

    Raises:
        CommandError: neither a number of days nor a day.
    """
    try:
        if text.endswith("d"):
            days = int(text[:-1])
            if days < 1:
                raise ValueError  # noqa: TRY301 - one message for all that is not a day
            return today - timedelta(days=days - 1)
        return date.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        message = f"not a day: {text} (7d, 2026-11-23)"
        raise CommandError(message) from error


def signed_get(session: Session, path: str, parameters: Mapping[str, str]) -> Any:
    """GETs an operation of the platform's own, signed with SigV4 for the service `leastwise`, and parses the answer.

    Raises:
        CommandError: an error answer, in the same words as boto3's.
    """
    from botocore.auth import SigV4Auth  # noqa: PLC0415 - a quick start matters more
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.httpsession import URLLib3Session  # noqa: PLC0415

    query = urlencode(sorted(parameters.items()), quote_via=quote)
    request = AWSRequest(method="GET", url=f"{session.target.endpoint_url.rstrip('/')}{path}?{query}")
    SigV4Auth(session.credentials(), SERVICE, session.target.region).add_auth(request)
    response = URLLib3Session(verify=session.target.ca_bundle or True, timeout=(5, 60)).send(request.prepare())
    try:
        body = json.loads(response.content)
    except ValueError:
        body = {}
    if response.status_code == _OK and isinstance(body, dict) and "Totals" in body:
        return body
    code = str(response.headers.get("x-amzn-errortype", response.status_code)).partition(":")[0]
    message = (body.get("message") or body.get("Message")) if isinstance(body, dict) else None
    described = f"{code}: {message or 'no message'}"
    raise CommandError(described, code=ExitCode.PLATFORM)
