"""`leastwise logs`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from leastwise.cli.failures import CommandError
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.session import Session

Event = dict[str, Any]

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_POLL_S: Final = 1.0
_OVERLAP_MS: Final = 10_000
"""How far back each poll looks: events of several environments do not arrive in the order of their times."""


@with_options
def logs(
    options: Options,
    printer: Printer,
    name: Annotated[str, typer.Argument(help="Name or ARN of the function.", metavar="NAME")],
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more, until interrupted.")] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="AGE", help="How far back: 30s, 10m, 2h, 1d, or an ISO 8601 time.")
    ] = "10m",
    filter_pattern: Annotated[
        str | None, typer.Option("--filter", metavar="PATTERN", help="CloudWatch Logs filter pattern.")
    ] = None,
) -> None:
    """Shows what a function printed."""
    start_ms = parse_since(since, now_ms=time.time_ns() // 1_000_000)
    client = Session(options, printer).client("logs")
    wanted: dict[str, Any] = {"logGroupName": log_group(name)}
    if filter_pattern is not None:
        wanted["filterPattern"] = filter_pattern

    def fetch(from_ms: int) -> Iterator[Event]:
        try:
            for page in client.get_paginator("filter_log_events").paginate(**wanted, startTime=from_ms):
                yield from page["events"]
        except client.exceptions.ResourceNotFoundException:
            if not follow:
                raise

    events = follow_events(fetch, start_ms, pause=lambda: time.sleep(_POLL_S)) if follow else fetch(start_ms)
    for event in events:
        printer.text(render(event, as_json=options.json))


def log_group(function: str) -> str:
    """The log group of a function, by its name or ARN (the seventh segment is the name, an eighth the qualifier)."""
    segments = function.split(":")
    return f"/aws/lambda/{segments[6] if len(segments) in (7, 8) else function}"


def follow_events(
    fetch: Callable[[int], Iterator[Event]], start_ms: int, *, pause: Callable[[], None]
) -> Iterator[Event]:
    """Yields each event once, for ever. `pause` is called between two looks."""
    seen: dict[str, int] = {}
    newest_ms = start_ms
    while True:
        from_ms = max(start_ms, newest_ms - _OVERLAP_MS)
        for event in fetch(from_ms):
            if event["eventId"] not in seen:
                seen[event["eventId"]] = event["timestamp"]
                newest_ms = max(newest_ms, event["timestamp"])
                yield event
        oldest_ms = newest_ms - _OVERLAP_MS
        seen = {event_id: at_ms for event_id, at_ms in seen.items() if at_ms >= oldest_ms}
        pause()


def parse_since(text: str, *, now_ms: int) -> int:
    """Epoch milliseconds of an age (`10m`) or a time (`2026-11-23T10:00:00Z`; UTC unless it says otherwise).

    Raises:
        CommandError: it is neither.
    """
    age = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if age is not None:
        return max(0, now_ms - int(age[1]) * _UNITS_S[age[2]] * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"not an age or a time: {text} (30s, 10m, 2h, 1d, 2026-11-23T10:00:00Z)"
        raise CommandError(message) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, int(aware.timestamp() * 1000))


def render(event: Event, *, as_json: bool) -> str:
    """One event as a line for people, or as a line of JSON. Runtimes put a carriage return for a line break."""
    if as_json:
        shown = {key: event.get(key) for key in ("timestamp", "message", "logStreamName", "eventId")}
        return json.dumps(shown, ensure_ascii=False)
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    message = event["message"].rstrip("\r\n").replace("\r\n", "\n").replace("\r", "\n")
    return f"{at:%Y-%m-%dT%H:%M:%S}.{event['timestamp'] % 1000:03d}Z {message}"
