"""Hostile callers against a real platform: what must not work, what must not leak, what must be on record."""

import http.client
import json
import socket
import threading
import time
from urllib.parse import quote, urlsplit

import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.wire.conftest import RUNTIME, TRUST, package

ECHO = "def handler(event, context):\n    return event\n"
CALLS_OUT = """
import boto3, botocore
def handler(event, context):
    told = {}
    for service, operation, given in event:
        try:
            getattr(boto3.client(service), operation)(**given)
            told[operation] = "allowed"
        except botocore.exceptions.ClientError as error:
            told[operation] = error.response["Error"]["Code"]
    return told
"""


def document(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return {**allow(action, resource, **more), "Effect": "Deny"}


def code_of(call, **parameters):
    """The error's code, None when there was none."""
    try:
        call(**parameters)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return None


class Mallory:
    """A user with the rights that a test gives."""

    def __init__(self, platform, iam, name):
        self.platform, self.iam, self.name = platform, iam, name
        self.arn = iam.create_user(UserName=name)["User"]["Arn"]
        self.key = iam.create_access_key(UserName=name)["AccessKey"]

    def may(self, *statements):
        self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=document(*statements))

    def client(self, service):
        return self.platform.client_for(service, self.key["AccessKeyId"], self.key["SecretAccessKey"])

    def gone(self):
        for policy in self.iam.list_user_policies(UserName=self.name)["PolicyNames"]:
            self.iam.delete_user_policy(UserName=self.name, PolicyName=policy)
        for key in self.iam.list_access_keys(UserName=self.name)["AccessKeyMetadata"]:
            self.iam.delete_access_key(UserName=self.name, AccessKeyId=key["AccessKeyId"])
        self.iam.delete_user(UserName=self.name)


@pytest.fixture
def mallory(platform, iam):
    made = Mallory(platform, iam, "mallory")
    yield made
    made.gone()


@pytest.fixture
def account(platform):
    return platform.client("sts").get_caller_identity()["Account"]


def records(platform):
    """Everything in the trail, oldest first."""
    for file in sorted((platform.data / "trail").glob("*.log")):
        for line in file.read_bytes().splitlines():
            start = line.find(b'{"event')
            if start >= 0:
                yield json.loads(line[start:])


def sign(platform, method, path, *, service="lambda", body=b"", region="us-east-1", **headers):
    held = platform.session().get_credentials()
    request = AWSRequest(method, f"{platform.url}{path}", data=body, headers=headers)
    SigV4Auth(Credentials(held.access_key, held.secret_key), service, region).add_auth(request)
    return dict(request.headers.items())


def send(platform, method, path, headers, body=b""):
    address = urlsplit(platform.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    told = answer.status, (answer.getheader("x-amzn-errortype") or "").partition(":")[0], answer.read()
    connection.close()
    return told


def speak(platform, data, *, patience=10.0):
    """Bytes in, bytes out until the other side closes or falls silent."""
    address = urlsplit(platform.url)
    with socket.create_connection((address.hostname, address.port), timeout=patience) as peer:
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)
        told = b""
        while chunk := peer.recv(65536):
            told += chunk
        return told


# --- escalation -------------------------------------------------------------------------------------------------------


def test_no_way_to_hand_over_a_role_goes_without_passrole(mallory, role, deploy, account):
    name = deploy(ECHO)
    mallory.may(
        allow("lambda:*"), deny("iam:PassRole", f"arn:aws:iam::{account}:role/adm*"), allow("iam:PassRole", role)
    )
    functions = mallory.client("lambda")
    update = functions.update_function_configuration
    assert "AccessDeniedException" == code_of(update, FunctionName=name, Role=f"arn:aws:iam::{account}:role/admin")
    # Other spellings of a denied role name no role at all.
    for spelling in (f"arn:aws-cn:iam::{account}:role/admin", f"arn:aws:iam::{account}:role/x/../admin"):
        assert code_of(update, FunctionName=name, Role=spelling) in {
            "AccessDeniedException",
            "InvalidParameterValueException",
            "ValidationException",
        }
    assert code_of(update, FunctionName=name, Role="arn:aws:iam::111122223333:role/admin") == "AccessDeniedException"


