"""The library of ready policies: each is well-formed, and grants and denies what administrators expect of its name."""

import json
from dataclasses import replace

import pytest
from tests.unit.iam.conftest import ACCOUNT, NOW_MS

from leastwise.flows.operations import operations_table
from leastwise.iam import seed
from leastwise.iam.directory import IdentityKind, IdentityRef, PolicyVersion
from leastwise.iam.interface import PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.document import validate_document
from leastwise.iam.policy.evaluate import Layers, decide
from leastwise.iam.policy.sizes import check_managed_policy

SHIPPED = {policy.name: policy for policy in seed.built_in_policies(now_ms=NOW_MS)}
ANN = Principal(
    kind=PrincipalKind.USER,
    account_id=ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/team/ann",
    unique_id="AIDA234567ABCDEFGHIJK",
    name="ann",
)
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
USER = f"arn:aws:iam::{ACCOUNT}:user"
ROLE = f"arn:aws:iam::{ACCOUNT}:role"
FUNCTION = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:f"
TO_LAMBDA = {"iam:passedtoservice": "lambda.amazonaws.com"}
MFA = {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": "60"}
OLD_MFA = {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": "7200"}
NO_MFA = {"aws:multifactorauthpresent": "false"}
NOON = {"leastwise:timeofday": "12:00", "leastwise:dayofweek": "Mon"}
NIGHT = {"leastwise:timeofday": "23:30", "leastwise:dayofweek": "Mon"}
MORNING = {"leastwise:timeofday": "06:59", "leastwise:dayofweek": "Mon"}
SUNDAY = {"leastwise:timeofday": "12:00", "leastwise:dayofweek": "Sun"}


def decided(name, action, resource="*", context=None, *, beside=(), boundary=False) -> bool:
    """Whether the policy allows it to ann, beside other policies or as her boundary."""
    document = SHIPPED[name].default_version.document
    kind = PolicyKind.BOUNDARY if boundary else PolicyKind.IDENTITY
    policy = compile_policy(document, name=name, kind=kind)
    others = tuple(compile_policy(text, name="other", kind=PolicyKind.IDENTITY) for text in beside)
    layers = Layers(identity=others, boundary=policy) if boundary else Layers(identity=(policy, *others))
    request = Request(
        principal=ANN,
        action=action,
        resource=resource,
        resource_account_id=ACCOUNT,
        context={"aws:username": "ann", **(context or {})},
    )
    return decide(request, layers).allowed


@pytest.mark.parametrize("name", SHIPPED)
def test_every_policy_would_pass_the_door_it_never_comes_through(name):
    policy = SHIPPED[name]
    validate_document(policy.default_version.document, kind=PolicyKind.IDENTITY)
    check_managed_policy(policy.default_version.document)
    assert 0 < len(policy.description) <= 1000


def test_names_and_ids_are_used_once():
    assert len(SHIPPED) == len(seed.built_in_policies(now_ms=NOW_MS))
    assert len(SHIPPED) == len({name.lower() for name in SHIPPED})
    assert len(SHIPPED) == len({policy.policy_id for policy in SHIPPED.values()})


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_ours_says_so(name):
    policy = SHIPPED[name]
    assert name.startswith("Leastwise") == (policy.path == "/leastwise/")
    assert policy.arn == f"arn:aws:iam::aws:policy{policy.path}{name}"


YES, NO = True, False
SAMPLES = [
    ("AdministratorAccess", "iam:CreateUser", f"{USER}/x", {}, YES),
    ("PowerUserAccess", "lambda:CreateFunction", FUNCTION, {}, YES),
    ("PowerUserAccess", "iam:ListRoles", "*", {}, YES),
    ("PowerUserAccess", "iam:CreateUser", f"{USER}/x", {}, NO),
    ("PowerUserAccess", "iam:PassRole", f"{ROLE}/x", TO_LAMBDA, NO),
    ("PowerUserAccess", "organizations:CreateAccount", "*", {}, NO),
    ("PowerUserAccess", "leastwise:RevokeSessions", "*", {}, NO),
    ("ReadOnlyAccess", "lambda:GetFunction", FUNCTION, {}, YES),
    ("ReadOnlyAccess", "iam:GetRole", f"{ROLE}/x", {}, YES),
    ("ReadOnlyAccess", "organizations:DescribeOrganization", "*", {}, YES),
    ("ReadOnlyAccess", "lambda:InvokeFunction", FUNCTION, {}, NO),
    ("ReadOnlyAccess", "iam:CreateAccessKey", f"{USER}/x", {}, NO),
    ("ReadOnlyAccess", "secretsmanager:GetSecretValue", "*", {}, NO),
    ("ReadOnlyAccess", "kms:Decrypt", "*", {}, NO),
    ("ReadOnlyAccess", "sts:AssumeRole", f"{ROLE}/x", {}, NO),
    ("SecurityAudit", "iam:GetAccountAuthorizationDetails", "*", {}, YES),
    ("SecurityAudit", "lambda:GetFunctionConfiguration", FUNCTION, {}, YES),
    ("SecurityAudit", "lambda:GetFunction", FUNCTION, {}, NO),
    ("SecurityAudit", "logs:GetLogEvents", "*", {}, NO),
    ("SecurityAudit", "iam:UpdateUser", f"{USER}/x", {}, NO),
    ("SecurityAudit", "leastwise:ListRevocations", "*", {}, YES),
    ("SecurityAudit", "leastwise:ExplainAccess", f"{USER}/x", {}, YES),
    ("SecurityAudit", "leastwise:ListEscalations", "*", {}, YES),
    ("SecurityAudit", "leastwise:RevokeSessions", f"{ROLE}/x", {}, NO),
    ("SecurityAudit", "access-analyzer:CheckNoNewAccess", "*", {}, YES),
    ("SecurityAudit", "access-analyzer:CheckAccessNotGranted", "*", {}, YES),
    ("SecurityAudit", "access-analyzer:CheckNoPublicAccess", "*", {}, YES),
    ("SecurityAudit", "access-analyzer:ValidatePolicy", "*", {}, YES),
    ("ViewOnlyAccess", "lambda:ListFunctions", "*", {}, YES),
    ("ViewOnlyAccess", "iam:ListUsers", f"{USER}/", {}, YES),
    ("ViewOnlyAccess", "lambda:GetFunction", FUNCTION, {}, NO),
    ("ViewOnlyAccess", "iam:GetUserPolicy", f"{USER}/x", {}, NO),
    ("SystemAdministrator", "lambda:DeleteFunction", FUNCTION, {}, YES),
    ("SystemAdministrator", "iam:PassRole", f"{ROLE}/x", TO_LAMBDA, YES),
    ("SystemAdministrator", "iam:PassRole", f"{ROLE}/x", {"iam:passedtoservice": "ec2.amazonaws.com"}, NO),
    ("SystemAdministrator", "iam:PassRole", f"{ROLE}/x", {}, NO),
    ("SystemAdministrator", "iam:AttachRolePolicy", f"{ROLE}/x", {}, NO),
    ("SupportUser", "logs:GetLogEvents", "*", {}, YES),
    ("SupportUser", "lambda:InvokeFunction", FUNCTION, {}, NO),
    ("Billing", "leastwise:GetUsage", "*", {}, YES),
    ("Billing", "lambda:ListFunctions", "*", {}, NO),
    ("AWSLambdaBasicExecutionRole", "logs:PutLogEvents", "*", {}, YES),
    ("AWSLambdaBasicExecutionRole", "logs:GetLogEvents", "*", {}, NO),
    ("AWSLambdaRole", "lambda:InvokeFunction", FUNCTION, {}, YES),
    ("AWSLambdaRole", "lambda:GetFunction", FUNCTION, {}, NO),
    ("AWSLambdaExecute", "s3:GetObject", "arn:aws:s3:::b/k", {}, YES),
    ("AWSLambdaExecute", "logs:CreateLogGroup", f"arn:aws:logs:eu-central-1:{ACCOUNT}:log-group:g", {}, YES),
    ("AWSLambdaExecute", "s3:DeleteObject", "arn:aws:s3:::b/k", {}, NO),
    ("AWSLambda_FullAccess", "lambda:AddPermission", FUNCTION, {}, YES),
    ("AWSLambda_FullAccess", "iam:PassRole", f"{ROLE}/x", TO_LAMBDA, YES),
    ("AWSLambda_FullAccess", "iam:CreateRole", f"{ROLE}/x", {}, NO),
    ("AWSLambda_ReadOnlyAccess", "lambda:GetPolicy", FUNCTION, {}, YES),
    ("AWSLambda_ReadOnlyAccess", "lambda:UpdateFunctionCode", FUNCTION, {}, NO),
    ("IAMFullAccess", "iam:PutUserPolicy", f"{USER}/x", {}, YES),
    ("IAMFullAccess", "lambda:InvokeFunction", FUNCTION, {}, NO),
    ("IAMReadOnlyAccess", "iam:SimulatePrincipalPolicy", f"{USER}/x", {}, YES),
    ("IAMReadOnlyAccess", "iam:PutUserPolicy", f"{USER}/x", {}, NO),
    ("IAMUserChangePassword", "iam:ChangePassword", f"{USER}/ann", {}, YES),
    ("IAMUserChangePassword", "iam:ChangePassword", f"{USER}/team/ann", {}, YES),
    ("IAMUserChangePassword", "iam:GetAccountPasswordPolicy", "*", {}, YES),
    ("IAMUserChangePassword", "iam:ChangePassword", f"{USER}/joann", {}, NO),
    ("IAMUserChangePassword", "iam:ChangePassword", f"{USER}/ann/bob", {}, NO),
    ("IAMUserChangePassword", "iam:UpdateLoginProfile", f"{USER}/ann", {}, NO),
    ("IAMAccessAnalyzerFullAccess", "access-analyzer:CreateAnalyzer", "*", {}, YES),
    ("IAMAccessAnalyzerReadOnlyAccess", "access-analyzer:CheckNoNewAccess", "*", {}, YES),
    ("IAMAccessAnalyzerReadOnlyAccess", "access-analyzer:CreateAnalyzer", "*", {}, NO),
    ("CloudWatchLogsFullAccess", "logs:DeleteLogGroup", "*", {}, YES),
    ("CloudWatchLogsReadOnlyAccess", "logs:FilterLogEvents", "*", {}, YES),
    ("CloudWatchLogsReadOnlyAccess", "logs:PutLogEvents", "*", {}, NO),
    ("AWSCloudTrail_FullAccess", "cloudtrail:StopLogging", "*", {}, YES),
    ("AWSCloudTrail_ReadOnlyAccess", "cloudtrail:LookupEvents", "*", {}, YES),
    ("AWSCloudTrail_ReadOnlyAccess", "cloudtrail:StopLogging", "*", {}, NO),
    ("AWSOrganizationsFullAccess", "organizations:AttachPolicy", "*", {}, YES),
    ("AWSOrganizationsReadOnlyAccess", "organizations:ListAccounts", "*", {}, YES),
    ("AWSOrganizationsReadOnlyAccess", "organizations:AttachPolicy", "*", {}, NO),
    ("SecretsManagerReadWrite", "secretsmanager:GetSecretValue", "*", {}, YES),
    ("SecretsManagerReadWrite", "kms:Decrypt", "*", {}, NO),
    ("LeastwiseDeveloper", "lambda:CreateFunction", FUNCTION, {}, YES),
    ("LeastwiseDeveloper", "lambda:InvokeFunction", FUNCTION, {}, YES),
    ("LeastwiseDeveloper", "iam:PassRole", f"{ROLE}/functions/shop", TO_LAMBDA, YES),
    ("LeastwiseDeveloper", "iam:PassRole", f"{ROLE}/admin", TO_LAMBDA, NO),
    ("LeastwiseDeveloper", "iam:PassRole", f"{ROLE}/functions/shop", {}, NO),
    ("LeastwiseDeveloper", "lambda:AddPermission", FUNCTION, {}, NO),
    ("LeastwiseDeveloper", "iam:CreateRole", f"{ROLE}/functions/shop", {}, NO),
    ("LeastwiseOperator", "lambda:PutFunctionConcurrency", FUNCTION, {}, YES),
    ("LeastwiseOperator", "lambda:UpdateFunctionCode", FUNCTION, MFA, NO),
    ("LeastwiseOperator", "lambda:DeleteFunction", FUNCTION, {}, NO),
    ("LeastwiseOperator", "lambda:DeleteFunction", FUNCTION, OLD_MFA, NO),
    ("LeastwiseOperator", "lambda:DeleteFunction", FUNCTION, MFA, YES),
    ("LeastwiseOperator", "leastwise:RevokeSessions", f"{ROLE}/x", {}, YES),
    ("LeastwiseOperator", "leastwise:ListRevocations", "*", {}, YES),
    ("LeastwiseOperator", "leastwise:ExplainAccess", "*", {}, YES),
    ("LeastwiseSelfService", "iam:CreateAccessKey", f"{USER}/team/ann", {}, YES),
    ("LeastwiseSelfService", "iam:CreateAccessKey", f"{USER}/joann", {}, NO),
    ("LeastwiseSelfService", "iam:PutUserPolicy", f"{USER}/ann", {}, NO),
    ("LeastwisePrivilegedActionsNeedMfa", "lambda:ListFunctions", "*", MFA, NO),
]


@pytest.mark.parametrize(("name", "action", "resource", "context", "allowed"), SAMPLES)
def test_a_policy_grants_what_its_name_promises(name, action, resource, context, allowed):
    assert allowed == decided(name, action, resource, context)


DENIALS = [
    ("AWSDenyAll", "lambda:ListFunctions", {}, NO),
    ("AWSCompromisedKeyQuarantineV3", "iam:CreateAccessKey", {}, NO),
    ("AWSCompromisedKeyQuarantineV3", "iam:AttachUserPolicy", {}, NO),
    ("AWSCompromisedKeyQuarantineV3", "lambda:CreateFunction", {}, NO),
    ("AWSCompromisedKeyQuarantineV3", "sts:AssumeRole", {}, NO),
    ("AWSCompromisedKeyQuarantineV3", "lambda:ListFunctions", {}, YES),
    ("LeastwisePrivilegedActionsNeedMfa", "iam:CreateUser", {}, NO),
    ("LeastwisePrivilegedActionsNeedMfa", "iam:CreateUser", NO_MFA, NO),
    ("LeastwisePrivilegedActionsNeedMfa", "iam:CreateUser", MFA, YES),
    ("LeastwisePrivilegedActionsNeedMfa", "lambda:InvokeFunction", NO_MFA, YES),
    ("LeastwiseWorkingHoursOnly", "lambda:InvokeFunction", NOON, YES),
    ("LeastwiseWorkingHoursOnly", "lambda:InvokeFunction", NIGHT, NO),
    ("LeastwiseWorkingHoursOnly", "lambda:InvokeFunction", MORNING, NO),
    ("LeastwiseWorkingHoursOnly", "lambda:InvokeFunction", SUNDAY, NO),
]


@pytest.mark.parametrize(("name", "action", "context", "allowed"), DENIALS)
def test_a_denial_holds_beside_a_policy_that_allows_everything(name, action, context, allowed):
    assert allowed == decided(name, action, "*", context, beside=(EVERYTHING,))


BOUNDED = [
    ("lambda:UpdateFunctionCode", FUNCTION, {}, YES),
    ("lambda:DeleteFunction", FUNCTION, {}, NO),
    ("lambda:DeleteFunction", FUNCTION, MFA, YES),
    ("iam:CreateUser", f"{USER}/x", MFA, NO),
    ("iam:PutUserPermissionsBoundary", f"{USER}/team/ann", MFA, NO),
    ("iam:DeleteUserPermissionsBoundary", f"{USER}/team/ann", MFA, NO),
    ("iam:PassRole", f"{ROLE}/functions/shop", TO_LAMBDA, YES),
    ("iam:PassRole", f"{ROLE}/admin", TO_LAMBDA | MFA, NO),
    ("iam:GetRole", f"{ROLE}/admin", {}, YES),
    ("organizations:AttachPolicy", "*", MFA, NO),
]


@pytest.mark.parametrize(("action", "resource", "context", "allowed"), BOUNDED)
def test_the_developers_boundary_bounds_even_an_administrator(action, resource, context, allowed):
    found = decided("LeastwiseDeveloperBoundary", action, resource, context, beside=(EVERYTHING,), boundary=True)
    assert allowed == found


def test_every_policy_is_in_the_tables_of_samples():
    named = {row[0] for row in SAMPLES} | {row[0] for row in DENIALS} | {"LeastwiseDeveloperBoundary"}
    assert set(SHIPPED) == named


def test_no_reader_may_change_anything_that_the_platform_offers():
    readers = ("ReadOnlyAccess", "SecurityAudit", "ViewOnlyAccess", "SupportUser", "IAMReadOnlyAccess")
    harmless = {"iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails"}
    changing = {row.action for row in operations_table().values() if row.access.value == "Write" and row.action}
    found = {(name, action) for name in readers for action in changing - harmless if decided(name, action)}
    assert set() == found


def test_without_a_second_factor_no_change_of_rights_passes():
    name = "LeastwisePrivilegedActionsNeedMfa"
    changing = {row.action for row in operations_table().values() if row.access.value == "Write" and row.action}
    harmless = {"iam:ChangePassword", "iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails"}
    rights = {action for action in changing if action.startswith(("iam:", "organizations:"))} - harmless
    assert set() == {action for action in rights if decided(name, action, beside=(EVERYTHING,))}


# What every start makes sure of


async def test_an_installation_of_an_older_release_gets_what_is_new_and_keeps_what_is_attached(house):
    directory = house.directory
    arn = SHIPPED["ReadOnlyAccess"].arn
    shipped = await directory.managed_policy(arn)
    old = PolicyVersion(version_id="v1", document=EVERYTHING, is_default=True, created_at_ms=1)
    await directory.replace_managed_policy(replace(shipped, versions=(old,), description="as it was"))
    await house.identities.grants.attach(
        IdentityRef(account_id=ACCOUNT, kind=IdentityKind.USER, name="administrator"), arn
    )
    await directory.remove_managed_policy(SHIPPED["LeastwiseOperator"].arn)

    await house.identities.founding.found_installation(ACCOUNT, now_ms=NOW_MS + 1)
    renewed = await directory.managed_policy(arn)
    assert shipped.default_version.document == renewed.default_version.document
    assert ["v2", "v1"] == [version.version_id for version in renewed.versions]
    assert [True, False] == [version.is_default for version in renewed.versions]
    assert (1, shipped.description) == (renewed.attachment_count, renewed.description)
    assert await directory.managed_policy(SHIPPED["LeastwiseOperator"].arn) is not None

    await house.identities.founding.found_installation(ACCOUNT, now_ms=NOW_MS + 2)
    assert renewed == await directory.managed_policy(arn)


def test_the_newest_versions_stay_and_numbers_are_not_used_again():
    kept = SHIPPED["ReadOnlyAccess"]
    for number in range(2, 9):
        text = EVERYTHING.replace("lambda", f"v{number}").replace('"*"', f'"a{number}:*"', 1)
        shipped = replace(
            kept, versions=(PolicyVersion(version_id="v1", document=text, is_default=True, created_at_ms=0),)
        )
        kept = seed.renewed(kept, shipped, now_ms=number)
        assert seed.renewed(kept, shipped, now_ms=number) is None
    assert ["v8", "v7", "v6", "v5", "v4"] == [version.version_id for version in kept.versions]
    assert 1 == sum(version.is_default for version in kept.versions)
