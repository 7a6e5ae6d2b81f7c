"""The organization over the wire: boto3 against a real platform, the good case and the main refusals."""

from __future__ import annotations

import json
import uuid

import pytest
from botocore.exceptions import ClientError

from .conftest import RUNTIME, TRUST, package, start

SCP, RCP = "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"
FULL, RCP_FULL = "p-FullAWSAccess", "p-RCPFullAWSAccess"
DENY_GROUPS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "iam:CreateUser", "Resource": "*"}]}
)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """An installation of its own: guardrails would be felt by other modules."""
    running = start(tmp_path_factory.mktemp("organizations") / "data")
    yield running
    assert running.stop() == 0, running.log.read_text()[-4000:]


@pytest.fixture(scope="module")
def organizations(house):
    return house.client("organizations")


@pytest.fixture(scope="module")
def root(organizations):
    return organizations.list_roots()["Roots"][0]["Id"]


@pytest.fixture
def unit(organizations, root):
    made = organizations.create_organizational_unit(ParentId=root, Name=f"unit-{uuid.uuid4().hex[:8]}")
    return made["OrganizationalUnit"]["Id"]


def new_account(organizations, **more):
    mark = uuid.uuid4().hex[:10]
    asked = {"AccountName": f"a {mark}", "Email": f"{mark}@example.com"} | more
    return organizations.create_account(**asked)["CreateAccountStatus"]


