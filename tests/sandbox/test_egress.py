"""The way out of a sandbox: every attack of cases/egress.yaml, and honest clients under a rule that lets them out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from tests.fakes.outside import Rules, StagedInternet

from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.node_family import NodeFamily
from leastwise.linux.node_interpreters import find_nodes
from leastwise.linux.provided_family import ProvidedFamily
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.egress import NoEgress
from leastwise.runtime.interface import EgressAllowed, EgressRefused

ATTACKS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "egress.yaml").read_text())
ATTACKER = """
def say(p, text, seconds=5):
    import socket
    s = socket.create_connection(("127.0.0.1", p["proxy"]), seconds)
    s.sendall(text.encode("latin-1"))
    out = b""
    try:
        while b"hello" not in out:
            data = s.recv(65536)
            if not data:
                break
            out += data
    except OSError:
        pass
    s.close()
    return out.decode("latin-1")
def tunnel(p, target):
    return "hello" in say(p, "CONNECT %s HTTP/1.1\\r\\nHost: %s\\r\\n\\r\\n" % (target, target))
def handler(event, context):
    names = dict(globals())
    exec(event["code"], names)
    p = dict(event["p"], looked_up=lambda: False)
    try:
        return {"evidence": repr(names["attack"](p) or "")[:200].strip("'")}
    except Exception as error:
        return {"evidence": "", "error": repr(error)[:200]}
"""
CONTROL = ATTACKER + "\nimport json, sys; print(json.dumps(handler(json.load(sys.stdin), None)))\n"
PUBLIC, PLATFORM, LOST = "93.184.215.14", "93.184.215.15", "stolen-data.public.example"
SECRET_PORT = 7001


class Switch:
    """An Egress whose rules change between calls."""

    def __init__(self) -> None:
        self.rules: Any = NoEgress()

    def decide(self, function_arn: str, host: str, port: int) -> EgressAllowed | EgressRefused:
        return self.rules.decide(function_arn, host, port)

    def carried(self, function_arn: str, host: str, port: int, *, sent_bytes: int, received_bytes: int) -> None:
        self.rules.carried(function_arn, host, port, sent_bytes=sent_bytes, received_bytes=received_bytes)


class Stage:
    def __init__(self) -> None:
        self.internet = StagedInternet()
        self.egress = Switch()
        self.servers: list[asyncio.Server] = []
        self.writers: list[asyncio.StreamWriter] = []

    async def serve(self, answer: Any, *places: tuple[str, int]) -> int:
        async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.writers.append(writer)
            with contextlib.suppress(ConnectionError):
                await answer(reader, writer)

        server = await asyncio.start_server(kept, "127.0.0.1", 0)
        self.servers.append(server)
        port = server.sockets[0].getsockname()[1]
        for place in places:
            self.internet.machines[place] = port
        return int(port)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello")
    await reader.read(65536)
    writer.close()


@pytest_asyncio.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    made.internet.ours |= {PLATFORM}
    made.internet.names |= {
        "localhost": ["127.0.0.1"],
        "rebound.example": ["127.0.0.1"],
        "metadata.example": ["169.254.169.254"],
        "public.example": [PUBLIC],
        LOST: [PUBLIC],
        "platform.example": [PLATFORM],
    }
    places = [("127.0.0.1", SECRET_PORT), ("127.0.0.1", 9002), ("169.254.169.254", 80), ("fd00:ec2::254", 80)]
    await made.serve(greet, *places, ("10.0.0.5", 5432), (PUBLIC, 443), (PUBLIC, 80), (PLATFORM, 443))
    yield made
    for server in made.servers:
        server.close()
    for writer in made.writers:
        writer.transport.abort()
    for writer in made.writers:
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@pytest_asyncio.fixture
async def driver(tmp_path: Path, stage: Stage) -> AsyncIterator[LinuxDriver]:
    families = [PythonFamily([own_interpreter()]), NodeFamily(find_nodes()), ProvidedFamily()]
    made = LinuxDriver(data=tmp_path, families=families, pool_size=0, egress=stage.egress, outside=stage.internet)
    await made.open()
    yield made
    await made.close()


async def evidence(running: Any, code: str, proxy: int = 9003) -> str:
    event = {"code": code, "p": {"proxy": proxy, "secret": SECRET_PORT}}
    reply = await running.call(json.dumps(event).encode(), seconds=60)
    return str(json.loads(reply.payload)["evidence"])


async def naive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that believes every client."""
    seen = b""
    while b"\r\n\r\n" not in seen[-100_000:]:
        data = await reader.read(1 << 20)
        if not data:
            break
        seen += data
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["name"])
async def test_nothing_gets_out_that_no_rule_lets_out(attack: dict[str, Any], start: Any, stage: Stage) -> None:
    running = await start(ATTACKER)
    open_rules = Rules(None, "0.0.0.0/0", "::/0")
    assert await evidence(running, attack["code"]) == ""
    assert stage.internet.looked_up == []
    assert stage.internet.connected == []
    if attack.get("naive"):
        stage.egress.rules = open_rules
        assert await evidence(running, attack["code"]) == ""
        event = {"code": attack["code"], "p": {"proxy": await stage.serve(naive), "secret": SECRET_PORT}}
        control = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", CONTROL],
            input=json.dumps(event),
            capture_output=True,
            text=True,
            check=False,
        )
        assert json.loads(control.stdout)["evidence"], (
            "the attack fails on a careless server as well, it proves nothing"
        )
        return
    stage.egress.rules = Rules(None)
    careless = await evidence(running, attack["code"])
    assert attack.get("careless", False) == bool(careless or LOST in stage.internet.looked_up)
    stage.egress.rules = open_rules
    if "control" in attack:
        assert await evidence(running, attack["code"]) == ""
    proof = await evidence(running, attack.get("control", attack["code"]))
    assert proof or LOST in stage.internet.looked_up, "the attack fails without a guard as well, it proves nothing"


