"""`leastwise policy` works on files alone: what it prints and how it ends."""

import json
import re
import socket
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from leastwise.cli.main import app

DOCS = Path(__file__).parents[3] / "docs"
GOOD = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Read",
            "Effect": "Allow",
            "Action": "lambda:GetFunction",
            "Resource": "arn:aws:lambda:us-east-1:111122223333:function:f1",
        }
    ],
}
BAD = """{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow",
     "Action": ["lambda:GetFunction", "lambda:InvokeFunctions"],
     "Resource": "arn:aws:lambda:us-east-1:111122223333:function:f1",
     "Condition": {"StringEquals": {"aws:username": "a*"}}}
  ]
}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the command in an empty directory, without any way to a platform."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", None)

    def leastwise(*arguments, **how):
        return CliRunner().invoke(app, ["policy", *map(str, arguments)], prog_name="leastwise", **how)

    return leastwise


def written(name, content):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def changed(**elements):
    return {**GOOD, "Statement": [{**GOOD["Statement"][0], **elements}]}


def test_a_clean_policy_is_passed_in_silence(run):
    result = run("lint", written("a.json", GOOD))
    assert (0, "") == (result.exit_code, result.stdout)


def test_a_finding_names_line_and_column_as_editors_count(run):
    result = run("lint", written("a.json", BAD))
    [error, warning] = [line for line in result.stdout.splitlines() if line.startswith("a.json")]
    assert (1, True, True) == (
        result.exit_code,
        error.startswith("a.json:5:39: error: There is no action lambda:InvokeFunctions;"),
        warning.startswith("a.json:7:37: warning: StringEquals knows no wildcards"),
    )
    assert error.endswith("[INVALID_ACTION]")


def test_findings_for_scripts_are_a_list(run):
    [error, warning] = json.loads(run("lint", written("a.json", BAD), "--output", "json").stdout)
    assert ("a.json", 5, 39, "ERROR", "INVALID_ACTION", ["Statement", 0, "Action", 1]) == tuple(
        error[name] for name in ("File", "Line", "Column", "Severity", "Code", "Path")
    )
    assert "WARNING" == warning["Severity"]


def test_a_warning_fails_only_when_it_is_asked_to(run):
    warned = changed(Condition={"StringEquals": {"aws:username": "a*"}})
    file = written("a.json", warned)
    assert [0, 1] == [run("lint", file).exit_code, run("lint", file, "--strict").exit_code]


def test_a_policy_in_yaml_is_looked_over_at_its_own_lines(run):
    file = written(
        "a.yaml", "Version: 2012-10-17\nStatement:\n- Effect: Allow\n  Action: lambda:Gett\n  Resource: '*'\n"
    )
    result = run("lint", file)
    assert (1, True) == (result.exit_code, result.stdout.startswith("a.yaml:4:3: error: There is no action"))


def test_standard_input_is_looked_over(run):
    result = run("lint", "-", input=BAD)
    assert (1, True) == (result.exit_code, result.stdout.startswith("<stdin>:5:39: error"))


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.json", '{"Version": "2012-10-17",\n  "Statement": [}', "a.json:2:17: error"),
        (
            "a.json",
            '{"Version": "2012-10-17",\n "Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "iam:GetUser", "Resource": "*"}}',
            "a.json:2:2: error",
        ),
        ("a.yaml", "Version: [", "a.yaml:1:"),
        ("a.yaml", "a: 1\na: 2", "a.yaml:2:1: error"),
        ("a.yaml", "a: &x [1]\nb: *x", "a.yaml:1:4: error"),
        ("a.yaml", "a: !!python/object:os.system x", "a.yaml:1:4: error"),
        ("a.json", "", "a.json:1:1: error"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_finding_where_it_breaks(run, name, text, place):
    result = run("lint", written(name, text))
    assert (1, place) == (result.exit_code, result.stdout[: len(place)])


def test_what_a_policy_is_used_as_is_seen_from_its_principal(run):
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    file = written("a.json", {"Version": "2012-10-17", "Statement": trust})
    assert [0, 1] == [run("lint", file).exit_code, run("lint", file, "--kind", "identity").exit_code]


def test_formatting_prints_checks_and_rewrites(run):
    file = written("a.json", json.dumps(changed(Action=["lambda:invokefunction", "lambda:GetFunction"])))
    Path(file).chmod(0o640)
    shown = run("format", file)
    assert json.loads(shown.stdout)["Statement"][0]["Action"] == ["lambda:GetFunction", "lambda:invokefunction"]
    checked = run("format", "--check", file)
    assert (1, "a.json\n", True) == (checked.exit_code, checked.stdout, '", "' in Path(file).read_text())
    rewritten = run("format", "--write", file)
    assert (0, shown.stdout, 0o640) == (
        rewritten.exit_code,
        Path(file).read_text(),
        Path(file).stat().st_mode & 0o777,
    )
    again = run("format", "--check", file)
    assert (0, "", ["a.json"]) == (again.exit_code, again.stdout, sorted(path.name for path in Path().iterdir()))


def test_nothing_is_rewritten_when_one_of_the_files_is_broken(run):
    good, bad = written("a.json", json.dumps(GOOD)), written("b.json", "{")
    result = run("format", "--write", good, bad)
    assert (2, json.dumps(GOOD)) == (result.exit_code, Path(good).read_text())
    assert "b.json:1:2:" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["lint", "missing.json"],
        ["format", "--check", "--write", "a.json"],
        ["format", "--write", "-"],
        ["format", "a.yaml"],
        ["format", "twice.json"],
        ["diff", "a.json", "missing.json"],
        ["diff", "a.json", "list.json"],
        ["diff", "a.json", "malformed.json"],
        ["test", "missing.yaml"],
        ["test", "empty"],
        ["test", "empty.yaml"],
        ["test", "unknown.yaml"],
        ["test", "binary.yaml"],
    ],
)
def test_a_command_that_cannot_be_carried_out_exits_with_2_and_one_line(run, arguments):
    written("a.json", GOOD)
    written("a.yaml", "a: 1")
    written("list.json", "[]")
    written("twice.json", '{"Version": "2012-10-17", "Version": "2012-10-17"}')
    written("malformed.json", changed(Effect="allow"))
    written("empty.yaml", "cases: []")
    written("unknown.yaml", "cases: [{note: x, expcet: allow}]")
    Path("binary.yaml").write_bytes(b"\xff\xfe\xff")
    Path("empty").mkdir()
    result = run(*arguments, input="{}")
    assert (2, "", 1) == (result.exit_code, result.stdout, len(result.stderr.splitlines()))


def test_two_spellings_of_one_policy_do_not_differ(run):
    old = written("a.json", GOOD)
    new = written(
        "b.json", {"Statement": changed(Action=["lambda:getfunction"])["Statement"][0], "Version": "2012-10-17"}
    )
    result = run("diff", old, new)
    assert (0, "no difference\n") == (result.exit_code, result.stdout)


def test_a_narrower_policy_differs_and_allows_nothing_new(run):
    old, new = written("a.json", changed(Action="lambda:Get*")), written("b.json", GOOD)
    result = run("diff", old, new)
    assert (1, 0) == (result.exit_code, run("diff", "--no-new-access", old, new).exit_code)
    assert ["Allow Read: changed", "  - action lambda:Get*", "allows nothing new"] == result.stdout.splitlines()


def test_a_wider_policy_newly_allows_a_request_that_is_shown(run):
    old, new = (
        written("a.json", GOOD),
        written("b.json", changed(Action=["lambda:GetFunction", "lambda:DeleteFunction"])),
    )
    result = run("diff", "--no-new-access", old, new)
    assert (1, True) == (result.exit_code, "  + action lambda:DeleteFunction" in result.stdout)
    shown = json.loads(run("diff", old, new, "--output", "json").stdout)
    assert ("some", True) == (shown["NewAccess"], shown["Examples"][0].startswith("lambda:DeleteFunction on "))
    assert [("changed", "Read", ["action lambda:DeleteFunction"], [])] == [
        (change["Change"], change["Statement"], change["Grew"], change["Shrank"]) for change in shown["Changes"]
    ]


def test_the_report_of_a_failed_case_says_what_nearly_decided_otherwise(run):
    written("policies/dev.json", changed(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
    case = {
        "note": "alice reads f1",
        "action": "lambda:GetFunction",
        "resource": GOOD["Statement"][0]["Resource"],
        "expect": "allow",
    }
    content = {"principal": "user/alice", "policies": {"identity": ["../policies/dev.json"]}, "cases": [case]}
    file = written("tests/dev.yaml", content)
    result = run("test", file)
    assert (1, "0 passed, 1 failed") == (result.exit_code, result.stdout.splitlines()[-1])
    assert "FAILED tests/dev.yaml: alice reads f1" in result.stdout
    assert "expected allow, got implicit-deny: no identity-based policy allows it" in result.stdout
    assert "Bool aws:MultiFactorAuthPresent asks for true, the request has nothing" in result.stdout
    assert "the case does not say: aws:multifactorauthpresent" in result.stdout


def test_every_test_file_of_a_directory_is_run(run):
    case = {"note": "nothing is allowed", "principal": "user/a", "action": "iam:GetUser", "expect": "implicit-deny"}
    written("tests/a.yaml", [case])
    written("tests/deeper/b.yml", [case])
    result = run("test", "tests")
    assert (0, "2 passed, 0 failed\n") == (result.exit_code, result.stdout)
    assert 2 == len(json.loads(run("test", "tests", "--output", "json").stdout))


def examples(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_the_guide_shows_a_policy_and_its_tests_that_pass(run):
    [policy] = examples("howto/test-policies-in-ci.md", "json")
    [tests] = [block for block in examples("howto/test-policies-in-ci.md", "yaml") if "cases:" in block]
    written("policies/developer.json", policy)
    written("policies/tests/developer.yaml", tests)
    tested = run("test", "policies/tests")
    assert (0, "4 passed, 0 failed\n") == (tested.exit_code, tested.stdout)
    assert 0 == run("format", "--check", "policies/developer.json").exit_code
    assert [] == json.loads(run("lint", "policies/developer.json", "--output", "json").stdout)


def test_the_reference_of_test_files_shows_one_that_can_be_read(run):
    [tests] = examples("reference/policy-test-files.md", "yaml")
    for name in ("policies/developer.json", "policies/boundary.json"):
        written(name, GOOD)
    written("t.yaml", tests)
    assert 1 == run("test", "t.yaml").exit_code
    assert 3 == len(yaml.safe_load(tests)["cases"])
