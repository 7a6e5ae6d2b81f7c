"""The migrations and the tables that the adapters are written against are one and the same."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from leastwise.iam.directory import IdentityKind, IdentityRef
from leastwise.storage import migrate
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory
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
    # A table that a migration made anew was renamed, and SQLite quotes the new name.
    found = {name: " ".join(sql.replace('"', "").split()) for name, sql in rows if "alembic" not in sql}
    connection.close()
    return found


async def test_identities_of_the_first_release_come_through_the_migrations(tmp_path):
    path = tmp_path / "old.db"
    url = f"sqlite+aiosqlite:///{path}"
    await migrate.upgrade(url, revision="0001")
    account, arn = "1" * 12, f"arn:aws:iam::{'1' * 12}:policy/p"
    connection = sqlite3.connect(path)
    connection.execute("INSERT INTO accounts VALUES (?, 1)", (account,))
    connection.execute("INSERT INTO users VALUES (?, 'ann', 'Ann', '/', 'AIDA1', 1, '{}', NULL)", (account,))
    connection.execute(
        "INSERT INTO roles VALUES (?, 'run', 'Run', '/', 'AROA1', 1, '{}', '', 3600, '{}', NULL)", (account,)
    )
    connection.execute(
        "INSERT INTO managed_policies VALUES (?, ?, 'p', 'p', '/', 'ANPA1', '', 1, 1, '{}', 1)", (arn, account)
    )
    connection.execute("INSERT INTO policy_versions VALUES (?, 1, '{}', 1, 1)", (arn,))
    connection.execute("INSERT INTO policy_attachments VALUES (?, 'user', 'ann', ?)", (account, arn))
    connection.execute("INSERT INTO inline_policies VALUES (?, 'role', 'run', 'q', '{}')", (account,))
    connection.commit()
    connection.close()

    await migrate.upgrade(url)

    database = Database(url)
    directory = SqlDirectory(database)
    user, role = await directory.user(account, "ann"), await directory.role(account, "run")
    await directory.replace_user("ann", replace(user, tags={"k": "v"}))
    await directory.replace_role(replace(role, description="still there"))
    ann = IdentityRef(account_id=account, kind=IdentityKind.USER, name="Ann")
    run = IdentityRef(account_id=account, kind=IdentityKind.ROLE, name="Run")
    assert {"k": "v"} == (await directory.user(account, "Ann")).tags
    assert (None, "still there") == (role.last_used_at_ms, (await directory.role(account, "Run")).description)
    assert [arn] == [policy.arn for policy in await directory.attached_policies(ann)]
    assert ["q"] == [policy.name for policy in await directory.inline_policies(run)]
    assert () == await directory.groups(account, "/")
    await database.close()
