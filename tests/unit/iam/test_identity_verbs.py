"""Users, roles, keys and policies: AWS's limits, names and refusals."""

from __future__ import annotations

import json

import pytest
from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions
from tests.unit.iam.conftest import ACCOUNT, INSTALL_KEY, LAMBDA_TRUST, NOW_MS, allow, signed, trust

from leastwise.iam import trust as trust_module
from leastwise.iam.directory import IdentityKind, IdentityRef, Tag
from leastwise.iam.interface import DeleteConflict, EntityAlreadyExists, InvalidInput, MalformedPolicy, NoSuchEntity
from leastwise.iam.service import open_identity_service
from leastwise.kernel import errors

ALICE = f"arn:aws:iam::{ACCOUNT}:user/alice"
ALICE_REF = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="alice")
RUNNER_REF = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.ROLE, name="runner")
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


async def create_user(house, name="alice", *, path="/", tags=(), boundary_arn=None):
    return await house.identities.users.create(
        ACCOUNT, name, path=path, tags=tags, boundary_arn=boundary_arn, now_ms=NOW_MS
    )


async def create_policy(house, name="readers", document=None, **more):
    return await house.identities.policies.create(
        ACCOUNT,
        name,
        path=more.get("path", "/"),
        description="",
        document=document or allow("s3:*"),
        tags=(),
        now_ms=NOW_MS,
    )


def message_of(refused) -> str:
    return refused.value.message


async def test_a_user_has_an_arn_with_its_path_and_a_unique_id(house):
    user = await create_user(house, path="/team/a/")
    assert user.arn == f"arn:aws:iam::{ACCOUNT}:user/team/a/alice"
    assert user.user_id.startswith("AIDA")


async def test_a_name_is_taken_whatever_its_case(house):
    await create_user(house, "Alice")
    with pytest.raises(EntityAlreadyExists) as refused:
        await create_user(house, "ALICE")
    assert message_of(refused) == "User with name ALICE already exists."


async def test_who_does_not_exist_is_refused_in_the_words_of_aws(house):
    with pytest.raises(NoSuchEntity) as refused:
        await house.identities.users.get(ACCOUNT, "bob")
    assert message_of(refused) == "The user with name bob cannot be found."
    with pytest.raises(NoSuchEntity) as refused:
        await house.identities.roles.get(ACCOUNT, "bob")
    assert message_of(refused) == "The role with name bob cannot be found."


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a*", "ü", "a b", "a" * 65, "a\n"])
async def test_a_name_that_would_forge_an_arn_is_refused(house, name):
    with pytest.raises(errors.Invalid):
        await create_user(house, name)
    with pytest.raises(errors.Invalid):
        await house.role(name)


@pytest.mark.parametrize("path", ["", "a", "/a", "a/", "/a b/", "/" + "a" * 511 + "/", "/ü/", "/\n/"])
async def test_a_path_starts_and_ends_with_a_slash(house, path):
    with pytest.raises(errors.Invalid):
        await create_user(house, path=path)


async def test_a_user_with_something_left_is_not_deleted(house):
    await create_user(house)
    grants, users = house.identities.grants, house.identities.users
    made = await house.identities.access_keys.create(ACCOUNT, "alice", now_ms=NOW_MS)
    await grants.put_inline(ALICE_REF, "p", allow("s3:*"))
    await grants.attach(ALICE_REF, READ_ONLY)
    for cleanup, words in (
        (grants.detach(ALICE_REF, READ_ONLY), "Cannot delete entity, must detach all policies first."),
        (grants.remove_inline(ALICE_REF, "p"), "Cannot delete entity, must delete policies first."),
        (
            house.identities.access_keys.delete(ACCOUNT, "alice", made.key.access_key_id),
            "Cannot delete entity, must delete access keys first.",
        ),
    ):
        with pytest.raises(DeleteConflict) as refused:
            await users.delete(ACCOUNT, "alice")
        assert message_of(refused) == words
        await cleanup
    await users.delete(ACCOUNT, "alice")
    assert await users.find(ACCOUNT, "alice") is None


