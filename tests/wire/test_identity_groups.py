"""Groups, whole accounts and the rest of the directory's API through an unmodified client."""

import json

import botocore.exceptions
import pytest
from tests.wire.conftest import TRUST


def allow(action, resource="*", effect="Allow") -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]}
    )


def refusal(call, *arguments, **parameters):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*arguments, **parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def code_of(call, **parameters):
    return refusal(call, **parameters)[0]


@pytest.fixture
def cleared(iam):
    """Names made by a test; whatever is left of them is taken away after it."""
    made = {"users": [], "groups": [], "roles": [], "policies": []}
    yield made
    for name in made["groups"]:
        for user in iam.get_group(GroupName=name)["Users"]:
            iam.remove_user_from_group(GroupName=name, UserName=user["UserName"])
    for kind, member in (("user", "UserName"), ("group", "GroupName"), ("role", "RoleName")):
        for name in made[f"{kind}s"]:
            who = {member: name}
            for policy in getattr(iam, f"list_{kind}_policies")(**who)["PolicyNames"]:
                getattr(iam, f"delete_{kind}_policy")(**who, PolicyName=policy)
            for policy in getattr(iam, f"list_attached_{kind}_policies")(**who)["AttachedPolicies"]:
                getattr(iam, f"detach_{kind}_policy")(**who, PolicyArn=policy["PolicyArn"])
            if kind == "user":
                for key in iam.list_access_keys(**who)["AccessKeyMetadata"]:
                    iam.delete_access_key(**who, AccessKeyId=key["AccessKeyId"])
            getattr(iam, f"delete_{kind}")(**who)
    for arn in made["policies"]:
        iam.delete_policy(PolicyArn=arn)


def user(iam, cleared, name):
    iam.create_user(UserName=name)
    cleared["users"].append(name)
    return name


def group(iam, cleared, name, **more):
    made = iam.create_group(GroupName=name, **more)["Group"]
    cleared["groups"].append(name)
    return made


def test_the_life_of_a_group(iam):
    made = iam.create_group(GroupName="Life", Path="/team/")["Group"]
    assert made["Arn"].endswith(":group/team/Life")
    assert made["GroupId"].startswith("AGPA")
    assert {"Path", "GroupName", "GroupId", "Arn", "CreateDate"} == set(made)
    assert ("EntityAlreadyExists", "Group with name LIFE already exists.") == refusal(
        iam.create_group, GroupName="LIFE"
    )
    got = iam.get_group(GroupName="life")
    assert (made, [], False) == (got["Group"], got["Users"], got["IsTruncated"])
    assert [made] == iam.list_groups(PathPrefix="/team/")["Groups"]
    assert [] == iam.list_groups(PathPrefix="/other/")["Groups"]

    iam.update_group(GroupName="Life", NewGroupName="Afterlife", NewPath="/x/")
    moved = iam.get_group(GroupName="Afterlife")["Group"]
    assert (made["GroupId"], made["CreateDate"]) == (moved["GroupId"], moved["CreateDate"])
    assert moved["Arn"].endswith(":group/x/Afterlife")
    missing = ("NoSuchEntity", "The group with name Life cannot be found.")
    assert missing == refusal(iam.get_group, GroupName="Life")
    assert missing == refusal(iam.delete_group, GroupName="Life")
    assert missing == refusal(iam.update_group, GroupName="Life", NewPath="/y/")
    iam.delete_group(GroupName="Afterlife")
    assert "NoSuchEntity" == code_of(iam.get_group, GroupName="Afterlife")


@pytest.mark.parametrize("name", ["a/b", "a:b", "a b", "ä"])
def test_a_name_that_would_forge_an_arn_is_no_name_of_a_group(iam, name):
    assert "ValidationError" == code_of(iam.create_group, GroupName=name)


def test_a_group_may_have_a_long_name(iam, cleared):
    name = "g" * 128
    group(iam, cleared, name)
    iam.put_group_policy(GroupName=name, PolicyName="p", PolicyDocument=allow("s3:Get*"))
    assert ["p"] == iam.list_group_policies(GroupName=name)["PolicyNames"]
    assert "ValidationError" == code_of(iam.create_group, GroupName="g" * 129)


