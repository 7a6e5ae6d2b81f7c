"""One suite for every `audit.interface.Outbox` and `Heads`: SQL on SQLite is the only one."""

from __future__ import annotations

import pytest
from tests.unit.audit.happenings import open_database

from leastwise.audit.interface import Head
from leastwise.storage.audit_outbox import SqlHeads, SqlOutbox


@pytest.fixture
async def database(tmp_path):
    database = await open_database(tmp_path)
    yield database
    await database.close()


async def test_what_is_put_waits_in_order_until_it_is_removed(database):
    outbox = SqlOutbox(database)
    for name in "cab":
        await outbox.put(name, name.encode())
    rows = await outbox.waiting()
    assert [(event_id, payload) for _, event_id, payload in rows] == [("c", b"c"), ("a", b"a"), ("b", b"b")]
    await outbox.remove(rows[1][0])
    assert [rows[2]] == list(await outbox.waiting())


async def test_a_row_number_is_never_given_twice(database):
    outbox = SqlOutbox(database)
    await outbox.put("a", b"")
    ((first, _, _),) = await outbox.waiting()
    await outbox.remove(first)
    await outbox.put("b", b"")
    ((second, _, _),) = await outbox.waiting()
    assert second > first


async def test_a_put_joins_the_callers_transaction(database):
    outbox = SqlOutbox(database)

    async def fail_after_putting():
        async with database.begin():
            await outbox.put("a", b"")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_putting()
    assert await outbox.waiting() == ()


async def test_heads_come_back_oldest_first_and_the_same_one_twice_is_one(database):
    heads = SqlHeads(database)
    assert await heads.all() == ()
    late, early = Head(sequence=7, digest="b", at_ms=2), Head(sequence=3, digest="a", at_ms=1)
    for head in (late, early, late):
        await heads.add(head)
    assert (early, late) == await heads.all()
