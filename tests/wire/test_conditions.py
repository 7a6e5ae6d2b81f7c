"""Each condition key over the wire: a policy with it allows what it should, and really denies what it should not."""

from __future__ import annotations

import http.client
import itertools
import json
import subprocess
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from tests.wire.conftest import LEASTWISE, TRUST, package, start

_numbers = itertools.count()
NOW = datetime.now(UTC)
DAY = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def statement(action, condition, effect="Allow", resource="*") -> dict:
    return {"Effect": effect, "Action": action, "Resource": resource, "Condition": condition}


def document(*statements) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def may(call, *given, **more) -> bool:
    """Whether the call is allowed; anything else than a denial is an error of the test."""
    try:
        call(*given, **more)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}:
            return False
        raise
    return True


class Person:
    def __init__(self, platform, iam, **more):
        self.platform, self.iam = platform, iam
        self.name = f"cond{next(_numbers)}"
        self.arn = iam.create_user(UserName=self.name, **more)["User"]["Arn"]
        key = iam.create_access_key(UserName=self.name)["AccessKey"]
        self.key = (key["AccessKeyId"], key["SecretAccessKey"])
        self.account = self.arn.split(":")[4]

    def has(self, *statements):
        self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=document(*statements))

    def client(self, service="lambda"):
        return self.platform.client_for(service, *self.key)


@pytest.fixture
def person(platform, iam):
    return Person(platform, iam, Tags=[{"Key": "Team", "Value": "red"}])


def clock(minutes: int) -> str:
    """A time of day so many minutes from now."""
    return f"{datetime.now(UTC) + timedelta(minutes=minutes):%H:%M}"


def iso(minutes: int) -> str:
    return f"{NOW + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def epoch(minutes: int) -> str:
    return str(int((NOW + timedelta(minutes=minutes)).timestamp()))


TODAY = [DAY[(NOW + timedelta(minutes=m)).weekday()] for m in (0, 10)]
LATER = [day for day in DAY if day not in TODAY]


def window(opens: int, closes: int, zone: str = "") -> dict:
    key = f"leastwise:TimeOfDay{zone}"
    return {"NumericGreaterThanEquals": {key: clock(opens)}, "NumericLessThan": {key: clock(closes)}}