async def test_another_sandboxs_sockets_are_out_of_reach(start: Any, stage: Stage) -> None:
    listener = ATTACKER + textwrap.dedent(
        """
        import socket, threading
        server = socket.create_server(("127.0.0.1", 5555))
        def greet():
            while True:
                server.accept()[0].send(b"hello")
        threading.Thread(target=greet, daemon=True).start()
        """
    )
    neighbour, attacker = await start(listener), await start(ATTACKER)
    stage.egress.rules = Rules(None, "0.0.0.0/0")
    direct = "def attack(p):\n import socket\n return socket.create_connection(('127.0.0.1', 5555), 5).recv(5)"
    through = "def attack(p):\n return tunnel(p, '127.0.0.1:5555')"
    assert await evidence(attacker, direct) == ""
    assert await evidence(attacker, through) == ""
    assert await evidence(neighbour, direct) == "b'hello"  # the control


async def test_the_socket_says_who_asks_and_not_what_is_said(start: Any, stage: Stage) -> None:
    stage.egress.rules = Rules(None)
    for name in ("first", "second"):
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
        running = await start(ATTACKER, function_name=name, function_arn=arn)
        await evidence(running, "def attack(p):\n return tunnel(p, 'public.example:443')")
    assert [arn.rpartition(":")[2] for arn, _, _ in stage.egress.rules.asked] == ["first", "second"]


async def test_a_stuck_proxy_client_does_not_keep_the_environment_from_ending(start: Any, stage: Stage) -> None:
    stage.egress.rules = Rules(None)
    stage.internet.silent = True
    running = await start(
        ATTACKER
        + "import socket\ns = socket.create_connection(('127.0.0.1', 9003))\ns.sendall(b'CONNECT a.example:443 HTTP/1.1\\r\\n\\r\\n')\n"
    )
    async with asyncio.timeout(5):
        await running.environment.stop()


CLIENTS = """
import urllib.request, urllib.error, os
def handler(event, context):
    try:
        return ["answered", urllib.request.urlopen(event, timeout=5).read().decode()]
    except urllib.error.HTTPError as error:
        return ["http error", error.code, error.reason, error.read().decode()]
    except OSError as error:
        return ["error", str(error)]
"""


async def test_an_unmodified_client_is_told_at_once_and_why(start: Any) -> None:
    running = await start(CLIENTS)
    plain = json.loads((await running.call(b'"http://example.com/?token=SECRET"')).payload)
    assert plain[:3] == ["http error", 403, "Forbidden by leastwise: no egress rule allows it"]
    assert "destination: example.com:80" in plain[3]
    tls = json.loads((await running.call(b'"https://example.com/"')).payload)
    assert tls == [
        "error",
        "<urlopen error Tunnel connection failed: 403 Forbidden by leastwise: no egress rule allows it>",
    ]
    assert running.output == [
        b"[leastwise] egress to example.com:80 refused: no egress rule allows it",
        b"[leastwise] egress to example.com:443 refused: no egress rule allows it",
    ]