async def test_a_user_has_two_keys_at_most(house):
    await create_user(house)
    for _ in range(2):
        await house.identities.access_keys.create(ACCOUNT, "alice", now_ms=NOW_MS)
    with pytest.raises(errors.LimitExceeded) as refused:
        await house.identities.access_keys.create(ACCOUNT, "alice", now_ms=NOW_MS)
    assert message_of(refused) == "Cannot exceed quota for AccessKeysPerUser: 2"


async def test_keys_look_like_those_of_aws(house):
    await create_user(house)
    made = await house.identities.access_keys.create(ACCOUNT, "alice", now_ms=NOW_MS)
    assert (len(made.key.access_key_id), made.key.access_key_id[:4], len(made.secret)) == (20, "AKIA", 40)
    assert made.secret not in repr(made)


async def test_the_key_of_another_user_does_not_exist_for_this_one(house):
    await create_user(house)
    keys = house.identities.access_keys
    for verb in (
        keys.delete(ACCOUNT, "alice", house.founded.access_key_id),
        keys.set_active(ACCOUNT, "alice", house.founded.access_key_id, active=False),
    ):
        with pytest.raises(NoSuchEntity):
            await verb


async def test_a_renamed_user_keeps_keys_policies_and_the_trust_of_roles(house):
    await create_user(house)
    made = await house.identities.access_keys.create(ACCOUNT, "alice", now_ms=NOW_MS)
    await house.identities.grants.put_inline(ALICE_REF, "p", allow("lambda:*"))
    await house.role(trust_policy=trust({"AWS": ALICE}))
    await house.identities.users.move(ACCOUNT, "alice", new_name="Carol", new_path="/x/")
    carol = await house.principal(signed(made.key.access_key_id, made.secret))
    assert carol.arn == f"arn:aws:iam::{ACCOUNT}:user/x/Carol"
    assert (await house.may(carol, "lambda:ListFunctions")).allowed
    role = await house.identities.roles.get(ACCOUNT, "runner")
    assert json.loads(role.trust_policy)["Statement"][0]["Principal"] == {"AWS": carol.arn}


async def test_a_new_user_of_an_old_name_inherits_no_trust(house):
    old = await create_user(house)
    await house.role(trust_policy=trust({"AWS": [ALICE, f"arn:aws:iam::{ACCOUNT}:root"]}))
    await house.role("other", trust_policy=LAMBDA_TRUST)
    await house.identities.users.delete(ACCOUNT, "alice")
    alice = await house.user("alice")
    role = await house.identities.roles.get(ACCOUNT, "runner")
    assert json.loads(role.trust_policy)["Statement"][0]["Principal"]["AWS"][0] == old.user_id
    assert not (await house.may(alice, "sts:AssumeRole", role.arn, policy=role.trust_policy)).allowed
    assert (await house.identities.roles.get(ACCOUNT, "other")).trust_policy == LAMBDA_TRUST


async def test_a_new_role_of_an_old_name_inherits_no_trust_nor_do_its_sessions(house):
    first = await house.role("first")
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/first/s"
    escaped = trust({"AWS": [first.arn, session]}).replace("first", "f\\u0069rst")
    await house.role("runner", trust_policy=escaped)
    await house.identities.roles.delete(ACCOUNT, "first")
    role = await house.identities.roles.get(ACCOUNT, "runner")
    assert json.loads(role.trust_policy)["Statement"][0]["Principal"]["AWS"] == [first.role_id] * 2


async def test_only_trust_policies_that_may_name_the_identity_are_read(house, monkeypatch):
    """A write transaction is open meanwhile, and other accounts have as many roles as they like."""
    await create_user(house)
    await house.role(trust_policy=trust({"AWS": ALICE}))
    for index in range(5):
        await house.role(f"other-{index}", trust_policy=LAMBDA_TRUST)
    parsed, rewritten = [], trust_module.after_deletion
    monkeypatch.setattr(
        trust_module, "after_deletion", lambda text, **more: parsed.append(text) or rewritten(text, **more)
    )
    await house.identities.users.delete(ACCOUNT, "alice")
    assert 1 == len(parsed)


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"},
        {"AWS": f"arn:aws:iam::{ACCOUNT}:user/path/administrator"},
        {"AWS": f"arn:aws:iam::{ACCOUNT}:user/Administrator"},
        {"AWS": f"arn:aws:iam::{ACCOUNT}:role/nobody"},
        {"AWS": f"arn:aws:sts::{ACCOUNT}:assumed-role/nobody/s"},
        {"AWS": "arn:aws:iam::999999999999:root"},
        {"AWS": "999999999999"},
        {"AWS": "AIDAAAAAAAAAAAAAAAAAA"},
        {"AWS": [f"arn:aws:iam::{ACCOUNT}:root", f"arn:aws:iam::{ACCOUNT}:user/nobody"]},
        {"Service": "lambda.example.com"},
        {"Service": "*"},
        {"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/x"},
        {"Federated": "accounts.google.com"},
    ],
)
async def test_a_trust_policy_names_only_who_exists(house, principal):
    with pytest.raises(MalformedPolicy, match="Invalid principal in policy"):
        await house.role(trust_policy=trust(principal))


