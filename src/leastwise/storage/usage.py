"""Usage sums on SQL. Keeps `metering.interface.UsageStore`."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from leastwise.metering.interface import UsageTotal
from leastwise.storage.engine import Database
from leastwise.storage.schema import usage_positions, usage_totals

_TRAIL: Final = "trail"


class SqlUsageStore:
    """Sums and the position they stand for commit together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def counted_up_to(self) -> int:
        async with self._database.reading() as connection:
            position = await _position(connection)
        return -1 if position is None else position

    async def add(self, totals: tuple[UsageTotal, ...], *, counted_up_to: int) -> None:
        async with self._database.writing() as connection:
            position = await _position(connection)
            if position is not None and position >= counted_up_to:
                return
            for total in totals:
                await _add(connection, total)
            if position is None:
                await connection.execute(insert(usage_positions).values(name=_TRAIL, counted_up_to=counted_up_to))
            else:
                statement = update(usage_positions).where(usage_positions.c.name == _TRAIL)
                await connection.execute(statement.values(counted_up_to=counted_up_to))

    async def totals(
        self, account_id: str, *, first_day: str, last_day: str, function_arn: str | None
    ) -> tuple[UsageTotal, ...]:
        """Ordered by function and day; days inclusive."""
        wanted = [
            usage_totals.c.account_id == account_id,
            usage_totals.c.day >= first_day,
            usage_totals.c.day <= last_day,
        ]
        if function_arn is not None:
            wanted.append(usage_totals.c.function_arn == function_arn)
        query = select(usage_totals).where(*wanted).order_by(usage_totals.c.function_arn, usage_totals.c.day)
        async with self._database.reading() as connection:
            return tuple(UsageTotal(**row._mapping) for row in await connection.execute(query))  # noqa: SLF001 - public


async def _position(connection: AsyncConnection) -> int | None:
    query = select(usage_positions.c.counted_up_to).where(usage_positions.c.name == _TRAIL)
    position: int | None = await connection.scalar(query)
    return position


async def _add(connection: AsyncConnection, total: UsageTotal) -> None:
    sums: dict[str, Any] = {name: getattr(total, name) for name in ("requests", "billed_ms", "mib_ms")}
    statement = update(usage_totals).where(
        usage_totals.c.account_id == total.account_id,
        usage_totals.c.function_arn == total.function_arn,
        usage_totals.c.day == total.day,
    )
    changed = await connection.execute(
        statement.values({name: usage_totals.c[name] + value for name, value in sums.items()})
    )
    if changed.rowcount == 0:
        key = {"account_id": total.account_id, "function_arn": total.function_arn, "day": total.day}
        await connection.execute(insert(usage_totals).values(**key, **sums))
