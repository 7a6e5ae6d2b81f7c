"""Test files of policies: what can be said in them, and what is refused."""

import pytest

from leastwise.iam.authoring.policy_test_files import BadTestFile, read_tests
from leastwise.iam.authoring.policy_tests import Expectation, run_test

FUNCTION = "arn:aws:lambda:us-east-1:111122223333:function:f1"
ALLOW = [{"Effect": "Allow", "Action": "lambda:GetFunction", "Resource": "*"}]
CASE = {
    "note": "n",
    "principal": "user/alice",
    "action": "lambda:GetFunction",
    "resource": FUNCTION,
    "expect": "allow",
}


def load(name):
    raise AssertionError(name)


def results(*cases, **shared):
    document = {**shared, "cases": [{**CASE, **case} for case in cases]}
    return [run_test(test) for test in read_tests(document, load)]


def got(*cases, **shared):
    return [result.got.value for result in results(*cases, **shared)]


def with_condition(condition, effect="Allow"):
    return [{**ALLOW[0], "Effect": effect, "Condition": condition}]


def test_every_layer_has_its_say():
    deny = [{"Effect": "Deny", "Action": "lambda:*", "Resource": "*"}]
    public = [{**ALLOW[0], "Principal": {"AWS": "arn:aws:iam::111122223333:user/alice"}}]
    guard = [{**deny[0], "Principal": "*"}]
    full = [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]
    assert [
        "allow",
        "explicit-deny",
        "implicit-deny",
        "explicit-deny",
        "implicit-deny",
        "allow",
        "explicit-deny",
    ] == got(
        {"policies": {"identity": [ALLOW]}},
        {"policies": {"identity": [ALLOW, deny]}},
        {"policies": {"identity": [ALLOW], "boundary": [{**ALLOW[0], "Action": "iam:*"}]}},
        {"policies": {"identity": [ALLOW], "service_control": [[ALLOW], [deny]]}},
        {"policies": {"identity": [ALLOW], "session": [[{**ALLOW[0], "Action": "iam:GetUser"}]]}},
        {"policies": {"resource": public}},
        {"policies": {"identity": [ALLOW], "resource_control": [[full, guard]]}},
    )


