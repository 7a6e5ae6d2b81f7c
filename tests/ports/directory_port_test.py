"""One suite for every `iam.directory.Directory`: the in-memory fake and SQL on SQLite."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions

from leastwise.iam.directory import (
    AccessKey,
    Account,
    Directory,
    Group,
    IdentityKind,
    IdentityRef,
    InlinePolicy,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
)
from leastwise.iam.interface import ConcurrentModification
from leastwise.kernel import errors
from leastwise.kernel.transactions import Transactions
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory
from leastwise.storage.schema import metadata

ACCOUNT = "111122223333"


@pytest.fixture(params=["memory", "sqlite"])
async def kept(request, tmp_path):
    """(directory, transactions) of each adapter."""
    if request.param == "memory":
        directory = MemoryDirectory()
        yield directory, MemoryTransactions(directory)
        return
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'directory.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield SqlDirectory(database), database
    await database.close()


@pytest.fixture
def directory(kept) -> Directory:
    return kept[0]


@pytest.fixture
def transactions(kept) -> Transactions:
    return kept[1]


def a_user(name: str = "Alice", *, path: str = "/", user_id: str | None = None, **more) -> User:
    return User(
        account_id=ACCOUNT,
        name=name,
        path=path,
        user_id=user_id or f"AIDA{name.upper()}",
        arn=f"arn:aws:iam::{ACCOUNT}:user{path}{name}",
        created_at_ms=1_000,
        **more,
    )


def a_role(name: str = "Runner", *, path: str = "/", **more) -> Role:
    return Role(
        account_id=ACCOUNT,
        name=name,
        path=path,
        role_id=f"AROA{name.upper()}",
        arn=f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
        created_at_ms=1_000,
        trust_policy='{"Statement": [ ]}',
        **more,
    )


def a_key(access_key_id: str = "AKIA1", *, user_name: str | None = "Alice", created_at_ms: int = 1) -> AccessKey:
    return AccessKey(
        access_key_id=access_key_id,
        account_id=ACCOUNT,
        user_name=user_name,
        active=True,
        created_at_ms=created_at_ms,
        sealed_secret=b"\x00\xff",
    )


def a_policy(name: str = "Readers", *, path: str = "/", **more) -> ManagedPolicy:
    return ManagedPolicy(
        account_id=ACCOUNT,
        name=name,
        path=path,
        policy_id=f"ANPA{name.upper()}",
        arn=f"arn:aws:iam::{ACCOUNT}:policy{path}{name}",
        description="d",
        created_at_ms=1,
        updated_at_ms=2,
        versions=(PolicyVersion(version_id="v1", document="{}", is_default=True, created_at_ms=1),),
        **more,
    )


def a_group(name: str = "Devs", *, path: str = "/") -> Group:
    return Group(
        account_id=ACCOUNT,
        name=name,
        path=path,
        group_id=f"AGPA{name.upper()}",
        arn=f"arn:aws:iam::{ACCOUNT}:group{path}{name}",
        created_at_ms=1_000,
    )


def user_ref(name: str = "Alice") -> IdentityRef:
    return IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name=name)


def role_ref(name: str = "Runner") -> IdentityRef:
    return IdentityRef(account_id=ACCOUNT, kind=IdentityKind.ROLE, name=name)


def group_ref(name: str = "Devs") -> IdentityRef:
    return IdentityRef(account_id=ACCOUNT, kind=IdentityKind.GROUP, name=name)


async def test_accounts_come_back_sorted_and_are_unique(directory):
    second, first = Account(account_id="2" * 12, created_at_ms=5), Account(account_id="1" * 12, created_at_ms=6)
    await directory.add_account(second)
    await directory.add_account(first)
    assert (first, second) == await directory.accounts()
    with pytest.raises(errors.AlreadyExists):
        await directory.add_account(first)


async def test_a_user_comes_back_as_it_was_written(directory):
    user = a_user(path="/team/", tags={"Stage": "prod", "ümlaut": "ja"}, boundary_arn="arn:aws:iam::aws:policy/X")
    await directory.add_user(user)
    assert user == await directory.user(ACCOUNT, "Alice")


async def test_names_are_found_and_unique_regardless_of_case(directory):
    await directory.add_user(a_user("Alice"))
    assert a_user("Alice") == await directory.user(ACCOUNT, "aLICE")
    with pytest.raises(errors.AlreadyExists):
        await directory.add_user(a_user("ALICE", user_id="AIDAOTHER"))


async def test_the_same_name_in_another_account_is_another_user(directory):
    await directory.add_user(a_user())
    assert None is await directory.user("999999999999", "Alice")


async def test_lists_are_sorted_by_name_and_cut_by_path(directory):
    for name, path in (("b", "/x/"), ("B2", "/x/y/"), ("a", "/"), ("c", "/xx/"), ("d%", "/x/")):
        await directory.add_user(a_user(name, path=path))
    assert [user.name for user in await directory.users(ACCOUNT, "/")] == ["B2", "a", "b", "c", "d%"]
    assert [user.name for user in await directory.users(ACCOUNT, "/x/")] == ["B2", "b", "d%"]
    assert [user.name for user in await directory.users(ACCOUNT, "/%/")] == []


async def test_a_renamed_user_keeps_its_keys_and_policies(directory):
    await directory.add_user(a_user("Alice"))
    await directory.add_access_key(a_key())
    await directory.put_inline_policy(user_ref("Alice"), InlinePolicy(name="p", document="{}"))
    await directory.add_managed_policy(a_policy())
    await directory.attach_policy(user_ref("Alice"), a_policy().arn)
    renamed = a_user("Carol", user_id="AIDAALICE")

    await directory.replace_user("alice", renamed)

    assert None is await directory.user(ACCOUNT, "Alice")
    assert renamed == await directory.user(ACCOUNT, "Carol")
    assert (replace(a_key(), user_name="Carol"),) == await directory.access_keys(ACCOUNT, "Carol")
    assert (InlinePolicy(name="p", document="{}"),) == await directory.inline_policies(user_ref("Carol"))
    assert await directory.inline_policies(user_ref("Alice")) == ()
    assert (user_ref("Carol"),) == await directory.attached_entities(a_policy().arn)


async def test_a_user_cannot_take_the_name_of_another(directory):
    await directory.add_user(a_user("Alice"))
    await directory.add_user(a_user("Bob"))
    with pytest.raises(errors.AlreadyExists):
        await directory.replace_user("Alice", a_user("BOB", user_id="AIDAALICE"))


async def test_a_removed_user_is_gone(directory):
    await directory.add_user(a_user())
    await directory.remove_user(ACCOUNT, "ALICE")
    assert None is await directory.user(ACCOUNT, "Alice")


async def test_keys_come_back_oldest_first_and_apart_from_those_of_root(directory):
    young, old, root = a_key("AKIA1", created_at_ms=9), a_key("AKIA2", created_at_ms=3), a_key("AKIA3", user_name=None)
    for key in (young, old, root):
        await directory.add_access_key(key)
    assert (old, young) == await directory.access_keys(ACCOUNT, "Alice")
    assert (root,) == await directory.access_keys(ACCOUNT, None)
    assert root == await directory.access_key("AKIA3")
    assert None is await directory.access_key("AKIA4")


async def test_a_key_can_be_changed_and_removed(directory):
    await directory.add_access_key(a_key())
    await directory.set_access_key_active("AKIA1", active=False)
    await directory.note_access_key_use("AKIA1", at_ms=7, service="iam", region="eu-1")
    changed = replace(a_key(), active=False, last_used_at_ms=7, last_used_service="iam", last_used_region="eu-1")
    assert changed == await directory.access_key("AKIA1")
    await directory.remove_access_key("AKIA1")
    assert None is await directory.access_key("AKIA1")


async def test_what_is_noted_about_a_key_that_is_gone_does_not_bring_it_back(directory):
    await directory.set_access_key_active("AKIA1", active=True)
    await directory.note_access_key_use("AKIA1", at_ms=7, service="iam", region="eu-1")
    assert None is await directory.access_key("AKIA1")


async def test_a_role_comes_back_as_it_was_written_its_trust_policy_to_the_byte(directory):
    role = a_role(path="/service/", description="d", max_session_s=7200, tags={"k": ""}, boundary_arn="arn:b")
    await directory.add_role(role)
    assert role == await directory.role(ACCOUNT, "RUNNER")
    changed = replace(role, trust_policy="{ }", boundary_arn=None)
    await directory.replace_role(changed)
    assert (changed,) == await directory.roles(ACCOUNT, "/service/")
    await directory.remove_role(ACCOUNT, "runner")
    assert await directory.roles(ACCOUNT, "/") == ()


async def test_roles_are_found_by_what_their_trust_policy_mentions_in_every_account(directory):
    policies = {
        "named": '{"AWS":"arn:aws:iam::1:user/a_b"}',
        "other": '{"AWS":"arn:aws:iam::1:user/axb"}',
        "percent": '{"AWS":"arn:aws:iam::1:user/a%b"}',
        "escaped": '{"AWS":"arn:aws:iam::1:user\\/a_b"}',
    }
    for account in (ACCOUNT, "222233334444"):
        for name, policy in policies.items():
            role_id = f"AROA{account}{name}"
            role = replace(a_role(name), account_id=account, role_id=role_id, trust_policy=policy)
            await directory.add_role(role)
    found = await directory.roles_mentioning(["user/a_b", "nothing"])
    assert {(account, name) for account in (ACCOUNT, "222233334444") for name in ("named", "escaped")} == {
        (role.account_id, role.name) for role in found
    }
    assert {"percent", "escaped"} == {role.name for role in await directory.roles_mentioning(["a%b"])}


async def test_inline_policies_are_sorted_and_replaced_by_name(directory):
    for name, document in (("b", "1"), ("a", "2"), ("b", "3")):
        await directory.put_inline_policy(user_ref("alice"), InlinePolicy(name=name, document=document))
    want = (InlinePolicy(name="a", document="2"), InlinePolicy(name="b", document="3"))
    assert want == await directory.inline_policies(user_ref("ALICE"))
    await directory.remove_inline_policy(user_ref("Alice"), "a")
    assert want[1:] == await directory.inline_policies(user_ref("Alice"))


async def test_a_user_and_a_role_of_one_name_own_different_policies(directory):
    await directory.put_inline_policy(user_ref("Same"), InlinePolicy(name="p", document="user"))
    assert await directory.inline_policies(role_ref("Same")) == ()


async def test_a_managed_policy_comes_back_with_its_versions_newest_first(directory):
    await directory.add_managed_policy(a_policy(tags={"a": "b"}))
    newer = PolicyVersion(version_id="v12", document="[]", is_default=True, created_at_ms=5)
    older = replace(a_policy().versions[0], is_default=False)
    changed = replace(a_policy(), versions=(newer, older), updated_at_ms=5, last_version=12)
    await directory.replace_managed_policy(changed)
    found = await directory.managed_policy(changed.arn)
    assert changed == found
    assert newer == found.default_version


async def test_policy_names_are_unique_in_the_account_whatever_their_path_and_case(directory):
    await directory.add_managed_policy(a_policy("Readers"))
    with pytest.raises(errors.AlreadyExists):
        await directory.add_managed_policy(replace(a_policy("READERS", path="/x/"), policy_id="ANPAOTHER"))


async def test_managed_policies_are_listed_by_path(directory):
    await directory.add_managed_policy(a_policy("b", path="/x/"))
    await directory.add_managed_policy(a_policy("a"))
    assert [policy.name for policy in await directory.managed_policies(ACCOUNT, "/")] == ["a", "b"]
    assert [policy.name for policy in await directory.managed_policies(ACCOUNT, "/x/")] == ["b"]
    assert await directory.managed_policies("aws", "/") == ()


async def test_attachments_are_counted_listed_both_ways_and_idempotent(directory):
    policy = a_policy()
    await directory.add_user(a_user())
    await directory.add_role(a_role())
    await directory.add_managed_policy(policy)
    await directory.add_group(a_group())
    for owner in (user_ref("ALICE"), role_ref(), group_ref("devs"), user_ref()):
        await directory.attach_policy(owner, policy.arn)

    counted = replace(policy, attachment_count=3)
    assert counted == await directory.managed_policy(policy.arn)
    assert (counted,) == await directory.attached_policies(user_ref())
    assert (group_ref("Devs"), role_ref("Runner"), user_ref("Alice")) == await directory.attached_entities(policy.arn)

    await directory.detach_policy(user_ref("alice"), policy.arn)
    assert await directory.attached_policies(user_ref()) == ()
    assert (group_ref("Devs"), role_ref("Runner")) == await directory.attached_entities(policy.arn)


async def test_a_removed_policy_is_gone_with_its_versions(directory):
    await directory.add_managed_policy(a_policy())
    await directory.remove_managed_policy(a_policy().arn)
    assert None is await directory.managed_policy(a_policy().arn)
    await directory.add_managed_policy(a_policy())
    assert a_policy() == await directory.managed_policy(a_policy().arn)


async def test_what_is_rolled_back_never_was(directory, transactions):
    seen = []

    async def fail_halfway():
        async with transactions.begin():
            await directory.add_user(a_user())
            await directory.put_inline_policy(user_ref(), InlinePolicy(name="p", document="{}"))
            transactions.after_commit(lambda: seen.append("committed"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_halfway()
    assert None is await directory.user(ACCOUNT, "Alice")
    assert await directory.inline_policies(user_ref()) == ()
    assert seen == []


async def test_a_refused_name_leaves_the_rest_of_the_transaction_good(directory, transactions):
    await directory.add_user(a_user("Alice"))
    async with transactions.begin():
        with pytest.raises(errors.AlreadyExists):
            await directory.add_user(a_user("alice", user_id="AIDAOTHER"))
        await directory.add_user(a_user("Bob"))
    assert [user.name for user in await directory.users(ACCOUNT, "/")] == ["Alice", "Bob"]


async def test_a_group_comes_back_as_it_was_written_and_is_found_regardless_of_case(directory):
    group = a_group(path="/team/")
    await directory.add_group(group)
    assert group == await directory.group(ACCOUNT, "DEVS")
    assert None is await directory.group("9" * 12, "Devs")
    with pytest.raises(errors.AlreadyExists):
        await directory.add_group(replace(a_group("dEVS"), group_id="AGPAOTHER"))
    await directory.remove_group(ACCOUNT, "devs")
    assert None is await directory.group(ACCOUNT, "Devs")


async def test_groups_are_listed_by_path_and_sorted(directory):
    for name, path in (("b", "/x/"), ("a", "/"), ("C", "/x/y/")):
        await directory.add_group(a_group(name, path=path))
    assert [group.name for group in await directory.groups(ACCOUNT, "/")] == ["C", "a", "b"]
    assert [group.name for group in await directory.groups(ACCOUNT, "/x/")] == ["C", "b"]


async def test_membership_is_seen_from_both_sides_and_idempotent(directory):
    for name in ("Bob", "Alice"):
        await directory.add_user(a_user(name))
    for name in ("Ops", "Devs"):
        await directory.add_group(a_group(name))
    for group, user in (("devs", "alice"), ("Devs", "Bob"), ("OPS", "Alice"), ("Devs", "ALICE")):
        await directory.add_group_member(ACCOUNT, group, user)
    assert (a_user("Alice"), a_user("Bob")) == await directory.group_members(ACCOUNT, "DEVS")
    assert (a_group("Devs"), a_group("Ops")) == await directory.groups_of_user(ACCOUNT, "alice")
    assert () == await directory.groups_of_user("9" * 12, "alice")

    await directory.remove_group_member(ACCOUNT, "DEVS", "alice")
    await directory.remove_group_member(ACCOUNT, "DEVS", "alice")
    assert (a_user("Bob"),) == await directory.group_members(ACCOUNT, "Devs")
    assert (a_group("Ops"),) == await directory.groups_of_user(ACCOUNT, "Alice")


async def test_a_renamed_group_keeps_its_members_and_policies(directory):
    await directory.add_user(a_user())
    await directory.add_group(a_group("Devs"))
    await directory.add_group_member(ACCOUNT, "Devs", "Alice")
    await directory.put_inline_policy(group_ref(), InlinePolicy(name="p", document="{}"))
    await directory.add_managed_policy(a_policy())
    await directory.attach_policy(group_ref(), a_policy().arn)
    renamed = replace(a_group("Builders", path="/x/"), group_id="AGPADEVS")

    await directory.replace_group("devs", renamed)

    assert None is await directory.group(ACCOUNT, "Devs")
    assert (renamed,) == await directory.groups_of_user(ACCOUNT, "Alice")
    assert (a_user(),) == await directory.group_members(ACCOUNT, "builders")
    assert (InlinePolicy(name="p", document="{}"),) == await directory.inline_policies(group_ref("Builders"))
    assert (group_ref("Builders"),) == await directory.attached_entities(a_policy().arn)
    assert () == await directory.inline_policies(group_ref("Devs"))


async def test_a_renamed_user_stays_in_its_groups(directory):
    await directory.add_user(a_user("Alice"))
    await directory.add_group(a_group())
    await directory.add_group_member(ACCOUNT, "Devs", "Alice")
    renamed = a_user("Carol", user_id="AIDAALICE")
    await directory.replace_user("alice", renamed)
    assert (renamed,) == await directory.group_members(ACCOUNT, "Devs")
    assert (a_group(),) == await directory.groups_of_user(ACCOUNT, "Carol")
    assert () == await directory.groups_of_user(ACCOUNT, "Alice")


async def test_a_group_cannot_take_the_name_of_another(directory):
    await directory.add_group(a_group("Devs"))
    await directory.add_group(a_group("Ops"))
    with pytest.raises(errors.AlreadyExists):
        await directory.replace_group("Devs", replace(a_group("OPS"), group_id="AGPADEVS"))


async def test_when_a_role_was_last_used_survives_a_change_of_the_role(directory):
    await directory.add_role(a_role())
    read = await directory.role(ACCOUNT, "Runner")
    await directory.note_role_use("AROARUNNER", at_ms=7, region="eu-1")
    await directory.replace_role(replace(read, description="new"))
    found = await directory.role(ACCOUNT, "Runner")
    assert ("new", 7, "eu-1") == (found.description, found.last_used_at_ms, found.last_used_region)
    await directory.note_role_use("AROANOBODY", at_ms=8, region="eu-1")


REPLACED = {
    "user": (a_user, lambda directory, noun: directory.replace_user(noun.name, noun)),
    "group": (a_group, lambda directory, noun: directory.replace_group(noun.name, noun)),
    "role": (a_role, lambda directory, noun: directory.replace_role(noun)),
    "managed_policy": (a_policy, lambda directory, noun: directory.replace_managed_policy(noun)),
}


async def read_again(directory, noun):
    found = noun.arn.split(":")[5].split("/")[0]
    if found == "policy":
        return await directory.managed_policy(noun.arn)
    return await getattr(directory, found)(ACCOUNT, noun.name)


@pytest.mark.parametrize("kind", REPLACED)
async def test_of_two_that_read_the_same_only_the_first_writes(directory, kind):
    made, write = REPLACED[kind]
    noun = made()
    await getattr(directory, f"add_{kind}")(noun)
    first, second = await read_again(directory, noun), await read_again(directory, noun)
    await write(directory, replace(first, path="/first/"))
    with pytest.raises(ConcurrentModification):
        await write(directory, replace(second, path="/second/"))
    found = await read_again(directory, noun)
    assert "/first/" == found.path
    await write(directory, replace(found, path="/third/"))
    assert "/third/" == (await read_again(directory, noun)).path


@pytest.mark.parametrize("kind", REPLACED)
async def test_what_was_removed_meanwhile_does_not_come_back(directory, kind):
    made, write = REPLACED[kind]
    noun = made()
    await getattr(directory, f"add_{kind}")(noun)
    read = await read_again(directory, noun)
    if kind == "managed_policy":
        await directory.remove_managed_policy(noun.arn)
    else:
        await getattr(directory, f"remove_{kind}")(ACCOUNT, noun.name)
    with pytest.raises(ConcurrentModification):
        await write(directory, read)
    assert None is await read_again(directory, noun)


async def test_transactions_that_change_the_same_user_follow_each_other(directory, transactions):
    await directory.add_user(a_user())

    async def tag(number):
        async with transactions.begin():
            user = await directory.user(ACCOUNT, "Alice")
            await asyncio.sleep(0)
            await directory.replace_user(user.name, replace(user, tags={**user.tags, f"k{number}": ""}))

    if isinstance(directory, MemoryDirectory):
        for number in range(20):
            await tag(number)
    else:
        await asyncio.gather(*(tag(number) for number in range(20)))
    assert {f"k{number}" for number in range(20)} == set((await directory.user(ACCOUNT, "Alice")).tags)


async def test_two_processes_on_one_database_lose_no_update_of_each_other(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    databases = [Database(url), Database(url)]
    directories = [SqlDirectory(database) for database in databases]
    async with databases[0].engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await directories[0].add_role(a_role())

    async def tag(number):
        database, directory = databases[number % 2], directories[number % 2]
        async with database.begin():
            role = await directory.role(ACCOUNT, "Runner")
            await directory.replace_role(replace(role, tags={**role.tags, f"k{number}": ""}))

    await asyncio.gather(*(tag(number) for number in range(20)))
    assert {f"k{number}" for number in range(20)} == set((await directories[0].role(ACCOUNT, "Runner")).tags)

    # What is read outside the transaction that writes is judged by its revision.
    read = [await directory.role(ACCOUNT, "Runner") for directory in directories]
    await directories[0].replace_role(replace(read[0], description="first"))
    with pytest.raises(ConcurrentModification):
        await directories[1].replace_role(replace(read[1], description="second"))
    assert "first" == (await directories[1].role(ACCOUNT, "Runner")).description
    for database in databases:
        await database.close()


async def test_the_policies_of_several_owners_come_in_their_order_and_apart(directory):
    await directory.add_user(a_user())
    await directory.add_group(a_group())
    for name in ("b", "a"):
        await directory.add_managed_policy(a_policy(name))
        await directory.put_inline_policy(group_ref("DEVS"), InlinePolicy(name=name, document="{}"))
        await directory.attach_policy(user_ref(), a_policy(name).arn)
    await directory.attach_policy(group_ref(), a_policy("b").arn)
    owners = [user_ref("alice"), role_ref("Nobody"), group_ref()]
    found = await directory.policies_of(owners)
    assert owners == [held.owner for held in found]
    for held in found:
        assert await directory.inline_policies(held.owner) == held.inline
        assert await directory.attached_policies(held.owner) == held.attached
    assert [["a", "b"], [], ["b"]] == [[policy.name for policy in held.attached] for held in found]
    assert [[], [], ["a", "b"]] == [[policy.name for policy in held.inline] for held in found]
    assert () == await directory.policies_of([])
