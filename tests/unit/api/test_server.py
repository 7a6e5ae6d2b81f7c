"""The door on real sockets: limits on clients, many servers in one loop, draining."""

import asyncio
import contextlib
import datetime
import socket
import ssl

import boto3
import pytest
from botocore.config import Config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from leastwise.api.app import create_app
from leastwise.api.connection import HttpLimits
from leastwise.api.server import serve_on, tls_context
from leastwise.kernel.call import Outcome, Source
from leastwise.kernel.clock import SystemClock

IMPLEMENTED = {("lambda", "Invoke"), ("lambda", "ListFunctions"), ("iam", "ListUsers"), ("sts", "GetCallerIdentity")}


def door(perform, **more):
    return create_app(perform, implemented=IMPLEMENTED, clock=SystemClock(), **more)


async def echo(call):
    result = {"StatusCode": 200, "Payload": call.command.get("Payload", b"null")} if call.operation == "Invoke" else {}
    return Outcome(request_id=call.request_id, result=result)


def listening():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


@contextlib.asynccontextmanager
async def serving(perform=echo, *, tls=None, **limits):
    server = await serve_on(listening(), door(perform), tls=tls, limits=HttpLimits(**limits))
    try:
        yield server
    finally:
        server.abort()


def boto(service, port, *, scheme="http", verify=None):
    return boto3.client(
        service,
        endpoint_url=f"{scheme}://127.0.0.1:{port}",
        region_name="eu-west-1",
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="secret",
        verify=verify,
        config=Config(retries={"total_max_attempts": 1}),
    )