def test_a_trust_policy_is_asked_whether_the_role_may_be_assumed():
    trust = [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    case = {"action": "sts:AssumeRole", "resource": "arn:aws:iam::111122223333:role/r", "policies": {"trust": trust}}
    assert ["implicit-deny", "allow"] == got(case, {**case, "principal": "lambda.amazonaws.com"})


@pytest.mark.parametrize(
    ("principal", "key", "value"),
    [
        ("user/team/alice", "aws:username", "alice"),
        ("user/alice", "aws:PrincipalArn", "arn:aws:iam::111122223333:user/alice"),
        ("role/team/worker", "aws:PrincipalArn", "arn:aws:iam::111122223333:role/team/worker"),
        ("arn:aws:sts::111122223333:assumed-role/worker/s1", "aws:userid", "AROAEXAMPLEROLE000001:s1"),
        ({"name": "role/worker", "session": "ci"}, "aws:userid", "AROAEXAMPLEROLE000001:ci"),
        ({"name": "user/alice", "tags": {"Team": "red"}}, "aws:PrincipalTag/team", "red"),
        ("user/alice", "aws:ResourceAccount", "111122223333"),
    ],
)
def test_keys_that_follow_from_the_principal_are_there(principal, key, value):
    policies = {"identity": [with_condition({"StringEquals": {key: value}})]}
    assert ["allow"] == got({"principal": principal, "policies": policies})


def test_a_key_that_the_case_does_not_give_is_absent_and_named():
    policies = {"identity": [ALLOW, with_condition({"NotIpAddress": {"aws:SourceIp": "8.8.8.0/24"}}, "Deny")]}
    [silent, said] = results({"policies": policies}, {"policies": policies, "context": {"aws:SourceIp": "8.8.8.8"}})
    assert [("explicit-deny", ("aws:sourceip",)), ("allow", ())] == [
        (silent.got.value, silent.unsaid),
        (said.got.value, said.unsaid),
    ]


def test_the_time_of_a_case_gives_the_keys_of_the_clock():
    hours = {
        "NumericGreaterThanEquals": {"leastwise:TimeOfDay": "08:00"},
        "NumericLessThan": {"leastwise:TimeOfDay": "18:00"},
        "StringEquals": {"leastwise:DayOfWeek": ["Mon", "Fri"]},
    }
    policies = {"identity": [with_condition(hours)]}
    cases = [{}, {"at": "2026-11-23T07:30:00Z"}, {"at": "2026-11-23T07:30:00Z", "time_zone": "Europe/Berlin"}]
    assert ["implicit-deny", "implicit-deny", "allow"] == got(*cases, policies=policies)


def test_what_holds_for_the_file_is_merged_with_the_case():
    shared = {
        "policies": {
            "identity": [with_condition({"StringEquals": {"aws:PrincipalTag/a": "1", "aws:RequestTag/b": "2"}})]
        },
        "context": {"aws:PrincipalTag/a": 1},
        "resource": FUNCTION,
    }
    case = {name: value for name, value in CASE.items() if name != "resource"}
    tests = read_tests({**shared, "cases": [{**case, "context": {"aws:RequestTag/b": "2"}}]}, load)
    assert [Expectation.ALLOW] == [run_test(test).got for test in tests]


def test_who_does_what_on_what_can_be_said_for_the_whole_file_and_otherwise_by_a_case():
    shared = {name: CASE[name] for name in ("principal", "action", "resource")}
    case = {"note": "n", "expect": "allow"}
    document = {**shared, "policies": {"identity": [ALLOW]}, "cases": [case, {**case, "action": "lambda:GetAlias"}]}
    assert ["allow", "implicit-deny"] == [run_test(test).got.value for test in read_tests(document, load)]


@pytest.mark.parametrize("key", ["note", "expect"])
def test_what_a_case_is_about_is_said_by_the_case(key):
    with pytest.raises(BadTestFile, match=f"`{key}` means nothing here"):
        read_tests({key: CASE[key], "cases": [CASE]}, load)


def test_every_action_and_resource_of_a_case_is_asked():
    found = results(
        {"action": ["lambda:GetFunction", "lambda:GetAlias"], "resource": [FUNCTION, "*"], "expect": "deny"},
        policies={"identity": [ALLOW]},
    )
    assert [False, False, True, True] == [result.passed for result in found]


def test_another_account_needs_both_sides():
    policies = {"identity": [ALLOW]}
    granting = {**policies, "resource": [{**ALLOW[0], "Principal": {"AWS": "111122223333"}}]}
    other = FUNCTION.replace("111122223333", "444455556666")
    assert ["implicit-deny", "allow"] == got(
        {"policies": policies, "resource": other}, {"policies": granting, "resource": other}
    )


@pytest.mark.parametrize(
    ("expect", "policies", "passed"),
    [
        ("deny", {}, True),
        ("implicit-deny", {}, True),
        ("explicit-deny", {}, False),
        ("allow", {}, False),
        ("implicit-deny", {"identity": [[{**ALLOW[0], "Effect": "Deny"}]]}, False),
        ("deny", {"identity": [[{**ALLOW[0], "Effect": "Deny"}]]}, True),
    ],
)
def test_a_denial_can_be_asked_for_as_such(expect, policies, passed):
    assert [passed] == [result.passed for result in results({"expect": expect, "policies": policies})]


def test_the_statement_that_allows_is_named_when_it_should_not():
    [result] = results({"expect": "deny", "policies": {"identity": [[{**ALLOW[0], "Sid": "Too"}]]}})
    assert "allowed by the identity-based policy in the test file, Too" == result.because


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (None, "a test file is a list of cases"),
        ({}, "there is no case in it"),
        ({"cases": []}, "there is no case in it"),
        ({"cases": [CASE], "polices": {}}, "the file: `polices` means nothing here. Did you mean policies?"),
        ([{**CASE, "expcet": "allow"}], "case 1: `expcet` means nothing here. Did you mean expect?"),
        (["x"], "case 1 must be an object"),
        ([{**CASE, "note": ""}], "case 1: `note` is missing"),
        ([{**CASE, "expect": "yes"}], "case 1 (n): `expect` must be one of allow, deny, implicit-deny, explicit-deny"),
        ([{**CASE, "expect": None}], "`expect` must be one of"),
        ([{**CASE, "action": None}], "`action` must be a text"),
        ([{**CASE, "action": []}], "`action` must be a text"),
        ([{**CASE, "action": "lambda:Get*"}], "lambda:Get* is not one action"),
        ([{**CASE, "principal": None}], "`principal` is missing"),
        ([{**CASE, "principal": "alice"}], "alice is no principal"),
        ([{**CASE, "principal": {"name": "user/a", "tag": {}}}], "principal: `tag` means nothing here"),
        ([{**CASE, "context": []}], "`context` must be an object"),
        ([{**CASE, "context": {"a:b": None}}], "the value of a:b must be"),
        ([{**CASE, "at": "noon"}], "`at` must be a time"),
        ([{**CASE, "context": {"a:b": [["c"]]}}], "the value of a:b must be"),
        ([{**CASE, "time_zone": "Mars"}], "Mars is not a time zone"),
        ([{**CASE, "principal": {"name": "user/a", "tags": ["x"]}}], "`tags` must be an object"),
        ([{**CASE, "policies": {"service_control": None}}], "`service_control` must be a list of levels"),
        ([{**CASE, "policies": {"identiy": []}}], "`identiy` means nothing here. Did you mean identity?"),
        ([{**CASE, "policies": {"identity": [[{"Effect": "Allow"}]]}}], "the identity-based policy in the test file:"),
        ([{**CASE, "policies": {"identity": [1]}}], "a policy is the name of a file"),
        ([{**CASE, "policies": {"resource": ALLOW, "trust": ALLOW}}], "not both"),
    ],
)
def test_a_file_that_does_not_say_what_it_means_is_refused(document, problem):
    with pytest.raises(BadTestFile) as refusal:
        read_tests(document, load)
    assert problem in str(refusal.value)
