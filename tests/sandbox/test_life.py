"""The life of an environment: init, invocations, output, ends."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from leastwise.runtime.interface import CrashReason, EnvironmentCrashed, InitFailed, ReplyKind, RuntimeMissing

ECHO = "def handler(event, context): return event"


async def test_an_exception_is_told_as_lambda_tells_it(start: Any) -> None:
    running = await start('def handler(event, context):\n    raise Exception("Handler fails")\n')
    reply = await running.call()
    error = json.loads(reply.payload)
    assert reply.kind is ReplyKind.ERROR
    assert list(error) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert (error["errorMessage"], error["errorType"]) == ("Handler fails", "Exception")
    assert error["stackTrace"] == [
        '  File "/var/task/app.py", line 2, in handler\n    raise Exception("Handler fails")\n'
    ]
    nbsp = "\u00a0"
    text = (
        "[ERROR] Exception: Handler fails\rTraceback (most recent call last):"
        f'\r{nbsp * 2}File "/var/task/app.py", line 2, in handler\r{nbsp * 4}raise Exception("Handler fails")'
    )
    assert running.output == [text.encode()]


@pytest.mark.parametrize(
    ("text", "handler", "kind", "message"),
    [
        (ECHO, "app.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'app'"),
        (
            ECHO,
            "nomodule.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'nomodule': No module named 'nomodule'",
        ),
        (
            ECHO,
            "app",
            "Runtime.MalformedHandlerName",
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
        (ECHO, "time.time", "Runtime.BuiltInModuleConflict", "Cannot use built-in module time as a handler module"),
        (
            "import nothing_there",
            "app.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'app': No module named 'nothing_there'",
        ),
        ("raise ValueError('at import')", "app.handler", "ValueError", "at import"),
    ],
)
async def test_a_failed_init_is_told_as_lambda_tells_it(
    start: Any, text: str, handler: str, kind: str, message: str
) -> None:
    with pytest.raises(InitFailed) as failed:
        await start(text, handler=handler)
    error = json.loads(failed.value.payload)
    assert (error["errorType"], error["errorMessage"], error["requestId"]) == (kind, message, "")


async def test_a_syntax_error_names_file_and_line(start: Any) -> None:
    with pytest.raises(InitFailed) as failed:
        await start("def handler(event, context)\n    return 1\n")
    error = json.loads(failed.value.payload)
    assert error["errorType"] == "Runtime.UserCodeSyntaxError"
    assert error["stackTrace"] == ['  File "/var/task/app.py" Line 1\n    def handler(event, context)\n']


async def test_a_result_json_cannot_hold_is_a_marshal_error(start: Any) -> None:
    running = await start("def handler(event, context): return {1, 2}")
    error = json.loads((await running.call()).payload)
    assert error["errorType"] == "Runtime.MarshalError"
    assert error["errorMessage"] == "Unable to marshal response: Object of type set is not JSON serializable"


async def test_decimals_are_written_as_numbers_and_text_is_kept(start: Any) -> None:
    running = await start(
        "from decimal import Decimal\ndef handler(event, context): return {'price': Decimal('1.10'), 'text': event}"
    )
    reply = await running.call(b'"\\"price\\" \\u00e9"')
    assert b'"price": 1.10' in reply.payload
    assert json.loads(reply.payload)["text"] == '"price" é'


async def test_no_return_value_is_null(start: Any) -> None:
    assert (await (await start("def handler(event, context): pass")).call()).payload == b"null"


async def test_a_handler_in_a_sub_directory_is_found(start: Any, package: Any) -> None:
    code = package()
    (code / "pkg").mkdir()
    (code / "pkg" / "mod.py").write_text(ECHO)
    running = await start("", code=code, handler="pkg/mod.handler")
    assert (await running.call(b"1")).payload == b"1"


async def test_print_and_logging_arrive_in_order_and_before_the_reply(start: Any) -> None:
    running = await start(
        """
import logging, sys
logging.getLogger().setLevel("INFO")
def handler(event, context):
    print("one")
    logging.info("two\\nlines")
    print("three", file=sys.stderr)
    sys.stdout.write("unfinished")
"""
    )
    await running.call()
    assert len(running.output) == 4
    assert running.output[0] == b"one"
    assert re.fullmatch(
        rb"\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t[0-9a-f-]{36}\ttwo\nlines", running.output[1]
    )
    assert running.output[2:] == [b"three", b"unfinished"]


async def test_what_a_child_program_prints_arrives_line_by_line(start: Any) -> None:
    running = await start(
        "import subprocess\ndef handler(event, context): subprocess.run(['sh', '-c', 'echo one; echo two >&2'])"
    )
    await running.call()
    assert running.output == [b"one", b"two"]


async def test_print_during_init_arrives(start: Any) -> None:
    running = await start("print('loading')\n" + ECHO)
    assert running.output == [b"loading"]


async def test_the_context_says_what_lambda_says(start: Any) -> None:
    running = await start(
        """
