"""The migrations and the tables that the adapters are written against are one and the same."""

from __future__ import annotations

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from leastwise.storage import migrate
from leastwise.storage.engine import Database
from leastwise.storage.schema import metadata


async def test_migrating_an_empty_database_gives_the_schema(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    await migrate.upgrade(url)
    database = Database(url)
    async with database.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(
                MigrationContext.configure(sync, opts={"compare_type": True, "compare_server_default": True}), metadata
            )
        )
    await database.close()
    assert differences == []


async def test_migrating_an_empty_database_gives_the_same_ddl_as_creating_the_tables(tmp_path):
    await migrate.upgrade(f"sqlite+aiosqlite:///{tmp_path / 'new.db'}")
    created = create_engine(f"sqlite:///{tmp_path / 'created.db'}")
    metadata.create_all(created)
    created.dispose()
    assert _ddl(tmp_path / "created.db") == _ddl(tmp_path / "new.db")


async def test_migrating_twice_changes_nothing(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'new.db'}"
    await migrate.upgrade(url)
    before = _ddl(tmp_path / "new.db")
    await migrate.upgrade(url)
    assert before == _ddl(tmp_path / "new.db")


async def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path):
    path = tmp_path / "half.db"
    url = f"sqlite+aiosqlite:///{path}"
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.execute(text("CREATE TABLE audit_heads (x INTEGER)"))
    await database.close()
    before = _ddl(path)
    with pytest.raises(Exception, match="already exists"):
        await migrate.upgrade(url)
    assert before == _ddl(path)


def _ddl(path) -> dict[str, str]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql NOT NULL")
    found = {name: " ".join(sql.split()) for name, sql in rows if "alembic" not in sql}
    connection.close()
    return found
