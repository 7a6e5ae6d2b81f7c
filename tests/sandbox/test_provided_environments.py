"""Custom runtimes in the real sandbox: a script of ours, and the official Python runtime client, unmodified."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from leastwise.linux.driver import LinuxDriver
from leastwise.linux.provided_family import ProvidedFamily
from leastwise.runtime.interface import (
    CrashReason,
    EnvironmentCrashed,
    InitFailed,
    Invocation,
    Reply,
    ReplyKind,
    ResponseTooLarge,
)

SYSTEM_PYTHON = Path("/usr/bin/python3")
pytestmark = pytest.mark.skipif(not SYSTEM_PYTHON.exists(), reason="no Python in /usr/bin for the test's bootstrap")
Start = Callable[..., Awaitable[Any]]

CLIENT = """#!/usr/bin/python3
import http.client, json, os, sys, time
base = "/2018-06-01/runtime"
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, headers={}, connection=connection):
    connection.request(method, base + path, body, headers)
    response = connection.getresponse()
    return response.status, response.headers, response.read()
def next_invocation():
    status, headers, body = call("GET", "/invocation/next")
    return headers["Lambda-Runtime-Aws-Request-Id"], headers, json.loads(body)
def respond(request_id, value):
    return call("POST", f"/invocation/{request_id}/response", json.dumps(value))[0]
"""
ECHO = CLIENT + "while True:\n    request_id, headers, event = next_invocation()\n    respond(request_id, event)\n"


@pytest_asyncio.fixture
async def driver(tmp_path: Path) -> AsyncIterator[LinuxDriver]:
    made = LinuxDriver(data=tmp_path, families=[ProvidedFamily()], pool_size=1)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def directory(packages_directory: Path) -> Path:
    path = packages_directory / uuid.uuid4().hex
    path.mkdir()
    return path


@pytest.fixture
def provided(start: Start, directory: Path) -> Start:
    """Starts an environment on a bootstrap with the given text."""

    async def make(bootstrap: str | None, **changes: object) -> Any:
        if bootstrap is not None:
            path = directory / "bootstrap"
            path.write_text(bootstrap)
            path.chmod(0o755)
        return await start("", code=directory, **{"runtime": "provided.al2023", **changes})

    return make


def result(reply: Reply) -> Any:
    assert ReplyKind.RESULT is reply.kind, reply.payload
    return json.loads(reply.payload)


@pytest.mark.parametrize("runtime", ["provided", "provided.al2", "provided.al2023"])
async def test_a_bootstrap_serves_one_invocation_after_the_other(provided, runtime):
    running = await provided(ECHO, runtime=runtime)
    assert [{"n": n} for n in range(5)] == [result(await running.call(b'{"n":%d}' % n)) for n in range(5)]
    assert running.environment.alive


async def test_the_environment_is_lambdas_without_an_execution_env(provided):
    text = (
        CLIENT
        + "request_id, headers, event = next_invocation()\nrespond(request_id, [dict(os.environ), os.getcwd()])\n"
    )
    running = await provided(text, handler="any.thing", variables={"MINE": "1"})
    variables, directory = result(await running.call())
    assert "/var/task" == directory
    assert "AWS_EXECUTION_ENV" not in variables
    assert ("any.thing", "127.0.0.1:9001", "1", "/var/task", "ASIATEST") == tuple(
        variables[name]
        for name in ("_HANDLER", "AWS_LAMBDA_RUNTIME_API", "MINE", "LAMBDA_TASK_ROOT", "AWS_ACCESS_KEY_ID")
    )


async def test_the_init_phase_lasts_until_the_first_next(provided):
    running = await provided(CLIENT + "print('starting', flush=True)\n" + ECHO)
    assert [b"starting"] == running.output
    assert 0 < running.environment.init_ms


async def test_a_missing_bootstrap_is_an_invalid_entrypoint(provided):
    with pytest.raises(InitFailed) as caught:
        await provided(None)
    assert {
        "errorType": "Runtime.InvalidEntrypoint",
        "errorMessage": "Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
    } == json.loads(caught.value.payload)


async def test_a_bootstrap_that_cannot_be_executed_is_an_invalid_entrypoint(provided, directory):
    (directory / "bootstrap").write_text("#!/bin/sh\n")
    with pytest.raises(InitFailed) as caught:
        await provided(None)
    payload = json.loads(caught.value.payload)
    assert "Error: fork/exec /var/task/bootstrap: permission denied" == payload["errorMessage"]


async def test_a_bootstrap_without_its_interpreter_ends_with_127(provided):
    with pytest.raises(EnvironmentCrashed) as caught:
        await provided("#!/no/such/thing\n")
    assert (CrashReason.EXIT, 127) == (caught.value.reason, caught.value.status)


async def test_an_init_error_carries_the_payload(provided):
    text = (
        CLIENT
        + """body = json.dumps({"errorType": "Runtime.Mine", "errorMessage": "m"})