async def test_without_a_port_for_egress_the_door_is_shut(tmp_path: Path, package: Any, spec: Any) -> None:
    driver = LinuxDriver(data=tmp_path, families=[PythonFamily([own_interpreter()])], pool_size=0)
    await driver.open()
    try:
        code = package(app="import socket\ntry: socket.create_connection(('127.0.0.1', 9003), 5)\nfinally: pass\n")
        with pytest.raises(Exception, match="init failed") as caught:
            await driver.start_environment(spec(code), on_output=print, on_exit=lambda: None)
        assert b"ConnectionRefusedError" in caught.value.payload
    finally:
        await driver.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    host = next(line for line in head.split(b"\r\n") if line.startswith(b"Host: "))
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + host)
    writer.close()


async def test_a_python_function_reaches_what_a_rule_lets_out(start: Any, stage: Stage) -> None:
    stage.egress.rules = Rules(["public.example"])
    await stage.serve(answer, (PUBLIC, 80))
    running = await start(CLIENTS)
    assert json.loads((await running.call(b'"http://public.example/"')).payload) == ["answered", "Host: public.example"]
    assert json.loads((await running.call(b'"http://other.example/"')).payload)[:2] == ["http error", 403]


async def test_tls_goes_through_end_to_end(start: Any, stage: Stage, tmp_path: Path) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout key -out cert"
    names = ["-subj", "/CN=public.example", "-addext", "subjectAltName=DNS:public.example"]
    made = subprocess.run([*command.split(), *names], cwd=tmp_path, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no certificate could be made: {made.stderr.decode()[-200:]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    stage.servers.append(server)
    stage.internet.machines[PUBLIC, 443] = server.sockets[0].getsockname()[1]
    stage.egress.rules = Rules(["public.example"])
    text = CLIENTS.replace("urlopen(event, timeout=5)", "urlopen(event, timeout=5, context=context_of(CERT))")
    text += "import ssl\ndef context_of(cert): return ssl.create_default_context(cadata=cert)\n"
    running = await start(text + f"CERT = {(tmp_path / 'cert').read_text()!r}\n")
    assert json.loads((await running.call(b'"https://public.example/"')).payload) == [
        "answered",
        "Host: public.example",
    ]


@pytest.mark.skipif(not find_nodes(), reason="no Node on this machine")
async def test_a_node_function_reaches_what_a_rule_lets_out(start: Any, stage: Stage, packages_directory: Path) -> None:
    stage.egress.rules = Rules(["public.example"])
    await stage.serve(answer, (PUBLIC, 80))
    directory = packages_directory / f"node-egress-{os.getpid()}"
    directory.mkdir()
    (directory / "index.js").write_text(
        """
const http = require("http");
exports.handler = async (url) => new Promise((resolve, reject) => {
    const proxy = new URL(process.env.HTTP_PROXY);
    http.get({ host: proxy.hostname, port: proxy.port, path: url }, (response) => {
        let text = "";
        response.on("data", (data) => { text += data; });
        response.on("end", () => resolve([response.statusCode, text.split("\\n")[0]]));
    }).on("error", reject);
});
"""
    )
    running = await start("", code=directory, runtime=min(find_nodes()), handler="index.handler")
    assert json.loads((await running.call(b'"http://public.example/"')).payload) == [200, "Host: public.example"]
    refused = "leastwise did not let this connection out: no rule of the test."
    assert json.loads((await running.call(b'"http://other.example/"')).payload) == [403, refused]


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python in /usr/bin for the test's bootstrap")
async def test_a_custom_runtime_reaches_what_a_rule_lets_out(
    start: Any, stage: Stage, packages_directory: Path
) -> None:
    stage.egress.rules = Rules(["public.example"])
    await stage.serve(answer, (PUBLIC, 80))
    directory = packages_directory / f"provided-egress-{os.getpid()}"
    directory.mkdir()
    bootstrap = directory / "bootstrap"
    bootstrap.write_text(
        """#!/usr/bin/python3
import json, os, urllib.error, urllib.request
base = "http://%s/2018-06-01/runtime/invocation/" % os.environ["AWS_LAMBDA_RUNTIME_API"]
while True:
    got = urllib.request.urlopen(base + "next")
    event = json.load(got)
    try:
        result = urllib.request.urlopen(event).read().decode()
    except urllib.error.HTTPError as error:
        result = error.reason
    urllib.request.urlopen(base + got.headers["Lambda-Runtime-Aws-Request-Id"] + "/response", json.dumps(result).encode())
"""
    )
    bootstrap.chmod(0o755)
    running = await start("", code=directory, runtime="provided.al2023")
    assert json.loads((await running.call(b'"http://public.example/"')).payload) == "Host: public.example"
    assert json.loads((await running.call(b'"http://other.example/"')).payload) == (
        "Forbidden by leastwise: no rule of the test"
    )
