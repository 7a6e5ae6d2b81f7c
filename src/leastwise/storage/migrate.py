"""Brings a database to the newest revision of `migrations/versions/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import create_async_engine


async def upgrade(database_url: str, *, revision: str = "head") -> None:
    """Migrates, all revisions in one transaction: a database is either at the new revision or untouched.

    Run it before anything else opens the database.

    Args:
        database_url: an SQLAlchemy URL with an async driver, as `storage.engine.Database` takes it.
        revision: where to go, normally the newest.
    """
    engine = create_async_engine(database_url)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _leave_transactions_to_us)
        event.listen(engine.sync_engine, "begin", _begin_immediate)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, revision)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _leave_transactions_to_us(connection: Any, _record: object) -> None:
    """Python's driver would run every CREATE TABLE outside a transaction: a kill in between left half a schema."""
    connection.isolation_level = None


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
