"""The egress proxy over real sockets, in front of a staged internet."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from tests.fakes.outside import Rules, StagedInternet

from leastwise.linux.egress_answers import Notices
from leastwise.linux.egress_connection import Limits
from leastwise.linux.egress_door import EgressDoor, EgressProxy, Places
from leastwise.linux.egress_request import Destination
from leastwise.runtime.egress import NoEgress

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
PUBLIC = "93.184.215.14"
CONNECT = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Stage:
    """One proxy, and everything around it."""

    def __init__(self, directory: Path) -> None:
        self.internet = StagedInternet()
        self.internet.names["a.example"] = [PUBLIC]
        self.rules: Any = Rules(["a.example"])
        self.log: list[bytes] = []
        self.proxies: list[EgressProxy] = []
        self.servers: list[asyncio.Server] = []
        self._directory = directory

    def door(self, **settings: Any) -> EgressDoor:
        return EgressDoor(self.rules, self.internet, **settings)

    def open(self, door: EgressDoor | None = None, *, account: str = "123456789012", **settings: Any) -> int:
        """Opens a proxy; returns its port."""
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(0)
        spec: Any = SimpleNamespace(account_id=account, function_arn=ARN)
        self.proxies.append((door or self.door(**settings)).open(listener, spec, self.log.append))
        return int(listener.getsockname()[1])

    async def machine(self, answer: Answer, address: str = PUBLIC, port: int = 443) -> None:
        """Puts a server on the staged internet."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            _writers.append(writer)
            await answer(reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.servers.append(server)
        self.internet.machines[address, port] = server.sockets[0].getsockname()[1]


@pytest_asyncio.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    made = Stage(tmp_path)
    yield made
    for proxy in made.proxies:
        proxy.close()
    for server in made.servers:
        server.close()
    await end_of_connections()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data.upper())
        await writer.drain()
    writer.close()


_writers: list[asyncio.StreamWriter] = []


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    _writers.append(writer)
    return reader, writer


async def end_of_connections() -> None:
    """Leaves nothing to the next test's collector."""
    for writer in _writers:
        writer.transport.abort()
    async with asyncio.timeout(10):
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        for writer in _writers:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
    _writers.clear()


async def ask(port: int, data: bytes) -> bytes:
    """Sends, and reads to the end."""
    reader, writer = await connect(port)
    writer.write(data)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def tunnel(port: int, head: bytes = CONNECT) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await connect(port)
    writer.write(head)
    async with asyncio.timeout(10):
        assert await reader.readexactly(len(ESTABLISHED)) == ESTABLISHED
    return reader, writer


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


# --- refusals


async def test_without_rules_everything_is_refused_and_says_why(stage: Stage) -> None:
    stage.rules = NoEgress()
    answer = await ask(stage.open(), CONNECT)
    head, body = answer.split(b"\r\n\r\n", 1)
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 403 Forbidden by leastwise: no egress rule allows it"
    assert b'Proxy-Status: leastwise; error=http_request_denied; details="no egress rule allows it"' in lines
    assert b"Content-Length: %d" % len(body) in lines
    assert b"destination: a.example:443" in body
    assert ARN.encode() in body
    assert stage.log == [b"[leastwise] egress to a.example:443 refused: no egress rule allows it"]
    assert stage.internet.looked_up == []
    assert stage.internet.connected == []


async def test_a_plain_request_is_refused_without_a_word_of_it_on_record(stage: Stage) -> None:
    stage.rules = NoEgress()
    answer = await ask(
        stage.open(),
        b"POST http://a.example/path?token=SECRET HTTP/1.1\r\nAuthorization: SECRET\r\nContent-Length: 6\r\n\r\nSECRET",
    )
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"SECRET" not in answer + b"".join(stage.log)


async def test_the_answer_arrives_though_the_body_is_still_on_its_way(stage: Stage) -> None:
    stage.rules = NoEgress()
    reader, writer = await connect(stage.open())
    writer.write(b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 500_000)
    assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")
    writer.write(b"x" * 500_000)
    writer.write_eof()
    assert (await reader.read()).endswith(b"\n")
    writer.close()


async def test_the_rules_are_asked_with_the_function_and_the_judged_name(stage: Stage) -> None:
    await ask(stage.open(), b"CONNECT Other.Example.:8443 HTTP/1.1\r\n\r\n")
    assert stage.rules.asked == [(ARN, "other.example", 8443)]


