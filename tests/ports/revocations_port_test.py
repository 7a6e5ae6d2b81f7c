"""One suite for every `iam.directory.Revocations`, and for what runs at the end of a transaction."""

from __future__ import annotations

from contextlib import suppress

import pytest
from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions

from leastwise.iam.directory import IdentityKind, Revocation
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory
from leastwise.storage.schema import metadata

ACCOUNT, OTHER = "111122223333", "444455556666"


@pytest.fixture(params=["memory", "sqlite"])
async def kept(request, tmp_path):
    """(directory, transactions) of each adapter."""
    if request.param == "memory":
        directory = MemoryDirectory()
        yield directory, MemoryTransactions(directory)
        return
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'revocations.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield SqlDirectory(database), database
    await database.close()


def of(unique_id="AROA1", until_ms=5, *, account_id=ACCOUNT, kind=IdentityKind.ROLE) -> Revocation:
    return Revocation(account_id=account_id, kind=kind, unique_id=unique_id, not_before_ms=until_ms)


async def test_an_instant_moves_forward_and_never_back(kept):
    directory, _ = kept
    told = [await directory.revoke_sessions(of(until_ms=instant)) for instant in (5, 3, 5, 9)]
    assert [5, 5, 5, 9] == told
    assert {"AROA1": 9} == await directory.revoked_until(["AROA1"])


async def test_only_identities_that_were_revoked_are_told(kept):
    directory, _ = kept
    await directory.revoke_sessions(of("AROA1", 5))
    await directory.revoke_sessions(of("AIDA1", 7, account_id=OTHER, kind=IdentityKind.USER))
    assert {"AROA1": 5, "AIDA1": 7} == await directory.revoked_until(("AIDA1", "AROA1", "AROA2"))
    assert {} == await directory.revoked_until(())


async def test_an_accounts_revocations_are_its_own_and_newest_first(kept):
    directory, _ = kept
    for one in (
        of("AROA1", 5),
        of("AROA2", 7),
        of("AIDA1", 6, kind=IdentityKind.USER),
        of("AROA9", 8, account_id=OTHER),
    ):
        await directory.revoke_sessions(one)
    assert (of("AROA2", 7), of("AIDA1", 6, kind=IdentityKind.USER), of("AROA1", 5)) == await directory.revocations(
        ACCOUNT
    )
    assert () == await directory.revocations("999999999999")


async def test_the_revision_counts_what_was_committed(kept):
    directory, transactions = kept
    assert 0 == await directory.directory_revision()
    async with transactions.begin():
        assert 1 == await directory.bump_directory_revision()
    with suppress(ZeroDivisionError):
        async with transactions.begin():
            assert 2 == await directory.bump_directory_revision()
            raise ZeroDivisionError
    assert 1 == await directory.directory_revision()
    async with transactions.begin():
        assert 2 == await directory.bump_directory_revision()
    assert 2 == await directory.directory_revision()


class Bumps:
    def __init__(self, directory):
        self.directory = directory
        self.calls = 0

    async def __call__(self):
        self.calls += 1
        await self.directory.bump_directory_revision()


async def test_what_is_to_run_before_the_commit_runs_once_and_inside(kept):
    directory, transactions = kept
    bumps = Bumps(directory)
    async with transactions.begin():
        for _ in range(3):
            transactions.before_commit(bumps)
        assert 0 == bumps.calls
    assert (1, 1) == (bumps.calls, await directory.directory_revision())
    with suppress(ZeroDivisionError):
        async with transactions.begin():
            transactions.before_commit(bumps)
            raise ZeroDivisionError
    assert (1, 1) == (bumps.calls, await directory.directory_revision())
    transactions.before_commit(bumps)
    async with transactions.begin():
        pass
    assert 1 == bumps.calls


async def test_what_fails_before_the_commit_rolls_it_back(kept):
    directory, transactions = kept

    async def fails():
        raise OSError("no room")

    async def revoke_and_fail():
        async with transactions.begin():
            await directory.revoke_sessions(of())
            transactions.before_commit(fails)

    with pytest.raises(OSError, match="no room"):
        await revoke_and_fail()
    assert {} == await directory.revoked_until(["AROA1"])
