"""The whole table: every row on a whole platform (without a kernel), as administrator, as nobody in particular, failing."""

import hashlib
import hmac
import io
import json
import zipfile
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from tests.fakes.driver import FakeDriver
from tests.unit.flows import organization_stage

from leastwise.api.errors import describe
from leastwise.api.protocol import models
from leastwise.api.protocol.wire import ShapeInvalid
from leastwise.flows.operations import operations_table
from leastwise.iam.interface import SEALED_DENIAL
from leastwise.kernel.call import Call, NoProof, ServiceProof, SigV4Proof, Source
from leastwise.kernel.clock import SystemClock
from leastwise.kernel.ids import request_id
from leastwise.runtime.interface import Reply, ReplyKind
from leastwise.wiring.build import build
from leastwise.wiring.data_directory import DataDirectory
from leastwise.wiring.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLE = operations_table()
ROWS = sorted(TABLE)
HOME = "eu-central-1"
HERE = Source(ip="127.0.0.1", user_agent="test", tls=True, received_at_ms=0)
DENIED = {"lambda": "AccessDeniedException", "iam": "AccessDenied", "sts": "AccessDenied"}
NOTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:GetUser", "Resource": "*"}]}
)
NEVER_THERE = {
    "GetFunctionEventInvokeConfig": "ResourceNotFoundException",
    "GetFunctionUrlConfig": "ResourceNotFoundException",
    "CreateServiceLinkedRole": "InvalidInput",
    "DeleteServiceLinkedRole": "NoSuchEntity",
    "GetServiceLinkedRoleDeletionStatus": "NoSuchEntity",
    "CreateOrganization": "AlreadyInOrganizationException",
}
"""What this platform does not have is answered as AWS answers where it is not."""


def package() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return event\n")
    return file.getvalue()


async def echo(_spec, invocation, _on_output):
    return Reply(kind=ReplyKind.RESULT, payload=invocation.payload)


