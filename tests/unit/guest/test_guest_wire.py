"""Frames between the gateway and a sandbox."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.guest import wire


@given(
    deadline=st.integers(0, 2**63),
    request_id=st.text(max_size=60),
    arn=st.text(max_size=200),
    trace=st.none() | st.text(min_size=1, max_size=100),
    context=st.none() | st.text(min_size=1, max_size=2000),
    payload=st.binary(max_size=5000),
)
def test_an_invocation_survives_the_wire(
    deadline: int, request_id: str, arn: str, trace: str | None, context: str | None, payload: bytes
) -> None:
    frame = wire.pack_invoke(deadline, request_id, arn, trace, context, payload)
    kind, length = wire.HEADER.unpack_from(frame)
    body = frame[wire.HEADER.size :]
    assert (wire.INVOKE, len(body)) == (kind, length)
    assert (deadline, request_id, arn, trace or "", context or "", payload) == wire.unpack_invoke(body)


@pytest.mark.parametrize("size", [0, 1, 65531, 65536, 1_000_000])
def test_frames_of_every_size_are_read_whole_and_in_order(size: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sent = [(7, b"x" * size), (8, b""), (9, b"tail")]
        data = b"".join(wire.HEADER.pack(kind, len(body)) + body for kind, body in sent)
        writer = threading.Thread(target=ours.sendall, args=(data,))
        writer.start()
        frames = wire.Frames(theirs)
        assert sent == [frames.next() for _ in sent]
        writer.join()


def test_the_end_of_the_wire_is_an_end_of_file_even_in_the_middle_of_a_frame() -> None:
    for data in (b"", b"\1", wire.HEADER.pack(1, 10) + b"half"):
        ours, theirs = socket.socketpair()
        with theirs:
            ours.sendall(data)
            ours.close()
            with pytest.raises(EOFError):
                wire.Frames(theirs).next()