@pytest.mark.parametrize(
    "principal",
    ["*", {"AWS": "*"}, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, {"AWS": f"arn:aws:iam::{ACCOUNT}:user/administrator"}],
)
async def test_a_trust_policy_may_name_who_exists(house, principal):
    assert (await house.role(trust_policy=trust(principal))).trust_policy == trust(principal)


@pytest.mark.parametrize("document", ["", "{}", "[]", allow("s3:*"), allow("sts:AssumeRole", Principal="*")])
async def test_what_is_no_trust_policy_is_refused_on_create_and_update(house, document):
    with pytest.raises(MalformedPolicy):
        await house.role(trust_policy=document)
    await house.role()
    with pytest.raises(MalformedPolicy):
        await house.identities.roles.trust(ACCOUNT, "runner", document)


async def test_trust_policies_have_a_size(house):
    with pytest.raises(errors.LimitExceeded, match="ACLSizePerRole: 2048"):
        await house.role(trust_policy=trust({"AWS": [ACCOUNT] * 200}))


async def test_inline_policies_have_a_size_in_sum_and_are_judged(house):
    await create_user(house)
    grants = house.identities.grants
    await grants.put_inline(ALICE_REF, "first", allow("s3:*", ["arn:aws:s3:::" + "a" * 1900]))
    with pytest.raises(errors.LimitExceeded) as refused:
        await grants.put_inline(ALICE_REF, "second", allow("s3:*", ["arn:aws:s3:::" + "a" * 100]))
    assert message_of(refused) == "Maximum policy size of 2048 bytes exceeded for user alice"
    await grants.put_inline(ALICE_REF, "first", allow("s3:*", ["arn:aws:s3:::" + "b" * 1900]))
    with pytest.raises(MalformedPolicy):
        await grants.put_inline(ALICE_REF, "first", "{}")


async def test_ten_policies_can_be_attached(house):
    await house.role()
    for number in range(10):
        policy = await create_policy(house, f"p{number}")
        await house.identities.grants.attach(RUNNER_REF, policy.arn)
    await house.identities.grants.attach(RUNNER_REF, policy.arn)
    with pytest.raises(errors.LimitExceeded, match="PoliciesPerRole: 10"):
        await house.identities.grants.attach(RUNNER_REF, READ_ONLY)


async def test_a_policy_of_another_account_can_not_be_attached_or_bound(house):
    await house.role()
    foreign = "arn:aws:iam::999999999999:policy/p"
    for verb in (
        house.identities.grants.attach(RUNNER_REF, foreign),
        house.identities.grants.set_boundary(RUNNER_REF, foreign),
        create_user(house, boundary_arn=foreign),
    ):
        with pytest.raises(NoSuchEntity, match="does not exist or is not attachable"):
            await verb


async def test_what_is_not_attached_is_not_detached(house):
    await house.role()
    with pytest.raises(NoSuchEntity, match="was not found"):
        await house.identities.grants.detach(RUNNER_REF, READ_ONLY)


