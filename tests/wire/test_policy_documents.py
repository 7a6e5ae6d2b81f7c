"""Policy documents at the door: every write refuses the same mistakes and names the place."""

import json

import botocore.exceptions
import pytest
from tests.wire.conftest import TRUST

ALLOW = {"Effect": "Allow", "Action": "lambda:Get*", "Resource": "*"}


def document(*statements, version="2012-10-17"):
    return json.dumps({"Version": version, "Statement": list(statements)})


def refused(call, **parameters):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def writes(iam):
    """Every call that stores an identity policy: name -> (document -> call)."""
    iam.create_user(UserName="writer")
    iam.create_group(GroupName="writers")
    iam.create_role(RoleName="writer", AssumeRolePolicyDocument=TRUST)
    arn = iam.create_policy(PolicyName="writer", PolicyDocument=document(ALLOW))["Policy"]["Arn"]
    yield {
        "CreatePolicy": lambda text: refused(iam.create_policy, PolicyName="new", PolicyDocument=text),
        "CreatePolicyVersion": lambda text: refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=text),
        "PutUserPolicy": lambda text: refused(
            iam.put_user_policy, UserName="writer", PolicyName="p", PolicyDocument=text
        ),
        "PutGroupPolicy": lambda text: refused(
            iam.put_group_policy, GroupName="writers", PolicyName="p", PolicyDocument=text
        ),
        "PutRolePolicy": lambda text: refused(
            iam.put_role_policy, RoleName="writer", PolicyName="p", PolicyDocument=text
        ),
    }
    iam.delete_user(UserName="writer")
    iam.delete_group(GroupName="writers")
    iam.delete_role(RoleName="writer")
    iam.delete_policy(PolicyArn=arn)


MISTAKES = [
    ("{", "Syntax errors in policy."),
    (document({**ALLOW, "Effect": "Maybe"}), "(Statement[0].Effect must be Allow or Deny"),
    (document(ALLOW, {**ALLOW, "Sid": "Second", "Action": "x"}), '(Statement[1](Second).Action: "x")'),
    (document({**ALLOW, "Action": ["a:b", "a:b, c"]}), 'Statement[0].Action "a:b, c" must be one action'),
    (document({**ALLOW, "Resource": "x"}), 'Resource x must be in ARN format or "*". (Statement[0].Resource)'),
    (document({**ALLOW, "Principal": "*"}), "Policy document should not specify a principal."),
    (document({**ALLOW, "Condition": {"StringIs": {"a:b": "c"}}}), "Statement[0].Condition.StringIs is not a"),
    (document({**ALLOW, "Sid": "a"}, {**ALLOW, "Sid": "a"}), "Statement IDs (SID) in a single policy must be unique."),
    ('{"Version":"2012-10-17","Version":"2012-10-17"}', "Version appears twice in one object"),
    ("[" * 100_000, "Syntax errors in policy."),
    (document(ALLOW).replace("lambda:Get*", "lambda:\\ud800"), "half of a surrogate pair"),
    (document({**ALLOW, "Sid": "\u0000\u0001"}), 'Sid: "\\u0000\\u0001"'),
]


@pytest.mark.parametrize("operation", ["CreatePolicy", "CreatePolicyVersion", "PutUserPolicy", "PutGroupPolicy", "PutRolePolicy"])  # fmt: skip
def test_every_write_refuses_every_mistake_and_names_the_place(writes, operation):
    for text, said in MISTAKES:
        code, message = writes[operation](text)
        assert code == "MalformedPolicyDocument", (text[:80], message)
        assert said in message


@pytest.mark.parametrize("text", [document(ALLOW, version="2008-10-17"), json.dumps({"Statement": [ALLOW]})])
def test_only_managed_policies_must_be_of_the_present_version(iam, writes, text):
    for operation in ("CreatePolicy", "CreatePolicyVersion"):
        code, message = writes[operation](text)
        assert code == "MalformedPolicyDocument"
        assert message.startswith("Policy document must be version 2012-10-17 or greater.")
    iam.put_user_policy(UserName="writer", PolicyName="old", PolicyDocument=text)
    kept = iam.get_user_policy(UserName="writer", PolicyName="old")["PolicyDocument"]
    iam.delete_user_policy(UserName="writer", PolicyName="old")
    assert json.loads(text) == kept


def test_an_account_reads_back_as_its_root_arn(iam, platform):
    account = platform.client("sts").get_caller_identity()["Account"]
    text = trusting(Principal={"AWS": [account, f"arn:aws:iam::{account}:root"]})
    iam.create_role(RoleName="rooted", AssumeRolePolicyDocument=text)
    kept = iam.get_role(RoleName="rooted")["Role"]["AssumeRolePolicyDocument"]
    iam.delete_role(RoleName="rooted")
    assert [f"arn:aws:iam::{account}:root"] * 2 == kept["Statement"][0]["Principal"]["AWS"]


def test_a_boundary_that_is_not_there_is_refused_as_a_scope(iam):
    arn = "arn:aws:iam::aws:policy/NoSuch"
    assert refused(iam.create_user, UserName="unbound", PermissionsBoundary=arn) == (
        "NoSuchEntity",
        f"Scope ARN: {arn} does not exist or is not attachable.",
    )


