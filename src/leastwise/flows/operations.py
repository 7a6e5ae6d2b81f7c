"""The table of contents of the product: every operation that can be called, and what it takes to call it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from leastwise.flows import (
    analyze_access,
    deploy,
    find_escalations,
    function_concurrency,
    function_policy,
    function_reading,
    function_tags,
    identity_absent,
    identity_access_keys,
    identity_account,
    identity_grants,
    identity_groups,
    identity_kinds,
    identity_mentioned,
    identity_passwords,
    identity_policies,
    identity_report,
    identity_roles,
    identity_sessions,
    identity_simulate,
    identity_users,
    invoke,
    organization_absent,
    organization_accounts,
    organization_policies,
    organization_units,
    read_logs,
    report_usage,
    revoke_sessions,
    why,
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
    identity_kinds.OPERATIONS,
    identity_users.OPERATIONS,
    identity_access_keys.OPERATIONS,
    identity_groups.OPERATIONS,
    identity_roles.OPERATIONS,
    identity_policies.OPERATIONS,
    identity_grants.OPERATIONS,
    identity_report.OPERATIONS,
    identity_passwords.OPERATIONS,
    identity_account.OPERATIONS,
    identity_mentioned.OPERATIONS,
    identity_simulate.OPERATIONS,
    identity_sessions.OPERATIONS,
    identity_absent.OPERATIONS,
    # organizations
    organization_accounts.OPERATIONS,
    organization_units.OPERATIONS,
    organization_policies.OPERATIONS,
    organization_absent.OPERATIONS,
    # logs
    read_logs.OPERATIONS,
    write_logs.OPERATIONS,
    # accessanalyzer
    analyze_access.OPERATIONS,
    # our own
    report_usage.OPERATIONS,
    find_escalations.OPERATIONS,
    why.OPERATIONS,
    revoke_sessions.OPERATIONS,
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