def test_a_right_to_one_policy_version_or_trust_policy_is_no_right_to_another(mallory, iam, account):
    arn = iam.create_policy(PolicyName="guard", PolicyDocument=document(deny("iam:*")))["Policy"]["Arn"]
    mallory.may(allow("iam:*", f"arn:aws:iam::{account}:policy/own*"), allow("sts:*"))
    users = mallory.client("iam")
    assert "AccessDenied" == code_of(
        users.create_policy_version, PolicyArn=arn, PolicyDocument=document(allow("*")), SetAsDefault=True
    )
    assert "AccessDenied" == code_of(
        users.update_assume_role_policy, RoleName="plain", PolicyDocument=document(allow("sts:AssumeRole"))
    )
    assert "AccessDenied" == code_of(users.attach_user_policy, UserName="mallory", PolicyArn=arn)
    assert "AccessDenied" == code_of(users.delete_user_permissions_boundary, UserName="mallory")
    iam.delete_policy(PolicyArn=arn)


def test_a_session_cannot_make_itself_more_than_it_is(mallory, platform, iam):
    mallory.may(allow("*"))
    got = mallory.client("sts").get_session_token()["Credentials"]
    keys = got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"]
    assert "InvalidClientTokenId" == code_of(platform.client_for("iam", *keys).create_access_key, UserName="mallory")
    assert "AccessDenied" == code_of(platform.client_for("sts", *keys).get_session_token)
    own = mallory.key
    for mixed in (
        (own["AccessKeyId"], own["SecretAccessKey"], got["SessionToken"]),
        (got["AccessKeyId"], own["SecretAccessKey"], got["SessionToken"]),
        (got["AccessKeyId"], got["SecretAccessKey"], None),
    ):
        assert code_of(platform.client_for("sts", *mixed).get_caller_identity) in {
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
        }


