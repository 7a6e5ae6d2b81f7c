"""A decision taken apart: layers, near misses, missing context, and what would have to change."""

import json

import pytest

from leastwise.iam.interface import PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.evaluate import Layers
from leastwise.iam.policy.positions import Position, statement_positions
from leastwise.iam.why.certainty import Certainty, Part
from leastwise.iam.why.discretion import discreet_layer, discreet_remedy, is_foreign
from leastwise.iam.why.knowledge import of_made_up_request, of_recorded_request
from leastwise.iam.why.remedies import Change, remedies
from leastwise.iam.why.trace import LayerAnswer, Unseen, Verdict, trace

HERE, ELSEWHERE = "111122223333", "444455556666"
USER = Principal(
    kind=PrincipalKind.USER,
    account_id=HERE,
    arn=f"arn:aws:iam::{HERE}:user/alice",
    unique_id="AIDA234567ABCDEFGHIJK",
    name="alice",
)
SESSION = Principal(
    kind=PrincipalKind.ROLE_SESSION,
    account_id=HERE,
    arn=f"arn:aws:sts::{HERE}:assumed-role/worker/s1",
    role_arn=f"arn:aws:iam::{HERE}:role/worker",
    unique_id="AROA234567ABCDEFGHIJK:s1",
    name="worker",
    session_name="s1",
)
FUNCTION = f"arn:aws:lambda:us-east-1:{HERE}:function:f1"
SCP = f"arn:aws:organizations::{ELSEWHERE}:policy/o-abc/service_control_policy/p-1"


def allow(action="*", resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action="*", resource="*", **more):
    return allow(action, resource, **more) | {"Effect": "Deny"}


def policy(*statements, name="p", kind=PolicyKind.IDENTITY):
    return compile_policy({"Version": "2012-10-17", "Statement": list(statements)}, name=name, kind=kind)


def request(principal=USER, resource=FUNCTION, account=HERE, **context):
    return Request(
        principal=principal,
        action="lambda:InvokeFunction",
        resource=resource,
        resource_account_id=account,
        context={key.replace("__", ":").lower(): value for key, value in context.items()},
    )


def layer(found, kind):
    return next(one for one in found.layers if one.slot.kind is kind)


def everything_unknown(_key):
    return True


def test_every_layer_is_listed_the_absent_ones_too():
    found = trace(request(), Layers(identity=(policy(allow()),)))
    answers = {one.slot.kind: one.answer for one in found.layers}
    assert {
        PolicyKind.RESOURCE_CONTROL: LayerAnswer.ABSENT,
        PolicyKind.SERVICE_CONTROL: LayerAnswer.ABSENT,
        PolicyKind.RESOURCE: LayerAnswer.ABSENT,
        PolicyKind.IDENTITY: LayerAnswer.ALLOWS,
        PolicyKind.BOUNDARY: LayerAnswer.ABSENT,
        PolicyKind.SESSION: LayerAnswer.ABSENT,
    } == answers


def test_every_level_of_an_organization_is_a_layer_of_its_own():
    levels = tuple((policy(one, kind=PolicyKind.SERVICE_CONTROL),) for one in (allow(), allow("s3:*")))
    found = trace(request(), Layers(identity=(policy(allow()),), service_control=levels))
    told = [
        (one.slot.level, one.answer, one.decisive)
        for one in found.layers
        if one.slot.kind is PolicyKind.SERVICE_CONTROL
    ]
    assert [(0, LayerAnswer.ALLOWS, True), (1, LayerAnswer.GRANTS_NOTHING, True)] == told
    assert Verdict.IMPLICIT_DENY is found.verdict


def test_a_near_miss_says_which_part_failed_and_what_was_found():
    near = policy(
        allow("lambda:*", "arn:aws:lambda:*:*:function:other"),
        allow("lambda:*", Condition={"StringEquals": {"aws:PrincipalTag/team": ["a", "b"]}}),
        allow("s3:*"),
    )
    found = trace(request(aws__principaltag_team="c"), Layers(identity=(near,)))
    first, second = layer(found, PolicyKind.IDENTITY).near()
    assert (Part.RESOURCE, (FUNCTION,)) == (first.failures[0].part, first.failures[0].found)
    condition = second.failures[0]
    assert ("StringEquals", "aws:PrincipalTag/team", ("a", "b")) == (
        condition.operator,
        condition.key,
        condition.wanted,
    )


def test_a_missing_key_is_named_as_the_policy_spells_it():
    one = policy(allow(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
    found = trace(request(), Layers(identity=(one,)), unseen=Unseen(key=everything_unknown))
    assert (Verdict.DEPENDS, ("aws:MultiFactorAuthPresent",)) == (found.verdict, found.missing_context)
    assert found.decision.allowed is False


def test_a_missing_variable_in_a_resource_keeps_the_answer_open_only_where_it_could_fit():
    def verdict(resource):
        one = policy(allow("*", resource))
        return trace(request(), Layers(identity=(one,)), unseen=Unseen(key=everything_unknown)).verdict

    assert Verdict.DEPENDS is verdict("arn:aws:lambda:us-east-1:*:function:${aws:PrincipalTag/team}")
    assert Verdict.IMPLICIT_DENY is verdict("arn:aws:lambda:eu-west-1:*:function:${aws:PrincipalTag/team}")


def test_a_missing_key_of_a_statement_that_fails_anyway_is_not_asked_for():
    one = policy(
        allow(
            "*",
            "arn:aws:lambda:*:*:function:other",
            Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}},
        )
    )
    found = trace(request(), Layers(identity=(one,)), unseen=Unseen(key=everything_unknown))
    assert Verdict.IMPLICIT_DENY is found.verdict