def handler(event, context):
    return [context.function_name, context.function_version, context.memory_limit_in_mb, context.log_group_name,
            context.log_stream_name, context.invoked_function_arn, len(context.aws_request_id),
            0 < context.get_remaining_time_in_millis() <= 30000, context.client_context,
            context.identity.cognito_identity_id]
"""
    )
    said = json.loads((await running.call()).payload)
    arn = "arn:aws:lambda:us-east-1:123456789012:function:test"
    log = ["/aws/lambda/test", "2026/11/23/[$LATEST]0123"]
    assert said == ["test", "$LATEST", "256", *log, arn, 36, True, None, None]


async def test_the_environment_variables_are_lambdas_and_the_owners(start: Any) -> None:
    running = await start(
        "import os\ndef handler(event, context): return dict(os.environ)",
        variables={"MINE": "1", "AWS_ACCESS_KEY_ID": "forged", "PATH": "/var/task/bin"},
    )
    variables = json.loads((await running.call()).payload)
    assert variables["MINE"] == "1"
    assert variables["PATH"] == "/var/task/bin"
    assert variables["AWS_ACCESS_KEY_ID"] == "ASIATEST"
    assert variables["AWS_SESSION_TOKEN"] == "token"
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9002"
    assert variables["_HANDLER"] == "app.handler"
    assert variables["LAMBDA_TASK_ROOT"] == "/var/task"
    assert "LD_BIND_NOW" not in variables


async def test_sys_exit_ends_the_environment_with_its_status(start: Any) -> None:
    running = await start("import sys\ndef handler(event, context):\n    print('bye')\n    sys.exit(3)")
    with pytest.raises(EnvironmentCrashed) as crash:
        await running.call()
    assert (crash.value.reason, crash.value.status) == (CrashReason.EXIT, 3)
    assert running.output == [b"bye"]
    assert running.exits == []


async def test_a_segmentation_fault_is_told_as_its_signal(start: Any) -> None:
    running = await start("import ctypes\ndef handler(event, context): ctypes.string_at(0)")
    with pytest.raises(EnvironmentCrashed) as crash:
        await running.call()
    assert (crash.value.reason, crash.value.status) == (CrashReason.SIGNAL, 11)


async def test_an_exit_during_init_is_a_crash(start: Any) -> None:
    with pytest.raises(EnvironmentCrashed) as crash:
        await start("import os\nos._exit(9)")
    assert (crash.value.reason, crash.value.status) == (CrashReason.EXIT, 9)


async def test_a_death_between_invocations_is_told_once(start: Any) -> None:
    running = await start(
        """
import os, threading
def handler(event, context): threading.Timer(0.1, os._exit, (1,)).start()
"""
    )
    await running.call()
    async with asyncio.timeout(10):
        while not running.exits:
            await asyncio.sleep(0.01)
    assert running.exits == [1]
    assert not running.environment.alive
    with pytest.raises(EnvironmentCrashed):
        await running.call()


async def test_stop_is_no_news_and_may_be_repeated(start: Any) -> None:
    running = await start(ECHO)
    await running.environment.stop()
    await running.environment.stop()
    assert running.exits == []
    assert not running.environment.alive


async def test_a_cancelled_cold_start_leaves_nothing(start: Any, driver: Any) -> None:
    task = asyncio.ensure_future(start("import time\ntime.sleep(60)"))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pool = next(iter(driver._pools.values()))
    async with asyncio.timeout(10):
        while len(pool._all) > len(pool._waiting):
            await asyncio.sleep(0.01)
    assert len(pool._all) <= 1


async def test_an_unknown_runtime_is_refused(start: Any) -> None:
    with pytest.raises(RuntimeMissing):
        await start(ECHO, runtime="python2.7")


async def test_a_package_that_is_not_there_fails_and_leaves_nothing(start: Any, packages_directory: Any) -> None:
    with pytest.raises(OSError):
        await start("", code=packages_directory / "nothing")


async def test_twenty_cold_starts_at_once_all_arrive(start: Any) -> None:
    made = await asyncio.gather(*(start("import os\ndef handler(event, context): return event") for _ in range(20)))
    replies = await asyncio.gather(*(running.call(str(n).encode()) for n, running in enumerate(made)))
    assert [reply.payload for reply in replies] == [str(n).encode() for n in range(20)]


async def test_the_state_of_one_invocation_is_there_in_the_next(start: Any) -> None:
    running = await start("count = 0\ndef handler(event, context):\n    global count\n    count += 1\n    return count")
    assert [(await running.call()).payload for _ in range(3)] == [b"1", b"2", b"3"]


async def test_accounts_never_share_a_fork_server(start: Any, driver: Any) -> None:
    await start(ECHO, account_id="111111111111")
    await start(ECHO, account_id="222222222222")
    assert len({id(pool._zygote) for pool in driver._pools.values()}) == 2