def test_a_boundary_and_a_session_policy_only_ever_take_away(mallory, platform, iam):
    boundary = iam.create_policy(PolicyName="bound", PolicyDocument=document(allow("lambda:ListFunctions")))
    arn = boundary["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName="mallory", PermissionsBoundary=arn)
    mallory.may(allow("*"))
    assert code_of(mallory.client("lambda").list_functions) is None
    assert "AccessDenied" == code_of(mallory.client("iam").delete_user_permissions_boundary, UserName="mallory")
    assert "AccessDenied" == code_of(
        mallory.client("iam").create_policy_version,
        PolicyArn=arn,
        PolicyDocument=document(allow("*")),
        SetAsDefault=True,
    )
    iam.delete_user_permissions_boundary(UserName="mallory")
    iam.delete_policy(PolicyArn=arn)


def test_a_function_has_the_rights_of_its_role_and_no_other(functions, iam, deploy, account):
    own = iam.create_role(RoleName="narrow", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.put_role_policy(RoleName="narrow", PolicyName="p", PolicyDocument=document(allow("lambda:ListFunctions")))
    name = deploy(CALLS_OUT, Role=own, Timeout=60)
    asked = [
        ("lambda", "list_functions", {}),
        ("lambda", "delete_function", {"FunctionName": name}),
        ("iam", "create_user", {"UserName": "backdoor"}),
        ("iam", "put_role_policy", {"RoleName": "narrow", "PolicyName": "p", "PolicyDocument": document(allow("*"))}),
        ("sts", "assume_role", {"RoleArn": f"arn:aws:iam::{account}:role/plain", "RoleSessionName": "other"}),
        ("sts", "get_session_token", {}),
        ("logs", "delete_log_group", {"logGroupName": f"/aws/lambda/{name}"}),
    ]
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(asked).encode())
    told = json.loads(answer["Payload"].read())
    assert "allowed" == told.pop("list_functions")
    assert {"AccessDenied", "AccessDeniedException"} == set(told.values())
    iam.delete_role_policy(RoleName="narrow", PolicyName="p")


def test_nobody_has_a_function_write_where_he_may_not_write_himself(mallory, deploy, account):
    mine, theirs = deploy(ECHO), deploy(ECHO)
    own = f"arn:aws:lambda:us-east-1:{account}:function:{mine}"
    mallory.may(allow("lambda:*", own))
    update = mallory.client("lambda").update_function_configuration
    group = {"LogGroup": f"/aws/lambda/{theirs}"}
    assert "AccessDeniedException" == code_of(update, FunctionName=mine, LoggingConfig=group)
    assert code_of(update, FunctionName=mine, LoggingConfig={"LogGroup": f"/aws/lambda/{mine}"}) is None
    arn = f"arn:aws:logs:us-east-1:{account}:log-group:/aws/lambda/{theirs}:*"
    mallory.may(allow("lambda:*", own), allow("logs:PutLogEvents", arn))
    assert code_of(update, FunctionName=mine, LoggingConfig=group) is None


# --- names ------------------------------------------------------------------------------------------------------------


def test_a_denial_holds_for_every_spelling_of_a_function(mallory, functions, deploy, account, platform):
    name = deploy(ECHO)
    arn = f"arn:aws:lambda:us-east-1:{account}:function:{name}"
    mallory.may(allow("lambda:*"), deny("lambda:*", arn))
    mine = mallory.client("lambda")
    for spelling in (name, arn, f"{account}:function:{name}", f"function:{name}", f"{name}:$LATEST", f"{arn}:$LATEST"):
        assert code_of(mine.invoke, FunctionName=spelling) in {"AccessDeniedException", "ValidationException"}
        assert code_of(mine.get_function, FunctionName=spelling) in {"AccessDeniedException", "ValidationException"}
    assert "AccessDeniedException" == code_of(mine.invoke, FunctionName=name, Qualifier="$LATEST")
    assert "ResourceNotFoundException" == code_of(mine.invoke, FunctionName=name.upper())


def test_a_signature_for_another_region_opens_nothing(platform, deploy):
    name = deploy(ECHO)
    for service, path in (("lambda", "/2015-03-31/functions"), ("lambda", f"/2015-03-31/functions/{name}")):
        headers = sign(platform, "GET", path, service=service, region="eu-west-1")
        status, code, body = send(platform, "GET", path, headers)
        assert (403, "InvalidSignatureException") == (status, code)
        assert "Credential should be scoped to a valid region." == json.loads(body)["message"]
    assert "us-east-1" == list(records(platform))[-1]["awsRegion"]


def test_a_user_made_anew_inherits_nothing_from_the_one_of_that_name(platform, iam, functions, deploy):
    name = deploy(ECHO)
    first = Mallory(platform, iam, "returning")
    functions.add_permission(FunctionName=name, StatementId="s1", Action="lambda:InvokeFunction", Principal=first.arn)
    assert code_of(first.client("lambda").invoke, FunctionName=name) is None
    first.gone()
    second = Mallory(platform, iam, "returning")
    assert first.arn == second.arn
    assert "AccessDeniedException" == code_of(second.client("lambda").invoke, FunctionName=name)
    second.gone()


# --- the door ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b" Folded: b\r\n\r\n",
    ],
)
def test_ambiguous_framing_is_refused_and_ends_the_connection(platform, framing):
    told = speak(platform, b"POST / HTTP/1.1\r\nHost: x\r\n" + framing)
    assert told.startswith(b"HTTP/1.1 400 ")
    assert 1 == told.count(b"HTTP/1.1 ")


@pytest.mark.parametrize(
    "extra",
    [
        {"X-Amz-Invocation-Type": "Event"},
        {"X-Amz-Security-Token": "x"},
        {"X-Amz-Target": "Logs_20140328.DescribeLogGroups"},
        {"X-Amz-Log-Type": "Tail"},
        {"X-Amz-Client-Context": "e30="},
    ],
)
def test_nobody_in_between_adds_a_header_that_means_something(platform, extra):
    path = "/2015-03-31/functions/nobody/invocations"
    headers = {**sign(platform, "POST", path, body=b"{}"), **extra}
    status, code, _ = send(platform, "POST", path, headers, b"{}")
    assert (403, "InvalidSignatureException") == (status, code)


