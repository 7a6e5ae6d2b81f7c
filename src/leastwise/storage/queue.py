"""`runtime.EventStore` on SQL."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, insert, select, update

from leastwise.runtime.interface import QueuedEvent
from leastwise.storage.engine import Database
from leastwise.storage.schema import queued_events


class _Body(msgspec.Struct, array_like=True):
    """What a row keeps besides its columns. Append-only: new members go to the end, with a default."""

    payload: bytes
    errors: int = 0
    refusals: int = 0


class SqlEventStore:
    """One row an event."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, events: Sequence[QueuedEvent]) -> tuple[QueuedEvent, ...]:
        stored = []
        async with self._database.writing() as connection:
            for event in events:
                result = await connection.execute(
                    insert(queued_events).values(
                        account_id=event.account_id,
                        function_name=event.function_name,
                        request_id=event.request_id,
                        body=_body(event),
                        due_at_ms=event.due_at_ms,
                        accepted_at_ms=event.accepted_at_ms,
                    )
                )
                (row_id,) = result.inserted_primary_key or (0,)
                stored.append(_with_row_id(event, row_id))
        return tuple(stored)

    async def waiting(self) -> tuple[tuple[int, int], ...]:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(queued_events.c.due_at_ms, queued_events.c.row_id))
            return tuple((due_at_ms, row_id) for due_at_ms, row_id in rows)

    async def get(self, row_id: int) -> QueuedEvent | None:
        async with self._database.reading() as connection:
            row = (await connection.execute(select(queued_events).where(queued_events.c.row_id == row_id))).first()
        if row is None:
            return None
        body = msgspec.msgpack.decode(row.body, type=_Body)
        return QueuedEvent(
            row_id=row.row_id,
            account_id=row.account_id,
            function_name=row.function_name,
            request_id=row.request_id,
            payload=body.payload,
            accepted_at_ms=row.accepted_at_ms,
            due_at_ms=row.due_at_ms,
            errors=body.errors,
            refusals=body.refusals,
        )

    async def update(self, event: QueuedEvent) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                update(queued_events)
                .where(queued_events.c.row_id == event.row_id)
                .values(due_at_ms=event.due_at_ms, body=_body(event))
            )

    async def remove(self, row_ids: Sequence[int]) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(queued_events).where(queued_events.c.row_id.in_(row_ids)))


def _body(event: QueuedEvent) -> bytes:
    return msgspec.msgpack.encode(_Body(payload=event.payload, errors=event.errors, refusals=event.refusals))


def _with_row_id(event: QueuedEvent, row_id: int) -> QueuedEvent:
    return QueuedEvent(
        row_id=row_id,
        account_id=event.account_id,
        function_name=event.function_name,
        request_id=event.request_id,
        payload=event.payload,
        accepted_at_ms=event.accepted_at_ms,
        due_at_ms=event.due_at_ms,
        errors=event.errors,
        refusals=event.refusals,
    )