class World:
    """One installation, with somebody who may do everything and somebody who may do nothing."""

    def __init__(self, platform):
        self.platform = platform
        self.account = platform.founded.account_id
        self.administrator = (platform.founded.access_key_id, platform.founded.secret_access_key)
        self.nobody = ("", "")

    def arn(self, resource, service="iam"):
        region = "" if service == "iam" else HOME
        return f"arn:aws:{service}:{region}:{self.account}:{resource}"

    def trust(self, *principals):
        who = {"AWS": list(principals)} if principals else {"Service": "lambda.amazonaws.com"}
        statement = {"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def open_to(self, principal):
        statement = {"Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def proof(self, service, key, region=HOME):
        access_key_id, secret = key
        now = datetime.now(UTC)
        date = f"{now:%Y%m%d}"
        signing_key = b"AWS4" + secret.encode()
        for part in (date, region, service, "aws4_request"):
            signing_key = hmac.digest(signing_key, part.encode(), "sha256")
        return SigV4Proof(
            access_key_id=access_key_id,
            date=date,
            region=region,
            service=service,
            signed_at_ms=int(now.timestamp() * 1000),
            string_to_sign=b"what was signed",
            signature=hmac.new(signing_key, b"what was signed", hashlib.sha256).hexdigest(),
        )

    async def perform(self, service, operation, parameters, *, key=None, problem=None, proof=None):
        """The outcome, and the records that the call left."""
        ledger = self.platform.ledger
        before = max((entry.sequence for entry in ledger.entries()), default=-1)
        call = Call(
            request_id=request_id(),
            service=service,
            operation=operation,
            proof=proof or self.proof(service, key or self.administrator),
            command=parameters,
            source=HERE,
            problem=problem,
        )
        outcome = await self.platform.performer.perform(call)
        records = [json.loads(entry.payload) for entry in ledger.entries(first_sequence=before + 1)]
        assert all(record["requestID"] == call.request_id for record in records)
        return outcome, records

    async def do(self, service, operation, **parameters):
        outcome, _ = await self.perform(service, operation, parameters)
        assert outcome.error is None, (operation, outcome.error)
        return outcome.result


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(tmp_path_factory):
    data = tmp_path_factory.mktemp("table") / "data"
    directory = DataDirectory(data)
    platform = await build(
        Settings(data=data, region=HOME),
        directory,
        clock=SystemClock(),
        driver=FakeDriver(echo),
        compile_bytecode=lambda _runtime, _tree: None,
        base_url="http://127.0.0.1:1",
    )
    await platform.open()
    made = World(platform)
    await made.do("iam", "CreateUser", UserName="nobody")
    key = (await made.do("iam", "CreateAccessKey", UserName="nobody"))["AccessKey"]
    made.nobody = (key["AccessKeyId"], key["SecretAccessKey"])
    await made.do("iam", "CreateRole", RoleName="worker", AssumeRolePolicyDocument=made.trust())
    yield made
    await platform.close()
    directory.release()


class Stage:
    """What one row needs to succeed, under names of its own, and the parameters that name it."""

    def __init__(self, world, number):
        self.world = world
        self.mark = f"row{number}"

    def values(self):
        world, mark = self.world, self.mark
        return {
            "FunctionName": mark,
            "Role": world.arn("role/worker"),
            "Code": {"ZipFile": package()},
            "ZipFile": package(),
            "Runtime": "python3.11",
            "Handler": "app.handler",
            "StatementId": "s1",
            "Action": "lambda:InvokeFunction",
            "Principal": "s3.amazonaws.com",
            "ReservedConcurrentExecutions": 1,
            "Resource": world.arn(f"function:{mark}", "lambda"),
            "UserName": mark,
            "GroupName": mark,
            "AWSServiceName": "lambda.amazonaws.com",
            "DeletionTaskId": "task/1",
            "PolicySourceArn": world.arn("user/nobody"),
            "PolicyInputList": [NOTHING],
            "Arn": world.arn("user/nobody"),
            "ServiceNamespaces": ["lambda"],
            "RoleName": mark,
            "RoleArn": world.arn(f"role/{mark}"),
            "RoleSessionName": "session",
            "EncodedMessage": "none",
            "Name": mark,
            "Description": "text",
            "PolicyName": mark,
            "PolicyArn": world.arn(f"policy/{mark}"),
            "PermissionsBoundary": world.arn(f"policy/{mark}"),
            "PolicyDocument": NOTHING,
            "AssumeRolePolicyDocument": world.trust(),
            "VersionId": "v2",
            "AccessKeyId": "",
            "Status": "Inactive",
            "Password": "Correct-Horse-9",
            "OldPassword": "Correct-Horse-9",
            "NewPassword": "Battery-Staple-8",
            "AccountAlias": mark,
            "ActionNames": ["iam:GetUser"],
            "PrincipalArn": world.arn("user/administrator"),
            "Tags": [{"Key": "k", "Value": "v"}],
            "TagKeys": ["k"],
            "logGroupName": mark,
            "logStreamName": "stream",
            "logEvents": [{"timestamp": int(datetime.now(UTC).timestamp() * 1000), "message": "m"}],
            "policyDocument": NOTHING,
            "newPolicyDocument": NOTHING,
            "existingPolicyDocument": NOTHING,
            "policyType": "IDENTITY_POLICY",
            "access": [{"actions": ["iam:CreateUser"]}],
            "resourceType": "AWS::Lambda::Function",
            "FirstDay": "2026-11-01",
            "LastDay": "2026-11-30",
        }

    def needed(self, service, name):
        """The required members of the shape, and what a row cannot do without although the model does not say so."""
        shape = models.service(service)._model.operation_model(name).input_shape
        members = set() if shape is None else set(shape.required_members)
        if service == "organizations":
            return organization_stage.needed(members, self.mark)
        members |= {
            "CreateFunction": {"Runtime", "Handler"},
            "UpdateFunctionCode": {"ZipFile"},
            "DescribeLogStreams": {"logGroupName"},
            "GetLogEvents": {"logGroupName"},
            "FilterLogEvents": {"logGroupName"},
            "UpdateAccessKey": {"UserName"},
            "DeleteAccessKey": {"UserName"},
            "CreateAccessKey": {"UserName"},
            "RevokeSessions": {"UserName"},
            "ExplainAccess": {"PrincipalArn", "Action"},
            "CreateLoginProfile": {"UserName", "Password"},
            "GetLoginProfile": {"UserName"},
            "DeleteLoginProfile": {"UserName"},
        }.get(name, set())
        given = {member: self.values()[member] for member in members}
        if service == "lambda" and "Tags" in given:
            given["Tags"] = {"k": "v"}
        if name == "UpdateAssumeRolePolicy":
            given["PolicyDocument"] = self.world.trust()
        if name == "CheckNoPublicAccess":
            given["policyDocument"] = self.world.open_to("*")
        return given

    async def prepare(self, service, name, given):
        """Makes what the row acts on; the parameters, with names that only the platform knows."""
        do, mark = self.world.do, self.mark
        if service == "organizations":
            await organization_stage.prepare(do, mark, name, given)
            return given
        if service == "lambda":
            await self._function(name)
        if "UserName" in given and name != "CreateUser":
            await do("iam", "CreateUser", UserName=mark)
        if "GroupName" in given and name != "CreateGroup":
            await do("iam", "CreateGroup", GroupName=mark)
        if ("RoleName" in given and name != "CreateRole") or name == "AssumeRole":
            trust = self.world.trust(self.world.arn("user/administrator"))
            await do("iam", "CreateRole", RoleName=mark, AssumeRolePolicyDocument=trust)
        if "PolicyArn" in given or "PermissionsBoundary" in given:
            await do("iam", "CreatePolicy", PolicyName=mark, PolicyDocument=NOTHING)
        if "VersionId" in given:
            await do("iam", "CreatePolicyVersion", PolicyArn=given["PolicyArn"], PolicyDocument=NOTHING)
        await self._grant(name, given)
        await self._password(name)
        if "AccessKeyId" in given:
            owner = given.get("UserName", "nobody")
            made = await do("iam", "CreateAccessKey", UserName=owner)
            given["AccessKeyId"] = made["AccessKey"]["AccessKeyId"]
        if service == "logs":
            await self._log(name)
        return given

    async def _function(self, name):
        if name != "CreateFunction":
            await self.world.do("lambda", "CreateFunction", **self.needed("lambda", "CreateFunction"))
            if name in {"RemovePermission", "GetPolicy"}:
                await self.world.do("lambda", "AddPermission", **self.needed("lambda", "AddPermission"))

    async def _grant(self, name, given):
        do, mark = self.world.do, self.mark
        if name == "DecodeAuthorizationMessage":
            denied, _ = await self.world.perform("iam", "ListUsers", {}, key=self.world.nobody)
            given["EncodedMessage"] = denied.error.detail[SEALED_DENIAL]
        for kind in ("User", "Role", "Group"):
            if name in {f"Get{kind}Policy", f"Delete{kind}Policy"}:
                await do("iam", f"Put{kind}Policy", **self.needed("iam", f"Put{kind}Policy"))
            if name == f"Detach{kind}Policy":
                await do("iam", f"Attach{kind}Policy", **given)
            if name == f"Delete{kind}PermissionsBoundary":
                await do("iam", "CreatePolicy", PolicyName=mark, PolicyDocument=NOTHING)
                boundary = self.world.arn(f"policy/{mark}")
                await do("iam", f"Put{kind}PermissionsBoundary", **given, PermissionsBoundary=boundary)

    async def _password(self, name):
        do, mark = self.world.do, self.mark
        if name in {"GetLoginProfile", "UpdateLoginProfile", "DeleteLoginProfile", "ChangePassword"}:
            owner = "administrator" if name == "ChangePassword" else mark
            await do("iam", "CreateLoginProfile", UserName=owner, Password=self.values()["Password"])
        if name in {"GetAccountPasswordPolicy", "DeleteAccountPasswordPolicy"}:
            await do("iam", "UpdateAccountPasswordPolicy")
        if name == "DeleteAccountAlias":
            await do("iam", "CreateAccountAlias", AccountAlias=mark)

    async def _log(self, name):
        if name != "CreateLogGroup":
            await self.world.do("logs", "CreateLogGroup", logGroupName=self.mark)
            if name != "CreateLogStream":
                await self.world.do("logs", "CreateLogStream", logGroupName=self.mark, logStreamName="stream")

    async def clear(self, given):
        if given.get("AccessKeyId") and "UserName" not in given:
            await self.world.do("iam", "DeleteAccessKey", UserName="nobody", AccessKeyId=given["AccessKeyId"])


def number_of(service, name):
    return ROWS.index((service, name))


@pytest.mark.parametrize(("service", "name"), ROWS)
async def test_the_service_model_knows_the_row_and_its_parameters(world, service, name):
    model = models.service(service)
    plan = model.plan(name)
    given = Stage(world, 0).needed(service, name)
    if "AccessKeyId" in given:
        given["AccessKeyId"] = "AKIA" + "A" * 16
    plan.check(given)
    assert name == plan.name
    action = TABLE[service, name].action
    assert action is None or models.SIGNING_NAMES.get(action.partition(":")[0], action.partition(":")[0]) == service


@pytest.mark.parametrize(("service", "name"), ROWS)
async def test_an_administrator_succeeds_and_leaves_one_record(world, service, name):
    stage = Stage(world, number_of(service, name))
    given = await stage.prepare(service, name, stage.needed(service, name))
    outcome, records = await world.perform(service, name, given)
    await stage.clear(given)
    (record,) = records
    source = {"accessanalyzer": "access-analyzer"}.get(service, service)
    assert (name, f"{source}.amazonaws.com") == (record["eventName"], record["eventSource"])
    assert world.administrator[0] == record["userIdentity"]["accessKeyId"]
    if name in NEVER_THERE:
        assert NEVER_THERE[name] == record["errorCode"]
        return
    assert outcome.error is None
    assert "errorCode" not in record


@pytest.mark.parametrize(("service", "name"), [row for row in ROWS if TABLE[row].action is not None])
async def test_whoever_has_no_policy_is_denied_and_leaves_one_record(world, service, name):
    given = Stage(world, f"-denied{number_of(service, name)}").needed(service, name)
    if "AccessKeyId" in given:
        given["AccessKeyId"] = "AKIA" + "A" * 16
    outcome, (record,) = await world.perform(service, name, given, key=world.nobody)
    told = describe(outcome.error, service)
    assert DENIED.get(service, "AccessDeniedException") == told.code
    assert f"is not authorized to perform: {TABLE[service, name].action} on resource: " in told.message
    assert (told.code, told.message) == (record["errorCode"], record["errorMessage"])
    assert world.nobody[0] == record["userIdentity"]["accessKeyId"]


@pytest.mark.parametrize(("service", "name"), ROWS)
async def test_a_failing_call_is_told_in_a_code_and_leaves_one_record(world, service, name):
    given = Stage(world, f"-missing{number_of(service, name)}").needed(service, name)
    given |= {member: "worse" for member in ("PolicyDocument", "AssumeRolePolicyDocument") if member in given}
    given |= {member: "AKIA" + "A" * 16 for member in ("AccessKeyId",) if member in given}
    given |= {"Runtime": "cobol"} if name == "CreateFunction" else {}
    outcome, (record,) = await world.perform(service, name, given)
    if outcome.error is not None:
        told = describe(outcome.error, service)
        assert told.sender_fault, outcome.error
        assert told.code == record["errorCode"]
    malformed = ShapeInvalid("1 validation error detected: ...")
    outcome, (record,) = await world.perform(service, name, {}, problem=malformed)
    assert malformed is outcome.error
    assert describe(malformed, service).code == record["errorCode"]


@pytest.mark.parametrize(("service", "name"), ROWS)
async def test_a_stranger_is_refused_and_leaves_one_record_without_parameters(world, service, name):
    given = Stage(world, "-strange").needed(service, name)
    outcome, (record,) = await world.perform(
        service, name, given, proof=NoProof(reason="missing", message="Missing Authentication Token")
    )
    assert describe(outcome.error, service).code.startswith("MissingAuthenticationToken")
    assert ("Unknown", None) == (record["userIdentity"]["type"], record.get("requestParameters"))
    row = TABLE[service, name]
    assert (row.event_class, row.access.value == "Read") == (record["eventCategory"], record["readOnly"])


@pytest.mark.parametrize(("service", "name"), ROWS)
async def test_no_row_can_be_called_through_another_region(world, service, name):
    given = Stage(world, "-abroad").needed(service, name)
    proof = world.proof(service, world.administrator, region="us-west-2")
    outcome, (record,) = await world.perform(service, name, given, proof=proof)
    told = describe(outcome.error, service)
    assert (400 if service in {"logs", "organizations"} else 403, "Credential should be scoped to a valid region.") == (
        told.status,
        told.message,
    )
    assert HOME == record["awsRegion"]


async def test_services_without_a_region_are_also_reached_through_the_first_one(world):
    for service, name in [("iam", "ListUsers"), ("sts", "GetCallerIdentity")]:
        proof = world.proof(service, world.administrator, region="us-east-1")
        outcome, (record,) = await world.perform(service, name, {}, proof=proof)
        assert outcome.error is None
        assert "us-east-1" == record["awsRegion"]
    outcome, _ = await world.perform(
        "lambda", "ListFunctions", {}, proof=world.proof("lambda", world.administrator, region="us-east-1")
    )
    assert "InvalidSignatureException" == describe(outcome.error, "lambda").code


async def test_the_region_a_policy_sees_for_iam_is_not_the_callers_choice(world):
    deny = {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}
    deny["Condition"] = {"StringEquals": {"aws:RequestedRegion": "us-east-1"}}
    allow = {"Effect": "Allow", "Action": "iam:*", "Resource": "*"}
    await world.do("iam", "CreateUser", UserName="regional")
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny, allow]})
    await world.do("iam", "PutUserPolicy", UserName="regional", PolicyName="p", PolicyDocument=document)
    key = (await world.do("iam", "CreateAccessKey", UserName="regional"))["AccessKey"]
    for region in (HOME, "us-east-1"):
        proof = world.proof("iam", (key["AccessKeyId"], key["SecretAccessKey"]), region=region)
        outcome, _ = await world.perform("iam", "ListUsers", {}, proof=proof)
        assert "AccessDenied" == describe(outcome.error, "iam").code