def test_every_policy_has_its_size(writes):
    def sized(size):
        return document({**ALLOW, "Resource": "arn:aws:s3:::" + "x" * size})

    assert writes["CreatePolicy"](sized(6200)) == ("LimitExceeded", "Cannot exceed quota for PolicySize: 6144")
    assert writes["CreatePolicyVersion"](sized(6200)) == ("LimitExceeded", "Cannot exceed quota for PolicySize: 6144")
    for kind, owner, limit in [("User", "writer", 2048), ("Group", "writers", 5120), ("Role", "writer", 10240)]:
        assert writes[f"Put{kind}Policy"](sized(limit)) == (
            "LimitExceeded",
            f"Maximum policy size of {limit} bytes exceeded for {kind.lower()} {owner}",
        )


@pytest.fixture(scope="module")
def trust(iam):
    """Both calls that store a trust policy."""
    iam.create_role(RoleName="trusting", AssumeRolePolicyDocument=TRUST)
    yield (
        lambda text: refused(iam.create_role, RoleName="new", AssumeRolePolicyDocument=text),
        lambda text: refused(iam.update_assume_role_policy, RoleName="trusting", PolicyDocument=text),
    )
    iam.delete_role(RoleName="trusting")


def trusting(**more):
    statement = {"Sid": "T", "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    return document({**statement, "Action": "sts:AssumeRole", **more})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (trusting(Action="sts:*"), 'AssumeRole actions. (Statement[0](T).Action: "sts:*")'),
        (trusting(Resource="*"), "Has prohibited field Resource (Statement[0](T))"),
        (trusting(Principal={"AWS": "arn:aws:iam::*:root"}), 'Invalid principal in policy: "AWS":"arn:aws:iam::*:root"'),
        (trusting(Principal={"AWS": "arn:aws-cn:iam::111122223333:root"}), "Invalid principal in policy"),
        (trusting(Principal={"Service": "lambda"}), 'Invalid principal in policy: "SERVICE":"lambda"'),
        (trusting(Principal={}), "Missing required field Principal cannot be empty!"),
        (
            trusting(Principal={"AWS": ["*", "999999999999"]}),
            'Invalid principal in policy: "AWS":"999999999999" (Statement[0](T).Principal.AWS[1])',
        ),
        (document({"Effect": "Allow", "NotPrincipal": "*", "Action": "sts:AssumeRole"}), "Allow with NotPrincipal"),
    ],
)  # fmt: skip
def test_a_trust_policy_names_who_exists_and_how_they_come_in(trust, text, said):
    for write in trust:
        code, message = write(text)
        assert code == "MalformedPolicyDocument"
        assert said in message


def test_nobody_can_be_trusted_before_they_exist_and_a_stale_id_names_nobody(iam, trust):
    account = iam.get_user()["User"]["Arn"].split(":")[4]
    made = iam.create_user(UserName="trusted")["User"]
    iam.create_role(RoleName="trusts", AssumeRolePolicyDocument=trusting(Principal={"AWS": made["Arn"]}))
    iam.delete_user(UserName="trusted")
    kept = iam.get_role(RoleName="trusts")["Role"]["AssumeRolePolicyDocument"]
    assert kept["Statement"][0]["Principal"]["AWS"] == made["UserId"]
    iam.create_user(UserName="trusted")
    assert iam.get_role(RoleName="trusts")["Role"]["AssumeRolePolicyDocument"] == kept
    for nobody in (made["UserId"], f"arn:aws:iam::{account}:user/other", f"arn:aws:iam::{account}:role/x/trusts"):
        for write in trust:
            assert write(trusting(Principal={"AWS": nobody})) == (
                "MalformedPolicyDocument",
                f'Invalid principal in policy: "AWS":"{nobody}" (Statement[0](T).Principal.AWS)',
            )
    iam.delete_role(RoleName="trusts")
    iam.delete_user(UserName="trusted")


def test_a_trust_policy_has_its_size(trust):
    for write in trust:
        long = trusting(Condition={"StringEquals": {"aws:username": "x" * 2048}})
        assert write(long) == ("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")


def test_a_session_policy_is_checked_like_any_other(platform, iam):
    arn = iam.get_user()["User"]["Arn"]
    role = iam.create_role(RoleName="to-assume", AssumeRolePolicyDocument=trusting(Principal={"AWS": arn}))["Role"]
    sts = platform.client("sts")
    bad = document({**ALLOW, "Sid": "S", "Action": "x"})
    code, message = refused(sts.assume_role, RoleArn=role["Arn"], RoleSessionName="session", Policy=bad)
    assert (code, '(Statement[0](S).Action: "x")' in message) == ("MalformedPolicyDocument", True)
    iam.delete_role(RoleName="to-assume")


def test_ready_policies_are_there_and_say_what_they_allow(iam):
    pages = iam.get_paginator("list_policies").paginate(Scope="AWS")
    listed = {policy["PolicyName"]: policy for page in pages for policy in page["Policies"]}
    assert {"AdministratorAccess", "SecurityAudit", "ViewOnlyAccess", "LeastwiseOperator"} <= set(listed)
    for name in ("PowerUserAccess", "LeastwiseDeveloperBoundary"):
        policy = iam.get_policy(PolicyArn=listed[name]["Arn"])["Policy"]
        assert policy["Description"]
        version = iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])
        assert version["PolicyVersion"]["Document"]["Version"] == "2012-10-17"
    boundary = listed["LeastwiseDeveloperBoundary"]["Arn"]
    iam.create_user(UserName="bounded", PermissionsBoundary=boundary)
    assert iam.get_user(UserName="bounded")["User"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    iam.delete_user(UserName="bounded")
