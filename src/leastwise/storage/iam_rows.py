"""What the adapters of `iam.Directory` share: rows by name, rows below a path, writes that are not lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Row, Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from leastwise.iam.directory import IdentityRef
from leastwise.iam.interface import ConcurrentModification
from leastwise.kernel import errors
from leastwise.storage.engine import Database


class SqlRows:
    """Tables whose rows belong to an account and have a name that is unique regardless of case."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _insert(self, table: Table, values: Mapping[str, Any]) -> None:
        """Raises: errors.AlreadyExists. The rest of the transaction stays good."""
        async with self._database.writing() as connection:
            try:
                async with connection.begin_nested():
                    await connection.execute(insert(table).values(values))
            except IntegrityError as error:
                raise taken(table) from error

    async def _named(self, table: Table, account_id: str, name: str) -> Row[Any] | None:
        async with self._database.reading() as connection:
            where = (table.c.account_id == account_id) & (table.c.name_key == name.lower())
            return (await connection.execute(select(table).where(where))).first()

    async def _below(self, table: Table, account_id: str, path_prefix: str) -> list[Row[Any]]:
        """Rows whose path starts with the prefix, sorted by name in code point order whatever the collation is."""
        async with self._database.reading() as connection:
            below = func.substr(table.c.path, 1, len(path_prefix)) == path_prefix
            rows = await connection.execute(select(table).where(table.c.account_id == account_id, below))
            return sorted(rows, key=lambda row: str(row.name))

    async def _delete_named(self, table: Table, account_id: str, name: str) -> None:
        async with self._database.writing() as connection:
            where = (table.c.account_id == account_id) & (table.c.name_key == name.lower())
            await connection.execute(delete(table).where(where))


async def write_revision(
    connection: AsyncConnection, table: Table, where: Any, values: Mapping[str, Any], *, revision: int
) -> None:
    """Replaces one row, if it is still the one that was read.

    INVARIANT: no lost update. Of two writers that read the same revision, one writes and the other one learns of it,
    whatever the database's isolation is.

    Raises:
        ConcurrentModification: the row was changed or removed since.
        errors.AlreadyExists: the new name is in use.
    """
    changed = update(table).where(where, table.c.revision == revision).values(**values, revision=revision + 1)
    try:
        async with connection.begin_nested():
            result = await connection.execute(changed)
    except IntegrityError as error:
        raise taken(table) from error
    if result.rowcount == 0:
        raise ConcurrentModification


def taken(table: Table) -> errors.AlreadyExists:
    return errors.AlreadyExists(f"The name is already in use in {table.name}.")


def owner_values(owner: IdentityRef) -> dict[str, str]:
    return {"account_id": owner.account_id, "owner_kind": owner.kind.value, "owner_key": owner.name.lower()}


def owned(table: Table, owner: IdentityRef) -> tuple[Any, ...]:
    return tuple(table.c[column] == value for column, value in owner_values(owner).items())


def tags_text(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), ensure_ascii=False, separators=(",", ":"))


def read_tags(text: str) -> dict[str, str]:
    return {str(key): str(value) for key, value in json.loads(text).items()}
