"""The rows of iam and sts, from parameters to the shapes of the service model."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from tests.unit.flows.identity_stage import ACCOUNT, NOW_MS, ROWS, Stage, document

from leastwise.iam.interface import (
    DeleteConflict,
    EntityAlreadyExists,
    NoSuchEntity,
    Principal,
    PrincipalKind,
)
from leastwise.iam.service import open_identity_service
from leastwise.kernel import errors
from leastwise.storage import migrate
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    ],
}
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"
CREATED = datetime.fromtimestamp(NOW_MS // 1000, UTC)


def allow(action, resource="*", **more) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
async def stage(tmp_path):
    url = f"sqlite+aiosqlite:///{tmp_path / 'iam.db'}"
    await migrate.upgrade(url)
    database = Database(url)
    service = open_identity_service(
        directory=SqlDirectory(database), transactions=database, install_key=bytes(range(32))
    )
    await service.identities.founding.found_installation(ACCOUNT, now_ms=NOW_MS)
    administrator = await service.identities.users.get(ACCOUNT, "administrator")
    yield Stage(
        database,
        service,
        Principal(
            kind=PrincipalKind.USER,
            account_id=ACCOUNT,
            arn=administrator.arn,
            unique_id=administrator.user_id,
            name=administrator.name,
        ),
        [],
    )
    await database.close()


def root() -> Principal:
    return Principal(kind=PrincipalKind.ROOT, account_id=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:root", unique_id=ACCOUNT)


def test_every_operation_that_was_promised_has_a_row():
    promised = {
        "CreateUser GetUser ListUsers UpdateUser DeleteUser TagUser UntagUser ListUserTags",
        "CreateAccessKey ListAccessKeys UpdateAccessKey DeleteAccessKey GetAccessKeyLastUsed",
        "CreateRole GetRole ListRoles UpdateRole UpdateAssumeRolePolicy DeleteRole TagRole UntagRole ListRoleTags",
        "ListInstanceProfilesForRole PutUserPolicy GetUserPolicy ListUserPolicies DeleteUserPolicy",
        "PutRolePolicy GetRolePolicy ListRolePolicies DeleteRolePolicy",
        "CreatePolicy GetPolicy ListPolicies DeletePolicy CreatePolicyVersion GetPolicyVersion ListPolicyVersions",
        "SetDefaultPolicyVersion DeletePolicyVersion AttachUserPolicy DetachUserPolicy ListAttachedUserPolicies",
        "AttachRolePolicy DetachRolePolicy ListAttachedRolePolicies ListEntitiesForPolicy",
        "PutUserPermissionsBoundary DeleteUserPermissionsBoundary PutRolePermissionsBoundary",
        "DeleteRolePermissionsBoundary GetAccountAuthorizationDetails GetAccountSummary",
        "CreateGroup GetGroup ListGroups UpdateGroup DeleteGroup AddUserToGroup RemoveUserFromGroup ListGroupsForUser",
        "PutGroupPolicy GetGroupPolicy ListGroupPolicies DeleteGroupPolicy AttachGroupPolicy DetachGroupPolicy",
        "ListAttachedGroupPolicies GetContextKeysForCustomPolicy GetContextKeysForPrincipalPolicy",
        "TagPolicy UntagPolicy ListPolicyTags UpdateRoleDescription",
    }
    names = {name for line in promised for name in line.split()}
    assert names - {name for service, name in ROWS if service == "iam"} == set()
    sts = {"GetCallerIdentity", "AssumeRole", "GetSessionToken", "GetAccessKeyInfo"}
    sts |= {"GetFederationToken", "DecodeAuthorizationMessage"}
    assert sts == {name for service, name in ROWS if service == "sts"}


async def test_a_stranger_is_denied_every_operation_that_asks_for_a_permission(stage):
    stranger = await stage.user("stranger")
    examples = {
        "UserName": "administrator",
        "GroupName": "g",
        "PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:user/administrator",
        "PolicyInputList": [allow("*")],
        "Arn": f"arn:aws:iam::{ACCOUNT}:user/administrator",
        "ServiceNamespaces": ["lambda"],
        "RoleName": "runner",
        "PolicyName": "p",
        "PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/p",
        "PolicyDocument": allow("*"),
        "AssumeRolePolicyDocument": json.dumps(TRUST),
        "AccessKeyId": "AKIA0000000000000000",
        "Status": "Active",
        "Tags": [{"Key": "a", "Value": "b"}],
        "TagKeys": ["a"],
        "PermissionsBoundary": READ_ONLY,
        "VersionId": "v1",
        "Description": "d",
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/runner",
        "RoleSessionName": "session",
        "Name": "federated",
        "EncodedMessage": "sealed",
    }
    from tests.unit.flows.identity_stage import _MODELS

    for (service, name), row in ROWS.items():
        if row.action is None:
            continue
        shape = _MODELS[service].operation_model(name).input_shape
        needed = {member: examples[member] for member in (shape.required_members if shape else ())}
        if name in {"GetUser", "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey"}:
            needed["UserName"] = "administrator"
        with pytest.raises(errors.Denied, match="is not authorized to perform"):
            await stage.call(name, stranger, service, **needed)


async def test_a_user_lives_from_creation_to_deletion(stage):
    made = await stage.call(
        "CreateUser",
        UserName="Alice",
        Path="/team/",
        Tags=[{"Key": "Stage", "Value": "prod"}],
        PermissionsBoundary=READ_ONLY,
    )
    assert made["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/Alice"
    assert made["User"]["CreateDate"] == CREATED
    assert made["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == READ_ONLY
    assert made == await stage.call("GetUser", UserName="alice")
    listed = await stage.call("ListUsers", PathPrefix="/team/")
    assert [user["UserName"] for user in listed["Users"]] == ["Alice"]
    assert "Tags" not in listed["Users"][0]
    await stage.call("TagUser", UserName="Alice", Tags=[{"Key": "b", "Value": ""}])
    await stage.call("UntagUser", UserName="Alice", TagKeys=["STAGE"])
    tags = await stage.call("ListUserTags", UserName="Alice")
    assert tags == {"Tags": [{"Key": "b", "Value": ""}], "IsTruncated": False}
    await stage.call("UpdateUser", UserName="Alice", NewUserName="Bob", NewPath="/")
    with pytest.raises(NoSuchEntity):
        await stage.call("GetUser", UserName="Alice")
    await stage.call("DeleteUser", UserName="Bob")
    assert [user["UserName"] for user in (await stage.call("ListUsers"))["Users"]] == ["administrator"]


async def test_lists_come_in_pages(stage):
    for number in range(5):
        await stage.call("CreateUser", UserName=f"u{number}")
    names, more = [], {}
    while True:
        listed = await stage.call("ListUsers", MaxItems=2, **more)
        assert len(listed["Users"]) <= 2
        names += [user["UserName"] for user in listed["Users"]]
        if not listed["IsTruncated"]:
            break
        more = {"Marker": listed["Marker"]}
    assert names == ["administrator", "u0", "u1", "u2", "u3", "u4"]
    with pytest.raises(errors.Invalid):
        await stage.call("ListUsers", Marker="not ours")


async def test_who_names_nobody_means_himself(stage):
    alice = await stage.user("alice")
    await stage.call("PutUserPolicy", UserName="alice", PolicyName="p", PolicyDocument=allow("iam:*"))
    assert (await stage.call("GetUser", alice))["User"]["UserName"] == "alice"
    made = await stage.call("CreateAccessKey", alice)
    assert made["AccessKey"]["UserName"] == "alice"
    got = await stage.call("GetUser", root())
    assert (got["User"]["Arn"], got["User"]["UserId"]) == (f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
    session = Principal(
        kind=PrincipalKind.ROLE_SESSION, account_id=ACCOUNT, arn="a", role_arn="b", unique_id="AROA:x", name="r"
    )
    with pytest.raises(errors.Invalid, match="Must specify userName when calling with non-User credentials"):
        await stage.call("GetUser", session)


async def test_an_access_key_tells_its_secret_once(stage):
    await stage.user("alice")
    made = (await stage.call("CreateAccessKey", UserName="alice"))["AccessKey"]
    key_id = made["AccessKeyId"]
    assert len(made["SecretAccessKey"]) == 40
    listed = await stage.call("ListAccessKeys", UserName="alice")
    assert listed["AccessKeyMetadata"] == [
        {"UserName": "alice", "AccessKeyId": key_id, "Status": "Active", "CreateDate": CREATED}
    ]
    await stage.call("UpdateAccessKey", UserName="alice", AccessKeyId=key_id, Status="Inactive")
    listed = await stage.call("ListAccessKeys", UserName="alice")
    assert listed["AccessKeyMetadata"][0]["Status"] == "Inactive"
    used = await stage.call("GetAccessKeyLastUsed", AccessKeyId=key_id)
    assert used == {"UserName": "alice", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}
    assert ("iam:GetAccessKeyLastUsed", f"arn:aws:iam::{ACCOUNT}:user/alice", {}) == stage.decided[-1]
    assert await stage.sts("GetAccessKeyInfo", AccessKeyId=key_id) == {"Account": ACCOUNT}
    with pytest.raises(DeleteConflict):
        await stage.call("DeleteUser", UserName="alice")
    await stage.call("DeleteAccessKey", UserName="alice", AccessKeyId=key_id)
    with pytest.raises(NoSuchEntity):
        await stage.call("GetAccessKeyLastUsed", AccessKeyId=key_id)


async def test_a_role_lives_from_creation_to_deletion(stage):
    made = await stage.call(
        "CreateRole",
        RoleName="runner",
        Path="/service/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="d",
        MaxSessionDuration=7200,
    )
    role = made["Role"]
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/service/runner"
    assert role["AssumeRolePolicyDocument"].startswith("%7B%22Version%22")
    assert document(role["AssumeRolePolicyDocument"]) == TRUST
    assert await stage.call("GetRole", RoleName="runner") == {"Role": role | {"RoleLastUsed": {}}}
    changed = TRUST | {"Statement": TRUST["Statement"] * 2}
    await stage.call("UpdateAssumeRolePolicy", RoleName="runner", PolicyDocument=json.dumps(changed))
    await stage.call("UpdateRole", RoleName="runner", Description="", MaxSessionDuration=3600)
    await stage.call("TagRole", RoleName="runner", Tags=[{"Key": "k", "Value": "v"}])
    assert (await stage.call("ListRoleTags", RoleName="runner"))["Tags"] == [{"Key": "k", "Value": "v"}]
    await stage.call("UntagRole", RoleName="runner", TagKeys=["k"])
    listed = (await stage.call("ListRoles"))["Roles"]
    assert [(one["RoleName"], one["MaxSessionDuration"], "Description" in one) for one in listed] == [
        ("runner", 3600, False)
    ]
    assert document(listed[0]["AssumeRolePolicyDocument"]) == changed
    empty = {"InstanceProfiles": [], "IsTruncated": False}
    assert empty == await stage.call("ListInstanceProfilesForRole", RoleName="runner")
    with pytest.raises(EntityAlreadyExists):
        await stage.call("CreateRole", RoleName="RUNNER", AssumeRolePolicyDocument=json.dumps(TRUST))
    await stage.call("DeleteRole", RoleName="runner")
    with pytest.raises(NoSuchEntity):
        await stage.call("GetRole", RoleName="runner")


@pytest.mark.parametrize(("kind", "member"), [("User", "UserName"), ("Role", "RoleName")])
async def test_policies_of_users_and_roles(stage, kind, member):
    who = {member: "someone"}
    if kind == "User":
        await stage.call("CreateUser", **who)
    else:
        await stage.call("CreateRole", **who, AssumeRolePolicyDocument=json.dumps(TRUST))
    text = allow("s3:*", "arn:aws:s3:::bucket/ü%20")
    await stage.call(f"Put{kind}Policy", **who, PolicyName="p", PolicyDocument=text)
    got = await stage.call(f"Get{kind}Policy", **who, PolicyName="p")
    assert (got[member], got["PolicyName"], document(got["PolicyDocument"])) == ("someone", "p", json.loads(text))
    assert (await stage.call(f"List{kind}Policies", **who))["PolicyNames"] == ["p"]
    await stage.call(f"Delete{kind}Policy", **who, PolicyName="p")
    with pytest.raises(NoSuchEntity) as refused:
        await stage.call(f"Get{kind}Policy", **who, PolicyName="p")
    assert refused.value.message == f"The {kind.lower()} policy with name p cannot be found."

    await stage.call(f"Attach{kind}Policy", **who, PolicyArn=READ_ONLY)
    action, resource, context = stage.decided[-1]
    assert (action, resource) == (f"iam:Attach{kind}Policy", f"arn:aws:iam::{ACCOUNT}:{kind.lower()}/someone")
    assert context["iam:policyarn"] == READ_ONLY
    attached = [{"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY}]
    assert (await stage.call(f"ListAttached{kind}Policies", **who))["AttachedPolicies"] == attached
    assert (await stage.call(f"ListAttached{kind}Policies", **who, PathPrefix="/x/"))["AttachedPolicies"] == []
    entities = await stage.call("ListEntitiesForPolicy", PolicyArn=READ_ONLY)
    assert [one[f"{kind}Name"] for one in entities[f"Policy{kind}s"]] == ["someone"]
    await stage.call(f"Detach{kind}Policy", **who, PolicyArn=READ_ONLY)

    await stage.call(f"Put{kind}PermissionsBoundary", **who, PermissionsBoundary=READ_ONLY)
    assert stage.decided[-1][2] == {"iam:permissionsboundary": READ_ONLY}
    policy = (await stage.call("GetPolicy", PolicyArn=READ_ONLY))["Policy"]
    assert (policy["AttachmentCount"], policy["PermissionsBoundaryUsageCount"]) == (0, 1)
    bound = await stage.call("ListEntitiesForPolicy", PolicyArn=READ_ONLY, PolicyUsageFilter="PermissionsBoundary")
    assert [one[f"{kind}Name"] for one in bound[f"Policy{kind}s"]] == ["someone"]
    await stage.call(f"Delete{kind}PermissionsBoundary", **who)
    assert "PermissionsBoundary" not in (await stage.call(f"Get{kind}", **who))[kind]
    await stage.call(f"Delete{kind}", **who)


async def test_a_managed_policy_lives_from_creation_to_deletion(stage):
    made = await stage.call(
        "CreatePolicy",
        PolicyName="readers",
        Path="/x/",
        PolicyDocument=allow("s3:*"),
        Description="d",
        Tags=[{"Key": "a", "Value": "b"}],
    )
    arn = made["Policy"]["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/x/readers"
    assert made == await stage.call("GetPolicy", PolicyArn=arn)
    version = await stage.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=allow("logs:*"), SetAsDefault=True)
    assert version["PolicyVersion"] == {"VersionId": "v2", "IsDefaultVersion": True, "CreateDate": CREATED}
    listed = (await stage.call("ListPolicyVersions", PolicyArn=arn))["Versions"]
    assert [(one["VersionId"], one["IsDefaultVersion"]) for one in listed] == [("v2", True), ("v1", False)]
    got = await stage.call("GetPolicyVersion", PolicyArn=arn, VersionId="v1")
    assert document(got["PolicyVersion"]["Document"]) == json.loads(allow("s3:*"))
    await stage.call("SetDefaultPolicyVersion", PolicyArn=arn, VersionId="v1")
    await stage.call("DeletePolicyVersion", PolicyArn=arn, VersionId="v2")
    await stage.call("UntagPolicy", PolicyArn=arn, TagKeys=["a"])
    await stage.call("TagPolicy", PolicyArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    assert (await stage.call("ListPolicyTags", PolicyArn=arn))["Tags"] == [{"Key": "c", "Value": "d"}]
    local = (await stage.call("ListPolicies", Scope="Local"))["Policies"]
    assert [one["Arn"] for one in local] == [arn]
    attached = (await stage.call("ListPolicies", OnlyAttached=True))["Policies"]
    assert [one["PolicyName"] for one in attached] == ["AdministratorAccess"]
    await stage.call("DeletePolicy", PolicyArn=arn)
    with pytest.raises(NoSuchEntity, match=f"Policy {arn} was not found."):
        await stage.call("GetPolicy", PolicyArn=arn)
    with pytest.raises(errors.Denied):
        await stage.call("DeletePolicy", PolicyArn=READ_ONLY)


async def test_versions_page_newest_first_across_ten(stage):
    arn = (await stage.call("CreatePolicy", PolicyName="p", PolicyDocument=allow("s3:*")))["Policy"]["Arn"]
    for number in range(2, 12):
        await stage.call("CreatePolicyVersion", PolicyArn=arn, PolicyDocument=allow("s3:*"), SetAsDefault=True)
        if number < 11:
            await stage.call("DeletePolicyVersion", PolicyArn=arn, VersionId=f"v{number - 1}")
    first = await stage.call("ListPolicyVersions", PolicyArn=arn, MaxItems=1)
    second = await stage.call("ListPolicyVersions", PolicyArn=arn, MaxItems=1, Marker=first["Marker"])
    assert [first["Versions"][0]["VersionId"], second["Versions"][0]["VersionId"]] == ["v11", "v10"]
    assert not second["IsTruncated"]


async def test_conditions_on_tags_of_request_and_resource_are_kept(stage):
    alice = await stage.user("alice")
    only_test = {
        "StringEquals": {"aws:RequestTag/Stage": "test"},
        "ForAllValues:StringEquals": {"aws:TagKeys": "Stage"},
    }
    await stage.call(
        "PutUserPolicy", UserName="alice", PolicyName="p", PolicyDocument=allow("iam:CreateUser", Condition=only_test)
    )
    with pytest.raises(errors.Denied, match="iam:TagUser"):
        await stage.call("CreateUser", alice, UserName="b", Tags=[{"Key": "Stage", "Value": "test"}])
    may = allow(["iam:CreateUser", "iam:TagUser"], Condition=only_test)
    await stage.call("PutUserPolicy", UserName="alice", PolicyName="p", PolicyDocument=may)
    await stage.call("CreateUser", alice, UserName="b", Tags=[{"Key": "Stage", "Value": "test"}])
    for tags in (
        [],
        [{"Key": "Stage", "Value": "prod"}],
        [{"Key": "x", "Value": ""}, {"Key": "Stage", "Value": "test"}],
    ):
        with pytest.raises(errors.Denied):
            await stage.call("CreateUser", alice, UserName="c", Tags=tags)
    await stage.call(
        "PutUserPolicy",
        UserName="alice",
        PolicyName="p",
        PolicyDocument=allow("iam:*", Condition={"StringEquals": {"iam:ResourceTag/stage": "test"}}),
    )
    await stage.call("GetUser", alice, UserName="b")
    with pytest.raises(errors.Denied):
        await stage.call("GetUser", alice, UserName="administrator")


async def test_who_must_set_a_boundary_cannot_create_without_it(stage):
    alice = await stage.user("alice")
    bounded = {"StringEquals": {"iam:PermissionsBoundary": READ_ONLY}}
    await stage.call(
        "PutUserPolicy", UserName="alice", PolicyName="p", PolicyDocument=allow("iam:*", Condition=bounded)
    )
    with pytest.raises(errors.Denied):
        await stage.call("CreateUser", alice, UserName="b")
    await stage.call("CreateUser", alice, UserName="b", PermissionsBoundary=READ_ONLY)
    await stage.call("PutUserPolicy", alice, UserName="b", PolicyName="p", PolicyDocument=allow("*"))
    with pytest.raises(errors.Denied):
        await stage.call("PutUserPolicy", alice, UserName="administrator", PolicyName="p", PolicyDocument=allow("*"))


async def test_renaming_needs_the_permission_on_the_new_name_too(stage):
    alice = await stage.user("alice")
    await stage.call(
        "PutUserPolicy",
        UserName="alice",
        PolicyName="p",
        PolicyDocument=allow("iam:UpdateUser", f"arn:aws:iam::{ACCOUNT}:user/alice"),
    )
    with pytest.raises(errors.Denied, match="user/admins/alice"):
        await stage.call("UpdateUser", alice, UserName="alice", NewPath="/admins/")


async def test_renaming_a_group_needs_the_permission_on_the_new_name_too(stage):
    alice = await stage.user("alice")
    await stage.call("CreateGroup", GroupName="devs")
    may = allow("iam:UpdateGroup", [f"arn:aws:iam::{ACCOUNT}:group/devs", f"arn:aws:iam::{ACCOUNT}:group/ops"])
    await stage.call("PutUserPolicy", UserName="alice", PolicyName="p", PolicyDocument=may)
    with pytest.raises(errors.Denied, match="group/admins"):
        await stage.call("UpdateGroup", alice, GroupName="devs", NewGroupName="admins")
    await stage.call("UpdateGroup", alice, GroupName="devs", NewGroupName="ops")
    assert "ops" == (await stage.call("GetGroup", GroupName="OPS"))["Group"]["GroupName"]


async def test_who_may_change_one_group_cannot_join_another(stage):
    alice = await stage.user("alice")
    for name in ("devs", "admins"):
        await stage.call("CreateGroup", GroupName=name)
    may = allow("iam:AddUserToGroup", f"arn:aws:iam::{ACCOUNT}:group/devs")
    await stage.call("PutUserPolicy", UserName="alice", PolicyName="p", PolicyDocument=may)
    await stage.call("AddUserToGroup", alice, GroupName="devs", UserName="alice")
    with pytest.raises(errors.Denied, match="group/admins"):
        await stage.call("AddUserToGroup", alice, GroupName="admins", UserName="alice")


async def test_a_stranger_cannot_tell_a_missing_user_from_a_present_one(stage):
    stranger = await stage.user("stranger")
    messages = []
    for name in ("administrator", "nobody"):
        with pytest.raises(errors.Denied) as refused:
            await stage.call("GetUser", stranger, UserName=name)
        messages.append(refused.value.message.replace(name, "X"))
    assert messages[0] == messages[1]


async def test_everybody_may_ask_who_he_is(stage):
    stranger = await stage.user("stranger")
    assert await stage.sts("GetCallerIdentity", stranger) == {
        "UserId": stranger.unique_id,
        "Account": ACCOUNT,
        "Arn": stranger.arn,
    }


async def test_assuming_a_role_gives_credentials_that_the_gate_accepts(stage):
    await stage.call("CreateRole", RoleName="runner", AssumeRolePolicyDocument=json.dumps(TRUST))
    arn = f"arn:aws:iam::{ACCOUNT}:role/runner"
    result = await stage.sts("AssumeRole", RoleArn=arn, RoleSessionName="work", DurationSeconds=900)
    assert result["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/runner/work"
    assert result["Credentials"]["AccessKeyId"].startswith("ASIA")
    assert result["Credentials"]["Expiration"] == datetime.fromtimestamp(NOW_MS // 1000 + 900, UTC)
    assert "PackedPolicySize" not in result


async def test_session_tags_and_a_source_identity_need_permissions_of_their_own(stage):
    await stage.call("CreateRole", RoleName="runner", AssumeRolePolicyDocument=json.dumps(TRUST))
    call = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/runner", "RoleSessionName": "work"}
    tags = {"Tags": [{"Key": "a", "Value": "b"}]}
    with pytest.raises(errors.Denied, match="sts:TagSession"):
        await stage.sts("AssumeRole", **call, **tags)
    with pytest.raises(errors.Denied, match="sts:SetSourceIdentity"):
        await stage.sts("AssumeRole", **call, SourceIdentity="someone")
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    wider = TRUST | {"Statement": [TRUST["Statement"][0] | {"Action": actions}]}
    await stage.call("UpdateAssumeRolePolicy", RoleName="runner", PolicyDocument=json.dumps(wider))
    result = await stage.sts(
        "AssumeRole", **call, **tags, SourceIdentity="someone", Policy=allow("s3:*"), PolicyArns=[{"arn": READ_ONLY}]
    )
    assert result["SourceIdentity"] == "someone"
    assert 1 <= result["PackedPolicySize"] <= 100


async def test_a_missing_role_is_denied_as_one_that_does_not_trust(stage):
    arn = f"arn:aws:iam::{ACCOUNT}:role/missing"
    with pytest.raises(errors.Denied) as refused:
        await stage.sts("AssumeRole", RoleArn=arn, RoleSessionName="work")
    assert f"is not authorized to perform: sts:AssumeRole on resource: {arn}" in refused.value.message
    with pytest.raises(errors.Invalid):
        await stage.sts("AssumeRole", RoleArn="not-an-arn-but-long-enough", RoleSessionName="work")


async def test_a_second_factor_is_refused_and_never_ignored(stage):
    await stage.call("CreateRole", RoleName="runner", AssumeRolePolicyDocument=json.dumps(TRUST))
    factor = {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/x", "TokenCode": "123456"}
    with pytest.raises(errors.NotImplementedHere):
        await stage.sts("GetSessionToken", **factor)
    with pytest.raises(errors.NotImplementedHere):
        await stage.sts("AssumeRole", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/runner", RoleSessionName="work", **factor)


async def test_get_session_token_needs_no_permission(stage):
    stranger = await stage.user("stranger")
    result = await stage.sts("GetSessionToken", stranger, DurationSeconds=900)
    assert result["Credentials"]["Expiration"] == datetime.fromtimestamp(NOW_MS // 1000 + 900, UTC)


async def test_account_authorization_details_are_whole_in_pages(stage):
    await stage.call("CreateRole", RoleName="runner", AssumeRolePolicyDocument=json.dumps(TRUST))
    await stage.call("PutRolePolicy", RoleName="runner", PolicyName="p", PolicyDocument=allow("s3:*"))
    await stage.call("AttachRolePolicy", RoleName="runner", PolicyArn=READ_ONLY)
    await stage.call("CreatePolicy", PolicyName="mine", PolicyDocument=allow("s3:*"))
    users, roles, policies, more = [], [], [], {}
    while True:
        part = await stage.call("GetAccountAuthorizationDetails", MaxItems=1, **more)
        users += part["UserDetailList"]
        roles += part["RoleDetailList"]
        policies += part["Policies"]
        if not part["IsTruncated"]:
            break
        more = {"Marker": part["Marker"]}
    assert [user["UserName"] for user in users] == ["administrator"]
    assert document(roles[0]["RolePolicyList"][0]["PolicyDocument"]) == json.loads(allow("s3:*"))
    assert roles[0]["AttachedManagedPolicies"] == [{"PolicyName": "ReadOnlyAccess", "PolicyArn": READ_ONLY}]
    assert [policy["PolicyName"] for policy in policies] == ["AdministratorAccess", "ReadOnlyAccess", "mine"]
    filtered = await stage.call("GetAccountAuthorizationDetails", Filter=["Role"])
    assert (filtered["UserDetailList"], filtered["Policies"]) == ([], [])


async def test_a_refused_change_leaves_nothing(stage):
    with pytest.raises(NoSuchEntity):
        await stage.call("CreateUser", UserName="alice", PermissionsBoundary=f"arn:aws:iam::{ACCOUNT}:policy/missing")
    assert [user["UserName"] for user in (await stage.call("ListUsers"))["Users"]] == ["administrator"]
