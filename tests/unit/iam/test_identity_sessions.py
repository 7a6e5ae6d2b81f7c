"""AssumeRole, GetSessionToken and execution roles."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.iam.conftest import ACCOUNT, HERE, LAMBDA_TRUST, NOW_MS, allow, signed, signed_with, trust

from leastwise.iam.directory import IdentityKind, IdentityRef, Tag
from leastwise.iam.interface import (
    MalformedPolicy,
    PackedPolicyTooLarge,
    PolicyKind,
    Principal,
    PrincipalKind,
    Request,
    UnknownKey,
)
from leastwise.iam.reasoning.context import ALWAYS
from leastwise.iam.sealing import Seal
from leastwise.iam.sessions import Claims, write_token
from leastwise.kernel import errors
from leastwise.kernel.clock import iso_seconds

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
RUNNER = f"arn:aws:iam::{ACCOUNT}:role/runner"
RUNNER_REF = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.ROLE, name="runner")
ALICE_REF = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="alice")


async def assume(house, caller, role_arn=RUNNER, **more):
    options = {
        "session_name": "work",
        "duration_s": None,
        "policy": None,
        "policy_arns": (),
        "tags": (),
        "transitive_tag_keys": (),
        "source_identity": None,
        "now_ms": NOW_MS,
    }
    return await house.sessions.assume_role(caller, role_arn, **(options | more))


async def may_assume(house, caller, **extra):
    role = await house.identities.roles.find_by_arn(RUNNER)
    return await house.may(
        caller, "sts:AssumeRole", RUNNER, policy=None if role is None else role.trust_policy, **extra
    )


async def test_a_user_named_by_the_trust_policy_needs_nothing_more(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ALICE}))
    assert (await may_assume(house, alice)).allowed


async def test_an_account_in_the_trust_policy_only_delegates(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ROOT}))
    assert not (await may_assume(house, alice)).allowed
    await house.identities.grants.put_inline(ALICE_REF, "assume", allow("sts:AssumeRole", RUNNER))
    assert (await may_assume(house, alice)).allowed


async def test_an_administrator_may_not_assume_a_role_that_does_not_trust_it(house):
    await house.role(trust_policy=LAMBDA_TRUST)
    decision = await may_assume(house, await house.principal())
    assert (decision.allowed, decision.layer) == (False, PolicyKind.TRUST)


@pytest.mark.parametrize("action", ["sts:AssumeRole", "STS:assumerole", "sts:TagSession", "sts:SetSourceIdentity"])
async def test_nobody_may_assume_a_role_that_does_not_exist(house, action):
    assert not (await house.may(await house.principal(), action, RUNNER, policy=None)).allowed


async def test_root_may_not_assume_roles(house):
    made = await house.identities.access_keys.create(ACCOUNT, None, now_ms=NOW_MS)
    root = await house.principal(signed(made.key.access_key_id, made.secret))
    await house.role(trust_policy=trust({"AWS": ROOT}))
    assert not (await may_assume(house, root)).allowed
    with pytest.raises(errors.Denied, match="Roles may not be assumed by root accounts"):
        await assume(house, root)


async def test_a_condition_on_the_external_id_is_kept(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ALICE}, Condition={"StringEquals": {"sts:ExternalId": "42"}}))
    assert not (await may_assume(house, alice)).allowed
    assert (await may_assume(house, alice, **{"sts:externalid": "42"})).allowed


async def test_a_session_carries_tags_source_identity_and_policies(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ALICE}), tags=(Tag(key="Stage", value="prod"),))
    assumed = await assume(
        house,
        alice,
        policy=allow("logs:*"),
        tags=(Tag(key="stage", value="test"), Tag(key="team", value="a")),
        source_identity="alice",
    )
    session = await house.principal(signed_with(assumed.credentials))
    assert dict(session.tags) == {"stage": "test", "team": "a"}
    assert (session.source_identity, session.session_policies) == ("alice", (allow("logs:*"),))
    assert assumed.arn == session.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/runner/work"
    assert assumed.unique_id == session.unique_id
    assert assumed.packed_policy_percent >= 1


async def test_a_session_policy_never_adds(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ALICE}))
    await house.identities.grants.put_inline(RUNNER_REF, "p", allow(["logs:*", "s3:*"]))
    session = await house.principal(
        signed_with((await assume(house, alice, policy=allow(["logs:*", "lambda:*"]))).credentials)
    )
    assert (await house.may(session, "logs:PutLogEvents")).allowed
    assert not (await house.may(session, "s3:GetObject")).allowed
    assert not (await house.may(session, "lambda:ListFunctions")).allowed


async def test_a_managed_session_policy_limits_and_denies_all_once_it_is_deleted(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ALICE}))
    await house.identities.grants.put_inline(RUNNER_REF, "p", allow("*"))
    policy = await house.identities.policies.create(
        ACCOUNT, "limit", path="/", description="", document=allow("logs:*"), tags=(), now_ms=NOW_MS
    )
    proof = signed_with((await assume(house, alice, policy_arns=(policy.arn,))).credentials)
    session = await house.principal(proof)
    assert (await house.may(session, "logs:PutLogEvents")).allowed
    assert not (await house.may(session, "lambda:ListFunctions")).allowed
    await house.identities.policies.delete(ACCOUNT, policy.arn)
    assert not (await house.may(await house.principal(proof), "logs:PutLogEvents")).allowed


@pytest.mark.parametrize(
    "more",
    [
        {"policy": "{"},
        {"policy": allow("logs:*", Principal="*")},
        {"policy_arns": (f"arn:aws:iam::{ACCOUNT}:policy/none",)},
        {"policy_arns": ("arn:aws:iam::999999999999:policy/foreign",)},
    ],
)
async def test_session_policies_are_judged_at_the_door(house, more):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ALICE}))
    with pytest.raises(MalformedPolicy):
        await assume(house, alice, **more)


async def test_session_policies_have_a_limit(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ALICE}))
    with pytest.raises(PackedPolicyTooLarge):
        await assume(house, alice, policy=allow("logs:*") + " " * 2048)


async def test_durations_keep_the_limits_of_role_and_chain(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": [ALICE, ROOT]}), max_session_s=7200)
    assert (await assume(house, alice)).credentials.expires_at_ms == NOW_MS + 3_600_000
    first = await assume(house, alice, duration_s=7200)
    assert first.credentials.expires_at_ms == NOW_MS + 7_200_000
    with pytest.raises(errors.Invalid, match="exceeds the MaxSessionDuration set for this role"):
        await assume(house, alice, duration_s=7201)
    session = await house.principal(signed_with(first.credentials))
    with pytest.raises(errors.Invalid, match="1 hour session limit for roles assumed by role chaining"):
        await assume(house, session, duration_s=3601)


async def test_a_source_identity_and_transitive_tags_stay_along_the_chain(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": [ALICE, ROOT]}))
    first = await assume(
        house,
        alice,
        tags=(Tag(key="Project", value="x"), Tag(key="other", value="y")),
        transitive_tag_keys=("project",),
        source_identity="alice",
    )
    session = await house.principal(signed_with(first.credentials))
    second = await house.principal(signed_with((await assume(house, session)).credentials))
    assert (dict(second.tags), second.source_identity) == ({"Project": "x"}, "alice")
    with pytest.raises(errors.Invalid, match="transitive"):
        await assume(house, session, tags=(Tag(key="PROJECT", value="z"),))
    with pytest.raises(errors.Denied, match="source identity"):
        await assume(house, session, source_identity="bob")


async def test_a_role_that_vanished_after_the_decision_is_denied(house):
    alice = await house.user()
    with pytest.raises(errors.Denied):
        await assume(house, alice)


async def test_get_session_token_is_for_long_term_keys(house):
    alice = await house.user()
    credentials = await house.sessions.session_token(alice, duration_s=None, now_ms=NOW_MS)
    assert credentials.expires_at_ms == NOW_MS + 12 * 3_600_000
    session = await house.principal(signed_with(credentials))
    assert (session.kind, session.arn, session.unique_id) == (PrincipalKind.USER, alice.arn, alice.unique_id)
    assert house.gate.context(session, HERE, now_ms=NOW_MS, region="r", extra={})["aws:multifactorauthpresent"] == (
        "false"
    )
    with pytest.raises(errors.Denied, match="Cannot call GetSessionToken with session credentials"):
        await house.sessions.session_token(session, duration_s=None, now_ms=NOW_MS)


async def test_a_session_without_second_factor_does_not_reach_iam(house):
    alice = await house.user()
    credentials = await house.sessions.session_token(alice, duration_s=None, now_ms=NOW_MS)
    with pytest.raises(UnknownKey):
        await house.principal(signed_with(credentials, service="iam"))
    await house.principal(signed_with(credentials, service="sts"))


async def test_a_users_session_follows_a_renaming_and_ends_with_the_user(house):
    alice = await house.user()
    proof = signed_with(await house.sessions.session_token(alice, duration_s=None, now_ms=NOW_MS))
    await house.identities.users.move(ACCOUNT, "alice", new_name="carol", new_path=None)
    assert (await house.principal(proof)).arn == f"arn:aws:iam::{ACCOUNT}:user/carol"
    await house.identities.access_keys.delete(ACCOUNT, "carol", alice.access_key_id)
    await house.identities.users.delete(ACCOUNT, "carol")
    with pytest.raises(UnknownKey):
        await house.principal(proof)


async def test_roots_session_lives_an_hour_at_most(house):
    made = await house.identities.access_keys.create(ACCOUNT, None, now_ms=NOW_MS)
    root = await house.principal(signed(made.key.access_key_id, made.secret))
    credentials = await house.sessions.session_token(root, duration_s=129_600, now_ms=NOW_MS)
    assert credentials.expires_at_ms == NOW_MS + 3_600_000
    assert (await house.principal(signed_with(credentials))).kind is PrincipalKind.ROOT


async def test_an_execution_role_must_trust_the_service(house):
    await house.role(trust_policy=trust({"AWS": ROOT}))
    assert not await house.sessions.role_can_be_assumed_by(RUNNER, "lambda.amazonaws.com", now_ms=NOW_MS)
    with pytest.raises(errors.Denied):
        await house.sessions.assume_for_service(
            role_arn=RUNNER, service="lambda.amazonaws.com", session_name="f", duration_s=900, now_ms=NOW_MS
        )
    await house.identities.roles.trust(ACCOUNT, "runner", LAMBDA_TRUST)
    assert await house.sessions.role_can_be_assumed_by(RUNNER, "lambda.amazonaws.com", now_ms=NOW_MS)
    assert not await house.sessions.role_can_be_assumed_by(RUNNER, "events.amazonaws.com", now_ms=NOW_MS)


async def test_a_service_that_takes_a_role_uses_it(house):
    await house.role()
    roles = house.identities.roles
    assert await roles.get(ACCOUNT, "runner") == roles.with_last_use(await roles.get(ACCOUNT, "runner"))
    await house.sessions.assume_for_service(
        role_arn=RUNNER,
        service="lambda.amazonaws.com",
        session_name="f",
        duration_s=900,
        now_ms=NOW_MS,
        source_arn=f"arn:aws:lambda:eu-north-1:{ACCOUNT}:function:f",
    )
    used = roles.with_last_use(await roles.get(ACCOUNT, "runner"))
    assert (NOW_MS, "eu-north-1") == (used.last_used_at_ms, used.last_used_region)


@pytest.mark.parametrize(("wished_s", "given_s"), [(900, 900), (43_200, 43_200), (99_999, 43_200)])
async def test_a_services_session_is_not_limited_by_the_roles_maximum(house, wished_s, given_s):
    await house.role(max_session_s=3600)
    credentials = await house.sessions.assume_for_service(
        role_arn=RUNNER, service="lambda.amazonaws.com", session_name="f", duration_s=wished_s, now_ms=NOW_MS
    )
    assert credentials.expires_at_ms == NOW_MS + given_s * 1000


@pytest.mark.parametrize(
    "role_arn",
    [
        "",
        "runner",
        f"arn:aws:iam::{ACCOUNT}:role/other",
        f"arn:aws:iam::{ACCOUNT}:role/path/runner",
        "arn:aws:iam::999999999999:role/runner",
        f"arn:aws:iam::{ACCOUNT}:user/runner",
        f"arn:aws:iam::{ACCOUNT}:role/RUNNER",
    ],
)
async def test_only_the_exact_arn_of_a_role_can_be_assumed(house, role_arn):
    await house.role()
    assert not await house.sessions.role_can_be_assumed_by(role_arn, "lambda.amazonaws.com", now_ms=NOW_MS)


async def test_the_source_account_of_a_service_is_told_to_the_trust_policy(house):
    condition = {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": "arn:aws:lambda:*:*:*"}}
    await house.role(trust_policy=trust({"Service": "lambda.amazonaws.com"}, Condition=condition))
    assert not await house.sessions.role_can_be_assumed_by(RUNNER, "lambda.amazonaws.com", now_ms=NOW_MS)
    assert await house.sessions.role_can_be_assumed_by(
        RUNNER, "lambda.amazonaws.com", now_ms=NOW_MS, source_arn=f"arn:aws:lambda:r:{ACCOUNT}:function:f"
    )


KEYS_OF_EVERY_REQUEST = sorted(ALWAYS)


@pytest.mark.parametrize("key", KEYS_OF_EVERY_REQUEST)
async def test_no_key_that_every_request_has_is_missing_for_a_service(house, key):
    missing = trust({"Service": "lambda.amazonaws.com"}, Condition={"Null": {key: "true"}})
    await house.role(trust_policy=missing)
    assert not await house.sessions.role_can_be_assumed_by(RUNNER, "lambda.amazonaws.com", now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("condition", "trusted"),
    [
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": iso_seconds(NOW_MS + 60_000)}}, True),
        ({"DateLessThan": {"aws:CurrentTime": iso_seconds(NOW_MS)}}, False),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, False),
        ({"Null": {"aws:SourceIp": "true"}}, True),
        ({"StringEquals": {"aws:PrincipalServiceName": "lambda.amazonaws.com", "aws:ResourceAccount": ACCOUNT}}, True),
    ],
)
async def test_conditions_of_a_trust_policy_bind_services(house, condition, trusted):
    await house.role(trust_policy=trust({"Service": "lambda.amazonaws.com"}, Condition=condition))
    source_arn = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f"
    assert trusted == await house.sessions.role_can_be_assumed_by(
        RUNNER, "lambda.amazonaws.com", now_ms=NOW_MS, source_arn=source_arn
    )


CALLERS = [
    Principal(
        kind=kind,
        account_id=ACCOUNT,
        arn="arn",
        unique_id="id",
        name="n",
        session_issued_at_ms=NOW_MS if session else None,
        called_via=called_via,
    )
    for kind in PrincipalKind
    for session in (False, True)
    for called_via in ((), ("lambda.amazonaws.com",))
]


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.kind.value)
async def test_every_kind_of_caller_has_the_keys_that_proofs_take_for_granted(house, caller):
    context = house.gate.context(caller, HERE, now_ms=NOW_MS, region="us-east-1", extra={})
    assert set() == ALWAYS - context.keys()


async def test_a_token_of_another_installation_opens_nothing(house):
    role = await house.role()
    claims = Claims(
        key_id="ASIAFORGED",
        secret="s" * 40,
        kind="AssumedRole",
        account_id=ACCOUNT,
        name="runner",
        unique_id=role.role_id,
        issued_at_ms=NOW_MS,
        expires_at_ms=NOW_MS + 10**9,
        session_name="x",
    )
    token = write_token(claims, Seal(b"x" * 32, purpose="session tokens"), nonce=b"n" * 12)
    with pytest.raises(UnknownKey):
        await house.principal(signed("ASIAFORGED", "s" * 40, token=token))


async def test_a_service_request_is_decided_without_the_directory(house):
    role = await house.role()
    request = Request(
        principal=replace(
            await house.principal(), kind=PrincipalKind.SERVICE, name="lambda.amazonaws.com", role_arn=None
        ),
        action="sts:AssumeRole",
        resource=role.arn,
        resource_account_id=ACCOUNT,
        context={},
    )
    before = house.directory.reads
    assert (await house.gate.authorize(request, resource_policy=role.trust_policy)).allowed
    assert before == house.directory.reads


def test_secrets_do_not_show_in_a_repr_of_claims():
    claims = Claims(
        key_id="ASIA",
        secret="very-secret",
        kind="AssumedRole",
        account_id=ACCOUNT,
        name="r",
        unique_id="AROA",
        issued_at_ms=0,
        expires_at_ms=1,
    )
    assert "very-secret" not in repr(claims)
