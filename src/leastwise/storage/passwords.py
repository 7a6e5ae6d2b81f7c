"""Login profiles, password policies and account aliases on SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from leastwise.iam.password_store import LoginProfile, PasswordPolicy
from leastwise.storage.iam_rows import SqlRows, write_revision
from leastwise.storage.schema import account_aliases, login_profiles, password_history, password_policies, users


class SqlPasswords(SqlRows):
    """Keeps `iam.password_store.PasswordStore`. Every write joins the caller's transaction."""

    async def add_login_profile(self, profile: LoginProfile) -> None:
        await self._insert(login_profiles, _profile_values(profile))
        async with self._database.writing() as connection:
            await _write_history(connection, profile)

    async def login_profile(self, user_id: str) -> LoginProfile | None:
        found = await self._profiles(login_profiles.c.user_id == user_id)
        return found[0] if found else None

    async def login_profiles(self, account_id: str) -> tuple[LoginProfile, ...]:
        return await self._profiles(login_profiles.c.account_id == account_id)

    async def replace_login_profile(self, profile: LoginProfile) -> None:
        async with self._database.writing() as connection:
            where = login_profiles.c.user_id == profile.user_id
            await write_revision(connection, login_profiles, where, _profile_values(profile), revision=profile.revision)
            await connection.execute(delete(password_history).where(password_history.c.user_id == profile.user_id))
            await _write_history(connection, profile)

    async def remove_login_profile(self, user_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(password_history).where(password_history.c.user_id == user_id))
            await connection.execute(delete(login_profiles).where(login_profiles.c.user_id == user_id))

    async def note_password_use(self, user_id: str, *, at_ms: int) -> None:
        async with self._database.writing() as connection:
            where = users.c.user_id == user_id
            await connection.execute(update(users).where(where).values(password_last_used_at_ms=at_ms))

    async def password_policy(self, account_id: str) -> PasswordPolicy | None:
        async with self._database.reading() as connection:
            where = password_policies.c.account_id == account_id
            row = (await connection.execute(select(password_policies).where(where))).first()
        return None if row is None else _policy(row)

    async def put_password_policy(self, account_id: str, policy: PasswordPolicy) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(password_policies).where(password_policies.c.account_id == account_id))
            await connection.execute(insert(password_policies).values(_policy_values(account_id, policy)))

    async def remove_password_policy(self, account_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(password_policies).where(password_policies.c.account_id == account_id))

    async def account_alias(self, account_id: str) -> str | None:
        async with self._database.reading() as connection:
            where = account_aliases.c.account_id == account_id
            alias: str | None = await connection.scalar(select(account_aliases.c.alias).where(where))
        return alias

    async def account_of_alias(self, alias: str) -> str | None:
        async with self._database.reading() as connection:
            where = account_aliases.c.alias == alias
            account_id: str | None = await connection.scalar(select(account_aliases.c.account_id).where(where))
        return account_id

    async def put_account_alias(self, account_id: str, alias: str) -> None:
        async with self._database.writing() as connection, connection.begin_nested():
            await connection.execute(delete(account_aliases).where(account_aliases.c.account_id == account_id))
            await self._insert(account_aliases, {"account_id": account_id, "alias": alias})

    async def remove_account_alias(self, account_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(account_aliases).where(account_aliases.c.account_id == account_id))

    async def _profiles(self, where: Any) -> tuple[LoginProfile, ...]:
        chosen = select(login_profiles.c.user_id).where(where)
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(login_profiles).where(where))).all()
            past = await connection.execute(
                select(password_history)
                .where(password_history.c.user_id.in_(chosen))
                .order_by(password_history.c.user_id, password_history.c.number)
            )
            earlier: dict[str, list[str]] = {}
            for row in past:
                earlier.setdefault(row.user_id, []).append(row.password_hash)
        found = [_profile(row, tuple(earlier.get(row.user_id, ()))) for row in rows]
        return tuple(sorted(found, key=lambda profile: profile.user_id))


async def _write_history(connection: AsyncConnection, profile: LoginProfile) -> None:
    rows = [
        {"user_id": profile.user_id, "number": number, "password_hash": password_hash}
        for number, password_hash in enumerate(profile.earlier_hashes)
    ]
    if rows:
        await connection.execute(insert(password_history), rows)


def _profile_values(profile: LoginProfile) -> dict[str, Any]:
    return {
        "user_id": profile.user_id,
        "account_id": profile.account_id,
        "password_hash": profile.password_hash,
        "created_at_ms": profile.created_at_ms,
        "changed_at_ms": profile.changed_at_ms,
        "reset_required": profile.reset_required,
    }


def _profile(row: Row[Any], earlier: tuple[str, ...]) -> LoginProfile:
    return LoginProfile(
        user_id=row.user_id,
        account_id=row.account_id,
        password_hash=row.password_hash,
        created_at_ms=row.created_at_ms,
        changed_at_ms=row.changed_at_ms,
        reset_required=row.reset_required,
        earlier_hashes=earlier,
        revision=row.revision,
    )


def _policy_values(account_id: str, policy: PasswordPolicy) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "minimum_length": policy.minimum_length,
        "require_symbols": policy.require_symbols,
        "require_numbers": policy.require_numbers,
        "require_uppercase": policy.require_uppercase,
        "require_lowercase": policy.require_lowercase,
        "users_may_change": policy.users_may_change,
        "max_age_days": policy.max_age_days,
        "reuse_prevention": policy.reuse_prevention,
        "hard_expiry": policy.hard_expiry,
    }


def _policy(row: Row[Any]) -> PasswordPolicy:
    return PasswordPolicy(
        minimum_length=row.minimum_length,
        require_symbols=row.require_symbols,
        require_numbers=row.require_numbers,
        require_uppercase=row.require_uppercase,
        require_lowercase=row.require_lowercase,
        users_may_change=row.users_may_change,
        max_age_days=row.max_age_days,
        reuse_prevention=row.reuse_prevention,
        hard_expiry=row.hard_expiry,
    )
