"""The verbs of identity: the gate, sessions, users, roles, keys and policies.

A package instead of one file, one module per subject; these modules are the only ones of `iam` that await.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leastwise.iam.denials import MESSAGE_PURPOSE
from leastwise.iam.directory import Account, Directory
from leastwise.iam.interface import NoSuchEntity
from leastwise.iam.last_used import LastUsed
from leastwise.iam.organization import OrganizationStore
from leastwise.iam.sealing import Seal
from leastwise.iam.service.access_keys import ACCESS_KEY_PURPOSE, AccessKeys, NewAccessKey
from leastwise.iam.service.aliases import Aliases
from leastwise.iam.service.asking import Asking
from leastwise.iam.service.escalations import EscalationReport, Escalations
from leastwise.iam.service.estate import Deployed
from leastwise.iam.service.founding import Founded, Founding
from leastwise.iam.service.gate import IdentityGate
from leastwise.iam.service.grants import Grants, PolicySource
from leastwise.iam.service.groups import Groups
from leastwise.iam.service.guardrails import Guardrails, guardrail_type
from leastwise.iam.service.linting import Linting
from leastwise.iam.service.organization import ACCESS_ROLE, NewAccount, Organizations
from leastwise.iam.service.passwords import Passwords
from leastwise.iam.service.policies import Policies
from leastwise.iam.service.reasoning import Reasoning
from leastwise.iam.service.revoking import Revoking
from leastwise.iam.service.roles import Roles
from leastwise.iam.service.sessions import AssumedRole, Sessions
from leastwise.iam.service.simulating import Simulating
from leastwise.iam.service.slow_work import SlowWork
from leastwise.iam.service.standing import AccountStanding
from leastwise.iam.service.summary import account_summary
from leastwise.iam.service.trusting import Trusting
from leastwise.iam.service.users import Users
from leastwise.iam.service.watching import ChangeWatch
from leastwise.iam.sessions import TOKEN_PURPOSE
from leastwise.iam.signature import SigningKeys
from leastwise.kernel.transactions import Transactions

__all__: Final = (
    "ACCESS_ROLE",
    "AccessKeys",
    "Aliases",
    "Asking",
    "AssumedRole",
    "ChangeWatch",
    "Deployed",
    "EscalationReport",
    "Escalations",
    "Founded",
    "Founding",
    "Grants",
    "Groups",
    "Guardrails",
    "Identities",
    "IdentityGate",
    "IdentityService",
    "NewAccessKey",
    "NewAccount",
    "OrganizationService",
    "Organizations",
    "Passwords",
    "Policies",
    "PolicySource",
    "Reasoning",
    "Revoking",
    "Roles",
    "Sessions",
    "Simulating",
    "Trusting",
    "Users",
    "guardrail_type",
    "open_identity_service",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """The verbs that operations on users, groups, roles, keys and policies use."""

    directory: Directory
    users: Users
    groups: Groups
    roles: Roles
    access_keys: AccessKeys
    passwords: Passwords
    aliases: Aliases
    policies: Policies
    grants: Grants
    trusting: Trusting
    founding: Founding
    asking: Asking
    simulating: Simulating
    revoking: Revoking
    reasoning: Reasoning
    escalations: Escalations
    linting: Linting

    async def summary(self, account_id: str) -> Mapping[str, int]:
        """How much of everything the account has, and may have."""
        return await account_summary(self.directory, account_id)

    async def account(self, account_id: str) -> Account:
        """Raises: NoSuchEntity."""
        for account in await self.directory.accounts():
            if account.account_id == account_id:
                return account
        message = f"The account {account_id} cannot be found."
        raise NoSuchEntity(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationService:
    """The verbs that operations on the organization use."""

    accounts: Organizations
    guardrails: Guardrails


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityService:
    """Everything `wiring` needs of identity. `organization` is None where there is none."""

    gate: IdentityGate
    organization: OrganizationService | None
    sessions: Sessions
    identities: Identities
    watch: ChangeWatch


def open_identity_service(
    *,
    directory: Directory,
    transactions: Transactions,
    install_key: bytes,
    time_zone: str = "UTC",
    organization: OrganizationStore | None = None,
) -> IdentityService:
    """Puts the parts together.

    Args:
        directory: where identities are kept.
        transactions: changes join them; caches are forgotten after their commit.
        install_key: 32 random bytes of the installation, for secrets at rest and session tokens.
        time_zone: IANA name, for the `leastwise:` clock keys.
        organization: where the organization is kept; None where there is none, and so no guardrail.
    """
    key_seal = Seal(install_key, purpose=ACCESS_KEY_PURPOSE)
    token_seal = Seal(install_key, purpose=TOKEN_PURPOSE)
    message_seal = Seal(install_key, purpose=MESSAGE_PURPOSE)
    last_used, role_last_used = LastUsed(), LastUsed()
    standing = AccountStanding(store=organization)
    gate = IdentityGate(
        directory=directory,
        transactions=transactions,
        key_seal=key_seal,
        token_seal=token_seal,
        message_seal=message_seal,
        last_used=last_used,
        role_last_used=role_last_used,
        signing_keys=SigningKeys(),
        time_zone=time_zone,
        standing=standing,
    )

    def changed_elsewhere() -> None:
        standing.forget()
        gate.forget()

    watch = ChangeWatch(directory=directory, forget=changed_elsewhere)

    def changed() -> None:
        transactions.before_commit(watch.announce)
        transactions.after_commit(gate.forget)
        transactions.after_commit(watch.committed)

    def organization_changed() -> None:
        transactions.after_commit(standing.forget)
        changed()

    trusting = Trusting(directory=directory)
    grants = Grants(directory=directory, changed=changed)
    users = Users(directory=directory, grants=grants, trusting=trusting, changed=changed)
    roles = Roles(directory=directory, grants=grants, trusting=trusting, last_used=role_last_used, changed=changed)
    access_keys = AccessKeys(directory=directory, seal=key_seal, last_used=last_used, changed=changed)
    tree: OrganizationService | None = None
    if organization is not None:
        tree = OrganizationService(
            accounts=Organizations(
                store=organization,
                directory=directory,
                roles=roles,
                grants=grants,
                changed=organization_changed,
                after_commit=transactions.after_commit,
            ),
            guardrails=Guardrails(store=organization, changed=organization_changed),
        )
    explaining = SlowWork()
    return IdentityService(
        gate=gate,
        organization=tree,
        watch=watch,
        sessions=Sessions(
            directory=directory,
            gate=gate,
            seal=token_seal,
            message_seal=message_seal,
            role_last_used=role_last_used,
        ),
        identities=Identities(
            directory=directory,
            users=users,
            groups=Groups(directory=directory, grants=grants, changed=changed),
            roles=roles,
            access_keys=access_keys,
            passwords=Passwords(directory=directory),
            aliases=Aliases(directory=directory),
            policies=Policies(directory=directory, grants=grants, changed=changed),
            grants=grants,
            trusting=trusting,
            asking=Asking(directory=directory, gate=gate, threads=explaining),
            simulating=Simulating(directory=directory, gate=gate, grants=grants, threads=explaining),
            revoking=Revoking(directory=directory, changed=changed),
            reasoning=Reasoning(),
            escalations=Escalations(directory=directory, gate=gate, standing=standing),
            linting=Linting(),
            founding=Founding(
                directory=directory,
                transactions=transactions,
                users=users,
                grants=grants,
                access_keys=access_keys,
                changed=changed,
                organizations=None if tree is None else tree.accounts,
            ),
        ),
    )
