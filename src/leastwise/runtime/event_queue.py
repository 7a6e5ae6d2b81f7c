"""Asynchronous invocation: accepted events are kept on disk until they are over. At least once, as on Lambda."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from leastwise.kernel import errors
from leastwise.kernel.clock import Clock
from leastwise.runtime.interface import EventStore, QueuedEvent
from leastwise.runtime.retries import Again, Ending, GivenUp, decide_next

_LOG: Final = logging.getLogger(__name__)
_MOST_IN_MEMORY: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """How one attempt went, and the function's reservation at that time."""

    ending: Ending
    reserved_concurrency: int | None = None


class EventQueue:
    """Accepts events, and runs each when it is due.

    Args:
        store: where they wait.
        run: makes one attempt (through `flows.perform`, so that it is authorized and recorded like any call).
        clock: tells the time.
        concurrency: attempts at once.
    """

    def __init__(
        self, *, store: EventStore, run: Callable[[QueuedEvent], Awaitable[Attempt]], clock: Clock, concurrency: int
    ) -> None:
        self._store = store
        self._run = run
        self._clock = clock
        self._heap: list[tuple[int, int]] = []
        self._in_memory: dict[int, QueuedEvent] = {}
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(concurrency)
        self._incoming: list[tuple[QueuedEvent, asyncio.Future[None]]] = []
        self._incoming_wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False

    async def open(self) -> None:
        """Takes up what waits on disk, whoever left it there."""
        self._heap = list(await self._store.waiting())
        heapq.heapify(self._heap)
        loop = asyncio.get_running_loop()
        self._loops = [
            loop.create_task(self._store_incoming(), name="event queue: store"),
            loop.create_task(self._dispatch(), name="event queue: dispatch"),
        ]

    async def close(self) -> None:
        """Stops taking new attempts; those under way finish. What is not over stays on disk for the next start."""
        self._closing = True
        self._wake.set()
        self._incoming_wake.set()
        for loop in self._loops:
            await loop
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self, event: QueuedEvent) -> None:
        """Returns when the event is on disk. Events that come in together share one transaction.

        Raises:
            errors.Unavailable: the platform is shutting down.
        """
        if self._closing:
            message = "The platform is shutting down."
            raise errors.Unavailable(message)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._incoming.append((event, stored))
        self._incoming_wake.set()
        await stored

    async def _store_incoming(self) -> None:
        while True:
            await self._incoming_wake.wait()
            self._incoming_wake.clear()
            batch, self._incoming = self._incoming, []
            if batch:
                await self._store_batch(batch)
            elif self._closing:
                return

    async def _store_batch(self, batch: list[tuple[QueuedEvent, asyncio.Future[None]]]) -> None:
        try:
            stored = await self._store.put([event for event, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the callers' answer
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for event, (_, future) in zip(stored, batch, strict=True):
            self._schedule(event)
            if not future.done():
                future.set_result(None)
        self._incoming_wake.set()

    def _schedule(self, event: QueuedEvent) -> None:
        if len(self._in_memory) < _MOST_IN_MEMORY:
            self._in_memory[event.row_id] = event
        heapq.heappush(self._heap, (event.due_at_ms, event.row_id))
        self._wake.set()

    async def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._closing:
            delay_ms = self._heap[0][0] - self._clock.now_ms() if self._heap else None
            if delay_ms is None or delay_ms > 0:
                # A minute at most: the wall clock may be set while we wait.
                timer = loop.call_later(60 if delay_ms is None else min(delay_ms / 1000, 60), self._wake.set)
                await self._wake.wait()
                timer.cancel()
                self._wake.clear()
                continue
            await self._slots.acquire()
            _, row_id = heapq.heappop(self._heap)
            task = loop.create_task(self._attempt(row_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _attempt(self, row_id: int) -> None:
        try:
            event = self._in_memory.pop(row_id, None) or await self._store.get(row_id)
            if event is not None:
                await self._settle(event, await self._run(event))
        except Exception:  # noqa: BLE001 - logged; the event stays
            # INVARIANT: an event leaves the store only when it is over; this one is taken up at the next start.
            _LOG.exception("event in row %d could not be settled", row_id)
        finally:
            self._slots.release()

    async def _settle(self, event: QueuedEvent, attempt: Attempt) -> None:
        errors_so_far = event.errors + (attempt.ending is Ending.FUNCTION_ERROR)
        refusals = event.refusals + (attempt.ending is Ending.REFUSED)
        following = decide_next(
            attempt.ending,
            errors=errors_so_far,
            refusals=refusals,
            accepted_at_ms=event.accepted_at_ms,
            now_ms=self._clock.now_ms(),
            reserved_concurrency=attempt.reserved_concurrency,
        )
        if isinstance(following, Again):
            later = replace(event, errors=errors_so_far, refusals=refusals, due_at_ms=following.due_at_ms)
            await self._store.update(later)
            self._schedule(later)
            return
        if isinstance(following, GivenUp):
            _LOG.warning("event %s of %s is given up: %s", event.request_id, event.function_name, following.condition)
        await self._store.remove([event.row_id])