def test_a_doubtful_deny_keeps_an_allow_from_being_certain_but_not_a_denial():
    doubtful = deny(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    unseen = Unseen(key=everything_unknown)
    assert Verdict.DEPENDS is trace(request(), Layers(identity=(policy(allow(), doubtful),)), unseen=unseen).verdict
    assert Verdict.IMPLICIT_DENY is trace(request(), Layers(identity=(policy(doubtful),)), unseen=unseen).verdict


def test_a_grant_by_name_in_the_resources_policy_leaves_the_identity_layer_without_a_say():
    named = policy(allow(Principal={"AWS": USER.arn}), name="", kind=PolicyKind.RESOURCE)
    found = trace(request(), Layers(resource=named, boundary=policy(allow("s3:*"), kind=PolicyKind.BOUNDARY)))
    assert Verdict.ALLOWED is found.verdict
    assert (True, False, False) == tuple(
        layer(found, kind).decisive for kind in (PolicyKind.RESOURCE, PolicyKind.IDENTITY, PolicyKind.BOUNDARY)
    )


def test_a_grant_to_the_account_leaves_the_decision_to_the_identity_layer():
    delegated = policy(allow(Principal={"AWS": HERE}), name="", kind=PolicyKind.RESOURCE)
    found = trace(request(), Layers(resource=delegated, identity=(policy(allow()),)))
    assert layer(found, PolicyKind.IDENTITY).decisive is True
    assert layer(found, PolicyKind.RESOURCE).decisive is False


def changes(found_for, layers, **more):
    found = trace(found_for, layers)
    return [
        [(step.change, step.slot.kind) for step in remedy.steps]
        for remedy in remedies(found_for, layers, found, **more)
    ]


def test_one_layer_is_offered_rather_than_two():
    layers = Layers(boundary=policy(allow("s3:*"), kind=PolicyKind.BOUNDARY))
    both = [(Change.ADD_ALLOW, PolicyKind.IDENTITY), (Change.ADD_ALLOW, PolicyKind.BOUNDARY)]
    assert [both] == changes(request(), layers)
    # Naming the user in the resource's own policy is enough alone.
    assert [[(Change.ADD_ALLOW, PolicyKind.RESOURCE)]] == changes(request(), layers, resource_can_grant=True)


def test_naming_a_role_does_not_lift_its_boundary():
    layers = Layers(boundary=policy(allow("s3:*"), kind=PolicyKind.BOUNDARY))
    asked = request(SESSION)
    assert [
        [(Change.ADD_ALLOW, PolicyKind.IDENTITY), (Change.ADD_ALLOW, PolicyKind.BOUNDARY)],
        [(Change.ADD_ALLOW, PolicyKind.BOUNDARY), (Change.ADD_ALLOW, PolicyKind.RESOURCE)],
    ] == changes(asked, layers, resource_can_grant=True)


def test_every_deny_must_go_and_what_is_then_missing_must_come():
    layers = Layers(
        identity=(policy(deny("lambda:*", Sid="No")),),
        service_control=((policy(deny(), name=SCP, kind=PolicyKind.SERVICE_CONTROL),),),
    )
    (steps,) = changes(request(), layers)
    assert [
        (Change.REMOVE_DENY, PolicyKind.SERVICE_CONTROL),
        (Change.REMOVE_DENY, PolicyKind.IDENTITY),
        (Change.ADD_ALLOW, PolicyKind.SERVICE_CONTROL),
        (Change.ADD_ALLOW, PolicyKind.IDENTITY),
    ] == steps


def test_a_condition_that_fails_is_offered_as_another_way():
    one = policy(allow(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
    asked, layers = request(), Layers(identity=(one,))
    ((step,),) = [remedy.steps for remedy in remedies(asked, layers, trace(asked, layers))]
    assert step.otherwise[0].endswith("condition Bool aws:MultiFactorAuthPresent: sign in with a second factor.")


def test_a_policy_of_aws_is_not_offered_for_change():
    layers = Layers(identity=(policy(allow("s3:*"), name="arn:aws:iam::aws:policy/ReadOnlyAccess"),))
    asked = request()
    ((step,),) = [remedy.steps for remedy in remedies(asked, layers, trace(asked, layers))]
    assert "ReadOnlyAccess" not in step.sentence


def test_root_cannot_be_helped_to_a_role():
    root = Principal(kind=PrincipalKind.ROOT, account_id=HERE, arn=f"arn:aws:iam::{HERE}:root", unique_id=HERE)
    trust = compile_policy(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": HERE}, "Action": "sts:AssumeRole"}],
        },
        name="",
        kind=PolicyKind.TRUST,
    )
    layers = Layers(resource=trust)
    found = trace(request(root), layers, trust=True)
    assert (Verdict.IMPLICIT_DENY, ()) == (found.verdict, remedies(request(root), layers, found, trust=True))


def test_the_text_of_another_accounts_policies_is_not_shown():
    secret = deny(Condition={"NotIpAddress": {"aws:SourceIp": "198.51.100.7/32"}}, Sid="Office")
    layers = Layers(
        identity=(policy(allow()),),
        service_control=((policy(allow(), secret, name=SCP, kind=PolicyKind.SERVICE_CONTROL),),),
    )
    for asked in (request(aws__sourceip="198.51.100.7"), request(aws__sourceip="192.0.2.1")):
        found = trace(asked, layers)
        shown = [discreet_layer(one, HERE) for one in found.layers]
        offered = [discreet_remedy(one, HERE) for one in remedies(asked, layers, found)]
        assert "198.51.100.7" not in repr((shown[1].statements[0].failures, shown[1].statements, offered))
        assert "NotIpAddress" not in repr((shown, offered))
    assert "NotIpAddress" in repr(
        [discreet_layer(one, ELSEWHERE) for one in trace(request(aws__sourceip="198.51.100.7"), layers).layers]
    )


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("inline", False),
        ("", False),
        (f"arn:aws:iam::{HERE}:policy/x", False),
        ("arn:aws:iam::aws:policy/x", False),
        ("arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", False),
        (SCP, True),
    ],
)
def test_a_policy_belongs_to_the_account_in_its_arn(name, foreign):
    assert foreign is is_foreign(name, HERE)