async def test_policy_versions_keep_their_numbers_and_their_limit(house):
    policies = house.identities.policies
    policy = await create_policy(house)
    for number in range(2, 6):
        made = await policies.add_version(ACCOUNT, policy.arn, allow("s3:*"), as_default=number == 2, now_ms=NOW_MS)
        assert made.version_id == f"v{number}"
    with pytest.raises(errors.LimitExceeded, match="can have up to 5 versions"):
        await policies.add_version(ACCOUNT, policy.arn, allow("s3:*"), as_default=False, now_ms=NOW_MS)
    await policies.delete_version(ACCOUNT, policy.arn, "v5", now_ms=NOW_MS)
    made = await policies.add_version(ACCOUNT, policy.arn, allow("s3:*"), as_default=False, now_ms=NOW_MS)
    assert made.version_id == "v6"
    assert (await policies.get(ACCOUNT, policy.arn)).default_version.version_id == "v2"
    with pytest.raises(DeleteConflict, match="Cannot delete the default version of a policy"):
        await policies.delete_version(ACCOUNT, policy.arn, "v2", now_ms=NOW_MS)
    with pytest.raises(NoSuchEntity, match="v5"):
        await policies.set_default_version(ACCOUNT, policy.arn, "v5", now_ms=NOW_MS)


async def test_the_default_version_is_the_one_that_counts(house):
    alice = await house.user()
    policy = await create_policy(house, document=allow("lambda:*"))
    policies = house.identities.policies
    await house.identities.grants.attach(ALICE_REF, policy.arn)
    assert (await house.may(alice, "lambda:ListFunctions")).allowed
    await policies.add_version(ACCOUNT, policy.arn, allow("s3:*"), as_default=True, now_ms=NOW_MS)
    assert not (await house.may(alice, "lambda:ListFunctions")).allowed
    await policies.set_default_version(ACCOUNT, policy.arn, "v1", now_ms=NOW_MS)
    assert (await house.may(alice, "lambda:ListFunctions")).allowed


async def test_a_policy_in_use_is_not_deleted(house):
    await house.role()
    policy = await create_policy(house)
    policies, grants = house.identities.policies, house.identities.grants
    await grants.attach(RUNNER_REF, policy.arn)
    with pytest.raises(DeleteConflict, match="Cannot delete a policy attached to entities"):
        await policies.delete(ACCOUNT, policy.arn)
    await grants.detach(RUNNER_REF, policy.arn)
    await grants.set_boundary(RUNNER_REF, policy.arn)
    with pytest.raises(DeleteConflict):
        await policies.delete(ACCOUNT, policy.arn)
    await grants.set_boundary(RUNNER_REF, None)
    await policies.add_version(ACCOUNT, policy.arn, allow("s3:*"), as_default=False, now_ms=NOW_MS)
    with pytest.raises(DeleteConflict, match="more than one version"):
        await policies.delete(ACCOUNT, policy.arn)
    await policies.delete_version(ACCOUNT, policy.arn, "v2", now_ms=NOW_MS)
    await policies.delete(ACCOUNT, policy.arn)
    with pytest.raises(NoSuchEntity, match="was not found"):
        await policies.get(ACCOUNT, policy.arn)


async def test_built_in_policies_can_be_attached_and_not_changed(house):
    policies = house.identities.policies
    for verb in (
        policies.add_version(ACCOUNT, READ_ONLY, allow("*"), as_default=True, now_ms=NOW_MS),
        policies.delete(ACCOUNT, READ_ONLY),
        policies.tag(ACCOUNT, READ_ONLY, (Tag(key="a", value="b"),)),
        policies.untag(ACCOUNT, READ_ONLY, ["a"]),
        policies.set_default_version(ACCOUNT, READ_ONLY, "v1", now_ms=NOW_MS),
        policies.delete_version(ACCOUNT, READ_ONLY, "v1", now_ms=NOW_MS),
    ):
        with pytest.raises(errors.Denied):
            await verb


