"""Roles on SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, or_, select, update

from leastwise.iam.directory import Role
from leastwise.storage.iam_rows import SqlRows, read_tags, tags_text, write_revision
from leastwise.storage.schema import roles


class SqlRoles(SqlRows):
    """The part of `iam.Directory` that is about roles."""

    async def add_role(self, role: Role) -> None:
        await self._insert(roles, _role_values(role))

    async def role(self, account_id: str, name: str) -> Role | None:
        row = await self._named(roles, account_id, name)
        return None if row is None else _role(row)

    async def roles(self, account_id: str, path_prefix: str) -> tuple[Role, ...]:
        return tuple(_role(row) for row in await self._below(roles, account_id, path_prefix))

    async def roles_mentioning(self, texts: Sequence[str]) -> tuple[Role, ...]:
        async with self._database.reading() as connection:
            # Regardless of case with some databases: a few more, none less.
            mentioned = [roles.c.trust_policy.contains(text, autoescape=True) for text in (*texts, "\\")]
            return tuple(_role(row) for row in await connection.execute(select(roles).where(or_(*mentioned))))

    async def replace_role(self, role: Role) -> None:
        """All but its last use, which has a verb of its own."""
        async with self._database.writing() as connection:
            where = (roles.c.account_id == role.account_id) & (roles.c.name_key == role.name.lower())
            await write_revision(connection, roles, where, _role_values(role), revision=role.revision)

    async def note_role_use(self, role_id: str, *, at_ms: int, region: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                update(roles).where(roles.c.role_id == role_id).values(last_used_at_ms=at_ms, last_used_region=region)
            )

    async def remove_role(self, account_id: str, name: str) -> None:
        await self._delete_named(roles, account_id, name)


def _role_values(role: Role) -> dict[str, Any]:
    return {
        "account_id": role.account_id,
        "name_key": role.name.lower(),
        "name": role.name,
        "path": role.path,
        "role_id": role.role_id,
        "created_at_ms": role.created_at_ms,
        "trust_policy": role.trust_policy,
        "description": role.description,
        "max_session_s": role.max_session_s,
        "tags": tags_text(role.tags),
        "boundary_arn": role.boundary_arn,
    }


def _role(row: Row[Any]) -> Role:
    return Role(
        account_id=row.account_id,
        name=row.name,
        path=row.path,
        role_id=row.role_id,
        arn=f"arn:aws:iam::{row.account_id}:role{row.path}{row.name}",
        created_at_ms=row.created_at_ms,
        trust_policy=row.trust_policy,
        description=row.description,
        max_session_s=row.max_session_s,
        tags=read_tags(row.tags),
        boundary_arn=row.boundary_arn,
        last_used_at_ms=row.last_used_at_ms,
        last_used_region=row.last_used_region,
        revision=row.revision,
    )