async def talk(port, data, *, wait=True):
    """Sends raw bytes and reads until the server closes (or, not waiting, what came first)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(10):
            return await (reader.read() if wait else reader.read(65536))
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


async def test_boto3_invokes_over_a_real_socket():
    async with serving() as server:
        client = boto("lambda", server.port)
        answer = await asyncio.to_thread(client.invoke, FunctionName="f", Payload=b'{"a":1}')
        assert (200, b'{"a":1}') == (answer["StatusCode"], answer["Payload"].read())


async def test_six_megabytes_go_there_and_back():
    body = b'"' + b"x" * 6_000_000 + b'"'
    async with serving() as server:
        client = boto("lambda", server.port)
        answer = await asyncio.to_thread(client.invoke, FunctionName="f", Payload=body)
        assert body == await asyncio.to_thread(answer["Payload"].read)


async def test_a_body_that_is_too_large_is_answered_and_not_reset():
    async with serving() as server:
        client = boto("lambda", server.port)
        with pytest.raises(client.exceptions.RequestTooLargeException):
            await asyncio.to_thread(client.invoke, FunctionName="f", Payload=b" " * 8_000_000)


def certificate(where):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "door")])
    now = datetime.datetime.now(datetime.UTC)
    import ipaddress

    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = where / "cert.pem", where / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


async def test_over_tls_the_call_knows_that_it_was(tmp_path):
    seen = []

    async def perform(call):
        seen.append(call.source.tls)
        return await echo(call)

    pem, key = certificate(tmp_path)
    async with serving(perform, tls=tls_context(pem, key)) as server:
        client = boto("lambda", server.port, scheme="https", verify=str(pem))
        await asyncio.to_thread(client.invoke, FunctionName="f")
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        assert ssl.TLSVersion.TLSv1_2 == tls_context(pem, key).minimum_version
    assert [True] == seen


async def test_many_servers_share_one_loop_and_each_keeps_its_source():
    seen = []

    async def perform(call):
        seen.append(call.source.ip)
        return await echo(call)

    servers = []
    for at in range(20):
        app = door(perform, fixed_source=Source(ip=f"10.0.0.{at}", user_agent="", tls=True, received_at_ms=0))
        servers.append(await serve_on(listening(), app))
    for server in servers:
        await asyncio.to_thread(boto("lambda", server.port).invoke, FunctionName="f")
    assert [f"10.0.0.{at}" for at in range(20)] == seen
    for server in servers:
        server.abort()


async def test_forwarding_headers_do_not_change_the_source():
    seen = []

    async def perform(call):
        seen.append((call.source.ip, call.source.tls))
        return await echo(call)

    async with serving(perform) as server:
        forged = b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nForwarded: for=1.2.3.4\r\n"
        await talk(server.port, b"GET /2015-03-31/functions/ HTTP/1.0\r\nHost: h\r\n" + forged + b"\r\n")
    assert [("127.0.0.1", False)] == seen


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"".join(b"x-%d: y\r\n" % at for at in range(200)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nx-long: " + b"y" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nx-endless: " + b"y" * 40_000,
    ],
)
async def test_headers_beyond_the_limits_are_refused(head):
    async with serving() as server:
        assert (await talk(server.port, head))[:13] in {b"HTTP/1.1 431 ", b"reset"}


@pytest.mark.parametrize("data", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc"])
async def test_a_client_that_stalls_is_shown_the_door(data):
    async with serving(head_s=0.05, body_idle_s=0.05) as server:
        assert b"HTTP/1.1 408 " == (await talk(server.port, data))[:13]
        assert 0 == server.connections


async def test_a_body_that_trickles_has_an_end():
    async with serving(body_s=0.2, body_idle_s=10) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")

        async def trickle():
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.01)

        task = asyncio.create_task(trickle())
        async with asyncio.timeout(10):
            try:
                told = await reader.read()
            except ConnectionResetError:  # what it was still sending met a closed door
                told = b"HTTP/1.1 408 "
        assert b"HTTP/1.1 408 " == told[:13]
        task.cancel()
        writer.close()


async def test_a_reader_that_does_not_read_is_cut_off():
    async def large(call):
        return Outcome(request_id=call.request_id, result={"StatusCode": 200, "Payload": b"x" * 30_000_000})

    async with serving(large, write_s=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
        writer.transport.pause_reading()
        writer.write(b"POST /2015-03-31/functions/f/invocations HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        async with asyncio.timeout(10):
            while not server.connections:
                await asyncio.sleep(0.01)
            while server.connections:
                await asyncio.sleep(0.01)
        writer.close()


async def test_connections_beyond_the_limit_are_turned_away():
    async with serving(connections=2) as server:
        first = await asyncio.open_connection("127.0.0.1", server.port)
        second = await asyncio.open_connection("127.0.0.1", server.port)
        assert b"HTTP/1.1 503 " == (await talk(server.port, b""))[:13]
        for _, writer in (first, second):
            writer.close()


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
    ],
)
async def test_requests_that_two_parsers_could_read_in_two_ways_are_refused(data):
    async with serving(head_s=0.2) as server:
        assert (await talk(server.port, data))[:13] in {b"HTTP/1.1 400 ", b"HTTP/1.1 408 "}


async def test_two_requests_on_one_connection_get_two_answers_in_order():
    request = b"POST /2015-03-31/functions/f/invocations HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n%s\r\n"
    async with serving() as server:
        answer = await talk(server.port, request % b"" + b"1" + request % b"Connection: close\r\n" + b"2")
    assert [b"1", b"2"] == [part[-1:] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]


async def test_draining_lets_running_calls_finish_and_takes_no_new_ones():
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(call):
        entered.set()
        await leave.wait()
        return await echo(call)

    async with serving(slow) as server:
        port = server.port
        idle_reader, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        client = boto("lambda", port)
        running = asyncio.create_task(asyncio.to_thread(client.invoke, FunctionName="f", Payload=b"7"))
        await entered.wait()
        draining = asyncio.create_task(server.drain(10))
        assert b"" == await idle_reader.read()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        leave.set()
        assert b"7" == (await running)["Payload"].read()
        await draining
        assert 0 == server.connections
        idle_writer.close()


async def test_draining_gives_up_on_calls_that_take_too_long():
    async def endless(call):
        await asyncio.Event().wait()

    async with serving(endless) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /2015-03-31/functions/f/invocations HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        async with asyncio.timeout(10):
            while not server._state.tasks:
                await asyncio.sleep(0.01)
            await server.drain(0.05)
            with contextlib.suppress(ConnectionResetError):
                assert b"" == await reader.read()
        writer.close()
        for task in server._state.tasks:
            task.cancel()


async def test_connections_leave_files_for_everything_else(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda _which: (2, 2))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = await serve_on(listener, create_app(None, implemented=set(), clock=None))
    streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(2)]
    assert (await streams[1][0].readline()).startswith(b"HTTP/1.1 503 ")
    for _, writer in streams:
        writer.close()
    server.abort()
