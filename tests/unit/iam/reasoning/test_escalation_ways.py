"""Every way of the table is found where it exists, and not where it does not."""

import json

import pytest
from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions

from leastwise.iam.directory import IdentityKind, IdentityRef
from leastwise.iam.escalation.paths import ADMINISTRATOR, WITHIN_BOUNDARY
from leastwise.iam.escalation.ways import WAYS
from leastwise.iam.service import Deployed, open_identity_service

ACCOUNT, REGION, NOW_MS = "111122223333", "eu-central-1", 1_790_000_000_000
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ADMINISTRATOR_ACCESS = "arn:aws:iam::aws:policy/AdministratorAccess"
NARROW = {"Effect": "Allow", "Action": "iam:Get*", "Resource": "*"}


def arn(resource):
    return f"arn:aws:iam::{ACCOUNT}:{resource}"


def function(name="f"):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def may(*actions, on="*", **more):
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions, on="*", **more):
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def trust(principal):
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return document(statement)


LAMBDA = trust({"Service": "lambda.amazonaws.com"})


class Account:
    """An account to fill with identities."""

    def __init__(self):
        directory = MemoryDirectory()
        transactions = MemoryTransactions(directory)
        service = open_identity_service(directory=directory, transactions=transactions, install_key=bytes(range(32)))
        self.transactions, self.identities = transactions, service.identities
        self.functions = []

    async def founded(self):
        await self.identities.founding.found_installation(ACCOUNT, now_ms=NOW_MS)
        return self

    async def user(self, name, *statements, boundary=None):
        await self.identities.users.create(ACCOUNT, name, path="/", tags=(), boundary_arn=boundary, now_ms=NOW_MS)
        await self.put(IdentityKind.USER, name, *statements)

    async def role(self, name, trust_policy, *statements, boundary=None):
        await self.identities.roles.create(
            ACCOUNT,
            name,
            path="/",
            trust_policy=trust_policy,
            description="",
            max_session_s=3600,
            tags=(),
            boundary_arn=boundary,
            now_ms=NOW_MS,
        )
        await self.put(IdentityKind.ROLE, name, *statements)

    async def group(self, name, *statements, members=()):
        await self.identities.groups.create(ACCOUNT, name, path="/", now_ms=NOW_MS)
        await self.put(IdentityKind.GROUP, name, *statements)
        for member in members:
            await self.identities.groups.add_user(ACCOUNT, name, member)

    async def put(self, kind, name, *statements, policy="own"):
        owner = IdentityRef(account_id=ACCOUNT, kind=kind, name=name)
        if statements:
            await self.identities.grants.put_inline(owner, policy, document(*statements))

    async def policy(self, name, *statements):
        made = await self.identities.policies.create(
            ACCOUNT, name, path="/", document=document(*statements), description="", tags=(), now_ms=NOW_MS
        )
        return made.arn

    async def attach(self, kind, name, policy_arn):
        await self.identities.grants.attach(IdentityRef(account_id=ACCOUNT, kind=kind, name=name), policy_arn)

    async def found(self):
        return await self.identities.escalations.find(ACCOUNT, functions=self.functions, now_ms=NOW_MS, region=REGION)


USER, ROLE, GROUP = IdentityKind.USER, IdentityKind.ROLE, IdentityKind.GROUP
SELF = arn("user/eve")
FIXTURES = {}


def way(way_id, becomes=ADMINISTRATOR):
    def note(prepare):
        FIXTURES[way_id] = (prepare, becomes)
        return prepare

    return note


@way("PutUserPolicy")
async def _(account):
    await account.user("eve", may("iam:PutUserPolicy", on=SELF))


@way("AttachUserPolicy")
async def _(account):
    await account.user("eve", may("iam:AttachUserPolicy", on=SELF))


@way("PutGroupPolicy")
async def _(account):
    await account.user("eve", may("iam:PutGroupPolicy", on=arn("group/team")))
    await account.group("team", members=["eve"])


@way("AttachGroupPolicy")
async def _(account):
    await account.user("eve", may("iam:AttachGroupPolicy", on=arn("group/team")))
    await account.group("team", members=["eve"])


@way("AddUserToGroup")
async def _(account):
    await account.user("eve", may("iam:AddUserToGroup", on=arn("group/admins")))
    await account.group("admins", EVERYTHING)


@way("PutGroupPolicyAndAddUser")
async def _(account):
    await account.user("eve", may("iam:PutGroupPolicy", "iam:AddUserToGroup", on=arn("group/team")))
    await account.group("team")


@way("PutRolePolicy+AssumeRole")
async def _(account):
    await account.user("eve", may("iam:PutRolePolicy", "sts:AssumeRole", on=arn("role/r")))
    await account.role("r", trust({"AWS": ACCOUNT}))


@way("AttachRolePolicy+AssumeRole")
async def _(account):
    await account.user("eve", may("iam:AttachRolePolicy", "sts:AssumeRole", on=arn("role/r")))
    await account.role("r", trust({"AWS": ACCOUNT}))


