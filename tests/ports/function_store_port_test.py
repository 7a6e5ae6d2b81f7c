"""One suite for every `functions.interface.FunctionStore`: the in-memory fake and SQL on SQLite."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text
from tests.ports.function_store_memory import MemoryFunctionStore

from leastwise.functions.interface import (
    CodePackage,
    Function,
    FunctionAlreadyExists,
    State,
    UpdateStatus,
)
from leastwise.kernel import errors
from leastwise.storage.engine import Database
from leastwise.storage.functions import SqlFunctionStore
from leastwise.storage.schema import metadata

ACCOUNT = "111122223333"
KEY = bytes(range(32))


def function(name: str = "thumbnails", account_id: str = ACCOUNT, **changes) -> Function:
    whole = Function(
        account_id=account_id,
        region="eu-west-1",
        name=name,
        arn=f"arn:aws:lambda:eu-west-1:{account_id}:function:{name}",
        runtime="python3.11",
        role_arn=f"arn:aws:iam::{account_id}:role/worker",
        handler="app.handler",
        description="Größe ändern",
        timeout_s=30,
        memory_mib=256,
        tmp_mib=1024,
        environment={"TOKEN": "hunter2", "EMPTY": ""},
        architecture="arm64",
        log_group=f"/aws/lambda/{name}",
        code=CodePackage(digest="a" * 64, zip_bytes=10, unpacked_bytes=20),
        state=State.INACTIVE,
        state_reason="idle",
        state_reason_code="Idle",
        last_update_status=UpdateStatus.FAILED,
        last_update_reason="no",
        last_modified_ms=1_800_000_000_123,
        revision_id="r1",
        tags={"Team": "media"},
        policy='{"Version":"2012-10-17","Statement":[]}',
        policy_revision_id="p1",
        reserved_concurrency=0,
    )
    return replace(whole, **changes)


@pytest.fixture
async def database(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/db")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.close()


@pytest.fixture(params=["memory", "sqlite"])
def store(request):
    if request.param == "memory":
        return MemoryFunctionStore()
    return SqlFunctionStore(request.getfixturevalue("database"), key=KEY)


async def test_every_member_comes_back_as_it_was_given(store):
    await store.add(function())
    assert function() == await store.get(ACCOUNT, "thumbnails")


async def test_a_function_with_nothing_but_what_it_needs_comes_back(store):
    bare = Function(
        account_id=ACCOUNT,
        region="r",
        name="bare",
        arn="a",
        runtime="x",
        role_arn="y",
        handler="z",
        code=CodePackage(digest="b" * 64, zip_bytes=1, unpacked_bytes=2),
        last_modified_ms=0,
        revision_id="r",
    )
    await store.add(bare)
    assert bare == await store.get(ACCOUNT, "bare")


async def test_what_nobody_stored_is_none(store):
    await store.add(function())
    assert await store.get(ACCOUNT, "other") is None
    assert await store.get("999999999999", "thumbnails") is None


async def test_a_name_is_taken_within_its_account_only(store):
    await store.add(function())
    with pytest.raises(FunctionAlreadyExists):
        await store.add(function())
    await store.add(function(account_id="999999999999"))


async def test_names_differ_by_case(store):
    await store.add(function("a"))
    await store.add(function("A"))
    assert [found.name for found in await store.list(ACCOUNT)] == ["A", "a"]


async def test_a_list_is_sorted_and_of_one_account(store):
    for name in ("b", "a-2", "a_1"):
        await store.add(function(name))
    await store.add(function("z", account_id="999999999999"))
    assert [found.name for found in await store.list(ACCOUNT)] == ["a-2", "a_1", "b"]


async def test_a_replacement_needs_the_revision_that_is_stored(store):
    await store.add(function())
    newer = function(revision_id="r2", memory_mib=512, environment={})
    assert await store.replace(newer, expected_revision_id="r1") is True
    assert newer == await store.get(ACCOUNT, "thumbnails")
    assert await store.replace(function(revision_id="r3"), expected_revision_id="r1") is False
    assert newer == await store.get(ACCOUNT, "thumbnails")


async def test_what_is_gone_cannot_be_replaced_or_removed(store):
    assert await store.replace(function(), expected_revision_id="r1") is False
    await store.add(function())
    assert await store.remove(ACCOUNT, "thumbnails") is True
    assert await store.remove(ACCOUNT, "thumbnails") is False
    assert await store.get(ACCOUNT, "thumbnails") is None


async def test_digests_are_those_that_some_function_names(store):
    await store.add(function("a"))
    await store.add(function("b"))
    await store.add(function("c", code=CodePackage(digest="c" * 64, zip_bytes=1, unpacked_bytes=1)))
    assert frozenset({"a" * 64, "c" * 64}) == await store.digests()
    await store.remove(ACCOUNT, "c")
    assert frozenset({"a" * 64}) == await store.digests()


# --- what only SQL promises ----------------------------------------------------------------------------------------


async def test_no_environment_variable_stands_readable_in_the_database(database, tmp_path):
    await SqlFunctionStore(database, key=KEY).add(function())
    await database.close()
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert b"hunter2" not in content
        assert b"TOKEN" not in content


async def test_the_same_variables_are_never_encrypted_the_same_way_twice(database):
    store = SqlFunctionStore(database, key=KEY)
    await store.add(function())
    first = await sealed(database)
    await store.replace(function(), expected_revision_id="r1")
    assert first != await sealed(database)


async def test_variables_moved_to_another_function_cannot_be_read(database):
    store = SqlFunctionStore(database, key=KEY)
    await store.add(function("victim"))
    await store.add(function("attacker", environment={"A1": "b"}))
    async with database.engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE functions SET sealed_environment = "
                "(SELECT sealed_environment FROM functions WHERE name = 'victim') WHERE name = 'attacker'"
            )
        )
    with pytest.raises(errors.Bug, match="cannot be decrypted"):
        await store.get(ACCOUNT, "attacker")


async def test_another_key_opens_nothing(database):
    await SqlFunctionStore(database, key=KEY).add(function())
    with pytest.raises(errors.Bug):
        await SqlFunctionStore(database, key=bytes(32)).get(ACCOUNT, "thumbnails")


async def test_a_short_key_is_refused(database):
    with pytest.raises(errors.Bug):
        SqlFunctionStore(database, key=b"short")


async def test_a_change_joins_the_callers_transaction(database):
    store = SqlFunctionStore(database, key=KEY)

    async def begin_and_fail() -> None:
        async with database.begin():
            await store.add(function())
            assert await store.get(ACCOUNT, "thumbnails") == function()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await begin_and_fail()
    assert await store.get(ACCOUNT, "thumbnails") is None


async def sealed(database: Database) -> bytes:
    async with database.reading() as connection:
        return (await connection.execute(text("SELECT sealed_environment FROM functions"))).scalar_one()
