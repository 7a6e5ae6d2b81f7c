"""The table of contents of the product: every operation that can be called, and what it takes to call it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from leastwise.flows import invoke, read_logs, report_usage
from leastwise.flows.interface import Operation
from leastwise.kernel import errors

_MODULES = (invoke, read_logs, report_usage)


def operations_table() -> Mapping[tuple[str, str], Operation]:
    """(service, operation) -> row.

    Raises:
        errors.Bug: an operation has two rows.
    """
    table: dict[tuple[str, str], Operation] = {}
    for module in _MODULES:
        for row in module.OPERATIONS:
            if (row.service, row.name) in table:
                message = f"{row.service}:{row.name} has two rows"
                raise errors.Bug(message)
            table[row.service, row.name] = row
    return MappingProxyType(table)
