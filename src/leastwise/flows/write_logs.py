"""CloudWatch Logs: the operations with which functions write and keep logs of their own.

Source: CloudWatch Logs API Reference. Files change in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.flows.log_pages import weight
from leastwise.flows.log_targets import one_group, one_stream, require_home_region
from leastwise.kernel.events import Access, EventClass
from leastwise.kernel.units import DAY_MS, HOUR_MS
from leastwise.logs.interface import InvalidLogsParameter, LogStreamNotFound
from leastwise.logs.names import check_group_name, check_stream_name

_LARGEST_BATCH: Final = 1_048_576
"""Bytes. Source: PutLogEvents."""
_OLDEST_MS: Final = 14 * DAY_MS
_NEWEST_MS: Final = 2 * HOUR_MS


async def create_log_group(scene: Scene, parameters: Parameters) -> Parameters:
    region = scene.services.log_reader.region
    if scene.region != region:
        message = f"Log groups are only kept in the region {region}."
        raise InvalidLogsParameter(message)
    group = check_group_name(parameters["logGroupName"])
    for name, plain in (("kmsKeyId", ""), ("tags", {}), ("deletionProtectionEnabled", False)):
        if parameters.get(name, plain) != plain:
            # A key or a tag that is taken and then ignored would be a promise of protection that nobody keeps.
            message = f"{name} is not supported here."
            raise InvalidLogsParameter(message)
    if parameters.get("logGroupClass", "STANDARD") != "STANDARD":
        message = "Only the log group class STANDARD is supported here."
        raise InvalidLogsParameter(message)
    writer = scene.services.log_writer
    await asyncio.to_thread(writer.create_group, scene.account_id, group, created_at_ms=scene.now_ms)
    return {}


async def create_log_stream(scene: Scene, parameters: Parameters) -> Parameters:
    require_home_region(scene)
    group, stream = check_group_name(parameters["logGroupName"]), check_stream_name(parameters["logStreamName"])
    writer = scene.services.log_writer
    await asyncio.to_thread(writer.create_stream, scene.account_id, group, stream, created_at_ms=scene.now_ms)
    return {}


async def delete_log_group(scene: Scene, parameters: Parameters) -> Parameters:
    require_home_region(scene)
    group = check_group_name(parameters["logGroupName"])
    await asyncio.to_thread(scene.services.log_writer.remove_group, scene.account_id, group)
    return {}


async def put_log_events(scene: Scene, parameters: Parameters) -> Parameters:
    """Appends a batch. Events that are too old or too new are left out, and the answer says so."""
    require_home_region(scene)
    group, stream = check_group_name(parameters["logGroupName"]), check_stream_name(parameters["logStreamName"])
    batch = [(int(event["timestamp"]), str(event["message"])) for event in parameters["logEvents"]]
    _check_batch(batch)
    oldest_ms, newest_ms = scene.now_ms - _OLDEST_MS, scene.now_ms + _NEWEST_MS
    kept = [event for event in batch if oldest_ms <= event[0] <= newest_ms]
    await asyncio.to_thread(_write, scene, group, stream, kept)
    result: dict[str, Any] = {"nextSequenceToken": f"{scene.now_ms:056d}"}
    rejected = {}
    if batch[0][0] < oldest_ms:
        rejected["tooOldLogEventEndIndex"] = sum(1 for at_ms, _ in batch if at_ms < oldest_ms)
    if batch[-1][0] > newest_ms:
        rejected["tooNewLogEventStartIndex"] = sum(1 for at_ms, _ in batch if at_ms <= newest_ms)
    if rejected:
        result["rejectedLogEventsInfo"] = rejected
    return result


def _check_batch(batch: Sequence[tuple[int, str]]) -> None:
    """Source: CloudWatch Logs API Reference, PutLogEvents, the constraints on a batch."""
    if not batch:
        message = "Log events must not be empty."
        raise InvalidLogsParameter(message)
    times = [at_ms for at_ms, _ in batch]
    if times != sorted(times):
        message = "Log events in a single PutLogEvents request must be in chronological order."
        raise InvalidLogsParameter(message)
    if times[-1] - times[0] > DAY_MS:
        message = "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        raise InvalidLogsParameter(message)
    size = sum(weight(message) for _, message in batch)
    if size > _LARGEST_BATCH:
        message = f"Upload too large: {size} bytes exceeds limit of {_LARGEST_BATCH}"
        raise InvalidLogsParameter(message)


def _write(scene: Scene, group: str, stream: str, batch: Sequence[tuple[int, str]]) -> None:
    streams = scene.services.log_reader.streams(scene.account_id, group, prefix=stream)
    if not any(found.name == stream for found in streams):
        raise LogStreamNotFound
    writer = scene.services.log_writer
    writer.write(scene.account_id, group, stream, batch, ingested_ms=scene.now_ms)
    # What was acknowledged must outlive the process.
    writer.flush()


OPERATIONS: Final = (
    Operation(
        service="logs",
        name="CreateLogGroup",
        action="logs:CreateLogGroup",
        target=one_group,
        handle=create_log_group,
        access=Access.WRITE,
    ),
    Operation(
        service="logs",
        name="CreateLogStream",
        action="logs:CreateLogStream",
        target=one_stream,
        handle=create_log_stream,
        access=Access.WRITE,
    ),
    Operation(
        service="logs",
        name="PutLogEvents",
        action="logs:PutLogEvents",
        target=one_stream,
        handle=put_log_events,
        event_class=EventClass.DATA,
        access=Access.WRITE,
    ),
    Operation(
        service="logs",
        name="DeleteLogGroup",
        action="logs:DeleteLogGroup",
        target=one_group,
        handle=delete_log_group,
        access=Access.WRITE,
    ),
)