def test_membership_is_seen_from_both_sides_in_pages(iam, cleared):
    group(iam, cleared, "Many")
    group(iam, cleared, "Other")
    names = [user(iam, cleared, f"many-{number}") for number in range(5)]
    for name in names:
        iam.add_user_to_group(GroupName="Many", UserName=name)
        iam.add_user_to_group(GroupName="MANY", UserName=name.upper())
    iam.add_user_to_group(GroupName="Other", UserName="many-0")
    pages = list(iam.get_paginator("get_group").paginate(GroupName="Many", PaginationConfig={"PageSize": 2}))
    assert names == [one["UserName"] for page in pages for one in page["Users"]]
    assert [2, 2, 1] == [len(page["Users"]) for page in pages]
    assert all("Many" == page["Group"]["GroupName"] for page in pages)
    pages = list(
        iam.get_paginator("list_groups_for_user").paginate(UserName="many-0", PaginationConfig={"PageSize": 1})
    )
    assert ["Many", "Other"] == [one["GroupName"] for page in pages for one in page["Groups"]]

    iam.remove_user_from_group(GroupName="Many", UserName="MANY-0")
    # No error in AWS either (cloud-custodian, pull request 4730).
    iam.remove_user_from_group(GroupName="Many", UserName="many-0")
    assert ["Other"] == [one["GroupName"] for one in iam.list_groups_for_user(UserName="many-0")["Groups"]]
    nobody = ("NoSuchEntity", "The user with name nobody-here cannot be found.")
    for call in (iam.add_user_to_group, iam.remove_user_from_group):
        assert nobody == refusal(call, GroupName="Many", UserName="nobody-here")
        assert "NoSuchEntity" == code_of(call, GroupName="NoGroup", UserName="many-0")


def test_what_hangs_together_is_not_deleted_and_follows_new_names(iam, cleared):
    arn = iam.create_policy(PolicyName="hangs", PolicyDocument=allow("s3:*"))["Policy"]["Arn"]
    cleared["policies"].append(arn)
    iam.create_group(GroupName="Hangs")
    iam.create_user(UserName="hangs")
    iam.add_user_to_group(GroupName="Hangs", UserName="hangs")
    conflict = ("DeleteConflict", "Cannot delete entity, must remove users from group first.")
    assert conflict == refusal(iam.delete_user, UserName="hangs")
    assert conflict == refusal(iam.delete_group, GroupName="Hangs")

    iam.put_group_policy(GroupName="Hangs", PolicyName="inline", PolicyDocument=allow("s3:*"))
    iam.attach_group_policy(GroupName="Hangs", PolicyArn=arn)
    iam.update_user(UserName="hangs", NewUserName="follows")
    iam.update_group(GroupName="Hangs", NewGroupName="Follows")
    cleared["users"].append("follows")
    cleared["groups"].append("Follows")
    assert ["follows"] == [one["UserName"] for one in iam.get_group(GroupName="Follows")["Users"]]
    assert ["Follows"] == [one["GroupName"] for one in iam.list_groups_for_user(UserName="follows")["Groups"]]
    got = iam.get_group_policy(GroupName="follows", PolicyName="inline")
    assert ("Follows", json.loads(allow("s3:*"))) == (got["GroupName"], got["PolicyDocument"])
    attached = iam.list_attached_group_policies(GroupName="Follows")["AttachedPolicies"]
    assert [{"PolicyName": "hangs", "PolicyArn": arn}] == attached

    iam.remove_user_from_group(GroupName="Follows", UserName="follows")
    detach = ("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    assert detach == refusal(iam.delete_group, GroupName="Follows")
    iam.detach_group_policy(GroupName="Follows", PolicyArn=arn)
    inline = ("DeleteConflict", "Cannot delete entity, must delete policies first.")
    assert inline == refusal(iam.delete_group, GroupName="Follows")


def test_the_policies_of_a_group_are_those_of_its_users_from_the_next_call_on(platform, iam, cleared):
    user(iam, cleared, "worker")
    group(iam, cleared, "Workers")
    key = iam.create_access_key(UserName="worker")["AccessKey"]
    worker = platform.client_for("iam", key["AccessKeyId"], key["SecretAccessKey"])
    assert "AccessDenied" == code_of(worker.list_users)

    iam.put_group_policy(GroupName="Workers", PolicyName="p", PolicyDocument=allow("iam:ListUsers"))
    assert "AccessDenied" == code_of(worker.list_users)
    iam.add_user_to_group(GroupName="Workers", UserName="worker")
    worker.list_users()
    iam.attach_group_policy(GroupName="Workers", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    worker.list_roles()

    iam.put_group_policy(GroupName="Workers", PolicyName="no", PolicyDocument=allow("iam:ListUsers", effect="Deny"))
    assert "explicit deny in an identity-based policy" in refusal(worker.list_users)[1]
    iam.remove_user_from_group(GroupName="Workers", UserName="worker")
    code, message = refusal(worker.list_users)
    assert "AccessDenied" == code
    assert "because no identity-based policy allows the iam:ListUsers action" in message
    assert "AccessDenied" == code_of(worker.list_roles)


def test_a_boundary_of_the_user_holds_for_the_policies_of_its_groups(platform, iam, cleared):
    user(iam, cleared, "bounded")
    group(iam, cleared, "Unbounded")
    arn = iam.create_policy(PolicyName="bounds", PolicyDocument=allow("iam:ListUsers"))["Policy"]["Arn"]
    cleared["policies"].append(arn)
    iam.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=arn)
    iam.put_group_policy(GroupName="Unbounded", PolicyName="p", PolicyDocument=allow("iam:*"))
    iam.add_user_to_group(GroupName="Unbounded", UserName="bounded")
    key = iam.create_access_key(UserName="bounded")["AccessKey"]
    bounded = platform.client_for("iam", key["AccessKeyId"], key["SecretAccessKey"])
    bounded.list_users()
    assert "no permissions boundary allows" in refusal(bounded.list_roles)[1]


def test_a_group_is_no_principal(iam, functions, cleared, deploy):
    arn = group(iam, cleared, "Principals")["Arn"]
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"}],
        }
    )
    code, message = refusal(iam.create_role, RoleName="trusts-group", AssumeRolePolicyDocument=trust)
    assert ("MalformedPolicyDocument", True) == (code, "Invalid principal in policy" in message)
    name = deploy("def handler(event, context): return 1\n")
    code = code_of(
        functions.add_permission,
        FunctionName=name,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal=arn,
    )
    assert "InvalidParameterValueException" == code