@way("CreatePolicyVersion")
async def _(account):
    await account.user("eve", may("iam:CreatePolicyVersion", on=arn("policy/p")))
    await account.attach(USER, "eve", await account.policy("p", NARROW))


@way("SetDefaultPolicyVersion")
async def _(account):
    await account.user("eve", may("iam:SetDefaultPolicyVersion", on=arn("policy/p")))
    made = await account.policy("p", EVERYTHING)
    await account.identities.policies.add_version(
        ACCOUNT, made, document=document(NARROW), as_default=True, now_ms=NOW_MS
    )
    await account.attach(USER, "eve", made)


@way("DeleteDenyPolicy")
async def _(account):
    await account.user("eve", EVERYTHING)
    no = deny("lambda:*", "iam:Put*", "iam:Attach*", "iam:Create*", "iam:AddUserToGroup", "iam:Update*", "sts:*")
    await account.put(USER, "eve", no, policy="limits")


@way("DetachDenyPolicy")
async def _(account):
    await account.user("eve", EVERYTHING)
    no = deny("lambda:*", "iam:Put*", "iam:Attach*", "iam:Create*", "iam:AddUserToGroup", "iam:Update*", "sts:*")
    await account.attach(USER, "eve", await account.policy("limits", no))


@way("RemoveUserFromGroup")
async def _(account):
    await account.user("eve", EVERYTHING)
    no = deny("lambda:*", "iam:Put*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Add*", "iam:Update*", "sts:*")
    await account.group("limited", no, members=["eve"])


async def bounded(account, action, *, kind=USER, extra=()):
    limits = await account.policy("limits", may(f"iam:{action}", "iam:Get*", *extra))
    if kind is USER:
        await account.user("eve", EVERYTHING, boundary=limits)
    else:
        await account.user("eve", may("sts:AssumeRole", on=arn("role/r")), may(f"iam:{action}"))
        await account.role("r", trust({"AWS": ACCOUNT}), EVERYTHING, boundary=limits)


@way("DeleteUserPermissionsBoundary")
async def _(account):
    await bounded(account, "DeleteUserPermissionsBoundary")


@way("PutUserPermissionsBoundary")
async def _(account):
    await bounded(account, "PutUserPermissionsBoundary")


@way("RewriteBoundaryPolicy")
async def _(account):
    await bounded(account, "CreatePolicyVersion")


@way("CreateAccessKey")
async def _(account):
    await account.user("eve", may("iam:CreateAccessKey", on=arn("user/boss")))
    await account.user("boss", EVERYTHING)


@way("CreateLoginProfile")
async def _(account):
    await account.user("eve", may("iam:CreateLoginProfile", on=arn("user/boss")))
    await account.user("boss", EVERYTHING)


@way("UpdateLoginProfile")
async def _(account):
    await account.user("eve", may("iam:UpdateLoginProfile", on=arn("user/boss")))
    await account.user("boss", EVERYTHING)
    user = await account.identities.users.get(ACCOUNT, "boss")
    new = await account.identities.passwords.prepare(user, "Correct-Horse-9")
    await account.identities.passwords.create(user, new, reset_required=False, now_ms=NOW_MS)


@way("AssumeRole")
async def _(account):
    await account.user("eve", may("sts:AssumeRole", on=arn("role/*")))
    await account.role("boss", trust({"AWS": ACCOUNT}), EVERYTHING)


@way("UpdateAssumeRolePolicy")
async def _(account):
    await account.user("eve", may("iam:UpdateAssumeRolePolicy", on=arn("role/boss")))
    await account.role("boss", LAMBDA, EVERYTHING)


@way("CreateFunction")
async def _(account):
    await account.user(
        "eve",
        may("iam:PassRole", on=arn("role/boss")),
        may("lambda:CreateFunction", "lambda:InvokeFunction", on=function("dev-*")),
    )
    await account.role("boss", LAMBDA, EVERYTHING)


@way("UpdateFunctionCode")
async def _(account):
    await account.user("eve", may("lambda:UpdateFunctionCode", "lambda:InvokeFunction", on=function()))
    await account.role("boss", LAMBDA, EVERYTHING)
    account.functions.append(Deployed(arn=function(), role_arn=arn("role/boss"), policy=None))


@way("UpdateFunctionConfiguration")
async def _(account):
    await account.user(
        "eve",
        may("iam:PassRole", on=arn("role/boss")),
        may("lambda:UpdateFunction*", "lambda:AddPermission", on=function()),
    )
    await account.role("boss", LAMBDA, EVERYTHING)
    await account.role("plain", LAMBDA)
    account.functions.append(Deployed(arn=function(), role_arn=arn("role/plain"), policy=None))


@way("DeleteRolePermissionsBoundary+AssumeRole")
async def _(account):
    await bounded(account, "DeleteRolePermissionsBoundary", kind=ROLE)


