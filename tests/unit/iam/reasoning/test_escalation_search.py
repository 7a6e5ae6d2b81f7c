"""The search for paths, and the way that takes two accounts."""

import json

from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions
from tests.ports.organization_memory import MemoryOrganization

from leastwise.iam.directory import IdentityKind, IdentityRef
from leastwise.iam.escalation.paths import ADMINISTRATOR, MadeCall, Step, find_paths, in_order
from leastwise.iam.service import NewAccount, open_identity_service

MANAGEMENT, NOW_MS = "111122223333", 1_790_000_000_000


def step(becomes, *actions, way="W", **more):
    calls = tuple(MadeCall(action=action, resource="*") for action in actions or ("iam:X",))
    return Step(way=way, calls=calls, becomes=becomes, **more)


def test_the_shortest_chain_is_shown():
    steps = {"a": [step("b"), step("c")], "b": [step("c")], "c": [step(ADMINISTRATOR)]}
    best = find_paths(steps, "a")[0]
    assert (ADMINISTRATOR, ["c", ADMINISTRATOR]) == (best.becomes, [one.becomes for one in best.steps])


def test_a_detour_without_conditions_is_better_than_a_condition():
    steps = {"a": [step(ADMINISTRATOR, conditions=("if x",)), step("b")], "b": [step(ADMINISTRATOR)]}
    assert () == find_paths(steps, "a")[0].conditions


def test_a_path_with_conditions_is_still_a_path():
    steps = {"a": [step("b", conditions=("if x",))], "b": [step(ADMINISTRATOR, conditions=("if x", "if y"))]}
    assert [("if x", "if y"), ("if x",)] == [path.conditions for path in find_paths(steps, "a")]


def test_of_two_steps_the_one_with_fewer_calls_is_taken():
    steps = {"a": in_order([step("b", "iam:X", "iam:Y"), step("b", "iam:Z")])}
    [path] = find_paths(steps, "a")
    assert ["iam:Z"] == [call.action for call in path.steps[0].calls]


def test_circles_end_and_lead_nowhere():
    steps = {"a": [step("b")], "b": [step("a"), step("b")]}
    assert ["b"] == [path.becomes for path in find_paths(steps, "a")]


async def test_the_management_account_reaches_into_the_others():
    directory = MemoryDirectory()
    service = open_identity_service(
        directory=directory,
        transactions=MemoryTransactions(directory),
        install_key=bytes(32),
        organization=MemoryOrganization(),
    )
    identities = service.identities
    await identities.founding.found_installation(MANAGEMENT, now_ms=NOW_MS)
    wanted = NewAccount(name="m", email="m@example.com", role_name="OrganizationAccountAccessRole", tags=())
    made = await service.organization.accounts.create_account(wanted, now_ms=NOW_MS)
    await identities.users.create(MANAGEMENT, "eve", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    await identities.grants.put_inline(
        IdentityRef(account_id=MANAGEMENT, kind=IdentityKind.USER, name="eve"),
        "p",
        json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    report = await identities.escalations.find(MANAGEMENT, functions=(), now_ms=NOW_MS, region="us-east-1")
    (path,) = [path for path in report.paths if path.principal.endswith("user/eve")]
    assert ["OrganizationAccountAccessRole"] == [one.way for one in path.steps]
    assert f"arn:aws:iam::{made.account_id}:role/OrganizationAccountAccessRole" == path.becomes
