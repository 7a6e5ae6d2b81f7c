import pytest

from leastwise.iam.interface import MalformedPolicy, PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.evaluate import Layers, decide

ALICE = Principal(
    kind=PrincipalKind.USER,
    account_id="111122223333",
    arn="arn:aws:iam::111122223333:user/alice",
    unique_id="AIDA234567ABCDEFGHIJK",
    name="alice",
)


def policy(*statements, name="p", kind=PolicyKind.IDENTITY):
    return compile_policy({"Version": "2012-10-17", "Statement": list(statements)}, name=name, kind=kind)


def statement(effect="Allow", action="*", resource="*", **further):
    return {"Effect": effect, "Action": action, "Resource": resource, **further}


def ask(action="lambda:InvokeFunction", resource="*", context=None):
    return Request(
        principal=ALICE, action=action, resource=resource, resource_account_id="111122223333", context=context or {}
    )


def test_a_policy_tells_every_condition_key_that_it_reads():
    ready = policy(
        statement(
            resource="arn:aws:s3:::b/${aws:username}/*", Condition={"StringLike": {"aws:UserAgent": "${aws:UserId}*"}}
        ),
        statement(Condition={"NumericLessThan": {"leastwise:TimeOfDay/Europe/Berlin": "09:00"}}),
        statement(Condition={"Null": {"aws:TokenIssueTime": "true"}}),
    )
    expected = {"aws:username", "aws:useragent", "aws:userid", "aws:epochtime", "aws:tokenissuetime"}
    assert expected == ready.context_keys


def test_selections_are_remembered_but_not_without_end():
    ready = policy(statement(action="lambda:*"))
    for number in range(10_000):
        ready.select(f"lambda:operation{number}")
    assert len(ready._selections) <= 4096
    assert len(ready.select("lambda:operation1")[1]) == 1
    assert ready.select("iam:operation1") == ((), ())


def test_a_statement_is_selected_once_though_several_of_its_actions_fit():
    ready = policy(statement(action=["lambda:*", "lambda:Get*", "*", "lambda:GetFunction"]))
    assert len(ready.select("lambda:getfunction")[1]) == 1


def test_not_action_of_everything_selects_nothing():
    ready = compile_policy(
        {"Statement": {"Effect": "Allow", "NotAction": "*", "Resource": "*"}}, name="p", kind=PolicyKind.IDENTITY
    )
    assert ready.select("lambda:getfunction") == ((), ())


def test_a_decision_names_the_statement_that_allowed():
    ready = policy(statement(action="s3:*"), statement(action="lambda:*", Sid="Two"), name="arn:aws:iam::aws:policy/X")
    (found,) = decide(ask(), Layers(identity=(ready,))).statements
    assert (found.policy, found.kind, found.sid, found.index) == (
        "arn:aws:iam::aws:policy/X",
        PolicyKind.IDENTITY,
        "Two",
        1,
    )


def test_a_denial_names_every_statement_of_the_policy_that_denied():
    ready = policy(statement("Deny"), statement(), statement("Deny", "lambda:*"), statement("Deny", "s3:*"))
    decision = decide(ask(), Layers(identity=(ready,)))
    assert [found.index for found in decision.statements] == [0, 2]


def test_a_policy_that_cannot_be_read_is_an_error_and_not_an_empty_policy():
    with pytest.raises(MalformedPolicy):
        compile_policy("{}", name="p", kind=PolicyKind.IDENTITY)


def test_a_session_without_any_policy_that_allows_is_denied():
    layers = Layers(identity=(policy(statement()),), session=())
    assert decide(ask(), layers).layer is PolicyKind.SESSION


def test_an_unbound_variable_beside_a_fitting_resource_does_no_harm():
    ready = policy(statement(resource=["arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::c"]))
    layers = Layers(identity=(ready,))
    assert decide(ask(resource="arn:aws:s3:::c"), layers).allowed is True
    assert decide(ask(resource="arn:aws:s3:::b/"), layers).allowed is False
    assert decide(ask(resource="arn:aws:s3:::b/alice", context={"aws:username": "alice"}), layers).allowed is True
