"""Log events of a sandbox, bounded."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from leastwise.linux.output import OutputReader


class Ends:
    """A reader, and the sandbox's ends of its two descriptors."""

    def __init__(self) -> None:
        telemetry, self.telemetry = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pipe, self.pipe = os.pipe()
        telemetry.settimeout(0)
        os.set_blocking(pipe, False)
        self.seen: list[bytes] = []
        self.reader = OutputReader(asyncio.get_running_loop(), telemetry, pipe)
        self.reader.on_output = self.seen.append


@pytest.fixture
async def ends() -> Iterator[Ends]:
    made = Ends()
    yield made
    made.reader.close()
    made.telemetry.close()
    os.close(made.pipe)


async def test_an_event_is_a_message_without_its_last_newline(ends: Ends) -> None:
    for message in (b"one\n", b"two\nlines\n", b"\n", b"bare"):
        ends.telemetry.send(message)
    ends.reader.drain()
    assert [b"one", b"two\nlines", b"", b"bare"] == ends.seen


async def test_the_pipe_gives_an_event_a_line_however_it_is_written(ends: Ends) -> None:
    for piece in (b"on", b"e\ntwo\nth", b"ree", b"\n", b"rest"):
        os.write(ends.pipe, piece)
        ends.reader.drain()
    assert [b"one", b"two", b"three"] == ends.seen
    ends.reader.close()
    assert [b"one", b"two", b"three", b"rest"] == ends.seen


async def test_a_line_without_end_is_cut(ends: Ends) -> None:
    for _ in range(4):
        os.write(ends.pipe, b"x" * 40_000)
        ends.reader.drain()
    assert [80_000, 80_000] == [len(event) for event in ends.seen]


async def test_events_arrive_by_themselves(ends: Ends) -> None:
    ends.telemetry.send(b"event\n")
    async with asyncio.timeout(5):
        while not ends.seen:
            await asyncio.sleep(0)
    assert [b"event"] == ends.seen


async def test_what_nobody_wants_yet_is_thrown_away(ends: Ends) -> None:
    ends.reader.on_output = None
    ends.telemetry.send(b"pool\n")
    ends.reader.drain()
    ends.reader.on_output = ends.seen.append
    ends.reader.drain()
    assert [] == ends.seen


async def test_a_flood_is_dropped_counted_and_said_once(ends: Ends) -> None:
    for _ in range(200):
        ends.telemetry.send(b"x" * 60_000)
        ends.reader.drain()
    kept = [event for event in ends.seen if event.startswith(b"x")]
    said = [event for event in ends.seen if event.startswith(b"[leastwise]")]
    assert 130 <= len(kept) < 200
    assert 0 < len(said)
    assert b"log events" in said[0]


async def test_closing_twice_is_once(ends: Ends) -> None:
    ends.reader.close()
    ends.reader.close()
    ends.reader.drain()
