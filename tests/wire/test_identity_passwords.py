"""Passwords, the password policy and the account alias through an unmodified client."""

import contextlib
import json

import botocore.exceptions
import pytest

GOOD, BETTER, BEST = "Correct-Horse-9", "Battery-Staple-8", "Third-Password-7"


def refused(call, **parameters):
    """(code, message, HTTP status) of a call that fails."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**parameters)
    response = caught.value.response
    return response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]


def allow(action):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})


@pytest.fixture
def person(platform, iam, request):
    """(name, a client of that user), gone afterwards with everything that hangs on it."""
    name = f"person-{abs(hash(request.node.nodeid)) % 10**8}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield name, platform.client_for("iam", key["AccessKeyId"], key["SecretAccessKey"])
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_login_profile(UserName=name)
    iam.delete_user(UserName=name)


@pytest.fixture
def no_policy_afterwards(iam):
    yield
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_account_password_policy()


def test_the_life_of_a_login_profile(iam, person):
    name, _ = person
    missing = f"Login Profile for User {name} cannot be found."
    assert refused(iam.get_login_profile, UserName=name) == ("NoSuchEntity", missing, 404)
    assert refused(iam.update_login_profile, UserName=name) == ("NoSuchEntity", missing, 404)
    assert refused(iam.delete_login_profile, UserName=name) == ("NoSuchEntity", missing, 404)
    made = iam.create_login_profile(UserName=name, Password=GOOD, PasswordResetRequired=True)["LoginProfile"]
    assert (name, True) == (made["UserName"], made["PasswordResetRequired"])
    assert refused(iam.create_login_profile, UserName=name, Password=GOOD) == (
        "EntityAlreadyExists",
        f"Login Profile for user {name} already exists.",
        409,
    )
    iam.update_login_profile(UserName=name, PasswordResetRequired=False)
    assert iam.get_login_profile(UserName=name)["LoginProfile"] == made | {"PasswordResetRequired": False}
    iam.update_login_profile(UserName=name, Password=BETTER, PasswordResetRequired=True)
    assert iam.get_login_profile(UserName=name)["LoginProfile"] == made
    assert refused(iam.delete_user, UserName=name)[0] == "DeleteConflict"
    iam.delete_login_profile(UserName=name)
    assert refused(iam.get_login_profile, UserName=name)[0] == "NoSuchEntity"
    assert refused(iam.create_login_profile, UserName="no-such-user", Password=GOOD) == (
        "NoSuchEntity",
        "The user with name no-such-user cannot be found.",
        404,
    )
    assert refused(iam.create_login_profile, UserName=name)[0] == "ValidationError"
    assert "PasswordLastUsed" not in iam.get_user(UserName=name)["User"]


def test_a_user_with_a_password_cannot_be_deleted(iam, person, platform):
    name, _ = person
    iam.create_login_profile(UserName=name, Password=GOOD)
    iam.create_user(UserName=f"{name}-2")
    iam.create_login_profile(UserName=f"{name}-2", Password=GOOD)
    assert refused(iam.delete_user, UserName=f"{name}-2") == (
        "DeleteConflict",
        "Cannot delete entity, must delete login profile first.",
        409,
    )
    iam.delete_login_profile(UserName=f"{name}-2")
    iam.delete_user(UserName=f"{name}-2")


def test_users_change_their_own_password_with_the_old_one(iam, person):
    name, mine = person
    iam.create_login_profile(UserName=name, Password=GOOD, PasswordResetRequired=True)
    code, message, _ = refused(mine.change_password, OldPassword=GOOD, NewPassword=BETTER)
    assert ("AccessDenied", True) == (code, "not authorized to perform: iam:ChangePassword on resource" in message)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=allow("iam:ChangePassword"))
    wrong = ("AccessDenied", "The old password was incorrect.", 403)
    assert refused(mine.change_password, OldPassword=BETTER, NewPassword=BEST) == wrong
    weak = refused(mine.change_password, OldPassword=GOOD, NewPassword="short")
    assert weak == ("PasswordPolicyViolation", "Password should have a minimum length of 8", 400)
    mine.change_password(OldPassword=GOOD, NewPassword=BETTER)
    assert iam.get_login_profile(UserName=name)["LoginProfile"]["PasswordResetRequired"] is False
    assert refused(mine.change_password, OldPassword=GOOD, NewPassword=BEST) == wrong
    iam.delete_login_profile(UserName=name)
    assert refused(mine.change_password, OldPassword=BETTER, NewPassword=BEST) == (
        "NoSuchEntity",
        f"Login Profile for User {name} cannot be found.",
        404,
    )


def test_whoever_is_no_user_has_no_password_to_change(iam, platform):
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": iam.get_user()["User"]["Arn"]},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="no-password", AssumeRolePolicyDocument=document)["Role"]
    iam.put_role_policy(RoleName="no-password", PolicyName="p", PolicyDocument=allow("iam:*"))
    keys = platform.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")["Credentials"]
    session = platform.client_for("iam", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert refused(session.change_password, OldPassword=GOOD, NewPassword=BETTER) == (
        "InvalidUserType",
        "Only IAM Users can change their own password",
        400,
    )
    assert refused(session.create_login_profile, Password=GOOD)[0] == "ValidationError"
    iam.delete_role_policy(RoleName="no-password", PolicyName="p")
    iam.delete_role(RoleName="no-password")


def test_the_password_policy_is_kept_whole(iam, platform, no_policy_afterwards):
    account = platform.client("sts").get_caller_identity()["Account"]
    missing = ("NoSuchEntity", f"The Password Policy with domain name {account} cannot be found.", 404)
    assert refused(iam.get_account_password_policy) == missing
    assert refused(iam.delete_account_password_policy) == missing
    iam.update_account_password_policy()
    default = {
        "MinimumPasswordLength": 6,
        "RequireSymbols": False,
        "RequireNumbers": False,
        "RequireUppercaseCharacters": False,
        "RequireLowercaseCharacters": False,
        "AllowUsersToChangePassword": False,
        "ExpirePasswords": False,
    }
    assert iam.get_account_password_policy()["PasswordPolicy"] == default
    strict = {
        "MinimumPasswordLength": 14,
        "RequireSymbols": True,
        "RequireNumbers": True,
        "RequireUppercaseCharacters": True,
        "RequireLowercaseCharacters": True,
        "AllowUsersToChangePassword": True,
        "MaxPasswordAge": 90,
        "PasswordReusePrevention": 24,
        "HardExpiry": True,
    }
    iam.update_account_password_policy(**strict)
    assert iam.get_account_password_policy()["PasswordPolicy"] == strict | {"ExpirePasswords": True}
    iam.update_account_password_policy(MinimumPasswordLength=7)
    assert iam.get_account_password_policy()["PasswordPolicy"] == default | {"MinimumPasswordLength": 7}
    for member, value in [
        ("MinimumPasswordLength", 5),
        ("MinimumPasswordLength", 129),
        ("MaxPasswordAge", 0),
        ("MaxPasswordAge", 1096),
        ("PasswordReusePrevention", 0),
        ("PasswordReusePrevention", 25),
    ]:
        # A client that leaves the checking to the server.
        unchecked = platform.client("iam", parameter_validation=False)
        code, message, status = refused(unchecked.update_account_password_policy, **{member: value})
        assert ("ValidationError", 400) == (code, status)
        assert f"at '{member[0].lower()}{member[1:]}' failed to satisfy constraint" in message


def test_the_policy_is_asked_when_a_password_is_set(iam, person, no_policy_afterwards):
    name, mine = person
    iam.update_account_password_policy(
        MinimumPasswordLength=10, RequireSymbols=True, PasswordReusePrevention=2, AllowUsersToChangePassword=True
    )
    assert refused(iam.create_login_profile, UserName=name, Password="short") == (
        "PasswordPolicyViolation",
        "Password should have a minimum length of 10, Password should have at least one symbol",
        400,
    )
    iam.create_login_profile(UserName=name, Password=GOOD)
    reused = (
        "PasswordPolicyViolation",
        "Policy constraint violation with password reuse prevention during password change.",
        400,
    )
    # AllowUsersToChangePassword is all the permission that this user has.
    assert refused(mine.change_password, OldPassword=GOOD, NewPassword=GOOD) == reused
    mine.change_password(OldPassword=GOOD, NewPassword=BETTER)
    assert refused(mine.change_password, OldPassword=BETTER, NewPassword=GOOD) == reused
    assert refused(iam.update_login_profile, UserName=name, Password=BETTER) == reused
    mine.change_password(OldPassword=BETTER, NewPassword=BEST)
    mine.change_password(OldPassword=BEST, NewPassword=GOOD)


def test_what_the_policy_allows_every_user_is_the_own_password_and_nothing_else(iam, person, no_policy_afterwards):
    name, mine = person
    iam.create_login_profile(UserName=name, Password=GOOD)
    iam.update_account_password_policy(MinimumPasswordLength=8, AllowUsersToChangePassword=True)
    assert mine.get_account_password_policy()["PasswordPolicy"]["MinimumPasswordLength"] == 8
    for call, parameters in [
        (mine.update_account_password_policy, {}),
        (mine.get_login_profile, {}),
        (mine.update_login_profile, {"UserName": name, "Password": BETTER}),
        (mine.delete_account_password_policy, {}),
    ]:
        assert refused(call, **parameters)[0] == "AccessDenied"
    deny = json.loads(allow("iam:ChangePassword"))
    deny["Statement"][0]["Effect"] = "Deny"
    iam.put_user_policy(UserName=name, PolicyName="deny", PolicyDocument=json.dumps(deny))
    code, message, _ = refused(mine.change_password, OldPassword=GOOD, NewPassword=BETTER)
    assert ("AccessDenied", True) == (code, "explicit deny" in message)


def test_no_password_is_anywhere_on_disk(platform, iam, person):
    name, mine = person
    secrets = ["Very-Secret-Value-1", "Very-Secret-Value-2", "Very-Secret-Value-3", "\x00bad-Very-Secret-Value-4"]
    iam.create_login_profile(UserName=name, Password=secrets[0])
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=allow("iam:ChangePassword"))
    refused(mine.change_password, OldPassword=secrets[1], NewPassword=secrets[2])
    mine.change_password(OldPassword=secrets[0], NewPassword=secrets[1])
    refused(iam.update_login_profile, UserName=name, Password="x" * 200 + secrets[2])
    refused(iam.create_login_profile, UserName=name, Password=secrets[3])
    refused(mine.update_login_profile, UserName=name, Password=secrets[2])
    found = [
        path
        for path in [*platform.data.rglob("*"), platform.log]
        if path.is_file() and b"Very-Secret-Value" in path.read_bytes()
    ]
    assert [] == found
    trail = b"".join(path.read_bytes() for path in (platform.data / "trail").rglob("*") if path.is_file())
    assert b"HIDDEN_DUE_TO_SECURITY_REASONS" in trail


def test_the_life_of_an_account_alias(iam):
    assert iam.list_account_aliases()["AccountAliases"] == []
    assert refused(iam.delete_account_alias, AccountAlias="shop") == (
        "NoSuchEntity",
        "The account alias shop does not exist.",
        404,
    )
    iam.create_account_alias(AccountAlias="shop")
    iam.create_account_alias(AccountAlias="shop-2")
    assert iam.list_account_aliases()["AccountAliases"] == ["shop-2"]
    assert refused(iam.create_account_alias, AccountAlias="shop-2") == (
        "EntityAlreadyExists",
        "The account alias shop-2 already exists.",
        409,
    )
    assert refused(iam.delete_account_alias, AccountAlias="shop")[0] == "NoSuchEntity"
    for bad in ("Shop", "-shop", "sh--op", "123456789012"):
        assert refused(iam.create_account_alias, AccountAlias=bad)[0] == "ValidationError"
    iam.delete_account_alias(AccountAlias="shop-2")
    assert iam.list_account_aliases()["AccountAliases"] == []
