"""The pure parts of the commands: variables, times, payloads, differences, words."""

import io
import itertools
import json
from datetime import date

import pytest

from leastwise.cli import deploy, invoke, logs, requirements, role, usage, variables
from leastwise.cli.failures import CommandError, ExitCode, explain
from leastwise.cli.output import printable

NOW_MS = 1_764_000_000_000


def test_a_name_alone_takes_the_value_from_the_environment_and_is_not_exposed():
    assert variables.collect(["TOKEN", "MODE=a=b"], None, {"TOKEN": "hush", "OTHER": "x"}) == (
        {"TOKEN": "hush", "MODE": "a=b"},
        [],
    )


def test_a_secret_on_the_command_line_is_pointed_out():
    _, exposed = variables.collect(["DB_PASSWORD=x", "API_KEY=x", "WEBHOOK_SECRET=x", "MODE=x"], None, {})
    assert exposed == ["DB_PASSWORD", "API_KEY", "WEBHOOK_SECRET"]


def test_a_file_of_variables_keeps_values_as_they_are(tmp_path):
    file = tmp_path / "variables"
    file.write_text("# remark\n\nA1=x = y \nB1='quoted'\n")
    assert variables.collect([], file, {}) == ({"A1": "x = y ", "B1": "'quoted'"}, [])


def test_nothing_said_is_not_an_empty_set():
    assert variables.collect([], None, {}) == (None, [])


@pytest.mark.parametrize("given", [["A"], ["1A=x"], ["A=x"], ["A_1=x", "A_1=y"], ["=x"], ["A-B=x"]])
def test_a_bad_variable_is_refused(given):
    with pytest.raises(CommandError):
        variables.collect(given, None, {})


def test_a_misread_file_never_shows_its_text(tmp_path):
    file = tmp_path / "key.pem"
    file.write_text("+c2VjcmV0Cg==\n")
    with pytest.raises(CommandError) as refusal:
        variables.collect([], file, {})
    assert "c2Vj" not in refusal.value.message


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("30s", NOW_MS - 30_000),
        ("10m", NOW_MS - 600_000),
        ("2h", NOW_MS - 7_200_000),
        ("1d", NOW_MS - 86_400_000),
        ("999999999d", 0),
        ("2025-11-24T16:00:00Z", NOW_MS),
        ("2025-11-24T16:00:00", NOW_MS),
        ("2025-11-24T17:00:00+01:00", NOW_MS),
    ],
)
def test_since_is_an_age_or_a_time(text, expected_ms):
    assert expected_ms == logs.parse_since(text, now_ms=NOW_MS)


@pytest.mark.parametrize("text", ["", "10", "m", "-1m", "10x", "yesterday", "٣m"])
def test_since_refuses_what_is_neither(text):
    with pytest.raises(CommandError):
        logs.parse_since(text, now_ms=NOW_MS)


def test_following_shows_each_event_once_and_none_is_lost_between_two_looks():
    events = [{"eventId": str(number), "timestamp": NOW_MS + number * 1000, "message": ""} for number in range(40)]
    late = {"eventId": "late", "timestamp": NOW_MS + 11_500, "message": ""}
    arrived = [events[:5], events[:20], [*events[:20], late], [*events, late]]
    looks = []

    def fetch(from_ms):
        looks.append(from_ms)
        return iter([event for event in arrived[min(len(looks), 4) - 1] if event["timestamp"] >= from_ms])

    shown = [event["eventId"] for event in itertools.islice(logs.follow_events(fetch, NOW_MS, pause=lambda: None), 41)]
    assert sorted([*(str(number) for number in range(40)), "late"]) == sorted(shown)
    assert looks == sorted(looks)


@pytest.mark.parametrize(
    "function", ["hello", "arn:aws:lambda:us-east-1:1:function:hello", "arn:aws:lambda:r:1:function:hello:v"]
)
def test_logs_are_found_by_name_and_by_arn(function):
    assert logs.log_group(function) == "/aws/lambda/hello"


def test_a_line_break_of_the_runtime_is_shown_as_one():
    event = {"timestamp": 1_764_000_000_123, "message": "[ERROR] X\rTraceback:\r  File\n"}
    assert logs.render(event, as_json=False) == "2025-11-24T16:00:00.123Z [ERROR] X\nTraceback:\n  File"


def test_events_for_scripts_are_one_object_a_line():
    event = {"timestamp": 1, "message": "a\nb", "logStreamName": "s", "eventId": "e", "ingestionTime": 2}
    rendered = logs.render(event, as_json=True)
    assert (
        json.loads(rendered),
        rendered.count("\n"),
    ) == ({"timestamp": 1, "message": "a\nb", "logStreamName": "s", "eventId": "e"}, 0)


def test_the_payload_comes_from_the_argument_a_file_or_stdin(tmp_path, monkeypatch):
    (tmp_path / "event.json").write_bytes(b'{"a": 1}')
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[1]")))
    read = [invoke.read_payload(given) for given in (None, '"ä"', f"@{tmp_path / 'event.json'}", "-")]
    assert [b"{}", '"ä"'.encode(), b'{"a": 1}', b"[1]"] == read


