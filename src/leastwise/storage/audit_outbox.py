"""What the trail keeps in the database: records that wait for the log, and the heads that watch over its length."""

from __future__ import annotations

from typing import Final

from sqlalchemy import delete, func, insert, select

from leastwise.audit.interface import Head
from leastwise.storage.engine import Database
from leastwise.storage.schema import audit_heads, audit_outbox

KEPT_HEADS: Final = 1_000
"""The newest ones. One would do: its digest covers everything before it. The others say when the log was how long."""


class SqlOutbox:
    """Keeps `audit.interface.Outbox`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, event_id: str, payload: bytes) -> None:
        async with self._database.writing() as connection:
            await connection.execute(insert(audit_outbox).values(event_id=event_id, payload=payload))

    async def waiting(self) -> tuple[tuple[int, str, bytes], ...]:
        query = select(audit_outbox.c.row_id, audit_outbox.c.event_id, audit_outbox.c.payload)
        async with self._database.reading() as connection:
            rows = await connection.execute(query.order_by(audit_outbox.c.row_id))
            return tuple((row.row_id, row.event_id, row.payload) for row in rows)

    async def remove(self, up_to_row: int) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(audit_outbox).where(audit_outbox.c.row_id <= up_to_row))


class SqlHeads:
    """Keeps `audit.interface.Heads`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, head: Head) -> None:
        values = {"sequence": head.sequence, "digest": head.digest, "at_ms": head.at_ms}
        newest = select(audit_heads.c.sequence).order_by(audit_heads.c.sequence.desc()).limit(KEPT_HEADS)
        oldest_kept = select(func.min(newest.subquery().c.sequence)).scalar_subquery()
        async with self._database.writing() as connection:
            # A commit whose answer was lost is tried again with the same head.
            await connection.execute(delete(audit_heads).where(audit_heads.c.sequence == head.sequence))
            await connection.execute(insert(audit_heads).values(**values))
            await connection.execute(delete(audit_heads).where(audit_heads.c.sequence < oldest_kept))

    async def all(self) -> tuple[Head, ...]:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(audit_heads).order_by(audit_heads.c.sequence))
            return tuple(Head(sequence=row.sequence, digest=row.digest, at_ms=row.at_ms) for row in rows)
