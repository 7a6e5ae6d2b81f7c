"""The Runtime API over a real socket, with clients that mean well and clients that do not."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from leastwise.linux.runtime_api import RuntimeApi
from leastwise.linux.runtime_http import GuestHttpServer, HttpLimits
from leastwise.linux.runtime_protocol import MAX_PAYLOAD_BYTES
from leastwise.runtime.interface import InitFailed, Invocation, Reply, ReplyKind, ResponseTooLarge

ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:hello"
LIMITS = HttpLimits(connections=8, head_bytes=64 * 1024)
PREFIX = "/2018-06-01"


def invocation(**changes) -> Invocation:
    values = {"request_id": ID, "payload": b'{"a":1}', "deadline_ms": 1_700_000_000_123, "function_arn": ARN}
    return Invocation(**{**values, **changes})


@dataclass
class Answered:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error_type(self) -> str:
        return json.loads(self.body)["errorType"]


@dataclass
class Api:
    api: RuntimeApi
    server: GuestHttpServer
    port: int

    async def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
        return await asyncio.to_thread(self._request, method, path, body, headers)

    def _request(self, method, path, body, headers) -> Answered:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, PREFIX + path, body, headers)
            response = connection.getresponse()
            return Answered(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    async def ask(self) -> asyncio.Task[Answered]:
        task = asyncio.create_task(self.request("GET", "/runtime/invocation/next"))
        await self.api.ready
        return task

    async def take(self, given: Invocation) -> asyncio.Future[Reply]:
        """Hands out an invocation to a client that asks for it."""
        asking = asyncio.create_task(self.request("GET", "/runtime/invocation/next"))
        reply = self.api.send(given)
        await asking
        return reply

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    runtime_api = RuntimeApi()
    server = GuestHttpServer(runtime_api, LIMITS)
    await server.serve(listener)
    yield Api(runtime_api, server, listener.getsockname()[1])
    server.close()
    listener.close()


async def test_the_first_next_ends_the_init_phase(api):
    asking = await api.ask()
    assert not asking.done()
    api.api.send(invocation())
    await asking


async def test_next_carries_every_header_of_the_invocation(api):
    asking = await api.ask()
    api.api.send(invocation(client_context='{"client":{}}', trace_id="Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700"))
    answered = await asking
    assert 200 == answered.status
    assert b'{"a":1}' == answered.body
    assert {
        "Lambda-Runtime-Aws-Request-Id": ID,
        "Lambda-Runtime-Deadline-Ms": "1700000000123",
        "Lambda-Runtime-Invoked-Function-Arn": ARN,
        "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
        "Lambda-Runtime-Client-Context": '{"client":{}}',
        "Content-Type": "application/json",
        "Content-Length": "7",
    } == answered.headers


async def test_headers_without_a_value_are_left_out(api):
    asking = await api.ask()
    api.api.send(invocation())
    assert not {"Lambda-Runtime-Trace-Id", "Lambda-Runtime-Client-Context"} & set((await asking).headers)


async def test_a_client_context_cannot_write_headers(api):
    asking = await api.ask()
    api.api.send(invocation(client_context='{"a":\r\n"X\u00e9\U0001f600"}\r\nEvil: 1'))
    headers = (await asking).headers
    assert "Evil" not in headers
    assert '{"a":  "X\\u00e9\\ud83d\\ude00"}  Evil: 1' == headers["Lambda-Runtime-Client-Context"]


async def test_a_response_becomes_the_reply(api):
    reply = await api.take(invocation())
    answered = await api.request("POST", f"/runtime/invocation/{ID}/response", b"[1]")
    assert (202, {"status": "OK"}) == (answered.status, json.loads(answered.body))
    assert Reply(kind=ReplyKind.RESULT, payload=b"[1]") == await reply


async def test_an_error_becomes_an_error_reply(api):
    reply = await api.take(invocation())
    body = b'{"errorMessage":"m","errorType":"E"}'
    answered = await api.request("POST", f"/runtime/invocation/{ID}/error", body)
    assert 202 == answered.status
    assert Reply(kind=ReplyKind.ERROR, payload=body) == await reply


async def test_an_init_error_fails_the_init_phase(api):
    headers = {"Lambda-Runtime-Function-Error-Type": "Runtime.NoSuchHandler"}
    answered = await api.request("POST", "/runtime/init/error", b'{"errorType":"Runtime.NoSuchHandler"}', **headers)
    assert 202 == answered.status
    with pytest.raises(InitFailed) as caught:
        await api.api.ready
    assert b'{"errorType":"Runtime.NoSuchHandler"}' == caught.value.payload


async def test_ping_pongs(api):
    answered = await api.request("GET", "/ping")
    assert (200, b"pong") == (answered.status, answered.body)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/runtime", 404),
        ("GET", "/runtime/invocation/next/", 404),
        ("POST", "/runtime/invocation/next", 405),
        ("GET", f"/runtime/invocation/{ID}/response", 405),
        ("POST", f"/runtime/invocation/{ID}/nothing", 404),
        ("POST", f"/runtime/invocation/{'x' * 500}/response", 404),
        ("GET", "/../../etc/passwd", 404),
    ],
)
async def test_other_paths_and_methods_are_not_there(api, method, path, status):
    assert status == (await api.request(method, path)).status


async def test_a_chunked_response_is_put_together(api):
    reply = await api.take(invocation())
    reader, writer = await api.connect()
    writer.write(
        f"POST {PREFIX}/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n".encode()
    )
    assert b"HTTP/1.1 202 Accepted\r\n" == await reader.readline()
    writer.close()
    assert Reply(kind=ReplyKind.RESULT, payload=b"[1,2]") == await reply


async def test_a_stream_that_ends_with_an_error_trailer_is_an_error(api):
    reply = await api.take(invocation())
    reader, writer = await api.connect()
    writer.write(
        f"POST {PREFIX}/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Trailer: Lambda-Runtime-Function-Error-Type\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\r\n"
        "3\r\n[1,\r\n0\r\nLambda-Runtime-Function-Error-Type: Runtime.Broke\r\n\r\n".encode()
    )
    assert b"HTTP/1.1 202 Accepted\r\n" == await reader.readline()
    writer.close()
    assert Reply(kind=ReplyKind.ERROR, payload=b'{"errorType":"Runtime.Broke"}') == await reply


async def test_an_unknown_response_mode_is_refused_and_the_invocation_stays_open(api):
    reply = await api.take(invocation())
    mode = {"Lambda-Runtime-Function-Response-Mode": "chunky"}
    answered = await api.request("POST", f"/runtime/invocation/{ID}/response", b"1", **mode)
    assert (400, "InvalidFunctionResponseMode") == (answered.status, answered.error_type)
    assert not reply.done()


async def test_one_connection_serves_many_requests(api):
    reader, writer = await api.connect()
    for number in range(3):
        writer.write(f"GET {PREFIX}/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reply = api.api.send(invocation(payload=b"%d" % number))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        assert b"%d" % number == await reader.readexactly(1)
        writer.write(
            f"POST {PREFIX}/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n7".encode()
        )
        assert b"202" in await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(16)
        assert b"7" == (await reply).payload
    writer.close()


async def test_a_client_that_expects_to_be_asked_for_its_body_is_asked(api):
    await api.take(invocation())
    reader, writer = await api.connect()
    writer.write(
        f"POST {PREFIX}/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
        "Expect: 100-continue\r\n\r\n".encode()
    )
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == await reader.readuntil(b"\r\n\r\n")
    writer.write(b"1")
    assert b"HTTP/1.1 202 Accepted\r\n" == await reader.readline()
    writer.close()


# Attacks


async def test_an_answer_with_another_id_is_refused(api):
    reply = await api.take(invocation())
    answered = await api.request("POST", "/runtime/invocation/other/response", b"1")
    assert (400, "InvalidRequestID") == (answered.status, answered.error_type)
    assert not reply.done()


async def test_a_second_response_is_refused_and_changes_nothing(api):
    reply = await api.take(invocation())
    await api.request("POST", f"/runtime/invocation/{ID}/response", b"1")
    answered = await api.request("POST", f"/runtime/invocation/{ID}/response", b"2")
    assert (403, "InvalidStateTransition") == (answered.status, answered.error_type)
    assert b"1" == (await reply).payload


async def test_a_response_after_an_error_is_refused(api):
    reply = await api.take(invocation())
    await api.request("POST", f"/runtime/invocation/{ID}/error", b'{"errorType":"E"}')
    answered = await api.request("POST", f"/runtime/invocation/{ID}/response", b"2")
    assert 403 == answered.status
    assert ReplyKind.ERROR is (await reply).kind


async def test_a_second_connection_that_asks_for_next_is_refused(api):
    asking = await api.ask()
    answered = await api.request("GET", "/runtime/invocation/next")
    assert (403, "InvalidStateTransition") == (answered.status, answered.error_type)
    api.api.send(invocation())
    assert 200 == (await asking).status


async def test_a_waiting_connection_that_breaks_does_not_swallow_the_invocation(api):
    _, writer = await api.connect()
    writer.write(f"GET {PREFIX}/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await api.api.ready
    writer.close()
    await writer.wait_closed()
    # A refusal proves that the break has not been noticed yet.
    while (await api.request("GET", "/ping")).status != 200 or api.api._asking is not None:
        await asyncio.sleep(0)
    reply = await api.take(invocation())
    await api.request("POST", f"/runtime/invocation/{ID}/response", b"1")
    assert b"1" == (await reply).payload


async def test_twenty_megabytes_are_refused_and_the_environment_stays_good(api):
    reply = await api.take(invocation())
    answered = await api.request("POST", f"/runtime/invocation/{ID}/response", b"x" * 20_000_000)
    assert (413, "RequestEntityTooLarge") == (answered.status, answered.error_type)
    assert "Exceeded maximum allowed payload size (6291556 bytes)." == json.loads(answered.body)["errorMessage"]
    with pytest.raises(ResponseTooLarge):
        await reply
    again = await api.take(invocation())
    await api.request("POST", f"/runtime/invocation/{ID}/response", b"x" * MAX_PAYLOAD_BYTES)
    assert MAX_PAYLOAD_BYTES == len((await again).payload)


async def test_an_announced_length_of_a_terabyte_holds_no_memory_and_answers_nothing(api):
    reply = await api.take(invocation())
    _, writer = await api.connect()
    writer.write(
        f"POST {PREFIX}/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\nx".encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    while api.server._holdings.connections:
        await asyncio.sleep(0)
    assert not reply.done()
    await api.request("POST", f"/runtime/invocation/{ID}/response", b"1")
    assert b"1" == (await reply).payload


async def test_a_body_that_drips_blocks_nobody_else_and_only_one_is_held(api):
    reply = await api.take(invocation())
    slow_reader, slow = await api.connect()
    slow.write(
        f"POST {PREFIX}/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n1".encode()
    )
    await slow.drain()
    while (await api.request("POST", "/runtime/invocation/other/response", b"2")).status != 403:
        await asyncio.sleep(0)
    slow.write(b"23")
    assert b"HTTP/1.1 202 Accepted\r\n" == await slow_reader.readline()
    slow.close()
    assert b"123" == (await reply).payload


async def read_all(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "bomb",
    [
        b"X: " + b"a" * 10_000_000,
        b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"\r\n",
        b"".join(b"X: %d\r\n" % number for number in range(1_000_000)),
        b"\x00: x\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n\x00\x01",
    ],
    ids=["one long", "200", "many", "nul", "negative", "two lengths", "upgrade"],
)
async def test_a_header_bomb_ends_the_connection_and_nothing_else(api, bomb):
    reader, writer = await api.connect()
    writer.write(f"POST {PREFIX}/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\n".encode() + bomb)
    seen = await read_all(reader)
    assert seen == b"" or seen.split()[1] in {b"400", b"431", b"403"}
    writer.close()
    assert 200 == (await api.request("GET", "/ping")).status
    assert 0 == api.server._holdings.head_bytes


async def test_heads_are_counted_over_all_connections(api):
    half = b"X: " + b"a" * (LIMITS.head_bytes // 4)
    clients = [await api.connect() for _ in range(6)]
    for _, writer in clients:
        writer.write(f"GET {PREFIX}/ping HTTP/1.1\r\n".encode() + half)
        await writer.drain()
    await asyncio.wait([asyncio.create_task(read_all(reader)) for reader, _ in clients], return_when="FIRST_COMPLETED")
    assert LIMITS.head_bytes >= api.server._holdings.head_bytes
    for _, writer in clients:
        writer.close()


async def test_more_connections_than_allowed_are_reset(api):
    clients = [await api.connect() for _ in range(LIMITS.connections)]
    for _, writer in clients:
        writer.write(b"G")
    while len(api.server._holdings.connections) < LIMITS.connections:
        await asyncio.sleep(0)
    reader, writer = await api.connect()
    assert b"" == await read_all(reader)
    writer.close()
    assert LIMITS.connections == len(api.server._holdings.connections)
    for _, writer in clients:
        writer.close()


async def test_pipelined_requests_cut_the_connection(api):
    reader, writer = await api.connect()
    request = f"GET {PREFIX}/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    writer.write(request + request)
    assert b"" == await read_all(reader)
    writer.close()
    again = asyncio.create_task(api.request("GET", "/runtime/invocation/next"))
    api.api.send(invocation())
    assert 200 == (await again).status


async def test_endless_trailers_cut_the_connection(api):
    reply = await api.take(invocation())
    reader, writer = await api.connect()
    writer.write(
        f"POST {PREFIX}/runtime/invocation/{ID}/response HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        "1\r\n1\r\n0\r\nX: ".encode()
        + b"a" * 10_000_000
    )
    assert b"202" not in await read_all(reader)
    writer.close()
    assert not reply.done()


async def test_a_client_that_never_reads_does_not_pile_up_answers(api):
    _, writer = await api.connect()
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = f"GET {PREFIX}/ping HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    sent = 0
    while sent < 20_000_000 and writer.transport.get_write_buffer_size() < 1_000_000:
        writer.write(request * 100)
        sent += len(request) * 100
        await asyncio.sleep(0)
    (connection,) = api.server._holdings.connections
    transport = connection._transport
    assert transport is None or transport.get_write_buffer_size() < 4_000_000
    writer.transport.abort()


async def test_closing_cuts_a_waiting_client(api):
    asking = await api.ask()
    api.server.close()
    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        await asking
