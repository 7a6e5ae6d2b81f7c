"""Runs every case of tests/cases/lint/*.yaml, and what holds for lint as a whole."""

import json
import re
import sys
from pathlib import Path

import pytest
import yaml

from leastwise.iam.interface import PolicyKind
from leastwise.iam.lint.linter import Severity, lint
from leastwise.iam.seed import built_in_policies

CASES = Path(__file__).parents[3] / "cases" / "lint"
SOURCE = Path(__file__).parents[4] / "src" / "leastwise" / "iam" / "lint"
KINDS = {kind.name.lower(): kind for kind in PolicyKind}
DEFAULTS = {
    "Effect": "Allow",
    "Action": "lambda:GetFunction",
    "Resource": "arn:aws:lambda:us-east-1:111122223333:function:f1",
}


def load():
    for path in sorted(CASES.glob("*.yaml")):
        for number, case in enumerate(yaml.safe_load(path.read_text())):
            yield pytest.param(case, id=f"{path.stem} {number}: {case['code']}")


def text(example, case) -> str:
    if isinstance(example, str):
        return example
    if case.get("whole"):
        return json.dumps(example)
    statements = example if isinstance(example, list) else [example]
    document = {"Version": "2012-10-17", "Statement": [filled(raw, case) for raw in statements]}
    return json.dumps(document).replace("LONG", "x" * 7000)


def filled(raw, case):
    statement = {**DEFAULTS, **raw}
    for negated in ("NotAction", "NotResource"):
        if negated in raw and negated.removeprefix("Not") not in raw:
            del statement[negated.removeprefix("Not")]
    if case.get("kind") == "trust" and "Resource" not in raw:
        del statement["Resource"]
    return statement


def found(example, case):
    return lint(text(example, case), kind=KINDS[case.get("kind", "identity")])


@pytest.mark.parametrize("case", list(load()))
def test_what_offends_is_found_at_its_place(case):
    [finding] = [finding for finding in found(case["offends"], case) if finding.code == case["code"]]
    assert (case["severity"], tuple(case["at"])) == (finding.severity.value, finding.path)
    assert case.get("says", "") in finding.message


@pytest.mark.parametrize("case", list(load()))
def test_what_is_clean_is_left_alone(case):
    findings = found(case["clean"], case)
    assert case["code"] not in {finding.code for finding in findings}
    assert [] == [finding for finding in findings if finding.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("block", "private"),
    [
        ("10.1.0.0/16", True),
        ("172.16.0.0/12", True),
        ("172.32.0.0/16", False),
        ("192.168.1.7", True),
        ("127.0.0.1", True),
        ("169.254.100.1/32", True),
        ("100.64.0.0/10", True),
        ("fd00::/8", True),
        ("fe80::1", True),
        ("::1", True),
        ("192.0.2.0/24", False),
        ("198.51.100.0/24", False),
        ("203.0.113.0/24", False),
        ("2001:db8::/32", False),
        ("198.18.0.0/15", False),
        ("8.0.0.0/6", False),
    ],
)
@pytest.mark.parametrize("operator", ["IpAddress", "NotIpAddress"])
def test_only_addresses_of_private_networks_are_called_private(block, private, operator):
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {operator: {"aws:SourceIp": block}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    codes = {finding.code for finding in lint(document, kind=PolicyKind.IDENTITY)}
    assert private == bool(codes & {"PRIVATE_IP_ADDRESS", "PRIVATE_NOTIPADDRESS"})


def test_every_issue_code_has_a_case():
    written = re.compile(r'"([A-Z]+(?:_[A-Z]+)+)"')
    codes = {code for path in SOURCE.glob("*.py") for code in written.findall(path.read_text())}
    codes -= {severity.value for severity in Severity} | {"IP_RANGE"}
    assert codes
    covered = {parameter.values[0]["code"] for parameter in load()}
    assert codes - covered == set()


@pytest.mark.parametrize("policy", built_in_policies(now_ms=0), ids=lambda policy: policy.name)
def test_the_policies_of_every_installation_have_no_error(policy):
    findings = lint(policy.default_version.document, kind=PolicyKind.IDENTITY)
    assert [] == [finding for finding in findings if finding.severity is Severity.ERROR]


def test_the_gravest_findings_come_first():
    document = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["*","iam:Gett*","ec2:Run*"],"Resource":"*"}]}'
    )
    ranks = [list(Severity).index(finding.severity) for finding in lint(document, kind=PolicyKind.IDENTITY)]
    assert sorted(ranks) == ranks


@pytest.mark.parametrize("document", ["", "[]", "null", "[" * 100_000, "\ufeff{}", '{"a":1e999}', "x" * 200_000, "{"])
def test_a_document_that_is_none_is_one_error(document):
    findings = lint(document, kind=PolicyKind.IDENTITY)
    assert Severity.ERROR is findings[0].severity
    assert all(len(finding.message) < 500 for finding in findings)


def test_an_inline_policy_is_measured_by_what_it_hangs_on():
    statement = {**DEFAULTS, "Condition": {"StringEquals": {"aws:username": "x" * 3000}}}
    document = json.dumps({"Version": "2012-10-17", "Statement": statement})
    sizes = {
        kind: [
            finding.code
            for finding in lint(
                document, kind=PolicyKind.IDENTITY, attached_to=f"arn:aws:iam::111122223333:{kind}/team/x"
            )
        ]
        for kind in ("user", "role", "policy")
    }
    assert {"user": ["POLICY_SIZE_EXCEEDS_IDENTITY_POLICY_QUOTA"], "role": [], "policy": []} == sizes


def lines_executed(function):
    """Lines of Python that a call executes: a measure of work that does not depend on the machine."""
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def hostile(size=120_000, **elements):
    """A document with one statement; of a list, as many items as fit."""
    statement = {"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*"}
    for name, value in elements.items():
        statement[name] = value * (size // len(json.dumps(value))) if isinstance(value, list) else value
    return json.dumps({"Version": "2012-10-17", "Statement": statement}, separators=(",", ":"))


HOSTILE = {
    "many actions": hostile(Action=["iam:a*a*a*a?b*"]),
    "many wrong actions": hostile(Action=[f"iam:Gxt{number}User" for number in range(5000)]),
    "many resources": hostile(Action="*", Resource=["arn:aws:iam::*:role/*a*a*a*b"]),
    "long patterns": hostile(
        90_000, Resource=["arn:aws:iam::*:" + "*a" * 10_000 + "b", "arn:aws:iam::*:" + "a" * 30_000]
    ),
    "many statements": json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Deny", "NotAction": ["iam:*x*y*", "sts:*"], "NotResource": "arn:aws:iam::*:role/*a*"}
            ]
            * 1200,
        }
    ),
    "many conditions": hostile(
        Condition={"StringNotEquals": {f"aws:PrincipalTag/{number}": "a" for number in range(4000)}}
    ),
    "many values": hostile(
        Condition={
            "StringNotLike": {"aws:username": ["*a*a*a*b"] * 5000},
            "StringEquals": {"aws:username": ["aaaaaaaa"] * 5000},
        }
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_document_takes_more_than_twenty_million_steps(name):
    assert 40_000 < len(HOSTILE[name]) < 131_072
    assert lines_executed(lambda: lint(HOSTILE[name], kind=PolicyKind.IDENTITY)) < 20_000_000
