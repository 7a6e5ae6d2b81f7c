"""What functions print, and where it can be read again (CloudWatch Logs groups, streams and events)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from leastwise.kernel import errors


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
    (it counts what it dropped and says so in the log when it can write again).
    """

    def write(
        self, account_id: str, group: str, stream: str, lines: Sequence[tuple[int, str]], *, ingested_ms: int
    ) -> None:
        """Appends `(timestamp_ms, message)` pairs; creates group and stream when they are new."""
        ...

    def flush(self) -> None:
        """Hands everything buffered to the operating system."""
        ...

    def create_group(self, account_id: str, group: str, *, created_at_ms: int) -> None:
        """Raises `LogGroupExists`; `TooManyGroups` when the account has too many."""
        ...

    def create_stream(self, account_id: str, group: str, stream: str, *, created_at_ms: int) -> None:
        """Raises `LogGroupNotFound`, `LogStreamExists`; `TooManyStreams` when the group has too many."""
        ...

    def remove_group(self, account_id: str, group: str) -> None:
        """With everything in it. Raises `LogGroupNotFound`."""
        ...


class LogReader(Protocol):
    """Reading back. Missing groups and streams raise `kernel.errors.NotFound` in AWS's words."""

    @property
    def region(self) -> str:
        """The region in which all groups are. There are none in others."""
        ...

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
        beyond: str | None = None,
        newest_first: bool = False,
        at_most: int | None = None,
    ) -> Sequence[LogEvent]:
        """Events with start <= timestamp < end, ordered by (timestamp, event id). None means every stream.

        Args:
            account_id: owner of the group.
            group: name.
            streams: names.
            start_ms: epoch ms.
            end_ms: epoch ms.
            beyond: only events behind this event id in the direction of reading.
            newest_first: read, and order, backwards.
            at_most: the first so many of them; None for all.
        """
        ...


class InvalidLogsParameter(errors.Invalid):
    """CloudWatch Logs' InvalidParameterException."""


class LogGroupNotFound(errors.NotFound):
    """CloudWatch Logs' ResourceNotFoundException."""

    def __init__(self) -> None:
        super().__init__("The specified log group does not exist.")


class LogStreamNotFound(errors.NotFound):
    """CloudWatch Logs' ResourceNotFoundException."""

    def __init__(self) -> None:
        super().__init__("The specified log stream does not exist.")


class LogGroupExists(errors.AlreadyExists):
    """CloudWatch Logs' ResourceAlreadyExistsException."""

    def __init__(self) -> None:
        super().__init__("The specified log group already exists")


class LogStreamExists(errors.AlreadyExists):
    """CloudWatch Logs' ResourceAlreadyExistsException."""

    def __init__(self) -> None:
        super().__init__("The specified log stream already exists")


class TooManyStreams(InvalidLogsParameter):
    """CreateLogStream declares no LimitExceededException."""

    def __init__(self) -> None:
        super().__init__("The log group has too many log streams.")


class TooManyGroups(errors.LimitExceeded):
    """CloudWatch Logs' LimitExceededException."""

    def __init__(self) -> None:
        super().__init__("Resource limit exceeded.")