async def test_every_built_in_policy_is_well_formed_and_says_what_its_name_says(house):
    alice = await house.user()
    grants = house.identities.grants
    base = "arn:aws:iam::aws:policy/"
    cases = (
        ("AdministratorAccess", "iam:DeleteUser", True),
        ("ReadOnlyAccess", "lambda:GetFunction", True),
        ("ReadOnlyAccess", "lambda:InvokeFunction", False),
        ("ReadOnlyAccess", "secretsmanager:GetSecretValue", False),
        ("service-role/AWSLambdaBasicExecutionRole", "logs:PutLogEvents", True),
        ("service-role/AWSLambdaBasicExecutionRole", "logs:GetLogEvents", False),
        ("service-role/AWSLambdaRole", "lambda:InvokeFunction", True),
        ("AWSLambda_FullAccess", "lambda:CreateFunction", True),
        ("AWSLambda_FullAccess", "iam:PassRole", False),
        ("AWSLambda_ReadOnlyAccess", "lambda:ListFunctions", True),
        ("AWSLambda_ReadOnlyAccess", "lambda:DeleteFunction", False),
        ("IAMFullAccess", "iam:CreateUser", True),
        ("IAMReadOnlyAccess", "iam:GetUser", True),
        ("IAMReadOnlyAccess", "iam:CreateUser", False),
    )
    shipped = {policy.arn for policy in await house.identities.policies.list(ACCOUNT, "/", own=False)}
    assert {base + name for name, _, _ in cases} <= shipped
    for name, action, wanted in cases:
        await grants.attach(ALICE_REF, base + name)
        assert (name, action, wanted) == (name, action, (await house.may(alice, action)).allowed)
        await grants.detach(ALICE_REF, base + name)


async def test_tags_are_unique_whatever_their_case_and_fifty_at_most(house):
    with pytest.raises(InvalidInput, match="Duplicate tag keys"):
        await create_user(house, tags=(Tag(key="a", value="1"), Tag(key="A", value="2")))
    with pytest.raises(InvalidInput):
        await create_user(house, tags=(Tag(key="aws:x", value="1"),))
    await create_user(house, tags=tuple(Tag(key=f"k{number}", value="") for number in range(50)))
    users = house.identities.users
    await users.tag(ACCOUNT, "alice", (Tag(key="K0", value="new"),))
    assert (await users.get(ACCOUNT, "alice")).tags["K0"] == "new"
    with pytest.raises(errors.LimitExceeded):
        await users.tag(ACCOUNT, "alice", (Tag(key="one-more", value=""),))
    await users.untag(ACCOUNT, "alice", [f"K{number}" for number in range(50)])
    assert dict((await users.get(ACCOUNT, "alice")).tags) == {}


async def test_the_first_start_makes_an_administrator_and_a_root_without_a_key(house):
    assert house.founded.created
    assert await house.identities.access_keys.list(ACCOUNT, None) == ()
    assert (await house.may(await house.principal(), "iam:CreateUser")).allowed


async def test_a_second_start_changes_nothing_and_tells_no_secret(house):
    before = dict(house.directory.state.snapshot())
    again = await house.identities.founding.found_installation(None, now_ms=NOW_MS + 5)
    assert (
        again.account_id,
        again.created,
        again.access_key_id,
        again.secret_access_key,
    ) == (ACCOUNT, False, None, None)
    assert before == house.directory.state.snapshot()


async def test_the_data_of_one_account_is_not_started_as_another(house):
    with pytest.raises(errors.Conflict, match=ACCOUNT):
        await house.identities.founding.found_installation("999999999999", now_ms=NOW_MS)


@pytest.mark.parametrize("wished", ["", "12345678901", "1234567890123", "12345678901x", "\u0661" * 12])
async def test_an_account_id_has_twelve_digits(house, wished):
    with pytest.raises(errors.Invalid):
        await house.identities.founding.found_installation(wished, now_ms=NOW_MS)


async def test_credentials_that_cannot_be_kept_undo_the_founding():
    directory = MemoryDirectory()
    service = open_identity_service(
        directory=directory, transactions=MemoryTransactions(directory), install_key=INSTALL_KEY
    )

    def fail(_founded):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await service.identities.founding.found_installation(None, now_ms=NOW_MS, keep_credentials=fail)
    assert directory.state.accounts == {}
    kept = []
    founded = await service.identities.founding.found_installation(None, now_ms=NOW_MS, keep_credentials=kept.append)
    assert kept == [founded]


async def test_a_release_with_another_document_renews_the_built_in_policy(house):
    from dataclasses import replace

    state = house.directory.state
    old = state.managed[READ_ONLY]
    state.managed[READ_ONLY] = replace(old, versions=(replace(old.versions[0], document=allow("s3:*")),))
    await house.identities.founding.found_installation(None, now_ms=NOW_MS + 1)
    renewed = await house.identities.policies.get(ACCOUNT, READ_ONLY)
    assert (renewed.default_version.version_id, renewed.default_version.document) == (
        "v2",
        old.default_version.document,
    )
