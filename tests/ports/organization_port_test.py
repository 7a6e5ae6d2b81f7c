"""One suite for every `iam.organization.OrganizationStore`: the in-memory fake and SQL on SQLite."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.ports.organization_memory import MemoryOrganization

from leastwise.iam.organization import (
    Attachment,
    Chart,
    Creation,
    Guardrail,
    GuardrailType,
    Member,
    Organization,
    Standing,
    Unit,
)
from leastwise.kernel import errors
from leastwise.storage.engine import Database
from leastwise.storage.organization import SqlOrganization
from leastwise.storage.schema import metadata

ORGANIZATION = Organization(
    organization_id="o-abcdefghij",
    root_id="r-abcd",
    management_account_id="111122223333",
    created_at_ms=1,
    enabled=frozenset(GuardrailType),
)
UNIT = Unit(unit_id="ou-abcd-11111111", parent_id="r-abcd", name="unit")
MEMBER = Member(account_id="111122223333", name="first", email="First@example.com", parent_id="r-abcd", joined_at_ms=2)
GUARDRAIL = Guardrail(
    policy_id="p-11111111", type=GuardrailType.SERVICE_CONTROL, name="no", description="", content="{}"
)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    if request.param == "memory":
        yield MemoryOrganization()
        return
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'organization.db'}")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    yield SqlOrganization(database)
    await database.close()


async def test_before_anything_is_put_there_is_no_organization(store):
    assert await store.chart() is None
    assert () == await store.creations()
    assert {} == dict(await store.tags("r-abcd"))


async def test_what_is_put_comes_back_in_one_chart(store):
    await store.put_organization(ORGANIZATION)
    await store.put_unit(UNIT)
    await store.put_member(MEMBER)
    await store.put_guardrail(GUARDRAIL)
    attachment = Attachment(policy_id="p-11111111", target_id="r-abcd")
    await store.attach(attachment)
    await store.attach(attachment)
    assert (
        Chart(
            organization=ORGANIZATION,
            units=(UNIT,),
            members=(MEMBER,),
            guardrails=(GUARDRAIL,),
            attachments=(attachment,),
        )
        == await store.chart()
    )


async def test_what_is_put_again_is_replaced(store):
    await store.put_organization(ORGANIZATION)
    await store.put_organization(replace(ORGANIZATION, enabled=frozenset()))
    await store.put_unit(UNIT)
    await store.put_unit(replace(UNIT, name="other"))
    await store.put_member(MEMBER)
    await store.put_member(replace(MEMBER, standing=Standing.SUSPENDED, invited=True))
    await store.put_guardrail(GUARDRAIL)
    await store.put_guardrail(replace(GUARDRAIL, content="[]"))
    chart = await store.chart()
    assert frozenset() == chart.organization.enabled
    assert ("other",) == tuple(unit.name for unit in chart.units)
    assert ((Standing.SUSPENDED, True),) == tuple((one.standing, one.invited) for one in chart.members)
    assert ("[]",) == tuple(policy.content for policy in chart.guardrails)


async def test_names_and_emails_that_are_taken_are_refused(store):
    await store.put_unit(UNIT)
    await store.put_unit(replace(UNIT, unit_id="ou-abcd-22222222", parent_id=UNIT.unit_id))
    with pytest.raises(errors.AlreadyExists):
        await store.put_unit(replace(UNIT, unit_id="ou-abcd-33333333"))
    await store.put_member(MEMBER)
    with pytest.raises(errors.AlreadyExists):
        await store.put_member(replace(MEMBER, account_id="444455556666", email="first@EXAMPLE.com"))
    await store.put_guardrail(GUARDRAIL)
    other_type = GuardrailType.RESOURCE_CONTROL
    await store.put_guardrail(replace(GUARDRAIL, policy_id="p-22222222", type=other_type))
    with pytest.raises(errors.AlreadyExists):
        await store.put_guardrail(replace(GUARDRAIL, policy_id="p-33333333"))


async def test_what_is_removed_is_gone_and_removing_nothing_is_no_error(store):
    await store.put_organization(ORGANIZATION)
    attachment = Attachment(policy_id="p-11111111", target_id="r-abcd")
    await store.put_unit(UNIT)
    await store.put_guardrail(GUARDRAIL)
    await store.attach(attachment)
    for _ in range(2):
        await store.detach(attachment)
        await store.remove_guardrail(GUARDRAIL.policy_id)
        await store.remove_unit(UNIT.unit_id)
    assert Chart(organization=ORGANIZATION) == await store.chart()


async def test_tags_are_replaced_as_a_whole(store):
    await store.set_tags("r-abcd", {"a": "1", "b": "é"})
    assert {"a": "1", "b": "é"} == dict(await store.tags("r-abcd"))
    await store.set_tags("r-abcd", {"c": ""})
    assert {"c": ""} == dict(await store.tags("r-abcd"))
    await store.set_tags("r-abcd", {})
    assert {} == dict(await store.tags("r-abcd"))


async def test_requests_for_accounts_are_kept_in_order(store):
    made = Creation(request_id="car-b", name="b", at_ms=1, account_id="111122223333")
    failed = Creation(request_id="car-a", name="a", at_ms=2, account_id=None, failure="EMAIL_ALREADY_EXISTS")
    await store.add_creation(made)
    await store.add_creation(failed)
    assert (failed, made) == await store.creations()