def test_a_signature_holds_for_its_path_method_and_query_only(platform, deploy):
    one, other = deploy(ECHO), deploy(ECHO)
    path = f"/2015-03-31/functions/{one}/invocations"
    headers = sign(platform, "POST", path, body=b"{}")
    assert 200 == send(platform, "POST", path, headers, b"{}")[0]
    for method, elsewhere in (
        ("POST", path.replace(one, other)),
        ("POST", f"{path}?Qualifier=$LATEST"),
        ("POST", f"/2015-03-31/functions/{quote(one).replace('f', '%66', 1)}/invocations"),
        ("PUT", path),
    ):
        assert "InvalidSignatureException" == send(platform, method, elsewhere, headers, b"{}")[1]


def test_nested_and_odd_bodies_are_the_callers_fault(platform, deploy):
    name = deploy(ECHO)
    invoke = f"/2015-03-31/functions/{name}/invocations"
    for path, body in (
        (invoke, b"[" * 100_000),
        (invoke, b"\xff\xfe"),
        ("/2015-03-31/functions", b'{"Code":' * 50_000),
        ("/2015-03-31/functions", b'{"FunctionName":"\\ud800"}'),
        ("/2015-03-31/functions", b'{"Timeout":' + b"9" * 5000 + b"}"),
    ):
        status, code, _ = send(platform, "POST", path, sign(platform, "POST", path, body=body), body)
        assert (400, True) == (status, code != ""), (path, body[:20])


def test_what_is_signed_and_unknown_is_judged_and_on_record(platform):
    stranger = sign(platform, "GET", "/2099-01-01/nothing")
    stranger["Authorization"] = stranger["Authorization"][:-4] + "0000"
    assert "InvalidSignatureException" == send(platform, "GET", "/2099-01-01/nothing", stranger)[1]
    last = list(records(platform))[-1]
    assert ("Unknown", "InvalidSignatureException") == (last["userIdentity"]["type"], last["errorCode"])
    for service, path, code in (
        ("lambda", "/2099-01-01/nothing", "UnknownOperationException"),
        ("ec2", "/", "NotImplementedException"),
    ):
        send(platform, "GET", path, sign(platform, "GET", path, service=service))
        last = list(records(platform))[-1]
        assert ("Unknown", code, "IAMUser") == (last["eventName"], last["errorCode"], last["userIdentity"]["type"])


def test_hostile_packages_are_refused_through_the_api(functions, role):
    def create(zip_file):
        return code_of(
            functions.create_function,
            FunctionName="hostile",
            Runtime=RUNTIME,
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": zip_file},
        )

    for hostile in (
        b"PK\x05\x06",
        b"not a zip",
        package("x", name="../../escape.py"),
        package("x", name="/etc/passwd"),
        package("x", name="a\\..\\b.py"),
        package(ECHO)[:-10],
    ):
        assert "InvalidParameterValueException" == create(hostile), hostile[:30]
    assert "ResourceNotFoundException" == code_of(functions.get_function, FunctionName="hostile")


@pytest.mark.parametrize("name", ["..", "../../x", "/", "a/../b", "#"])
def test_a_log_group_of_any_name_stays_in_the_log_directory(platform, logs, name):
    before = {path for path in platform.data.iterdir() if path.name != "logs"}
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="../x\x00\n")
    logs.put_log_events(
        logGroupName=name,
        logStreamName="../x\x00\n",
        logEvents=[{"timestamp": int(time.time() * 1000), "message": "m\nforged"}],
    )
    (event,) = logs.get_log_events(logGroupName=name, logStreamName="../x\x00\n")["events"]
    assert "m\nforged" == event["message"]
    logs.delete_log_group(logGroupName=name)
    assert before <= {path for path in platform.data.iterdir() if path.name != "logs"}


