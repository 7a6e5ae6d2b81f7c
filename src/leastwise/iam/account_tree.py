"""Where every account stands, and which guardrails that puts above it.

SECURITY: whatever is not found here (an account outside the organization, a policy that is attached and gone) must
never mean "no guardrail": an unknown account stands under a level that allows nothing.

Source: AWS Organizations User Guide, "SCP evaluation" and "RCP evaluation".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from leastwise.iam.interface import ContextValue
from leastwise.iam.organization import Chart, Guardrail, GuardrailType, Member, Standing, Unit

MOST_UNITS: Final = 2_000
MOST_ACCOUNTS: Final = 1_000
MOST_GUARDRAILS: Final = 1_000
MOST_ATTACHED: Final = 5
"""Policies of one type on one target. Source: Organizations User Guide, "Quotas for AWS Organizations"."""
LONGEST_CONTENT: Final = 5_120
"""Characters. Source: the same page, "Maximum and minimum values"."""
DEEPEST_UNIT: Final = 5
"""Units below each other under the root. Source: the same page."""

FULL_ACCESS: Final = Guardrail(
    policy_id="p-FullAWSAccess",
    type=GuardrailType.SERVICE_CONTROL,
    name="FullAWSAccess",
    description="Allows access to every operation",
    content=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}),
    built_in=True,
)
FULL_RESOURCE_ACCESS: Final = Guardrail(
    policy_id="p-RCPFullAWSAccess",
    type=GuardrailType.RESOURCE_CONTROL,
    name="RCPFullAWSAccess",
    description="Allows access to every resource",
    content=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
        }
    ),
    built_in=True,
)
BUILT_IN: Final = {policy.policy_id: policy for policy in (FULL_ACCESS, FULL_RESOURCE_ACCESS)}
FULL_ACCESS_OF: Final = {policy.type: policy for policy in BUILT_IN.values()}

Levels = tuple[tuple[Guardrail, ...], ...]
"""From the root to the account: the policies on each level."""


class AccountTree:
    """One chart, ready to be asked. Answers that repeat are kept."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.organization = chart.organization
        self.units: Mapping[str, Unit] = {unit.unit_id: unit for unit in chart.units}
        self.members: Mapping[str, Member] = {member.account_id: member for member in chart.members}
        self.guardrails: Mapping[str, Guardrail] = BUILT_IN | {policy.policy_id: policy for policy in chart.guardrails}
        attached: dict[str, list[str]] = {}
        for attachment in chart.attachments:
            attached.setdefault(attachment.target_id, []).append(attachment.policy_id)
        self._attached: Mapping[str, list[str]] = attached
        self._contexts: dict[tuple[str, str, bool], Mapping[str, ContextValue]] = {}

    # --- the tree ----------------------------------------------------------------------------------------------------

    def is_parent(self, node_id: str) -> bool:
        return node_id == self.organization.root_id or node_id in self.units

    def is_target(self, node_id: str) -> bool:
        """Whether policies can be put on it."""
        return self.is_parent(node_id) or node_id in self.members

    def parent_of(self, child_id: str) -> str | None:
        """Of an account or a unit; None when it is neither."""
        member, unit = self.members.get(child_id), self.units.get(child_id)
        if member is not None:
            return member.parent_id
        return None if unit is None else unit.parent_id

    def units_under(self, parent_id: str) -> tuple[Unit, ...]:
        return tuple(sorted((u for u in self.units.values() if u.parent_id == parent_id), key=lambda u: u.unit_id))

    def members_under(self, parent_id: str) -> tuple[Member, ...]:
        found = (member for member in self.members.values() if member.parent_id == parent_id)
        return tuple(sorted(found, key=lambda member: member.account_id))

    def way_to(self, node_id: str) -> tuple[str, ...]:
        """The ids from the root to a node, both included. Empty when it does not hang on the root."""
        way: list[str] = []
        at: str | None = node_id
        while at is not None and at not in way:
            way.append(at)
            if at == self.organization.root_id:
                return tuple(reversed(way))
            at = self.parent_of(at)
        return ()

    def depth(self, parent_id: str) -> int:
        """Units between the root and a node, the node included: 0 for the root."""
        return len(self.way_to(parent_id)) - 1

    def path_of(self, account_id: str) -> str | None:
        """`o-.../r-.../ou-.../`, as `aws:PrincipalOrgPaths` has it; None for an account of no organization.

        Source: IAM User Guide, aws:PrincipalOrgPaths: the path of the unit that the account is in, not of the account.
        """
        way = self.way_to(account_id) if account_id in self.members else ()
        return "/".join((self.organization.organization_id, *way[:-1], "")) if way else None

    # --- accounts ----------------------------------------------------------------------------------------------------

    def is_suspended(self, account_id: str) -> bool:
        """SECURITY: an account that the organization does not know is as good as suspended."""
        member = self.members.get(account_id)
        return member is None or member.standing is not Standing.ACTIVE

    def is_management(self, account_id: str) -> bool:
        return account_id == self.organization.management_account_id

    def with_email(self, email: str) -> Member | None:
        return next((member for member in self.members.values() if member.email.lower() == email.lower()), None)

    # --- guardrails --------------------------------------------------------------------------------------------------

    def on(self, target_id: str, kind: GuardrailType) -> tuple[Guardrail, ...]:
        """The policies of one type that are attached to one target, in order of their ids."""
        found = (self.guardrails.get(policy_id) for policy_id in self._attached.get(target_id, ()))
        return tuple(
            sorted((policy for policy in found if policy and policy.type is kind), key=lambda policy: policy.policy_id)
        )

    def is_attached(self, policy_id: str, target_id: str) -> bool:
        return policy_id in self._attached.get(target_id, ())

    def targets_of(self, policy_id: str) -> tuple[str, ...]:
        return tuple(sorted(target for target, policies in self._attached.items() if policy_id in policies))

    def levels(self, account_id: str, kind: GuardrailType) -> Levels:
        """What limits an account: one entry for the root, each unit and the account itself.

        Nothing limits the management account: its principals are bound by no service control policy, its resources by
        no resource control policy. INVARIANT: a level without a policy is there, and allows nothing.
        """
        if kind not in self.organization.enabled or self.is_management(account_id):
            return ()
        way = self.way_to(account_id) if account_id in self.members else ()
        return tuple(self.on(node_id, kind) for node_id in way) if way else ((),)

    # --- ARNs --------------------------------------------------------------------------------------------------------

    def arn_of(self, policy: Guardrail) -> str:
        """Source: Service Authorization Reference, "AWS Organizations", resource types."""
        owner = "aws:policy" if policy.built_in else f"{self._owner}:policy/{self.organization.organization_id}"
        return f"arn:aws:organizations::{owner}/{policy.type.value.lower()}/{policy.policy_id}"

    @property
    def organization_arn(self) -> str:
        return f"arn:aws:organizations::{self._owner}:organization/{self.organization.organization_id}"

    def node_arn(self, node_id: str) -> str:
        """Of the root, a unit, or an account; an id that nothing has gets the ARN it would have."""
        kind = {"r": "root", "o": "ou"}.get(node_id[:1], "account")
        return f"arn:aws:organizations::{self._owner}:{kind}/{self.organization.organization_id}/{node_id}"

    @property
    def _owner(self) -> str:
        return self.organization.management_account_id

    # --- condition keys ----------------------------------------------------------------------------------------------

    def context(
        self, principal_account: str, resource_account: str | None, *, service: bool
    ) -> Mapping[str, ContextValue]:
        """The keys that say where caller and resource stand.

        Args:
            principal_account: the caller's; for a service, the account on whose behalf it acts.
            resource_account: owner of the resource, None when there is none.
            service: the caller is a service.

        Source: IAM User Guide, "AWS global condition context keys", properties of the principal, resource and network.
        """
        asked = (principal_account, resource_account or "", service)
        known = self._contexts.get(asked)
        if known is None:
            known = dict(self._place(principal_account, "source" if service else "principal"))
            if resource_account is not None:
                known |= self._place(resource_account, "resource")
            if len(self._contexts) >= MOST_ACCOUNTS:
                self._contexts.clear()
            self._contexts[asked] = known
        return known

    def _place(self, account_id: str, whose: str) -> Iterator[tuple[str, ContextValue]]:
        path = self.path_of(account_id)
        if path is not None:
            yield f"aws:{whose}orgid", self.organization.organization_id
            yield f"aws:{whose}orgpaths", (path,)
