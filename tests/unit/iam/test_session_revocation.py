"""Sessions that end before their time, in this process and in others."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec
import pytest
from tests.ports.directory_memory import MemoryDirectory
from tests.unit.iam.conftest import ACCOUNT, INSTALL_KEY, NOW_MS, House, allow, signed, signed_with, trust

from leastwise.iam.directory import IdentityKind, IdentityRef
from leastwise.iam.interface import ExpiredSession, SignatureMismatch
from leastwise.iam.service import open_identity_service
from leastwise.iam.service.watching import EVERY_S, ChangeWatch
from leastwise.iam.sessions import LONGEST_CHAIN, made_from
from leastwise.kernel import errors
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory
from leastwise.storage.schema import metadata

ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ALICE = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="alice")


def arn(role: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{role}"


async def assume(house, caller, role="runner", *, at_ms=NOW_MS):
    options = {
        "session_name": "work",
        "duration_s": None,
        "policy": None,
        "policy_arns": (),
        "tags": (),
        "transitive_tag_keys": (),
        "source_identity": None,
    }
    made = await house.sessions.assume_role(caller, arn(role), now_ms=at_ms, **options)
    return signed_with(made.credentials, at_ms=at_ms)


async def revoke(house, kind, name, *, at_ms, until_ms=None):
    verbs = house.identities.roles if kind is IdentityKind.ROLE else house.identities.users
    identity = await verbs.get(ACCOUNT, name)
    return await house.identities.revoking.revoke(identity, until_ms=until_ms, now_ms=at_ms)


async def ended(house, proof, *, at_ms=NOW_MS) -> bool:
    try:
        await house.principal(proof, now_ms=at_ms)
    except ExpiredSession:
        return True
    return False


async def test_what_began_before_a_revocation_has_ended_and_what_begins_after_it_lives(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ROOT}))
    before, same, after = [await assume(house, alice, at_ms=NOW_MS + n) for n in (0, 5, 6)]
    await house.principal(before)
    await revoke(house, IdentityKind.ROLE, "runner", at_ms=NOW_MS + 5)
    assert [True, True, False] == [await ended(house, proof, at_ms=NOW_MS + 6) for proof in (before, same, after)]
    assert house.gate is not None


async def test_a_revoked_session_is_told_so_only_behind_a_good_signature(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ROOT}))
    proof = await assume(house, alice)
    await revoke(house, IdentityKind.ROLE, "runner", at_ms=NOW_MS)
    with pytest.raises(SignatureMismatch):
        await house.principal(msgspec.structs.replace(proof, signature="0" * 64))
    with pytest.raises(ExpiredSession, match="The security token included in the request is expired"):
        await house.principal(proof)


async def test_a_revocation_ends_everything_further_down_the_chain(house):
    alice = await house.user()
    for name in ("one", "two", "three"):
        await house.role(name, trust_policy=trust({"AWS": ROOT}))
    one = await assume(house, alice, "one", at_ms=NOW_MS)
    two = await assume(house, await house.principal(one), "two", at_ms=NOW_MS + 10)
    three = await assume(house, await house.principal(two, now_ms=NOW_MS + 10), "three", at_ms=NOW_MS + 20)
    beside = await assume(house, alice, "three", at_ms=NOW_MS + 20)
    # The last link was made after the instant, from a session that began before it.
    await revoke(house, IdentityKind.ROLE, "two", at_ms=NOW_MS + 30, until_ms=NOW_MS + 15)
    assert [False, True, True, False] == [
        await ended(house, proof, at_ms=NOW_MS + 30) for proof in (one, two, three, beside)
    ]
    await revoke(house, IdentityKind.USER, "alice", at_ms=NOW_MS + 30)
    assert [True] * 4 == [await ended(house, proof, at_ms=NOW_MS + 30) for proof in (one, two, three, beside)]


async def test_a_session_that_a_stale_process_made_after_the_instant_ends_too(house):
    alice = await house.user()
    for name in ("one", "two"):
        await house.role(name, trust_policy=trust({"AWS": ROOT}))
    one = await house.principal(await assume(house, alice, "one", at_ms=NOW_MS))
    # Another process had not noticed yet: it still took session one for good at +900.
    late = await assume(house, one, "two", at_ms=NOW_MS + 900)
    await revoke(house, IdentityKind.USER, "alice", at_ms=NOW_MS + 500)
    assert await ended(house, late, at_ms=NOW_MS + 900)


async def test_sessions_of_a_user_end_and_its_keys_do_not(house):
    alice = await house.user()
    token = signed_with(await house.sessions.session_token(alice, duration_s=None, now_ms=NOW_MS))
    federated = await house.sessions.federation_token(
        alice, "bob", duration_s=None, policy=None, policy_arns=(), tags=(), now_ms=NOW_MS
    )
    key = await house.identities.access_keys.create(ACCOUNT, "alice", now_ms=NOW_MS)
    await revoke(house, IdentityKind.USER, "alice", at_ms=NOW_MS)
    assert await ended(house, token)
    assert await ended(house, signed_with(federated.credentials))
    assert not await ended(house, signed(key.key.access_key_id, key.secret))


async def test_a_revocation_is_of_now_or_before_and_never_moves_back(house):
    alice = await house.user()
    with pytest.raises(errors.Invalid, match="still to come"):
        await revoke(house, IdentityKind.USER, "alice", at_ms=NOW_MS, until_ms=NOW_MS + 1)
    first = await revoke(house, IdentityKind.USER, "alice", at_ms=NOW_MS)
    again = await revoke(house, IdentityKind.USER, "alice", at_ms=NOW_MS + 9, until_ms=5)
    assert NOW_MS == first.not_before_ms == again.not_before_ms
    assert (again,) == await house.identities.revoking.of_account(ACCOUNT)
    assert alice.unique_id == again.unique_id


async def test_a_chain_has_an_end_but_a_circle_does_not_lengthen_it(house):
    alice = await house.user()
    await house.role(trust_policy=trust({"AWS": ROOT}))
    session = await house.principal(await assume(house, alice))
    chain = {f"AROA{number}": 1 for number in range(LONGEST_CHAIN - 1)}
    longest = replace(session, made_from=chain)
    assert {*chain, session.unique_id.partition(":")[0]} == set(made_from(longest, now_ms=NOW_MS))
    with pytest.raises(errors.Invalid, match="different roles at most"):
        made_from(replace(session, made_from={**chain, "AROAX": 1}), now_ms=NOW_MS)
    twice = replace(session, made_from={session.unique_id.partition(":")[0]: 7})
    assert {session.unique_id.partition(":")[0]: 7} == made_from(twice, now_ms=NOW_MS)


async def test_an_execution_roles_session_knows_its_function_and_nobody_who_authenticated(house):
    await house.role()
    function = f"arn:aws:lambda:r:{ACCOUNT}:function:f"
    credentials = await house.sessions.assume_for_service(
        role_arn=arn("runner"),
        service="lambda.amazonaws.com",
        session_name="f",
        duration_s=900,
        now_ms=NOW_MS,
        source_arn=function,
    )
    session = await house.principal(signed_with(credentials))
    assert (function, None, {}) == (session.source_function_arn, session.authentication_method, session.made_from)
    await revoke(house, IdentityKind.ROLE, "runner", at_ms=NOW_MS)
    assert await ended(house, signed_with(credentials))


# --- other processes --------------------------------------------------------------------------------------------------


@dataclass
class Two:
    """Two processes' worth of identity on one database."""

    here: House
    there: House
    databases: tuple[Database, Database]


