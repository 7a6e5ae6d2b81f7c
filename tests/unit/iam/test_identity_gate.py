"""The gate: who is it, and may they."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.unit.iam.conftest import ACCOUNT, NOW_MS, allow, signed, signed_with

from leastwise.iam.directory import IdentityKind, IdentityRef
from leastwise.iam.interface import (
    ExpiredSession,
    IncompleteSignature,
    MissingProof,
    PolicyKind,
    PrincipalKind,
    SignatureMismatch,
    UnknownKey,
)
from leastwise.kernel.call import NoProof, ServiceProof

HOUR_MS = 3_600_000
ALICE = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="alice")
RUNNER = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.ROLE, name="runner")


async def test_a_long_term_key_proves_its_user(house):
    principal = await house.principal()
    assert (PrincipalKind.USER, f"arn:aws:iam::{ACCOUNT}:user/administrator") == (principal.kind, principal.arn)
    assert house.founded.access_key_id == principal.access_key_id


async def test_a_key_of_root_proves_root_which_may_do_everything(house):
    made = await house.identities.access_keys.create(ACCOUNT, None, now_ms=NOW_MS)
    root = await house.principal(signed(made.key.access_key_id, made.secret))
    assert (PrincipalKind.ROOT, f"arn:aws:iam::{ACCOUNT}:root") == (root.kind, root.arn)
    assert (await house.may(root, "iam:DeleteUser")).allowed


async def test_a_wrong_secret_is_a_mismatch(house):
    with pytest.raises(SignatureMismatch):
        await house.principal(signed(house.founded.access_key_id, "x" * 40))


@pytest.mark.parametrize("access_key_id", ["AKIAUNKNOWN", "", "ASIAUNKNOWN"])
async def test_an_unknown_key_is_refused_in_the_words_of_aws(house, access_key_id):
    with pytest.raises(UnknownKey) as refused:
        await house.principal(signed(access_key_id, "x" * 40))
    assert refused.value.message == "The security token included in the request is invalid."


async def test_an_inactive_key_is_refused_as_if_it_were_unknown(house):
    await house.principal()
    await house.identities.access_keys.set_active(ACCOUNT, "administrator", house.founded.access_key_id, active=False)
    with pytest.raises(UnknownKey):
        await house.principal()


async def test_a_deleted_key_is_refused_at_once(house):
    await house.principal()
    await house.identities.access_keys.delete(ACCOUNT, "administrator", house.founded.access_key_id)
    with pytest.raises(UnknownKey):
        await house.principal()


async def test_a_long_term_key_with_a_session_token_is_refused(house):
    proof = signed(house.founded.access_key_id, house.founded.secret_access_key, token="anything")
    with pytest.raises(UnknownKey):
        await house.principal(proof)


async def test_secrets_at_rest_are_not_readable(house):
    key = house.directory.state.keys[house.founded.access_key_id]
    assert house.founded.secret_access_key.encode() not in key.sealed_secret
    assert house.founded.secret_access_key not in repr(house.founded)


async def test_a_sealed_secret_moved_to_another_key_opens_nothing(house):
    alice = await house.user()
    keys = house.directory.state.keys
    keys[alice.access_key_id] = replace(
        keys[alice.access_key_id], sealed_secret=keys[house.founded.access_key_id].sealed_secret
    )
    house.gate.forget()
    with pytest.raises(UnknownKey):
        await house.principal(signed(alice.access_key_id, house.founded.secret_access_key))


async def test_no_proof_is_refused_by_its_reason(house):
    with pytest.raises(MissingProof):
        await house.gate.authenticate(NoProof(reason="missing", message="m"), now_ms=NOW_MS)
    with pytest.raises(IncompleteSignature):
        await house.gate.authenticate(NoProof(reason="incomplete", message="m"), now_ms=NOW_MS)
    with pytest.raises(SignatureMismatch):
        await house.gate.authenticate(NoProof(reason="malformed", message="m"), now_ms=NOW_MS)


async def test_the_platform_itself_is_a_service_principal_that_may_run_accepted_events_and_nothing_else(house):
    proof = ServiceProof(service="lambda.amazonaws.com", account_id=ACCOUNT)
    principal = await house.gate.authenticate(proof, now_ms=NOW_MS)
    assert (principal.kind, principal.name) == (PrincipalKind.SERVICE, "lambda.amazonaws.com")
    assert (await house.may(principal, "lambda:InvokeFunction")).allowed
    assert not (await house.may(principal, "lambda:DeleteFunction")).allowed
    stranger = await house.gate.authenticate(
        ServiceProof(service="events.amazonaws.com", account_id=ACCOUNT), now_ms=NOW_MS
    )
    assert not (await house.may(stranger, "lambda:InvokeFunction")).allowed


async def test_a_session_proves_its_role_session(house):
    await house.role()
    credentials = await session_of_runner(house)
    principal = await house.principal(signed_with(credentials))
    assert principal.kind is PrincipalKind.ROLE_SESSION
    assert principal.arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/runner/call"
    assert principal.role_arn == f"arn:aws:iam::{ACCOUNT}:role/runner"
    assert principal.unique_id == f"{(await house.identities.roles.get(ACCOUNT, 'runner')).role_id}:call"


async def test_a_session_key_without_its_token_is_refused(house):
    await house.role()
    credentials = await session_of_runner(house)
    with pytest.raises(UnknownKey):
        await house.principal(signed(credentials.access_key_id, credentials.secret_access_key))


async def test_a_token_works_with_its_own_key_only(house):
    await house.role()
    first, second = await session_of_runner(house), await session_of_runner(house)
    mixed = replace(first, session_token=second.session_token)
    await house.principal(signed_with(first))
    with pytest.raises(UnknownKey):
        await house.principal(signed_with(mixed))


@pytest.mark.parametrize("change", [lambda t: t[:-2], lambda t: t + "AA", lambda t: "ü" + t, lambda t: "Z" + t[1:]])
async def test_a_changed_token_is_refused_warm_and_cold(house, change):
    await house.role()
    credentials = await session_of_runner(house)
    changed = replace(credentials, session_token=change(credentials.session_token))
    with pytest.raises(UnknownKey):
        await house.principal(signed_with(changed))
    await house.principal(signed_with(credentials))
    with pytest.raises(UnknownKey):
        await house.principal(signed_with(changed))


async def test_a_session_ends_to_the_millisecond_and_says_so(house):
    await house.role()
    credentials = await session_of_runner(house)
    before, after = credentials.expires_at_ms - 1, credentials.expires_at_ms
    await house.principal(signed_with(credentials, at_ms=before), now_ms=before)
    with pytest.raises(ExpiredSession) as refused:
        await house.principal(signed_with(credentials, at_ms=after), now_ms=after)
    assert refused.value.message == "The security token included in the request is expired"


async def test_an_expired_session_with_a_wrong_secret_is_a_mismatch(house):
    await house.role()
    credentials = await session_of_runner(house)
    after = credentials.expires_at_ms
    with pytest.raises(SignatureMismatch):
        await house.principal(signed_with(replace(credentials, secret_access_key="x" * 40), at_ms=after), now_ms=after)


async def test_deleting_the_role_ends_its_sessions_even_when_it_is_made_again(house):
    await house.role()
    credentials = await session_of_runner(house)
    await house.principal(signed_with(credentials))
    await house.identities.roles.delete(ACCOUNT, "runner")
    with pytest.raises(UnknownKey):
        await house.principal(signed_with(credentials))
    await house.role()
    with pytest.raises(UnknownKey):
        await house.principal(signed_with(credentials))


async def test_warm_questions_do_not_read_the_directory(house):
    await house.role()
    await house.identities.grants.put_inline(RUNNER, "p", allow("lambda:*"))
    credentials = await session_of_runner(house)
    policy = allow("lambda:InvokeFunction", Principal="*")

    async def ask():
        admin = await house.principal()
        assert (await house.may(admin, "lambda:ListFunctions")).allowed
        session = await house.principal(signed_with(credentials))
        assert (await house.may(session, "lambda:ListFunctions", policy=policy)).allowed

    await ask()
    before = house.directory.reads
    await ask()
    assert before == house.directory.reads


async def test_a_change_is_seen_by_the_next_call_and_not_before_its_commit(house):
    alice = await house.user()
    assert not (await house.may(alice, "lambda:ListFunctions")).allowed
    async with house.transactions.begin():
        await house.identities.grants.put_inline(ALICE, "p", allow("lambda:*"))
        assert not (await house.may(alice, "lambda:ListFunctions")).allowed
    assert (await house.may(alice, "lambda:ListFunctions")).allowed
    await house.identities.grants.remove_inline(ALICE, "p")
    assert not (await house.may(alice, "lambda:ListFunctions")).allowed


async def test_what_was_read_before_a_change_is_not_remembered_after_it(house):
    alice = await house.user()
    read = house.directory.inline_policies

    async def read_then_be_overtaken(owner):
        found = await read(owner)
        house.directory.inline_policies = read
        await house.identities.grants.put_inline(ALICE, "p", allow("lambda:*"))
        return found

    house.directory.inline_policies = read_then_be_overtaken
    assert not (await house.may(alice, "lambda:ListFunctions")).allowed
    assert (await house.may(alice, "lambda:ListFunctions")).allowed


async def test_a_boundary_limits_and_a_session_policy_limits(house):
    role = await house.role()
    await house.identities.grants.put_inline(RUNNER, "all", allow("*"))
    policy = await house.identities.policies.create(
        ACCOUNT, "only-logs", path="/", description="", document=allow("logs:*"), tags=(), now_ms=NOW_MS
    )
    await house.identities.grants.set_boundary(RUNNER, policy.arn)
    session = await house.principal(signed_with(await session_of_runner(house)))
    assert (await house.may(session, "logs:PutLogEvents")).allowed
    denied = await house.may(session, "lambda:ListFunctions")
    assert (denied.allowed, denied.layer) == (False, PolicyKind.BOUNDARY)
    limited = replace(session, session_policies=(allow("s3:*"),))
    assert (await house.may(limited, "logs:PutLogEvents")).layer is PolicyKind.SESSION
    assert role.arn == session.role_arn


async def test_a_deleted_user_is_allowed_nothing_even_with_a_principal_at_hand(house):
    alice = await house.user()
    await house.identities.grants.put_inline(ALICE, "p", allow("lambda:*"))
    await house.identities.grants.remove_inline(ALICE, "p")
    await house.identities.access_keys.delete(ACCOUNT, "alice", alice.access_key_id)
    await house.identities.users.delete(ACCOUNT, "alice")
    await house.user("alice")
    await house.identities.grants.put_inline(ALICE, "p", allow("lambda:*"))
    assert not (await house.may(alice, "lambda:ListFunctions")).allowed


async def test_a_boundary_that_is_gone_denies_everything(house):
    alice = await house.user()
    await house.identities.grants.put_inline(ALICE, "p", allow("*"))
    await house.identities.grants.set_boundary(ALICE, "arn:aws:iam::aws:policy/AdministratorAccess")
    assert (await house.may(alice, "lambda:ListFunctions")).allowed
    del house.directory.state.managed["arn:aws:iam::aws:policy/AdministratorAccess"]
    house.gate.forget()
    assert not (await house.may(alice, "lambda:ListFunctions")).allowed


async def test_a_stored_policy_that_cannot_be_read_denies_everything(house):
    admin = await house.principal()
    assert not (await house.may(admin, "lambda:ListFunctions", policy="{not json")).allowed
    owner = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="administrator")
    key = (ACCOUNT, "user", "administrator")
    house.directory.state.inline[key] = {}
    await house.identities.grants.put_inline(owner, "fine", allow("s3:*"))
    broken = replace(house.directory.state.inline[key]["fine"], document=json.dumps({"Statement": "?"}))
    house.directory.state.inline[key]["fine"] = broken
    house.gate.forget()
    assert not (await house.may(admin, "lambda:ListFunctions")).allowed


async def test_the_denial_names_who_what_and_why(house):
    alice = await house.user()
    from leastwise.iam.interface import Request

    request = Request(
        principal=alice, action="lambda:ListFunctions", resource="*", resource_account_id=ACCOUNT, context={}
    )
    decision = await house.gate.authorize(request, resource_policy=None)
    assert house.gate.denial_message(request, decision) == (
        f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: lambda:ListFunctions on resource: * "
        "because no identity-based policy allows the lambda:ListFunctions action"
    )


async def test_the_last_use_is_told_before_it_is_written_and_written_by_the_flush(house):
    access_key_id = house.founded.access_key_id
    assert (await house.identities.access_keys.last_used(ACCOUNT, access_key_id)).last_used_at_ms is None
    await house.principal()
    told = await house.identities.access_keys.last_used(ACCOUNT, access_key_id)
    assert (
        told.last_used_at_ms,
        told.last_used_service,
        told.last_used_region,
    ) == (NOW_MS, "lambda", "eu-central-1")
    assert house.directory.state.keys[access_key_id].last_used_at_ms is None
    await house.gate.flush_last_used()
    assert told == house.directory.state.keys[access_key_id]


async def test_a_refused_signature_is_no_use(house):
    with pytest.raises(SignatureMismatch):
        await house.principal(signed(house.founded.access_key_id, "x" * 40))
    assert (await house.identities.access_keys.last_used(ACCOUNT, house.founded.access_key_id)).last_used_at_ms is None


async def test_uses_that_could_not_be_written_are_written_by_the_next_flush(house):
    await house.principal()
    write = house.directory.note_access_key_use

    async def fail(_key, **_use):
        raise OSError("disk full")

    house.directory.note_access_key_use = fail
    with pytest.raises(OSError, match="disk full"):
        await house.gate.flush_last_used()
    house.directory.note_access_key_use = write
    await house.gate.flush_last_used()
    assert house.directory.state.keys[house.founded.access_key_id].last_used_at_ms == NOW_MS


async def session_of_runner(house):
    return await house.sessions.assume_for_service(
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/runner",
        service="lambda.amazonaws.com",
        session_name="call",
        duration_s=900,
        now_ms=NOW_MS,
    )
