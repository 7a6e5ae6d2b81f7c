"""Groups and who is in them, on SQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, delete, insert, select

from leastwise.iam.directory import Group, IdentityKind, User
from leastwise.storage.iam_policies import owner_renamed
from leastwise.storage.iam_rows import SqlRows, write_revision
from leastwise.storage.iam_users import user_of
from leastwise.storage.schema import group_members, groups, users


class SqlGroups(SqlRows):
    """The part of `iam.Directory` that is about groups and membership."""

    async def add_group(self, group: Group) -> None:
        await self._insert(groups, _group_values(group))

    async def group(self, account_id: str, name: str) -> Group | None:
        row = await self._named(groups, account_id, name)
        return None if row is None else _group(row)

    async def groups(self, account_id: str, path_prefix: str) -> tuple[Group, ...]:
        return tuple(_group(row) for row in await self._below(groups, account_id, path_prefix))

    async def replace_group(self, name: str, group: Group) -> None:
        """Writes the new state of the group called `name`; a new name takes members and policies along."""
        old_key, new_key = name.lower(), group.name.lower()
        async with self._database.writing() as connection:
            where = (groups.c.account_id == group.account_id) & (groups.c.name_key == old_key)
            # Members follow by their foreign key.
            await write_revision(connection, groups, where, _group_values(group), revision=group.revision)
            await owner_renamed(connection, group.account_id, IdentityKind.GROUP, old_key, new_key)

    async def remove_group(self, account_id: str, name: str) -> None:
        await self._delete_named(groups, account_id, name)

    async def add_group_member(self, account_id: str, group_name: str, user_name: str) -> None:
        """Idempotent. Group and user must exist."""
        values = {"account_id": account_id, "group_key": group_name.lower(), "user_key": user_name.lower()}
        async with self._database.writing() as connection:
            where = [group_members.c[column] == value for column, value in values.items()]
            present = await connection.execute(select(group_members.c.user_key).where(*where))
            if present.first() is None:
                await connection.execute(insert(group_members).values(values))

    async def remove_group_member(self, account_id: str, group_name: str, user_name: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                delete(group_members).where(
                    group_members.c.account_id == account_id,
                    group_members.c.group_key == group_name.lower(),
                    group_members.c.user_key == user_name.lower(),
                )
            )

    async def group_members(self, account_id: str, group_name: str) -> tuple[User, ...]:
        member = select(group_members.c.user_key).where(
            group_members.c.account_id == account_id, group_members.c.group_key == group_name.lower()
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(users).where(users.c.account_id == account_id, users.c.name_key.in_(member))
            )
            return tuple(sorted((user_of(row) for row in rows), key=lambda user: user.name))

    async def groups_of_user(self, account_id: str, user_name: str) -> tuple[Group, ...]:
        joined = select(group_members.c.group_key).where(
            group_members.c.account_id == account_id, group_members.c.user_key == user_name.lower()
        )
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(groups).where(groups.c.account_id == account_id, groups.c.name_key.in_(joined))
            )
            return tuple(sorted((_group(row) for row in rows), key=lambda group: group.name))


def _group_values(group: Group) -> dict[str, Any]:
    return {
        "account_id": group.account_id,
        "name_key": group.name.lower(),
        "name": group.name,
        "path": group.path,
        "group_id": group.group_id,
        "created_at_ms": group.created_at_ms,
    }


def _group(row: Row[Any]) -> Group:
    return Group(
        account_id=row.account_id,
        name=row.name,
        path=row.path,
        group_id=row.group_id,
        arn=f"arn:aws:iam::{row.account_id}:group{row.path}{row.name}",
        created_at_ms=row.created_at_ms,
        revision=row.revision,
    )
