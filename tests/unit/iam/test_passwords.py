"""Passwords: the policy, the age, the hash; and the verbs on an in-memory directory."""

import asyncio
import threading
from dataclasses import replace

import argon2
import pytest
from tests.unit.iam.conftest import ACCOUNT, NOW_MS

from leastwise.iam import passwords
from leastwise.iam.directory import Account
from leastwise.iam.guesses import WITHIN_MS, Guesses
from leastwise.iam.interface import (
    DeleteConflict,
    EntityAlreadyExists,
    EntityTemporarilyUnmodifiable,
    NoSuchEntity,
    PasswordPolicyViolation,
)
from leastwise.iam.password_store import LoginProfile, PasswordPolicy
from leastwise.iam.passwords import Verdict, check_password
from leastwise.kernel import errors
from leastwise.kernel.units import DAY_MS, MINUTE_MS

GOOD, BETTER = "Correct-Horse-9", "Battery-Staple-8"
MEET = "Password should meet {} more of the following requirements"
UPPERCASE, NUMBER, SYMBOL = (
    f"Password should have at least one {what}" for what in ("uppercase letter", "number", "symbol")
)
REAL_HASHER = passwords._HASHER


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    """The verbs are the same whatever a hash costs."""
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))


def refusal(password, policy=None, *names):
    try:
        check_password(password, policy, account_names=names)
    except PasswordPolicyViolation as error:
        return error.message
    return None


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("aB3$aB3", "Password should have a minimum length of 8"),
        ("abcdefgh", f"{MEET.format(2)}: {UPPERCASE}, {NUMBER}, {SYMBOL}"),
        ("abcdefg1", f"{MEET.format(1)}: {UPPERCASE}, {SYMBOL}"),
        ("abcdeF12", None),
        ("abcde$12", None),
        ("        ", "Password should meet 3 more of the following requirements"),
        ("ÄÖÜäöüß12", "Password should meet 2 more of the following requirements"),
        ("My-Shop-1", "Password should not be the same as the account name"),
    ],
)
def test_without_a_policy_three_of_four_classes_and_eight_characters_are_asked(password, said):
    found = refusal(password, None, ACCOUNT, "my-shop-1")
    assert found == said or (said and found.startswith(said))


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({}, None),
        ({"minimum_length": 7}, "Password should have a minimum length of 7"),
        ({"require_uppercase": True}, "Password should have at least one uppercase letter"),
        ({"require_numbers": True}, "Password should have at least one number"),
        ({"require_symbols": True}, "Password should have at least one symbol"),
        ({"require_lowercase": True}, None),
        (
            {"minimum_length": 9, "require_symbols": True},
            "Password should have a minimum length of 9, Password should have at least one symbol",
        ),
    ],
)
def test_a_policy_asks_what_it_says_and_nothing_else(policy, said):
    assert refusal("abcdef", PasswordPolicy(**policy)) == said


def test_a_refusal_does_not_repeat_the_password():
    for policy in (None, PasswordPolicy(minimum_length=100)):
        assert "qwertzuiop" not in refusal("qwertzuiop", policy)


def test_every_symbol_of_the_list_counts_and_nothing_else_does():
    policy = PasswordPolicy(minimum_length=1, require_symbols=True)
    counted = {chr(code) for code in range(32, 256) if refusal(chr(code), policy) is None}
    assert set("!@#$%^&*()_+-=[]{}|'") == counted


