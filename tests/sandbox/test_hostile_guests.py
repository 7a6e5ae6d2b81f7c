"""Guests that speak the platform's own wire, and lie."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from leastwise.guest import wire
from leastwise.runtime.interface import EnvironmentCrashed, ReplyKind, ResponseTooLarge

HOSTILE = """
import array, os, socket, struct, threading, time
def handler(event, context):
    s = socket.socket(fileno=os.dup(3))
    exec(event["code"], {**globals(), "s": s})
    return "done"
"""


def frame(kind: int, length: int) -> str:
    return f"struct.pack('!BI', {kind}, {length})"


@pytest.mark.parametrize(
    "code",
    [
        f"s.send({frame(wire.RESULT, 0xFFFFFFFF)} + b'x' * 100); time.sleep(30)",
        f"s.send({frame(wire.RESULT, wire.FRAME_LIMIT + 1)}); time.sleep(30)",
        "s.send(b'\\xff' * 5); time.sleep(30)",
        f"s.send({frame(wire.READY, 0)}); time.sleep(30)",
        f"s.send({frame(wire.INIT_DONE, 0)}); time.sleep(30)",
        f"s.send({frame(99, 3)} + b'abc'); time.sleep(30)",
        f"s.send({frame(wire.FAILED, 3)} + b'abc'); time.sleep(30)",
        "s.shutdown(socket.SHUT_RDWR); time.sleep(30)",
        "os.close(3); s.close(); time.sleep(30)",
    ],
    ids=[
        "a length of four gigabytes",
        "a length just above the limit",
        "garbage",
        "ready again",
        "initialised again",
        "a kind that does not exist",
        "a failure to start",
        "the wire is shut down",
        "the wire is closed",
    ],
)
async def test_a_lie_on_the_wire_ends_the_environment_and_nobody_else(start: Any, code: str) -> None:
    neighbour = await start("def handler(event, context): return event")
    liar = await start(HOSTILE)
    with pytest.raises(EnvironmentCrashed):
        await liar.call(json.dumps({"code": code}).encode())
    assert not liar.environment.alive
    assert (await neighbour.call(b'{"still":"here"}')).payload == b'{"still": "here"}'


async def test_an_answer_out_of_turn_is_never_the_next_callers(start: Any) -> None:
    liar = await start(HOSTILE)
    code = f"s.send({frame(wire.RESULT, 1)} + b'1' + {frame(wire.RESULT, 1)} + b'2')"
    try:
        first = (await liar.call(json.dumps({"code": code}).encode())).payload
    except EnvironmentCrashed:
        first = b"1"
    assert first == b"1"
    with pytest.raises(EnvironmentCrashed):
        await liar.call(b'{"code": "pass"}')


def smuggled() -> list[str]:
    """Descriptors of this process that lead to the guest's file."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            link = str(path.readlink())
            found += [link] if "smuggled" in link else []
    return found


async def test_descriptors_sent_by_a_guest_never_arrive(start: Any) -> None:
    liar = await start(HOSTILE)
    fds = "[(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [os.open('/tmp/smuggled', os.O_CREAT | os.O_WRONLY)] * 200))]"
    body = f"s.sendmsg([{frame(wire.RESULT, 2)} + b'22'], {fds}); time.sleep(60)"
    assert (await liar.call(json.dumps({"code": body}).encode())).payload == b"22"
    assert smuggled() == []


async def test_a_response_of_exactly_the_limit_arrives(start: Any) -> None:
    running = await start("def handler(event, context): return b'1' * event")
    reply = await running.call(str(wire.RESPONSE_LIMIT).encode())
    assert (reply.kind, len(reply.payload)) == (ReplyKind.RESULT, wire.RESPONSE_LIMIT)


async def test_a_response_one_byte_too_large_is_refused_and_the_environment_lives_on(start: Any) -> None:
    running = await start("def handler(event, context): return b'1' * event")
    with pytest.raises(ResponseTooLarge):
        await running.call(str(wire.RESPONSE_LIMIT + 1).encode())
    assert (await running.call(b"3")).payload == b"111"


async def test_a_request_of_six_megabytes_arrives_whole(start: Any) -> None:
    running = await start("def handler(event, context): return len(event)")
    assert (await running.call(json.dumps("x" * 6_000_000).encode())).payload == b"6000000"


async def test_a_half_answer_is_cut_off_by_the_caller_and_the_stop_is_prompt(start: Any) -> None:
    liar = await start(HOSTILE)
    code = f"s.send({frame(wire.RESULT, 100)} + b'half'); time.sleep(60)"
    with pytest.raises(TimeoutError):
        await liar.call(json.dumps({"code": code}).encode(), seconds=0.3)
    async with asyncio.timeout(5):
        await liar.environment.stop()
    assert not liar.environment.alive


