"""The first start of an installation, and what every later start makes sure of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from leastwise.iam import seed
from leastwise.iam.directory import Account, Directory, IdentityKind, IdentityRef
from leastwise.iam.service.access_keys import AccessKeys
from leastwise.iam.service.grants import Grants
from leastwise.iam.service.organization import Organizations
from leastwise.iam.service.users import Users
from leastwise.kernel import errors, ids
from leastwise.kernel.transactions import Transactions

ADMINISTRATOR: Final = "administrator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """What stands after a start.

    Args:
        account_id: the management account of the installation.
        created: this start made it. Only then there is a key.
        access_key_id: of the administrator; None when the account was there before.
        secret_access_key: the one time it is told.
    """

    account_id: str
    created: bool
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)


class Founding:
    """Makes the account, its administrator, the built-in policies, and the organization.

    `organizations` is None where there is none.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        transactions: Transactions,
        users: Users,
        grants: Grants,
        access_keys: AccessKeys,
        changed: Callable[[], None],
        organizations: Organizations | None = None,
    ) -> None:
        self._directory = directory
        self._transactions = transactions
        self._users = users
        self._grants = grants
        self._access_keys = access_keys
        self._changed = changed
        self._organizations = organizations

    async def found_installation(
        self,
        account_id: str | None,
        *,
        now_ms: int,
        keep_credentials: Callable[[Founded], None] | None = None,
    ) -> Founded:
        """Idempotent; one transaction, so that a kill in between leaves nothing.

        Root has no access key: it exists, can be named in policies, and nobody holds its secret.

        Args:
            account_id: the wished twelve digits; None takes a random one, or the one that is there.
            now_ms: when everything was created.
            keep_credentials: called with the administrator's key before the account is committed. What it raises
                undoes everything: there is never an account whose only key nobody has.

        Raises:
            errors.Invalid: not twelve digits.
            errors.Conflict: the installation belongs to another account.
        """
        if account_id is not None and not (account_id.isascii() and account_id.isdigit() and len(account_id) == 12):  # noqa: PLR2004 - digits of an account id
            message = "An account id has twelve digits."
            raise errors.Invalid(message)
        async with self._transactions.begin():
            await self._renew_built_in_policies(now_ms)
            present = await self._directory.accounts()
            if present:
                return await self._found_again(account_id, present, now_ms)
            founded = await self._make_account(account_id or ids.account_id(), now_ms)
            if self._organizations is not None:
                await self._organizations.found(founded.account_id, now_ms=now_ms)
            if keep_credentials is not None:
                keep_credentials(founded)
            return founded

    async def _found_again(self, wished: str | None, present: tuple[Account, ...], now_ms: int) -> Founded:
        """What was there. An installation of before there were organizations gets one."""
        if self._organizations is None:
            return _same_account(wished, present[0].account_id)
        oldest = min(present, key=lambda account: (account.created_at_ms, account.account_id))
        await self._organizations.found(oldest.account_id, now_ms=now_ms)
        tree = await self._organizations.tree()
        return _same_account(wished, tree.organization.management_account_id)

    async def _make_account(self, account_id: str, now_ms: int) -> Founded:
        await self._directory.add_account(Account(account_id=account_id, created_at_ms=now_ms))
        await self._users.create(account_id, ADMINISTRATOR, path="/", tags=(), boundary_arn=None, now_ms=now_ms)
        administrator = IdentityRef(account_id=account_id, kind=IdentityKind.USER, name=ADMINISTRATOR)
        await self._grants.attach(administrator, seed.ADMINISTRATOR_ACCESS)
        made = await self._access_keys.create(account_id, ADMINISTRATOR, now_ms=now_ms)
        return Founded(
            account_id=account_id,
            created=True,
            access_key_id=made.key.access_key_id,
            secret_access_key=made.secret,
        )

    async def _renew_built_in_policies(self, now_ms: int) -> None:
        for shipped in seed.built_in_policies(now_ms=now_ms):
            kept = await self._directory.managed_policy(shipped.arn)
            if kept is None:
                await self._directory.add_managed_policy(shipped)
                self._changed()
                continue
            renewed = seed.renewed(kept, shipped, now_ms=now_ms)
            if renewed is not None:
                await self._directory.replace_managed_policy(renewed)
                self._changed()


def _same_account(wished: str | None, management_account_id: str) -> Founded:
    if wished not in {None, management_account_id}:
        message = f"The installation belongs to account {management_account_id}, not to {wished}."
        raise errors.Conflict(message)
    return Founded(account_id=management_account_id, created=False)
