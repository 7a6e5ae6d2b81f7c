"""Many clients change the same identities at once: every answer is true, and no update is lost."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import pytest
from tests.wire.conftest import TRUST

AT_ONCE = 12


def document(action="s3:GetObject") -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})


def all_at_once(*calls):
    """What each call came to: its answer, or the code of its refusal. All start together."""
    start = threading.Barrier(len(calls))

    def run(call):
        start.wait(30)
        try:
            return call()
        except botocore.exceptions.ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(len(calls)) as pool:
        return [waiting.result(60) for waiting in [pool.submit(run, call) for call in calls]]


def codes(answers):
    return sorted(answer for answer in answers if isinstance(answer, str))


def test_one_of_many_makes_the_user(iam):
    answers = all_at_once(*(lambda: iam.create_user(UserName="contested") for _ in range(AT_ONCE)))
    assert ["EntityAlreadyExists"] * (AT_ONCE - 1) == codes(answers)
    (made,) = [answer for answer in answers if not isinstance(answer, str)]
    assert made["User"]["UserId"] == iam.get_user(UserName="contested")["User"]["UserId"]
    answers = all_at_once(*(lambda: iam.delete_user(UserName="contested") for _ in range(AT_ONCE)))
    assert ["NoSuchEntity"] * (AT_ONCE - 1) == codes(answers)


@pytest.mark.parametrize("kind", ["user", "role", "policy"])
def test_no_tag_is_lost(iam, kind):
    if kind == "user":
        iam.create_user(UserName="tagged")
        who = {"UserName": "tagged"}
    elif kind == "role":
        iam.create_role(RoleName="tagged", AssumeRolePolicyDocument=TRUST)
        who = {"RoleName": "tagged"}
    else:
        who = {"PolicyArn": iam.create_policy(PolicyName="tagged", PolicyDocument=document())["Policy"]["Arn"]}
    tag, untag = getattr(iam, f"tag_{kind}"), getattr(iam, f"untag_{kind}")
    answers = all_at_once(*(lambda n=n: tag(**who, Tags=[{"Key": f"k{n}", "Value": str(n)}]) for n in range(AT_ONCE)))
    assert [] == codes(answers)
    listed = getattr(iam, f"list_{kind}_tags")
    assert {f"k{n}": str(n) for n in range(AT_ONCE)} == {one["Key"]: one["Value"] for one in listed(**who)["Tags"]}
    answers = all_at_once(
        *(lambda n=n: untag(**who, TagKeys=[f"k{n}"]) for n in range(0, AT_ONCE, 2)),
        *(lambda n=n: tag(**who, Tags=[{"Key": f"more{n}", "Value": ""}]) for n in range(AT_ONCE // 2)),
    )
    assert [] == codes(answers)
    want = {f"k{n}" for n in range(1, AT_ONCE, 2)} | {f"more{n}" for n in range(AT_ONCE // 2)}
    assert want == {one["Key"] for one in listed(**who)["Tags"]}
    getattr(iam, f"delete_{kind}")(**who)


def test_ten_of_many_policies_are_attached(iam):
    iam.create_role(RoleName="attached", AssumeRolePolicyDocument=TRUST)
    arns = [
        iam.create_policy(PolicyName=f"attached{n}", PolicyDocument=document())["Policy"]["Arn"] for n in range(AT_ONCE)
    ]
    answers = all_at_once(*(lambda arn=arn: iam.attach_role_policy(RoleName="attached", PolicyArn=arn) for arn in arns))
    assert ["LimitExceeded"] * (AT_ONCE - 10) == codes(answers)
    attached = iam.list_attached_role_policies(RoleName="attached")["AttachedPolicies"]
    assert {arn for arn, answer in zip(arns, answers, strict=True) if not isinstance(answer, str)} == {
        one["PolicyArn"] for one in attached
    }
    answers = all_at_once(
        *(lambda arn=one["PolicyArn"]: iam.detach_role_policy(RoleName="attached", PolicyArn=arn) for one in attached)
    )
    assert [] == codes(answers)
    iam.delete_role(RoleName="attached")
    for arn in arns:
        iam.delete_policy(PolicyArn=arn)


def test_the_same_policy_is_attached_once(iam):
    arn = iam.create_policy(PolicyName="once", PolicyDocument=document())["Policy"]["Arn"]
    iam.create_group(GroupName="Once")
    answers = all_at_once(*(lambda: iam.attach_group_policy(GroupName="Once", PolicyArn=arn) for _ in range(AT_ONCE)))
    assert [] == codes(answers)
    assert 1 == iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"]
    iam.detach_group_policy(GroupName="Once", PolicyArn=arn)
    iam.delete_group(GroupName="Once")
    iam.delete_policy(PolicyArn=arn)


def test_a_policy_has_five_versions_however_many_ask_for_one_more(iam):
    arn = iam.create_policy(PolicyName="versions", PolicyDocument=document())["Policy"]["Arn"]
    answers = all_at_once(
        *(
            lambda n=n: iam.create_policy_version(
                PolicyArn=arn, PolicyDocument=document(f"s3:Get{n}"), SetAsDefault=True
            )
            for n in range(AT_ONCE)
        )
    )
    assert ["LimitExceeded"] * (AT_ONCE - 4) == codes(answers)
    made = [answer["PolicyVersion"]["VersionId"] for answer in answers if not isinstance(answer, str)]
    assert ["v2", "v3", "v4", "v5"] == sorted(made)
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert 1 == sum(version["IsDefaultVersion"] for version in versions)
    for version in versions:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


def test_a_user_has_two_keys_however_many_ask_at_once(iam):
    iam.create_user(UserName="two-keys")
    answers = all_at_once(*(lambda: iam.create_access_key(UserName="two-keys") for _ in range(AT_ONCE)))
    assert ["LimitExceeded"] * (AT_ONCE - 2) == codes(answers)
    for key in iam.list_access_keys(UserName="two-keys")["AccessKeyMetadata"]:
        iam.delete_access_key(UserName="two-keys", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="two-keys")


def test_a_user_is_either_in_the_group_or_deleted(iam):
    for turn in range(5):
        name, group = f"torn-{turn}", f"Torn{turn}"
        iam.create_user(UserName=name)
        iam.create_group(GroupName=group)
        joined, deleted = all_at_once(
            lambda name=name, group=group: iam.add_user_to_group(GroupName=group, UserName=name),
            lambda name=name: iam.delete_user(UserName=name),
        )
        members = [one["UserName"] for one in iam.get_group(GroupName=group)["Users"]]
        if isinstance(joined, str):
            assert ("NoSuchEntity", []) == (joined, members)
        else:
            assert ("DeleteConflict", [name]) == (deleted, members)
            iam.remove_user_from_group(GroupName=group, UserName=name)
            iam.delete_user(UserName=name)
        iam.delete_group(GroupName=group)


def test_different_changes_of_one_role_are_all_kept(iam):
    iam.create_role(RoleName="changed", AssumeRolePolicyDocument=TRUST)
    trust = TRUST.replace("lambda.amazonaws.com", "events.amazonaws.com")
    boundary = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    answers = all_at_once(
        lambda: iam.update_role(RoleName="changed", MaxSessionDuration=7200),
        lambda: iam.update_role_description(RoleName="changed", Description="described"),
        lambda: iam.update_assume_role_policy(RoleName="changed", PolicyDocument=trust),
        lambda: iam.put_role_permissions_boundary(RoleName="changed", PermissionsBoundary=boundary),
        lambda: iam.tag_role(RoleName="changed", Tags=[{"Key": "k", "Value": "v"}]),
    )
    assert [] == codes(answers)
    role = iam.get_role(RoleName="changed")["Role"]
    assert (7200, "described", json.loads(trust), boundary, [{"Key": "k", "Value": "v"}]) == (
        role["MaxSessionDuration"],
        role["Description"],
        role["AssumeRolePolicyDocument"],
        role["PermissionsBoundary"]["PermissionsBoundaryArn"],
        role["Tags"],
    )
    iam.delete_role(RoleName="changed")


def test_a_new_name_goes_to_one_of_many(iam):
    for n in range(AT_ONCE):
        iam.create_group(GroupName=f"Renamed{n}")
    answers = all_at_once(
        *(lambda n=n: iam.update_group(GroupName=f"Renamed{n}", NewGroupName="Renamed") for n in range(AT_ONCE))
    )
    assert ["EntityAlreadyExists"] * (AT_ONCE - 1) == codes(answers)
    pages = iam.get_paginator("list_groups").paginate()
    left = [one["GroupName"] for page in pages for one in page["Groups"] if one["GroupName"].startswith("Renamed")]
    assert AT_ONCE == len(left)
    for name in left:
        iam.delete_group(GroupName=name)