def inside(house, account_id, service, role="OrganizationAccountAccessRole"):
    """A client that came into an account through its access role."""
    arn = f"arn:aws:iam::{account_id}:role/{role}"
    keys = house.client("sts").assume_role(RoleArn=arn, RoleSessionName="way-in")["Credentials"]
    return house.client_for(service, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def refused(call, *arguments, **parameters):
    with pytest.raises(ClientError) as caught:
        call(*arguments, **parameters)
    error = caught.value.response
    return error["Error"]["Code"], error.get("Reason"), error["Error"]["Message"]


def new_policy(organizations, content=DENY_GROUPS, kind=SCP, **more):
    name = f"policy-{uuid.uuid4().hex[:8]}"
    made = organizations.create_policy(Content=content, Description="text", Name=name, Type=kind, **more)
    return made["Policy"]["PolicySummary"]["Id"]


# --- the organization ------------------------------------------------------------------------------------------------


def test_the_organization_is_there_from_the_first_start(house, organizations, root):
    account = house.client("sts").get_caller_identity()["Account"]
    found = organizations.describe_organization()["Organization"]
    assert account == found["MasterAccountId"]
    assert f"arn:aws:organizations::{account}:organization/{found['Id']}" == found["Arn"]
    assert f"arn:aws:organizations::{account}:account/{found['Id']}/{account}" == found["MasterAccountArn"]
    assert "ALL" == found["FeatureSet"]
    (described,) = organizations.list_roots()["Roots"]
    assert f"arn:aws:organizations::{account}:root/{found['Id']}/{root}" == described["Arn"]
    assert [{"Type": SCP, "Status": "ENABLED"}] == described["PolicyTypes"]
    code, _, message = refused(organizations.create_organization, FeatureSet="ALL")
    assert "AlreadyInOrganizationException" == code
    assert "The AWS account is already a member of an organization." == message


def test_a_new_account_is_there_at_once_and_the_management_account_has_a_way_in(house, organizations, root):
    status = new_account(organizations, Tags=[{"Key": "team", "Value": "red"}], IamUserAccessToBilling="DENY")
    assert ("SUCCEEDED", None) == (status["State"], status.get("FailureReason"))
    again = organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])["CreateAccountStatus"]
    assert status == again
    assert status["Id"] in {s["Id"] for s in organizations.list_create_account_status()["CreateAccountStatuses"]}
    account = organizations.describe_account(AccountId=status["AccountId"])["Account"]
    assert ("ACTIVE", "CREATED", status["AccountName"]) == (account["Status"], account["JoinedMethod"], account["Name"])
    assert [{"Key": "team", "Value": "red"}] == organizations.list_tags_for_resource(ResourceId=account["Id"])["Tags"]
    assert [{"Id": root, "Type": "ROOT"}] == organizations.list_parents(ChildId=account["Id"])["Parents"]
    identity = inside(house, account["Id"], "sts").get_caller_identity()
    assert account["Id"] == identity["Account"]
    role = inside(house, account["Id"], "iam").get_role(RoleName="OrganizationAccountAccessRole")["Role"]
    management = organizations.describe_organization()["Organization"]["MasterAccountId"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert {"AWS": f"arn:aws:iam::{management}:root"} == statement["Principal"]


def test_the_access_role_can_have_another_name(house, organizations):
    status = new_account(organizations, RoleName="door")
    assert status["AccountId"] == inside(house, status["AccountId"], "sts", "door").get_caller_identity()["Account"]
    code, reason, _ = refused(
        organizations.create_account, AccountName="x", Email="other@example.com", RoleName="a" * 64 + "b"
    )
    assert "InvalidInputException" == code


def test_an_email_can_be_used_once(organizations):
    status = new_account(organizations)
    email = organizations.describe_account(AccountId=status["AccountId"])["Account"]["Email"]
    failed = new_account(organizations, Email=email.upper())
    assert ("FAILED", "EMAIL_ALREADY_EXISTS", None) == (
        failed["State"],
        failed["FailureReason"],
        failed.get("AccountId"),
    )
    listed = organizations.list_create_account_status(States=["FAILED"])["CreateAccountStatuses"]
    assert failed["Id"] in {one["Id"] for one in listed}


def test_what_is_not_there_is_told_in_the_apis_words(organizations, root):
    nobody, nowhere, nothing = "000000000000", f"ou-{root[2:]}-zzzzzzzz", "p-zzzzzzzz"
    codes = [
        refused(organizations.describe_account, AccountId=nobody)[0],
        refused(organizations.close_account, AccountId=nobody)[0],
        refused(organizations.move_account, AccountId=nobody, SourceParentId=root, DestinationParentId=nowhere)[0],
        refused(organizations.list_accounts_for_parent, ParentId=nowhere)[0],
        refused(organizations.list_children, ParentId=nowhere, ChildType="ACCOUNT")[0],
        refused(organizations.list_parents, ChildId=nobody)[0],
        refused(organizations.create_organizational_unit, ParentId=nowhere, Name="x")[0],
        refused(organizations.describe_organizational_unit, OrganizationalUnitId=nowhere)[0],
        refused(organizations.update_organizational_unit, OrganizationalUnitId=nowhere, Name="x")[0],
        refused(organizations.delete_organizational_unit, OrganizationalUnitId=nowhere)[0],
        refused(organizations.describe_policy, PolicyId=nothing)[0],
        refused(organizations.attach_policy, PolicyId=nothing, TargetId=root)[0],
        refused(organizations.attach_policy, PolicyId=FULL, TargetId=nobody)[0],
        refused(organizations.list_targets_for_policy, PolicyId=nothing)[0],
        refused(organizations.list_policies_for_target, TargetId=nobody, Filter=SCP)[0],
        refused(organizations.enable_policy_type, RootId="r-zzzz", PolicyType=RCP)[0],
        refused(organizations.describe_create_account_status, CreateAccountRequestId="car-zzzzzzzz")[0],
        refused(organizations.list_tags_for_resource, ResourceId=nothing)[0],
    ]
    assert [
        "AccountNotFoundException",
        "AccountNotFoundException",
        "AccountNotFoundException",
        "ParentNotFoundException",
        "ParentNotFoundException",
        "ChildNotFoundException",
        "ParentNotFoundException",
        "OrganizationalUnitNotFoundException",
        "OrganizationalUnitNotFoundException",
        "OrganizationalUnitNotFoundException",
        "PolicyNotFoundException",
        "PolicyNotFoundException",
        "TargetNotFoundException",
        "PolicyNotFoundException",
        "TargetNotFoundException",
        "RootNotFoundException",
        "CreateAccountStatusNotFoundException",
        "TargetNotFoundException",
    ] == codes


def test_what_an_organization_here_never_has_is_listed_as_none(organizations):
    assert [] == organizations.list_aws_service_access_for_organization()["EnabledServicePrincipals"]
    assert [] == organizations.list_delegated_administrators()["DelegatedAdministrators"]
    assert [] == organizations.list_handshakes_for_organization()["Handshakes"]
    assert [] == organizations.list_handshakes_for_account()["Handshakes"]
    code, _, _ = refused(organizations.invite_account_to_organization, Target={"Id": "111122223333", "Type": "ACCOUNT"})
    assert "NotImplementedException" == code


# --- the tree --------------------------------------------------------------------------------------------------------


def test_accounts_move_between_units(organizations, root, unit):
    account = new_account(organizations)["AccountId"]
    organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
    assert [account] == [a["Id"] for a in organizations.list_accounts_for_parent(ParentId=unit)["Accounts"]]
    assert [{"Id": account, "Type": "ACCOUNT"}] == organizations.list_children(ParentId=unit, ChildType="ACCOUNT")[
        "Children"
    ]
    assert [{"Id": unit, "Type": "ORGANIZATIONAL_UNIT"}] == organizations.list_parents(ChildId=account)["Parents"]
    moving = {"AccountId": account, "SourceParentId": root, "DestinationParentId": unit}
    assert "SourceParentNotFoundException" == refused(organizations.move_account, **moving)[0]
    moving |= {"SourceParentId": unit}
    assert "DuplicateAccountException" == refused(organizations.move_account, **moving)[0]
    moving |= {"DestinationParentId": f"ou-{root[2:]}-zzzzzzzz"}
    assert "DestinationParentNotFoundException" == refused(organizations.move_account, **moving)[0]
    assert (
        "OrganizationalUnitNotEmptyException"
        == refused(organizations.delete_organizational_unit, OrganizationalUnitId=unit)[0]
    )
    organizations.move_account(AccountId=account, SourceParentId=unit, DestinationParentId=root)
    organizations.delete_organizational_unit(OrganizationalUnitId=unit)


def test_units_have_names_of_their_own_under_one_parent_and_five_levels(organizations, root, unit):
    described = organizations.describe_organizational_unit(OrganizationalUnitId=unit)["OrganizationalUnit"]
    under_root = organizations.list_organizational_units_for_parent(ParentId=root)["OrganizationalUnits"]
    assert described in under_root
    twice = {"ParentId": root, "Name": described["Name"]}
    assert "DuplicateOrganizationalUnitException" == refused(organizations.create_organizational_unit, **twice)[0]
    renamed = organizations.update_organizational_unit(OrganizationalUnitId=unit, Name=described["Name"] + "!")
    assert described["Name"] + "!" == renamed["OrganizationalUnit"]["Name"]
    parent = unit
    for _ in range(4):
        made = organizations.create_organizational_unit(
            ParentId=parent, Name="deeper", Tags=[{"Key": "k", "Value": ""}]
        )
        parent = made["OrganizationalUnit"]["Id"]
    code, reason, _ = refused(organizations.create_organizational_unit, ParentId=parent, Name="deeper")
    assert ("ConstraintViolationException", "OU_DEPTH_LIMIT_EXCEEDED") == (code, reason)
    assert (
        "OrganizationalUnitNotEmptyException"
        == refused(organizations.delete_organizational_unit, OrganizationalUnitId=unit)[0]
    )


def test_lists_come_in_pages_that_together_are_everything(organizations, root):
    for _ in range(3):
        new_account(organizations)
    pages = list(organizations.get_paginator("list_accounts").paginate(PaginationConfig={"PageSize": 2}))
    accounts = [account["Id"] for page in pages for account in page["Accounts"]]
    assert len(pages) > 1
    assert all(len(page["Accounts"]) <= 2 for page in pages)
    assert sorted(set(accounts)) == accounts
    code, reason, _ = refused(organizations.list_accounts, NextToken="*")
    assert ("InvalidInputException", "INVALID_NEXT_TOKEN") == (code, reason)


def test_tags_are_kept_on_everything_that_has_an_id(organizations, root, unit):
    policy = new_policy(organizations, Tags=[{"Key": "first", "Value": "1"}])
    for resource in (root, unit, policy):
        organizations.tag_resource(ResourceId=resource, Tags=[{"Key": "k", "Value": "v"}])
        tags = organizations.list_tags_for_resource(ResourceId=resource)["Tags"]
        assert {"Key": "k", "Value": "v"} in tags
        organizations.untag_resource(ResourceId=resource, TagKeys=["K", "first"])
        assert [] == organizations.list_tags_for_resource(ResourceId=resource)["Tags"]
    twice = [{"Key": "k", "Value": "v"}, {"Key": "K", "Value": "v"}]
    assert "InvalidInputException" == refused(organizations.tag_resource, ResourceId=unit, Tags=twice)[0]
    many = [{"Key": f"k{n}", "Value": ""} for n in range(51)]
    code, reason, _ = refused(organizations.tag_resource, ResourceId=unit, Tags=many)
    assert ("ConstraintViolationException", "MAX_TAG_LIMIT_EXCEEDED") == (code, reason)


# --- policies --------------------------------------------------------------------------------------------------------


def test_policies_are_made_changed_and_deleted(organizations, root, unit):
    policy = new_policy(organizations)
    described = organizations.describe_policy(PolicyId=policy)["Policy"]
    management = organizations.describe_organization()["Organization"]
    arn = f"arn:aws:organizations::{management['MasterAccountId']}:policy/{management['Id']}/service_control_policy"
    assert f"{arn}/{policy}" == described["PolicySummary"]["Arn"]
    assert (DENY_GROUPS, False) == (described["Content"], described["PolicySummary"]["AwsManaged"])
    changed = organizations.update_policy(PolicyId=policy, Name=f"new {policy}", Description="other")["Policy"]
    assert (f"new {policy}", "other") == (changed["PolicySummary"]["Name"], changed["PolicySummary"]["Description"])
    assert {FULL, policy} <= {p["Id"] for p in organizations.list_policies(Filter=SCP)["Policies"]}
    assert [RCP_FULL] == [p["Id"] for p in organizations.list_policies(Filter=RCP)["Policies"]]
    assert [] == organizations.list_policies(Filter="TAG_POLICY")["Policies"]
    given = {"Content": DENY_GROUPS, "Description": "", "Name": f"new {policy}", "Type": SCP}
    assert "DuplicatePolicyException" == refused(organizations.create_policy, **given)[0]
    organizations.attach_policy(PolicyId=policy, TargetId=unit)
    assert "PolicyInUseException" == refused(organizations.delete_policy, PolicyId=policy)[0]
    on_unit = organizations.list_policies_for_target(TargetId=unit, Filter=SCP)["Policies"]
    assert {FULL, policy} == {p["Id"] for p in on_unit}
    (target,) = organizations.list_targets_for_policy(PolicyId=policy)["Targets"]
    assert (unit, "ORGANIZATIONAL_UNIT") == (target["TargetId"], target["Type"])
    again = {"PolicyId": policy, "TargetId": unit}
    assert "DuplicatePolicyAttachmentException" == refused(organizations.attach_policy, **again)[0]
    organizations.detach_policy(**again)
    assert "PolicyNotAttachedException" == refused(organizations.detach_policy, **again)[0]
    organizations.delete_policy(PolicyId=policy)
    assert "PolicyNotFoundException" == refused(organizations.describe_policy, PolicyId=policy)[0]


def test_what_the_platform_ships_cannot_be_changed(organizations):
    for call in (organizations.delete_policy, organizations.update_policy):
        code, reason, _ = refused(call, PolicyId=FULL)
        assert ("InvalidInputException", "IMMUTABLE_POLICY") == (code, reason)
    described = organizations.describe_policy(PolicyId=FULL)["Policy"]["PolicySummary"]
    assert "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess" == described["Arn"]


def test_a_target_has_one_to_five_policies_of_a_type(organizations, unit):
    code, reason, _ = refused(organizations.detach_policy, PolicyId=FULL, TargetId=unit)
    assert ("ConstraintViolationException", "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED") == (code, reason)
    for _ in range(4):
        organizations.attach_policy(PolicyId=new_policy(organizations), TargetId=unit)
    code, reason, _ = refused(organizations.attach_policy, PolicyId=new_policy(organizations), TargetId=unit)
    assert ("ConstraintViolationException", "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED") == (code, reason)
    organizations.detach_policy(PolicyId=FULL, TargetId=unit)


def test_policies_that_are_not_of_their_type_are_refused(organizations):
    def content(**statement):
        return json.dumps({"Version": "2012-10-17", "Statement": [{"Action": "s3:*", "Resource": "*"} | statement]})

    malformed = "MalformedPolicyDocumentException"
    given = {"Description": "", "Name": "x"}
    for kind, text in [
        (SCP, "not json"),
        (SCP, content(Effect="Deny", Principal="*")),
        (RCP, content(Effect="Deny")),
        (RCP, content(Effect="Allow", Principal="*")),
        (RCP, content(Effect="Deny", Principal={"AWS": "111122223333"})),
    ]:
        assert malformed == refused(organizations.create_policy, Content=text, Type=kind, **given)[0]
    long = content(Effect="Deny") + " " * 5120
    code, reason, _ = refused(organizations.create_policy, Content=long, Type=SCP, **given)
    assert ("ConstraintViolationException", "POLICY_CONTENT_LIMIT_EXCEEDED") == (code, reason)
    other = "PolicyTypeNotAvailableForOrganizationException"
    assert other == refused(organizations.create_policy, Content="{}", Type="TAG_POLICY", **given)[0]


def test_a_policy_type_is_switched_on_and_off_for_the_whole_organization(organizations, root, unit):
    enabled = organizations.enable_policy_type(RootId=root, PolicyType=RCP)["Root"]
    assert {SCP, RCP} == {kind["Type"] for kind in enabled["PolicyTypes"]}
    assert (
        "PolicyTypeAlreadyEnabledException" == refused(organizations.enable_policy_type, RootId=root, PolicyType=RCP)[0]
    )
    code, reason, _ = refused(organizations.detach_policy, PolicyId=RCP_FULL, TargetId=unit)
    assert ("InvalidInputException", "NON_DETACHABLE_POLICY") == (code, reason)
    assert [] == organizations.list_policies_for_target(TargetId=unit, Filter="TAG_POLICY")["Policies"]
    organizations.disable_policy_type(RootId=root, PolicyType=RCP)
    assert [] == organizations.list_policies_for_target(TargetId=unit, Filter=RCP)["Policies"]
    for kind in (RCP, "TAG_POLICY"):
        assert (
            "PolicyTypeNotEnabledException"
            == refused(organizations.disable_policy_type, RootId=root, PolicyType=kind)[0]
        )
    attaching = {"PolicyId": RCP_FULL, "TargetId": unit}
    assert "PolicyTypeNotEnabledException" == refused(organizations.attach_policy, **attaching)[0]


# --- who may ---------------------------------------------------------------------------------------------------------


def test_a_member_account_sees_the_organization_and_nothing_else_of_it(house, organizations, root):
    account = new_account(organizations)["AccountId"]
    member = inside(house, account, "organizations")
    assert organizations.describe_organization()["Organization"] == member.describe_organization()["Organization"]
    for call, parameters in [
        (member.list_accounts, {}),
        (member.list_roots, {}),
        (member.describe_account, {"AccountId": account}),
        (member.close_account, {"AccountId": account}),
        (member.create_account, {"AccountName": "x", "Email": "x@example.com"}),
        (member.list_policies, {"Filter": SCP}),
        (member.detach_policy, {"PolicyId": FULL, "TargetId": account}),
        (member.attach_policy, {"PolicyId": FULL, "TargetId": account}),
        (member.disable_policy_type, {"RootId": root, "PolicyType": SCP}),
        (member.tag_resource, {"ResourceId": account, "Tags": [{"Key": "k", "Value": "v"}]}),
    ]:
        code, _, message = refused(call, **parameters)
        assert ("AccessDeniedException", "You don't have permissions to access this resource.") == (code, message)


# --- what guardrails do ----------------------------------------------------------------------------------------------


def test_a_service_control_policy_binds_on_the_next_call_and_names_itself(house, organizations, unit, root):
    account = new_account(organizations)["AccountId"]
    iam = inside(house, account, "iam")
    iam.create_user(UserName="before")
    policy = new_policy(organizations)
    organizations.attach_policy(PolicyId=policy, TargetId=account)
    arn = organizations.describe_policy(PolicyId=policy)["Policy"]["PolicySummary"]["Arn"]
    code, _, message = refused(iam.create_user, UserName="after")
    assert "AccessDenied" == code
    assert message.endswith(f"with an explicit deny in a service control policy: {arn}")
    organizations.update_policy(PolicyId=policy, Content=DENY_GROUPS.replace("CreateUser", "CreateRole"))
    iam.create_user(UserName="after")
    organizations.update_policy(PolicyId=policy, Content=DENY_GROUPS)
    organizations.detach_policy(PolicyId=policy, TargetId=account)
    iam.create_user(UserName="later")
    # On the unit above it is the same, from the move on.
    organizations.attach_policy(PolicyId=policy, TargetId=unit)
    iam.create_user(UserName="still")
    organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
    assert "AccessDenied" == refused(iam.create_user, UserName="no-more")[0]


def test_every_level_of_service_control_policies_must_allow(house, organizations, unit, root):
    account = new_account(organizations)["AccountId"]
    organizations.move_account(AccountId=account, SourceParentId=root, DestinationParentId=unit)
    iam = inside(house, account, "iam")
    reading = {"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*"}
    policy = new_policy(organizations, json.dumps({"Version": "2012-10-17", "Statement": [reading]}))
    organizations.attach_policy(PolicyId=policy, TargetId=unit)
    iam.create_user(UserName="one")
    organizations.detach_policy(PolicyId=FULL, TargetId=unit)
    iam.list_users()
    _, _, message = refused(iam.create_user, UserName="two")
    assert message.endswith("because no service control policy allows the iam:CreateUser action")


def test_the_management_account_is_bound_by_no_guardrail(house, organizations, root):
    policy = new_policy(organizations)
    account = new_account(organizations)["AccountId"]
    organizations.attach_policy(PolicyId=policy, TargetId=root)
    try:
        house.client("iam").create_user(UserName="unbound")
        assert "AccessDenied" == refused(inside(house, account, "iam").create_user, UserName="bound")[0]
    finally:
        organizations.detach_policy(PolicyId=policy, TargetId=root)


def test_a_resource_control_policy_binds_everybody_who_comes_to_an_account(house, organizations, root):
    account = new_account(organizations)["AccountId"]
    deny = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", "Resource": "*"}
    organizations.enable_policy_type(RootId=root, PolicyType=RCP)
    try:
        policy = new_policy(organizations, json.dumps({"Version": "2012-10-17", "Statement": [deny]}), RCP)
        organizations.attach_policy(PolicyId=policy, TargetId=account)
        arn = organizations.describe_policy(PolicyId=policy)["Policy"]["PolicySummary"]["Arn"]
        _, _, message = refused(inside, house, account, "iam")
        assert message.endswith(f"with an explicit deny in a resource control policy: {arn}")
        organizations.detach_policy(PolicyId=policy, TargetId=account)
        inside(house, account, "iam").list_users()
    finally:
        organizations.disable_policy_type(RootId=root, PolicyType=RCP)


def test_a_perimeter_of_the_organization_lets_its_functions_run(house, organizations, root):
    """The example of docs/howto/write-a-guardrail.md."""
    account = new_account(organizations)["AccountId"]
    functions, iam = inside(house, account, "lambda"), inside(house, account, "iam")
    role = iam.create_role(RoleName="worker", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    code = {"ZipFile": package("def handler(event, context):\n    return event\n")}
    functions.create_function(FunctionName="f", Runtime=RUNTIME, Role=role, Handler="app.handler", Code=code)
    functions.get_waiter("function_active_v2").wait(FunctionName="f", WaiterConfig={"Delay": 1})

    def perimeter(organization):
        return json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Deny",
                        "Principal": "*",
                        "Action": ["sts:AssumeRole", "lambda:InvokeFunction"],
                        "Resource": "*",
                        "Condition": {
                            "StringNotEqualsIfExists": {"aws:PrincipalOrgID": organization},
                            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
                        },
                    }
                ],
            }
        )

    ours = organizations.describe_organization()["Organization"]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType=RCP)
    try:
        policy = new_policy(organizations, perimeter(ours), RCP)
        organizations.attach_policy(PolicyId=policy, TargetId=account)
        assert b"1" == functions.invoke(FunctionName="f", Payload=b"1")["Payload"].read()
        assert account == inside(house, account, "sts").get_caller_identity()["Account"]
        organizations.update_policy(PolicyId=policy, Content=perimeter("o-zzzzzzzzzz"))
        assert "AccessDeniedException" == refused(functions.invoke, FunctionName="f")[0]
        assert "AccessDenied" == refused(inside, house, account, "sts")[0]
    finally:
        organizations.disable_policy_type(RootId=root, PolicyType=RCP)


def test_nobody_of_a_closed_account_comes_in_and_nobody_gets_at_it(house, organizations):
    account = new_account(organizations)["AccountId"]
    iam = inside(house, account, "iam")
    iam.create_user(UserName="alice")
    key = iam.create_access_key(UserName="alice")["AccessKey"]
    alice = house.client_for("sts", key["AccessKeyId"], key["SecretAccessKey"])
    alice.get_caller_identity()
    organizations.close_account(AccountId=account)
    assert "SUSPENDED" == organizations.describe_account(AccountId=account)["Account"]["Status"]
    assert "InvalidClientTokenId" == refused(alice.get_caller_identity)[0]
    assert "InvalidClientTokenId" == refused(iam.list_users)[0]
    assert "AccessDenied" == refused(inside, house, account, "iam")[0]
    assert "AccountAlreadyClosedException" == refused(organizations.close_account, AccountId=account)[0]
    management = organizations.describe_organization()["Organization"]["MasterAccountId"]
    code, reason, _ = refused(organizations.close_account, AccountId=management)
    assert ("ConstraintViolationException", "CANNOT_CLOSE_MANAGEMENT_ACCOUNT") == (code, reason)