@way("PutRolePermissionsBoundary+AssumeRole")
async def _(account):
    await bounded(account, "PutRolePermissionsBoundary", kind=ROLE)


@way("CreateRole")
async def _(account):
    await account.user("eve", may("iam:CreateRole", "iam:PutRolePolicy", on=arn("role/dev/*")))


@way("CreateUser")
async def _(account):
    await account.user(
        "eve", may("iam:CreateUser", "iam:AttachUserPolicy", "iam:CreateAccessKey", on=arn("user/tmp-*"))
    )


@pytest.fixture
async def account():
    return await Account().founded()


def of_eve(report):
    return [path for path in report.paths if path.principal == SELF]


def test_every_way_has_a_fixture():
    covered = {part for way_id in FIXTURES for part in way_id.split("+")}
    # It takes two accounts: tests/unit/iam/reasoning/test_escalation_search.py.
    assert set(WAYS) == covered | {"OrganizationAccountAccessRole"}


@pytest.mark.parametrize("way_id", FIXTURES)
async def test_a_way_is_found_where_it_exists(account, way_id):
    prepare, becomes = FIXTURES[way_id]
    await prepare(account)
    paths = of_eve(await account.found())
    (path,) = [path for path in paths if path.becomes == becomes]
    assert way_id in {step.way for step in path.steps}
    assert () == path.conditions
    named = {action.strip() for part in way_id.split("+") for step in WAYS[part].actions for action in step.split("|")}
    assert {call.action for step in path.steps for call in step.calls} <= named | {"lambda:InvokeFunction"}


@pytest.mark.parametrize("way_id", FIXTURES)
async def test_a_way_is_closed_by_a_deny_of_its_calls(account, way_id):
    prepare, _ = FIXTURES[way_id]
    await prepare(account)
    actions = {action.strip() for step in WAYS[way_id.split("+")[0]].actions for action in step.split("|")}
    await account.put(USER, "eve", deny(*actions), policy="closed")
    if "Deny" in way_id:
        await account.put(USER, "eve", deny("iam:DeleteUserPolicy", "iam:DetachUserPolicy"), policy="closed")
    ways = {step.way for path in of_eve(await account.found()) for step in path.steps}
    assert way_id not in ways


async def test_who_may_nothing_has_no_path(account):
    await account.user("eve")
    await account.user("ann", may("iam:Get*", "lambda:InvokeFunction"))
    report = await account.found()
    assert () == report.paths
    assert (arn("user/administrator"),) == report.administrators
    assert (3, True) == (report.looked_at, report.complete)


async def test_what_a_boundary_leaves_is_not_called_everything(account):
    limits = await account.policy("limits", may("iam:PutUserPolicy", "lambda:*"))
    await account.user("eve", may("iam:PutUserPolicy", on=SELF), boundary=limits)
    assert [WITHIN_BOUNDARY] == [path.becomes for path in of_eve(await account.found())]


async def test_a_condition_that_nobody_can_answer_is_told(account):
    once = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    statement = may("iam:PutUserPolicy", on=SELF, Condition={"BoolIfExists": once["Bool"]})
    await account.user("eve", statement)
    (path,) = of_eve(await account.found())
    assert ADMINISTRATOR == path.becomes
    assert "aws:MultiFactorAuthPresent" in path.conditions[0]


async def test_a_role_that_does_not_trust_the_service_cannot_be_passed_to_it(account):
    await account.user("eve", may("iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"))
    await account.role("boss", trust({"AWS": arn("user/administrator")}), EVERYTHING)
    assert [] == of_eve(await account.found())


async def test_a_function_that_one_cannot_call_needs_somebody_who_does(account):
    await account.user("eve", may("lambda:UpdateFunctionCode", on=function()))
    await account.role("boss", LAMBDA, EVERYTHING)
    account.functions.append(Deployed(arn=function(), role_arn=arn("role/boss"), policy=None))
    (path,) = of_eve(await account.found())
    assert ("if somebody invokes the function",) == path.conditions


async def test_a_chain_goes_through_others(account):
    await account.user("eve", may("iam:CreateAccessKey", on=arn("user/ann")))
    await account.user("ann", may("sts:AssumeRole", on=arn("role/deployer")))
    await account.role(
        "deployer",
        trust({"AWS": ACCOUNT}),
        may("iam:PassRole", on=arn("role/boss")),
        may("lambda:CreateFunction", "lambda:InvokeFunction"),
    )
    await account.role("boss", LAMBDA, EVERYTHING)
    path = next(path for path in of_eve(await account.found()) if path.becomes == ADMINISTRATOR)
    assert ["CreateAccessKey", "AssumeRole", "CreateFunction"] == [step.way for step in path.steps]
    assert [arn("user/ann"), arn("role/deployer"), ADMINISTRATOR] == [step.becomes for step in path.steps]
