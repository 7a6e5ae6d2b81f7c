"""`leastwise functions`."""

from __future__ import annotations

from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.session import Session

_SHOWN = (
    "FunctionName",
    "FunctionArn",
    "Runtime",
    "Handler",
    "Role",
    "MemorySize",
    "Timeout",
    "CodeSize",
    "CodeSha256",
)


@with_options
def functions(options: Options, printer: Printer) -> None:
    """Lists the functions of the account."""
    client = Session(options, printer).client("lambda")
    found = [item for page in client.get_paginator("list_functions").paginate() for item in page["Functions"]]
    found.sort(key=lambda item: item["FunctionName"])
    # SECURITY: environment variables are in the answer, and often secrets: only what is named here is shown.
    value = [{key: item.get(key) for key in (*_SHOWN, "LastModified")} for item in found]
    rows = [
        (
            item["FunctionName"],
            item.get("Runtime", ""),
            item.get("Handler", ""),
            f"{item['MemorySize']} MB",
            f"{item['Timeout']} s",
            f"{item['CodeSize']:,} B",
            item["LastModified"],
        )
        for item in found
    ]
    printer.table(("name", "runtime", "handler", "memory", "timeout", "code", "modified"), rows, value=value)
