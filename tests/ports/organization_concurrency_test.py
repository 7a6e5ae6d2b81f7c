"""Changes of the organization that meet: limits hold, and nothing is lost."""

from __future__ import annotations

import asyncio
import json

import pytest

from leastwise.iam.organization import ConstraintViolation, GuardrailType, UnitExists
from leastwise.iam.service import NewAccount, open_identity_service
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory
from leastwise.storage.organization import SqlOrganization
from leastwise.storage.schema import metadata

ACCOUNT, NOW_MS = "111122223333", 1_790_000_000_000
DENY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}]}
)


@pytest.fixture
async def installation(tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'organization.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    service = open_identity_service(
        directory=SqlDirectory(database),
        transactions=database,
        install_key=bytes(32),
        organization=SqlOrganization(database),
    )
    await service.identities.founding.found_installation(ACCOUNT, now_ms=NOW_MS)
    yield database, service
    await database.close()


async def together(database, *calls):
    """Each call in a transaction of its own, all at once; what they gave or raised."""

    async def one(call):
        async with database.begin():
            return await call()

    return await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)


async def test_of_many_policies_that_are_attached_at_once_five_are_on_the_target(installation):
    database, service = installation
    root = (await service.organization.accounts.tree()).organization.root_id
    policies = service.organization.guardrails
    made = [
        await policies.create(GuardrailType.SERVICE_CONTROL, f"p{n}", description="", content=DENY, tags=())
        for n in range(8)
    ]
    outcomes = await together(
        database, *(lambda policy=policy: policies.attach(policy.policy_id, root) for policy in made)
    )
    assert 4 == outcomes.count(None)
    assert {ConstraintViolation} == {type(outcome) for outcome in outcomes if outcome is not None}
    assert 5 == len((await service.organization.accounts.tree()).on(root, GuardrailType.SERVICE_CONTROL))


async def test_of_two_units_of_one_name_one_is_made(installation):
    database, service = installation
    accounts = service.organization.accounts
    root = (await accounts.tree()).organization.root_id
    outcomes = await together(database, *(lambda: accounts.create_unit(root, "same", tags=()) for _ in range(2)))
    assert 1 == sum(isinstance(outcome, UnitExists) for outcome in outcomes)
    assert ["same"] == [unit.name for unit in (await accounts.tree()).units_under(root)]


async def test_of_two_accounts_of_one_email_one_is_made_and_a_failure_leaves_nothing(installation):
    database, service = installation
    accounts = service.organization.accounts
    wanted = NewAccount(name="a", email="same@example.com", role_name="door", tags=())
    outcomes = await together(database, *(lambda: accounts.create_account(wanted, now_ms=NOW_MS) for _ in range(2)))
    assert {None, "EMAIL_ALREADY_EXISTS"} == {one.failure for one in outcomes}
    bad = NewAccount(name="b", email="other@example.com", role_name="no/slash", tags=())
    (refusal,) = await together(database, lambda: accounts.create_account(bad, now_ms=NOW_MS))
    assert isinstance(refusal, Exception)
    assert 2 == len(await service.identities.directory.accounts())
    assert 2 == len((await accounts.tree()).members)


async def test_a_change_that_is_rolled_back_is_never_felt(installation):
    database, service = installation
    accounts = service.organization.accounts
    made = await accounts.create_account(
        NewAccount(name="a", email="a@example.com", role_name="door", tags=()), now_ms=NOW_MS
    )
    assert not await service.gate._standing.is_suspended(made.account_id)

    async def close_and_fail():
        async with database.begin():
            await accounts.close_account(made.account_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await close_and_fail()
    assert not await service.gate._standing.is_suspended(made.account_id)
