"""A change is judged in the transaction that makes it: whatever was taken away while the call waited counts."""

import dataclasses
import json
from types import MappingProxyType

import pytest
from msgspec import structs
from tests.unit.flows.test_operations_table import HERE, world  # noqa: F401 - a fixture

from leastwise.kernel.call import Call
from leastwise.kernel.errors import Denied, Unauthenticated
from leastwise.kernel.ids import request_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
MAY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iam:CreateGroup", "Resource": "*"},
            {"Effect": "Allow", "Action": "iam:TagUser", "Resource": "arn:aws:iam::*:user/old/*"},
        ],
    }
)


@pytest.fixture
def while_it_waits(world, monkeypatch):  # noqa: F811
    """Lets something happen between a call's authorization and its transaction."""

    def meanwhile(name, happens):
        async def prepare(_scene, _parameters):
            await happens()
            return {}

        table = dict(world.platform.performer.table)
        table["iam", name] = dataclasses.replace(table["iam", name], prepare=prepare)
        monkeypatch.setattr(world.platform.performer, "table", MappingProxyType(table))

    return meanwhile


async def caller(world, name):  # noqa: F811
    await world.do("iam", "CreateUser", UserName=name)
    await world.do("iam", "PutUserPolicy", UserName=name, PolicyName="may", PolicyDocument=MAY)
    key = (await world.do("iam", "CreateAccessKey", UserName=name))["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


async def perform(world, operation, parameters, key):  # noqa: F811
    call = Call(
        request_id=request_id(),
        service="iam",
        operation=operation,
        proof=world.proof("iam", key),
        command=parameters,
        source=HERE,
    )
    outcome = await world.platform.performer.perform(call)
    records = [json.loads(entry.payload) for entry in world.platform.ledger.entries()]
    return outcome, [record for record in records if record["requestID"] == call.request_id]


async def test_a_permission_that_was_taken_away_meanwhile_does_not_count(world, while_it_waits):  # noqa: F811
    key = await caller(world, "waiting1")
    while_it_waits("CreateGroup", lambda: world.do("iam", "DeleteUserPolicy", UserName="waiting1", PolicyName="may"))
    outcome, records = await perform(world, "CreateGroup", {"GroupName": "late1"}, key)
    assert isinstance(outcome.error, Denied)
    groups = (await world.do("iam", "ListGroups"))["Groups"]
    assert "late1" not in [group["GroupName"] for group in groups]
    assert ["AccessDenied"] == [record["errorCode"] for record in records]


async def test_a_key_that_was_deactivated_meanwhile_does_not_count(world, while_it_waits):  # noqa: F811
    key = await caller(world, "waiting2")
    while_it_waits(
        "CreateGroup",
        lambda: world.do("iam", "UpdateAccessKey", UserName="waiting2", AccessKeyId=key[0], Status="Inactive"),
    )
    outcome, _ = await perform(world, "CreateGroup", {"GroupName": "late2"}, key)
    assert isinstance(outcome.error, Unauthenticated)
    groups = (await world.do("iam", "ListGroups"))["Groups"]
    assert "late2" not in [group["GroupName"] for group in groups]


async def test_a_target_that_was_made_anew_meanwhile_is_judged_as_what_it_is_now(world, while_it_waits):  # noqa: F811
    key = await caller(world, "waiting3")
    await world.do("iam", "CreateUser", UserName="victim", Path="/old/")

    async def remade():
        await world.do("iam", "DeleteUser", UserName="victim")
        await world.do("iam", "CreateUser", UserName="victim", Path="/new/")

    while_it_waits("TagUser", remade)
    tags = {"UserName": "victim", "Tags": [{"Key": "k", "Value": "v"}]}
    outcome, _ = await perform(world, "TagUser", tags, key)
    assert isinstance(outcome.error, Denied)
    assert [] == (await world.do("iam", "ListUserTags", UserName="victim"))["Tags"]


async def test_a_session_that_ran_out_meanwhile_does_not_count(world, while_it_waits, monkeypatch):  # noqa: F811
    await world.do("iam", "CreateRole", RoleName="short", AssumeRolePolicyDocument=world.trust(world.account))
    await world.do("iam", "PutRolePolicy", RoleName="short", PolicyName="may", PolicyDocument=MAY)
    assumed = await world.do(
        "sts", "AssumeRole", RoleArn=world.arn("role/short"), RoleSessionName="s", DurationSeconds=900
    )
    clock = world.platform.performer._clock
    late = clock.now_ms() + 900_001

    async def time_passes():
        monkeypatch.setattr(type(clock), "now_ms", lambda _self: late)

    while_it_waits("CreateGroup", time_passes)
    keys = assumed["Credentials"]
    proof = structs.replace(
        world.proof("iam", (keys["AccessKeyId"], keys["SecretAccessKey"])), session_token=keys["SessionToken"]
    )
    call = Call(
        request_id=request_id(),
        service="iam",
        operation="CreateGroup",
        proof=proof,
        command={"GroupName": "late4"},
        source=HERE,
    )
    outcome = await world.platform.performer.perform(call)
    assert isinstance(outcome.error, Unauthenticated)