async def test_a_malformed_request_is_answered_and_nobody_is_asked(stage: Stage) -> None:
    assert (await ask(stage.open(), b"\x16\x03\x01\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert stage.rules.asked == []
    assert stage.log == []


# --- addresses


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "169.254.169.254",
        "10.0.0.5",
        "::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "224.0.0.1",
        "0.0.0.0",
    ],
)
async def test_a_name_that_is_allowed_does_not_lead_to_an_address_that_is_not_public(
    stage: Stage, address: str
) -> None:
    stage.internet.names["a.example"] = [address]
    await stage.machine(echo, address, 443)
    answer = await ask(stage.open(), CONNECT)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"error=destination_ip_prohibited" in answer
    assert address.encode() not in answer
    assert stage.internet.connected == []


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.5", "fd00:ec2::254"])
async def test_a_rule_that_names_the_address_leads_there(stage: Stage, address: str) -> None:
    stage.rules = Rules(["a.example"], f"{address}/{128 if ':' in address else 32}")
    stage.internet.names["a.example"] = ["192.168.0.1", address]
    await stage.machine(echo, address, 443)
    _, writer = await tunnel(stage.open())
    writer.close()
    assert stage.internet.connected == [(address, 443)]


async def test_an_address_of_the_platforms_own_is_refused_though_it_is_public(stage: Stage) -> None:
    stage.internet.ours.add(PUBLIC)
    await stage.machine(echo)
    answer = await ask(stage.open(), CONNECT)
    assert b"error=destination_ip_prohibited" in answer
    assert stage.internet.connected == []


async def test_the_name_is_looked_up_once_and_the_judged_address_is_connected_to(stage: Stage) -> None:
    await stage.machine(echo)
    _, writer = await tunnel(stage.open())
    writer.close()
    assert stage.internet.looked_up == ["a.example"]
    assert stage.internet.connected == [(PUBLIC, 443)]


async def test_of_several_addresses_only_public_ones_are_tried(stage: Stage) -> None:
    stage.internet.names["a.example"] = ["127.0.0.1", "8.8.8.8", "10.0.0.1", PUBLIC]
    await stage.machine(echo)
    _, writer = await tunnel(stage.open())
    writer.close()
    assert stage.internet.connected == [("8.8.8.8", 443), (PUBLIC, 443)]


# --- carrying


async def test_a_tunnel_carries_bytes_both_ways_and_counts_them(stage: Stage) -> None:
    await stage.machine(echo)
    reader, writer = await tunnel(stage.open())
    block = bytes(range(256)) * 4096
    writer.write(block)
    writer.write_eof()
    assert await reader.read() == block.upper()
    writer.close()
    await until(lambda: stage.rules.counted)
    assert stage.rules.counted == [(ARN, "a.example", 443, len(block), len(block))]


async def test_bytes_sent_along_with_connect_go_into_the_tunnel(stage: Stage) -> None:
    await stage.machine(echo)
    reader, writer = await tunnel(stage.open(), CONNECT + b"early")
    assert await reader.readexactly(5) == b"EARLY"
    writer.close()


async def test_a_server_that_speaks_first_is_heard_after_the_tunnel_stands(stage: Stage) -> None:
    async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.read()
        writer.close()

    await stage.machine(banner)
    reader, writer = await tunnel(stage.open())
    assert await reader.readline() == b"220 hello\r\n"
    writer.close()


async def test_a_request_is_forwarded_with_its_body_and_answered(stage: Stage) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    await stage.machine(serve, port=80)
    answer = await ask(
        stage.open(),
        b"POST http://a.example/x HTTP/1.1\r\nHost: fronted.example\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\n\r\n",
    )
    assert answer.endswith(b"\r\n\r\nok")
    assert seen[0].startswith(b"POST /x HTTP/1.1\r\nHost: a.example\r\n")
    assert seen[0].endswith(b"3\r\nabc\r\n0\r\n\r\n")
    assert b"fronted" not in seen[0]


