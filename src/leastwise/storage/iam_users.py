"""Users and their access keys on SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, func, select, update

from leastwise.iam.directory import AccessKey, IdentityKind, User
from leastwise.storage.iam_policies import owner_renamed
from leastwise.storage.iam_rows import SqlRows, read_tags, tags_text, write_revision
from leastwise.storage.schema import access_keys, users


class SqlUsers(SqlRows):
    """The part of `iam.Directory` that is about users and access keys."""

    async def add_user(self, user: User) -> None:
        await self._insert(users, _user_values(user))

    async def user(self, account_id: str, name: str) -> User | None:
        row = await self._named(users, account_id, name)
        return None if row is None else user_of(row)

    async def users(self, account_id: str, path_prefix: str) -> tuple[User, ...]:
        return tuple(user_of(row) for row in await self._below(users, account_id, path_prefix))

    async def replace_user(self, name: str, user: User) -> None:
        """Writes the new state of the user called `name`; a new name takes keys, policies and groups along."""
        old_key, new_key = name.lower(), user.name.lower()
        async with self._database.writing() as connection:
            where = (users.c.account_id == user.account_id) & (users.c.name_key == old_key)
            # Memberships follow by their foreign key.
            await write_revision(connection, users, where, _user_values(user), revision=user.revision)
            await connection.execute(
                update(access_keys)
                .where(
                    access_keys.c.account_id == user.account_id,
                    func.lower(access_keys.c.user_name) == old_key,
                )
                .values(user_name=user.name)
            )
            await owner_renamed(connection, user.account_id, IdentityKind.USER, old_key, new_key)

    async def remove_user(self, account_id: str, name: str) -> None:
        await self._delete_named(users, account_id, name)

    async def add_access_key(self, key: AccessKey) -> None:
        await self._insert(access_keys, _access_key_values(key))

    async def access_key(self, access_key_id: str) -> AccessKey | None:
        async with self._database.reading() as connection:
            result = await connection.execute(select(access_keys).where(access_keys.c.access_key_id == access_key_id))
            row = result.first()
        return None if row is None else _access_key(row)

    async def access_keys(self, account_id: str, user_name: str | None) -> tuple[AccessKey, ...]:
        """Oldest first. `user_name` as the user is called (its own case); None means the root user."""
        owner = access_keys.c.user_name.is_(None) if user_name is None else access_keys.c.user_name == user_name
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(access_keys)
                .where(access_keys.c.account_id == account_id, owner)
                .order_by(access_keys.c.created_at_ms, access_keys.c.access_key_id)
            )
            return tuple(_access_key(row) for row in rows)

    async def set_access_key_active(self, access_key_id: str, *, active: bool) -> None:
        async with self._database.writing() as connection:
            where = access_keys.c.access_key_id == access_key_id
            await connection.execute(update(access_keys).where(where).values(active=active))

    async def note_access_key_use(self, access_key_id: str, *, at_ms: int, service: str, region: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                update(access_keys)
                .where(access_keys.c.access_key_id == access_key_id)
                .values(last_used_at_ms=at_ms, last_used_service=service, last_used_region=region)
            )

    async def remove_access_key(self, access_key_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(access_keys).where(access_keys.c.access_key_id == access_key_id))


def _user_values(user: User) -> dict[str, Any]:
    return {
        "account_id": user.account_id,
        "name_key": user.name.lower(),
        "name": user.name,
        "path": user.path,
        "user_id": user.user_id,
        "created_at_ms": user.created_at_ms,
        "tags": tags_text(user.tags),
        "boundary_arn": user.boundary_arn,
    }


def user_of(row: Row[Any]) -> User:
    return User(
        account_id=row.account_id,
        name=row.name,
        path=row.path,
        user_id=row.user_id,
        arn=f"arn:aws:iam::{row.account_id}:user{row.path}{row.name}",
        created_at_ms=row.created_at_ms,
        tags=read_tags(row.tags),
        boundary_arn=row.boundary_arn,
        password_last_used_at_ms=row.password_last_used_at_ms,
        revision=row.revision,
    )


def _access_key_values(key: AccessKey) -> dict[str, Any]:
    return {
        "access_key_id": key.access_key_id,
        "account_id": key.account_id,
        "user_name": key.user_name,
        "active": key.active,
        "created_at_ms": key.created_at_ms,
        "sealed_secret": key.sealed_secret,
        "last_used_at_ms": key.last_used_at_ms,
        "last_used_service": key.last_used_service,
        "last_used_region": key.last_used_region,
    }


def _access_key(row: Row[Any]) -> AccessKey:
    return AccessKey(
        access_key_id=row.access_key_id,
        account_id=row.account_id,
        user_name=row.user_name,
        active=row.active,
        created_at_ms=row.created_at_ms,
        sealed_secret=row.sealed_secret,
        last_used_at_ms=row.last_used_at_ms,
        last_used_service=row.last_used_service,
        last_used_region=row.last_used_region,
    )
