import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leastwise.iam import documents
from leastwise.iam.interface import MalformedPolicy, PolicyKind
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.document import LONGEST_DOCUMENT, parse_document, validate_document

ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
NAMES = ["Version", "Id", "Statement", "Sid", "Effect", "Principal", "Action", "Resource", "Condition", "StringEquals"]
NAMES += ["AWS", "Service", "aws:username", "Null", "IpAddress", "DateEquals", "NotResource", "NumericEquals"]
LEAVES = ["2012-10-17", "Allow", "*", "arn:aws:s3:::b", "lambda:*", "${aws:x}", "true", 1, 1e400, True, None, "", "${"]
trees = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=20,
)


def refusal_of(read):
    """The message of the refusal, None when there was none."""
    try:
        read()
    except MalformedPolicy as refusal:
        return refusal.message
    return None


@settings(max_examples=600, deadline=None)
@given(trees, st.sampled_from(list(PolicyKind)))
def test_any_tree_is_read_or_refused(tree, kind):
    assert refusal_of(lambda: compile_policy(tree, name="p", kind=kind)) != ""


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    with pytest.raises(MalformedPolicy):
        parse_document(text, kind=PolicyKind.IDENTITY)


@settings(max_examples=400, deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("Sid", "Effect", "Action", "Resource", "Condition"), trees)))
def test_any_statement_is_read_or_refused(changes):
    document = {**ALLOW_ALL, "Statement": [{**ALLOW_ALL["Statement"][0], **changes}]}
    refusal = refusal_of(lambda: validate_document(document, kind=PolicyKind.IDENTITY))
    assert refusal is None or "Statement[0]" in refusal


def test_text_and_object_are_read_alike():
    assert parse_document(json.dumps(ALLOW_ALL), kind=PolicyKind.IDENTITY) == parse_document(
        ALLOW_ALL, kind=PolicyKind.IDENTITY
    )


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 20_000,
        '{"Version": NaN}',
        '{"Version": Infinity}',
        "1" * 5_000,
        json.dumps(ALLOW_ALL) + " " * LONGEST_DOCUMENT,
        "null",
        "[]",
        '"2012-10-17"',
        "",
    ],
)
def test_a_text_made_to_hurt_is_refused_as_any_other(text):
    with pytest.raises(MalformedPolicy, match="Syntax errors in policy"):
        parse_document(text, kind=PolicyKind.IDENTITY)


def test_a_message_does_not_repeat_a_long_document():
    with pytest.raises(MalformedPolicy) as refusal:
        parse_document({**ALLOW_ALL, "x" * 100_000: 1}, kind=PolicyKind.IDENTITY)
    assert len(refusal.value.message) < 400


@pytest.mark.parametrize("version", [{}, {"Version": "2008-10-17"}])
def test_inline_policies_may_be_old_and_managed_ones_may_not(version):
    old = json.dumps({"Statement": ALLOW_ALL["Statement"], **version})
    assert parse_document(old, kind=PolicyKind.IDENTITY).has_variables is False
    documents.check_inline(old)
    documents.check_session(old)
    with pytest.raises(MalformedPolicy, match="must be version 2012-10-17 or greater"):
        documents.check_managed(old)
    with pytest.raises(MalformedPolicy, match="must be version 2012-10-17 or greater"):
        validate_document(old, kind=PolicyKind.BOUNDARY)


@pytest.mark.parametrize("kind", [PolicyKind.RESOURCE, PolicyKind.TRUST])
def test_resources_and_trust_policies_may_be_of_2008(kind):
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    if kind is PolicyKind.RESOURCE:
        statement["Resource"] = "*"
    assert validate_document({"Version": "2008-10-17", "Statement": statement}, kind=kind).statements


@pytest.mark.parametrize("action", ["sts:*", "sts:AssumeRole*", "sts:GetCallerIdentity", "lambda:InvokeFunction"])
def test_a_trust_policy_takes_no_other_action(action):
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": action}}
    with pytest.raises(MalformedPolicy, match="may only specify STS AssumeRole actions"):
        validate_document(document, kind=PolicyKind.TRUST)


@pytest.mark.parametrize(
    "principal",
    [
        {},
        {"AWS": []},
        [],
        "arn:aws:iam::111122223333:root",
        None,
        {"AWS": "**"},
        {"AWS": "12345"},
        {"AWS": "arn:aws:iam::111122223333:role/"},
        {"AWS": "arn:aws:iam::111122223333:group/g"},
        {"aws": "*"},
        {"Service": "*"},
        {"Service": "lambda"},
        {"AWS": {"a": "b"}},
    ],
)
def test_a_principal_that_names_nobody_is_refused(principal):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"}
    with pytest.raises(MalformedPolicy):
        validate_document({"Version": "2012-10-17", "Statement": statement}, kind=PolicyKind.RESOURCE)


@pytest.mark.parametrize(
    "resource",
    [
        "arn:aws:iam::111122223333:*",
        "arn:aws:iam::*:role/x",
        "arn:aws:iam::${aws:PrincipalAccount}:user/${aws:username}",
        "arn:aws:s3:::b",
        "arn:aws:sqs",
        "arn:aws:lambda:*:*:function:*",
        "**",
    ],
)
def test_a_resource_in_common_use_is_taken(resource):
    document = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": resource}}
    assert validate_document(document, kind=PolicyKind.IDENTITY).statements[0].resources == (resource,)


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("IpAddress", "10.0.0.0/33"),
        ("IpAddress", "10.0.0"),
        ("NumericEquals", "ten"),
        ("NumericEquals", "1e3"),
        ("DateEquals", "tomorrow"),
        ("DateEquals", "2024-13-01"),
        ("Bool", "yes"),
        ("Null", "maybe"),
        ("BinaryEquals", "***"),
        ("ArnLike", "*"),
        ("ArnEquals", "arn:aws:iam::111122223333"),
    ],
)
def test_a_value_of_another_kind_is_refused(operator, value):
    statement = {**ALLOW_ALL["Statement"][0], "Condition": {operator: {"aws:x": value}}}
    with pytest.raises(MalformedPolicy, match="Syntax errors in policy"):
        validate_document({**ALLOW_ALL, "Statement": statement}, kind=PolicyKind.IDENTITY)
