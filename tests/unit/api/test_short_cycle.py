"""A plain Invoke takes a shorter way through HTTP: the answer, and what is carried inside, are those of the long way."""

import asyncio

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.unit.api.test_server import echo, listening, serving, talk
from uvicorn.config import Config
from uvicorn.server import ServerState

from leastwise.api import connection as connection_module
from leastwise.kernel.call import Outcome, SigV4Proof

KEY = Credentials("AKIAIOSFODNN7EXAMPLE", "secret")
PATH = "/2015-03-31/functions/f/invocations"
LONG_WAY = b"expect: 100-continue\r\n"


def request(path=PATH, body=b'{"a":1}', *, signed=True, extra=b"", **headers):
    """The bytes of an Invoke. `extra` are header lines that are not signed."""
    made = AWSRequest("POST", f"http://127.0.0.1:9{path}", data=body, headers={"Host": "127.0.0.1:9", **headers})
    if signed:
        SigV4Auth(KEY, "lambda", "us-east-1").add_auth(made)
    lines = [f"POST {path} HTTP/1.1".encode(), *(f"{name}: {value}".encode() for name, value in made.headers.items())]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n" + extra + b"\r\n" + body


def parts(answer):
    """Status line, headers without those of the moment, body."""
    answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = {line.partition(b": ")[0]: line.partition(b": ")[2] for line in lines}
    identity = headers.pop(b"x-amzn-requestid")
    del headers[b"date"]
    return first, headers, body.replace(identity, b"ID")


@pytest.fixture
def shorts(monkeypatch):
    """How often the short way was taken."""
    taken = []

    class Counted(connection_module.ShortCycle):
        def __init__(self, connection):
            taken.append(connection.url)
            super().__init__(connection)

    monkeypatch.setattr(connection_module, "ShortCycle", Counted)
    return taken


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"body": b""},
        {"path": PATH + "?Qualifier=PROD"},
        {"path": PATH + "?Qualifier=%24LATEST"},
        {"path": PATH + "?Qualifier="},
        {"X-Amz-Invocation-Type": "DryRun"},
        {"X-Amz-Invocation-Type": "Sometimes"},
        {"X-Amz-Log-Type": "Tail"},
        {"signed": False},
        {"signed": False, "Authorization": "AWS4-HMAC-SHA256 Credential=nonsense"},
        {"body": b"x" * 60_000},
    ],
)
async def test_the_short_way_answers_as_the_long_one_does(given, shorts):
    seen = []

    async def perform(call):
        proof = call.proof.access_key_id if isinstance(call.proof, SigV4Proof) else call.proof
        seen.append((call.service, call.operation, call.command, proof, str(call.problem), call.source.ip))
        return await echo(call)

    async with serving(perform) as server:
        short = await talk(server.port, request(**given, extra=b"connection: close\r\n"))
        long = await talk(server.port, request(**given, extra=LONG_WAY + b"connection: close\r\n"))
    assert parts(long) == parts(short)
    assert seen[: len(seen) // 2] == seen[len(seen) // 2 :]
    assert 1 == len(shorts)


@pytest.mark.parametrize(
    "extra",
    [b"expect: 100-continue\r\n", b"upgrade: h2c\r\n", b"content-encoding: gzip\r\n"],
)
async def test_whatever_is_not_plain_takes_the_long_way(extra, shorts):
    async with serving() as server:
        await talk(server.port, request(extra=extra + b"connection: close\r\n"))
    assert [] == shorts


async def test_a_large_body_takes_the_long_way_where_it_is_counted(shorts):
    async with serving() as server:
        answer = await talk(server.port, request(body=b"1" * 70_000, extra=b"connection: close\r\n"))
    assert b"1" * 70_000 == parts(answer)[2]
    assert [] == shorts


async def test_a_request_may_come_byte_by_byte(shorts):
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for byte in request():
            writer.write(bytes((byte,)))
            await writer.drain()
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()
    assert 1 == len(shorts)


async def test_one_connection_carries_many_calls_of_both_ways_in_their_order(shorts):
    bodies = [b"1", b"2", b"3", b"4", b"5"]
    async with serving() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        for at, body in enumerate(bodies):
            writer.write(request(body=body, extra=b"upgrade: x\r\n" if at % 2 else b""))
        answers = b""
        while answers.count(b"x-amzn-requestid") < len(bodies) or not answers.endswith(b"5"):
            answers += await asyncio.wait_for(reader.read(65536), 10)
        writer.close()
    assert bodies == [answer.partition(b"\r\n\r\n")[2][:1] for answer in answers.split(b"HTTP/1.1 200 OK")[1:]]
    assert shorts


async def test_a_header_value_cannot_write_headers_of_its_own():
    async def perform(call):
        result = {"StatusCode": 200, "Payload": b"{}", "FunctionError": "x\r\nset-cookie: stolen=1"}
        return Outcome(request_id=call.request_id, result=result)

    async with serving(perform) as server:
        answer = await talk(server.port, request(extra=b"connection: close\r\n"))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in answer


async def test_a_door_that_lets_a_line_break_through_answers_nothing_of_it():
    class Careless:
        @staticmethod
        async def answer(_scope, _body):
            return 200, [(b"x-amz-function-error", b"x\r\nset-cookie: stolen=1")], b""

    state = ServerState()
    config = Config(app=None, lifespan="off", http=connection_module.DoorConnection, log_config=None)
    listener = listening()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: connection_module.DoorConnection(Careless(), config, state, connection_module.HttpLimits()),
        sock=listener,
    )
    answer = await talk(server.sockets[0].getsockname()[1], request())
    server.close()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"set-cookie" not in answer


