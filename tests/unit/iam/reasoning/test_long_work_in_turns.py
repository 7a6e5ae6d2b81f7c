"""Long questions leave the server to others: reports of escalations, and lint."""

import asyncio
import json

import pytest
from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions

from leastwise.iam.directory import IdentityKind, IdentityRef
from leastwise.iam.interface import PolicyKind
from leastwise.iam.service import open_identity_service
from leastwise.iam.service.linting import Linting
from leastwise.iam.service.turns import Turns
from leastwise.kernel import errors

ACCOUNT, NOW_MS = "111122223333", 1_790_000_000_000
OTHER = "444455556666"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


async def account(users, statement):
    directory = MemoryDirectory()
    service = open_identity_service(
        directory=directory, transactions=MemoryTransactions(directory), install_key=bytes(range(32))
    )
    identities = service.identities
    await identities.founding.found_installation(ACCOUNT, now_ms=NOW_MS)
    for number in range(users):
        name = f"u{number}"
        await identities.users.create(ACCOUNT, name, path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
        owner = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name=name)
        await identities.grants.put_inline(owner, "p", document(statement))
    return identities


async def report(identities, **more):
    return await identities.escalations.find(ACCOUNT, functions=(), now_ms=NOW_MS, region="eu-central-1", **more)


async def turns_of_others(work):
    """How often the event loop came round while the work was done."""
    count = 0
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.sleep(0)
        count += 1
    await task
    return count


async def test_questions_whose_answer_is_plainly_no_leave_the_server_to_others():
    identities = await account(30, {"Effect": "Allow", "Action": "logs:GetLogEvents", "Resource": "*"})
    empty = await account(0, {})
    # Nobody may do anything here, and there are some eighty questions about every user.
    assert 60 < await turns_of_others(report(identities)) - await turns_of_others(report(empty))


async def test_a_report_has_an_end_and_says_so_when_it_is_not_all():
    identities = await account(34, {"Effect": "Allow", "Action": "iam:CreateAccessKey", "Resource": "*"})
    found = await report(identities)
    assert (1_000, False) == (len(found.paths), found.complete)
    one = await report(identities, only=found.paths[0].principal)
    assert (34, True) == (len(one.paths), one.complete)


async def test_what_leads_to_everything_is_told_before_the_rest():
    identities = await account(34, {"Effect": "Allow", "Action": "iam:CreateAccessKey", "Resource": "*"})
    await identities.users.create(ACCOUNT, "zoe", path="/", tags=(), boundary_arn=None, now_ms=NOW_MS)
    own = document({"Effect": "Allow", "Action": "iam:PutUserPolicy", "Resource": f"arn:aws:iam::{ACCOUNT}:user/zoe"})
    owner = IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="zoe")
    await identities.grants.put_inline(owner, "p", own)
    found = await report(identities)
    # The others become zoe first.
    assert 35 == sum(path.is_grave for path in found.paths)
    assert (1_000, False) == (len(found.paths), found.complete)


async def test_a_clock_key_with_a_zone_is_named_as_the_policy_names_it():
    for key in ("leastwise:DayOfWeek", "leastwise:DayOfWeek/Europe/Berlin"):
        condition = {"StringEquals": {key: "Mon"}}
        identities = await account(
            1, {"Effect": "Allow", "Action": "iam:PutUserPolicy", "Resource": "*", "Condition": condition}
        )
        conditions = {text for path in (await report(identities)).paths for text in path.conditions}
        assert {f"if {key} let iam:PutUserPolicy through"} == conditions


async def test_an_account_has_one_report_at_a_time_and_one_that_waits():
    turns, held = Turns(most_waiting=1), asyncio.Event()
    order = []

    async def work(account_id, name):
        async with turns.of(account_id):
            order.append(name)
            await held.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(work(ACCOUNT, "first"))
        group.create_task(work(ACCOUNT, "second"))
        await asyncio.sleep(0)
        with pytest.raises(errors.Throttled, match="Rate exceeded"):
            await work(ACCOUNT, "third")
        group.create_task(work(OTHER, "other account"))
        await asyncio.sleep(0)
        assert ["first", "other account"] == order
        held.set()
    assert ["first", "other account", "second"] == order
    await work(ACCOUNT, "later")
    assert "later" == order[-1]


async def test_who_asks_for_too_many_reports_at_once_is_throttled():
    identities = await account(10, {"Effect": "Allow", "Action": "iam:CreateAccessKey", "Resource": "*"})
    answers = await asyncio.gather(*(report(identities) for _ in range(4)), return_exceptions=True)
    assert [False, False, True, True] == [isinstance(answer, errors.Throttled) for answer in answers]


async def test_lint_runs_beside_the_server_and_only_so_much_of_it_waits():
    linting = Linting()
    text = document(*({"Effect": "Allow", "Action": "lambda:Nonsense", "Resource": "*"} for _ in range(100)))
    work = [linting.findings(ACCOUNT, text, kind=PolicyKind.IDENTITY) for _ in range(12)]
    answers = await asyncio.gather(*work, return_exceptions=True)
    assert 4 == sum(isinstance(answer, errors.Throttled) for answer in answers)
    assert 1 < await turns_of_others(linting.findings(OTHER, text, kind=PolicyKind.IDENTITY))
