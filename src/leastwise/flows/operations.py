"""The table of contents of the product: every operation that can be called, and what it takes to call it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from leastwise.flows import (
    deploy,
    function_concurrency,
    function_policy,
    function_reading,
    function_tags,
    identity_absent,
    identity_grants,
    identity_policies,
    identity_report,
    identity_roles,
    identity_sessions,
    identity_users,
    invoke,
    read_logs,
    report_usage,
    write_logs,
)
from leastwise.flows.interface import Operation
from leastwise.kernel import errors

_ROWS: Final[tuple[tuple[Operation, ...], ...]] = (
    # lambda
    invoke.OPERATIONS,
    deploy.OPERATIONS,
    function_reading.OPERATIONS,
    function_policy.OPERATIONS,
    function_concurrency.OPERATIONS,
    function_tags.OPERATIONS,
    # iam, sts
    identity_users.OPERATIONS,
    identity_roles.OPERATIONS,
    identity_policies.OPERATIONS,
    identity_grants.OPERATIONS,
    identity_report.OPERATIONS,
    identity_sessions.OPERATIONS,
    identity_absent.OPERATIONS,
    # logs
    read_logs.OPERATIONS,
    write_logs.OPERATIONS,
    # our own
    report_usage.OPERATIONS,
)


def operations_table() -> Mapping[tuple[str, str], Operation]:
    """(service, operation) -> row.

    Raises:
        errors.Bug: an operation has two rows.
    """
    table: dict[tuple[str, str], Operation] = {}
    for rows in _ROWS:
        for row in rows:
            if (row.service, row.name) in table:
                message = f"{row.service}:{row.name} has two rows"
                raise errors.Bug(message)
            table[row.service, row.name] = row
    return MappingProxyType(table)