def test_a_session_that_is_not_told_about_limits_every_certain_allow():
    layers = Layers(identity=(policy(allow()),))
    assert Verdict.DEPENDS is trace(request(SESSION), layers, unseen=Unseen(session_policies=True)).verdict
    assert Verdict.IMPLICIT_DENY is trace(request(SESSION), Layers(), unseen=Unseen(session_policies=True)).verdict


@pytest.mark.parametrize(
    ("principal", "key", "unknown"),
    [
        (USER, "aws:principaltag/team", False),
        (SESSION, "aws:principaltag/team", True),
        (USER, "aws:sourceip", True),
        (USER, "aws:multifactorauthpresent", True),
        (USER, "aws:sourcearn", False),
        (USER, "aws:sourcevpce", False),
        (USER, "lambda:functionarn", True),
        (USER, "aws:resourcetag/x", False),
        (USER, "aws:requesttag/x", True),
    ],
)
def test_of_a_made_up_request_is_known_what_follows_from_the_principal(principal, key, unknown):
    assert unknown is of_made_up_request(principal, {}, resource_known=True)(key)


@pytest.mark.parametrize(
    ("principal", "key", "unknown"),
    [
        (USER, "aws:multifactorauthpresent", False),
        (USER, "aws:principaltag/team", False),
        (SESSION, "aws:principaltag/team", True),
        (USER, "aws:requesttag/x", True),
        (USER, "lambda:layer", True),
        (USER, "aws:resourcetag/x", False),
    ],
)
def test_of_a_recorded_call_is_unknown_what_the_record_does_not_hold(principal, key, unknown):
    assert unknown is of_recorded_request(principal, {}, request_known=False, resource_known=True)(key)


def test_statements_stand_where_an_editor_shows_them():
    document = {"Version": "2012-10-17", "Statement": [allow(Sid="a}]["), deny()], "Id": "x"}
    text = json.dumps(document, indent=2)
    lines = text.splitlines()
    for start, end in statement_positions(text):
        assert lines[end.line - 1][: end.column - 1].endswith("}")
        assert "{" in lines[start.line - 1][start.column - 1 :] + lines[start.line]
    single = '{"Statement": {"Effect": "Allow"}}'
    assert ((Position(line=1, column=14), Position(line=1, column=34)),) == statement_positions(single)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([allow()], Verdict.ALLOWED),
        ([allow("*", FUNCTION)], Verdict.DEPENDS),
        ([allow(), deny("*", FUNCTION)], Verdict.DEPENDS),
        ([deny("*", FUNCTION)], Verdict.IMPLICIT_DENY),
        ([allow(), deny()], Verdict.EXPLICIT_DENY),
    ],
)
def test_without_a_resource_only_statements_about_all_of_them_are_certain(statements, expected):
    layers = Layers(identity=(policy(*statements),))
    assert expected is trace(request(resource="*"), layers, unseen=Unseen(resource=True)).verdict


def test_a_window_across_midnight_is_one_part():
    window = {
        "NumericGreaterThanEquals": {"leastwise:TimeOfDay": "22:00"},
        "NumericLessThan": {"leastwise:TimeOfDay": "06:00"},
    }
    one = policy(allow(Condition=window))
    for time, expected in (("23:00", Certainty.YES), ("05:00", Certainty.YES), ("12:00", Certainty.NO)):
        found = trace(request(leastwise__timeofday=time), Layers(identity=(one,)))
        assert expected is layer(found, PolicyKind.IDENTITY).statements[0].certainty