def test_groups_have_quotas(iam, cleared):
    user(iam, cleared, "joiner")
    for number in range(11):
        group(iam, cleared, f"Quota{number}")
        if number < 10:
            iam.add_user_to_group(GroupName=f"Quota{number}", UserName="joiner")
    full = ("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10")
    assert full == refusal(iam.add_user_to_group, GroupName="Quota10", UserName="joiner")
    iam.add_user_to_group(GroupName="Quota9", UserName="joiner")

    arns = []
    for number in range(11):
        arns.append(iam.create_policy(PolicyName=f"quota{number}", PolicyDocument=allow("s3:*"))["Policy"]["Arn"])
    cleared["policies"].extend(arns)
    for arn in arns[:10]:
        iam.attach_group_policy(GroupName="Quota0", PolicyArn=arn)
    full = ("LimitExceeded", "Cannot exceed quota for PoliciesPerGroup: 10")
    assert full == refusal(iam.attach_group_policy, GroupName="Quota0", PolicyArn=arns[10])

    long = allow([f"s3:Get{'x' * 80}{number}" for number in range(60)])
    full = ("LimitExceeded", "Maximum policy size of 5120 bytes exceeded for group Quota0")
    assert full == refusal(iam.put_group_policy, GroupName="Quota0", PolicyName="p", PolicyDocument=long)


