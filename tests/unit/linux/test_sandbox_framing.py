"""Frames from a hostile sandbox, in whatever pieces they come."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.guest.wire import FRAME_LIMIT, HEADER
from leastwise.linux.framing import FrameReader, Outbox

FRAMES = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=8)


@given(frames=FRAMES, cuts=st.lists(st.integers(1, 97), min_size=1))
def test_frames_are_the_same_however_the_stream_is_cut(frames: list[tuple[int, bytes]], cuts: list[int]) -> None:
    stream = b"".join(HEADER.pack(kind, len(body)) + body for kind, body in frames)
    reader = FrameReader()
    seen = []
    position = 0
    index = 0
    while position < len(stream):
        step = cuts[index % len(cuts)]
        seen += reader.feed(stream[position : position + step])
        position += step
        index += 1
    assert frames == seen


@given(data=st.binary(max_size=400))
def test_garbage_gives_frames_or_a_refusal_and_never_anything_else(data: bytes) -> None:
    try:
        frames = FrameReader().feed(data)
    except ValueError:
        return
    assert sum(HEADER.size + len(body) for _, body in frames) <= len(data)


def test_the_longest_frame_is_taken_and_one_byte_more_is_not() -> None:
    reader = FrameReader()
    assert [] == reader.feed(HEADER.pack(1, FRAME_LIMIT))
    assert [(1, b"x" * FRAME_LIMIT)] == reader.feed(b"x" * FRAME_LIMIT)
    with pytest.raises(ValueError, match="bytes"):
        FrameReader().feed(HEADER.pack(1, FRAME_LIMIT + 1))


async def test_what_does_not_fit_follows_in_order() -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    theirs.settimeout(0)
    with ours, theirs:
        outbox = Outbox(loop, ours)
        whole = b"".join(bytes([n]) * 100_000 for n in range(20))
        for start in range(0, len(whole), 70_000):
            outbox.send(whole[start : start + 70_000])
        received = b""
        while len(received) < len(whole):
            received += await loop.sock_recv(theirs, 1 << 20)
        assert whole == received
        outbox.close()
