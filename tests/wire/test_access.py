"""Who may: signatures that do not hold, default deny, PassRole, resource policies, sessions."""

import datetime
import json
import urllib.request
from urllib.error import HTTPError

import boto3
import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.wire.conftest import RUNTIME, package

ECHO = "def handler(event, context):\n    return event\n"


@pytest.fixture
def person(platform, iam, request):
    """A user without any policy, and clients with their key."""
    name = f"person-{abs(hash(request.node.nodeid)) % 10**8}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]

    class Person:
        user = name

        @staticmethod
        def client(service):
            return platform.client_for(service, key["AccessKeyId"], key["SecretAccessKey"])

        @staticmethod
        def allow(action, resource, **more):
            statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
            iam.put_user_policy(
                UserName=name,
                PolicyName="p",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
            )

    yield Person
    for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
        iam.delete_user_policy(UserName=name, PolicyName=policy)
    for one in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=name, AccessKeyId=one["AccessKeyId"])
    iam.delete_user(UserName=name)


def error_of(call, *arguments, **parameters):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(*arguments, **parameters)
    return caught.value.response


def test_a_user_without_a_policy_may_do_nothing_but_ask_who_they_are(person, platform):
    who = person.client("sts").get_caller_identity()
    assert who["Arn"].endswith(f":user/{person.user}")
    response = error_of(person.client("lambda").list_functions)
    assert response["Error"]["Code"] == "AccessDeniedException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert response["Error"]["Message"] == (
        f"User: {who['Arn']} is not authorized to perform: lambda:ListFunctions on resource: * "
        "because no identity-based policy allows the lambda:ListFunctions action"
    )
    response = error_of(person.client("iam").list_users)
    assert response["Error"]["Code"] == "AccessDenied"
    assert " is not authorized to perform: iam:ListUsers on resource: " in response["Error"]["Message"]


def test_a_policy_change_counts_for_the_next_call(person, iam):
    functions = person.client("lambda")
    error_of(functions.list_functions)
    person.allow("lambda:ListFunctions", "*")
    functions.list_functions()
    iam.delete_user_policy(UserName=person.user, PolicyName="p")
    error_of(functions.list_functions)


def test_an_explicit_deny_is_told_as_one(person, iam, deploy):
    name = deploy(ECHO)
    person.allow("lambda:*", "*")
    deny = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "lambda:Invoke*", "Resource": "*"}]}
    iam.put_user_policy(UserName=person.user, PolicyName="deny", PolicyDocument=json.dumps(deny))
    response = error_of(person.client("lambda").invoke, FunctionName=name)
    assert response["Error"]["Message"].endswith("with an explicit deny in an identity-based policy")


def test_a_resource_policy_alone_is_enough_within_the_account(person, functions, deploy, platform):
    name = deploy(ECHO)
    arn = person.client("sts").get_caller_identity()["Arn"]
    error_of(person.client("lambda").invoke, FunctionName=name)
    functions.add_permission(FunctionName=name, StatementId="s1", Action="lambda:InvokeFunction", Principal=arn)
    assert json.loads(functions.get_policy(FunctionName=name)["Policy"])["Statement"][0]["Principal"] == {"AWS": arn}
    person.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    functions.remove_permission(FunctionName=name, StatementId="s1")
    error_of(person.client("lambda").invoke, FunctionName=name)


def test_handing_a_role_to_a_function_needs_passrole(person, role):
    person.allow("lambda:CreateFunction", "*")
    response = error_of(
        person.client("lambda").create_function,
        FunctionName="passed",
        Runtime=RUNTIME,
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": package(ECHO)},
    )
    assert response["Error"]["Code"] == "AccessDeniedException"
    assert f"is not authorized to perform: iam:PassRole on resource: {role}" in response["Error"]["Message"]


def test_a_condition_on_the_source_address_is_kept(person, deploy):
    name = deploy(ECHO)
    person.allow("lambda:InvokeFunction", "*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    error_of(person.client("lambda").invoke, FunctionName=name)
    person.allow("lambda:InvokeFunction", "*", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}})
    person.client("lambda").invoke(FunctionName=name, Payload=b"{}")