call("POST", "/init/error", body, {"Lambda-Runtime-Function-Error-Type": "Runtime.Mine"})
sys.exit(1)
"""
    )
    with pytest.raises(InitFailed) as caught:
        await provided(text)
    assert {"errorType": "Runtime.Mine", "errorMessage": "m"} == json.loads(caught.value.payload)


async def test_an_exit_before_the_first_next_is_a_crash(provided):
    with pytest.raises(EnvironmentCrashed) as caught:
        await provided("#!/bin/sh\nexit 5\n")
    assert (CrashReason.EXIT, 5) == (caught.value.reason, caught.value.status)


async def test_an_exit_in_an_invocation_is_a_crash(provided):
    running = await provided(CLIENT + "next_invocation()\nsys.exit(7)\n")
    with pytest.raises(EnvironmentCrashed) as caught:
        await running.call()
    assert (CrashReason.EXIT, 7) == (caught.value.reason, caught.value.status)
    assert [] == running.exits


async def test_an_answer_and_an_exit_at_once_is_an_answer(provided):
    running = await provided(CLIENT + "request_id, *_ = next_invocation()\nrespond(request_id, 1)\n")
    assert 1 == result(await running.call())
    while running.environment.alive:
        await asyncio.sleep(0.001)


async def test_an_error_is_an_error_reply(provided):
    text = (
        CLIENT
        + """while True:
    request_id, *_ = next_invocation()
    call("POST", f"/invocation/{request_id}/error", '{"errorType":"E","errorMessage":"m"}')
"""
    )
    running = await provided(text)
    assert [Reply(kind=ReplyKind.ERROR, payload=b'{"errorType":"E","errorMessage":"m"}')] * 2 == [
        await running.call() for _ in range(2)
    ]


async def test_next_carries_the_invocations_headers(provided):
    running = await provided(
        CLIENT + "request_id, headers, event = next_invocation()\nrespond(request_id, dict(headers))\n"
    )
    invocation = Invocation(
        request_id="8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        payload=b"{}",
        deadline_ms=4_000_000_000_000,
        function_arn="arn:aws:lambda:us-east-1:123456789012:function:test:live",
        client_context='{"a":1}',
        trace_id="Root=1",
    )
    headers = result(await running.environment.invoke(invocation))
    assert {
        "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
        "Lambda-Runtime-Deadline-Ms": "4000000000000",
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:test:live",
        "Lambda-Runtime-Trace-Id": "Root=1",
        "Lambda-Runtime-Client-Context": '{"a":1}',
        "Content-Type": "application/json",
        "Content-Length": "2",
    } == headers


async def test_a_response_over_the_limit_leaves_the_environment_good(provided):
    text = (
        CLIENT
        + """while True:
    request_id, headers, event = next_invocation()
    print(call("POST", f"/invocation/{request_id}/response", b"x" * event)[0], flush=True)
"""
    )
    running = await provided(text)
    with pytest.raises(ResponseTooLarge):
        await running.call(b"20000000")
    assert 6_291_556 == len((await running.call(b"6291556")).payload)
    await running.call(b"1")
    assert [b"413", b"202"] == running.output[:2]


async def test_a_bootstrap_that_hangs_is_killed_when_the_caller_gives_up(provided):
    running = await provided(CLIENT + "next_invocation()\ntime.sleep(600)\n")
    with pytest.raises(TimeoutError):
        await running.call(seconds=0.3)
    await running.environment.stop()
    assert not running.environment.alive
    assert [] == running.exits


async def test_output_arrives_before_the_reply(provided):
    text = (
        CLIENT
        + """while True:
    request_id, headers, event = next_invocation()
    print("one", flush=True); print("two", file=sys.stderr, flush=True)
    respond(request_id, 1)