def test_the_resources_of_the_client_library_work_on_groups(platform, iam, cleared):
    iam_resource = platform.session().resource("iam", endpoint_url=platform.url)
    made = iam_resource.create_group(GroupName="Resource", Path="/r/")
    cleared["groups"].append("Resource")
    user(iam, cleared, "resourceful")
    made.add_user(UserName="resourceful")
    assert ["resourceful"] == [one.name for one in made.users.all()]
    assert ["Resource"] == [one.name for one in iam_resource.User("resourceful").groups.all()]
    made.create_policy(PolicyName="p", PolicyDocument=allow("s3:*"))
    made.attach_policy(PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    assert ["p"] == [one.name for one in made.policies.all()]
    assert ["ReadOnlyAccess"] == [one.policy_name for one in made.attached_policies.all()]
    policy = iam_resource.Policy("arn:aws:iam::aws:policy/ReadOnlyAccess")
    assert ["Resource"] == [one.name for one in policy.attached_groups.all()]
    assert made.arn in {one.arn for one in iam_resource.groups.filter(PathPrefix="/r/")}
    assert 300 == iam_resource.AccountSummary().summary_map["GroupsQuota"]
    made.remove_user(UserName="resourceful")


def test_entities_of_a_policy_are_told_by_kind_path_and_use(iam, cleared):
    arn = iam.create_policy(PolicyName="entities", PolicyDocument=allow("s3:*"))["Policy"]["Arn"]
    iam.create_user(UserName="entity", Path="/e/")
    iam.create_user(UserName="bound-entity")
    iam.create_role(RoleName="entity", AssumeRolePolicyDocument=TRUST)
    group(iam, cleared, "Entity", Path="/e/")
    cleared["users"] += ["entity", "bound-entity"]
    cleared["roles"].append("entity")
    cleared["policies"].append(arn)
    iam.attach_user_policy(UserName="entity", PolicyArn=arn)
    iam.attach_role_policy(RoleName="entity", PolicyArn=arn)
    iam.attach_group_policy(GroupName="Entity", PolicyArn=arn)
    iam.put_user_permissions_boundary(UserName="bound-entity", PermissionsBoundary=arn)

    def found(**filters):
        told = {"Group": [], "Role": [], "User": []}
        pages = iam.get_paginator("list_entities_for_policy").paginate(
            PolicyArn=arn, PaginationConfig={"PageSize": 1}, **filters
        )
        for page in pages:
            for kind, names in told.items():
                assert all(one[f"{kind}Id"] for one in page[f"Policy{kind}s"])
                names += [one[f"{kind}Name"] for one in page[f"Policy{kind}s"]]
        return told

    assert {"Group": ["Entity"], "Role": ["entity"], "User": ["bound-entity", "entity"]} == found()
    attached = {"Group": ["Entity"], "Role": ["entity"], "User": ["entity"]}
    assert attached == found(PolicyUsageFilter="PermissionsPolicy")
    assert {"Group": [], "Role": [], "User": ["bound-entity"]} == found(PolicyUsageFilter="PermissionsBoundary")
    assert {"Group": ["Entity"], "Role": [], "User": []} == found(EntityFilter="Group")
    assert {"Group": ["Entity"], "Role": [], "User": ["entity"]} == found(PathPrefix="/e/")
    assert (3, 1) == tuple(
        iam.get_policy(PolicyArn=arn)["Policy"][member]
        for member in ("AttachmentCount", "PermissionsBoundaryUsageCount")
    )


def test_the_whole_account_is_told_with_its_groups(iam, cleared):
    before = iam.get_account_summary()["SummaryMap"]
    user(iam, cleared, "whole")
    group(iam, cleared, "Whole", Path="/w/")
    iam.put_group_policy(GroupName="Whole", PolicyName="p", PolicyDocument=allow("s3:*"))
    iam.attach_group_policy(GroupName="Whole", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")
    iam.add_user_to_group(GroupName="Whole", UserName="whole")
    pages = list(iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 3}))
    (told,) = [one for page in pages for one in page["GroupDetailList"] if one["GroupName"] == "Whole"]
    assert [{"PolicyName": "p", "PolicyDocument": json.loads(allow("s3:*"))}] == told["GroupPolicyList"]
    assert ["ReadOnlyAccess"] == [one["PolicyName"] for one in told["AttachedManagedPolicies"]]
    assert "/w/" == told["Path"]
    (member,) = [one for page in pages for one in page["UserDetailList"] if one["UserName"] == "whole"]
    assert ["Whole"] == member["GroupList"]
    only = iam.get_account_authorization_details(Filter=["Group"])
    assert ([], []) == (only["UserDetailList"], only["RoleDetailList"])

    after = iam.get_account_summary()["SummaryMap"]
    assert (1, 1, 0) == tuple(after[key] - before[key] for key in ("Users", "Groups", "Roles"))
    assert (5000, 300, 10, 5, 6144) == tuple(
        after[key]
        for key in (
            "UsersQuota",
            "GroupsQuota",
            "GroupsPerUserQuota",
            "VersionsPerPolicyQuota",
            "PolicySizeQuota",
        )
    )


def test_a_role_tells_when_it_was_last_used(platform, iam, cleared):
    account = platform.client("sts").get_caller_identity()["Account"]
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"}],
        }
    )
    arn = iam.create_role(RoleName="last-used", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    cleared["roles"].append("last-used")
    assert {} == iam.get_role(RoleName="last-used")["Role"]["RoleLastUsed"]
    made = platform.client("sts").assume_role(RoleArn=arn, RoleSessionName="session")["Credentials"]
    assert {} == iam.get_role(RoleName="last-used")["Role"]["RoleLastUsed"]
    session = platform.client_for("sts", made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])
    session.get_caller_identity()
    used = iam.get_role(RoleName="last-used")["Role"]["RoleLastUsed"]
    assert "us-east-1" == used["Region"]
    assert used["LastUsedDate"].tzinfo is not None
    pages = iam.get_paginator("get_account_authorization_details").paginate(Filter=["Role"])
    (told,) = [one for page in pages for one in page["RoleDetailList"] if one["RoleName"] == "last-used"]
    assert used == told["RoleLastUsed"]
    iam.update_role_description(RoleName="last-used", Description="changed")
    assert used == iam.get_role(RoleName="last-used")["Role"]["RoleLastUsed"]