def test_a_wrong_secret_is_a_signature_that_does_not_match(platform, iam):
    key = platform.session().get_credentials().access_key
    lambda_error = error_of(platform.client_for("lambda", key, "x" * 40).list_functions)
    iam_error = error_of(platform.client_for("iam", key, "x" * 40).list_users)
    assert lambda_error["Error"]["Code"] == "InvalidSignatureException"
    assert iam_error["Error"]["Code"] == "SignatureDoesNotMatch"
    assert lambda_error["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_an_unknown_key_and_a_forged_token_are_invalid(platform):
    unknown = platform.client_for("lambda", "AKIAAAAAAAAAAAAAAAAA", "x" * 40)
    assert error_of(unknown.list_functions)["Error"]["Code"] == "UnrecognizedClientException"
    forged = platform.client_for("sts", "ASIAAAAAAAAAAAAAAAAA", "x" * 40, token="forged")
    assert error_of(forged.get_caller_identity)["Error"]["Code"] == "InvalidClientTokenId"


def test_a_key_that_is_inactive_is_refused_at_once(person, iam):
    client = person.client("sts")
    client.get_caller_identity()
    key = iam.list_access_keys(UserName=person.user)["AccessKeyMetadata"][0]["AccessKeyId"]
    iam.update_access_key(UserName=person.user, AccessKeyId=key, Status="Inactive")
    assert error_of(client.get_caller_identity)["Error"]["Code"] == "InvalidClientTokenId"


def raw(url, *, method="GET", headers=None, body=None):
    request = urllib.request.Request(url, method=method, headers=headers or {}, data=body)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_a_call_without_signature_is_refused_in_the_services_shape(platform):
    status, headers, body = raw(f"{platform.url}/2015-03-31/functions")
    assert status == 403
    assert headers["x-amzn-errortype"].startswith("MissingAuthenticationTokenException")
    assert json.loads(body)["message"] == "Missing Authentication Token"


def test_a_signature_that_is_too_old_is_refused(platform):
    held = platform.session().get_credentials()
    request = AWSRequest("GET", f"{platform.url}/2015-03-31/functions")
    signer = SigV4Auth(Credentials(held.access_key, held.secret_key), "lambda", "us-east-1")
    signer.add_auth(request)
    old = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=20)).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = old
    del request.headers["X-Amz-Date"], request.headers["Authorization"]
    request.headers["X-Amz-Date"] = old
    canonical = signer.canonical_request(request)
    signature = signer.signature(signer.string_to_sign(request, canonical), request)
    signer._inject_signature_to_request(request, signature)
    status, _, body = raw(request.url, headers=dict(request.headers.items()))
    assert status == 403
    assert "Signature expired" in json.loads(body)["message"]


def test_a_body_that_was_changed_after_signing_is_refused(platform, deploy):
    name = deploy(ECHO)
    held = platform.session().get_credentials()
    url = f"{platform.url}/2015-03-31/functions/{name}/invocations"
    request = AWSRequest("POST", url, data=b'{"amount":1}')
    SigV4Auth(Credentials(held.access_key, held.secret_key), "lambda", "us-east-1").add_auth(request)
    status, headers, _ = raw(url, method="POST", headers=dict(request.headers.items()), body=b'{"amount":9}')
    assert (status, headers["x-amzn-errortype"].split(":")[0]) == (403, "InvalidSignatureException")


def test_a_presigned_request_works_until_it_does_not_match(platform):
    client = platform.client("sts")
    url = client.generate_presigned_url("get_caller_identity", ExpiresIn=60, HttpMethod="GET")
    status, _, body = raw(url)
    assert status == 200
    assert b"user/administrator" in body
    assert raw(url.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))[0] == 403


def test_a_role_is_assumed_by_whom_it_trusts_with_an_external_id(platform, iam, person):
    arn = person.client("sts").get_caller_identity()["Arn"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": arn},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": "agreed"}},
            }
        ],
    }
    role = iam.create_role(RoleName="assumed", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    may = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:List*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="assumed", PolicyName="p", PolicyDocument=json.dumps(may))
    sts = person.client("sts")
    denied = error_of(sts.assume_role, RoleArn=role, RoleSessionName="session")
    assert denied["Error"]["Code"] == "AccessDenied"
    got = sts.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="agreed")["Credentials"]
    session = platform.client_for("lambda", got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    session.list_functions()
    who = platform.client_for("sts", got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    assert who.get_caller_identity()["Arn"].endswith(":assumed-role/assumed/session")
    narrow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]}
    got = sts.assume_role(RoleArn=role, RoleSessionName="session", ExternalId="agreed", Policy=json.dumps(narrow))
    got = got["Credentials"]
    session = platform.client_for("lambda", got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
    refused = error_of(session.list_functions)
    assert "because no session policy allows the lambda:ListFunctions action" in refused["Error"]["Message"]
    swapped = platform.client_for("sts", got["AccessKeyId"], got["SecretAccessKey"], "x" + got["SessionToken"][1:])
    assert error_of(swapped.get_caller_identity)["ResponseMetadata"]["HTTPStatusCode"] == 403
    iam.delete_role_policy(RoleName="assumed", PolicyName="p")
    iam.delete_role(RoleName="assumed")
    assert error_of(who.get_caller_identity)["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_the_door_names_what_is_wrong_with_a_parameter(functions):
    response = error_of(
        functions.create_function,
        FunctionName="x" * 200,
        Runtime=RUNTIME,
        Role="arn:aws:iam::111122223333:role/r",
        Handler="a.b",
        Code={"ZipFile": b"x"},
    )
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "validation error detected" in response["Error"]["Message"]
    assert "functionName" in response["Error"]["Message"]


def test_the_credentials_file_is_for_its_owner_only(platform):
    assert (platform.data / "credentials").stat().st_mode & 0o077 == 0
    assert platform.data.stat().st_mode & 0o077 == 0
    session = boto3.Session()
    assert "leastwise" not in session.available_profiles
