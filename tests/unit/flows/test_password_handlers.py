"""What only shows in handlers: when a password was last used, and that hashing holds no write lock."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import argon2
import pytest

from leastwise.flows import identity_account, identity_kinds, identity_passwords, identity_users
from leastwise.flows.interface import Scene
from leastwise.iam import passwords
from leastwise.iam.interface import Principal, PrincipalKind
from leastwise.iam.service import open_identity_service
from leastwise.kernel.call import Source
from leastwise.storage import migrate
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory

ACCOUNT, NOW_MS = "111122223333", 1_790_000_000_000
ROWS = {
    row.name: row
    for module in (identity_account, identity_kinds, identity_passwords, identity_users)
    for row in module.OPERATIONS
}


@pytest.fixture
async def scene(tmp_path, monkeypatch):
    monkeypatch.setattr(passwords, "_HASHER", argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    url = f"sqlite+aiosqlite:///{tmp_path / 'iam.db'}"
    await migrate.upgrade(url)
    database = Database(url)
    service = open_identity_service(
        directory=SqlDirectory(database), transactions=database, install_key=bytes(range(32))
    )
    identities = service.identities
    ann = await identities.users.create(ACCOUNT, "ann", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    yield Scene(
        services=SimpleNamespace(identities=identities, database=database),
        principal=Principal(
            kind=PrincipalKind.USER, account_id=ACCOUNT, arn=ann.arn, unique_id=ann.user_id, name="ann"
        ),
        region="us-east-1",
        request_id="r",
        now_ms=NOW_MS,
        source=Source(ip="127.0.0.1", user_agent="test", tls=True, received_at_ms=NOW_MS),
        notes={},
    )
    await database.close()


async def change(scene, name, **parameters):
    """As `flows.perform` does it: prepared before the transaction, written in it."""
    row = ROWS[name]
    prepared = await row.prepare(scene, parameters)
    async with scene.services.database.begin():
        return await row.handle(scene, parameters | prepared)


async def test_the_last_use_of_a_password_is_told_once_there_was_one_and_outlives_it(scene):
    assert "PasswordLastUsed" not in (await ROWS["GetUser"].handle(scene, {"UserName": "ann"}))["User"]
    await change(scene, "CreateLoginProfile", UserName="ann", Password="Correct-Horse-9")
    users, held = scene.services.identities.users, scene.services.identities.passwords
    ann = await users.get(ACCOUNT, "ann")
    await held.note_sign_in(ann, now_ms=NOW_MS)
    await held.delete(ann)
    used = datetime.fromtimestamp(NOW_MS // 1000, UTC)
    assert used == (await ROWS["GetUser"].handle(scene, {}))["User"]["PasswordLastUsed"]
    listed = await ROWS["ListUsers"].handle(scene, {})
    assert [used] == [user["PasswordLastUsed"] for user in listed["Users"]]


async def test_another_writer_goes_ahead_while_a_password_is_hashed(scene, monkeypatch):
    identities, loop = scene.services.identities, asyncio.get_running_loop()
    started, go_on = asyncio.Event(), asyncio.Event()
    hash_password = passwords.hash_password

    def waiting(password, *, salt):
        loop.call_soon_threadsafe(started.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        return hash_password(password, salt=salt)

    monkeypatch.setattr(passwords, "hash_password", waiting)
    creating = asyncio.create_task(change(scene, "CreateLoginProfile", UserName="ann", Password="Correct-Horse-9"))
    await started.wait()
    await identities.users.create(ACCOUNT, "bob", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    go_on.set()
    assert "ann" == (await creating)["LoginProfile"]["UserName"]


@pytest.mark.parametrize("name", ["CreateLoginProfile", "UpdateLoginProfile", "ChangePassword"])
def test_no_member_that_is_a_password_reaches_a_record(name):
    members = {"ChangePassword": {"OldPassword", "NewPassword"}}.get(name, {"Password"})
    assert members == ROWS[name].redact
