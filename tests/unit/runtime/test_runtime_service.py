"""The runtime on a fake driver: admission, one environment a call, timeouts, crashes, revisions, scale to zero."""

import asyncio
import dataclasses
import json
from pathlib import Path

import pytest
from tests.fakes.driver import FakeDriver

from leastwise.functions.interface import CodePackage, Function
from leastwise.iam.interface import Credentials
from leastwise.kernel import errors
from leastwise.kernel.clock import SystemClock
from leastwise.runtime.interface import (
    CrashReason,
    EnvironmentCrashed,
    InitFailed,
    Reply,
    ReplyKind,
    ResponseTooLarge,
    Throttle,
)
from leastwise.runtime.scaling import Keeping
from leastwise.runtime.service import Runtime, RuntimeLimits


class MemoryLog:
    def __init__(self):
        self.lines = []

    def write(self, account_id, group, stream, lines, *, ingested_ms):
        self.lines.extend((stream, text.rstrip("\n")) for _, text in lines)

    def flush(self):
        pass


class Sessions:
    async def assume_for_service(self, *, role_arn, service, session_name, duration_s, now_ms, source_arn):
        return Credentials(
            access_key_id="ASIAX", secret_access_key="s", session_token="t", expires_at_ms=now_ms + duration_s * 1000
        )


def function(**changes):
    facts = {
        "account_id": "111122223333",
        "region": "us-east-1",
        "name": "f",
        "arn": "arn:aws:lambda:us-east-1:111122223333:function:f",
        "runtime": "python3.11",
        "role_arn": "arn:aws:iam::111122223333:role/r",
        "handler": "h.handler",
        "log_group": "/aws/lambda/f",
        "code": CodePackage(digest="00", zip_bytes=1, unpacked_bytes=1),
        "last_modified_ms": 0,
        "revision_id": "r1",
    }
    return Function(**{**facts, **changes})


async def echo(spec, invocation, on_output):
    on_output(b"hello")
    return Reply(kind=ReplyKind.RESULT, payload=invocation.payload)


def make(handler=echo, *, concurrency=1000, keeping=None, free_mib=100_000):
    driver = FakeDriver(handler)
    log = MemoryLog()
    runtime = Runtime(
        driver=driver,
        sessions=Sessions(),
        logs=log,
        clock=SystemClock(),
        code_path=lambda digest: Path("/nowhere") / digest,
        free_memory_mib=lambda: free_mib,
        limits=RuntimeLimits(
            account_concurrency=concurrency,
            keeping=keeping or Keeping(idle_ms=60_000, age_ms=600_000, least_free_mib=512),
        ),
    )
    return runtime, driver, log


def call(runtime, target, *, payload=b"{}", tail=False):
    return runtime.invoke(
        target, request_id="ID", payload=payload, function_arn=target.arn, want_tail=tail
    )  # fmt: skip


async def test_the_second_call_is_warm_and_the_log_tells_both():
    runtime, driver, log = make()
    cold = await call(runtime, function(), payload=b"1", tail=True)
    warm = await call(runtime, function(), payload=b"2", tail=True)
    assert (cold.payload, warm.payload) == (b"1", b"2")
    assert len(driver.made) == 1
    assert cold.init_us == 1500
    assert warm.init_us == 0
    assert [text.split(" ")[0] for _, text in log.lines] == [
        "INIT_START", "START", "hello", "END", "REPORT", "START", "hello", "END", "REPORT",
    ]  # fmt: skip
    assert warm.log_tail.decode().splitlines()[:3] == [
        "START RequestId: ID Version: $LATEST",
        "hello",
        "END RequestId: ID",
    ]
    await runtime.close(patience_s=1)


async def test_every_concurrent_call_has_an_environment_of_its_own():
    together = asyncio.Barrier(5)

    async def wait(spec, invocation, on_output):
        await together.wait()
        return Reply(kind=ReplyKind.RESULT, payload=b"null")

    runtime, driver, _ = make(wait)
    await asyncio.gather(*(call(runtime, function()) for _ in range(5)))
    assert len(driver.made) == 5
    await runtime.close(patience_s=1)
    assert all(environment.stopped for environment in driver.made)