def test_forged_page_tokens_are_refused(functions, iam, logs):
    logs.create_log_group(logGroupName="tokens")
    for call, given in (
        (functions.list_functions, {"Marker": "____"}),
        (iam.list_users, {"Marker": "x"}),
        (logs.describe_log_groups, {"nextToken": "%%"}),
        (logs.filter_log_events, {"logGroupName": "tokens", "nextToken": "AAAA"}),
        (logs.get_log_events, {"logGroupName": "tokens", "logStreamName": "s", "nextToken": "f/1"}),
    ):
        assert code_of(call, **given) in {"ValidationException", "ValidationError", "InvalidParameterException"}
    logs.delete_log_group(logGroupName="tokens")


# --- what leaks, what is counted --------------------------------------------------------------------------------------


def test_no_secret_reaches_the_trail_the_log_or_a_file_in_the_clear(platform, functions, iam, deploy):
    canary = "CANARY7f3a"
    name = deploy(ECHO, Environment={"Variables": {"SECRET": canary}})
    for variables in ({"1x": canary}, {"AWS_REGION": canary}, {"BIG": canary * 900}, {"NUL": f"{canary}\0"}):
        code_of(functions.update_function_configuration, FunctionName=name, Environment={"Variables": variables})
    functions.invoke(FunctionName=name, Payload=json.dumps({"password": canary}).encode())
    broken = f'{{"password": "{canary}"'.encode()
    assert "InvalidRequestContentException" == code_of(functions.invoke, FunctionName=name, Payload=broken)
    iam.create_user(UserName="keyed")
    made = iam.create_access_key(UserName="keyed")["AccessKey"]
    held = platform.session().get_credentials()
    token = platform.client_for("sts", held.access_key, held.secret_key).get_session_token()["Credentials"]
    secrets = [canary, made["SecretAccessKey"], token["SecretAccessKey"], token["SessionToken"]]
    files = [path for path in platform.data.rglob("*") if path.is_file() and "runtime" not in path.parts]
    for file in [platform.log, *files]:
        content = file.read_bytes()
        assert not [secret[:6] for secret in secrets if secret.encode() in content], file
    iam.delete_access_key(UserName="keyed", AccessKeyId=made["AccessKeyId"])
    iam.delete_user(UserName="keyed")


def test_everything_in_the_data_directory_is_its_owners_alone(platform):
    assert 0 == platform.data.stat().st_mode & 0o077
    for name in ("leastwise.db", "install.key", "credentials", "config", "lock", "trail", "logs", "code"):
        assert 0 == (platform.data / name).stat().st_mode & 0o077, name


def test_each_call_leaves_one_record_and_each_invocation_is_counted_once(platform, functions, deploy):
    name = deploy(ECHO)
    ids = []
    for given in ({}, {"Payload": b"{"}, {"InvocationType": "DryRun"}, {"Qualifier": "7"}):
        try:
            answer = functions.invoke(FunctionName=name, **given)
        except botocore.exceptions.ClientError as error:
            answer = error.response
        ids.append(answer["ResponseMetadata"]["RequestId"])
    found = [record for record in records(platform) if record["requestID"] in ids]
    assert sorted(ids) == sorted(record["requestID"] for record in found)
    assert 1 == sum("billedMs" in record.get("additionalEventData", {}) for record in found)


def test_a_function_deleted_while_it_is_called_ends_in_an_answer(functions, role, platform):
    functions.create_function(
        FunctionName="vanishing",
        Runtime=RUNTIME,
        Role=role,
        Handler="app.handler",
        Code={"ZipFile": package(ECHO)},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="vanishing", WaiterConfig={"Delay": 1})
    started, told = threading.Barrier(9), []

    def call():
        client = platform.client("lambda")
        started.wait()
        told.extend(code_of(client.invoke, FunctionName="vanishing", Payload=b"{}") for _ in range(5))

    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    started.wait()
    functions.delete_function(FunctionName="vanishing")
    for caller in callers:
        caller.join()
    assert 40 == len(told)
    assert {None, "ResourceNotFoundException"} >= set(told)