@pytest.mark.parametrize("who", ["administrator", "nobody"])
async def test_what_is_not_in_the_table_is_refused_and_recorded(world, who):
    for service, name in [("lambda", "PublishVersion"), ("iam", "CreateInstanceProfile"), ("nonsense", "Unknown")]:
        outcome, (record,) = await world.perform(service, name, {"x": "secret"}, key=getattr(world, who))
        code = describe(outcome.error, service).code
        assert code in {"NotImplementedException", "NotImplemented"}
        assert (name, code, None) == (record["eventName"], record["errorCode"], record.get("requestParameters"))


async def test_the_platforms_own_proof_reaches_nothing_but_invoke(world):
    proof = ServiceProof(service="lambda.amazonaws.com", account_id=world.account)
    for service, name in ROWS:
        if name == "Invoke" or TABLE[service, name].action is None:
            continue
        given = Stage(world, "-service").needed(service, name)
        outcome, records = await world.perform(service, name, given, proof=proof)
        told = describe(outcome.error, service)
        assert told.code.startswith("AccessDenied") or told.code == "ValidationError", (name, told)
        assert 1 == len(records)


async def test_what_waits_in_the_database_does_not_turn_a_change_into_a_failure(world, monkeypatch):
    async def unread():
        raise OSError("the outbox cannot be read")

    ledger = world.platform.ledger
    with monkeypatch.context() as broken:
        broken.setattr(ledger._outbox, "waiting", unread)
        outcome, records = await world.perform("iam", "CreateUser", {"UserName": "waits"})
        assert outcome.error is None
        assert [] == records
    await ledger.publish()
    named = [json.loads(entry.payload) for entry in ledger.entries()]
    assert 1 == sum(record["requestID"] == outcome.request_id for record in named)