async def test_a_second_request_on_the_connection_reaches_nobody(stage: Stage) -> None:
    seen = bytearray()
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            seen.extend(data)
        writer.close()
        over.set()

    await stage.machine(serve, port=80)
    reader, writer = await connect(stage.open())
    writer.write(b"GET http://a.example/first HTTP/1.1\r\n\r\n")
    await until(lambda: b"first" in seen)
    writer.write(b"GET http://b.example/second HTTP/1.1\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    async with asyncio.timeout(10):
        await over.wait()
    assert b"second" not in seen


async def test_a_slow_reader_slows_the_sender_and_fills_nothing(stage: Stage) -> None:
    stalled = asyncio.Event()
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.transport.set_write_buffer_limits(high=65536)
        try:
            while True:
                writer.write(b"x" * 65536)
                async with asyncio.timeout(0.3):
                    await writer.drain()
                sent += 65536
        except TimeoutError:
            stalled.set()
        writer.transport.abort()

    await stage.machine(flood)
    inner = socket.socket()
    inner.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    inner.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(inner, ("127.0.0.1", stage.open()))
    await loop.sock_sendall(inner, CONNECT)
    async with asyncio.timeout(20):
        await stalled.wait()
    inner.close()
    assert 0 < sent < 32 * 1024 * 1024


# --- limits


async def test_a_head_that_does_not_end_in_time_is_refused(stage: Stage) -> None:
    assert (await ask(stage.open(limits=Limits(head_s=0.05)), b"CONNECT a.exa")).startswith(b"HTTP/1.1 408 ")


async def test_a_head_that_comes_byte_by_byte_gets_no_more_time(stage: Stage) -> None:
    reader, writer = await connect(stage.open(limits=Limits(head_s=0.2)))
    answered = asyncio.ensure_future(reader.readline())
    async with asyncio.timeout(10):
        while not answered.done():
            writer.write(b"x" if writer.get_extra_info("socket") else b"")
            await asyncio.sleep(0.02)
    assert (await answered).startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 400 "))
    writer.close()


async def test_a_tunnel_without_traffic_is_cut(stage: Stage) -> None:
    await stage.machine(echo)
    reader, writer = await tunnel(stage.open(limits=Limits(idle_s=0.05)))
    async with asyncio.timeout(10):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    writer.close()
    await until(lambda: stage.rules.counted)


async def test_a_destination_that_does_not_answer_is_given_up(stage: Stage) -> None:
    stage.internet.silent = True
    answer = await ask(stage.open(limits=Limits(connect_s=0.05)), CONNECT)
    assert answer.startswith(b"HTTP/1.1 504 ")


async def test_what_cannot_be_reached_or_resolved_is_a_bad_gateway(stage: Stage) -> None:
    port = stage.open()
    assert b"error=connection_refused" in await ask(port, CONNECT)
    stage.internet.names.clear()
    assert b"error=dns_error" in await ask(port, CONNECT)


async def test_an_environment_and_an_account_have_so_many_places(stage: Stage) -> None:
    await stage.machine(echo)
    door = stage.door(places=Places(environment=2, account=3, all=4))
    first, second, stranger = stage.open(door), stage.open(door), stage.open(door, account="210987654321")
    held = [await tunnel(first), await tunnel(first)]
    assert (await ask(first, CONNECT)).startswith(b"HTTP/1.1 503 ")
    held.append(await tunnel(second))
    assert (await ask(second, CONNECT)).startswith(b"HTTP/1.1 503 ")
    held.append(await tunnel(stranger))
    assert (await ask(stranger, CONNECT)).startswith(b"HTTP/1.1 503 ")
    for _, writer in held:
        writer.close()
    await until(lambda: len(stage.rules.counted) == 4)
    for _, writer in [await tunnel(first), await tunnel(first)]:
        writer.close()


async def test_a_refused_connection_that_sends_on_is_cut(stage: Stage) -> None:
    stage.rules = NoEgress()
    reader, writer = await connect(stage.open(limits=Limits(linger_bytes=100_000)))
    writer.write(b"POST http://a.example/ HTTP/1.1\r\nContent-Length: 100000000\r\n\r\n")

    async def send_on() -> None:
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            await asyncio.sleep(0)

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(send_on(), 10)


async def test_the_end_of_the_environment_cuts_every_connection(stage: Stage) -> None:
    await stage.machine(echo)
    port = stage.open()
    reader, writer = await tunnel(port)
    stage.proxies[0].close()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_the_end_of_the_environment_ends_what_is_being_connected(stage: Stage) -> None:
    stage.internet.silent = True
    reader, writer = await connect(stage.open())
    writer.write(CONNECT)
    await until(lambda: stage.internet.looked_up)
    stage.proxies[0].close()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


def test_refusals_in_the_log_are_few_and_the_rest_is_counted() -> None:
    said: list[bytes] = []
    notices = Notices(said.append, 0)
    where = Destination(host="a.example", port=443)
    for _ in range(1000):
        notices.refused(where, "no", 500)
    assert len(said) == 20
    notices.refused(where, "no", 1000)
    assert said[20:] == [
        b"[leastwise] 980 more refusals of egress were not logged: too many at once",
        b"[leastwise] egress to a.example:443 refused: no",
    ]


def test_the_words_of_a_rule_cannot_write_headers_or_lines() -> None:
    said: list[bytes] = []
    Notices(said.append, 0).refused(Destination(host="a", port=1), 'x\r\ny"\x1b[0m\u2028', 0)
    assert said == [b"[leastwise] egress to a:1 refused: x  y  [0m "]
