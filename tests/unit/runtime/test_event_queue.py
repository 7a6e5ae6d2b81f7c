"""Accepted events: on disk before they are acknowledged, run when due, gone only when they are over."""

import asyncio

import pytest

from leastwise.kernel import errors
from leastwise.kernel.clock import SystemClock
from leastwise.runtime.event_queue import Attempt, EventQueue
from leastwise.runtime.interface import QueuedEvent
from leastwise.runtime.retries import Ending
from leastwise.storage.engine import Database
from leastwise.storage.queue import SqlEventStore
from leastwise.storage.schema import metadata


@pytest.fixture
async def database(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/db")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield database
    await database.close()


def event(name="f", *, due_at_ms=0):
    return QueuedEvent(
        account_id="111122223333",
        function_name=name,
        request_id=f"request-{name}",
        payload=b'{"a":1}',
        accepted_at_ms=SystemClock().now_ms(),
        due_at_ms=due_at_ms,
    )


def queue(store, run):
    return EventQueue(store=store, run=run, clock=SystemClock(), concurrency=4)


async def test_an_accepted_event_runs_and_leaves_the_store(database):
    store = SqlEventStore(database)
    ran = asyncio.Queue()

    async def run(one):
        await ran.put(one)
        return Attempt(ending=Ending.DONE)

    events = queue(store, run)
    await events.open()
    await asyncio.gather(*(events.accept(event(f"f{number}")) for number in range(20)))
    names = {(await ran.get()).function_name for _ in range(20)}
    await events.close()
    assert names == {f"f{number}" for number in range(20)}
    assert await store.waiting() == ()


async def test_an_event_that_failed_stays_with_its_count_and_a_later_due_time(database):
    store = SqlEventStore(database)
    ran = asyncio.Event()

    async def run(one):
        ran.set()
        return Attempt(ending=Ending.FUNCTION_ERROR)

    events = queue(store, run)
    await events.open()
    accepted = event()
    await events.accept(accepted)
    await ran.wait()
    await events.close()
    ((due_at_ms, row_id),) = await store.waiting()
    kept = await store.get(row_id)
    assert (kept.errors, kept.refusals, kept.payload) == (1, 0, b'{"a":1}')
    assert due_at_ms >= accepted.accepted_at_ms + 60_000


async def test_what_a_former_platform_accepted_runs_after_a_restart(database):
    store = SqlEventStore(database)
    await store.put([event()])
    ran = asyncio.Event()

    async def run(one):
        ran.set()
        return Attempt(ending=Ending.DONE)

    events = queue(store, run)
    await events.open()
    await ran.wait()
    await events.close()
    assert await store.waiting() == ()


async def test_an_attempt_that_breaks_loses_nothing(database):
    store = SqlEventStore(database)
    ran = asyncio.Event()

    async def run(one):
        ran.set()
        raise RuntimeError

    events = queue(store, run)
    await events.open()
    await events.accept(event())
    await ran.wait()
    await events.close()
    assert len(await store.waiting()) == 1


async def test_an_event_that_cannot_be_stored_is_not_acknowledged(database):
    class FullStore(SqlEventStore):
        async def put(self, events):
            message = "disk full"
            raise errors.Unavailable(message)

    async def run(one):
        return Attempt(ending=Ending.DONE)

    events = queue(FullStore(database), run)
    await events.open()
    with pytest.raises(errors.Unavailable):
        await events.accept(event())
    await events.close()


async def test_a_closing_queue_accepts_nothing(database):
    async def run(one):
        return Attempt(ending=Ending.DONE)

    events = queue(SqlEventStore(database), run)
    await events.open()
    await events.close()
    with pytest.raises(errors.Unavailable):
        await events.accept(event())
