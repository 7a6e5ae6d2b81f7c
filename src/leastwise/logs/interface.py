"""What functions print, and where it can be read again (CloudWatch Logs groups, streams and events)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent:
    """One event. `timestamp_ms` is when it was printed, `ingested_ms` when the platform took it."""

    timestamp_ms: int
    ingested_ms: int
    message: str
    stream: str
    event_id: str
    """Sortable within the group; unique for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    account_id: str
    name: str
    created_at_ms: int
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogStream:
    name: str
    created_at_ms: int
    first_event_ms: int | None
    last_event_ms: int | None
    last_ingestion_ms: int | None
    stored_bytes: int


class LogWriter(Protocol):
    """Where the runtime puts lines. Called on the hot path: synchronous, buffered, never raises for a full disk
    (it counts what it dropped and says so in the log when it can write again)."""

    def write(
        self, account_id: str, group: str, stream: str, lines: Sequence[tuple[int, str]], *, ingested_ms: int
    ) -> None:
        """Appends `(timestamp_ms, message)` pairs; creates group and stream when they are new."""
        ...

    def flush(self) -> None:
        """Hands everything buffered to the operating system."""
        ...


class LogReader(Protocol):
    """Reading back. Missing groups and streams raise `kernel.errors.NotFound` in AWS's words."""

    def groups(self, account_id: str, *, prefix: str) -> tuple[LogGroup, ...]: ...

    def streams(self, account_id: str, group: str, *, prefix: str) -> tuple[LogStream, ...]: ...

    def events(
        self,
        account_id: str,
        group: str,
        streams: Sequence[str] | None,
        *,
        start_ms: int,
        end_ms: int,
    ) -> Sequence[LogEvent]:
        """Events with start <= timestamp < end, ordered by (timestamp, event id). None means every stream."""
        ...
