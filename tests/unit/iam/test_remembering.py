"""What is remembered about policies has an end, and what strangers write has one of its own."""

from __future__ import annotations

import gc
import json
from dataclasses import replace

import pytest
from tests.unit.iam.conftest import ACCOUNT, allow

from leastwise.iam.directory import IdentityKind, IdentityRef, InlinePolicy
from leastwise.iam.interface import Principal, PrincipalKind
from leastwise.iam.policy.compile import CompiledPolicy
from leastwise.iam.remembering import Remembered, compiled_weight
from leastwise.iam.service import applying
from leastwise.kernel.units import KIB


def test_the_oldest_goes_first_and_only_when_there_is_no_room():
    kept = Remembered(room=80)
    assert [] == [gone for number in range(8) for gone in kept.put(number, f"value {number}", weight=10)]
    assert ["value 0", "value 1"] == kept.put(8, "value 8", weight=10)
    assert [None, None, "value 2", "value 8"] == [kept.get(number) for number in (0, 1, 2, 8)]
    assert 70 == kept.held


def test_what_is_put_anew_weighs_once():
    kept = Remembered(room=80)
    kept.put("a", "old", weight=10)
    assert ["old"] == kept.put("a", "new", weight=9)
    assert (1, 9, "new") == (len(kept), kept.held, kept.get("a"))


def test_what_is_larger_than_an_eighth_of_the_room_is_not_kept_and_pushes_nothing_out():
    kept = Remembered(room=80)
    kept.put("a", "small", weight=10)
    assert ["large"] == kept.put("b", "large", weight=11)
    assert ("small", None, 10) == (kept.get("a"), kept.get("b"), kept.held)


def test_what_is_dropped_weighs_nothing():
    kept = Remembered(room=80)
    for number in range(4):
        kept.put(number, number, weight=10)
    kept.drop(lambda number: number % 2 == 0)
    assert (2, 20, None, 1) == (len(kept), kept.held, kept.get(0), kept.get(1))
    kept.clear()
    assert (0, 0) == (len(kept), kept.held)


def test_an_escaped_wildcard_weighs_as_much_as_a_plain_one():
    plain = allow(["s3:Get*"] * 50)
    assert compiled_weight(plain) <= compiled_weight(plain.replace("*", "\\u002a"))


@pytest.mark.parametrize("length", [64, 6_144, 20_480])
def test_no_text_weighs_more_than_the_worst_that_was_measured(length):
    assert compiled_weight("*" * length) <= 256 * length


# Where it counts


def many_patterns(number: int) -> str:
    statement = {"Effect": "Allow", "Action": "*", "Resource": [f"arn:aws:s3:::{number}-{i}*?*" for i in range(60)]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def compiled_policies() -> int:
    gc.collect()
    return sum(isinstance(thing, CompiledPolicy) for thing in gc.get_objects())


@pytest.fixture
def little_room(monkeypatch):
    monkeypatch.setattr(applying, "_COMPILED_SESSION_ROOM", 4096 * KIB)
    monkeypatch.setattr(applying, "_SESSION_LAYERS_ROOM", 4096 * KIB)
    monkeypatch.setattr(applying, "_COMPILED_ROOM", 16 * 1024 * KIB)
    monkeypatch.setattr(applying, "_LAYERS_ROOM", 512 * KIB)


@pytest.fixture
def little_room_for_all(monkeypatch):
    monkeypatch.setattr(applying, "_COMPILED_ROOM", 16 * 1024 * KIB)


def one_pattern(number: int) -> str:
    return allow("s3:GetObject", f"arn:aws:s3:::{number}-*")


async def sessions_with_own_policies(house, principal, number, text=many_patterns):
    for index in range(number):
        session = replace(principal, session_policies=(text(index),))
        assert (await house.may(session, "s3:GetObject", f"arn:aws:s3:::{index}-1x")).allowed


async def test_sessions_with_policies_of_their_own_do_not_fill_the_memory(little_room, house):
    admin = await house.principal()
    before = compiled_policies()
    await sessions_with_own_policies(house, admin, 200)
    assert 0 < compiled_policies() - before < 40


@pytest.mark.parametrize("text", [many_patterns, one_pattern])
async def test_sessions_with_policies_of_their_own_push_nothing_out_that_others_use(little_room, house, text):
    alice, admin = await house.user("alice"), await house.principal()
    own = InlinePolicy(name="own", document=allow("s3:GetObject"))
    await house.directory.put_inline_policy(IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="alice"), own)
    assert (await house.may(alice, "s3:GetObject")).allowed
    await sessions_with_own_policies(house, admin, 400, text)
    before = house.directory.reads
    assert house.gate._applying.known(alice, None, resource_account_id=ACCOUNT, trust=False) is not None
    await house.may(alice, "s3:GetObject")
    assert 0 == house.directory.reads - before


async def test_what_is_pushed_out_is_kept_by_nobody_and_is_found_again_by_asking(little_room_for_all, house):
    alice, admin = await house.user("alice"), await house.principal()
    assert not (await house.may(alice, "s3:GetObject")).allowed
    before = compiled_policies()
    for index in range(300):
        policy = json.loads(many_patterns(index))
        policy["Statement"][0]["Principal"] = {"AWS": alice.arn}
        await house.may(admin, "s3:GetObject", policy=json.dumps(policy))
    assert 0 < compiled_policies() - before < 80
    assert (await house.may(admin, "s3:GetObject")).allowed
    assert not (await house.may(alice, "s3:GetObject")).allowed


async def test_the_names_that_callers_give_their_sessions_fill_no_table(house):
    role = await house.role("runner")
    session = Principal(
        kind=PrincipalKind.ROLE_SESSION,
        account_id=ACCOUNT,
        arn="",
        unique_id="",
        name="runner",
        role_arn=role.arn,
    )
    known = house.gate._applying._layers
    before = len(known)
    for name in ("a", "b", "c"):
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/runner/{name}"
        await house.may(replace(session, arn=arn, unique_id=f"{role.role_id}:{name}"), "s3:GetObject")
    assert 1 == len(known) - before
