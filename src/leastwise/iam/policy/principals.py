"""The Principal element: who is named, and how firmly a grant to that name stands.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal"; "How AWS enforcement code logic
evaluates requests to allow or deny access", resource-based policies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from leastwise.iam.interface import Issuer, Principal, PrincipalKind
from leastwise.iam.policy.malformed import quoted, refuse, refuse_syntax

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_ROOT: Final = re.compile(r"arn:aws:iam::([0-9]{12}):root")
_NAMED: Final = re.compile(
    r"arn:aws:(?:iam::[0-9]{12}:(?:user|role)/|sts::[0-9]{12}:(?:assumed-role|federated-user)/)[^*?]+"
)
_UNIQUE_ID: Final = re.compile(r"A(?:IDA|ROA)[A-Z0-9]{12,28}")
_SERVICE: Final = re.compile(r"[a-z0-9][a-z0-9.-]*\.(?:amazonaws\.com|amazon\.com|internal)")
_TYPES: Final = ("AWS", "Service", "Federated", "CanonicalUser")


class Grade(IntEnum):
    """How a principal is named by a resource's policy, from not at all to most directly."""

    NONE = 0
    ACCOUNT = 1
    """Through its account: the account's own policies decide (delegation)."""
    ROLE = 2
    """Through the role behind the session, or the user behind a federated one: boundary and session policies still
    limit."""
    DIRECT = 3
    """As the user, the session, the service, or everyone: no implicit deny limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalElement:
    """A Principal or NotPrincipal element.

    Args:
        everyone: `"*"` or `{"AWS": "*"}`.
        accounts: account ids, from ids and from `:root` ARNs.
        arns: of users, roles and sessions. Case-sensitive, no wildcards.
        unique_ids: `AIDA...` and `AROA...`, what stands in the place of an ARN whose owner was deleted
            (`iam.trust`), so that a user or role made anew under the old name is not trusted.
        services: service principals.
    """

    everyone: bool = False
    accounts: frozenset[str] = frozenset()
    arns: frozenset[str] = frozenset()
    unique_ids: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()

    def grade(self, principal: Principal) -> Grade:
        """How this element names the principal."""
        if self.everyone:
            return Grade.DIRECT
        if principal.kind is PrincipalKind.SERVICE:
            return Grade.DIRECT if principal.name in self.services else Grade.NONE
        if principal.arn in self.arns:
            return Grade.DIRECT
        if self.arns and principal.role_arn in self.arns:
            return Grade.ROLE
        if principal.federated_by is not None:
            return self._grade_of_federated(principal, principal.federated_by)
        if self.unique_ids:
            unique_id, _, session = principal.unique_id.partition(":")
            if unique_id in self.unique_ids:
                return Grade.ROLE if session or principal.kind is PrincipalKind.ROLE_SESSION else Grade.DIRECT
        return Grade.ACCOUNT if principal.account_id in self.accounts else Grade.NONE

    def _grade_of_federated(self, principal: Principal, issuer: Issuer) -> Grade:
        """A federated user whose own ARN is not named.

        What is granted to the user behind it is granted before the session is made: boundary and session policies limit
        it. Source: IAM User Guide, "Session policies", and "Policy evaluation for requests within a single account"
        ("an IAM user ARN (that is not a federated user session)").
        """
        if issuer.name and (issuer.arn in self.arns or issuer.unique_id in self.unique_ids):
            return Grade.ROLE
        return Grade.ACCOUNT if principal.account_id in self.accounts else Grade.NONE

    def exempts(self, principal: Principal, *, has_boundary: bool) -> bool:
        """A NotPrincipal Deny with this element leaves the principal alone.

        A principal with a permissions boundary is never exempt. Any other must be listed with its account, and a
        session also with its role; when sessions of that role are listed, this very session must be among them. A
        federated user must be listed itself: the user behind it does not stand for it.

        Source: IAM User Guide, "NotPrincipal" ("you must also specify the account ARN of the principal that is not
        denied"; "AWS might validate the account first, then the role, and then the assumed-role user"), and
        "Permissions boundaries for IAM entities" (the note on NotPrincipal).
        """
        if has_boundary:
            return False
        if self.everyone:
            return True
        if principal.kind is PrincipalKind.SERVICE:
            return principal.name in self.services
        if principal.account_id not in self.accounts:
            return False
        if principal.kind is PrincipalKind.ROOT:
            return True
        named = unique_id = principal.unique_id
        if principal.kind is PrincipalKind.ROLE_SESSION:
            sessions = principal.arn.rpartition("/")[0] + "/"
            if any(arn.startswith(sessions) for arn in self.arns) and principal.arn not in self.arns:
                return False
            named = principal.role_arn or ""
            unique_id = unique_id.partition(":")[0]
        else:
            named = principal.arn
        return named in self.arns or unique_id in self.unique_ids


def parse_principal_element(raw: object, place: str) -> PrincipalElement:
    """Reads a Principal element.

    Federated and canonical principals are accepted and name nobody yet.

    Raises:
        MalformedPolicy: a type or a value that AWS does not know, a partial wildcard among them.
    """
    if raw == "*":
        return PrincipalElement(everyone=True)
    values = _values_by_type(raw, place)
    accounts, arns, unique_ids = set[str](), set[str](), set[str]()
    for value in values.get("AWS", ()):
        if value == "*":
            continue
        root = _ROOT.fullmatch(value)
        if root or _ACCOUNT.fullmatch(value):
            accounts.add(root[1] if root else value)
        elif _NAMED.fullmatch(value):
            arns.add(value)
        elif _UNIQUE_ID.fullmatch(value):
            unique_ids.add(value)
        else:
            refuse(f'Invalid principal in policy: "AWS":"{quoted(value)}"', place)
    return PrincipalElement(
        everyone="*" in values.get("AWS", ()),
        accounts=frozenset(accounts),
        arns=frozenset(arns),
        unique_ids=frozenset(unique_ids),
        services=frozenset(values.get("Service", ())),
    )


def _values_by_type(raw: object, place: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(raw, Mapping):
        refuse(f'Invalid principal in policy: "{quoted(str(raw))}"', place)
    values = {name: _strings(value, f"{place}.{name}") for name, value in raw.items()}
    if not any(values.values()):
        refuse("Missing required field Principal cannot be empty!", place)
    for name in values:
        if name not in _TYPES:
            refuse(f'Invalid principal in policy: "{quoted(str(name))}"', place)
    for value in values.get("Service", ()):
        if not _SERVICE.fullmatch(value):
            refuse(f'Invalid principal in policy: "SERVICE":"{quoted(value)}"', place)
    return values


def _strings(value: object, place: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        refuse_syntax(place, "must be a string or a list of strings")
    return tuple(values)
