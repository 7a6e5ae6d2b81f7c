"""What commands send, print, and how they end."""

import importlib.util
import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from leastwise.cli.sessions import _shown

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def function(tmp_path):
    directory = tmp_path / "hello"
    directory.mkdir()
    (directory / "app.py").write_text("def handler(event, context):\n    return event\n")
    return directory


def deployed(run, function, *more: str):
    return run("--output", "json", "deploy", str(function), "--handler", "app.handler", "--role", "r", *more)


def test_a_first_deploy_creates_the_function_and_the_role_it_was_allowed_to_make(run, platform, function):
    result = deployed(run, function, "--create-role", "--memory", "256", "--env", "MODE=x")
    shown = json.loads(result.stdout)
    created = platform.functions["hello"]
    assert (result.exit_code, shown["Action"], shown["RoleCreated"]) == (0, "created", True)
    assert (
        created["MemorySize"],
        created["Environment"],
        created["Handler"],
    ) == (256, {"Variables": {"MODE": "x"}}, "app.handler")
    assert "logs:PutLogEvents" in platform.roles["r"]


def test_a_second_deploy_of_the_same_files_uploads_nothing(run, platform, function):
    platform.roles["r"] = ""
    deployed(run, function)
    changes = len(platform.changes())
    result = deployed(run, function)
    assert ("unchanged", changes) == (json.loads(result.stdout)["Action"], len(platform.changes()))


def test_changed_code_is_uploaded_and_the_configuration_left_alone(run, platform, function):
    platform.roles["r"] = ""
    deployed(run, function, "--memory", "256")
    (function / "app.py").write_text("handler = None\n")
    result = deployed(run, function)
    assert (
        json.loads(result.stdout)["Action"],
        platform.changes()[-1],
        platform.functions["hello"]["MemorySize"],
    ) == ("updated", ("PUT", "/2015-03-31/functions/hello/code"), 256)


def test_a_changed_setting_is_the_only_one_that_is_sent(run, platform, function):
    platform.roles["r"] = ""
    deployed(run, function)
    deployed(run, function, "--timeout", "9")
    [body] = [json.loads(body) for method, path, body in platform.calls if path.endswith("configuration") and body]
    assert {"Timeout", "RevisionId"} == set(body)


def test_a_role_that_is_not_there_is_not_made_unasked(run, platform, function):
    result = deployed(run, function)
    assert (result.exit_code, platform.roles, platform.changes()) == (2, {}, [])
    assert "--create-role" in result.stderr


def test_a_secret_for_the_function_is_never_printed(run, platform, function, monkeypatch):
    monkeypatch.setenv("WEBHOOK_SECRET", "hush hush")
    result = deployed(run, function, "--create-role", "--env", "WEBHOOK_SECRET")
    listed = run("functions", "--output", "json")
    assert platform.functions["hello"]["Environment"]["Variables"] == {"WEBHOOK_SECRET": "hush hush"}
    assert "hush" not in result.output + listed.output


@pytest.mark.parametrize("name", ["hello", "thumbnailer", "webhook", "csv_report"])
def test_the_functions_are_listed_by_name(run, platform, function, name):
    deployed(run, function, "--create-role", "--name", name)
    assert [name] == [item["FunctionName"] for item in json.loads(run("functions", "--output", "json").stdout)]
    assert name in run("functions").stdout


def test_an_invocation_prints_the_payload_and_nothing_else(run, platform):
    platform.payload = b'{"a": "\xc3\xa4"}'
    result = run("invoke", "hello", "--payload", '{"x": 1}')
    assert (result.exit_code, result.stdout, platform.calls[-1][2]) == (0, '{"a": "ä"}\n', b'{"x": 1}')


def test_a_function_error_exits_with_3_and_keeps_the_payload_on_stdout(run, platform):
    platform.payload, platform.function_error = b'{"errorType": "E", "errorMessage": "no"}', "Unhandled"
    result = run("invoke", "hello")
    assert (3, platform.payload.decode() + "\n") == (result.exit_code, result.stdout)
    assert "the function failed (Unhandled): E: no" in result.stderr


def test_an_event_is_accepted_and_a_dry_run_is_allowed(run):
    accepted, allowed = run("invoke", "hello", "--event"), run("invoke", "hello", "--dry-run")
    assert [accepted.stdout, allowed.stdout] == ["accepted req-1\n", "allowed\n"]


def test_the_log_of_an_invocation_goes_to_stderr_without_escape_sequences(run):
    result = run("invoke", "hello", "--log")
    assert (result.stdout, "log" in result.stderr, "\x1b[2J" in result.stderr) == ("{}\n", True, False)


def test_an_invocation_for_scripts_is_one_object(run, platform):
    platform.payload = b'{"a": 1}'
    shown = json.loads(run("invoke", "hello", "--output", "json").stdout)
    assert {
        "StatusCode": 200,
        "Payload": {"a": 1},
        "FunctionError": None,
        "ExecutedVersion": "$LATEST",
    }.items() <= shown.items()


