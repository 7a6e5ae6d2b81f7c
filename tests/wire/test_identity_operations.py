"""IAM through an unmodified client: the life of users, keys, roles and policies."""

import json

import botocore.exceptions
import pytest
from tests.wire.conftest import TRUST

READ = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:Get*", "Resource": "*"}]}
)


def code_of(call, **parameters):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


def test_the_life_of_a_user(iam):
    made = iam.create_user(UserName="Ann", Path="/team/", Tags=[{"Key": "k", "Value": "v"}])["User"]
    assert made["Arn"].endswith(":user/team/Ann")
    assert made["UserId"].startswith("AIDA")
    assert code_of(iam.create_user, UserName="ann") == "EntityAlreadyExists"
    assert iam.get_user(UserName="Ann")["User"]["Tags"] == [{"Key": "k", "Value": "v"}]
    assert [one["UserName"] for one in iam.list_users(PathPrefix="/team/")["Users"]] == ["Ann"]
    iam.put_user_policy(UserName="Ann", PolicyName="p", PolicyDocument=READ)
    assert iam.get_user_policy(UserName="Ann", PolicyName="p")["PolicyDocument"] == json.loads(READ)
    assert code_of(iam.delete_user, UserName="Ann") == "DeleteConflict"
    iam.delete_user_policy(UserName="Ann", PolicyName="p")
    iam.delete_user(UserName="Ann")
    assert code_of(iam.get_user, UserName="Ann") == "NoSuchEntity"


def test_a_user_has_two_access_keys_at_most(iam):
    iam.create_user(UserName="keys")
    made = [iam.create_access_key(UserName="keys")["AccessKey"]["AccessKeyId"] for _ in range(2)]
    assert all(key.startswith("AKIA") for key in made)
    assert code_of(iam.create_access_key, UserName="keys") == "LimitExceeded"
    listed = iam.list_access_keys(UserName="keys")["AccessKeyMetadata"]
    assert {key["AccessKeyId"] for key in listed} == set(made)
    for key in made:
        iam.delete_access_key(UserName="keys", AccessKeyId=key)
    iam.delete_user(UserName="keys")


def test_the_life_of_a_managed_policy(iam):
    arn = iam.create_policy(PolicyName="managed", PolicyDocument=READ)["Policy"]["Arn"]
    wider = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}]}
    )
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=wider, SetAsDefault=True)["PolicyVersion"]
    assert (version["VersionId"], version["IsDefaultVersion"]) == ("v2", True)
    document = iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"]
    assert document == json.loads(READ)
    iam.create_role(RoleName="with-policy", AssumeRolePolicyDocument=TRUST)
    iam.attach_role_policy(RoleName="with-policy", PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName="with-policy")["AttachedPolicies"]
    assert attached == [{"PolicyName": "managed", "PolicyArn": arn}]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert code_of(iam.delete_policy, PolicyArn=arn) == "DeleteConflict"
    assert code_of(iam.delete_role, RoleName="with-policy") == "DeleteConflict"
    iam.detach_role_policy(RoleName="with-policy", PolicyArn=arn)
    iam.delete_role(RoleName="with-policy")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy(PolicyArn=arn)
    assert code_of(iam.get_policy, PolicyArn=arn) == "NoSuchEntity"


def test_a_policy_that_is_malformed_is_refused(iam):
    iam.create_user(UserName="malformed")
    for document in ("{", '{"Version":"2012-10-17","Statement":[{"Effect":"Maybe","Action":"*","Resource":"*"}]}'):
        found = code_of(iam.put_user_policy, UserName="malformed", PolicyName="p", PolicyDocument=document)
        assert found == "MalformedPolicyDocument"
    iam.delete_user(UserName="malformed")


def test_lists_come_in_pages(iam):
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        iam.create_user(UserName=name)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}))
    listed = [user["UserName"] for page in pages for user in page["Users"]]
    assert [name for name in listed if name.startswith("page-")] == names
    assert len(pages) >= 3
    for name in names:
        iam.delete_user(UserName=name)


def test_ready_made_policies_can_be_attached_and_not_changed(iam):
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    listed = [
        one["Arn"] for page in iam.get_paginator("list_policies").paginate(Scope="AWS") for one in page["Policies"]
    ]
    assert arn in listed
    assert code_of(iam.create_policy_version, PolicyArn=arn, PolicyDocument=READ) in {"AccessDenied", "InvalidInput"}


def test_what_nobody_can_have_yet_is_an_empty_list_and_not_an_error(iam):
    iam.create_user(UserName="plain-user")
    assert iam.list_groups_for_user(UserName="plain-user")["Groups"] == []
    assert iam.list_mfa_devices(UserName="plain-user")["MFADevices"] == []
    assert iam.list_groups()["Groups"] == []
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.delete_user(UserName="plain-user")
    assert code_of(iam.list_groups_for_user, UserName="plain-user") == "NoSuchEntity"