KEYS = {
    "aws:CurrentTime": (
        {"DateGreaterThan": {"aws:CurrentTime": iso(-9)}},
        {"DateLessThan": {"aws:CurrentTime": iso(-9)}},
    ),
    "aws:EpochTime": (
        {"DateGreaterThan": {"aws:EpochTime": epoch(-9)}},
        {"NumericLessThan": {"aws:EpochTime": epoch(-9)}},
    ),
    "leastwise:DayOfWeek": (
        {"StringEquals": {"leastwise:DayOfWeek": TODAY}},
        {"StringEquals": {"leastwise:DayOfWeek": LATER}},
    ),
    # Windows that began half an hour ago, or begin in half an hour; one of each crosses midnight some time of the day.
    "leastwise:TimeOfDay": (window(-30, 30), window(30, 90)),
    "leastwise:TimeOfDay/UTC": (window(-30, 30, "/Etc/UTC"), window(30, 90, "/Etc/UTC")),
    "leastwise:TimeZone": (
        {"StringEquals": {"leastwise:TimeZone": "UTC"}},
        {"StringEquals": {"leastwise:TimeZone": "Europe/Berlin"}},
    ),
    "aws:SourceIp": ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    "aws:SecureTransport": ({"Bool": {"aws:SecureTransport": "false"}}, {"Bool": {"aws:SecureTransport": "true"}}),
    "aws:MultiFactorAuthPresent": (
        {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}},
        {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    ),
    "aws:MultiFactorAuthAge": (
        {"Null": {"aws:MultiFactorAuthAge": "true"}},
        {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}},
    ),
    "leastwise:MfaMethod": (
        {"Null": {"leastwise:MfaMethod": "true"}},
        {"StringEquals": {"leastwise:MfaMethod": ["totp", "webauthn"]}},
    ),
    "leastwise:AuthenticationMethod": (
        {"StringEquals": {"leastwise:AuthenticationMethod": "key"}},
        {"StringEquals": {"leastwise:AuthenticationMethod": "password"}},
    ),
    "aws:PrincipalArn": (
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/cond*"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}},
    ),
    "aws:PrincipalAccount": (
        {"StringLike": {"aws:PrincipalAccount": "????????????"}},
        {"StringEquals": {"aws:PrincipalAccount": "999999999999"}},
    ),
    "aws:PrincipalType": (
        {"StringEquals": {"aws:PrincipalType": "User"}},
        {"StringEquals": {"aws:PrincipalType": "AssumedRole"}},
    ),
    "aws:PrincipalTag": (
        {"StringEquals": {"aws:PrincipalTag/team": "red"}},
        {"StringEquals": {"aws:PrincipalTag/team": "Red"}},
    ),
    "aws:PrincipalIsAWSService": (
        {"Bool": {"aws:PrincipalIsAWSService": "false"}},
        {"Bool": {"aws:PrincipalIsAWSService": "true"}},
    ),
    "aws:userid": ({"StringLike": {"aws:userid": "AIDA*"}}, {"StringLike": {"aws:userid": "AROA*"}}),
    "aws:username": ({"StringLike": {"aws:username": "cond*"}}, {"StringEquals": {"aws:username": "cond"}}),
    "aws:UserAgent": ({"StringLike": {"aws:UserAgent": "Boto3*"}}, {"StringLike": {"aws:UserAgent": "curl*"}}),
    "aws:RequestedRegion": (
        {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
        {"StringEquals": {"aws:RequestedRegion": "eu-central-1"}},
    ),
    "aws:TokenIssueTime": (
        {"Null": {"aws:TokenIssueTime": "true"}},
        {"DateGreaterThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}},
    ),
    "aws:ViaAWSService": ({"Bool": {"aws:ViaAWSService": "false"}}, {"Bool": {"aws:ViaAWSService": "true"}}),
    "aws:CalledVia": (
        {"Null": {"aws:CalledVia": "true", "aws:CalledViaFirst": "true", "aws:CalledViaLast": "true"}},
        {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}},
    ),
    "aws:SourceVpc": (
        {"Null": {"aws:SourceVpc": "true", "aws:SourceVpce": "true"}},
        {"StringLike": {"aws:SourceVpc": "*"}},
    ),
    "aws:SourceArn": (
        {"Null": {"aws:SourceArn": "true", "aws:SourceAccount": "true"}},
        {"ArnLike": {"aws:SourceArn": "arn:*:*:*:*:*"}},
    ),
}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_every_call_allows_and_denies(person, key):
    holds, fails = KEYS[key]
    lists = person.client().list_functions
    person.has(statement("lambda:ListFunctions", holds))
    assert may(lists)
    person.has(statement("lambda:ListFunctions", fails))
    assert not may(lists)
    person.has(statement("lambda:ListFunctions", {}), statement("*", holds, "Deny"))
    assert not may(lists)


def test_a_session_has_an_age_and_no_second_factor(person, platform, iam):
    trust = {"Effect": "Allow", "Principal": {"AWS": person.arn}, "Action": "sts:AssumeRole"}
    role = iam.create_role(
        RoleName=f"{person.name}-role", AssumeRolePolicyDocument=document(trust), Tags=[{"Key": "s", "Value": "t"}]
    )["Role"]
    made = person.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="ss")["Credentials"]
    lists = platform.client_for(
        "lambda", made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]
    ).list_functions
    for holds, fails in (
        (
            {"DateGreaterThan": {"aws:TokenIssueTime": iso(-9)}},
            {"DateLessThan": {"aws:TokenIssueTime": iso(-9)}},
        ),
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        ({"ArnEquals": {"aws:PrincipalArn": role["Arn"]}}, {"ArnLike": {"aws:PrincipalArn": "arn:aws:sts::*:*"}}),
        ({"StringLike": {"aws:userid": "AROA*:ss"}}, {"StringLike": {"aws:userid": "AROA*:xx"}}),
        ({"Null": {"aws:username": "true"}}, {"StringLike": {"aws:username": "*"}}),
        (
            {"StringEquals": {"leastwise:AuthenticationMethod": "key"}},
            {"Null": {"leastwise:AuthenticationMethod": "true"}},
        ),
        ({"Null": {"lambda:SourceFunctionArn": "true"}}, {"ArnLike": {"lambda:SourceFunctionArn": "arn:*:*:*:*:*"}}),
    ):
        for condition, allowed in ((holds, True), (fails, False)):
            iam.put_role_policy(
                RoleName=role["RoleName"],
                PolicyName="p",
                PolicyDocument=document(statement("lambda:ListFunctions", condition)),
            )
            assert allowed == may(lists), condition


