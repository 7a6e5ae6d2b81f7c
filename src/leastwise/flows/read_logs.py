"""CloudWatch Logs: what functions printed, read back; and the few operations with which they write it themselves.

Source: CloudWatch Logs API Reference. Reading takes place in a thread: it is the only work here that takes time.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.flows.log_pages import (
    FIRST_ID,
    LONGEST_PAGE_BYTES,
    EventCursor,
    open_event_token,
    open_search_token,
    search_token,
    stream_tokens,
    take_page,
)
from leastwise.flows.pages import cut_page
from leastwise.kernel import errors
from leastwise.kernel.events import Access, EventClass
from leastwise.kernel.units import DAY_MS, HOUR_MS
from leastwise.logs.filter_pattern import Matcher, compile_pattern
from leastwise.logs.interface import InvalidLogsParameter, LogEvent, LogGroupNotFound, LogStream, LogStreamNotFound
from leastwise.logs.names import check_group_name, check_stream_name, decided_arn, group_arn, group_of_identifier

MOST_EVENTS: Final = 10_000
MOST_DESCRIBED: Final = 50

_END_OF_TIME: Final = 2**62
_BATCH: Final = 10_000
_MOST_SEARCHED: Final = 50_000
"""Events looked at for one page. A search that finds nothing in so many answers with an empty page and a token."""

_EVENT_OVERHEAD: Final = 26
"""Source: PutLogEvents: "the sum of all event messages in UTF-8, plus 26 bytes for each log event"."""


def _group(scene: Scene, parameters: Parameters) -> str:
    """The group that a call names, by name or identifier; in the caller's account."""
    name, identifier = parameters.get("logGroupName"), parameters.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        message = "Exactly one of logGroupName and logGroupIdentifier must be specified."
        raise InvalidLogsParameter(message)
    if name is not None:
        return check_group_name(name)
    name, account_id = group_of_identifier(str(identifier))
    if account_id not in {None, scene.account_id}:
        # AWS shares groups between accounts through monitoring accounts; there are none here.
        raise LogGroupNotFound
    return name


def _any_group(scene: Scene, _parameters: Parameters) -> Target:
    return Target(arn=decided_arn(scene.region, scene.account_id, ""), account_id=scene.account_id)


def _one_group(scene: Scene, parameters: Parameters) -> Target:
    arn = decided_arn(scene.region, scene.account_id, _group(scene, parameters))
    return Target(arn=arn, account_id=scene.account_id)


def _one_stream(scene: Scene, parameters: Parameters) -> Target:
    stream = check_stream_name(parameters["logStreamName"])
    arn = decided_arn(scene.region, scene.account_id, _group(scene, parameters), stream)
    return Target(arn=arn, account_id=scene.account_id)


async def describe_log_groups(scene: Scene, parameters: Parameters) -> Parameters:
    prefix, part = parameters.get("logGroupNamePrefix"), parameters.get("logGroupNamePattern")
    if prefix is not None and part is not None:
        message = "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
        raise InvalidLogsParameter(message)
    groups = await asyncio.to_thread(scene.services.log_reader.groups, scene.account_id, prefix=prefix or "")
    if part is not None:
        groups = tuple(group for group in groups if part in group.name)
    if "logGroupIdentifiers" in parameters:
        wanted = {group_of_identifier(identifier)[0] for identifier in parameters["logGroupIdentifiers"]}
        groups = tuple(group for group in groups if group.name in wanted)
    if parameters.get("logGroupClass", "STANDARD") != "STANDARD":
        groups = ()
    page, marker = _cut(groups, parameters, key=lambda group: group.name)
    described = []
    for group in page:
        arn = group_arn(scene.region, scene.account_id, group.name)
        described.append(
            {
                "logGroupName": group.name,
                "creationTime": group.created_at_ms,
                "metricFilterCount": 0,
                "arn": f"{arn}:*",
                "storedBytes": group.stored_bytes,
                "logGroupClass": "STANDARD",
                "logGroupArn": arn,
            }
        )
    return {"logGroups": described, **({} if marker is None else {"nextToken": marker})}


async def describe_log_streams(scene: Scene, parameters: Parameters) -> Parameters:
    group = _group(scene, parameters)
    prefix = parameters.get("logStreamNamePrefix")
    by_time = parameters.get("orderBy", "LogStreamName") == "LastEventTime"
    if by_time and prefix is not None:
        message = "Cannot order by LastEventTime with a logStreamNamePrefix."
        raise InvalidLogsParameter(message)
    streams = await asyncio.to_thread(scene.services.log_reader.streams, scene.account_id, group, prefix=prefix or "")

    def key(stream: LogStream) -> str:
        return f"{stream.last_event_ms or 0:020d} {stream.name}" if by_time else stream.name

    descending = bool(parameters.get("descending", False))
    page, marker = _cut(sorted(streams, key=key), parameters, key=key, descending=descending)
    arn = decided_arn(scene.region, scene.account_id, group)
    described = [_described_stream(stream, f"{arn}{stream.name}") for stream in page]
    return {"logStreams": described, **({} if marker is None else {"nextToken": marker})}


def _described_stream(stream: LogStream, arn: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "logStreamName": stream.name,
        "creationTime": stream.created_at_ms,
        "firstEventTimestamp": stream.first_event_ms,
        "lastEventTimestamp": stream.last_event_ms,
        "lastIngestionTime": stream.last_ingestion_ms,
        "arn": arn,
        # SOURCE: LogStream, storedBytes: "As of June 17, 2019, this parameter is ... always reported as zero."
        "storedBytes": 0,
    }
    return {name: value for name, value in described.items() if value is not None}