async def test_the_call_beyond_the_reservation_is_throttled_with_its_reason():
    release = asyncio.Event()

    async def wait(spec, invocation, on_output):
        await release.wait()
        return Reply(kind=ReplyKind.RESULT, payload=b"null")

    runtime, _, _ = make(wait)
    first = asyncio.create_task(call(runtime, function(reserved_concurrency=1)))
    await asyncio.sleep(0)
    with pytest.raises(Throttle) as caught:
        await call(runtime, function(reserved_concurrency=1))
    assert caught.value.detail == {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User"}
    release.set()
    await first
    await runtime.close(patience_s=1)


async def test_a_call_that_passes_its_timeout_ends_with_its_environment():
    async def forever(spec, invocation, on_output):
        await asyncio.Event().wait()

    runtime, driver, log = make(forever)
    outcome = await call(runtime, dataclasses.replace(function(), timeout_s=1))
    assert outcome.function_error == "Unhandled"
    assert json.loads(outcome.payload)["errorType"] == "Sandbox.Timedout"
    assert any("Task timed out after 1.00 seconds" in text for _, text in log.lines)
    await runtime.close(patience_s=1)
    assert driver.made[0].stopped


async def test_a_crash_costs_only_its_own_environment():
    async def crash(spec, invocation, on_output):
        if invocation.payload == b'"crash"':
            raise EnvironmentCrashed(CrashReason.EXIT, 1)
        return Reply(kind=ReplyKind.RESULT, payload=b"1")

    runtime, driver, _ = make(crash)
    crashed = await call(runtime, function(), payload=b'"crash"')
    assert json.loads(crashed.payload)["errorType"] == "Runtime.ExitError"
    healthy = await call(runtime, function())
    assert healthy.payload == b"1"
    assert len(driver.made) == 2
    await runtime.close(patience_s=1)


async def test_a_response_that_is_too_large_is_a_function_error_and_the_environment_stays():
    async def huge(spec, invocation, on_output):
        message = "too large"
        raise ResponseTooLarge(message)

    runtime, driver, _ = make(huge)
    for _ in range(2):
        outcome = await call(runtime, function())
        assert json.loads(outcome.payload)["errorType"] == "Function.ResponseSizeTooLarge"
    assert len(driver.made) == 1
    await runtime.close(patience_s=1)


async def test_a_failed_init_is_a_function_error_with_its_own_payload():
    runtime, driver, log = make()

    async def fail():
        raise InitFailed(b'{"errorType":"Runtime.ImportModuleError"}')

    driver.start_problem = fail
    outcome = await call(runtime, function())
    assert (outcome.function_error, outcome.payload) == ("Unhandled", b'{"errorType":"Runtime.ImportModuleError"}')
    assert any(text.startswith("INIT_REPORT") for _, text in log.lines)
    await runtime.close(patience_s=1)


async def test_new_code_is_used_by_the_next_call_and_the_old_environment_goes():
    runtime, driver, _ = make()
    await call(runtime, function())
    await call(runtime, function(revision_id="r2"))
    assert [environment.spec.revision_id for environment in driver.made] == ["r1", "r2"]
    await runtime.close(patience_s=1)


async def test_an_environment_busy_with_old_code_finishes_and_is_not_used_again():
    release = asyncio.Event()

    async def wait(spec, invocation, on_output):
        await release.wait()
        return Reply(kind=ReplyKind.RESULT, payload=spec.revision_id.encode())

    runtime, driver, _ = make(wait)
    old = asyncio.create_task(call(runtime, function()))
    await asyncio.sleep(0)
    runtime.configuration_changed("111122223333", "f", function(revision_id="r2"))
    release.set()
    assert (await old).payload == b"r1"
    assert (await call(runtime, function(revision_id="r2"))).payload == b"r2"
    await runtime.close(patience_s=1)
    assert len(driver.made) == 2


async def test_an_environment_whose_keys_were_revoked_takes_no_more_work():
    runtime, driver, _ = make()
    await call(runtime, function())
    runtime.renew("111122223333", "f")
    runtime.renew("111122223333", "unknown")
    await call(runtime, function())
    assert len(driver.made) == 2
    release = asyncio.Event()

    async def wait(*_):
        await release.wait()
        return Reply(kind=ReplyKind.RESULT, payload=b"1")

    driver.handler = driver.made[1]._handler = wait
    busy = asyncio.create_task(call(runtime, function()))
    await asyncio.sleep(0)
    runtime.renew("111122223333", "f")
    release.set()
    assert (await busy).payload == b"1"
    await call(runtime, function())
    assert len(driver.made) == 3
    await runtime.close(patience_s=1)


async def test_an_idle_environment_is_frozen_and_thawed_for_its_next_call():
    runtime, driver, _ = make()
    await call(runtime, function())
    environment = driver.made[0]
    while not environment.frozen:
        await asyncio.sleep(0.001)
    await call(runtime, function())
    assert len(driver.made) == 1
    await runtime.close(patience_s=1)


async def test_without_work_a_function_scales_to_zero():
    runtime, driver, _ = make(keeping=Keeping(idle_ms=1, age_ms=600_000, least_free_mib=0))
    await runtime.open()
    await call(runtime, function())
    while not driver.made[0].stopped:
        await asyncio.sleep(0.01)
    await runtime.close(patience_s=1)


async def test_a_closing_runtime_finishes_what_it_accepted_and_refuses_the_rest():
    release = asyncio.Event()

    async def wait(spec, invocation, on_output):
        await release.wait()
        return Reply(kind=ReplyKind.RESULT, payload=b"done")

    runtime, _, _ = make(wait)
    accepted = asyncio.create_task(call(runtime, function()))
    await asyncio.sleep(0)
    closing = asyncio.create_task(runtime.close(patience_s=10))
    await asyncio.sleep(0)
    with pytest.raises(errors.Unavailable):
        await call(runtime, function())
    release.set()
    await closing
    assert (await accepted).payload == b"done"


async def test_an_environment_that_dies_while_idle_is_replaced():
    runtime, driver, _ = make()
    await call(runtime, function())
    driver.made[0].alive = False
    driver.made[0].on_exit()
    await call(runtime, function())
    assert len(driver.made) == 2
    await runtime.close(patience_s=1)


async def test_an_init_phase_that_is_too_slow_is_tried_once_more_under_the_functions_timeout(monkeypatch):
    monkeypatch.setattr("leastwise.runtime.starting.INIT_LIMIT_MS", 20)
    runtime, driver, log = make()
    attempts = []

    async def slow_at_first():
        attempts.append(1)
        if len(attempts) == 1:
            await asyncio.Event().wait()

    driver.start_problem = slow_at_first
    outcome = await call(runtime, function())
    assert (outcome.function_error, len(attempts)) == (None, 2)
    assert any("Status: timeout" in text for _, text in log.lines)

    async def never():
        await asyncio.Event().wait()

    driver.start_problem = never
    outcome = await call(runtime, dataclasses.replace(function(revision_id="r2"), timeout_s=1))
    assert json.loads(outcome.payload)["errorType"] == "Sandbox.Timedout"
    await runtime.close(patience_s=1)


async def test_a_role_that_cannot_be_assumed_any_more_is_the_callers_error(monkeypatch):
    runtime, driver, _ = make()

    async def refuse(self, **_):
        message = "The role defined for the function cannot be assumed by Lambda."
        raise errors.Denied(message)

    monkeypatch.setattr(Sessions, "assume_for_service", refuse)
    with pytest.raises(errors.Denied):
        await call(runtime, function())
    assert driver.made == []
    await runtime.close(patience_s=1)
