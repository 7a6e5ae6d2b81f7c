"""The verbs of identity: the gate, sessions, users, roles, keys and policies.

A package instead of one file, one module per subject; these modules are the only ones of `iam` that await.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from leastwise.iam.directory import Account, Directory
from leastwise.iam.interface import NoSuchEntity
from leastwise.iam.last_used import LastUsed
from leastwise.iam.sealing import Seal
from leastwise.iam.service.access_keys import ACCESS_KEY_PURPOSE, AccessKeys, NewAccessKey
from leastwise.iam.service.founding import Founded, Founding
from leastwise.iam.service.gate import IdentityGate
from leastwise.iam.service.grants import Grants
from leastwise.iam.service.policies import Policies
from leastwise.iam.service.roles import Roles
from leastwise.iam.service.sessions import AssumedRole, Sessions
from leastwise.iam.service.trusting import Trusting
from leastwise.iam.service.users import Users
from leastwise.iam.sessions import TOKEN_PURPOSE
from leastwise.iam.signature import SigningKeys
from leastwise.kernel.transactions import Transactions

__all__: Final = (
    "AccessKeys",
    "AssumedRole",
    "Founded",
    "Founding",
    "Grants",
    "Identities",
    "IdentityGate",
    "IdentityService",
    "NewAccessKey",
    "Policies",
    "Roles",
    "Sessions",
    "Trusting",
    "Users",
    "open_identity_service",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """The verbs that operations on users, roles, keys and policies use."""

    directory: Directory
    users: Users
    roles: Roles
    access_keys: AccessKeys
    policies: Policies
    grants: Grants
    trusting: Trusting
    founding: Founding

    async def account(self, account_id: str) -> Account:
        """Raises: NoSuchEntity."""
        for account in await self.directory.accounts():
            if account.account_id == account_id:
                return account
        message = f"The account {account_id} cannot be found."
        raise NoSuchEntity(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityService:
    """Everything `wiring` needs of identity."""

    gate: IdentityGate
    sessions: Sessions
    identities: Identities


def open_identity_service(
    *, directory: Directory, transactions: Transactions, install_key: bytes, time_zone: str = "UTC"
) -> IdentityService:
    """Puts the parts together.

    Args:
        directory: where identities are kept.
        transactions: changes join them; caches are forgotten after their commit.
        install_key: 32 random bytes of the installation, for secrets at rest and session tokens.
        time_zone: IANA name, for the `leastwise:` clock keys.
    """
    key_seal = Seal(install_key, purpose=ACCESS_KEY_PURPOSE)
    token_seal = Seal(install_key, purpose=TOKEN_PURPOSE)
    last_used = LastUsed()
    gate = IdentityGate(
        directory=directory,
        transactions=transactions,
        key_seal=key_seal,
        token_seal=token_seal,
        last_used=last_used,
        signing_keys=SigningKeys(),
        time_zone=time_zone,
    )

    def changed() -> None:
        transactions.after_commit(gate.forget)

    trusting = Trusting(directory=directory)
    grants = Grants(directory=directory, changed=changed)
    users = Users(directory=directory, grants=grants, trusting=trusting, changed=changed)
    roles = Roles(directory=directory, grants=grants, trusting=trusting, changed=changed)
    access_keys = AccessKeys(directory=directory, seal=key_seal, last_used=last_used, changed=changed)
    return IdentityService(
        gate=gate,
        sessions=Sessions(directory=directory, gate=gate, seal=token_seal),
        identities=Identities(
            directory=directory,
            users=users,
            roles=roles,
            access_keys=access_keys,
            policies=Policies(directory=directory, grants=grants, changed=changed),
            grants=grants,
            trusting=trusting,
            founding=Founding(
                directory=directory,
                transactions=transactions,
                users=users,
                grants=grants,
                access_keys=access_keys,
                changed=changed,
            ),
        ),
    )
