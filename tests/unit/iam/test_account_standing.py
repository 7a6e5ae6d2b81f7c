"""The gate in an organization: guardrails are felt on the next call, and warm calls ask nobody."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import pytest
from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions
from tests.ports.organization_memory import MemoryOrganization

from leastwise.iam.interface import Principal, PrincipalKind, Request, UnknownKey
from leastwise.iam.organization import GuardrailType
from leastwise.iam.service import NewAccount, open_identity_service
from leastwise.kernel import errors
from leastwise.kernel.call import ServiceProof, Source

MANAGEMENT, NOW_MS = "111122223333", 1_790_000_000_000
HERE = Source(ip="127.0.0.1", user_agent="test", tls=True, received_at_ms=NOW_MS)


def document(effect, action="*", **more) -> str:
    statement = {"Effect": effect, "Action": action, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Village:
    """An organization with one member account, and its administrator."""

    directory: MemoryDirectory
    store: MemoryOrganization
    service: object
    account: str
    principal: Principal

    async def may(self, action="lambda:InvokeFunction", *, principal=None, owner=None, policy=None):
        who, owner = principal or self.principal, owner or self.account
        context = self.service.gate.context(
            who, HERE, now_ms=NOW_MS, region="eu-central-1", extra={}, resource_account_id=owner
        )
        request = Request(principal=who, action=action, resource="*", resource_account_id=owner, context=context)
        return await self.service.gate.authorize(request, resource_policy=policy)

    async def guard(self, content, kind=GuardrailType.SERVICE_CONTROL):
        policies = self.service.organization.guardrails
        made = await policies.create(kind, f"p {content} {kind}"[:100], description="", content=content, tags=())
        await policies.attach(made.policy_id, self.account)
        return made


def root_of(account_id) -> Principal:
    return Principal(
        kind=PrincipalKind.ROOT, account_id=account_id, arn=f"arn:aws:iam::{account_id}:root", unique_id=account_id
    )


@pytest.fixture
async def village() -> Village:
    directory, store = MemoryDirectory(), MemoryOrganization()
    service = open_identity_service(
        directory=directory,
        transactions=MemoryTransactions(directory),
        install_key=bytes(32),
        organization=store,
    )
    await service.identities.founding.found_installation(MANAGEMENT, now_ms=NOW_MS)
    made = await service.organization.accounts.create_account(
        NewAccount(name="member", email="m@example.com", role_name="door", tags=()), now_ms=NOW_MS
    )
    return Village(directory, store, service, made.account_id, root_of(made.account_id))


async def test_the_root_user_of_a_member_account_is_bound(village):
    assert (await village.may()).allowed
    await village.guard(document("Deny", "lambda:*"))
    decision = await village.may()
    assert (False, True, "service control") == (decision.allowed, decision.explicit, decision.layer)
    assert (await village.may("iam:ListUsers")).allowed
    assert (await village.may(principal=root_of(MANAGEMENT), owner=MANAGEMENT)).allowed


async def test_a_warm_call_asks_neither_the_directory_nor_the_organization(village):
    await village.may()
    reads = village.directory.reads, village.store.reads
    for _ in range(3):
        await village.may()
    assert reads == (village.directory.reads, village.store.reads)


async def test_the_owner_of_the_resource_says_which_resource_control_policies_count(village):
    policies = village.service.organization.guardrails
    tree = await village.service.organization.accounts.tree()
    await policies.enable(tree.organization.root_id, GuardrailType.RESOURCE_CONTROL)
    await village.guard(document("Deny", "lambda:*", Principal="*"), GuardrailType.RESOURCE_CONTROL)
    opened = document("Allow", Principal="*")
    boss = root_of(MANAGEMENT)
    here = await village.may(principal=boss, owner=village.account, policy=opened)
    there = await village.may(owner=MANAGEMENT, policy=opened)
    assert [(False, "resource control"), (True, "resource-based")] == [
        (decision.allowed, decision.layer) for decision in (here, there)
    ]


async def test_a_stored_guardrail_that_cannot_be_read_denies_everything(village):
    made = await village.guard(document("Deny", "s3:*"))
    await village.store.put_guardrail(replace(made, content="damaged"))
    await village.service.organization.accounts.create_unit(
        (await village.service.organization.accounts.tree()).organization.root_id, "anything", tags=()
    )
    decision = await village.may()
    assert (False, True, "service control") == (decision.allowed, decision.explicit, decision.layer)


async def test_an_account_outside_the_organization_may_nothing(village):
    stranger = root_of("999999999999")
    decision = await village.may(principal=stranger, owner="999999999999")
    assert not decision.allowed


async def test_context_says_where_caller_and_resource_stand_and_cannot_be_spoofed(village):
    await village.may()
    await village.service.gate.authenticate(
        ServiceProof(service="lambda.amazonaws.com", account_id=MANAGEMENT), now_ms=NOW_MS
    )
    tree = await village.service.organization.accounts.tree()
    context = village.service.gate.context(
        village.principal,
        HERE,
        now_ms=NOW_MS,
        region="eu-central-1",
        extra={"aws:PrincipalOrgID": "o-forged0000"},
        resource_account_id=MANAGEMENT,
    )
    mine = tree.organization.organization_id
    assert (mine, mine) == (context["aws:principalorgid"], context["aws:resourceorgid"])
    assert (f"{mine}/{tree.organization.root_id}/",) == context["aws:principalorgpaths"]


async def test_nothing_of_a_closed_account_can_be_used_and_no_service_acts_for_it(village):
    await village.service.organization.accounts.close_account(village.account)
    opened = document("Allow", Principal="*")
    assert not (await village.may(principal=root_of(MANAGEMENT), policy=opened)).allowed
    with pytest.raises(UnknownKey):
        await village.service.gate.authenticate(
            ServiceProof(service="lambda.amazonaws.com", account_id=village.account), now_ms=NOW_MS
        )
    with pytest.raises(errors.Denied):
        await village.service.sessions.assume_for_service(
            role_arn=f"arn:aws:iam::{village.account}:role/door",
            service="lambda.amazonaws.com",
            session_name="s",
            duration_s=900,
            now_ms=NOW_MS,
        )


async def test_an_installation_has_one_organization_however_often_it_starts(village):
    founding = village.service.identities.founding
    before = await village.store.chart()
    again = await founding.found_installation(None, now_ms=NOW_MS + 1)
    assert (MANAGEMENT, False) == (again.account_id, again.created)
    assert before == await village.store.chart()
    with pytest.raises(errors.Conflict):
        await founding.found_installation(village.account, now_ms=NOW_MS + 1)


async def test_an_installation_of_before_there_were_organizations_gets_one():
    directory, store = MemoryDirectory(), MemoryOrganization()
    parts = {"directory": directory, "transactions": MemoryTransactions(directory), "install_key": bytes(32)}
    old = open_identity_service(**parts)
    await old.identities.founding.found_installation(MANAGEMENT, now_ms=NOW_MS)
    new = open_identity_service(**parts, organization=store)
    founded = await new.identities.founding.found_installation(None, now_ms=NOW_MS + 1)
    chart = await store.chart()
    assert (MANAGEMENT, MANAGEMENT) == (founded.account_id, chart.organization.management_account_id)
    assert (MANAGEMENT,) == tuple(member.account_id for member in chart.members)