def test_tags_of_the_request_and_of_the_resource(person, functions, deploy):
    function = deploy("def handler(event, context): return 1\n", Tags={"Stage": "prod"})
    arn = functions.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    client = person.client()
    person.has(statement("lambda:GetFunction", {"StringEquals": {"aws:ResourceTag/stage": "prod"}}))
    assert may(client.get_function, FunctionName=function)
    person.has(statement("lambda:GetFunction", {"StringEquals": {"aws:ResourceTag/stage": "test"}}))
    assert not may(client.get_function, FunctionName=function)
    only = {"StringEquals": {"aws:RequestTag/team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    person.has(statement("lambda:*Resource", only))
    assert may(client.tag_resource, Resource=arn, Tags={"team": "red"})
    assert not may(client.tag_resource, Resource=arn, Tags={"team": "blue"})
    assert not may(client.tag_resource, Resource=arn, Tags={"team": "red", "stage": "x"})
    person.has(statement("lambda:UntagResource", {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}))
    assert not may(client.untag_resource, Resource=arn, TagKeys=["team", "Stage"])
    assert may(client.untag_resource, Resource=arn, TagKeys=["team"])
    for account, allowed in ((person.account, True), ("999999999999", False)):
        person.has(statement("lambda:GetFunction", {"StringEquals": {"aws:ResourceAccount": account}}))
        assert allowed == may(client.get_function, FunctionName=function)


def test_who_may_be_let_in_and_out_is_asked(person, deploy):
    function = deploy("def handler(event, context): return 1\n")
    client = person.client()
    give = {"FunctionName": function, "Action": "lambda:InvokeFunction"}
    person.has(statement("lambda:*Permission", {"StringEquals": {"lambda:Principal": "s3.amazonaws.com"}}))
    assert may(client.add_permission, StatementId="s3", Principal="s3.amazonaws.com", **give)
    assert not may(client.add_permission, StatementId="all", Principal="*", **give)
    assert may(client.remove_permission, FunctionName=function, StatementId="s3")
    person.has(statement("lambda:*Permission", {"StringEquals": {"lambda:Principal": "sns.amazonaws.com"}}))
    assert may(client.add_permission, StatementId="sns", Principal="sns.amazonaws.com", **give)
    person.has(statement("lambda:*Permission", {"StringEquals": {"lambda:Principal": "s3.amazonaws.com"}}))
    assert not may(client.remove_permission, FunctionName=function, StatementId="sns")


def test_a_role_is_handed_over_to_whom_the_policy_says(person, iam, functions, role):
    create = {
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"ZipFile": package("def handler(e, c): return 1\n")},
    }
    client, made = person.client(), []
    may_create = statement("lambda:CreateFunction", {})
    function = f"arn:aws:lambda:us-east-1:{person.account}:function:"
    for number, (condition, allowed) in enumerate(
        (
            ({"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}, True),
            ({"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}, False),
            ({"ArnLike": {"iam:AssociatedResourceArn": f"{function}{person.name}-*"}}, True),
            ({"ArnLike": {"iam:AssociatedResourceArn": f"{function}other-*"}}, False),
        )
    ):
        person.has(may_create, statement("iam:PassRole", condition, resource=role))
        made.append(f"{person.name}-{number}")
        assert allowed == may(client.create_function, FunctionName=made[-1], **create), condition
    for name in made:
        if name[-1] in "02":
            functions.delete_function(FunctionName=name)


def test_what_is_put_on_identities_is_asked(person, iam, platform):
    client = person.client("iam")
    good, bad = (
        iam.create_policy(PolicyName=f"{person.name}-{name}", PolicyDocument=document(statement("a:b", {})))["Policy"][
            "Arn"
        ]
        for name in ("good", "bad")
    )
    target = f"{person.name}-target"
    person.has(
        statement("iam:CreateUser", {"StringEquals": {"iam:PermissionsBoundary": good}}),
        statement(["iam:AttachUserPolicy", "iam:DetachUserPolicy"], {"ArnEquals": {"iam:PolicyARN": good}}),
        statement("iam:PutUserPolicy", {"StringEquals": {"iam:PermissionsBoundary": good}}),
        statement("iam:PutUserPermissionsBoundary", {"StringEquals": {"iam:PermissionsBoundary": good}}),
        statement("iam:CreateServiceLinkedRole", {"StringEquals": {"iam:AWSServiceName": "x.amazonaws.com"}}),
    )
    assert not may(client.create_user, UserName=target)
    assert not may(client.create_user, UserName=target, PermissionsBoundary=bad)
    assert may(client.create_user, UserName=target, PermissionsBoundary=good)
    assert may(client.attach_user_policy, UserName=target, PolicyArn=good)
    assert not may(client.attach_user_policy, UserName=target, PolicyArn=bad)
    assert not may(client.detach_user_policy, UserName=target, PolicyArn=bad)
    inline = {"PolicyName": "p", "PolicyDocument": document(statement("a:b", {}))}
    assert may(client.put_user_policy, UserName=target, **inline)
    assert may(client.put_user_permissions_boundary, UserName=target, PermissionsBoundary=good)
    assert not may(client.put_user_permissions_boundary, UserName=target, PermissionsBoundary=bad)
    iam.put_user_permissions_boundary(UserName=target, PermissionsBoundary=bad)
    assert not may(client.put_user_policy, UserName=target, **inline)


def test_a_functions_own_keys_carry_its_arn(platform, iam, functions, deploy):
    name = f"cond{next(_numbers)}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    source = (
        "import boto3\n"
        "from botocore.exceptions import ClientError\n"
        "def handler(event, context):\n"
        "    try:\n"
        "        boto3.client('lambda').list_functions()\n"
        "    except ClientError as error:\n"
        "        return error.response['Error']['Code']\n"
        "    return 'allowed'\n"
    )
    function = deploy(source, Role=role, Timeout=30, MemorySize=512)
    arn = functions.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    for wanted, said in ((arn, "allowed"), (arn + "x", "AccessDeniedException")):
        iam.put_role_policy(
            RoleName=name,
            PolicyName="p",
            PolicyDocument=document(
                statement("lambda:ListFunctions", {"ArnEquals": {"lambda:SourceFunctionArn": wanted}})
            ),
        )
        answer = functions.invoke(FunctionName=function)
        assert said == json.loads(answer["Payload"].read())
        if said == "allowed":
            # The environment that is there goes on with keys of a new session.
            revoke(platform, name)


def revoke(platform, role) -> None:
    done = subprocess.run(
        [LEASTWISE, "--data", str(platform.data), "sessions", "revoke", "--role", role],
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr


# --- behind a proxy ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory):
    """A platform that trusts a proxy on loopback, and 10.0.0.0/8 behind it."""
    data = tmp_path_factory.mktemp("proxy") / "data"
    config = data.parent / "leastwise.toml"
    config.write_text('trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]\n')
    running = start(data, "--config", str(config))
    yield running
    assert running.stop() == 0


def through(platform, key, *headers) -> bool:
    """Whether ListFunctions is allowed when a proxy adds these headers, which are not signed."""
    request = AWSRequest(method="GET", url=f"{platform.url}/2015-03-31/functions/")
    SigV4Auth(Credentials(*key), "lambda", "us-east-1").add_auth(request)
    parts = urlsplit(platform.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.putrequest("GET", "/2015-03-31/functions/", skip_host=True)
    connection.putheader("host", parts.netloc)
    for name, value in [*request.headers.items(), *headers]:
        if name.lower() != "host":
            connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status in {200, 403}, body
    assert response.status == 200 or response.getheader("x-amzn-errortype") == "AccessDeniedException", body
    return response.status == 200


FOR, PROTO = "X-Forwarded-For", "X-Forwarded-Proto"


def test_an_untrusted_peer_cannot_say_where_it_comes_from(platform, iam):
    person = Person(platform, iam)
    person.has(statement("lambda:ListFunctions", {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}))
    for value in ("192.0.2.7", "192.0.2.7, 127.0.0.1", "127.0.0.1, 192.0.2.7"):
        assert not through(platform, person.key, (FOR, value))
    assert not through(platform, person.key, ("X-Real-IP", "192.0.2.7"), ("Forwarded", "for=192.0.2.7"))
    person.has(statement("lambda:ListFunctions", {"Bool": {"aws:SecureTransport": "true"}}))
    assert not through(platform, person.key, (PROTO, "https"))


@pytest.mark.parametrize(
    ("allowed", "headers"),
    [
        (True, [(FOR, "192.0.2.7")]),
        (True, [(FOR, "192.0.2.7:4711")]),
        (True, [(FOR, "::ffff:192.0.2.7")]),
        (True, [(FOR, "[::ffff:192.0.2.7]:4711")]),
        (True, [(FOR, "[2001:db8::7]:4711")]),
        (True, [(FOR, "2001:db8::7")]),
        (True, [(FOR, "192.0.2.7, 10.1.2.3")]),
        (True, [(FOR, "192.0.2.7"), (FOR, "10.1.2.3")]),
        (True, [(FOR, "garbage, 192.0.2.7")]),
        # What stands left of the rightmost untrusted address is the caller's own writing.
        (False, [(FOR, "192.0.2.7, 198.51.100.1")]),
        (False, [(FOR, "192.0.2.7"), (FOR, "198.51.100.1")]),
        (False, [(FOR, "192.0.2.7, 198.51.100.1, 10.1.2.3")]),
        (False, [(FOR, "192.0.2.7, garbage")]),
        (False, [(FOR, "192.0.2.7,")]),
        (False, [(FOR, "192.0.2.7, unknown, 10.1.2.3")]),
        (False, [(FOR, "192.0.2.7%eth0")]),
        (False, [(FOR, "192.0.2.7:x")]),
        (False, [(FOR, "[192.0.2.7]")]),
        (False, [(FOR, "192.0.2.007")]),
        (False, [(FOR, "0xC0000207")]),
        (False, [(FOR, "")]),
        (False, []),
    ],
)
def test_the_rightmost_untrusted_address_is_the_callers(behind_proxy, allowed, headers):
    iam = behind_proxy.client("iam")
    person = Person(behind_proxy, iam)
    ours = ["192.0.2.0/24", "2001:db8::/32"]
    person.has(statement("lambda:ListFunctions", {"IpAddress": {"aws:SourceIp": ours}}))
    assert allowed == through(behind_proxy, person.key, *headers)
    person.has(statement("lambda:ListFunctions", {}), statement("*", {"NotIpAddress": {"aws:SourceIp": ours}}, "Deny"))
    assert allowed == through(behind_proxy, person.key, *headers)


@pytest.mark.parametrize(
    ("allowed", "headers"),
    [
        (True, [(PROTO, "https")]),
        (True, [(PROTO, "HTTPS, https")]),
        (False, [(PROTO, "https, http")]),
        (False, [(PROTO, "http"), (PROTO, "https")]),
        (False, [(PROTO, "httpsx")]),
        (False, [(PROTO, "")]),
        (False, []),
    ],
)
def test_tls_is_what_every_hop_says(behind_proxy, allowed, headers):
    person = Person(behind_proxy, behind_proxy.client("iam"))
    person.has(statement("lambda:ListFunctions", {"Bool": {"aws:SecureTransport": "true"}}))
    assert allowed == through(behind_proxy, person.key, *headers)