async def test_a_denial_of_a_function_covers_its_latest_version(world):
    stage = Stage(world, "-latest")
    name = "row-latest"
    await world.do("lambda", "CreateFunction", **stage.needed("lambda", "CreateFunction"))
    await world.do("iam", "CreateUser", UserName="qualified")
    key = (await world.do("iam", "CreateAccessKey", UserName="qualified"))["AccessKey"]
    key = (key["AccessKeyId"], key["SecretAccessKey"])
    arn = world.arn(f"function:{name}", "lambda")

    async def codes(*statements):
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        await world.do("iam", "PutUserPolicy", UserName="qualified", PolicyName="p", PolicyDocument=document)
        told = []
        for given in ({}, {"Qualifier": "$LATEST"}):
            outcome, _ = await world.perform("lambda", "GetFunction", {"FunctionName": name, **given}, key=key)
            told.append(None if outcome.error is None else describe(outcome.error, "lambda").code)
        return told

    def statement(effect, resource):
        return {"Effect": effect, "Action": "lambda:*", "Resource": resource}

    refused = "AccessDeniedException"
    assert [None, None] == await codes(statement("Allow", "*"))
    assert [refused, refused] == await codes(statement("Allow", "*"), statement("Deny", arn))
    assert [None, refused] == await codes(statement("Allow", arn))
    assert [refused, None] == await codes(statement("Allow", f"{arn}:*"))