def test_roles_of_services_are_refused(iam):
    assert "InvalidInput" == code_of(iam.create_service_linked_role, AWSServiceName="lambda.amazonaws.com")
    assert "InvalidInput" == code_of(
        iam.create_role,
        RoleName="AWSServiceRoleForLambda",
        Path="/aws-service-role/lambda.amazonaws.com/",
        AssumeRolePolicyDocument=TRUST,
    )
    assert "NoSuchEntity" == code_of(iam.delete_service_linked_role, RoleName="AWSServiceRoleForLambda")
    assert "NoSuchEntity" == code_of(iam.get_service_linked_role_deletion_status, DeletionTaskId="task/x")


def test_what_nobody_can_have_here_is_listed_as_none(iam):
    assert [] == iam.list_instance_profiles()["InstanceProfiles"]
    assert [] == iam.list_virtual_mfa_devices()["VirtualMFADevices"]
    assert [] == iam.list_ssh_public_keys(UserName="administrator")["SSHPublicKeys"]
    assert [] == iam.list_signing_certificates(UserName="administrator")["Certificates"]
    assert [] == iam.list_service_specific_credentials(UserName="administrator")["ServiceSpecificCredentials"]
    assert [] == iam.list_server_certificates()["ServerCertificateMetadataList"]
    assert [] == iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert [] == iam.list_saml_providers()["SAMLProviderList"]
    assert "NoSuchEntity" == code_of(iam.list_ssh_public_keys, UserName="nobody-here")


def test_the_condition_keys_of_policies_are_told(platform, iam, cleared):
    reads = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Action": "s3:*",
                "Resource": "arn:aws:s3:::home/${aws:username}",
                "Condition": {"StringEquals": {"aws:PrincipalTag/team": ["${aws:PrincipalOrgID}"]}},
            },
        }
    )
    found = iam.get_context_keys_for_custom_policy(PolicyInputList=[reads])["ContextKeyNames"]
    assert ["aws:principalorgid", "aws:PrincipalTag/team", "aws:username"] == found
    assert "InvalidInput" == code_of(iam.get_context_keys_for_custom_policy, PolicyInputList=["{"])

    user(iam, cleared, "keyed")
    group(iam, cleared, "Keyed")
    iam.put_group_policy(GroupName="Keyed", PolicyName="p", PolicyDocument=reads)
    arn = iam.get_user(UserName="keyed")["User"]["Arn"]
    assert [] == iam.get_context_keys_for_principal_policy(PolicySourceArn=arn)["ContextKeyNames"]
    iam.add_user_to_group(GroupName="Keyed", UserName="keyed")
    assert found == iam.get_context_keys_for_principal_policy(PolicySourceArn=arn)["ContextKeyNames"]
    missing = arn.replace("keyed", "nobody-here")
    assert "NoSuchEntity" == code_of(iam.get_context_keys_for_principal_policy, PolicySourceArn=missing)
    malformed = "arn:aws:s3:::a-bucket-of-nobody"
    assert "InvalidInput" == code_of(iam.get_context_keys_for_principal_policy, PolicySourceArn=malformed)


def test_the_policies_that_grant_a_service_are_told(iam, cleared):
    user(iam, cleared, "granted")
    group(iam, cleared, "Granted")
    iam.add_user_to_group(GroupName="Granted", UserName="granted")
    iam.put_user_policy(UserName="granted", PolicyName="own", PolicyDocument=allow(["s3:Get*", "ec2:*"]))
    iam.put_user_policy(UserName="granted", PolicyName="no", PolicyDocument=allow("lambda:*", effect="Deny"))
    iam.put_group_policy(GroupName="Granted", PolicyName="ours", PolicyDocument=allow("Lambda:Invoke*"))
    iam.attach_group_policy(GroupName="Granted", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    arn = iam.get_user(UserName="granted")["User"]["Arn"]
    told = iam.list_policies_granting_service_access(Arn=arn, ServiceNamespaces=["s3", "lambda", "sqs"])
    everything = {
        "PolicyName": "AdministratorAccess",
        "PolicyType": "MANAGED",
        "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess",
    }
    inline = {"PolicyType": "INLINE"}
    ours = inline | {"PolicyName": "ours", "EntityType": "GROUP", "EntityName": "Granted"}
    own = inline | {"PolicyName": "own", "EntityType": "USER", "EntityName": "granted"}
    assert [
        {"ServiceNamespace": "lambda", "Policies": [ours, everything]},
        {"ServiceNamespace": "s3", "Policies": [own, everything]},
        {"ServiceNamespace": "sqs", "Policies": [everything]},
    ] == told["PoliciesGrantingServiceAccess"]
