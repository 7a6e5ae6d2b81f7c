"""GetFederationToken: whose permissions a federated user has, and what it can never reach."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.unit.iam.conftest import ACCOUNT, HERE, NOW_MS, allow, signed, signed_with

from leastwise.iam.directory import IdentityKind, IdentityRef, Tag
from leastwise.iam.interface import (
    ExpiredSession,
    Issuer,
    MalformedPolicy,
    PolicyKind,
    PrincipalKind,
    UnknownKey,
)
from leastwise.kernel import errors

ALICE = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="alice")
BOB = f"arn:aws:sts::{ACCOUNT}:federated-user/bob"
FUNCTION = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:f"


async def federate(house, caller, name="bob", **more):
    options = {"duration_s": None, "policy": None, "policy_arns": (), "tags": (), "now_ms": NOW_MS}
    made = await house.sessions.federation_token(caller, name, **(options | more))
    return await house.principal(signed_with(made.credentials))


def resource(principal, effect="Allow", action="lambda:InvokeFunction", element="Principal") -> str:
    statement = {"Effect": effect, element: {"AWS": principal}, "Action": action, "Resource": FUNCTION}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def root_of(house):
    made = await house.identities.access_keys.create(ACCOUNT, None, now_ms=NOW_MS)
    return await house.principal(signed(made.key.access_key_id, made.secret))


async def test_a_federated_user_is_told_apart_from_its_user(house):
    alice = await house.user(tags=(Tag(key="team", value="red"), Tag(key="stage", value="x")))
    bob = await federate(house, alice, tags=(Tag(key="Stage", value="y"),))
    assert (PrincipalKind.FEDERATED_USER, BOB, f"{ACCOUNT}:bob", "bob") == (bob.kind, bob.arn, bob.unique_id, bob.name)
    assert Issuer(arn=alice.arn, unique_id=alice.unique_id, name="alice") == bob.federated_by
    assert {"team": "red", "Stage": "y"} == dict(bob.tags)
    context = house.gate.context(bob, HERE, now_ms=NOW_MS, region="r", extra={})
    assert (BOB, "FederatedUser", f"{ACCOUNT}:bob", "key") == (
        context["aws:principalarn"],
        context["aws:principaltype"],
        context["aws:userid"],
        context["leastwise:authenticationmethod"],
    )
    assert "aws:username" not in context


async def test_without_a_session_policy_nothing_of_the_users_is_left(house):
    alice = await house.user()
    await house.identities.grants.put_inline(ALICE, "p", allow("*"))
    decision = await house.may(await federate(house, alice), "logs:PutLogEvents")
    assert (False, PolicyKind.SESSION, False) == (decision.allowed, decision.layer, decision.explicit)


async def test_the_user_and_the_session_policy_must_both_allow(house):
    alice = await house.user()
    await house.identities.grants.put_inline(ALICE, "p", allow(["logs:*", "s3:*"]))
    bob = await federate(house, alice, policy=allow(["logs:*", "lambda:*"]))
    assert [True, False, False] == [
        (await house.may(bob, action)).allowed
        for action in ("logs:PutLogEvents", "s3:GetObject", "lambda:ListFunctions")
    ]


async def test_two_users_who_federate_the_same_name_share_nothing(house):
    alice, carol = await house.user(), await house.user("carol")
    await house.identities.grants.put_inline(ALICE, "p", allow("logs:*"))
    rich, poor = [await federate(house, user, policy=allow("*")) for user in (alice, carol)]
    assert (rich.arn, rich.unique_id) == (poor.arn, poor.unique_id)
    for _ in range(2):
        assert (await house.may(rich, "logs:PutLogEvents")).allowed
        assert not (await house.may(poor, "logs:PutLogEvents")).allowed


async def test_a_boundary_of_the_user_limits_whom_it_federates(house):
    alice = await house.user()
    await house.identities.grants.put_inline(ALICE, "p", allow("*"))
    limit = await house.identities.policies.create(
        ACCOUNT, "limit", path="/", description="", document=allow("s3:*"), tags=(), now_ms=NOW_MS
    )
    await house.identities.grants.set_boundary(ALICE, limit.arn)
    bob = await federate(house, alice, policy=allow("*"))
    assert PolicyKind.BOUNDARY is (await house.may(bob, "logs:PutLogEvents")).layer
    assert (
        PolicyKind.BOUNDARY
        is (await house.may(bob, "lambda:InvokeFunction", FUNCTION, policy=resource(alice.arn))).layer
    )
    assert (await house.may(bob, "lambda:InvokeFunction", FUNCTION, policy=resource(BOB))).allowed


async def test_a_resource_that_names_the_user_is_limited_by_the_session_policy(house):
    alice = await house.user()
    bare = await federate(house, alice)
    wide = await federate(house, alice, policy=allow("lambda:*"))
    named = resource(alice.arn)
    assert PolicyKind.SESSION is (await house.may(bare, "lambda:InvokeFunction", FUNCTION, policy=named)).layer
    assert (await house.may(wide, "lambda:InvokeFunction", FUNCTION, policy=named)).allowed
    by_id = resource(alice.unique_id)
    assert (await house.may(wide, "lambda:InvokeFunction", FUNCTION, policy=by_id)).allowed
    assert (await house.may(bare, "lambda:InvokeFunction", FUNCTION, policy=resource(BOB))).allowed
    account = resource(ACCOUNT)
    assert not (await house.may(wide, "lambda:InvokeFunction", FUNCTION, policy=account)).allowed


async def test_a_notprincipal_deny_spares_a_federated_user_only_by_its_own_name(house):
    alice = await house.user()
    await house.identities.grants.put_inline(ALICE, "p", allow("*"))
    bob = await federate(house, alice, policy=allow("*"))
    for spared, allowed in (([BOB, ACCOUNT], True), ([alice.arn, ACCOUNT], False), ([BOB], False), ([ACCOUNT], False)):
        policy = resource(spared, "Deny", element="NotPrincipal")
        assert allowed == (await house.may(bob, "lambda:InvokeFunction", FUNCTION, policy=policy)).allowed, spared


async def test_whom_root_federates_has_the_session_policy_for_an_hour(house):
    root = await root_of(house)
    made = await house.sessions.federation_token(
        root, "bob", duration_s=129_600, policy=allow("logs:*"), policy_arns=(), tags=(), now_ms=NOW_MS
    )
    assert NOW_MS + 3_600_000 == made.credentials.expires_at_ms
    bob = await house.principal(signed_with(made.credentials))
    assert Issuer(arn=root.arn, unique_id=ACCOUNT, name="") == bob.federated_by
    assert (await house.may(bob, "logs:PutLogEvents")).allowed
    assert not (await house.may(bob, "s3:GetObject")).allowed
    # Root is everybody's account: naming it does not name whom it federates.
    bare = await federate(house, root)
    policy = resource(root.arn)
    assert not (await house.may(bare, "lambda:InvokeFunction", FUNCTION, policy=policy)).allowed


async def test_no_second_factor_opens_iam_to_a_federated_user(house):
    alice = await house.user()
    made = await house.sessions.federation_token(
        alice, "bob", duration_s=900, policy=None, policy_arns=(), tags=(), now_ms=NOW_MS
    )
    with pytest.raises(UnknownKey):
        await house.principal(signed_with(made.credentials, service="iam"))
    with pytest.raises(ExpiredSession):
        await house.principal(signed_with(made.credentials, at_ms=NOW_MS + 900_000), now_ms=NOW_MS + 900_000)


async def test_sessions_and_services_federate_nobody(house):
    alice = await house.user()
    session = await house.principal(
        signed_with(await house.sessions.session_token(alice, duration_s=None, now_ms=NOW_MS))
    )
    bob = await federate(house, alice)
    for caller in (session, bob, replace(alice, kind=PrincipalKind.ROLE_SESSION), replace(alice, kind="AWSService")):
        with pytest.raises(errors.Denied, match="Cannot call GetFederationToken with session credentials"):
            await federate(house, caller)
        with pytest.raises(errors.Denied, match="Cannot call GetSessionToken with session credentials"):
            await house.sessions.session_token(replace(caller, session_issued_at_ms=1), duration_s=None, now_ms=NOW_MS)


@pytest.mark.parametrize("more", [{"policy": "{"}, {"policy_arns": ("arn:aws:iam::999999999999:policy/foreign",)}])
async def test_policies_of_a_federated_user_are_judged_at_the_door(house, more):
    alice = await house.user()
    with pytest.raises(MalformedPolicy):
        await federate(house, alice, **more)


async def test_tagging_a_federated_user_asks_the_caller_and_tagging_a_role_asks_the_role(house):
    alice = await house.user()
    await house.identities.grants.put_inline(ALICE, "p", allow("sts:TagSession"))
    assert (await house.may(alice, "sts:TagSession", BOB)).allowed
    for resource_arn in (f"arn:aws:iam::{ACCOUNT}:role/none", f"arn:aws:iam::{ACCOUNT}:role/arn:aws:sts:/x", "*"):
        assert PolicyKind.TRUST is (await house.may(alice, "sts:TagSession", resource_arn)).layer


async def test_a_federated_user_ends_with_its_user(house):
    alice = await house.user()
    made = await house.sessions.federation_token(
        alice, "bob", duration_s=900, policy=None, policy_arns=(), tags=(), now_ms=NOW_MS
    )
    await house.identities.access_keys.delete(ACCOUNT, "alice", alice.access_key_id)
    await house.principal(signed_with(made.credentials))
    await house.identities.users.delete(ACCOUNT, "alice")
    with pytest.raises(UnknownKey):
        await house.principal(signed_with(made.credentials))