async def test_a_caller_that_hangs_up_disturbs_nobody():
    running, go_on = asyncio.Event(), asyncio.Event()

    async def perform(call):
        running.set()
        await go_on.wait()
        return await echo(call)

    async with serving(perform) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request())
        await running.wait()
        writer.transport.abort()
        go_on.set()
        answer = await talk(server.port, request(extra=b"connection: close\r\n"))
        assert answer.startswith(b"HTTP/1.1 200")


async def test_draining_waits_for_a_call_on_the_short_way_and_closes_behind_it():
    running, go_on = asyncio.Event(), asyncio.Event()

    async def perform(call):
        running.set()
        await go_on.wait()
        return await echo(call)

    async with serving(perform) as server:
        calling = asyncio.ensure_future(talk(server.port, request()))
        await running.wait()
        draining = asyncio.ensure_future(server.drain(10))
        await asyncio.sleep(0)
        go_on.set()
        answer = await calling
        await draining
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer


async def test_an_idle_connection_is_closed_after_its_time():
    async with serving(keep_alive_s=0.01) as server:
        answer = await talk(server.port, request())
    assert answer.startswith(b"HTTP/1.1 200")


async def test_who_reads_no_answers_has_no_more_of_them_made():
    made = []
    answer = b'"' + b"x" * 4_000_000 + b'"'

    async def perform(call):
        made.append(call.request_id)
        return Outcome(request_id=call.request_id, result={"StatusCode": 200, "Payload": answer})

    async with serving(perform) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
        for _ in range(20):
            writer.write(request())
        await writer.drain()
        while len(made) < 2:
            await asyncio.sleep(0)
        for _ in range(2_000):
            await asyncio.sleep(0)
        assert len(made) < 10
        writer.transport.abort()
        del reader


async def test_fields_behind_a_body_are_no_headers():
    seen = []

    async def perform(call):
        seen.append(call.source.user_agent)
        return await echo(call)

    body = b"2\r\n{}\r\n0\r\nuser-agent: forged\r\n\r\n"
    plain = request(body=b"{}", extra=b"transfer-encoding: chunked\r\nconnection: close\r\n")
    head = plain.partition(b"\r\n\r\n")[0].replace(b"Content-Length: 2\r\n", b"")
    async with serving(perform) as server:
        await talk(server.port, head + b"\r\n\r\n" + body)
    assert [""] == seen


async def test_a_caller_that_is_given_up_gets_one_answer_only():
    """The body stalls: 408 it is, even if the rest comes after all."""
    async with serving(body_idle_s=0.01) as server:
        answer = await talk(server.port, request(body=b"1234")[:-2])
    assert answer.startswith(b"HTTP/1.1 408")
    assert 1 == answer.count(b"HTTP/1.1")