def test_logs_are_shown_in_the_order_of_the_answer(run, platform):
    platform.log_events = [
        {"eventId": str(number), "timestamp": 1_764_000_000_000 + number, "message": f"line {number}"}
        for number in range(3)
    ]
    result = run("logs", "hello", "--since", "1d", "--filter", "line")
    asked = json.loads(platform.calls[-1][2])
    assert [line.split(" ", 1)[1] for line in result.stdout.splitlines()] == ["line 0", "line 1", "line 2"]
    assert (asked["logGroupName"], asked["filterPattern"]) == ("/aws/lambda/hello", "line")


def test_a_function_that_never_ran_has_no_logs_and_says_so(run):
    result = run("logs", "hello")
    assert (result.exit_code, "ResourceNotFoundException" in result.stderr) == (1, True)


def test_usage_is_signed_for_the_platforms_own_service(run, platform):
    result = run("usage", "--since", "2d", "--function", "hello")
    assert (result.exit_code, platform.calls[-1][1]) == (0, "/2026-11-23/usage")
    assert "/us-east-1/leastwise/aws4_request" in platform.authorizations[-1]
    assert result.stdout.splitlines()[-1].split()[1:] == ["hello", "3", "8", "0.001"]


def test_whoami_says_whose_keys_and_where(run, platform):
    shown = json.loads(run("whoami", "--output", "json").stdout)
    assert ("arn:aws:iam::123456789012:user/ann", platform.url, "leastwise") == (
        shown["Arn"],
        shown["EndpointUrl"],
        shown["Profile"],
    )


@pytest.mark.parametrize("command", [["invoke", "hello"], ["functions"], ["usage"]])
def test_a_denial_exits_with_1_in_the_platforms_words(run, platform, command):
    platform.denied = "User: ann is not authorized to perform: lambda:InvokeFunction"
    result = run(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"error: AccessDeniedException: {platform.denied}" in result.stderr


@pytest.mark.parametrize("command", [["invoke", "hello"], ["usage"], ["whoami"], ["logs", "hello"]])
def test_nobody_at_the_endpoint_exits_with_5(run, command):
    result = run(*command, "--endpoint-url", "http://127.0.0.1:1")
    assert (result.exit_code, "Traceback" in result.output) == (5, False)


@pytest.mark.parametrize(
    "command",
    [
        ["nonsense"],
        ["invoke"],
        ["invoke", "hello", "--event", "--dry-run"],
        ["invoke", "hello", "--payload", "@/not/there"],
        ["deploy", "/not/there", "--handler", "a.b", "--role", "r"],
        ["logs", "hello", "--since", "yesterday"],
        ["usage", "--since", "x"],
        ["functions", "--output", "xml"],
        ["functions", "--profile", "nobody"],
        ["up", "--account-id", "12"],
        ["up", "--tls-cert", "cert.pem"],
        ["up", "--listen", "everywhere"],
        ["up", "--config", "/not/there"],
        ["audit", "verify", "--data", "/not/there"],
    ],
)
def test_a_command_that_is_wrong_exits_with_2_and_one_clear_line(run, command):
    result = run(*command)
    assert (result.exit_code, result.stdout, "Traceback" in result.stderr) == (2, "", False)


def test_options_behind_the_command_win_over_those_before_it(run, platform):
    assert json.loads(run("--output", "table", "whoami", "--output", "json").stdout)
    assert run("whoami", "--endpoint-url", "http://127.0.0.1:1").exit_code == 5
    assert run("--endpoint-url", "http://127.0.0.1:1", "whoami", "--endpoint-url", platform.url).exit_code == 0


def test_the_traceback_is_shown_on_request_only_and_never_with_a_secret(run):
    result = run("whoami", "--endpoint-url", "http://127.0.0.1:1", "--debug")
    assert (result.exit_code, "Traceback" in result.stderr, "very secret" in result.output) == (5, True, False)


def test_the_help_needs_neither_boto3_nor_rich_nor_the_platform():
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom leastwise.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "print([name for name in sys.modules if name.split('.')[0] in {'boto3', 'botocore', 'rich', 'sqlalchemy'}"
        " or name.startswith(('leastwise.wiring', 'leastwise.kernel'))])"
    )
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_a_shell_can_complete_commands(run):
    finished = subprocess.run(
        [Path(sys.executable).parent / "leastwise"],
        env={"_LEASTWISE_COMPLETE": "complete_bash", "COMP_WORDS": "leastwise de", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.stdout.split() == ["deploy"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["sessions", "revoke", "--role", "a", "--user", "b"], "give --role or --user, not both"),
        (["sessions", "revoke"], "give --role or --user"),
        (["accounts", "create", "shop", "--email", "nobody"], "--email nobody: not an e-mail address"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anybody_is_called(run, given, said):
    result = run(*given)
    assert (2, f"error: {said}") == (result.exit_code, result.stderr.splitlines()[0])


def test_instants_are_shown_as_they_are_taken():
    assert ["2026-11-23T18:00:00Z", "2026-11-23T18:00:00.125Z"] == [
        _shown(datetime(2026, 11, 23, 19, 0, 0, microsecond, timezone(timedelta(hours=1))))
        for microsecond in (0, 125_000)
    ]


def test_the_reference_is_what_the_help_says():
    path = REPOSITORY / "docs" / "generate_cli.py"
    spec = importlib.util.spec_from_file_location("generate_cli", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (REPOSITORY / "docs" / "reference" / "cli.md").read_text() == module.reference()
