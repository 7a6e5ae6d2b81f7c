"""How large a policy may be.

Source: IAM User Guide, "IAM and AWS STS quotas" ("IAM doesn't count white space when calculating the size of a policy
against these quotas").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from leastwise.iam.directory import IdentityKind
from leastwise.kernel.errors import LimitExceeded

MANAGED_POLICY: Final = 6_144
INLINE_POLICIES: Final = {IdentityKind.USER: 2_048, IdentityKind.ROLE: 10_240, IdentityKind.GROUP: 5_120}
"""Sum over all inline policies of one user, role or group."""
TRUST_POLICY: Final = 2_048


def policy_size(text: str) -> int:
    """Characters of a policy's JSON text that count: all but white space between the tokens of JSON."""
    counted = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = character != '"' or escaped
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in " \t\r\n":
            continue
        counted += 1
    return counted


def check_managed_policy(text: str) -> None:
    """Raises `LimitExceeded` when a managed policy is too large."""
    if policy_size(text) > MANAGED_POLICY:
        message = f"Cannot exceed quota for PolicySize: {MANAGED_POLICY}"
        raise LimitExceeded(message)


def check_inline_policies(kind: IdentityKind, owner: str, texts: Iterable[str]) -> None:
    """Raises `LimitExceeded` when all inline policies of a user, role or group together are too large.

    Args:
        kind: of the owner.
        owner: its name.
        texts: every inline policy as it would be after the change.
    """
    limit = INLINE_POLICIES[kind]
    if sum(policy_size(text) for text in texts) > limit:
        message = f"Maximum policy size of {limit} bytes exceeded for {kind.value} {owner}"
        raise LimitExceeded(message)


def check_trust_policy(text: str) -> None:
    """Raises `LimitExceeded` when a role's trust policy is too large."""
    if policy_size(text) > TRUST_POLICY:
        message = f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY}"
        raise LimitExceeded(message)