def profile(**more) -> LoginProfile:
    return LoginProfile(
        **{
            "user_id": "AIDA",
            "account_id": ACCOUNT,
            "password_hash": "h",
            "created_at_ms": 0,
            "changed_at_ms": NOW_MS,
            "reset_required": False,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("days", "age_ms", "hard", "reset", "verdict"),
    [
        (None, 10_000 * DAY_MS, True, False, Verdict.OK),
        (None, 0, None, True, Verdict.MUST_CHANGE),
        (1, DAY_MS - 1, True, False, Verdict.OK),
        (1, DAY_MS, None, False, Verdict.MUST_CHANGE),
        (1, DAY_MS, False, False, Verdict.MUST_CHANGE),
        (1, DAY_MS, True, False, Verdict.EXPIRED),
        (1, DAY_MS, True, True, Verdict.EXPIRED),
        (1, 0, True, True, Verdict.MUST_CHANGE),
    ],
)
def test_a_right_password_is_good_for_what_its_age_and_its_policy_say(days, age_ms, hard, reset, verdict):
    policy = PasswordPolicy(max_age_days=days, hard_expiry=hard)
    assert verdict == passwords.judge(profile(reset_required=reset), policy, now_ms=NOW_MS + age_ms)


def test_a_hash_is_argon2id_with_the_parameters_of_the_house_and_shows_no_password(monkeypatch):
    monkeypatch.setattr(passwords, "_HASHER", REAL_HASHER)
    hashed = passwords.hash_password(GOOD, salt=b"0123456789abcdef")
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert GOOD not in hashed
    assert passwords.matches(hashed, GOOD)
    assert not passwords.matches(hashed, GOOD + " ")


@pytest.mark.parametrize(
    "broken", ["", "plain", "$argon2id$v=19$m=65536,t=3,p=4$AAAA", "$2b$12$aaaaaaaaaaaaaaaaaaaaaa"]
)
def test_a_hash_that_cannot_be_read_matches_nothing(broken):
    assert not passwords.matches(broken, "plain")


def test_the_history_keeps_twenty_four():
    held = profile(password_hash="new", earlier_hashes=tuple(f"h{number}" for number in range(24)))
    assert ("new", *(f"h{number}" for number in range(23))) == passwords.remembered(held)


# The verbs


async def login(house, name="ann", password=GOOD, *, reset_required=False, now_ms=NOW_MS):
    user = await house.identities.users.create(ACCOUNT, name, path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    new = await house.identities.passwords.prepare(user, password)
    await house.identities.passwords.create(user, new, reset_required=reset_required, now_ms=now_ms)
    return user


async def test_only_the_right_password_of_that_user_is_right(house):
    await login(house)
    verify = house.identities.passwords.verify
    assert Verdict.OK == await verify(ACCOUNT, "ann", GOOD, NOW_MS)
    assert Verdict.OK == await verify(ACCOUNT, "ANN", GOOD, NOW_MS)
    for account, name, password in [
        (ACCOUNT, "ann", GOOD + "x"),
        (ACCOUNT, "ann", ""),
        (ACCOUNT, "nobody", GOOD),
        (ACCOUNT, "administrator", GOOD),
        ("999999999999", "ann", GOOD),
        (ACCOUNT, "ann", GOOD + "x" * 200),
    ]:
        assert Verdict.WRONG == await verify(account, name, password, NOW_MS)


async def test_a_user_that_is_not_there_costs_as_much_as_a_wrong_password(house, monkeypatch):
    await login(house)
    done = []
    monkeypatch.setattr(passwords, "hash_password", lambda *_, **__: done.append("hash") or "h")
    monkeypatch.setattr(passwords, "matches", lambda *_: done.append("hash") or False)
    asked = []
    for name in ("ann", "administrator", "nobody"):
        before, done[:] = house.directory.reads, []
        assert Verdict.WRONG == await house.identities.passwords.verify(ACCOUNT, name, "wrong", NOW_MS)
        asked.append((house.directory.reads - before, len(done)))
    assert 1 == len(set(asked))
    assert 1 == asked[0][1]


class Slow:
    """Counts the hashes that run at once, in all and by account. The password says whose it is."""

    def __init__(self):
        self.running, self.most, self.lock = [], {}, threading.Lock()

    def __call__(self, _hash, password):
        with self.lock:
            self.running.append(password)
            self._note("all", len(self.running))
            self._note(password, self.running.count(password))
        sum(range(200_000))
        with self.lock:
            self.running.remove(password)
        return False

    def _note(self, what, number):
        self.most[what] = max(self.most.get(what, 0), number)


async def accounts(house, number):
    """Further accounts with users of which each has a password."""
    made = [f"{index:012}" for index in range(1, number + 1)]
    for account_id in made:
        await house.directory.add_account(Account(account_id=account_id, created_at_ms=NOW_MS))
        for name in (f"user-{index}" for index in range(20)):
            user = await house.identities.users.create(
                account_id, name, path="/", tags=(), boundary_arn=None, now_ms=NOW_MS
            )
            new = await house.identities.passwords.prepare(user, GOOD)
            await house.identities.passwords.create(user, new, reset_required=False, now_ms=NOW_MS)
    return made


async def test_no_more_than_two_hashes_at_once_of_two_accounts_and_no_endless_queue(house, monkeypatch):
    made, slow, verify = await accounts(house, 12), Slow(), house.identities.passwords.verify
    monkeypatch.setattr(passwords, "matches", slow)
    guesses = [(account, f"user-{index}", account, NOW_MS) for account in made for index in range(10)]
    found = await asyncio.gather(*(verify(*guess) for guess in guesses), return_exceptions=True)
    assert 64 == found.count(Verdict.WRONG)
    assert 120 - 64 == sum(isinstance(one, errors.Throttled) for one in found)
    assert slow.most["all"] <= 2
    assert {1} == {slow.most[account] for account in made if account in slow.most}
    assert Verdict.WRONG == await verify(made[0], "user-15", "x", NOW_MS)


async def test_one_account_cannot_keep_the_others_waiting(house, monkeypatch):
    (busy, other), slow, verify = await accounts(house, 2), Slow(), house.identities.passwords.verify
    monkeypatch.setattr(passwords, "matches", slow)
    waiting = [asyncio.ensure_future(verify(busy, f"user-{index}", busy, NOW_MS)) for index in range(20)]
    await asyncio.sleep(0)
    assert Verdict.WRONG == await verify(other, "user-0", other, NOW_MS)
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert 8 == found.count(Verdict.WRONG)
    assert 12 == sum(isinstance(one, errors.Throttled) for one in found)


async def test_a_second_hash_of_one_account_leaves_the_other_slot_to_others(house, monkeypatch):
    (busy, other), go_on, started = await accounts(house, 2), threading.Event(), []
    monkeypatch.setattr(passwords, "matches", lambda _, password: started.append(password) or not go_on.wait(30))
    verify = house.identities.passwords.verify
    guesses = [verify(busy, "user-0", busy, NOW_MS), verify(busy, "user-1", busy, NOW_MS)]
    waiting = [asyncio.ensure_future(guess) for guess in guesses]
    await asyncio.sleep(0)
    waiting.append(asyncio.ensure_future(verify(other, "user-0", other, NOW_MS)))
    try:
        async with asyncio.timeout(10):
            while other not in started:
                await asyncio.sleep(0)
        assert [busy, other] == started
    finally:
        go_on.set()
        await asyncio.gather(*waiting)


async def test_accounts_that_nobody_has_share_their_places(house, monkeypatch):
    monkeypatch.setattr(passwords, "hash_password", lambda *_, **__: "h")
    verify = house.identities.passwords.verify
    found = await asyncio.gather(
        *(verify(f"{index:012}", "ann", GOOD, NOW_MS) for index in range(20)), return_exceptions=True
    )
    assert 8 == found.count(Verdict.WRONG)


async def test_hanging_up_does_not_free_a_place_before_the_hash_is_done(house, monkeypatch):
    (account,), go_on, started = await accounts(house, 1), threading.Event(), []
    monkeypatch.setattr(passwords, "matches", lambda *_: started.append(1) or (go_on.wait(30) and False))
    verify = house.identities.passwords.verify
    waiting = [asyncio.ensure_future(verify(account, f"user-{index}", "x", NOW_MS)) for index in range(8)]
    while not started:
        await asyncio.sleep(0)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    with pytest.raises(errors.Throttled):
        await verify(account, "user-15", "x", NOW_MS)
    assert 1 == len(started)
    go_on.set()
    while house.identities.passwords._hashing._waiting:
        await asyncio.sleep(0)
    assert Verdict.WRONG == await verify(account, "user-15", "x", NOW_MS)


# Guessing


async def test_after_five_wrong_old_passwords_the_right_one_is_not_looked_at_either(house, monkeypatch):
    user = await login(house)
    held = house.identities.passwords
    for _ in range(5):
        with pytest.raises(errors.Denied):
            await held.prepare_change(user, "wrong", BETTER, now_ms=NOW_MS)
    judged = []
    monkeypatch.setattr(passwords, "matches", lambda *_: judged.append(1))
    with pytest.raises(errors.Throttled, match=r"^Rate exceeded$"):
        await held.prepare_change(user, GOOD, BETTER, now_ms=NOW_MS + 15 * MINUTE_MS - 1)
    assert [] == judged
    monkeypatch.undo()
    assert await held.prepare_change(user, GOOD, BETTER, now_ms=NOW_MS + 15 * MINUTE_MS)


async def test_many_guesses_at_once_are_not_more_than_five(house):
    user = await login(house)
    held = house.identities.passwords
    found = await asyncio.gather(
        *(held.prepare_change(user, f"wrong-{n}", BETTER, now_ms=NOW_MS) for n in range(8)), return_exceptions=True
    )
    assert 5 == sum(isinstance(one, errors.Denied) for one in found)
    assert 3 == sum(isinstance(one, errors.Throttled) for one in found)


@pytest.mark.parametrize("name", ["ann", "nobody"])
async def test_at_sign_in_too_five_are_looked_at_whether_somebody_has_the_name_or_not(house, name):
    await login(house)
    verify = house.identities.passwords.verify
    for spelled in (name, name.upper(), name, name, name):
        assert Verdict.WRONG == await verify(ACCOUNT, spelled, "wrong", NOW_MS)
    with pytest.raises(errors.Throttled, match=r"^Rate exceeded$"):
        await verify(ACCOUNT, name, GOOD, NOW_MS)
    assert Verdict.WRONG == await verify(ACCOUNT, "administrator", GOOD, NOW_MS)


async def test_strangers_at_the_door_do_not_keep_users_from_changing_their_passwords(house):
    user = await login(house)
    held = house.identities.passwords
    for _ in range(5):
        await held.verify(ACCOUNT, "ann", "wrong", NOW_MS)
    assert await held.prepare_change(user, GOOD, BETTER, now_ms=NOW_MS)


async def test_who_is_right_begins_anew_and_so_does_whoever_gets_another_password(house):
    user = await login(house)
    held = house.identities.passwords
    for _ in range(3):
        for _ in range(4):
            await held.verify(ACCOUNT, "ann", "wrong", NOW_MS)
        assert Verdict.OK == await held.verify(ACCOUNT, "ann", GOOD, NOW_MS)
    for _ in range(5):
        await held.verify(ACCOUNT, "ann", "wrong", NOW_MS)
    await held.update(user, await held.prepare(user, BETTER), reset_required=False, now_ms=NOW_MS)
    assert Verdict.OK == await held.verify(ACCOUNT, "ann", BETTER, NOW_MS)


def test_the_table_of_guesses_has_an_end_and_a_refused_guess_is_not_one_more():
    held = Guesses(most_remembered=2)
    for at_ms in range(5):
        assert held.begin("ann", now_ms=at_ms)
    assert not held.begin("ann", now_ms=WITHIN_MS - 1)
    assert held.begin("ann", now_ms=WITHIN_MS)
    held.withdraw("ann", at_ms=WITHIN_MS)
    assert held.begin("ann", now_ms=WITHIN_MS)
    assert not held.begin("ann", now_ms=WITHIN_MS)
    held.begin("beth", now_ms=0)
    held.begin("carl", now_ms=0)
    assert 2 == len(held._made)
    assert held.begin("ann", now_ms=WITHIN_MS)


async def test_a_change_needs_the_old_password_and_clears_the_wish_for_one(house):
    user = await login(house, reset_required=True)
    held = house.identities.passwords
    assert Verdict.MUST_CHANGE == await held.verify(ACCOUNT, "ann", GOOD, NOW_MS)
    with pytest.raises(errors.Denied, match=r"^The old password was incorrect\.$"):
        await held.prepare_change(user, BETTER, BETTER, now_ms=NOW_MS)
    await held.change(user, await held.prepare_change(user, GOOD, BETTER, now_ms=NOW_MS), now_ms=NOW_MS + 5)
    assert Verdict.OK == await held.verify(ACCOUNT, "ann", BETTER, NOW_MS)
    assert Verdict.WRONG == await held.verify(ACCOUNT, "ann", GOOD, NOW_MS)
    changed = await held.get(user)
    assert (NOW_MS, NOW_MS + 5) == (changed.created_at_ms, changed.changed_at_ms)


async def test_a_change_that_was_proved_cannot_undo_a_reset_made_meanwhile(house):
    user = await login(house)
    held = house.identities.passwords
    proved = await held.prepare_change(user, GOOD, BETTER, now_ms=NOW_MS)
    assert BETTER not in repr(proved)
    assert "argon2" not in repr(proved)
    await held.update(user, await held.prepare(user, "Reset-By-Admin-1"), reset_required=True, now_ms=NOW_MS)
    with pytest.raises(EntityTemporarilyUnmodifiable):
        await held.change(user, proved, now_ms=NOW_MS)
    assert Verdict.MUST_CHANGE == await held.verify(ACCOUNT, "ann", "Reset-By-Admin-1", NOW_MS)


async def test_what_was_judged_for_one_user_is_not_written_for_the_next_of_that_name(house):
    user = await login(house)
    held = house.identities.passwords
    proved = await held.prepare_change(user, GOOD, BETTER, now_ms=NOW_MS)
    await held.delete(user)
    with pytest.raises(NoSuchEntity, match="Login Profile for User ann cannot be found"):
        await held.change(user, proved, now_ms=NOW_MS)
    with pytest.raises(EntityTemporarilyUnmodifiable):
        await held.create(replace(user, user_id="AIDANEXT"), proved, reset_required=False, now_ms=NOW_MS)


async def test_lately_used_passwords_are_refused_as_far_back_as_the_policy_says(house):
    user = await login(house)
    held = house.identities.passwords

    async def change(old, new):
        await held.change(user, await held.prepare_change(user, old, new, now_ms=NOW_MS), now_ms=NOW_MS)

    await change(GOOD, BETTER)
    await change(BETTER, GOOD)
    await held.set_policy(ACCOUNT, PasswordPolicy(reuse_prevention=1))
    with pytest.raises(PasswordPolicyViolation, match="password reuse prevention"):
        await change(GOOD, GOOD)
    await change(GOOD, BETTER)
    await held.set_policy(ACCOUNT, PasswordPolicy(reuse_prevention=2))
    with pytest.raises(PasswordPolicyViolation, match="password reuse prevention"):
        await change(BETTER, GOOD)
    with pytest.raises(PasswordPolicyViolation, match="password reuse prevention"):
        await held.prepare(user, GOOD)


async def test_a_user_keeps_the_password_under_a_new_name_and_takes_it_away_at_last(house):
    user = await login(house)
    held, users = house.identities.passwords, house.identities.users
    moved = await users.move(ACCOUNT, "ann", new_name="beth", new_path="/team/")
    assert Verdict.OK == await held.verify(ACCOUNT, "beth", GOOD, NOW_MS)
    assert Verdict.WRONG == await held.verify(ACCOUNT, "ann", GOOD, NOW_MS)
    with pytest.raises(DeleteConflict, match=r"^Cannot delete entity, must delete login profile first\.$"):
        await users.delete(ACCOUNT, "beth")
    await held.delete(moved)
    await users.delete(ACCOUNT, "beth")
    again = await users.create(ACCOUNT, "beth", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    assert again.user_id != user.user_id
    assert Verdict.WRONG == await held.verify(ACCOUNT, "beth", GOOD, NOW_MS)


async def test_a_second_profile_is_refused(house):
    user = await login(house)
    held = house.identities.passwords
    with pytest.raises(EntityAlreadyExists, match=r"^Login Profile for user ann already exists\.$"):
        await held.create(user, await held.prepare(user, BETTER), reset_required=False, now_ms=NOW_MS)


async def test_of_uses_within_five_minutes_the_first_is_noted(house):
    await login(house)
    users, held = house.identities.users, house.identities.passwords
    assert (await users.get(ACCOUNT, "ann")).password_last_used_at_ms is None
    for at_ms, noted in [(0, 0), (299_999, 0), (300_000, 300_000)]:
        await held.note_sign_in(await users.get(ACCOUNT, "ann"), now_ms=NOW_MS + at_ms)
        assert NOW_MS + noted == (await users.get(ACCOUNT, "ann")).password_last_used_at_ms


async def test_an_alias_that_looks_like_an_account_is_refused(house):
    aliases = house.identities.aliases
    for alias in ("123456789012", "Shop", "-shop", "shop-", "sh--op", "ab", "a" * 64):
        with pytest.raises(errors.Invalid, match="accountAlias"):
            await aliases.create(ACCOUNT, alias)
    await aliases.create(ACCOUNT, "shop-1")
    with pytest.raises(EntityAlreadyExists):
        await aliases.create("999999999999", "shop-1")
    with pytest.raises(NoSuchEntity):
        await aliases.delete(ACCOUNT, "shop-2")
    assert ACCOUNT == await aliases.account_of("shop-1")