"""
    )
    running = await provided(text)
    await running.call()
    assert [b"one", b"two"] == running.output


async def test_a_frozen_runtime_answers_after_it_is_thawed(provided):
    running = await provided(ECHO)
    await running.call()
    running.environment.freeze()
    waiting = asyncio.create_task(running.call(b"5"))
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert set() == done
    running.environment.thaw()
    assert 5 == result(await waiting)


async def test_a_runtime_that_breaks_the_protocol_is_told_so_and_serves_on(provided):
    text = (
        CLIENT
        + """def fresh(*arguments):
    return call(*arguments, connection=http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"]))[0]
seen = []
while True:
    request_id, headers, event = next_invocation()
    seen = [fresh("GET", "/invocation/next"), fresh("POST", "/invocation/x/response", "1"),
            fresh("POST", "/init/error", "{}"), fresh("GET", "/ping")]
    respond(request_id, seen)
    fresh("POST", f"/invocation/{request_id}/response", "2")
"""
    )
    running = await provided(text)
    assert [[403, 400, 403, 404]] * 2 == [result(await running.call()) for _ in range(2)]


async def test_a_thousand_half_open_connections_do_not_stop_the_runtime(provided):
    text = (
        CLIENT
        + """import socket
held = []
for number in range(900):
    held.append(socket.create_connection(("127.0.0.1", 9001)))
    held[-1].sendall(b"GET /")
held.clear()
"""
        + ECHO.removeprefix(CLIENT)
    )
    running = await provided(text)
    assert 1 == result(await running.call(b"1"))


async def test_there_is_no_network_but_loopback(provided):
    text = (
        CLIENT
        + """
request_id, headers, event = next_invocation()
found = [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line]
respond(request_id, found)
"""
    )
    running = await provided(text)
    assert ["lo"] == result(await running.call())


# The official client


@pytest.fixture
def official(directory: Path) -> None:
    """awslambdaric as it comes from the package index, in the package's own directory."""
    spec = importlib.util.find_spec("awslambdaric")
    version = subprocess.run(
        [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if spec is None or spec.origin is None or version != str(sys.version_info[:2]):
        pytest.skip(f"awslambdaric for {version} is not installed")
    site = Path(spec.origin).parents[1]
    for name in ("awslambdaric", "simplejson"):
        shutil.copytree(site / name, directory / name)
    for path in (*site.glob("runtime_client*.so"), site / "snapshot_restore_py.py"):
        shutil.copy(path, directory / path.name)


OFFICIAL = '#!/bin/sh\nexec /usr/bin/python3 -m awslambdaric "$_HANDLER"\n'
APP = """
import logging, os
log = logging.getLogger(); log.setLevel("INFO")
def handler(event, context):
    log.info("hello")
    if event == "fail":
        raise ValueError("on purpose")
    return {"event": event, "id": context.aws_request_id, "name": context.function_name,
            "arn": context.invoked_function_arn, "memory": context.memory_limit_in_mb,
            "time": context.get_remaining_time_in_millis() > 0}
"""


async def test_the_official_python_client_works_unmodified(official, provided, directory):
    (directory / "app.py").write_text(APP)
    running = await provided(OFFICIAL)
    for number in range(3):
        answer = result(await running.call(b"%d" % number))
        assert (number, "test", "256", True) == (answer["event"], answer["name"], answer["memory"], answer["time"])
    reply = await running.call(b'"fail"')
    assert ReplyKind.ERROR is reply.kind
    payload = json.loads(reply.payload)
    assert ("ValueError", "on purpose") == (payload["errorType"], payload["errorMessage"])
    assert ["errorMessage", "errorType", "requestId", "stackTrace"] == list(payload)
    assert any(b"hello" in line for line in running.output)
    assert "x" * 1000 == result(await running.call(json.dumps("x" * 1000).encode()))["event"]


async def test_the_official_client_reports_init_errors(official, provided, directory):
    (directory / "app.py").write_text("import nothing_of_the_kind\n")
    with pytest.raises(InitFailed) as caught:
        await provided(OFFICIAL)
    payload = json.loads(caught.value.payload)
    assert "Runtime.ImportModuleError" == payload["errorType"]
    assert payload["errorMessage"].startswith("Unable to import module 'app'")
