"""How a row of the IAM API is written: its permission has the operation's name."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from leastwise.flows.interface import Further, Handler, Operation, Resolve
from leastwise.kernel.events import Access

_SERVICE: Final = "iam"


def read(name: str, target: Resolve, handle: Handler) -> Operation:
    """A row that changes nothing."""
    return Operation(
        service=_SERVICE, name=name, action=f"{_SERVICE}:{name}", target=target, handle=handle, access=Access.READ
    )


def write(name: str, target: Resolve, handle: Handler, *, further: Further | None = None) -> Operation:
    """A row that changes something; `further` as in `flows.interface.Operation`."""
    row = replace(read(name, target, handle), access=Access.WRITE)
    return row if further is None else replace(row, further=further)
