"""The wires between the gateway, a fork server and a sandbox: numbers and layouts that both ends share.

Control wire of a fork server: SOCK_SEQPACKET, one JSON object a message, descriptors alongside (SCM_RIGHTS).
Wire of a sandbox: SOCK_STREAM, frames of `HEADER` (type, length of body) and body.
Telemetry wire of a sandbox: SOCK_SEQPACKET, one log event a message, ended by a newline.
"""

from __future__ import annotations

import socket
import struct

CONTROL_FD, MOUNTER_FD = 3, 4
"""Of the launcher and the fork server."""
SANDBOX_FD, TELEMETRY_FD = 3, 4
"""Of pid 1 of a sandbox."""
CHANNEL_FD = 3
"""Of a program that was started with a channel."""

LAUNCH_LIMIT = 64 * 1024
PATH_LIMIT = 4096
RUNTIME_API_PORT, PLATFORM_PORT, EGRESS_PORT = 9001, 9002, 9003
"""Listened on inside every sandbox's network namespace, by sockets that the gateway holds, in this order."""

HEADER = struct.Struct("!BI")

# gateway -> sandbox
SPECIALISE, EXECUTE, INVOKE = 1, 2, 3
# sandbox -> gateway
READY, SPECIALISED, INIT_DONE, INIT_ERROR, RESULT, ERROR, TOO_LARGE, FAILED = 16, 17, 18, 19, 20, 21, 22, 23

RESPONSE_LIMIT = 6_291_556
"""Bytes of a response. Source: Lambda quotas, 6 MiB and 100 bytes."""
FRAME_LIMIT = RESPONSE_LIMIT + 64 * 1024
"""Bytes of any body a sandbox may send."""

EVENT_LIMIT = 64 * 1024
"""Bytes of one log event on the telemetry wire; longer ones are sent in pieces."""

INVOKE_HEAD = struct.Struct("!QHHHI")
"""Deadline (epoch ms), lengths of request id, function ARN, trace id, client context; these follow, then the payload."""


def pack_invoke(
    deadline_ms: int,
    request_id: str,
    function_arn: str,
    trace_id: str | None,
    client_context: str | None,
    payload: bytes,
) -> bytes:
    """One INVOKE frame, header included. An absent trace id or client context travels as an empty one."""
    fields = (
        request_id.encode(),
        function_arn.encode(),
        (trace_id or "").encode(),
        (client_context or "").encode(),
    )
    head = INVOKE_HEAD.pack(deadline_ms, len(fields[0]), len(fields[1]), len(fields[2]), len(fields[3]))
    body_length = len(head) + sum(map(len, fields)) + len(payload)
    return b"".join((HEADER.pack(INVOKE, body_length), head, *fields, payload))


def unpack_invoke(body: bytes) -> tuple[int, str, str, str, str, bytes]:
    """(deadline_ms, request_id, function_arn, trace_id, client_context, payload)."""
    deadline_ms, *lengths = INVOKE_HEAD.unpack_from(body)
    position = INVOKE_HEAD.size
    fields = []
    for length in lengths:
        fields.append(body[position : position + length].decode())
        position += length
    return deadline_ms, fields[0], fields[1], fields[2], fields[3], body[position:]


class Frames:
    """Reads frames from a blocking stream socket. The other end is trusted."""

    def __init__(self, connection: socket.socket) -> None:
        self._receive = connection.recv
        self._receive_into = connection.recv_into
        self._rest = b""

    def next(self) -> tuple[int, bytes]:
        """The next frame.

        Raises:
            EOFError: the other side is gone.
        """
        data = self._rest or self._receive(65536)
        while len(data) < HEADER.size:
            more = self._receive(65536) if data else b""
            if not more:
                raise EOFError
            data += more
        kind, length = HEADER.unpack_from(data)
        end = HEADER.size + length
        if len(data) >= end:
            self._rest = data[end:]
            return kind, data[HEADER.size : end]
        body = bytearray(length)
        have = len(data) - HEADER.size
        body[:have] = data[HEADER.size :]
        view = memoryview(body)
        while have < length:
            count = self._receive_into(view[have:])
            if not count:
                raise EOFError
            have += count
        self._rest = b""
        return kind, bytes(body)
