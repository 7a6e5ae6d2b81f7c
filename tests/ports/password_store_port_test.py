"""One suite for every `iam.password_store.PasswordStore`: the in-memory fake and SQL on SQLite."""

from dataclasses import replace

import pytest
from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions

from leastwise.iam.directory import User
from leastwise.iam.password_store import LoginProfile, PasswordPolicy
from leastwise.kernel import errors
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory
from leastwise.storage.schema import metadata

ACCOUNT, OTHER = "111122223333", "444455556666"


@pytest.fixture(params=["memory", "sqlite"])
async def kept(request, tmp_path):
    if request.param == "memory":
        directory = MemoryDirectory()
        yield directory, MemoryTransactions(directory)
        return
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'passwords.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield SqlDirectory(database), database
    await database.close()


@pytest.fixture
def store(kept):
    return kept[0]


def a_profile(user_id="AIDA1", **more) -> LoginProfile:
    return LoginProfile(
        **{
            "user_id": user_id,
            "account_id": ACCOUNT,
            "password_hash": "hash-0",
            "created_at_ms": 1,
            "changed_at_ms": 2,
            "reset_required": True,
            **more,
        }
    )


async def test_a_profile_is_read_as_it_was_written(store):
    assert await store.login_profile("AIDA1") is None
    await store.add_login_profile(a_profile(earlier_hashes=("b", "a")))
    assert a_profile(earlier_hashes=("b", "a")) == await store.login_profile("AIDA1")
    await store.add_login_profile(a_profile("AIDA0"))
    await store.add_login_profile(a_profile("AIDA2", account_id=OTHER))
    assert ["AIDA0", "AIDA1"] == [profile.user_id for profile in await store.login_profiles(ACCOUNT)]


async def test_a_user_has_one_profile(store):
    await store.add_login_profile(a_profile())
    with pytest.raises(errors.AlreadyExists):
        await store.add_login_profile(a_profile(password_hash="other"))
    assert "hash-0" == (await store.login_profile("AIDA1")).password_hash


async def test_of_two_writers_that_read_the_same_one_learns_that_it_lost(store):
    await store.add_login_profile(a_profile(earlier_hashes=("z",)))
    first = await store.login_profile("AIDA1")
    second = await store.login_profile("AIDA1")
    await store.replace_login_profile(replace(first, password_hash="first", earlier_hashes=("hash-0", "z")))
    with pytest.raises(errors.Conflict):
        await store.replace_login_profile(replace(second, password_hash="second"))
    found = await store.login_profile("AIDA1")
    assert ("first", ("hash-0", "z")) == (found.password_hash, found.earlier_hashes)
    await store.replace_login_profile(replace(found, earlier_hashes=()))
    assert () == (await store.login_profile("AIDA1")).earlier_hashes


async def test_a_profile_that_is_gone_cannot_be_replaced_and_left_nothing(store):
    await store.add_login_profile(a_profile(earlier_hashes=("a",)))
    await store.remove_login_profile("AIDA1")
    await store.remove_login_profile("AIDA1")
    assert await store.login_profile("AIDA1") is None
    with pytest.raises(errors.Conflict):
        await store.replace_login_profile(a_profile())
    await store.add_login_profile(a_profile())
    assert () == (await store.login_profile("AIDA1")).earlier_hashes


async def test_the_last_use_belongs_to_the_user_and_not_to_the_profile(store):
    user = User(
        account_id=ACCOUNT,
        name="Ann",
        path="/",
        user_id="AIDA1",
        arn=f"arn:aws:iam::{ACCOUNT}:user/Ann",
        created_at_ms=1,
    )
    await store.add_user(user)
    await store.note_password_use("AIDA1", at_ms=77)
    await store.note_password_use("AIDA-nobody", at_ms=78)
    assert 77 == (await store.user(ACCOUNT, "Ann")).password_last_used_at_ms
    # Whoever read the user before that does not undo it by changing something else.
    await store.replace_user("Ann", replace(user, name="Beth", arn=f"arn:aws:iam::{ACCOUNT}:user/Beth"))
    assert [77] == [found.password_last_used_at_ms for found in await store.users(ACCOUNT, "/")]


async def test_an_account_has_one_policy_that_is_replaced_whole(store):
    full = PasswordPolicy(
        minimum_length=14,
        require_symbols=True,
        require_numbers=True,
        require_uppercase=True,
        require_lowercase=True,
        users_may_change=True,
        max_age_days=90,
        reuse_prevention=24,
        hard_expiry=False,
    )
    assert await store.password_policy(ACCOUNT) is None
    await store.put_password_policy(ACCOUNT, full)
    assert full == await store.password_policy(ACCOUNT)
    assert await store.password_policy(OTHER) is None
    await store.put_password_policy(ACCOUNT, PasswordPolicy())
    assert PasswordPolicy() == await store.password_policy(ACCOUNT)
    await store.remove_password_policy(ACCOUNT)
    assert await store.password_policy(ACCOUNT) is None


async def test_an_alias_is_one_account_s_and_an_account_has_one(kept):
    store, transactions = kept
    await store.put_account_alias(ACCOUNT, "shop")
    await store.put_account_alias(ACCOUNT, "shop")
    await store.put_account_alias(OTHER, "bank")
    with pytest.raises(errors.AlreadyExists):
        await store.put_account_alias(OTHER, "shop")
    assert ("shop", "bank") == (await store.account_alias(ACCOUNT), await store.account_alias(OTHER))
    async with transactions.begin():
        await store.put_account_alias(ACCOUNT, "store")
    assert (None, ACCOUNT) == (await store.account_of_alias("shop"), await store.account_of_alias("store"))
    await store.remove_account_alias(ACCOUNT)
    assert (None, OTHER) == (await store.account_alias(ACCOUNT), await store.account_of_alias("bank"))


async def test_what_is_rolled_back_was_never_there(kept):
    store, transactions = kept

    async def fail_half_way():
        async with transactions.begin():
            await store.add_login_profile(a_profile(earlier_hashes=("a",)))
            await store.put_password_policy(ACCOUNT, PasswordPolicy())
            await store.put_account_alias(ACCOUNT, "shop")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail_half_way()
    assert await store.login_profile("AIDA1") is None
    assert await store.password_policy(ACCOUNT) is None
    assert await store.account_alias(ACCOUNT) is None


def test_a_profile_shows_no_hash():
    shown = repr(a_profile(earlier_hashes=("secret-1",), password_hash="secret-2"))
    assert "secret" not in shown
