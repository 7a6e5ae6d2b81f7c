"""One SQL database behind the storage adapters, and the transactions they join."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from leastwise.kernel import errors


@dataclass(slots=True)
class _Work:
    """A transaction in progress in one task."""

    connection: AsyncConnection
    before_commit: dict[Callable[[], Awaitable[None]], None] = field(default_factory=dict)
    after_commit: list[Callable[[], None]] = field(default_factory=list)


_current: ContextVar[_Work | None] = ContextVar("leastwise_storage_work", default=None)


class Database:
    """Keeps `kernel.transactions.Transactions`; adapters read through `reading()` and write through `writing()`.

    SQLite takes one writer at a time, so writers wait for each other here, in order, instead of meeting SQLITE_BUSY.
    """

    def __init__(self, url: str) -> None:
        """Args: url: an SQLAlchemy URL with an async driver, e.g. `sqlite+aiosqlite:////var/lib/x/db`."""
        # SECURITY: secrets in logs. An error of the driver would otherwise carry the statement's parameters into the log:
        # payloads of queued events, sealed secrets, whole policies.
        self._engine: AsyncEngine = create_async_engine(url, hide_parameters=True)
        self._writers = asyncio.Lock()
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self._engine.sync_engine, "begin", _begin_immediate)

    @property
    def engine(self) -> AsyncEngine:
        return self._engine

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:
        """See `kernel.transactions.Transactions.begin`."""
        if _current.get() is not None:
            message = "a transaction was opened inside a transaction"
            raise errors.Bug(message)
        async with self._writers, self._engine.connect() as connection:
            work = _Work(connection)
            token = _current.set(work)
            try:
                async with connection.begin():
                    yield
                    for finish in list(work.before_commit):
                        await finish()
            finally:
                _current.reset(token)
            for callback in work.after_commit:
                callback()

    def before_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        """See `kernel.transactions.Transactions.before_commit`."""
        work = _current.get()
        if work is not None:
            work.before_commit[callback] = None

    def after_commit(self, callback: Callable[[], None]) -> None:
        """See `kernel.transactions.Transactions.after_commit`."""
        work = _current.get()
        if work is None:
            callback()
        else:
            work.after_commit.append(callback)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """The current transaction's connection, or one of its own for the length of the block."""
        work = _current.get()
        if work is not None:
            yield work.connection
            return
        async with self._engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """The current transaction's connection, or a transaction of its own for the length of the block."""
        work = _current.get()
        if work is not None:
            yield work.connection
            return
        async with self.begin():
            current = _current.get()
            if current is None:
                message = "begin() left no transaction"
                raise errors.Bug(message)
            yield current.connection

    async def ping(self) -> None:
        """Raises when the database does not answer."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self._engine.dispose()


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """WAL for readers beside the writer; FULL so that an acknowledged commit survives a power cut."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    """A writer takes its lock at once: a read that turns into a write later could only fail."""
    if _current.get() is None:
        connection.exec_driver_sql("BEGIN")
    else:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
