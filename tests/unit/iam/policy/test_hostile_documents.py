"""Documents made to hurt are refused quickly, and every refusal names the place and can be printed."""

import json
import resource
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leastwise.iam.interface import MalformedPolicy, PolicyKind
from leastwise.iam.policy.document import LONGEST_DOCUMENT, validate_document

STATEMENT = {"Effect": "Allow", "Action": "a:b", "Resource": "*"}
ROOM = LONGEST_DOCUMENT - 300
PRINTABLE = set(string.printable) - set("\t\n\r\x0b\x0c")
MOST_CPU_S = 2.0
"""Of processor time, not of the wall clock: what is quadratic takes minutes, what is linear tens of milliseconds."""


def document(*statements, version="2012-10-17", **more):
    return json.dumps({"Version": version, "Statement": list(statements), **more}, separators=(",", ":"))


def refusal(text, kind=PolicyKind.IDENTITY):
    try:
        validate_document(text, kind=kind)
    except MalformedPolicy as error:
        return error.message
    return None


def cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


HOSTILE = {
    "brackets": "[" * ROOM,
    "braces": '{"a":' * (ROOM // 5),
    "nested in a statement": document(STATEMENT | {"Sid": 1}).replace(
        "1}", "[" * (ROOM // 2) + "]" * (ROOM // 2) + "}"
    ),
    "one key twice at the end": "{" + ",".join(f'"k{n}":0' for n in range(ROOM // 12)) + ',"k0":0}',
    "every key twice": "{" + ",".join(f'"k{n // 2}":0' for n in range(ROOM // 12)) + "}",
    "escaped quotes": '\\"' * (ROOM // 2),
    "open string": '{"Version":"' + "x" * ROOM,
    "many digits": document(STATEMENT).replace('"a:b"', "9" * ROOM),
    "many digits in a condition": document(STATEMENT | {"Condition": {"NumericEquals": {"a:b": 1}}}).replace(
        ":1}", ":" + "9" * 5000 + "}"
    ),
    "a number without end": document(STATEMENT | {"Condition": {"NumericEquals": {"a:b": 1}}}).replace(
        ":1}", ":1e999}"
    ),
    "half a surrogate": document(STATEMENT).replace("a:b", "a:\\ud800"),
    "half a surrogate in a key": document(STATEMENT).replace("Resource", "\\udfff"),
    "half a surrogate in a condition": document(STATEMENT | {"Condition": {"StringEquals": {"a:b": "?"}}}).replace(
        "?", "\\ud83d"
    ),
    "a NUL in an element": document(STATEMENT).replace("Effect", "Eff\\u0000ect"),
    "a statement too many is a duplicate": document(*[STATEMENT | {"Sid": "s"}] * (ROOM // 60)),
    "colons": document(STATEMENT | {"Resource": "arn" + ":" * (ROOM - 100)}),
    "a long Sid": document(STATEMENT | {"Sid": "-" * (ROOM - 100)}),
    "a long vendor": document(STATEMENT | {"Action": "é" * (ROOM // 8) + ":b"}),
    "a long unknown operator": document(STATEMENT | {"Condition": {"x" * (ROOM - 100): {}}}),
    "a byte order mark": "\ufeff" + document(STATEMENT),
    "longer than allowed": document(STATEMENT) + " " * LONGEST_DOCUMENT,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_document_made_to_hurt_is_refused_quickly_and_in_few_printable_words(text):
    before = cpu_s()
    message = refusal(text)
    assert cpu_s() - before < MOST_CPU_S
    assert message is not None
    assert len(message) < 700
    assert set(message) <= PRINTABLE | {"é"}
    message.encode()


LARGE = {
    "statements": document(*[STATEMENT] * (ROOM // 49)),
    "Sids": document(*({**STATEMENT, "Sid": f"s{n}"} for n in range(ROOM // 66))),
    "actions": document(STATEMENT | {"Action": ["a:b"] * (ROOM // 7)}),
    "wildcards in an action": document(STATEMENT | {"Action": "a:" + "*b" * (ROOM // 2 - 100)}),
    "wildcards in a resource": document(STATEMENT | {"Resource": "arn:aws:s3:::" + "*a" * (ROOM // 2 - 100)}),
    "open variables": document(STATEMENT | {"Resource": "arn:aws:s3:::" + "${" * (ROOM // 2 - 100)}),
    "open defaults": document(STATEMENT | {"Resource": "arn:aws:s3:::${a," + " " * (ROOM - 200)}),
    "variables": document(STATEMENT | {"Resource": "arn:aws:s3:::" + "${a,'b'}" * (ROOM // 9)}),
    "keys": document(STATEMENT | {"Condition": {"StringEquals": {f"a:{n}": "x" for n in range(ROOM // 14)}}}),
    "addresses": document(STATEMENT | {"Condition": {"IpAddress": {"a:b": [f"::{n:x}/64" for n in range(9000)]}}}),
    "dates": document(STATEMENT | {"Condition": {"DateEquals": {"a:b": [str(n) for n in range(15_000)]}}}),
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_a_large_document_is_read_in_linear_time(text):
    assert len(text) <= LONGEST_DOCUMENT
    before = cpu_s()
    assert refusal(text) is None
    assert cpu_s() - before < MOST_CPU_S


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ({"Effect": "Maybe"}, 'Statement[1](Two).Effect must be Allow or Deny, not "Maybe"'),
        ({"Action": ["a:b", "run"]}, '(Statement[1](Two).Action[1]: "run")'),
        ({"Action": "a:b:c"}, '(Statement[1](Two).Action: "a:b:c")'),
        ({"Action": ["a:b", "a b:c"]}, "(Statement[1](Two).Action[1])"),
        ({"Action": "s3:Get, s3:Put"}, '(Statement[1](Two).Action: "s3:Get, s3:Put")'),
        ({"Action": "s3:Get ,Put"}, 'Statement[1](Two).Action "s3:Get ,Put" must be one action'),
        ({"Action": "s3:Gét"}, 'Statement[1](Two).Action "s3:Gét" must be one action'),
        ({"Action": "s3:Get\n"}, 'Statement[1](Two).Action "s3:Get\\u000a" must be one action'),
        ({"Resource": ["*", "x"]}, 'Resource x must be in ARN format or "*". (Statement[1](Two).Resource[1])'),
        ({"Resource": "arn:aws-cn:s3:::b"}, "(Statement[1](Two).Resource)"),
        ({"Resource": "arn:*:s3:::b"}, 'Partition "*" is not valid for resource "arn:*:s3:::b".'),
        ({"Resource": "arn:aws:s*:::b"}, '(Statement[1](Two).Resource: "arn:aws:s*:::b")'),
        ({"Principal": "*"}, "Policy document should not specify a principal. (Statement[1](Two))"),
        ({"Condition": {"StringIs": {}}}, "Statement[1](Two).Condition.StringIs is not a condition operator"),
        ({"Condition": {"Bool": {"aws:x": "yes"}}}, "Statement[1](Two).Condition.Bool.aws:x yes is not true or false"),
        ({"Condition": {"Bool": {"x": "true"}}}, '(Statement[1](Two).Condition.Bool.x: "x")'),
        ({"Condition": {"Bool": "true"}}, "Statement[1](Two).Condition.Bool must be an object"),
        (
            {"Condition": {"StringEquals": {"a:b": None}}},
            "Statement[1](Two).Condition.StringEquals.a:b must be a string",
        ),
        ({"Condition": []}, "Statement[1](Two).Condition must be an object"),
        ({"Efect": "Allow"}, "Statement[1](Two).Efect is not an element of the policy language"),
        ({"Sid": "One"}, 'Statement IDs (SID) in a single policy must be unique. (Statement[1].Sid: "One")'),
        ({"Sid": "a b"}, '(Statement[1](a b).Sid: "a b")'),
    ],
)
def test_a_refusal_names_the_statement_the_element_and_what_stands_there(statement, place):
    text = document(STATEMENT | {"Sid": "One"}, STATEMENT | {"Sid": "Two"} | statement)
    assert place in refusal(text)


def test_text_that_is_no_json_is_told_where_it_ends_to_be_some():
    assert "line 2, column 15" in refusal('{"Version":\n "2012-10-17",, "Statement": []}')


def control(effect="Deny", **more):
    return document({"Effect": effect, "Principal": "*", "Action": "lambda:*", "Resource": "*", **more})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (control(), None),
        (control(NotResource="arn:aws:s3:::b").replace('"Resource":"*",', ""), None),
        (control("Allow"), "Effect must be Deny in resource control policies"),
        (
            control(NotAction="a:b").replace('"Action":"lambda:*",', ""),
            "NotAction is not supported in resource control",
        ),
        (control(Principal={"AWS": "111122223333"}), 'Principal must be "*" in resource control policies'),
        (control(Principal={"AWS": "*"}), None),
        (document({"Effect": "Deny", "Action": "a:b", "Resource": "*"}), "Missing required field Principal"),
        (control().replace("2012-10-17", "2008-10-17"), "must be version 2012-10-17 or greater"),
        (control(Sid="a b"), "must be alpha-numeric"),
    ],
)
def test_a_resource_control_policy_denies_everyone_what_it_lists(text, said):
    found = refusal(text, PolicyKind.RESOURCE_CONTROL)
    assert found is None if said is None else said in found


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ({}, None),
        ({"Effect": "Deny", "Condition": {"StringEquals": {"aws:RequestedRegion": "x"}}}, None),
        # The whole language since 2025: conditions, resources, NotAction and NotResource on an Allow as well.
        ({"Condition": {"StringEquals": {"aws:RequestedRegion": "x"}}}, None),
        ({"Resource": "arn:aws:s3:::b"}, None),
        ({"Action": "lambda:*Function*"}, None),
        ({"Principal": "*"}, "should not specify a principal"),
        ({"NotPrincipal": "*"}, "should not specify a principal"),
        ({"Sid": "a-b"}, "must be alpha-numeric"),
    ],
)
def test_a_service_control_policy_speaks_the_whole_language_but_names_nobody(statement, said):
    found = refusal(document(STATEMENT | statement), PolicyKind.SERVICE_CONTROL)
    assert found is None if said is None else said in found


def test_a_resource_policy_cannot_allow_everybody_but_some():
    not_principal = {"NotPrincipal": {"AWS": "111122223333"}}
    assert "Allow with NotPrincipal is not allowed." in refusal(
        document(STATEMENT | not_principal), PolicyKind.RESOURCE
    )
    assert refusal(document(STATEMENT | not_principal | {"Effect": "Deny"}), PolicyKind.RESOURCE) is None


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=40), st.sampled_from(["Sid", "Action", "Effect", "x"]))
def test_whatever_is_quoted_can_be_sent_and_logged_on_one_line(text, element):
    message = refusal(document(STATEMENT | {element: text}) if element != "x" else document(STATEMENT | {text: 1}))
    if message is not None:
        message.encode()
        assert 1 == len(message.splitlines())
