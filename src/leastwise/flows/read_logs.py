"""CloudWatch Logs: what functions printed, read back.

Source: CloudWatch Logs API Reference. Reading takes place in a thread: it is the only work here that takes time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.flows.log_pages import (
    LARGEST_PAGE,
    fitting,
    open_search_token,
    open_stream_token,
    search_token,
    stream_tokens,
    weight,
)
from leastwise.flows.log_targets import any_group, group_of, one_group, one_stream, require_home_region
from leastwise.flows.pages import cut_page
from leastwise.kernel import errors
from leastwise.kernel.events import Access
from leastwise.logs.filter_pattern import Matcher, compile_pattern
from leastwise.logs.interface import InvalidLogsParameter, LogEvent, LogGroup, LogStream
from leastwise.logs.names import check_stream_name, decided_arn, group_arn, group_of_identifier

Item = TypeVar("Item")

_MOST_EVENTS: Final = 10_000
_MOST_DESCRIBED: Final = 50
_END_OF_TIME: Final = 2**62
_FIRST_OF_2024_MS: Final = 1_704_067_200_000
_BATCH: Final = 10_000
_MOST_SEARCHED: Final = 50_000
"""Events looked at for one page. A search that finds nothing in so many answers with an empty page and a token."""


async def describe_log_groups(scene: Scene, parameters: Parameters) -> Parameters:
    prefix, part = parameters.get("logGroupNamePrefix"), parameters.get("logGroupNamePattern")
    if prefix is not None and part is not None:
        message = "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
        raise InvalidLogsParameter(message)
    groups: Sequence[LogGroup] = ()
    reader = scene.services.log_reader
    if scene.region == reader.region:
        groups = await asyncio.to_thread(reader.groups, scene.account_id, prefix=prefix or "")
    if part is not None:
        groups = tuple(group for group in groups if part in group.name)
    if "logGroupIdentifiers" in parameters:
        named = (group_of_identifier(identifier) for identifier in parameters["logGroupIdentifiers"])
        # SECURITY: another account's group is not this account's group of the same name.
        wanted = {name for name, account_id in named if account_id in {None, scene.account_id}}
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
    require_home_region(scene)
    group = group_of(scene, parameters)
    prefix = parameters.get("logStreamNamePrefix")
    by_time = parameters.get("orderBy", "LogStreamName") == "LastEventTime"
    if by_time and prefix is not None:
        message = "Cannot order by LastEventTime with a logStreamNamePrefix."
        raise InvalidLogsParameter(message)
    streams = await asyncio.to_thread(scene.services.log_reader.streams, scene.account_id, group, prefix=prefix or "")

    def key(stream: LogStream) -> str:
        return f"{stream.last_event_ms or 0:020d} {stream.name}" if by_time else stream.name

    descending = bool(parameters.get("descending", False))
    ordered = sorted(streams, key=key, reverse=descending)
    page, marker = _cut(ordered, parameters, key=key, descending=descending)
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


def _cut(
    items: Sequence[Item], parameters: Parameters, *, key: Callable[[Item], str], descending: bool = False
) -> tuple[Sequence[Item], str | None]:
    limit = parameters.get("limit", _MOST_DESCRIBED)
    try:
        return cut_page(items, key=key, marker=parameters.get("nextToken"), limit=limit, descending=descending)
    except errors.Invalid as error:
        message = "The specified nextToken is invalid."
        raise InvalidLogsParameter(message) from error


async def get_log_events(scene: Scene, parameters: Parameters) -> Parameters:
    """One stream, forwards or backwards. At an end the token that was given comes back."""
    require_home_region(scene)
    group, stream = group_of(scene, parameters), check_stream_name(parameters["logStreamName"])
    token = parameters.get("nextToken")
    cursor = None if token is None else open_stream_token(token)
    backwards = cursor.backwards if cursor is not None else not parameters.get("startFromHead", False)
    events: Sequence[LogEvent] = await asyncio.to_thread(
        scene.services.log_reader.events,
        scene.account_id,
        group,
        [stream],
        start_ms=parameters.get("startTime", 0),
        end_ms=parameters.get("endTime", _END_OF_TIME),
        beyond=None if cursor is None else cursor.event_id,
        newest_first=backwards,
        at_most=parameters.get("limit", _MOST_EVENTS),
    )
    page = fitting(events)
    if backwards:
        page = page[::-1]
    forward, backward = stream_tokens([event.event_id for event in page], cursor)
    shown = [
        {"timestamp": event.timestamp_ms, "message": event.message, "ingestionTime": event.ingested_ms}
        for event in page
    ]
    return {"events": shown, "nextForwardToken": forward, "nextBackwardToken": backward}


async def filter_log_events(scene: Scene, parameters: Parameters) -> Parameters:
    """A search through some or all streams of a group."""
    require_home_region(scene)
    group = group_of(scene, parameters)
    names, prefix = parameters.get("logStreamNames"), parameters.get("logStreamNamePrefix")
    if names is not None and prefix is not None:
        message = "logStreamNamePrefix and logStreamNames are mutually exclusive."
        raise InvalidLogsParameter(message)
    start_ms = parameters.get("startTime", 0)
    backwards = not parameters.get("startFromHead", True)
    if backwards and start_ms < _FIRST_OF_2024_MS:
        message = "startFromHead can only be false when startTime is on or after 2024-01-01T00:00:00Z."
        raise InvalidLogsParameter(message)
    pattern = parameters.get("filterPattern", "").strip()
    asked = (scene.account_id, group, names, prefix, pattern, start_ms, parameters.get("endTime"))
    token = parameters.get("nextToken")
    cursor = None if token is None else open_search_token(token, asked)
    search = _Search(
        scene,
        group,
        compile_pattern(pattern) if pattern else None,
        limit=parameters.get("limit", _MOST_EVENTS),
        start_ms=start_ms,
        # Here, unlike in GetLogEvents, the end is part of the range.
        end_ms=parameters.get("endTime", _END_OF_TIME) + 1,
        backwards=backwards if cursor is None else cursor.backwards,
        beyond=None if cursor is None else cursor.event_id,
    )
    await asyncio.to_thread(search.run, names, prefix)
    shown = [
        {
            "logStreamName": event.stream,
            "timestamp": event.timestamp_ms,
            "message": event.message,
            "ingestionTime": event.ingested_ms,
            "eventId": event.event_id,
        }
        for event in search.found
    ]
    result: dict[str, Any] = {"events": shown, "searchedLogStreams": []}
    if search.beyond is not None and not search.exhausted:
        result["nextToken"] = search_token(search.beyond, asked, backwards=search.backwards)
    return result


class _Search:
    """One page of a search: as many batches as it takes to fill the page, the time of one call, or the range."""

    def __init__(
        self,
        scene: Scene,
        group: str,
        matcher: Matcher | None,
        *,
        limit: int,
        start_ms: int,
        end_ms: int,
        backwards: bool,
        beyond: str | None,
    ) -> None:
        self._reader = scene.services.log_reader
        self._account_id = scene.account_id
        self._group = group
        self._matcher = matcher
        self._limit = limit
        self._start_ms = start_ms
        self._end_ms = end_ms
        self.backwards = backwards
        self.beyond = beyond
        self.found: list[LogEvent] = []
        self.exhausted = False

    def run(self, names: Sequence[str] | None, prefix: str | None) -> None:
        if prefix is not None:
            streams = self._reader.streams(self._account_id, self._group, prefix=prefix)
            names = [stream.name for stream in streams]
        size = _BATCH if self._matcher is not None else min(self._limit + 1, _BATCH)
        page_bytes = searched = 0
        while searched < _MOST_SEARCHED:
            batch = self._reader.events(
                self._account_id,
                self._group,
                names,
                start_ms=self._start_ms,
                end_ms=self._end_ms,
                beyond=self.beyond,
                newest_first=self.backwards,
                at_most=size,
            )
            for event in batch:
                if self._matcher is None or self._matcher(event.message):
                    page_bytes += weight(event)
                    if self.found and (len(self.found) >= self._limit or page_bytes > LARGEST_PAGE):
                        return
                    self.found.append(event)
                self.beyond = event.event_id
            searched += len(batch)
            if len(batch) < size:
                self.exhausted = True
                return


OPERATIONS: Final = (
    Operation(
        service="logs",
        name="DescribeLogGroups",
        action="logs:DescribeLogGroups",
        target=any_group,
        handle=describe_log_groups,
        access=Access.READ,
    ),
    Operation(
        service="logs",
        name="DescribeLogStreams",
        action="logs:DescribeLogStreams",
        target=one_group,
        handle=describe_log_streams,
        access=Access.READ,
    ),
    Operation(
        service="logs",
        name="GetLogEvents",
        action="logs:GetLogEvents",
        target=one_stream,
        handle=get_log_events,
        access=Access.READ,
    ),
    Operation(
        service="logs",
        name="FilterLogEvents",
        action="logs:FilterLogEvents",
        target=one_group,
        handle=filter_log_events,
        access=Access.READ,
    ),
)
