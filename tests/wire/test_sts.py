"""STS over the wire: every kind of session, what it may reach, and how it ends."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess

import pytest
from botocore import UNSIGNED, xform_name
from botocore.exceptions import ClientError
from tests.wire.conftest import LEASTWISE

from leastwise.iam.service import open_identity_service
from leastwise.kernel.clock import SystemClock
from leastwise.storage.engine import Database
from leastwise.storage.iam import SqlDirectory


def document(*statements, **more) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements], **more}
    )


def allow(action, resource="*", **more) -> str:
    return document({"Action": action, "Resource": resource, **more})


def trust(principal, action="sts:AssumeRole", **more) -> str:
    return document({"Principal": principal, "Action": action, **more})


def refused(call, *given, **more) -> tuple[str, str]:
    """Code and message of the refusal."""
    with pytest.raises(ClientError) as error:
        call(*given, **more)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def code(call, **given) -> str:
    return refused(call, **given)[0]


_numbers = itertools.count()


class People:
    """Users and roles of one test, under names of their own."""

    def __init__(self, platform, iam, mark):
        self.platform, self.iam, self.mark = platform, iam, mark
        self.account = platform.client("sts").get_caller_identity()["Account"]

    def user(self, name="alice", policy=None):
        """(client maker, ARN) of a new user."""
        name = f"{self.mark}-{name}"
        arn = self.iam.create_user(UserName=name)["User"]["Arn"]
        if policy is not None:
            self.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy)
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return lambda service: self.platform.client_for(service, key["AccessKeyId"], key["SecretAccessKey"]), arn

    def role(self, name="worker", trusts=None, policy=None, **more):
        name = f"{self.mark}-{name}"
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusts, **more)["Role"]
        if policy is not None:
            self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return role["Arn"]

    def as_session(self, credentials):
        return lambda service: self.platform.client_for(
            service, credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
        )

    def assume(self, client, role_arn, **more):
        """(client maker, answer) of a new role session."""
        answer = client("sts").assume_role(RoleArn=role_arn, **{"RoleSessionName": "s1", **more})
        return self.as_session(answer["Credentials"]), answer


@pytest.fixture
def people(platform, iam):
    return People(platform, iam, f"sts{next(_numbers)}")


def test_every_kind_of_caller_is_told_who_it_is(people, platform):
    alice, arn = people.user(policy=allow("sts:*"))
    name = arn.rpartition("/")[2]
    role_arn = people.role(trusts=trust({"AWS": arn}))
    told = alice("sts").get_caller_identity()
    assert (people.account, arn) == (told["Account"], told["Arn"])
    assert told["UserId"].startswith("AIDA")
    session, answer = people.assume(alice, role_arn)
    told = session("sts").get_caller_identity()
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": told["UserId"], "Arn": told["Arn"]}
    assert told["Arn"] == f"arn:aws:sts::{people.account}:assumed-role/{people.mark}-worker/s1"
    token = people.as_session(alice("sts").get_session_token()["Credentials"])
    assert token("sts").get_caller_identity()["Arn"] == arn
    federated = alice("sts").get_federation_token(Name="bob")
    told = people.as_session(federated["Credentials"])("sts").get_caller_identity()
    assert (f"{people.account}:bob", f"arn:aws:sts::{people.account}:federated-user/bob") == (
        told["UserId"],
        told["Arn"],
    )
    assert federated["FederatedUser"] == {"FederatedUserId": told["UserId"], "Arn": told["Arn"]}
    assert name


def test_a_federated_user_has_what_its_user_and_its_session_policy_both_allow(people, functions, deploy):
    alice, _ = people.user(policy=allow(["sts:GetFederationToken", "lambda:ListFunctions", "lambda:GetFunction"]))
    function = deploy("def handler(event, context): return 1\n")
    sts = alice("sts")
    nothing = people.as_session(sts.get_federation_token(Name="bob")["Credentials"])
    assert (
        "because no session policy allows the lambda:ListFunctions action"
        in refused(nothing("lambda").list_functions)[1]
    )
    policy = allow(["lambda:ListFunctions", "lambda:DeleteFunction", "iam:*", "sts:*"])
    made = sts.get_federation_token(Name="bob", Policy=policy)
    assert 0 < made["PackedPolicySize"] <= 100
    bob = people.as_session(made["Credentials"])
    bob("lambda").list_functions()
    assert "no identity-based policy" in refused(bob("lambda").delete_function, FunctionName=function)[1]
    assert "no session policy" in refused(bob("lambda").get_function, FunctionName=function)[1]
    assert code(bob("iam").list_users) == "InvalidClientTokenId"
    for call, given in (
        (bob("sts").get_session_token, {}),
        (bob("sts").get_federation_token, {"Name": "carol"}),
        (bob("sts").assume_role, {"RoleArn": f"arn:aws:iam::{people.account}:role/plain", "RoleSessionName": "xx"}),
        (bob("sts").get_access_key_info, {"AccessKeyId": "AKIA" + "A" * 16}),
        (bob("sts").decode_authorization_message, {"EncodedMessage": "x"}),
    ):
        assert code(call, **given) == "AccessDenied"
    bob("sts").get_caller_identity()


def test_a_resource_policy_that_names_the_federated_user_is_enough(people, functions, deploy, monkeypatch):
    alice, _ = people.user(policy=allow("sts:GetFederationToken"))
    function = deploy("def handler(event, context): return 1\n")
    bob = people.as_session(alice("sts").get_federation_token(Name="bob")["Credentials"])
    assert code(bob("lambda").invoke, FunctionName=function) == "AccessDeniedException"
    functions.add_permission(
        FunctionName=function,
        StatementId="bob",
        Action="lambda:InvokeFunction",
        Principal=f"arn:aws:sts::{people.account}:federated-user/bob",
    )
    assert bob("lambda").invoke(FunctionName=function)["Payload"].read() == b"1"
    carol = people.as_session(alice("sts").get_federation_token(Name="carol")["Credentials"])
    assert code(carol("lambda").invoke, FunctionName=function) == "AccessDeniedException"


def test_federation_needs_long_term_keys_and_its_permissions(people):
    alice, arn = people.user(policy=allow("sts:GetFederationToken"))
    told = refused(alice("sts").get_federation_token, Name="bob", Tags=[{"Key": "team", "Value": "a"}])
    assert told[0] == "AccessDenied"
    assert f"sts:TagSession on resource: arn:aws:sts::{people.account}:federated-user/bob" in told[1]
    session = people.as_session(alice("sts").get_session_token()["Credentials"])
    assert refused(session("sts").get_federation_token, Name="bob") == (
        "AccessDenied",
        "Cannot call GetFederationToken with session credentials",
    )
    assert code(session("sts").get_access_key_info, AccessKeyId="AKIA" + "A" * 16) == "AccessDenied"
    nobody, _ = people.user("nobody")
    assert code(nobody("sts").get_federation_token, Name="bob") == "AccessDenied"
    assert code(alice("sts").get_federation_token, Name="bob", Policy="{") == "MalformedPolicyDocument"
    assert code(alice("sts").get_federation_token, Name="bob", Policy=allow("a:b") + " " * 2048) in {
        "PackedPolicyTooLarge",
        "ValidationError",
    }
    assert arn


def test_session_tags_of_a_federated_user_are_principal_tags(people):
    alice, _ = people.user(policy=allow(["sts:GetFederationToken", "sts:TagSession", "lambda:ListFunctions"]))
    policy = allow("lambda:ListFunctions", Condition={"StringEquals": {"aws:PrincipalTag/team": "red"}})
    for team, allowed in (("red", True), ("blue", False)):
        made = alice("sts").get_federation_token(Name="bob", Policy=policy, Tags=[{"Key": "team", "Value": team}])
        client = people.as_session(made["Credentials"])("lambda")
        if allowed:
            client.list_functions()
        else:
            assert code(client.list_functions) == "AccessDeniedException"


def test_tags_and_a_source_identity_need_permissions_on_both_sides(people):
    alice, arn = people.user(policy=allow(["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]))
    only = people.role("only", trusts=trust({"AWS": arn}))
    every = people.role(
        "every", trusts=trust({"AWS": arn}, ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"])
    )
    tags = {"Tags": [{"Key": "team", "Value": "red"}], "TransitiveTagKeys": ["team"]}
    assert "sts:TagSession" in refused(people.assume, alice, only, **tags)[1]
    assert "sts:SetSourceIdentity" in refused(people.assume, alice, only, SourceIdentity="alice")[1]
    _, answer = people.assume(alice, every, SourceIdentity="alice", **tags)
    assert answer["SourceIdentity"] == "alice"
    # The account's own name in the trust policy delegates: then the caller's policies must allow each action.
    poor, poor_arn = people.user("poor", policy=allow("sts:AssumeRole"))
    root = {"AWS": f"arn:aws:iam::{people.account}:root"}
    delegated = people.role("delegated", trusts=trust(root, ["sts:AssumeRole", "sts:TagSession"]))
    people.assume(poor, delegated)
    assert "sts:TagSession" in refused(people.assume, poor, delegated, **tags)[1]
    assert poor_arn


def test_a_chain_keeps_source_identity_and_transitive_tags_and_lives_an_hour(people):
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    root = {"AWS": f"arn:aws:iam::{people.account}:root"}
    alice, _ = people.user(policy=allow(actions))
    first = people.role("first", trusts=trust(root, actions), policy=allow(actions), MaxSessionDuration=7200)
    second = people.role("second", trusts=trust(root, actions), policy=allow("*"), MaxSessionDuration=7200)
    tags = [{"Key": "Team", "Value": "red"}, {"Key": "own", "Value": "x"}]
    one, _ = people.assume(
        alice, first, SourceIdentity="alice", Tags=tags, TransitiveTagKeys=["Team"], DurationSeconds=7200
    )
    told = refused(people.assume, one, second, DurationSeconds=3601)
    assert told == (
        "ValidationError",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
    )
    assert code(people.assume, client=one, role_arn=second, SourceIdentity="mallory") == "AccessDenied"
    assert code(people.assume, client=one, role_arn=second, Tags=[{"Key": "team", "Value": "b"}]) == "ValidationError"
    two, answer = people.assume(one, second)
    assert answer["SourceIdentity"] == "alice"
    only_red = {"StringEquals": {"aws:PrincipalTag/Team": "red", "aws:SourceIdentity": "alice"}}
    people.iam.put_role_policy(
        RoleName=f"{people.mark}-second",
        PolicyName="p",
        PolicyDocument=allow("lambda:ListFunctions", Condition=only_red),
    )
    two("lambda").list_functions()
    own = {"Null": {"aws:PrincipalTag/own": "false"}}
    people.iam.put_role_policy(
        RoleName=f"{people.mark}-second", PolicyName="p", PolicyDocument=allow("lambda:ListFunctions", Condition=own)
    )
    assert code(two("lambda").list_functions) == "AccessDeniedException"


@pytest.mark.parametrize(
    ("condition", "good", "bad"),
    [
        ({"StringEquals": {"sts:ExternalId": "42"}}, {"ExternalId": "42"}, {"ExternalId": "43"}),
        ({"StringEquals": {"sts:ExternalId": "42"}}, {"ExternalId": "42"}, {}),
        ({"StringLike": {"sts:RoleSessionName": "ci-*"}}, {"RoleSessionName": "ci-1"}, {"RoleSessionName": "xx"}),
        ({"StringEquals": {"sts:SourceIdentity": "al"}}, {"SourceIdentity": "al"}, {"SourceIdentity": "bo"}),
        (
            {"StringEquals": {"aws:RequestTag/team": "red"}},
            {"Tags": [{"Key": "Team", "Value": "red"}]},
            {"Tags": [{"Key": "team", "Value": "blue"}]},
        ),
        (
            {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}},
            {"Tags": [{"Key": "team", "Value": "red"}]},
            {"Tags": [{"Key": "other", "Value": "red"}]},
        ),
        (
            {"ForAnyValue:StringEquals": {"sts:TransitiveTagKeys": "team"}},
            {"Tags": [{"Key": "team", "Value": "x"}], "TransitiveTagKeys": ["team"]},
            {"Tags": [{"Key": "team", "Value": "x"}]},
        ),
        ({"StringEquals": {"iam:ResourceTag/stage": "test"}}, {}, None),
        ({"StringEquals": {"aws:ResourceTag/stage": "prod"}}, None, {}),
        ({"StringEquals": {"aws:PrincipalType": "User"}}, {}, None),
    ],
)
def test_each_key_of_assume_role_is_asked_by_the_trust_policy(people, condition, good, bad):
    alice, arn = people.user()
    actions = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    role_arn = people.role(
        trusts=trust({"AWS": arn}, actions, Condition=condition), Tags=[{"Key": "Stage", "Value": "test"}]
    )
    if good is not None:
        people.assume(alice, role_arn, **good)
    if bad is not None:
        assert refused(people.assume, alice, role_arn, **bad)[0] == "AccessDenied"


def test_a_second_factor_is_refused_and_never_ignored(people):
    alice, arn = people.user()
    role_arn = people.role(trusts=trust({"AWS": arn}))
    factor = {"SerialNumber": f"arn:aws:iam::{people.account}:mfa/alice", "TokenCode": "123456"}
    assert code(people.assume, client=alice, role_arn=role_arn, **factor) == "NotImplemented"
    assert code(alice("sts").get_session_token, **factor) == "NotImplemented"


def test_a_denial_can_be_decoded_by_those_who_may(people, platform):
    alice, arn = people.user(
        policy=document(
            {"Action": "*", "Resource": "*"},
            {
                "Sid": "NoDeleting",
                "Effect": "Deny",
                "Action": ["lambda:Delete*"],
                "Resource": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        )
    )
    with pytest.raises(ClientError) as error:
        alice("lambda").delete_function(FunctionName="none")
    response = error.value.response
    assert response["Error"]["Message"].endswith("with an explicit deny in an identity-based policy")
    message = response["ResponseMetadata"]["HTTPHeaders"]["x-leastwise-authorization-message"]
    decoded = json.loads(platform.client("sts").decode_authorization_message(EncodedMessage=message)["DecodedMessage"])
    assert (decoded["allowed"], decoded["explicitDeny"], decoded["failures"]) == (False, True, {"items": []})
    (matched,) = decoded["matchedStatements"]["items"]
    assert ("NoDeleting", "DENY") == (matched["statementId"], matched["effect"])
    assert matched["actions"] == {"items": [{"value": "lambda:Delete*"}]}
    assert matched["conditions"]["items"] == [{"key": "aws:SecureTransport", "values": {"items": [{"value": "false"}]}}]
    context = decoded["context"]
    assert (arn, "lambda:DeleteFunction") == (context["principal"]["arn"], context["action"])
    keys = {one["key"]: one["values"]["items"] for one in context["conditions"]["items"]}
    assert keys["aws:sourceip"] == [{"value": "127.0.0.1"}]
    nobody, _ = people.user("nobody")
    assert code(nobody("sts").decode_authorization_message, EncodedMessage=message) == "AccessDenied"
    altered = message[:-2] + ("AA" if message[-2:] != "AA" else "BB")
    for wrong in ("x", "not base64!", altered):
        assert refused(platform.client("sts").decode_authorization_message, EncodedMessage=wrong) == (
            "InvalidAuthorizationMessageException",
            "Message is not valid",
        )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("assume_role_with_web_identity", {"WebIdentityToken": "a.b.c.d"}),
        (
            "assume_role_with_saml",
            {"PrincipalArn": "arn:aws:iam::111122223333:saml-provider/p", "SAMLAssertion": "abcd"},
        ),
    ],
)
def test_federation_that_is_not_here_says_so_to_unsigned_calls(platform, name, parameters):
    named = {"RoleSessionName": "session"} if "web" in name else {}
    with pytest.raises(ClientError) as error:
        getattr(platform.client("sts"), name)(RoleArn="arn:aws:iam::111122223333:role/r", **named, **parameters)
    response = error.value.response
    assert ("NotImplemented", 501) == (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])


@pytest.mark.parametrize("operation", ["AssumeRole", "GetCallerIdentity", "GetSessionToken", "GetFederationToken"])
def test_no_other_operation_is_answered_unsigned(platform, operation):
    unsigned = platform.client("sts", signature_version=UNSIGNED)
    parameters = {
        "AssumeRole": {"RoleArn": "arn:aws:iam::111122223333:role/r", "RoleSessionName": "session"},
        "GetFederationToken": {"Name": "ab"},
    }.get(operation, {})
    assert code(getattr(unsigned, xform_name(operation)), **parameters) == "MissingAuthenticationToken"


def test_the_key_of_a_session_does_not_tell_its_account(platform):
    sts = platform.client("sts")
    key = sts.get_session_token()["Credentials"]["AccessKeyId"]
    said = refused(sts.get_access_key_info, AccessKeyId=key)
    assert said[0] == "ValidationError"
    assert "a key of a session stands in its token alone" in said[1]


def test_a_denial_by_no_statement_tells_the_layer_in_its_message(people, platform):
    nobody, _ = people.user()
    with pytest.raises(ClientError) as error:
        nobody("iam").list_users()
    message = error.value.response["ResponseMetadata"]["HTTPHeaders"]["x-leastwise-authorization-message"]
    decoded = json.loads(platform.client("sts").decode_authorization_message(EncodedMessage=message)["DecodedMessage"])
    assert (False, "identity-based", []) == (
        decoded["explicitDeny"],
        decoded["layer"],
        decoded["matchedStatements"]["items"],
    )


def leastwise(platform, *arguments) -> dict:
    done = subprocess.run(
        [LEASTWISE, "--data", str(platform.data), "--output", "json", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_revoked_sessions_end_with_all_that_were_made_from_them(people, platform):
    root = {"AWS": f"arn:aws:iam::{people.account}:root"}
    alice, arn = people.user(policy=allow(["sts:AssumeRole", "sts:GetFederationToken"]))
    first = people.role("first", trusts=trust(root), policy=allow("*"))
    second = people.role("second", trusts=trust(root), policy=allow("*"))
    other, _ = people.assume(alice, second)
    one, _ = people.assume(alice, first)
    two, _ = people.assume(one, second)
    revoked = leastwise(platform, "sessions", "revoke", "--role", f"{people.mark}-first")
    assert revoked["Arn"] == first
    for ended in (one, two):
        assert code(ended("sts").get_caller_identity) == "ExpiredToken"
        assert code(ended("lambda").list_functions) == "ExpiredTokenException"
    other("lambda").list_functions()
    alice("sts").get_caller_identity()
    again, _ = people.assume(alice, first)
    again("lambda").list_functions()
    bob = people.as_session(alice("sts").get_federation_token(Name="bob")["Credentials"])
    token = people.as_session(alice("sts").get_session_token()["Credentials"])
    leastwise(platform, "sessions", "revoke", "--user", arn.rpartition("/")[2])
    for ended in (other, again, bob, token):
        assert code(ended("sts").get_caller_identity) == "ExpiredToken"
    alice("sts").get_caller_identity()
    ids = [one["UniqueId"] for one in leastwise(platform, "sessions", "list")]
    assert revoked["UniqueId"] in ids
    # Set back it cannot be.
    back = leastwise(platform, "sessions", "revoke", "--role", f"{people.mark}-first", "--before", "2020-01-01")
    assert back["NotBefore"] == revoked["NotBefore"]


def test_a_deactivated_access_key_leaves_its_sessions_alone_as_on_aws(people):
    alice, arn = people.user(policy=allow("lambda:ListFunctions"))
    session = people.as_session(alice("sts").get_session_token()["Credentials"])
    name = arn.rpartition("/")[2]
    key = people.iam.list_access_keys(UserName=name)["AccessKeyMetadata"][0]["AccessKeyId"]
    people.iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
    assert code(alice("sts").get_caller_identity) == "InvalidClientTokenId"
    session("lambda").list_functions()
    people.iam.delete_access_key(UserName=name, AccessKeyId=key)
    session("lambda").list_functions()
    people.iam.delete_user_policy(UserName=name, PolicyName="p")
    people.iam.delete_user(UserName=name)
    assert code(session("lambda").list_functions) == "UnrecognizedClientException"


async def test_the_platform_notices_what_another_process_revoked(people, platform):
    alice, arn = people.user(policy=allow("lambda:ListFunctions"))
    session = people.as_session(alice("sts").get_session_token()["Credentials"])
    session("lambda").list_functions()
    database = Database(f"sqlite+aiosqlite:///{platform.data / 'leastwise.db'}")
    # Not this installation's key: the other process needs none to change what is in the database.
    other = open_identity_service(directory=SqlDirectory(database), transactions=database, install_key=bytes(32))
    user = await other.identities.users.get(people.account, arn.rpartition("/")[2])
    async with database.begin():
        await other.identities.revoking.revoke(user, until_ms=None, now_ms=SystemClock().now_ms())
    await database.close()

    def ended() -> str | None:
        try:
            session("lambda").list_functions()
        except ClientError as error:
            return error.response["Error"]["Code"]
        return None

    async with asyncio.timeout(30):
        while (told := await asyncio.to_thread(ended)) is None:
            pass
    assert told == "ExpiredTokenException"
    alice("sts").get_caller_identity()
