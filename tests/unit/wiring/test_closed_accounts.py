"""What is left of an account that was closed: nothing runs, and no link leads to its code."""

from __future__ import annotations

import msgspec
import pytest
from tests.fakes.driver import FakeDriver
from tests.unit.flows.test_operations_table import HOME, World, echo, package

from leastwise.functions.links import BadLink
from leastwise.kernel.clock import SystemClock
from leastwise.wiring.build import build
from leastwise.wiring.data_directory import DataDirectory
from leastwise.wiring.downloads import package_behind
from leastwise.wiring.settings import Settings


@pytest.fixture
async def world(tmp_path):
    data = tmp_path / "data"
    directory = DataDirectory(data)
    platform = await build(
        Settings(data=data, region=HOME),
        directory,
        clock=SystemClock(),
        driver=FakeDriver(echo),
        compile_bytecode=lambda _runtime, _tree: None,
        base_url="http://127.0.0.1:1",
    )
    await platform.open()
    yield World(platform)
    await platform.close()
    directory.release()


async def a_member(world):
    """(account id, does something in it)."""
    made = await world.do("organizations", "CreateAccount", AccountName="m", Email="m@example.org")
    account = made["CreateAccountStatus"]["AccountId"]
    role = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
    key = (await world.do("sts", "AssumeRole", RoleArn=role, RoleSessionName="s"))["Credentials"]

    async def inside(service, operation, **parameters):
        proof = world.proof(service, (key["AccessKeyId"], key["SecretAccessKey"]))
        proof = msgspec.structs.replace(proof, session_token=key["SessionToken"])
        outcome, _ = await world.perform(service, operation, parameters, proof=proof)
        assert outcome.error is None, (operation, outcome.error)
        return outcome.result

    return account, inside


async def test_closing_an_account_stops_its_environments_and_its_links(world):
    account, inside = await a_member(world)
    trust = world.trust()
    role = (await inside("iam", "CreateRole", RoleName="worker", AssumeRolePolicyDocument=trust))["Role"]["Arn"]
    function = {"Runtime": "python3.11", "Role": role, "Handler": "app.handler", "Code": {"ZipFile": package()}}
    await inside("lambda", "CreateFunction", FunctionName="f", **function)
    await inside("lambda", "Invoke", FunctionName="f", Payload=b"1")
    location = (await inside("lambda", "GetFunction", FunctionName="f"))["Code"]["Location"]
    token, now_ms = location.rpartition("/")[2], SystemClock().now_ms()
    (environment,) = world.platform.driver.made
    services = world.platform.services
    assert (await package_behind(token, services, now_ms=now_ms)).is_file()
    assert not environment.stopped

    await world.do("organizations", "CloseAccount", AccountId=account)
    with pytest.raises(BadLink):
        await package_behind(token, services, now_ms=now_ms)
    assert environment.stopped
