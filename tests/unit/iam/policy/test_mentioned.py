"""What policies speak of."""

from __future__ import annotations

import json

import pytest

from leastwise.iam.interface import PolicyKind
from leastwise.iam.policy.document import parse_document
from leastwise.iam.policy.mentioned import allows_service, mentioned_keys


def policy(version="2012-10-17", **statement):
    given = {"Effect": "Allow", "Action": "*", "Resource": "*"} | statement
    given = {name: value for name, value in given.items() if value is not None}
    return parse_document(json.dumps({"Version": version, "Statement": [given]}), kind=PolicyKind.IDENTITY)


def test_keys_of_conditions_are_told_as_they_are_written_and_once():
    first = policy(Condition={"StringEquals": {"aws:PrincipalTag/Team": "a"}, "Bool": {"aws:SecureTransport": "true"}})
    second = policy(Condition={"StringLike": {"AWS:principaltag/team": "b"}})
    assert ("aws:PrincipalTag/Team", "aws:SecureTransport") == mentioned_keys([first, second])


def test_variables_are_keys_in_resources_and_in_values():
    read = policy(
        Resource=["arn:aws:s3:::home/${aws:username, 'nobody'}/${*}"],
        Condition={"StringEquals": {"aws:userid": "${aws:PrincipalTag/id}"}},
    )
    assert ("aws:principaltag/id", "aws:userid", "aws:username") == mentioned_keys([read])


def test_an_old_document_has_no_variables():
    assert () == mentioned_keys([policy("2008-10-17", Resource="arn:aws:s3:::home/${aws:username}")])


def test_nothing_is_mentioned_by_nothing():
    assert () == mentioned_keys([])


@pytest.mark.parametrize(
    ("actions", "want"),
    [
        ("*", True),
        ("lambda:*", True),
        ("Lambda:GetFunction", True),
        (["s3:*", "lambda:Get*"], True),
        ("s3:*", False),
        ("lambda2:*", False),
    ],
)
def test_a_service_is_allowed_by_any_of_its_actions(actions, want):
    assert want == allows_service(policy(Action=actions), "lambda")


@pytest.mark.parametrize(
    ("excluded", "want"), [("lambda:*", False), ("*", False), ("lambda:Get*", True), ("s3:*", True)]
)
def test_all_but_some_actions_allow_a_service_unless_it_is_left_out_whole(excluded, want):
    assert want == allows_service(policy(Action=None, NotAction=excluded), "lambda")


def test_a_denial_allows_nothing():
    assert not allows_service(policy(Effect="Deny"), "lambda")