@pytest.fixture
async def two(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'shared.db'}"
    databases = (Database(url), Database(url))
    async with databases[0].engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    houses = []
    for database in databases:
        service = open_identity_service(
            directory=SqlDirectory(database), transactions=database, install_key=INSTALL_KEY
        )
        founded = await service.identities.founding.found_installation(ACCOUNT, now_ms=NOW_MS)
        houses.append(House(service.identities.directory, database, service, founded))
    yield Two(*houses, databases)
    for database in databases:
        await database.close()


async def test_a_policy_change_elsewhere_is_effective_once_it_is_asked_for(two):
    here, there = two.here, two.there
    async with here.transactions.begin():
        await here.identities.users.create(ACCOUNT, "alice", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
        key = await here.identities.access_keys.create(ACCOUNT, "alice", now_ms=NOW_MS)
    proof = signed(key.key.access_key_id, key.secret)
    await there.service.watch.poll()
    alice = await there.principal(proof)
    assert not (await there.may(alice, "lambda:ListFunctions")).allowed
    async with here.transactions.begin():
        await here.identities.grants.put_inline(ALICE, "p", allow("lambda:*"))
    assert (await here.may(alice, "lambda:ListFunctions")).allowed
    assert not (await there.may(alice, "lambda:ListFunctions")).allowed
    assert await there.service.watch.poll()
    assert (await there.may(alice, "lambda:ListFunctions")).allowed
    await there.principal(proof)
    async with here.transactions.begin():
        await here.identities.access_keys.set_active(ACCOUNT, "alice", key.key.access_key_id, active=False)
    await there.principal(proof)
    assert await there.service.watch.poll()
    with pytest.raises(errors.Unauthenticated):
        await there.principal(proof)


async def test_a_revocation_elsewhere_is_effective_once_it_is_asked_for(two):
    here, there = two.here, two.there
    async with here.transactions.begin():
        await here.identities.users.create(ACCOUNT, "alice", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
        key = await here.identities.access_keys.create(ACCOUNT, "alice", now_ms=NOW_MS)
    alice = await here.principal(signed(key.key.access_key_id, key.secret))
    token = signed_with(await here.sessions.session_token(alice, duration_s=None, now_ms=NOW_MS))
    await there.service.watch.poll()
    await there.principal(token)
    async with here.transactions.begin():
        await revoke(here, IdentityKind.USER, "alice", at_ms=NOW_MS)
    assert await ended(here, token)
    assert not await ended(there, token)
    await there.service.watch.poll()
    assert await ended(there, token)


async def test_a_process_does_not_notice_its_own_changes_again(two):
    here = two.here
    await here.service.watch.poll()
    for name in ("a", "b"):
        async with here.transactions.begin():
            await here.identities.users.create(ACCOUNT, name, path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    assert not await here.service.watch.poll()
    before = await here.directory.directory_revision()
    with suppress(ZeroDivisionError):
        async with here.transactions.begin():
            await here.identities.users.create(ACCOUNT, "c", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
            1 / 0  # noqa: B018
    assert before == await here.directory.directory_revision()
    assert not await here.service.watch.poll()


async def test_a_transaction_counts_once_however_much_it_changes(two):
    before = await two.here.directory.directory_revision()
    async with two.here.transactions.begin():
        for name in ("a", "b", "c"):
            await two.here.identities.users.create(ACCOUNT, name, path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    assert before + 1 == await two.here.directory.directory_revision()


async def test_changes_between_its_own_are_not_missed(two):
    here, there = two.here, two.there
    await there.service.watch.poll()
    for house, name in ((here, "a"), (there, "b")):
        async with house.transactions.begin():
            await house.identities.users.create(ACCOUNT, name, path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    assert await there.service.watch.poll()
    assert not await there.service.watch.poll()


async def test_the_task_asks_again_and_again_and_survives_a_failure():
    forgotten = asyncio.Queue()
    directory = MemoryDirectory()
    watch = ChangeWatch(directory=directory, forget=lambda: forgotten.put_nowait(directory.state.revision))
    task = asyncio.create_task(watch.run(every_s=0))
    assert 0 == await asyncio.wait_for(forgotten.get(), 30)
    await directory.bump_directory_revision()
    assert 1 == await asyncio.wait_for(forgotten.get(), 30)
    broken, directory.state.revision = directory.directory_revision, 7

    async def fails():
        raise OSError("the disk is gone")

    directory.directory_revision = fails
    # Whoever cannot ask remembers nothing.
    assert 7 == await asyncio.wait_for(forgotten.get(), 30)
    directory.directory_revision = broken
    directory.state.revision = 8
    while await asyncio.wait_for(forgotten.get(), 30) != 8:
        pass
    task.cancel()
    assert EVERY_S <= 0.5
