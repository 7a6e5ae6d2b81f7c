"""What the database's own errors say."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from leastwise.storage.engine import Database


async def test_an_error_of_the_database_repeats_no_parameter(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'x.db'}")
    async with database.writing() as connection:
        await connection.execute(text("CREATE TABLE t (v TEXT UNIQUE)"))
        await connection.execute(text("INSERT INTO t VALUES (:v)"), {"v": "a secret"})
    with pytest.raises(SQLAlchemyError) as caught:
        async with database.writing() as connection:
            await connection.execute(text("INSERT INTO t VALUES (:v)"), {"v": "a secret"})
    assert "a secret" not in str(caught.value)
    await database.close()
