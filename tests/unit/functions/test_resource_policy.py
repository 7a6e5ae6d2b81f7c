"""Statements as AddPermission builds them on AWS."""

from __future__ import annotations

import pytest

from leastwise.functions.interface import FunctionNotFound, InvalidParameter, PolicyTooLong, StatementExists
from leastwise.functions.resource_policy import (
    Permission,
    add_statement,
    build_statement,
    remove_statement,
    to_text,
)

ARN = "arn:aws:lambda:eu-west-1:111122223333:function:f"


def statement(**changes):
    given = {"statement_id": "s1", "action": "lambda:InvokeFunction", "principal": "s3.amazonaws.com", **changes}
    return build_statement(Permission(**given), resource=ARN)


def test_a_service_with_a_source_gives_the_text_that_aws_gives():
    assert to_text(statement(source_arn="arn:aws:s3:::bucket", source_account="111122223333")) == (
        '{"Sid":"s1","Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"lambda:InvokeFunction",'
        f'"Resource":"{ARN}",'
        '"Condition":{"StringEquals":{"AWS:SourceAccount":"111122223333"},"ArnLike":{"AWS:SourceArn":"arn:aws:s3:::bucket"}}}'
    )


@pytest.mark.parametrize(
    ("principal", "wanted"),
    [
        ("*", "*"),
        ("999999999999", {"AWS": "arn:aws:iam::999999999999:root"}),
        ("arn:aws:iam::999999999999:user/p/jo", {"AWS": "arn:aws:iam::999999999999:user/p/jo"}),
        ("arn:aws:sts::999999999999:assumed-role/r/s", {"AWS": "arn:aws:sts::999999999999:assumed-role/r/s"}),
        ("events.amazonaws.com", {"Service": "events.amazonaws.com"}),
    ],
)
def test_a_principal_is_written_as_its_kind(principal, wanted):
    assert wanted == statement(principal=principal)["Principal"]


@pytest.mark.parametrize(
    "principal",
    ["", "jo", "evil.com", "s3.amazonaws.com.evil.com", "arn:aws:iam::1:user/x", "arn:aws:s3:::b", "12345", "**",
     "arn:aws:iam::999999999999:user/*", "s3.amazonaws.com\n"],
)  # fmt: skip
def test_what_is_no_principal_is_refused_in_the_words_of_aws(principal):
    with pytest.raises(InvalidParameter) as caught:
        statement(principal=principal)
    assert caught.value.message == "The provided principal was invalid. Please check the principal and try again."


@pytest.mark.parametrize("action", ["s3:GetObject", "lambda:Invoke*", "", "lambda:", "**"])
def test_what_is_no_action_of_lambda_is_refused(action):
    with pytest.raises(InvalidParameter):
        statement(action=action)


def test_every_condition_is_written_where_aws_writes_it():
    assert statement(
        action="lambda:InvokeFunctionUrl",
        organization_id="o-abcdefghij",
        event_source_token="tok",
        url_auth_type="NONE",
        via_url=True,
    )["Condition"] == {
        "StringEquals": {
            "aws:PrincipalOrgID": "o-abcdefghij",
            "lambda:EventSourceToken": "tok",
            "lambda:FunctionUrlAuthType": "NONE",
        },
        "Bool": {"lambda:InvokedViaFunctionUrl": "true"},
    }


def test_a_url_kind_goes_with_the_url_action_only():
    with pytest.raises(InvalidParameter):
        statement(url_auth_type="NONE")


def test_a_policy_grows_and_shrinks_by_statements_and_ends_as_none():
    one = add_statement(None, statement())
    assert f'{{"Version":"2012-10-17","Id":"default","Statement":[{to_text(statement())}]}}' == one
    two = add_statement(one, statement(statement_id="s2"))
    assert one == remove_statement(two, "s2")
    assert remove_statement(one, "s1") is None


def test_a_sid_is_taken_once():
    with pytest.raises(StatementExists) as caught:
        add_statement(add_statement(None, statement()), statement())
    assert caught.value.message == (
        "The statement id (s1) provided already exists. Please provide a new statement id, "
        "or remove the existing statement."
    )


def test_removing_what_is_not_there_is_said_in_the_words_of_aws():
    with pytest.raises(FunctionNotFound, match=r"^No policy is associated with the given resource\.$"):
        remove_statement(None, "s1")
    with pytest.raises(FunctionNotFound, match=r"^Statement s9 is not found in resource policy\.$"):
        remove_statement(add_statement(None, statement()), "s9")


def test_a_policy_ends_at_twenty_kibibytes():
    policy = None
    for number in range(100):
        policy = add_statement(policy, statement(statement_id=f"s{number}"))
    assert len(policy) <= 20_480
    with pytest.raises(PolicyTooLong):
        add_statement(policy, statement(statement_id="s" * 100, source_arn="arn:aws:s3:::" + "b" * 9000))
