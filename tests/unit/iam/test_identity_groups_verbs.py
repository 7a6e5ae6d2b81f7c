"""The verbs of groups, and changes that meet."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.iam.conftest import ACCOUNT, LAMBDA_TRUST, NOW_MS, allow, signed_with, trust

from leastwise.api.errors import describe
from leastwise.iam.directory import IdentityKind, IdentityRef, Tag
from leastwise.iam.interface import ConcurrentModification, InvalidInput, MalformedPolicy, NoSuchEntity
from leastwise.iam.refusals import Quota
from leastwise.kernel import errors

READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


async def create_group(house, name="devs", *, path="/"):
    return await house.identities.groups.create(ACCOUNT, name, path=path, now_ms=NOW_MS)


def group_ref(name="devs"):
    return IdentityRef(account_id=ACCOUNT, kind=IdentityKind.GROUP, name=name)


async def test_an_account_has_three_hundred_groups(house):
    for number in range(300):
        await create_group(house, f"g{number}")
    with pytest.raises(errors.LimitExceeded, match="Cannot exceed quota for GroupsPerAccount: 300"):
        await create_group(house, "one-more")


async def test_a_group_that_lost_a_user_stops_to_count_at_once(house):
    alice = await house.user("alice")
    await create_group(house)
    await house.identities.grants.put_inline(group_ref(), "p", allow("s3:*"))
    assert not (await house.may(alice, "s3:GetObject")).allowed
    await house.identities.groups.add_user(ACCOUNT, "DEVS", "ALICE")
    assert (await house.may(alice, "s3:GetObject")).allowed
    await house.identities.groups.move(ACCOUNT, "devs", new_name="ops", new_path=None)
    assert (await house.may(alice, "s3:GetObject")).allowed
    await house.identities.groups.remove_user(ACCOUNT, "ops", "alice")
    assert not (await house.may(alice, "s3:GetObject")).allowed


async def test_the_same_name_in_a_group_of_another_account_counts_for_nobody_here(house):
    alice = await house.user("alice")
    other = "9" * 12
    await house.identities.groups.create(other, "devs", path="/", now_ms=NOW_MS)
    await house.identities.users.create(other, "alice", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    await house.identities.groups.add_user(other, "devs", "alice")
    ref = IdentityRef(account_id=other, kind=IdentityKind.GROUP, name="devs")
    await house.identities.grants.put_inline(ref, "p", allow("s3:*"))
    assert not (await house.may(alice, "s3:GetObject")).allowed
    with pytest.raises(NoSuchEntity):
        await house.identities.groups.get(ACCOUNT, "devs")


async def test_a_user_of_the_same_name_made_anew_is_in_no_group(house):
    await house.identities.users.create(ACCOUNT, "alice", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    await create_group(house)
    await house.identities.groups.add_user(ACCOUNT, "devs", "alice")
    await house.identities.groups.remove_user(ACCOUNT, "devs", "alice")
    await house.identities.users.delete(ACCOUNT, "alice")
    await house.identities.users.create(ACCOUNT, "alice", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    assert () == await house.identities.groups.of_user(ACCOUNT, "alice")


async def test_a_group_has_no_boundary_and_is_nobody_to_trust(house):
    group = await create_group(house)
    with pytest.raises(NoSuchEntity):
        await house.identities.grants.set_boundary(group_ref(), READ_ONLY)
    with pytest.raises(MalformedPolicy, match="Invalid principal in policy"):
        await house.role("runner", trust({"AWS": group.arn}))


async def test_a_role_of_a_service_is_made_by_nobody(house):
    with pytest.raises(InvalidInput):
        await house.role("AWSServiceRoleForX", path="/aws-service-role/x.amazonaws.com/")
    await house.role("runner", path="/service-role/")


async def test_a_summary_counts_what_the_account_has(house):
    await create_group(house)
    await house.role()
    summary = await house.identities.summary(ACCOUNT)
    assert (1, 1, 1, Quota.GROUPS.limit) == tuple(summary[key] for key in ("Users", "Groups", "Roles", "GroupsQuota"))
    assert 0 == (await house.identities.summary("9" * 12))["Users"]


async def test_the_last_use_of_a_role_is_written_down_by_the_next_flush(house):
    await house.role()
    made = await house.sessions.assume_for_service(
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/runner",
        service="lambda.amazonaws.com",
        session_name="call",
        duration_s=900,
        now_ms=NOW_MS,
    )
    await house.principal(signed_with(made))
    roles = house.identities.roles
    stored = await roles.get(ACCOUNT, "runner")
    assert None is stored.last_used_at_ms
    used = roles.with_last_use(stored)
    assert (NOW_MS, "eu-central-1") == (used.last_used_at_ms, used.last_used_region)
    await house.gate.flush_last_used()
    written = await roles.get(ACCOUNT, "runner")
    assert (NOW_MS, "eu-central-1") == (written.last_used_at_ms, written.last_used_region)


async def test_a_change_between_reading_and_writing_is_refused_and_not_lost(house):
    """What a second process on the same database could do. In one process, transactions follow each other."""
    await house.role()
    directory, read = house.directory, house.directory.role

    async def read_and_be_overtaken(account_id, name):
        directory.role = read
        found = await read(account_id, name)
        await directory.replace_role(replace(found, description="the other one's"))
        return found

    directory.role = read_and_be_overtaken
    with pytest.raises(ConcurrentModification) as refused:
        await house.identities.roles.tag(ACCOUNT, "runner", [Tag(key="k", value="v")])
    role = await house.identities.roles.get(ACCOUNT, "runner")
    assert ("the other one's", {}) == (role.description, role.tags)
    told = describe(refused.value, "iam")
    assert ("ConcurrentModification", 409) == (told.code, told.status)
    assert told.message.startswith("The request was rejected because multiple requests to change this object")


async def test_sources_of_a_user_are_its_own_and_those_of_its_groups(house):
    await house.identities.users.create(ACCOUNT, "alice", path="/x/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    await create_group(house)
    await house.identities.groups.add_user(ACCOUNT, "devs", "alice")
    own = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="alice")
    grants = house.identities.grants
    await grants.put_inline(own, "own", allow("s3:*"))
    await grants.attach(group_ref(), READ_ONLY)
    found = await grants.sources_of(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/x/alice")
    assert [("user", "own", None), ("group", "ReadOnlyAccess", READ_ONLY)] == [
        (source.owner.kind.value, source.name, source.arn) for source in found
    ]
    for arn in (
        f"arn:aws:iam::{ACCOUNT}:user/alice",
        f"arn:aws:iam::{'9' * 12}:user/x/alice",
        f"arn:aws:iam::{ACCOUNT}:root",
        f"arn:aws:iam::{ACCOUNT}:policy/x/alice",
        "nonsense",
    ):
        with pytest.raises(NoSuchEntity):
            await grants.sources_of(ACCOUNT, arn)
    assert LAMBDA_TRUST not in {source.document for source in found}
