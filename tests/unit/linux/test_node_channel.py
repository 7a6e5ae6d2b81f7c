"""Frames of the Node channel, from a guest that lies."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.linux.node_channel import BadFrame, FrameKind, FrameReader, NodeConversation
from leastwise.linux.runtime_protocol import MAX_PAYLOAD_BYTES
from leastwise.runtime.interface import InitFailed, Invocation, Reply, ReplyKind, ResponseTooLarge


def frame(kind: str, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind.encode() + body


def answer(kind: str, sequence: int, payload: bytes = b"") -> bytes:
    return frame(kind, struct.pack(">I", sequence) + payload)


def test_frames_are_found_however_the_bytes_are_cut():
    stream = frame("G") + frame("R") + answer("O", 1, b'{"a":1}')
    for size in range(1, len(stream) + 1):
        reader = FrameReader()
        seen = [taken for at in range(0, len(stream), size) for taken in reader.feed(stream[at : at + size])]
        assert [
            (FrameKind.GENERIC, b""),
            (FrameKind.READY, b""),
            (FrameKind.OUTPUT, b'\x00\x00\x00\x01{"a":1}'),
        ] == seen


def test_a_length_over_the_limit_is_refused_before_its_body():
    with pytest.raises(BadFrame):
        list(FrameReader().feed(struct.pack(">IB", MAX_PAYLOAD_BYTES + 5, ord("O"))))


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(data):
    reader = FrameReader()
    try:
        for kind, body in reader.feed(data):
            assert kind in set(FrameKind)
            assert len(body) <= len(data)
    except BadFrame:
        pass


INVOCATION = Invocation(request_id="r", payload=b"1", deadline_ms=0, function_arn="a")


class Guest:
    """Our end, and the end that user code holds."""

    def __init__(self, conversation: NodeConversation, peer: socket.socket, broken: asyncio.Event) -> None:
        self.conversation = conversation
        self.peer = peer
        self.broken = broken

    def say(self, data: bytes) -> None:
        self.peer.sendall(data)


@pytest.fixture
async def guest():
    ours, peer = socket.socketpair()
    ours.setblocking(False)
    broken = asyncio.Event()
    conversation = await NodeConversation.open(ours, on_broken=broken.set)
    yield Guest(conversation, peer, broken)
    conversation.close()
    peer.close()


async def specialised(guest: Guest) -> None:
    guest.say(frame("G"))
    await guest.conversation.generic
    guest.conversation.specialise({})
    guest.say(frame("R"))
    await guest.conversation.ready


async def test_a_result_becomes_the_reply(guest):
    await specialised(guest)
    reply = guest.conversation.send(INVOCATION)
    guest.say(answer("O", 1, b"7"))
    assert Reply(kind=ReplyKind.RESULT, payload=b"7") == await reply
    assert not guest.conversation.broken


async def test_a_fatal_error_is_a_reply_and_ends_the_conversation(guest):
    await specialised(guest)
    reply = guest.conversation.send(INVOCATION)
    guest.say(answer("X", 1, b"{}"))
    assert Reply(kind=ReplyKind.ERROR, payload=b"{}") == await reply
    assert guest.conversation.broken


async def test_a_result_over_the_limit_is_an_error_and_the_environment_stays_good(guest):
    await specialised(guest)
    reply = guest.conversation.send(INVOCATION)
    guest.say(answer("T", 1))
    with pytest.raises(ResponseTooLarge):
        await reply
    assert not guest.conversation.broken


async def test_an_init_error_fails_the_init_phase(guest):
    guest.conversation.specialise({})
    guest.say(frame("F", b'{"errorType":"E"}'))
    with pytest.raises(InitFailed) as caught:
        await guest.conversation.ready
    assert b'{"errorType":"E"}' == caught.value.payload


@pytest.mark.parametrize(
    "lie",
    [
        frame("R"),
        frame("G"),
        frame("F", b"{}"),
        answer("O", 1, b"early"),
        frame("O", b"\x00"),
        b"\xff" * 5,
        frame("Z"),
    ],
    ids=["ready again", "generic again", "init error after init", "answer to nothing", "short", "giant", "unknown"],
)
async def test_a_frame_out_of_turn_ends_the_environment(guest, lie):
    await specialised(guest)
    guest.say(lie)
    await guest.broken.wait()
    assert guest.conversation.broken


async def test_an_answer_to_another_invocation_is_never_a_reply(guest):
    await specialised(guest)
    reply = guest.conversation.send(INVOCATION)
    guest.say(answer("O", 2, b"stale"))
    await guest.broken.wait()
    assert not reply.done()


async def test_a_second_answer_ends_the_environment(guest):
    await specialised(guest)
    reply = guest.conversation.send(INVOCATION)
    guest.say(answer("O", 1, b"1") + answer("O", 1, b"2"))
    assert b"1" == (await reply).payload
    await guest.broken.wait()


async def test_a_process_that_hangs_up_is_given_up(guest):
    await specialised(guest)
    guest.peer.close()
    await guest.conversation.settle()
    assert guest.conversation.broken
    await guest.broken.wait()
