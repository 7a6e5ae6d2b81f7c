"""What DecodeAuthorizationMessage tells, to whom, and what its length gives away."""

from __future__ import annotations

import json
import random

import pytest
from tests.unit.iam.conftest import ACCOUNT, HERE, NOW_MS, allow

from leastwise.iam import denials
from leastwise.iam.directory import IdentityKind, IdentityRef
from leastwise.iam.interface import (
    Decision,
    InvalidAuthorizationMessage,
    PolicyKind,
    Principal,
    PrincipalKind,
    Request,
)
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.evaluate import Layers, decide
from leastwise.iam.sealing import Seal

OTHER = "444455556666"
SEAL = Seal(bytes(32), purpose="authorization messages")
ALICE = Principal(
    kind=PrincipalKind.USER,
    account_id=ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/alice",
    unique_id="AIDA234567ABCDEFGHIJK",
    name="alice",
)


def request(owner=ACCOUNT, **context) -> Request:
    return Request(
        principal=ALICE,
        action="lambda:InvokeFunction",
        resource=f"arn:aws:lambda:r:{owner}:function:f",
        resource_account_id=owner,
        context={"aws:sourceip": "192.0.2.7", "aws:tagkeys": ("a", "b"), **context},
    )


def denying(kind, name="p", **more):
    statement = {"Sid": "Secret", "Effect": "Deny", "Action": "lambda:*", "Resource": "*", **more}
    if kind in {PolicyKind.RESOURCE, PolicyKind.RESOURCE_CONTROL}:
        statement["Principal"] = "*"
    return compile_policy({"Version": "2012-10-17", "Statement": [statement]}, name=name, kind=kind)


def layers_with(kind):
    policy = denying(kind)
    return {
        PolicyKind.IDENTITY: lambda: Layers(identity=(policy,)),
        PolicyKind.BOUNDARY: lambda: Layers(boundary=policy),
        PolicyKind.SESSION: lambda: Layers(session=(policy,)),
        PolicyKind.RESOURCE: lambda: Layers(resource=policy),
        PolicyKind.SERVICE_CONTROL: lambda: Layers(service_control=((policy,),)),
        PolicyKind.RESOURCE_CONTROL: lambda: Layers(resource_control=((policy,),)),
    }[kind]()


def told(asked, layers, *, account_id=ACCOUNT):
    text = denials.encode(asked, decide(asked, layers), layers, SEAL, nonce=bytes(12))
    return json.loads(denials.decode(text, SEAL, account_id=account_id))


@pytest.mark.parametrize("kind", [PolicyKind.IDENTITY, PolicyKind.BOUNDARY, PolicyKind.SESSION, PolicyKind.RESOURCE])
def test_the_denying_statement_is_told_in_awss_shape(kind):
    message = told(request(), layers_with(kind))
    assert {"allowed", "explicitDeny", "layer", "matchedStatements", "failures", "context"} == set(message)
    (item,) = message["matchedStatements"]["items"]
    assert ("Secret", "DENY", [{"value": "lambda:*"}]) == (
        item["statementId"],
        item["effect"],
        item["actions"]["items"],
    )
    assert [{"value": ALICE.unique_id}] == item["principals"]["items"]
    assert {"id": ALICE.unique_id, "name": "alice", "arn": ALICE.arn} == message["context"]["principal"]
    assert {"key": "aws:tagkeys", "values": {"items": [{"value": "a"}, {"value": "b"}]}} in message["context"][
        "conditions"
    ]["items"]


@pytest.mark.parametrize(
    ("kind", "owner"),
    [
        (PolicyKind.RESOURCE, OTHER),
        (PolicyKind.RESOURCE_CONTROL, ACCOUNT),
        (PolicyKind.RESOURCE_CONTROL, OTHER),
        (PolicyKind.SERVICE_CONTROL, ACCOUNT),
    ],
)
def test_policies_that_are_not_the_callers_accounts_are_told_by_name_only(kind, owner):
    (item,) = told(request(owner), layers_with(kind))["matchedStatements"]["items"]
    assert {"statementId", "effect", "policy"} == set(item)


def test_a_message_opens_for_the_account_of_the_caller_only():
    with pytest.raises(InvalidAuthorizationMessage):
        told(request(), layers_with(PolicyKind.IDENTITY), account_id=OTHER)


@pytest.mark.parametrize("text", ["", "AQ", "=", "ä", "A" * 40, "!" * 40])
def test_what_is_no_message_is_refused(text):
    with pytest.raises(InvalidAuthorizationMessage, match="Message is not valid"):
        denials.decode(text, SEAL, account_id=ACCOUNT)


def test_the_length_tells_nothing_of_what_the_policy_and_the_caller_have_in_common():
    """The caller chooses its user agent: one that repeats a statement makes the message no shorter than another one."""
    secret = "arn:aws:lambda:r:111122223333:function:hidden-project-zebra"
    condition = {"StringNotEquals": {"aws:PrincipalTag/x": secret}}
    layers = Layers(identity=(denying(PolicyKind.IDENTITY, Condition=condition),))
    agents = (secret, "arn:aws:lambda:r:111122223333:function:zidden-hroject-pebra")

    def lengths(shown):
        asked = [request(**{"aws:useragent": agent}) for agent in agents]
        return [len(denials.encode(one, decide(one, layers), shown, SEAL, nonce=bytes(12))) for one in asked]

    beside, alone = lengths(layers), lengths(None)
    # Whatever the messages differ by, they differ by it with and without the statement beside them (four characters of
    # base64 stand for three bytes).
    assert beside[0] > alone[0]
    assert abs((beside[0] - beside[1]) - (alone[0] - alone[1])) <= 2


def test_a_message_that_would_not_fit_into_a_header_tells_less():
    noise = {f"aws:requesttag/{number}": random.Random(number).randbytes(100).hex() for number in range(50)}
    asked, layers = request(**noise), layers_with(PolicyKind.IDENTITY)
    text = denials.encode(asked, decide(asked, layers), layers, SEAL, nonce=bytes(12))
    assert len(text) <= denials.LONGEST
    message = json.loads(denials.decode(text, SEAL, account_id=ACCOUNT))
    assert [] == message["context"]["conditions"]["items"]
    assert "Secret" == message["matchedStatements"]["items"][0]["statementId"]


def test_text_that_is_not_unicode_is_told_all_the_same():
    asked = request(**{"aws:useragent": "\udcff"})
    decision = Decision(allowed=False, layer=PolicyKind.IDENTITY, explicit=False)
    text = denials.encode(asked, decision, None, SEAL, nonce=bytes(12))
    assert "lambda:InvokeFunction" in denials.decode(text, SEAL, account_id=ACCOUNT)


async def test_the_gate_seals_what_it_decided_on(house):
    alice = await house.user()
    owner = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="alice")
    await house.identities.grants.put_inline(owner, "no", allow("logs:*").replace("Allow", "Deny"))
    asked = Request(
        principal=alice,
        action="logs:PutLogEvents",
        resource="*",
        resource_account_id=ACCOUNT,
        context=house.gate.context(alice, HERE, now_ms=NOW_MS, region="r", extra={}),
    )
    decision = await house.gate.authorize(asked, resource_policy=None)
    sealed = house.gate.sealed_denial(asked, decision, resource_policy=None)
    message = json.loads(house.sessions.decode_authorization_message(ACCOUNT, sealed))
    assert (True, "no", [{"value": "logs:*"}]) == (
        message["explicitDeny"],
        message["matchedStatements"]["items"][0]["policy"],
        message["matchedStatements"]["items"][0]["actions"]["items"],
    )
    assert alice.access_key_id not in sealed