async def test_resource_policies_follow_identities_and_never_name_the_next_of_that_name(world):
    stage = Stage(world, "-grants")
    name = "row-grants"
    await world.do("lambda", "CreateFunction", **stage.needed("lambda", "CreateFunction"))

    async def grant(sid, principal):
        given = {"FunctionName": name, "StatementId": sid, "Action": "lambda:InvokeFunction", "Principal": principal}
        return (await world.perform("lambda", "AddPermission", given))[0]

    async def principal_of(sid):
        policy = json.loads((await world.do("lambda", "GetPolicy", FunctionName=name))["Policy"])
        return next(one["Principal"]["AWS"] for one in policy["Statement"] if one["Sid"] == sid)

    for nobody in (world.arn("user/early"), world.arn("role/early"), f"arn:aws:sts::{world.account}:assumed-role/no/s"):
        told = describe((await grant("s", nobody)).error, "lambda")
        assert "InvalidParameterValueException" == told.code
        assert "The provided principal was invalid. Please check the principal and try again." == told.message
    user = (await world.do("iam", "CreateUser", UserName="early"))["User"]
    assert (await grant("user", user["Arn"])).error is None
    role = await world.do("iam", "CreateRole", RoleName="early", AssumeRolePolicyDocument=world.trust())
    assert (await grant("role", role["Role"]["Arn"])).error is None
    assert (await grant("session", f"arn:aws:sts::{world.account}:assumed-role/early/s")).error is None
    await world.do("iam", "UpdateUser", UserName="early", NewUserName="late")
    assert world.arn("user/late") == await principal_of("user")
    await world.do("iam", "DeleteUser", UserName="late")
    await world.do("iam", "DeleteRole", RoleName="early")
    assert user["UserId"] == await principal_of("user")
    assert role["Role"]["RoleId"] == await principal_of("role") == await principal_of("session")
    await world.do("iam", "CreateUser", UserName="late")
    key = (await world.do("iam", "CreateAccessKey", UserName="late"))["AccessKey"]
    outcome, _ = await world.perform(
        "lambda", "Invoke", {"FunctionName": name}, key=(key["AccessKeyId"], key["SecretAccessKey"])
    )
    assert "AccessDeniedException" == describe(outcome.error, "lambda").code


