"""The meter's sums equal the trail, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace
from tests.ports.usage_stores import MemoryUsageStore
from tests.unit.audit.happenings import CREATE, INVOKE, make_ledger, open_database

from leastwise.kernel import errors
from leastwise.metering.interface import UsageGrouping
from leastwise.metering.service import Meter
from leastwise.metering.usage import usage_of_notes
from leastwise.storage.usage import SqlUsageStore

ARN = "arn:aws:lambda:us-east-1:123456789012:function:{}"
DAYS = ("2026-11-23", "2026-11-24")


@dataclass(frozen=True)
class Record:
    sequence: int
    payload: bytes


@dataclass
class FakeTrail:
    """Records in memory. `lost` says how many of the last ones a power cut would take before `durable`."""

    records: list[Record] = field(default_factory=list)
    synced: int = -1

    def append(self, function, billed, day=DAYS[0], memory=128):
        sequence = len(self.records)
        notes = {"functionArn": ARN.format(function), "billedMs": billed, "memoryMib": memory}
        payload = {"eventTime": f"{day}T00:00:00Z", "additionalEventData": notes}
        self.records.append(Record(sequence, json.dumps(payload).encode()))
        return usage_of_notes(notes, day=day, sequence=sequence)

    def entries(self, *, first_sequence=0):
        return iter(self.records[first_sequence:])

    async def durable(self):
        self.synced = len(self.records) - 1
        return self.synced

    def power_cut(self):
        del self.records[self.synced + 1 :]

    def requests(self):
        return len(self.records)


@pytest.fixture
def trail():
    return FakeTrail()


@pytest.fixture
def store():
    return MemoryUsageStore()


@pytest.fixture
def meter(store, trail):
    return Meter(store=store, proofs=trail)


async def requests_in(store):
    totals = await store.totals("123456789012", first_day="0", last_day="9", function_arn=None)
    return sum(total.requests for total in totals)


async def test_counting_reaches_the_store_at_the_flush(meter, store, trail):
    meter.count(trail.append("f", 10))
    meter.count(trail.append("f", 20))
    assert 0 == await requests_in(store)
    await meter.flush()
    (total,) = await store.totals("123456789012", first_day=DAYS[0], last_day=DAYS[0], function_arn=None)
    assert (2, 30, 3840, 1) == (total.requests, total.billed_ms, total.mib_ms, store.position)


async def test_a_flush_without_news_writes_nothing(meter, store, trail):
    meter.count(trail.append("f", 10))
    await meter.flush()
    store.fail_before = True
    await meter.flush()


async def test_what_is_in_the_store_is_on_disk_in_the_trail(meter, store, trail):
    meter.count(trail.append("f", 10))
    await meter.flush()
    assert trail.synced >= store.position == 0


@pytest.mark.parametrize("failure", ["fail_before", "fail_after"])
async def test_a_flush_that_failed_is_made_good_exactly_once(meter, store, trail, failure):
    meter.count(trail.append("f", 10))
    setattr(store, failure, True)
    with pytest.raises(errors.Unavailable):
        await meter.flush()
    meter.count(trail.append("f", 10))
    setattr(store, failure, False)
    await meter.flush()
    assert 2 == await requests_in(store)


async def test_flushes_at_the_same_time_count_once(meter, store, trail):
    for _ in range(10):
        meter.count(trail.append("f", 10))
    await asyncio.gather(*(meter.flush() for _ in range(5)))
    assert 10 == await requests_in(store)


async def test_usage_that_comes_out_of_order_is_refused(meter, trail):
    first, second = trail.append("f", 1), trail.append("f", 1)
    meter.count(second)
    for late in (first, second):
        with pytest.raises(errors.Bug):
            meter.count(late)


async def test_a_start_counts_what_the_trail_has_and_the_store_has_not(store, trail):
    before = Meter(store=store, proofs=trail)
    before.count(trail.append("f", 10))
    await before.flush()
    trail.append("f", 20)
    trail.append("g", 30)
    after = Meter(store=store, proofs=trail)
    assert 2 == await after.replay()
    assert (3, 2) == (await requests_in(store), store.position)


async def test_a_start_does_not_read_the_same_records_again(store, trail):
    trail.records.append(Record(0, b'{"eventTime":"2026-11-23T00:00:00Z"}'))
    await Meter(store=store, proofs=trail).replay()
    assert 0 == store.position


async def test_a_start_refuses_a_trail_that_is_shorter_than_what_was_counted(store, trail):
    store.position = 5
    with pytest.raises(errors.Unavailable):
        await Meter(store=store, proofs=trail).replay()


@pytest.mark.parametrize("seed", range(20))
async def test_sums_equal_the_trail_after_any_series_of_crashes_power_cuts_and_failures(seed, store, trail):
    chance = random.Random(seed)
    meter = Meter(store=store, proofs=trail)
    for _ in range(120):
        what = chance.randrange(8)
        if what == 0:
            if chance.random() < 0.5:
                trail.power_cut()
            meter = Meter(store=store, proofs=trail)
            await meter.replay()
        elif what == 1:
            store.fail_before, store.fail_after = chance.random() < 0.3, chance.random() < 0.3
            with suppress(errors.Unavailable):
                await meter.flush()
            store.fail_before = store.fail_after = False
        else:
            meter.count(trail.append(chance.choice("fg"), chance.randrange(1000), chance.choice(DAYS)))
    await meter.flush()
    assert trail.requests() == await requests_in(store)


async def test_a_report_is_up_to_the_moment_and_exact(meter, trail):
    for function, day in (("f", 0), ("f", 1), ("g", 0)):
        meter.count(trail.append(function, 1000, DAYS[day], memory=1024))
    account = "123456789012"
    report = await meter.report(account, first_day=DAYS[0], last_day=DAYS[1])
    assert [(ARN.format("f"), DAYS[0]), (ARN.format("f"), DAYS[1]), (ARN.format("g"), DAYS[0])] == [
        (total.function_arn, total.day) for total in report.totals
    ]
    assert (3, "3") == (report.whole.requests, report.gb_seconds)
    by_function = await meter.report(account, first_day=DAYS[0], last_day=DAYS[1], group_by=UsageGrouping.FUNCTION)
    assert [(ARN.format("f"), "", 2), (ARN.format("g"), DAYS[0], 1)] == [
        (total.function_arn, total.day, total.requests) for total in by_function.totals
    ]
    by_day = await meter.report(account, first_day=DAYS[0], last_day=DAYS[1], group_by=UsageGrouping.DAY)
    assert [(DAYS[0], 2), (DAYS[1], 1)] == [(total.day, total.requests) for total in by_day.totals]
    whole = await meter.report(account, first_day=DAYS[0], last_day=DAYS[1], group_by=UsageGrouping.ACCOUNT)
    assert [(account, 3)] == [(total.account_id, total.requests) for total in whole.totals]
    nothing = await meter.report("999999999999", first_day=DAYS[0], last_day=DAYS[1])
    assert ((), "0") == (nothing.totals, nothing.gb_seconds)


async def test_the_sums_on_sql_equal_the_ledger_on_disk_after_a_crash(tmp_path):
    database = await open_database(tmp_path)
    ledger = make_ledger(tmp_path, database, commit_interval_ms=60_000)
    await ledger.recover()
    meter = Meter(store=SqlUsageStore(database), proofs=ledger)
    assert 0 == await meter.replay()
    for number in range(50):
        happening = INVOKE if number % 3 else CREATE
        sequence = ledger.append(replace(happening, event_id=f"{number:036d}"))
        usage = usage_of_notes(happening.additional, day="2026-11-23", sequence=sequence)
        if usage is not None:
            meter.count(usage)
        if number == 30:
            await meter.flush()
    # The meter dies here with 19 records uncounted; the trail lives.
    again = Meter(store=SqlUsageStore(database), proofs=ledger)
    assert 13 == await again.replay()
    report = await again.report("123456789012", first_day="2026-11-23", last_day="2026-11-23")
    assert (33, 99, 33 * 384) == (report.whole.requests, report.whole.billed_ms, report.whole.mib_ms)
    await ledger.close()
    await database.close()
