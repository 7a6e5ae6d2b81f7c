"""One suite for every `metering.interface.UsageStore`."""

from __future__ import annotations

import pytest
from tests.ports.usage_stores import MemoryUsageStore
from tests.unit.audit.happenings import open_database

from leastwise.metering.interface import UsageTotal
from leastwise.storage.usage import SqlUsageStore


def total(function="f", day="2026-11-23", account="1", requests=1, billed_ms=10, mib_ms=1280):
    return UsageTotal(
        account_id=account, function_arn=function, day=day, requests=requests, billed_ms=billed_ms, mib_ms=mib_ms
    )


@pytest.fixture(params=["memory", "sql"])
async def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryUsageStore()
        return
    database = await open_database(tmp_path)
    yield SqlUsageStore(database)
    await database.close()


async def all_of(store, account="1", first="0000-00-00", last="9999-99-99", function=None):
    return await store.totals(account, first_day=first, last_day=last, function_arn=function)


async def test_nothing_is_counted_in_a_new_store(store):
    assert (await store.counted_up_to(), await all_of(store)) == (-1, ())


async def test_sums_grow(store):
    await store.add((total(), total(function="g")), counted_up_to=0)
    await store.add((total(),), counted_up_to=5)
    assert (total(requests=2, billed_ms=20, mib_ms=2560), total(function="g")) == await all_of(store)
    assert await store.counted_up_to() == 5


@pytest.mark.parametrize("position", [5, 4, 0])
async def test_what_was_counted_is_not_counted_again(store, position):
    await store.add((total(),), counted_up_to=5)
    await store.add((total(),), counted_up_to=position)
    assert ((total(),), 5) == (await all_of(store), await store.counted_up_to())


async def test_a_position_can_grow_without_sums(store):
    await store.add((), counted_up_to=9)
    assert await store.counted_up_to() == 9


async def test_sums_are_told_by_account_day_and_function_in_order(store):
    rows = [total(function=function, day=day) for function in "ab" for day in ("2026-11-22", "2026-11-23")]
    await store.add((*reversed(rows), total(account="2")), counted_up_to=0)
    assert tuple(rows) == await all_of(store)
    assert (rows[0], rows[2]) == await all_of(store, last="2026-11-22")
    assert (rows[3],) == await all_of(store, first="2026-11-23", function="b")
    assert (total(account="2"),) == await all_of(store, account="2")


async def test_numbers_beyond_32_bits_add_up(store):
    await store.add((total(mib_ms=2**61),), counted_up_to=0)
    await store.add((total(mib_ms=2**61),), counted_up_to=1)
    assert (await all_of(store))[0].mib_ms == 2**62