@pytest.mark.parametrize(
    ("payload", "line"),
    [
        (b'{"errorType": "ValueError", "errorMessage": "no"}', "the function failed (Unhandled): ValueError: no"),
        (b'"text"', "the function failed (Unhandled)"),
        (b"\xff", "the function failed (Unhandled)"),
        (b"", "the function failed (Unhandled)"),
    ],
)
def test_a_function_error_is_one_line_whatever_the_payload(payload, line):
    assert line == invoke.describe_error(payload, "Unhandled")


def test_only_settings_that_differ_are_sent():
    present = {"Timeout": 3, "MemorySize": 128, "Handler": "a.b", "Environment": {"Variables": {"K1": "v"}}}
    wanted = {"Timeout": 3, "MemorySize": 256, "Handler": "a.b", "Environment": {"Variables": {"K1": "v"}}}
    assert deploy.differences(present, wanted) == {"MemorySize": 256}


def test_a_function_without_variables_is_the_same_as_one_with_none():
    assert deploy.differences({}, {"Environment": {"Variables": {}}, "Description": ""}) == {}


def test_the_made_role_may_write_the_log_of_its_function_and_nothing_else():
    policy = role.basic_execution("hello", role_arn="arn:aws:iam::123456789012:role/r", region="eu-north-1")
    [statement] = policy["Statement"]
    group = "arn:aws:logs:eu-north-1:123456789012:log-group:/aws/lambda/hello"
    assert ([group, f"{group}:*"], set()) == (
        statement["Resource"],
        set(statement["Action"]) - {"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"},
    )


@pytest.mark.parametrize(
    ("text", "day"),
    [("1d", date(2026, 11, 23)), ("7d", date(2026, 11, 17)), ("2026-01-02", date(2026, 1, 2))],
)
def test_the_first_day_counts_today(text, day):
    assert day == usage.first_day(text, today=date(2026, 11, 23))


@pytest.mark.parametrize("text", ["0d", "-1d", "d", "999999999d", "x", "2026-13-01"])
def test_what_is_not_a_day_is_refused(text):
    with pytest.raises(CommandError):
        usage.first_day(text, today=date(2026, 11, 23))


def test_requirements_with_nothing_in_them_are_not_installed(tmp_path):
    (tmp_path / "requirements.txt").write_text("# nothing\n\n")
    assert requirements.wanted(tmp_path, "python3.11") is None


def test_requirements_are_for_python_only(tmp_path):
    (tmp_path / "requirements.txt").write_text("pillow\n")
    assert (
        requirements.wanted(tmp_path, "python3.11") is not None,
        requirements.wanted(tmp_path, "nodejs20.x"),
    ) == (True, None)


def test_pip_sees_no_keys():
    environ = {"AWS_SECRET_ACCESS_KEY": "x", "LEASTWISE_DATA": "x", "PATH": "/bin", "PIP_INDEX_URL": "u"}
    assert requirements.pip_environment(environ) == {"PATH": "/bin", "PIP_INDEX_URL": "u"}


def test_a_file_named_pip_in_the_functions_directory_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "pip.py").write_text("raise SystemExit('this ran')\n")
    (tmp_path / "requirements.txt").write_text("--no-index\nno-such-package-here==1\n")
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "target"
    target.mkdir()
    with pytest.raises(CommandError) as failure:
        requirements.install(tmp_path / "requirements.txt", target, deploy.this_python())
    assert ("no-such-package-here" in failure.value.message, "this ran" in failure.value.message) == (True, False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 日本\tx\n", "plain ä 日本\tx\n"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\x00\x7f\x08", "\\x00\\x7f\\x08"),
    ],
)
def test_control_characters_of_others_never_reach_the_terminal(text, shown):
    assert shown == printable(text)


def test_each_kind_of_failure_has_its_exit_code():
    from botocore import exceptions

    kinds = [
        CommandError("x", code=ExitCode.DOUBT),
        exceptions.ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Invoke"),
        exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        exceptions.ConnectTimeoutError(endpoint_url="http://127.0.0.1:1"),
        exceptions.ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
        exceptions.SSLError(endpoint_url="https://a", error="bad certificate"),
        exceptions.NoCredentialsError(),
        exceptions.ParamValidationError(report="x"),
        FileNotFoundError(2, "No such file or directory", "event.json"),
        ZeroDivisionError("x"),
    ]
    assert [int(explain(kind).code) for kind in kinds] == [4, 1, 5, 5, 5, 5, 2, 2, 2, 1]


def test_a_wrong_region_is_told_with_the_variables_that_name_it():
    from botocore.exceptions import ClientError

    message = "Credential should be scoped to a valid region."
    answer = {"Error": {"Code": "InvalidSignatureException", "Message": message}}
    assert "AWS_REGION" in (explain(ClientError(answer, "ListFunctions")).hint or "")


def test_a_certificate_that_does_not_hold_is_not_taken_for_a_platform_that_is_not_running():
    from botocore import exceptions

    hint = explain(exceptions.SSLError(endpoint_url="https://a", error="hostname 'a' doesn't match 'b'")).hint or ""
    assert ("certificate" in hint, "leastwise up" in hint) == (True, False)


def test_an_error_of_the_platform_keeps_its_code_message_and_reason():
    from botocore.exceptions import ClientError

    answer = {
        "Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."},
        "Reason": "CallerRateLimitExceeded",
    }
    assert (
        explain(ClientError(answer, "Invoke")).message
        == "TooManyRequestsException: Rate Exceeded. (CallerRateLimitExceeded)"
    )