async def test_a_flood_of_log_lines_is_bounded_and_said(start: Any) -> None:
    running = await start(
        """
def handler(event, context):
    for number in range(40):
        print("x" * 1000000)
"""
    )
    began = time.monotonic()
    await running.call()
    assert sum(map(len, running.output)) < (9 + time.monotonic() - began) * 1024 * 1024
    assert any(b"log events" in event and b"dropped" in event for event in running.output)


async def test_a_flood_of_log_lines_from_a_child_program_is_bounded_and_said(start: Any) -> None:
    running = await start(
        """
import subprocess
def handler(event, context):
    subprocess.run("yes | head -c 40000000", shell=True)
"""
    )
    began = time.monotonic()
    await running.call()
    assert sum(map(len, running.output)) < (9 + time.monotonic() - began) * 1024 * 1024
    assert any(b"log events" in event and b"dropped" in event for event in running.output)


async def test_a_guest_that_ignores_every_signal_and_hangs_is_stopped(start: Any) -> None:
    running = await start(
        """
import os, signal, time
def handler(event, context):
    for number in range(1, 32):
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            pass
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            while True:
                pass
    while True:
        pass
"""
    )
    with pytest.raises(TimeoutError):
        await running.call(seconds=0.5)
    async with asyncio.timeout(10):
        await running.environment.stop()
    assert not running.environment.alive


async def test_a_guest_cannot_stop_or_kill_its_own_pid_1_from_inside(start: Any) -> None:
    running = await start(
        """
import os, signal
def handler(event, context):
    os.kill(1, signal.SIGSTOP)
    os.kill(1, signal.SIGKILL)
    os.kill(1, signal.SIGTERM)
    return "alive"
"""
    )
    assert (await running.call()).payload == b'"alive"'


async def test_threads_stand_still_between_invocations(start: Any) -> None:
    running = await start(
        """
import threading, time
count = 0
def run():
    global count
    while True:
        count += 1
        time.sleep(0.001)
threading.Thread(target=run, daemon=True).start()
def handler(event, context):
    return [count, time.monotonic()]
"""
    )
    first, _ = json.loads((await running.call()).payload)
    running.environment.freeze()
    running.environment.freeze()
    await asyncio.sleep(0.5)
    running.environment.thaw()
    second, _ = json.loads((await running.call()).payload)
    assert second - first < 100
    await asyncio.sleep(0.5)
    third, _ = json.loads((await running.call()).payload)
    assert third - second > 100


async def test_child_processes_stand_still_between_invocations(start: Any) -> None:
    running = await start(
        """
import os, time
if os.fork() == 0:
    while True:
        with open("/tmp/ticks", "a") as file:
            file.write(".")
        time.sleep(0.001)
def handler(event, context):
    return os.path.getsize("/tmp/ticks") if os.path.exists("/tmp/ticks") else 0
"""
    )
    await asyncio.sleep(0.3)
    first = json.loads((await running.call()).payload)
    running.environment.freeze()
    await asyncio.sleep(0.5)
    running.environment.thaw()
    second = json.loads((await running.call()).payload)
    assert 0 < first
    assert second - first < 100


async def test_a_frozen_environment_can_be_stopped(start: Any) -> None:
    running = await start("import os\nif os.fork() == 0:\n    while True: pass\ndef handler(event, context): return 1")
    running.environment.freeze()
    async with asyncio.timeout(5):
        await running.environment.stop()
    assert not running.environment.alive


async def test_siblings_never_draw_the_same_random_numbers(start: Any) -> None:
    text = """
import os, random, secrets, ssl, tempfile, uuid
def handler(event, context):
    return [os.urandom(8).hex(), ssl.RAND_bytes(8).hex(), random.random(), secrets.token_hex(8), str(uuid.uuid4()),
            next(tempfile._get_candidate_names())]
"""
    drawn = [json.loads((await (await start(text)).call()).payload) for _ in range(6)]
    for source in zip(*drawn, strict=True):
        assert len(set(source)) == len(drawn)


async def test_siblings_have_different_users_on_the_host(start: Any, is_root: bool) -> None:
    if not is_root:
        pytest.skip("needs root: an ordinary user has one uid to give")
    text = "def handler(event, context): return open('/proc/self/uid_map').read().split()"
    maps = [json.loads((await (await start(text)).call()).payload) for _ in range(3)]
    owners = {outside for _, outside, _ in maps}
    assert len(owners) == 3
    assert "0" not in owners
