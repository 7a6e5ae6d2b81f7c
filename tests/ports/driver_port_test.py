"""One suite for every `runtime.interface.EnvironmentDriver`: the fake and the kernel sandbox."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.driver import FakeDriver

from leastwise.iam.interface import Credentials
from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.interface import (
    CrashReason,
    EnvironmentCrashed,
    EnvironmentSpec,
    Invocation,
    OnOutput,
    Reply,
    ReplyKind,
    RuntimeMissing,
)

RUNTIME = f"python3.{sys.version_info[1]}"
HANDLER = """
import os
def handler(event, context):
    print("called")
    if event == "raise":
        raise ValueError("no")
    if event == "die":
        os._exit(7)
    return event
"""


async def fake_handler(spec: EnvironmentSpec, invocation: Invocation, on_output: OnOutput) -> Reply:
    """What `HANDLER` does, without a process."""
    on_output(b"called")
    if invocation.payload == b'"raise"':
        return Reply(kind=ReplyKind.ERROR, payload=b'{"errorType": "ValueError"}')
    if invocation.payload == b'"die"':
        raise EnvironmentCrashed(CrashReason.EXIT, 7)
    return Reply(kind=ReplyKind.RESULT, payload=invocation.payload)


@pytest.fixture(params=["fake", "linux"])
async def driver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    if request.param == "fake":
        made: Any = FakeDriver(fake_handler)
    else:
        made = LinuxDriver(data=tmp_path, families=[PythonFamily([own_interpreter()])], pool_size=1)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def environment(driver: Any) -> AsyncIterator[tuple[Any, list[bytes]]]:
    with tempfile.TemporaryDirectory() as name:
        code = Path(name)
        code.chmod(0o755)
        (code / "app.py").write_text(HANDLER)
        seen: list[bytes] = []
        made = await driver.start_environment(
            spec(code, driver.runtimes()[0]), on_output=seen.append, on_exit=lambda: None
        )
        yield made, seen
        await made.stop()


def spec(code: Path, runtime: str) -> EnvironmentSpec:
    return EnvironmentSpec(
        account_id="123456789012",
        function_arn="arn",
        function_name="name",
        runtime=runtime,
        handler="app.handler",
        code_path=code,
        revision_id="1",
        memory_mib=128,
        tmp_mib=512,
        timeout_ms=3000,
        variables={},
        credentials=Credentials(access_key_id="a", secret_access_key="b", session_token="c", expires_at_ms=0),
        region="eu-west-1",
        log_group="g",
        log_stream="s",
    )


def invocation(payload: bytes) -> Invocation:
    deadline = int(time.time() * 1000) + 30_000
    return Invocation(request_id="r", payload=payload, deadline_ms=deadline, function_arn="arn")


async def test_what_the_handler_returns_is_the_reply(environment: Any) -> None:
    made, _ = environment
    for payload in (b"1", b'{"a": [1, 2]}', b"null"):
        assert Reply(kind=ReplyKind.RESULT, payload=payload) == await made.invoke(invocation(payload))


async def test_what_the_handler_raises_is_an_error_reply_and_the_environment_lives_on(environment: Any) -> None:
    made, _ = environment
    reply = await made.invoke(invocation(b'"raise"'))
    assert ReplyKind.ERROR is reply.kind
    assert b'"errorType": "ValueError"' in reply.payload
    assert made.alive
    assert b"1" == (await made.invoke(invocation(b"1"))).payload


async def test_output_is_there_before_the_reply(environment: Any) -> None:
    made, seen = environment
    await made.invoke(invocation(b"1"))
    assert [b"called"] == seen


async def test_a_death_is_told_with_its_status(environment: Any) -> None:
    made, _ = environment
    with pytest.raises(EnvironmentCrashed) as crash:
        await made.invoke(invocation(b'"die"'))
    assert (CrashReason.EXIT, 7) == (crash.value.reason, crash.value.status)


async def test_freeze_and_thaw_may_be_repeated(environment: Any) -> None:
    made, _ = environment
    made.thaw()
    made.freeze()
    made.freeze()
    made.thaw()
    made.thaw()
    assert b"1" == (await made.invoke(invocation(b"1"))).payload


async def test_the_start_took_time_and_memory_is_used(environment: Any) -> None:
    made, _ = environment
    await made.invoke(invocation(b"1"))
    assert 0 < made.init_ms
    assert 0 < made.peak_memory_bytes()
    assert made.environment_id


async def test_a_stopped_environment_is_not_alive_and_stop_may_be_repeated(environment: Any) -> None:
    made, _ = environment
    await made.stop()
    await made.stop()
    assert not made.alive


async def test_an_unknown_runtime_is_missing(driver: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeMissing):
        await driver.start_environment(spec(tmp_path, "cobol1959"), on_output=print, on_exit=lambda: None)


async def test_runtimes_are_sorted_and_isolation_is_described(driver: Any) -> None:
    assert sorted(driver.runtimes()) == list(driver.runtimes())
    assert driver.isolation()
