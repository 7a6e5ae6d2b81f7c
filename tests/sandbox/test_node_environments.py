"""Node in the real sandbox: handlers, errors, crashes, limits, and what a hostile handler cannot do."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from leastwise.linux.driver import LinuxDriver
from leastwise.linux.node_family import NodeFamily
from leastwise.linux.node_interpreters import find_nodes
from leastwise.runtime.interface import (
    CrashReason,
    EnvironmentCrashed,
    InitFailed,
    Invocation,
    Reply,
    ReplyKind,
    ResponseTooLarge,
)

NODES = find_nodes()
pytestmark = pytest.mark.skipif(not NODES, reason="no node on this machine")
Start = Callable[..., Awaitable[Any]]


@pytest_asyncio.fixture
async def driver(tmp_path: Path) -> AsyncIterator[LinuxDriver]:
    made = LinuxDriver(data=tmp_path, families=[NodeFamily(NODES)], pool_size=1)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture(params=sorted(NODES))
def runtime(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def node(start: Start, packages_directory: Path, runtime: str) -> Start:
    """Starts an environment on a package: file name -> text."""

    async def make(files: dict[str, str], **changes: object) -> Any:
        directory = packages_directory / uuid.uuid4().hex
        for name, text in files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return await start("", code=directory, runtime=runtime, **{"handler": "index.handler", **changes})

    return make


def result(reply: Reply) -> Any:
    assert ReplyKind.RESULT is reply.kind, reply.payload
    return json.loads(reply.payload)


async def test_an_async_handler_answers(node):
    running = await node({"index.js": "exports.handler = async (event) => ({ got: event.a })"})
    assert {"got": 1} == result(await running.call(b'{"a":1}'))
    assert running.environment.alive
    assert 0 < running.environment.init_ms


async def test_a_callback_handler_answers_where_aws_still_has_them(node, runtime):
    files = {"index.js": "exports.handler = (event, context, callback) => setTimeout(callback, 1, null, 'late')"}
    if runtime == "nodejs24.x":
        with pytest.raises(InitFailed):
            await node(files)
    else:
        assert "late" == result(await (await node(files)).call())


async def test_an_es_module_answers(node):
    running = await node(
        {
            "dir/main.mjs": "import { readFile } from 'node:fs/promises'; const text = await readFile('/var/task/data', 'utf8');"
            "export const api = { run: async () => text }",
            "data": "from a file",
        },
        handler="dir/main.api.run",
    )
    assert "from a file" == result(await running.call())


async def test_the_environment_is_lambdas(node, runtime):
    running = await node(
        {
            "index.js": """exports.handler = async (event, context) => ({
                cwd: process.cwd(), execution: process.env.AWS_EXECUTION_ENV, root: process.env.LAMBDA_TASK_ROOT,
                mine: process.env.MINE, key: process.env.AWS_ACCESS_KEY_ID, exec: process.execPath,
                name: context.functionName, memory: context.memoryLimitInMB, zone: new Date().getTimezoneOffset(),
                path: process.env.NODE_PATH })"""
        },
        variables={"MINE": "ä=b"},
    )
    major = runtime.removeprefix("nodejs").removesuffix(".x")
    assert {
        "cwd": "/var/task",
        "execution": f"AWS_Lambda_{runtime}",
        "root": "/var/task",
        "mine": "ä=b",
        "key": "ASIATEST",
        "exec": "/var/lang/bin/node",
        "name": "test",
        "memory": "256",
        "zone": 0,
        "path": f"/opt/nodejs/node{major}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules",
    } == result(await running.call())


async def test_no_secret_shows_in_proc(node):
    text = """const fs = require('fs'); const { execFileSync } = require('child_process');
    exports.handler = async () => ['self', '1'].map((pid) => ['environ', 'cmdline'].map((file) => {
      try { return fs.readFileSync(`/proc/${pid}/${file}`, 'utf8') } catch (error) { return error.code } }).join('')).join('')"""
    running = await node({"index.js": text}, variables={"PASSWORD": "hunter2"})
    shown = result(await running.call())
    assert not [secret for secret in ("hunter2", "ASIATEST", "secret", "token") if secret in shown]


async def test_an_error_leaves_the_environment_good(node):
    running = await node(
        {"index.js": "exports.handler = async (event) => { if (event) throw new TypeError('Handler fails'); return 1 }"}
    )
    reply = await running.call(b"true")
    assert ReplyKind.ERROR is reply.kind
    payload = json.loads(reply.payload)
    assert ("TypeError", "Handler fails") == (payload["errorType"], payload["errorMessage"])
    assert any("(/var/task/index.js:1:" in line for line in payload["trace"])
    assert 1 == result(await running.call(b"false"))


@pytest.mark.parametrize(
    ("text", "error_type"),
    [
        ("require('nothing')", "Runtime.ImportModuleError"),
        ("exports.handler = (", "Runtime.UserCodeSyntaxError"),
        ("exports.other = 1", "Runtime.HandlerNotFound"),
        ("throw new RangeError('x')", "RangeError"),
    ],
)
async def test_an_init_error_carries_the_payload_and_nothing_is_left(node, driver, text, error_type):
    with pytest.raises(InitFailed) as caught:
        await node({"index.js": text})
    assert error_type == json.loads(caught.value.payload)["errorType"]


async def test_exit_during_init_is_a_crash_with_its_status(node):
    with pytest.raises(EnvironmentCrashed) as caught:
        await node({"index.js": "process.exit(9)"})
    assert (CrashReason.EXIT, 9) == (caught.value.reason, caught.value.status)


async def test_exit_in_a_handler_is_a_crash_with_its_status(node):
    running = await node({"index.js": "exports.handler = async () => process.exit(3)"})
    with pytest.raises(EnvironmentCrashed) as caught:
        await running.call()
    assert (CrashReason.EXIT, 3) == (caught.value.reason, caught.value.status)
    assert not running.environment.alive
    assert [] == running.exits


async def test_a_signal_in_a_handler_is_a_crash(node):
    running = await node({"index.js": "exports.handler = async () => process.kill(process.pid, 'SIGKILL')"})
    with pytest.raises(EnvironmentCrashed):
        await running.call()
    assert not running.environment.alive


async def test_a_death_between_invocations_is_told_once(node):
    running = await node({"index.js": "exports.handler = async () => { setTimeout(() => process.exit(0), 5) }"})
    await running.call()
    while not running.exits:
        await asyncio.sleep(0.001)
    assert not running.environment.alive
    assert [1] == running.exits


async def test_an_unhandled_rejection_is_the_reply_and_the_end(node):
    text = "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise((done) => setTimeout(done, 9e3)) }"
    running = await node({"index.js": text})
    reply = await running.call()
    assert ReplyKind.ERROR is reply.kind
    assert "Runtime.UnhandledPromiseRejection" == json.loads(reply.payload)["errorType"]
    assert not running.environment.alive


async def test_a_handler_that_spins_is_killed_when_the_caller_gives_up(node):
    running = await node({"index.js": "exports.handler = async () => { for (;;); }"})
    with pytest.raises(TimeoutError):
        await running.call(seconds=0.3)
    await running.environment.stop()
    assert not running.environment.alive
    assert [] == running.exits


async def test_an_init_phase_that_hangs_is_cleaned_up_when_it_is_cancelled(node, driver):
    task = asyncio.create_task(node({"index.js": "for (;;);"}))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await task
    (pool,) = driver._pools.values()
    assert not [sandbox for sandbox in pool._all if sandbox not in pool._waiting and sandbox.alive]


async def test_a_frozen_environment_answers_after_it_is_thawed(node):
    running = await node({"index.js": "let n = 0; setInterval(() => n++, 1); exports.handler = async () => n"})
    await running.call()
    running.environment.freeze()
    waiting = asyncio.create_task(running.call())
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert set() == done
    running.environment.thaw()
    result(await waiting)


async def test_output_arrives_before_the_reply(node):
    text = (
        "exports.handler = async () => { console.log('one\\ntwo'); process.stdout.write('raw\\n'); console.error('e') }"
    )
    running = await node({"index.js": text})
    await running.call()
    first, raw, last = [line.decode() for line in running.output]
    assert first.endswith("\tINFO\tone\rtwo")
    assert "raw" == raw
    assert last.endswith("\tERROR\te")


async def test_a_response_over_the_limit_leaves_the_environment_good(node):
    running = await node({"index.js": "exports.handler = async (n) => 'x'.repeat(n)"})
    with pytest.raises(ResponseTooLarge):
        await running.call(b"6291555")
    assert 6_291_556 == len((await running.call(b"6291554")).payload)


async def test_node_options_of_the_owner_take_effect(node):
    running = await node(
        {"index.js": "exports.handler = async () => globalThis.pre", "pre.js": "globalThis.pre = 5"},
        variables={"NODE_OPTIONS": "--require /var/task/pre.js"},
    )
    assert 5 == result(await running.call())


async def test_child_processes_worker_threads_and_wasm_work(node):
    text = """
    const { execFileSync } = require('child_process'); const { Worker } = require('worker_threads');
    const fs = require('fs/promises'); const zlib = require('zlib'); const crypto = require('crypto');
    exports.handler = async () => {
      const thread = await new Promise((resolve, reject) => new Worker(
        'require("worker_threads").parentPort.postMessage(6 * 7)', { eval: true }).on('message', resolve).on('error', reject));
      await fs.writeFile('/tmp/a', 'b');
      const key = await new Promise((resolve, reject) => crypto.scrypt('p', 's', 16, (e, k) => e ? reject(e) : resolve(k)));
      const wasm = await WebAssembly.instantiate(Uint8Array.of(0,97,115,109,1,0,0,0,1,5,1,96,0,1,127,3,2,1,0,7,5,1,1,102,0,0,10,6,1,4,0,65,7,11));
      return [thread, execFileSync('/bin/echo', ['hi']).toString().trim(), execFileSync('node', ['-p', '1+1']).toString().trim(),
        await fs.readFile('/tmp/a', 'utf8'), key.length, zlib.gunzipSync(zlib.gzipSync('z')).toString(), wasm.instance.exports.f()];
    }"""
    running = await node({"index.js": text}, memory_mib=512)
    assert [42, "hi", "2", "b", 16, "z", 7] == result(await running.call())


async def test_garbage_does_not_kill_a_small_function(node):
    text = """exports.handler = async () => { let kept = []; for (let i = 0; i < 600; i++) {
      kept.push(new Array(65536).fill(i)); if (kept.length > 20) kept = kept.slice(10); } return kept.length }"""
    running = await node({"index.js": text}, memory_mib=128)
    assert 0 < result(await running.call())


async def test_a_memory_bomb_is_a_crash(node, driver):
    if not driver.isolation()["memory and processes"].startswith("on"):
        pytest.skip("no control group counts memory here")
    text = "exports.handler = async () => { const kept = []; for (;;) kept.push(Buffer.alloc(1 << 20, 1)); }"
    running = await node({"index.js": text}, memory_mib=128)
    with pytest.raises(EnvironmentCrashed):
        await running.call()


async def test_siblings_share_no_randomness_and_no_ids(node):
    text = """const crypto = require('crypto'); exports.handler = async () =>
      [crypto.randomBytes(16).toString('hex'), crypto.randomUUID(), String(Math.random())]"""
    first, second = await node({"index.js": text}), await node({"index.js": text})
    assert set() == set(result(await first.call())) & set(result(await second.call()))
    assert first.environment.environment_id != second.environment.environment_id


# Attacks


@pytest.mark.parametrize(
    "frame",
    ["Buffer.from([255,255,255,255,79])", "Buffer.from([0,0,0,1,79,0])", "Buffer.from([0,0,0,5,79,0,0,0,9,49])"],
    ids=["giant", "short", "another invocation's answer"],
)
async def test_a_handler_that_writes_on_the_channel_loses_its_environment_and_nothing_else(node, frame):
    running = await node(
        {"index.js": f"exports.handler = async () => {{ require('fs').writeSync(3, {frame}); return 1 }}"}
    )
    with pytest.raises(EnvironmentCrashed):
        await running.call()
    assert not running.environment.alive


async def test_a_handler_that_closes_the_channel_loses_its_environment(node):
    text = (
        "exports.handler = async () => { require('fs').closeSync(3); return new Promise((r) => setTimeout(r, 60000)) }"
    )
    running = await node({"index.js": text})
    with pytest.raises(EnvironmentCrashed):
        await running.call()


async def test_a_forged_answer_counts_for_the_forgers_own_invocation_only(node):
    """It is his environment and his event: he may answer as he likes, once."""
    text = """exports.handler = async () => {
      require('fs').writeSync(3, Buffer.from([0,0,0,5,79,0,0,0,1,55])); await new Promise((r) => setTimeout(r, 20)); return 8 }"""
    running = await node({"index.js": text})
    assert 7 == result(await running.call())
    while running.environment.alive:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "attempt",
    [
        "require('fs').readFileSync('/etc/shadow')",
        "require('fs').readdirSync('/home')",
        "require('fs').writeFileSync('/var/task/x', '1')",
        "require('fs').writeFileSync('/var/runtime/x', '1')",
        "require('fs').writeFileSync('/usr/x', '1')",
        "require('child_process').execFileSync('/bin/mount', ['-t', 'tmpfs', 'x', '/tmp'])",
        "process.setuid(0)",
        "require('fs').readFileSync('/proc/1/environ')[0] || require('fs').readFileSync('/proc/1/mem')",
    ],
)
async def test_a_hostile_handler_gets_an_error(node, attempt):
    running = await node({"index.js": f"exports.handler = async () => {{ {attempt} }}"})
    assert ReplyKind.ERROR is (await running.call()).kind


async def test_there_is_no_way_out_of_the_network(node):
    text = """const net = require('net'); exports.handler = async () => new Promise((resolve) =>
      net.connect(53, '1.1.1.1').on('connect', () => resolve('out')).on('error', (error) => resolve(error.code)))"""
    running = await node({"index.js": text})
    assert "ENETUNREACH" == result(await running.call())


async def test_a_cold_start_from_the_pool_does_not_start_an_interpreter(node, driver, runtime):
    await driver.prepare("123456789012", runtime)
    (pool,) = driver._pools.values()
    (waiting,) = pool._waiting
    running = await node({"index.js": "exports.handler = async () => process.uptime() * 1000"})
    assert waiting.sandbox_id == running.environment.environment_id


async def test_an_invocation_carries_its_own_context(node):
    running = await node(
        {
            "index.js": "exports.handler = async (e, c) => [c.awsRequestId, c.clientContext, process.env._X_AMZN_TRACE_ID]"
        }
    )
    invocation = Invocation(
        request_id="r-1",
        payload=b"1",
        deadline_ms=4_000_000_000_000,
        function_arn="a",
        client_context='{"custom":{"a":"b"}}',
        trace_id="Root=1",
    )
    assert ["r-1", {"custom": {"a": "b"}}, "Root=1"] == result(await running.environment.invoke(invocation))