async def test_making_something_with_tags_needs_the_permission_to_tag(world):
    may = {"Effect": "Allow", "Action": ["iam:CreateUser", "iam:CreateRole", "iam:CreatePolicy"], "Resource": "*"}
    await world.do("iam", "CreateUser", UserName="tagger")
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    await world.do("iam", "PutUserPolicy", UserName="tagger", PolicyName="p", PolicyDocument=document)
    key = (await world.do("iam", "CreateAccessKey", UserName="tagger"))["AccessKey"]
    for kind in ("User", "Role", "Policy"):
        given = Stage(world, "-tagged").needed("iam", f"Create{kind}") | {"Tags": [{"Key": "team", "Value": "admin"}]}
        outcome, _ = await world.perform(
            "iam", f"Create{kind}", given, key=(key["AccessKeyId"], key["SecretAccessKey"])
        )
        assert f"not authorized to perform: iam:Tag{kind} on" in describe(outcome.error, "iam").message


async def test_an_event_nested_without_end_is_an_event_that_cannot_be_read(world):
    stage = Stage(world, "-nested")
    await world.do("lambda", "CreateFunction", **stage.needed("lambda", "CreateFunction"))
    outcome, _ = await world.perform("lambda", "Invoke", {"FunctionName": "row-nested", "Payload": b"[" * 200_000})
    assert "InvalidRequestContentException" == describe(outcome.error, "lambda").code
