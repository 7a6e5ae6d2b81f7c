"""guest/node in a plain process: handlers, errors, log lines. The sandbox around it is tests/sandbox' business."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import textwrap
from pathlib import Path

import pytest

import leastwise.guest
from leastwise.linux.node_channel import NodeConversation
from leastwise.linux.node_interpreters import find_nodes
from leastwise.runtime.interface import InitFailed, Invocation, Reply, ReplyKind, ResponseTooLarge

NODES = find_nodes()
SCRIPT = Path(leastwise.guest.__file__).parent / "node" / "index.js"
ID = "8476a536-e9f4-11e8-9739-2dfe598c3fcd"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:hello"
FAR_FUTURE_MS = 4_000_000_000_000

pytestmark = pytest.mark.skipif(not NODES, reason="no node on this machine")


async def answered(said: asyncio.Future, conversation: NodeConversation):
    """What the process says, unless it ends without saying it."""
    await asyncio.wait((said, conversation._ended), return_when=asyncio.FIRST_COMPLETED, timeout=30)
    assert said.done(), "the process ended, or says nothing"
    return said.result()


class Process:
    """One bootstrap process, its channel and its output."""

    def __init__(self, process: asyncio.subprocess.Process, conversation: NodeConversation) -> None:
        self.process = process
        self.conversation = conversation

    async def specialise(self, root: Path, handler: str, runtime: str, **variables: str) -> None:
        self.conversation.specialise(
            {
                "PATH": "/usr/bin:/bin",
                "LAMBDA_TASK_ROOT": str(root),
                "_HANDLER": handler,
                "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
                "AWS_LAMBDA_FUNCTION_NAME": "hello",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
                "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/hello",
                "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
                **variables,
            }
        )
        self.conversation.load()
        await answered(self.conversation.ready, self.conversation)

    async def invoke(self, event: object = None, **changes: object) -> Reply:
        values = {
            "request_id": ID,
            "payload": json.dumps(event).encode(),
            "deadline_ms": FAR_FUTURE_MS,
            "function_arn": ARN,
        }
        return await answered(self.conversation.send(Invocation(**{**values, **changes})), self.conversation)

    async def output(self) -> list[str]:
        """Everything it printed; ends it."""
        self.conversation.close()
        text = await self.process.stdout.read()
        return text.decode().splitlines(keepends=False)


@pytest.fixture(params=sorted(NODES))
def runtime(request) -> str:
    return request.param


@pytest.fixture
async def start(tmp_path, runtime):
    """Writes a package and starts a process for it."""
    started: list[Process] = []

    async def run(files: dict[str, str], handler: str = "index.handler", **variables: str) -> Process:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-ISc",
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execve(sys.argv[2], sys.argv[2:], {})",
            str(theirs.fileno()),
            str(NODES[runtime].binary),
            str(SCRIPT),
            pass_fds=(theirs.fileno(),),
            stdout=asyncio.subprocess.PIPE,
        )
        theirs.close()
        conversation = await NodeConversation.open(ours, on_broken=lambda: None)
        started.append(Process(process, conversation))
        await answered(conversation.generic, conversation)
        await started[-1].specialise(tmp_path, handler, runtime, **variables)
        return started[-1]

    yield run
    for one in started:
        one.conversation.close()
        if one.process.returncode is None:
            one.process.kill()
        await one.process.communicate()


def result(reply: Reply) -> object:
    assert ReplyKind.RESULT is reply.kind, reply.payload
    return json.loads(reply.payload)


def error(reply: Reply) -> dict:
    assert ReplyKind.ERROR is reply.kind, reply.payload
    return json.loads(reply.payload)


async def test_an_async_handler_returns_its_value(start):
    process = await start({"index.js": "exports.handler = async (event) => ({ got: event.a, text: 'ä😀' })"})
    assert {"got": 1, "text": "ä😀"} == result(await process.invoke({"a": 1}))


async def test_a_process_serves_one_invocation_after_the_other(start):
    process = await start({"index.js": "let n = 0; exports.handler = async () => ++n"})
    assert [1, 2, 3] == [result(await process.invoke()) for _ in range(3)]


@pytest.mark.parametrize("value", ["undefined", "null", "() => 1"])
async def test_nothing_is_null(start, value):
    process = await start({"index.js": f"exports.handler = async () => {value}"})
    assert b"null" == (await process.invoke()).payload


async def test_a_callback_handler_answers_on_old_runtimes_and_is_refused_on_new_ones(start, runtime):
    files = {"index.js": "exports.handler = (event, context, callback) => setTimeout(() => callback(null, event), 5)"}
    if runtime == "nodejs24.x":
        with pytest.raises(InitFailed) as caught:
            await start(files)
        assert "Runtime.CallbackHandlerDeprecated" == json.loads(caught.value.payload)["errorType"]
    else:
        process = await start(files)
        assert {"a": 1} == result(await process.invoke({"a": 1}))
        assert {"a": 2} == result(await process.invoke({"a": 2}))


NOT_24 = (
    "if (process.env.AWS_EXECUTION_ENV.includes('24')) Object.defineProperty(exports.handler, 'length', {value: 2});"
)


async def test_a_callback_waits_for_the_event_loop_to_run_empty(start):
    process = await start(
        {
            "index.js": f"""
            let late = false;
            exports.handler = (event, context, callback) => {{
              setTimeout(() => {{ late = true; }}, 30);
              callback(null, {{ get late() {{ return late; }} }});
            }};
            {NOT_24}"""
        }
    )
    assert {"late": True} == result(await process.invoke())


async def test_a_callback_does_not_wait_when_told_so(start):
    process = await start(
        {
            "index.js": f"""
            exports.handler = (event, context, callback) => {{
              context.callbackWaitsForEmptyEventLoop = false;
              setInterval(() => {{}}, 1000);
              callback(null, context.callbackWaitsForEmptyEventLoop);
            }};
            {NOT_24}"""
        }
    )
    assert False is result(await process.invoke())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("context.succeed({ ok: 1 })", {"ok": 1}),
        ("context.done(null, { ok: 2 })", {"ok": 2}),
        ("new Promise((resolve) => setTimeout(resolve, 1, { ok: 3 }))", {"ok": 3}),
        ("undefined", None),
    ],
)
async def test_a_plain_function_can_answer_in_every_old_way(start, body, expected):
    process = await start({"index.js": f"exports.handler = (event, context) => {body}"})
    assert expected == result(await process.invoke())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("context.fail('no')", {"errorType": "string", "errorMessage": "no", "trace": []}),
        ("context.fail()", {"errorType": "string", "errorMessage": "handled", "trace": []}),
        ("context.done({ a: 1 })", {"errorType": "object", "errorMessage": "[object Object]", "trace": []}),
        ("Promise.reject(null)", {"errorType": "string", "errorMessage": "handled", "trace": []}),
    ],
)
async def test_things_that_are_no_errors_can_be_failed_with(start, body, expected):
    process = await start({"index.js": f"exports.handler = (event, context) => {body}"})
    assert expected == error(await process.invoke())


async def test_an_error_carries_type_message_and_trace_in_that_order(start, tmp_path):
    process = await start(
        {"index.js": "exports.handler = async () => {\n  throw new TypeError('Handler fails');\n};\n"}
    )
    reply = await process.invoke()
    payload = error(reply)
    assert ["errorType", "errorMessage", "trace"] == list(payload)
    assert ("TypeError", "Handler fails") == (payload["errorType"], payload["errorMessage"])
    assert ["TypeError: Handler fails", f"    at exports.handler ({tmp_path}/index.js:2:9)"] == [
        line.replace("Runtime.handler [as handler]", "exports.handler") for line in payload["trace"][:2]
    ]


async def test_a_failed_invocation_leaves_the_process_good(start):
    process = await start(
        {"index.js": "exports.handler = async (event) => { if (event) throw new Error('x'); return 1 }"}
    )
    error(await process.invoke(True))
    assert 1 == result(await process.invoke(False))


async def test_the_context_has_every_field(start):
    process = await start(
        {
            "index.js": """
            exports.handler = async (event, context) => ({
              ...context,
              remaining: context.getRemainingTimeInMillis() > 0 && context.getRemainingTimeInMillis() < 1e15,
              trace: process.env._X_AMZN_TRACE_ID,
              cwd: process.cwd() === process.env.LAMBDA_TASK_ROOT,
            })"""
        }
    )
    reply = await process.invoke(client_context='{"custom":{"k":"v"}}', trace_id="Root=1")
    assert {
        "callbackWaitsForEmptyEventLoop": True,
        "functionVersion": "$LATEST",
        "functionName": "hello",
        "memoryLimitInMB": "128",
        "logGroupName": "/aws/lambda/hello",
        "logStreamName": "stream",
        "clientContext": {"custom": {"k": "v"}},
        "invokedFunctionArn": ARN,
        "awsRequestId": ID,
        "remaining": True,
        "trace": "Root=1",
        "cwd": True,
    } == result(reply)
    assert "trace" not in result(await process.invoke())


@pytest.mark.parametrize(
    ("files", "handler"),
    [
        ({"index.mjs": "export const handler = async () => 'here'"}, "index.handler"),
        ({"index.cjs": "exports.handler = async () => 'here'"}, "index.handler"),
        (
            {"index.js": "export const handler = async () => 'here'", "package.json": '{"type":"module"}'},
            "index.handler",
        ),
        (
            {"index.mjs": "const v = await Promise.resolve('here'); export const handler = async () => v"},
            "index.handler",
        ),
        ({"dir/sub/file.js": "exports.a = { b: { c: async () => 'here' } }"}, "dir/sub/file.a.b.c"),
        ({"dir/file.mjs": "export default { run: async () => 'here' }"}, "dir/file.default.run"),
        ({"node_modules/pkg/index.js": "exports.handler = async () => 'here'"}, "pkg.handler"),
        (
            {
                "index.js": "exports.handler = async () => require('dep').value",
                "node_modules/dep/index.js": "exports.value = 'here'",
            },
            "index.handler",
        ),
        (
            {
                "index.mjs": "import { value } from 'dep'; export const handler = async () => value",
                "node_modules/dep/package.json": '{"type":"module","exports":"./main.js"}',
                "node_modules/dep/main.js": "export const value = 'here'",
            },
            "index.handler",
        ),
        (
            {
                "index.js": "exports.handler = async () => 'here'",
                "package.json": '{"type":"commonjs"}',
                "index.mjs": "throw 1",
            },
            "index.handler",
        ),
    ],
    ids=[
        "mjs",
        "cjs",
        "type module",
        "top level await",
        "nested",
        "default",
        "package",
        "require",
        "import",
        "js first",
    ],
)
async def test_handlers_are_found_where_lambda_finds_them(start, files, handler):
    process = await start(files, handler)
    assert "here" == result(await process.invoke())


@pytest.mark.parametrize(
    ("files", "handler", "error_type", "message"),
    [
        (
            {},
            "index.handler",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'index'\nRequire stack:\n- /var/runtime/index.mjs",
        ),
        (
            {"index.js": "require('nothing')"},
            "index.handler",
            "Runtime.ImportModuleError",
            "Error: Cannot find module 'nothing'\nRequire stack:\n- ROOT/index.js\n- /var/runtime/index.mjs",
        ),
        (
            {"index.js": "exports.a = 1"},
            "index.handler",
            "Runtime.HandlerNotFound",
            "index.handler is undefined or not exported",
        ),
        (
            {"index.js": "exports.handler = 1"},
            "index.handler",
            "Runtime.HandlerNotFound",
            "index.handler is not a function",
        ),
        (
            {"index.js": "exports.a = {}"},
            "index.a.b.c",
            "Runtime.HandlerNotFound",
            "index.a.b.c is undefined or not exported",
        ),
        ({"index.js": ""}, "index", "Runtime.MalformedHandlerName", "Bad handler"),
        (
            {"index.js": ""},
            "../x.handler",
            "Runtime.MalformedHandlerName",
            "'../x.handler' is not a valid handler name. Use absolute paths when specifying root directories in handler names.",
        ),
        (
            {"index.js": "exports.handler = async ( => 1"},
            "index.handler",
            "Runtime.UserCodeSyntaxError",
            "SyntaxError: Unexpected token '=>'",
        ),
        (
            {"index.mjs": "export const handler = ("},
            "index.handler",
            "Runtime.UserCodeSyntaxError",
            "SyntaxError: Unexpected end of input",
        ),
        ({"index.js": "throw new RangeError('at import')"}, "index.handler", "RangeError", "at import"),
        ({"index.mjs": "throw 'text'; export const handler = 1"}, "index.handler", "string", "text"),
        (
            {"index.js": "Promise.reject(new Error('lost')); exports.handler = async () => 1;"},
            "index.handler",
            "Runtime.UnhandledPromiseRejection",
            "Error: lost",
        ),
    ],
)
async def test_an_init_error_is_reported_as_on_aws(start, tmp_path, files, handler, error_type, message, runtime):
    if "lost" in message:
        # The rejection is noticed when the handler has been loaded already or not: the process ends in both cases.
        files = {
            "index.mjs": "Promise.reject(new Error('lost')); await new Promise(() => setTimeout(() => {}, 5000)); export const handler = 1"
        }
    with pytest.raises(InitFailed) as caught:
        await start(files, handler)
    payload = json.loads(caught.value.payload)
    assert (error_type, message) == (payload["errorType"], payload["errorMessage"].replace(str(tmp_path), "ROOT"))


async def test_an_unhandled_rejection_fails_the_invocation_and_ends_the_process(start):
    process = await start(
        {
            "index.js": "exports.handler = () => { Promise.reject(new Error('lost')); return new Promise(() => setTimeout(() => {}, 9e3)) }"
        }
    )
    payload = error(await process.invoke())
    assert ("Runtime.UnhandledPromiseRejection", "Error: lost") == (payload["errorType"], payload["errorMessage"])
    assert 128 == await process.process.wait()
    assert process.conversation.broken


async def test_an_uncaught_exception_fails_the_invocation_and_ends_the_process(start):
    process = await start(
        {"index.js": "exports.handler = () => new Promise(() => setTimeout(() => { throw new RangeError('late') }, 1))"}
    )
    payload = error(await process.invoke())
    assert ("RangeError", "late") == (payload["errorType"], payload["errorMessage"])
    assert 129 == await process.process.wait()


async def test_a_promise_that_never_settles_is_an_error_and_not_a_hang(start):
    process = await start({"index.js": "exports.handler = async () => { await new Promise(() => {}) }"})
    assert "Runtime.NodeJsExit" == error(await process.invoke())["errorType"]
    assert "Runtime.NodeJsExit" == error(await process.invoke())["errorType"]


async def test_a_value_that_has_no_json_is_an_error(start):
    process = await start({"index.js": "exports.handler = async () => { const a = {}; a.a = a; return a }"})
    assert "Unable to stringify response body" == error(await process.invoke())["errorMessage"]


async def test_the_largest_response_passes_and_one_byte_more_does_not(start):
    process = await start({"index.js": "exports.handler = async (n) => 'x'.repeat(n)"})
    assert 6_291_556 == len((await process.invoke(6_291_554)).payload)
    with pytest.raises(ResponseTooLarge):
        await process.invoke(6_291_555)
    assert "x" == result(await process.invoke(1))


async def test_a_large_event_arrives_whole(start):
    process = await start({"index.js": "exports.handler = async (text) => text.length"})
    assert 6_000_000 == result(await process.invoke("y" * 6_000_000))


async def test_exit_in_a_handler_ends_the_process_with_its_status(start):
    process = await start({"index.js": "exports.handler = async () => process.exit(3)"})
    process.conversation.send(Invocation(request_id=ID, payload=b"1", deadline_ms=0, function_arn=ARN))
    assert 3 == await process.process.wait()


LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t(.*)")


async def test_console_lines_have_lambdas_form(start):
    process = await start(
        {
            "index.js": """
            console.log('at import');
            exports.handler = async () => {
              console.log('a %s', 'b', { c: [1] });
              console.info('i'); console.warn('w'); console.error('e'); console.debug('d'); console.trace('t');
              console.log('two\\nlines');
              process.stdout.write('raw\\n');
            }"""
        }
    )
    await process.invoke()
    lines = await process.output()
    assert "raw" == lines[-1]
    assert [
        "undefined\tINFO\tat import",
        f"{ID}\tINFO\ta b {{ c: [ 1 ] }}",
        f"{ID}\tINFO\ti",
        f"{ID}\tWARN\tw",
        f"{ID}\tERROR\te",
        f"{ID}\tDEBUG\td",
        f"{ID}\tTRACE\tt",
    ] == [LINE.fullmatch(line)[1] for line in lines[:7]]


async def test_lines_of_one_event_are_kept_together(start):
    process = await start({"index.js": "exports.handler = async () => { console.log('one\\ntwo') }"})
    await process.invoke()
    process.conversation.close()
    text = (await process.process.stdout.read()).decode()
    assert text.endswith(f"\t{ID}\tINFO\tone\rtwo\n")


async def test_an_invoke_error_is_logged_with_its_stack(start):
    process = await start(
        {"index.js": "exports.handler = async () => { throw Object.assign(new Error('x'), { code: 'C', more: 1 }) }"}
    )
    await process.invoke()
    (line,) = await process.output()
    level, title, detail = LINE.fullmatch(line)[1].split("\t")[1:]
    assert ("ERROR", "Invoke Error ") == (level, title)
    logged = json.loads(detail)
    assert "Error: x" == logged.pop("stack")[0]
    assert {"errorType": "Error", "errorMessage": "x", "code": "C", "more": 1} == logged


async def test_variables_replace_everything_the_generic_process_had(start):
    process = await start({"index.js": "exports.handler = async () => Object.keys(process.env).sort()"}, MINE="1")
    names = result(await process.invoke())
    assert "MINE" in names
    assert {"PWD", "SHLVL", "_"}.isdisjoint(names)


async def test_node_path_of_layers_is_honoured(start, tmp_path):
    process = await start(
        {"index.js": "exports.handler = async () => require('dep')", "layer/dep/index.js": "module.exports = 'layer'"},
        NODE_PATH=str(tmp_path / "layer"),
    )
    assert "layer" == result(await process.invoke())


async def test_node_options_take_effect_although_the_process_had_started(start, tmp_path):
    process = await start(
        {
            "index.js": "exports.handler = async () => [globalThis.pre, process.argv.length]",
            "pre.js": "globalThis.pre = 5",
        },
        NODE_OPTIONS=f"--require {tmp_path}/pre.js",
    )
    assert [5, 2] == result(await process.invoke())


async def test_a_handed_over_process_passes_its_status_on(start):
    process = await start({"index.js": "exports.handler = async () => process.exit(7)"}, NODE_OPTIONS="--no-warnings")
    process.conversation.send(Invocation(request_id=ID, payload=b"1", deadline_ms=0, function_arn=ARN))
    assert 7 == await process.process.wait()


async def test_a_streaming_handler_is_answered_with_all_it_wrote(start):
    process = await start(
        {
            "index.js": """
            exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
              stream.setContentType('text/plain');
              stream.write('one ');
              stream.write({ two: 2 });
              stream.end();
            });"""
        }
    )
    assert b'one {"two":2}' == (await process.invoke()).payload


async def test_a_streaming_handler_that_does_not_end_its_stream_fails(start):
    process = await start(
        {"index.js": "exports.handler = awslambda.streamifyResponse(async (e, stream) => { stream.write('x') })"}
    )
    assert "Response stream is not finished." == error(await process.invoke())["errorMessage"]


async def test_an_http_stream_begins_with_its_prelude(start):
    process = await start(
        {
            "index.js": """
            exports.handler = awslambda.streamifyResponse(async (event, stream) => {
              stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
              stream.end('body');
            });"""
        }
    )
    assert b'{"statusCode":201}' + bytes(8) + b"body" == (await process.invoke()).payload
