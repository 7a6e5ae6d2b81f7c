"""`iam.Directory` on SQL. Rows stay in `storage/iam_*.py`: nouns go in and come out."""

from __future__ import annotations

from sqlalchemy import select

from leastwise.iam.directory import Account
from leastwise.storage.iam_groups import SqlGroups
from leastwise.storage.iam_policies import SqlPolicies
from leastwise.storage.iam_revocations import SqlRevocations
from leastwise.storage.iam_roles import SqlRoles
from leastwise.storage.iam_users import SqlUsers
from leastwise.storage.passwords import SqlPasswords
from leastwise.storage.schema import accounts


class SqlDirectory(SqlUsers, SqlRoles, SqlGroups, SqlPolicies, SqlRevocations, SqlPasswords):
    """Keeps `iam.directory.Directory`, one base per subject. Every write joins the caller's transaction."""

    async def add_account(self, account: Account) -> None:
        await self._insert(accounts, {"account_id": account.account_id, "created_at_ms": account.created_at_ms})

    async def accounts(self) -> tuple[Account, ...]:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(accounts).order_by(accounts.c.account_id))
            return tuple(Account(account_id=row.account_id, created_at_ms=row.created_at_ms) for row in rows)
