"""Accounts on one installation are strictly apart: hostile neighbours over the wire.

`victim` and `attacker` are accounts of one organization. The attacker is the administrator of its own account and knows
every name and ARN of the victim's.
"""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import leastwise
from leastwise.flows.operations import operations_table

from .conftest import RUNTIME, TRUST, package, start

SECRET = "the-victims-own-words"
SOURCE = f"""
import json, os
def handler(event, context):
    print("{SECRET} in the log of", os.environ["AWS_LAMBDA_LOG_GROUP_NAME"])
    return {{"arn": context.invoked_function_arn, "words": "{SECRET}", "event": event}}
"""
ALLOW_ALL = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
NOTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}]}
)
NAME = "shared-name"
"""What both sides call everything, so that a lookup by name alone finds the wrong one."""


def trusting(principal, **condition):
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@dataclass
class Tenant:
    """One account, and clients of its administrator (a role session) in it."""

    house: object
    account: str
    keys: dict

    def client(self, service, **settings):
        keys = self.keys
        return self.house.client_for(
            service, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], **settings
        )

    def arn(self, resource, service="iam"):
        region = "us-east-1" if service in {"lambda", "logs"} else ""
        return f"arn:aws:{service}:{region}:{self.account}:{resource}"

    @property
    def function(self):
        return self.arn(f"function:{NAME}", "lambda")

    def user(self, name, *policies):
        """A new user's clients."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        for number, policy in enumerate(policies):
            iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return lambda service: self.house.client_for(service, key["AccessKeyId"], key["SecretAccessKey"])


def refused(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("tenants") / "data")
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0, running.log.read_text()[-4000:]


def tenant(house, name):
    made = house.client("organizations").create_account(AccountName=name, Email=f"{name}@example.com")
    account = made["CreateAccountStatus"]["AccountId"]
    arn = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
    keys = house.client("sts").assume_role(RoleArn=arn, RoleSessionName="admin")["Credentials"]
    return Tenant(house, account, keys)


def furnish(tenant, source):
    """The same things under the same names in every account."""
    iam, functions, logs = tenant.client("iam"), tenant.client("lambda"), tenant.client("logs")
    iam.create_user(UserName=NAME, Tags=[{"Key": "team", "Value": tenant.account}])
    iam.create_group(GroupName=NAME)
    key = iam.create_access_key(UserName=NAME)["AccessKey"]["AccessKeyId"]
    iam.create_policy(PolicyName=NAME, PolicyDocument=ALLOW_ALL)
    iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "team", "Value": tenant.account}])
    functions.create_function(
        FunctionName=NAME,
        Runtime=RUNTIME,
        Role=tenant.arn(f"role/{NAME}"),
        Handler="app.handler",
        Code={"ZipFile": package(source)},
        Tags={"owner": tenant.account},
        Environment={"Variables": {"WORDS": SECRET if source is SOURCE else "none"}},
    )
    logs.create_log_group(logGroupName=NAME)
    logs.create_log_stream(logGroupName=NAME, logStreamName=NAME)
    functions.get_waiter("function_active_v2").wait(FunctionName=NAME, WaiterConfig={"Delay": 1})
    return key


@pytest.fixture(scope="module")
def victim(house):
    made = tenant(house, "victim")
    made.key = furnish(made, SOURCE)
    return made


@pytest.fixture(scope="module")
def attacker(house):
    made = tenant(house, "attacker")
    made.key = furnish(made, "def handler(event, context):\n    return context.invoked_function_arn\n")
    return made


def snapshot(tenant):
    """Everything that a neighbour could have changed."""
    iam, functions, logs = tenant.client("iam"), tenant.client("lambda"), tenant.client("logs")
    found = {
        "users": iam.list_users()["Users"],
        "user tags": iam.list_user_tags(UserName=NAME)["Tags"],
        "user policies": iam.list_attached_user_policies(UserName=NAME)["AttachedPolicies"],
        "groups": iam.list_groups()["Groups"],
        "roles": [iam.get_role(RoleName=role["RoleName"])["Role"] for role in iam.list_roles()["Roles"]],
        "policies": iam.list_policies(Scope="Local")["Policies"],
        "versions": iam.list_policy_versions(PolicyArn=tenant.arn(f"policy/{NAME}"))["Versions"],
        "keys": iam.list_access_keys(UserName=NAME)["AccessKeyMetadata"],
        "functions": functions.list_functions()["Functions"],
        "tags": functions.list_tags(Resource=tenant.function)["Tags"],
        "logs": [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]],
    }
    for role in found["roles"]:
        role.pop("RoleLastUsed", None)
    return json.dumps(found, default=str, sort_keys=True)


# --- every operation of the table, aimed at the neighbour ------------------------------------------------------------

_OWN_MODELS = Path(leastwise.__file__).parent / "api" / "models"
_MODELS = botocore.session.get_session()
_MODELS.get_component("data_loader").search_paths.append(str(_OWN_MODELS))
ROWS = sorted(row for row in operations_table() if row[0] != "organizations")
TELLS_BY_DESIGN = {
    # SOURCE: STS API Reference, GetAccessKeyInfo: whose account a key belongs to may be asked by everybody.
    ("sts", "GetAccessKeyInfo"),
}


def aimed(victim, shape, name="", depth=0):
    """A value for every member that could name something, pointed at the victim; the plainest one for the rest."""
    known = {
        "FunctionName": victim.function,
        "Resource": victim.function,
        "ResourceArn": victim.function,
        "Role": victim.arn(f"role/{NAME}"),
        "RoleArn": victim.arn(f"role/{NAME}"),
        "RoleSessionName": "session",
        "PolicyArn": victim.arn(f"policy/{NAME}"),
        "PermissionsBoundary": victim.arn(f"policy/{NAME}"),
        "PolicySourceArn": victim.arn(f"user/{NAME}"),
        "PrincipalArn": victim.arn(f"user/{NAME}"),
        "FirstDay": "2020-01-01",
        "LastDay": "2099-12-31",
        "CallerArn": victim.arn(f"user/{NAME}"),
        "Arn": victim.arn(f"user/{NAME}"),
        "AccessKeyId": victim.key,
        "logGroupIdentifier": victim.arn(f"log-group:{NAME}", "logs"),
        "logGroupIdentifiers": [victim.arn(f"log-group:{NAME}", "logs")],
        "logGroupName": NAME,
        "logStreamName": NAME,
        "PolicyDocument": NOTHING,
        "AssumeRolePolicyDocument": TRUST,
        "Policy": NOTHING,
        "Principal": "*",
        "Action": "lambda:InvokeFunction",
        "StatementId": "open",
        "VersionId": "v1",
        "ZipFile": package("def handler(event, context): return 'taken over'\n"),
        "Runtime": RUNTIME,
        "Handler": "app.handler",
        "ActionNames": ["iam:GetUser"],
        "ResourceArns": [victim.function],
        "Password": "Correct-Horse-7-Battery",
        "OldPassword": "Correct-Horse-7-Battery",
        "NewPassword": "Correct-Horse-8-Battery",
    }
    if name in known:
        return known[name]
    if shape.type_name == "structure":
        return {member: aimed(victim, shape.members[member], member, depth + 1) for member in interesting(shape, depth)}
    if shape.type_name == "list":
        return [aimed(victim, shape.member, "", depth + 1)]
    if shape.type_name == "string":
        return shape.enum[0] if shape.enum else NAME if name.endswith("Name") else "text-of-some-length"
    plain = {"map": {"k": "v"}, "boolean": True, "blob": b"{}", "timestamp": 1_790_000_000}
    return plain.get(shape.type_name, max(1, shape.metadata.get("min", 1)))


def interesting(shape, depth):
    """The required members, and optional ones that name things."""
    wanted = set(shape.required_members)
    if depth == 0:
        named = {"FunctionName", "PermissionsBoundary", "PolicySourceArn", "ResourceArns", "UserName"}
        wanted |= set(shape.members) & named
        if shape.name.startswith(("GetLogEvents", "FilterLogEvents", "DescribeLogStreams")):
            wanted |= {"logGroupIdentifier"}
        if shape.name.startswith("DescribeLogGroups"):
            wanted |= {"logGroupIdentifiers"}
    return sorted(wanted)


def raw_client(tenant, service):
    """A client that sends whatever it is given, and knows the platform's own operations too."""
    core = botocore.session.Session()
    core.get_component("data_loader").search_paths.append(str(_OWN_MODELS))
    session = boto3.Session(
        botocore_session=core,
        aws_access_key_id=tenant.keys["AccessKeyId"],
        aws_secret_access_key=tenant.keys["SecretAccessKey"],
        aws_session_token=tenant.keys["SessionToken"],
        region_name="us-east-1",
    )
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    return session.client(service, endpoint_url=tenant.house.url, config=config)


@pytest.fixture(scope="module")
def raids(house, victim):
    """Every operation once, aimed at the victim: what came back. The raider loses much of its own on the way, because
    its things have the same names.
    """
    raider = tenant(house, "raider")
    furnish(raider, "def handler(event, context):\n    return 1\n")
    house_clients = {}
    before = snapshot(victim)
    results = {}
    for service, name in ROWS:
        if service not in house_clients:
            house_clients[service] = raw_client(raider, service)
        client = house_clients[service]
        operation = _MODELS.get_service_model(service).operation_model(name)
        given = {} if operation.input_shape is None else aimed(victim, operation.input_shape)
        if (service, name) == ("leastwise", "GetUsage"):
            given["FunctionName"] = NAME
        method = botocore.xform_name(name)
        try:
            answer = getattr(client, method)(**given)
            for member in ("Payload", "Body"):
                if member in answer:
                    answer[member] = answer[member].read()
            results[service, name] = ("", json.dumps(answer, default=str), given)
        except ClientError as error:
            told = error.response["Error"]
            results[service, name] = (told["Code"], told["Message"], given)
    return before, results


@pytest.mark.parametrize(("service", "name"), ROWS)
def test_no_operation_tells_or_gives_a_neighbour_anything(raids, victim, service, name):
    _, results = raids
    code, answer, given = results[service, name]
    assert SECRET not in answer
    if code:
        assert code not in {"InternalFailure", "ServiceFailure", "ServiceException", "SerializationException"}
        return
    if (service, name) in TELLS_BY_DESIGN:
        return
    # What was allowed was about the raider's own things, whatever the victim's are called.
    assert victim.account not in answer.replace(json.dumps(given, default=str), ""), (given, answer)


def test_no_operation_changes_anything_of_a_neighbours(raids, victim):
    before, _ = raids
    assert before == snapshot(victim)


def test_every_operation_that_takes_a_function_is_refused_for_a_neighbours(raids, victim):
    _, results = raids
    aimed_at_it = {
        (service, name): code
        for (service, name), (code, _, given) in results.items()
        if victim.function in (given.get("FunctionName"), given.get("Resource"))
    }
    assert len(aimed_at_it) > 20
    # A filter, not a target: there are no mappings at all.
    assert "" == aimed_at_it.pop(("lambda", "ListEventSourceMappings"))
    assert {"AccessDeniedException"} == set(aimed_at_it.values())


@pytest.mark.parametrize("form", ["{account}:function:{name}", "{account}:{name}", "{arn}", "{arn}:$LATEST"])
def test_no_form_of_a_functions_name_gets_there(victim, attacker, form):
    named = form.format(account=victim.account, name=NAME, arn=victim.function)
    functions = attacker.client("lambda")
    for call in (functions.invoke, functions.get_function, functions.get_policy, functions.delete_function):
        code, message = refused(call, FunctionName=named)
        assert "AccessDeniedException" == code
        assert "because no resource-based policy allows" in message


# --- same names, different things ------------------------------------------------------------------------------------


def test_functions_logs_and_usage_of_one_name_are_each_accounts_own(victim, attacker):
    answer = victim.client("lambda").invoke(FunctionName=NAME, Payload=b"{}", LogType="Tail")
    assert SECRET in answer["Payload"].read().decode()
    own = json.loads(attacker.client("lambda").invoke(FunctionName=NAME, Payload=b"{}")["Payload"].read())
    assert attacker.function == own
    group = f"/aws/lambda/{NAME}"
    read = [
        json.dumps(tenant.client("logs").filter_log_events(logGroupName=group)["events"])
        for tenant in (victim, attacker)
    ]
    assert [True, False] == [SECRET in text for text in read]
    stolen = victim.arn(f"log-group:{group}", "logs")
    code, _ = refused(attacker.client("logs").filter_log_events, logGroupIdentifier=stolen)
    assert "ResourceNotFoundException" == code
    streams = victim.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    for stream in streams:
        code, _ = refused(
            attacker.client("logs").get_log_events, logGroupName=group, logStreamName=stream["logStreamName"]
        )
        assert "ResourceNotFoundException" == code


def test_a_neighbours_reservations_and_packages_count_for_nobody_else(victim, attacker):
    settings = [tenant.client("lambda").get_account_settings() for tenant in (victim, attacker)]
    unreserved = [one["AccountLimit"]["UnreservedConcurrentExecutions"] for one in settings]
    assert unreserved[0] == unreserved[1]
    attacker.client("lambda").put_function_concurrency(
        FunctionName=NAME, ReservedConcurrentExecutions=unreserved[1] - 100
    )
    assert (
        unreserved[0]
        == (victim.client("lambda").get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"])
    )
    victim.client("lambda").invoke(FunctionName=NAME, Payload=b"{}")
    attacker.client("lambda").delete_function_concurrency(FunctionName=NAME)
    assert [1, 1] == [one["AccountUsage"]["FunctionCount"] for one in settings]


def test_identities_of_one_name_are_each_accounts_own(victim, attacker):
    for tenant in (victim, attacker):
        iam = tenant.client("iam")
        user = iam.get_user(UserName=NAME)["User"]
        assert (tenant.arn(f"user/{NAME}"), [{"Key": "team", "Value": tenant.account}]) == (user["Arn"], user["Tags"])
        assert {tenant.account} == {user["Arn"].split(":")[4] for user in iam.list_users()["Users"]}
        assert {tenant.account} == {role["Arn"].split(":")[4] for role in iam.list_roles()["Roles"]}
    own = attacker.client("iam").list_entities_for_policy(PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    assert ["OrganizationAccountAccessRole"] == [role["RoleName"] for role in own["PolicyRoles"]]
    assert [] == own["PolicyUsers"]


# --- handing a neighbour's things over -------------------------------------------------------------------------------


def test_policies_and_boundaries_of_a_neighbour_cannot_be_used(victim, attacker):
    iam, policy = attacker.client("iam"), victim.arn(f"policy/{NAME}")
    codes = [
        refused(iam.attach_user_policy, UserName=NAME, PolicyArn=policy)[0],
        refused(iam.attach_role_policy, RoleName=NAME, PolicyArn=policy)[0],
        refused(iam.put_user_permissions_boundary, UserName=NAME, PermissionsBoundary=policy)[0],
        refused(iam.create_user, UserName="bounded", PermissionsBoundary=policy)[0],
    ]
    assert ["NoSuchEntity"] * 4 == codes
    assert "AccessDenied" == refused(iam.get_policy, PolicyArn=policy)[0]
    assert "AccessDenied" == refused(iam.list_entities_for_policy, PolicyArn=policy)[0]
    iam.create_role(RoleName="own", AssumeRolePolicyDocument=trusting(attacker.account))
    assuming = {"RoleArn": attacker.arn("role/own"), "RoleSessionName": "session", "PolicyArns": [{"arn": policy}]}
    user = attacker.user("assumer", ALLOW_ALL)
    assert "MalformedPolicyDocument" == refused(user("sts").assume_role, **assuming)[0]


def test_a_function_cannot_be_given_a_neighbours_role(victim, attacker):
    functions = attacker.client("lambda")
    role = {"Role": victim.arn(f"role/{NAME}")}
    code, message = refused(
        functions.create_function,
        FunctionName="borrowing",
        Runtime=RUNTIME,
        Handler="app.handler",
        Code={"ZipFile": package(SOURCE)},
        **role,
    )
    assert ("AccessDeniedException", "Cross-account pass role is not allowed.") == (code, message)
    code, message = refused(functions.update_function_configuration, FunctionName=NAME, **role)
    assert ("AccessDeniedException", "Cross-account pass role is not allowed.") == (code, message)


def test_a_link_to_a_package_cannot_be_turned_into_one_to_a_neighbours(house, victim, attacker):
    found = attacker.client("lambda").get_function(FunctionName=NAME)
    theirs = victim.client("lambda").get_function(FunctionName=NAME)
    token = found["Code"]["Location"].rpartition("/")[2]
    stolen = theirs["Code"]["Location"].rpartition("/")[2]
    # The front of a token seals what stands behind it: one's seal with the other's content, and the other way round.
    for forged in (token[:43] + stolen[43:], stolen[:43] + token[43:], token[:-4] + "AAAA"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{house.url}/code/{forged}")
        assert 403 == caught.value.code


# --- what the rules allow, and where it ends -------------------------------------------------------------------------


def test_trusting_an_account_opens_one_way_only(victim, attacker):
    """The victim trusts the attacker's account: its users still need a permission of their own, and nothing comes
    back.
    """
    victim.client("iam").create_role(RoleName="open", AssumeRolePolicyDocument=trusting(attacker.account))
    role = victim.arn("role/open")
    powerless = attacker.user("powerless")
    code, message = refused(powerless("sts").assume_role, RoleArn=role, RoleSessionName="session")
    assert ("AccessDenied", True) == (code, "because no identity-based policy allows" in message)
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    entitled = attacker.user("entitled", json.dumps({"Version": "2012-10-17", "Statement": [may]}))
    keys = entitled("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    inside = victim.house.client_for("sts", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert victim.account == inside.get_caller_identity()["Account"]
    same = victim.house.client_for("iam", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    assert "AccessDenied" == refused(same.list_users)[0]
    # The way back: the attacker's role trusts nobody of the victim's account.
    back = {"RoleArn": attacker.arn("role/own-door"), "RoleSessionName": "session"}
    attacker.client("iam").create_role(RoleName="own-door", AssumeRolePolicyDocument=trusting(attacker.account))
    user = victim.user("curious", ALLOW_ALL)
    assert "AccessDenied" == refused(user("sts").assume_role, **back)[0]


def test_a_role_that_does_not_trust_an_account_cannot_be_told_from_one_that_is_not_there(victim, attacker):
    victim.client("iam").create_role(RoleName="closed", AssumeRolePolicyDocument=trusting(victim.account))
    user = attacker.user("prober", ALLOW_ALL)
    told = [
        refused(user("sts").assume_role, RoleArn=victim.arn(f"role/{name}"), RoleSessionName="session")
        for name in ("closed", "nothing")
    ]
    words = [(code, message.replace("closed", "X").replace("nothing", "X")) for code, message in told]
    assert words[0] == words[1]
    assert "AccessDenied" == words[0][0]


def test_an_external_id_keeps_a_deputy_from_being_confused(victim, attacker):
    document = trusting(attacker.account, StringEquals={"sts:ExternalId": "agreed-upon"})
    victim.client("iam").create_role(RoleName="deputy", AssumeRolePolicyDocument=document)
    user = attacker.user("vendor", ALLOW_ALL)
    asked = {"RoleArn": victim.arn("role/deputy"), "RoleSessionName": "session"}
    assert "AccessDenied" == refused(user("sts").assume_role, **asked)[0]
    assert "AccessDenied" == refused(user("sts").assume_role, **asked, ExternalId="guessed")[0]
    assert user("sts").assume_role(**asked, ExternalId="agreed-upon")["AssumedRoleUser"]["Arn"]


def test_trusting_an_account_that_is_not_there_is_refused(victim):
    iam = victim.client("iam")
    document = trusting("999999999999")
    assert "MalformedPolicyDocument" == refused(iam.create_role, RoleName="early", AssumeRolePolicyDocument=document)[0]


@pytest.fixture
def granted(victim):
    """Grants permissions on the victim's function and takes them back."""
    functions = victim.client("lambda")
    made = []

    def grant(principal, action="lambda:InvokeFunction", **more):
        sid = f"s{uuid.uuid4().hex[:8]}"
        made.append(sid)
        functions.add_permission(FunctionName=NAME, StatementId=sid, Action=action, Principal=principal, **more)
        return sid

    yield grant
    for sid in made:
        functions.remove_permission(FunctionName=NAME, StatementId=sid)


def invoke(clients, function, **more):
    return json.loads(
        clients("lambda").invoke(FunctionName=function, Payload=b"{}", **more)["Payload"].read() or b"null"
    )


def test_a_grant_to_an_account_needs_the_callers_own_permission_too(victim, attacker, granted):
    mark = uuid.uuid4().hex[:8]
    powerless = attacker.user(f"powerless-{mark}")
    may = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": victim.function}
    entitled = attacker.user(f"entitled-{mark}", json.dumps({"Version": "2012-10-17", "Statement": [may]}))
    assert "AccessDeniedException" == refused(entitled("lambda").invoke, FunctionName=victim.function)[0]
    granted(attacker.account)
    assert victim.function == invoke(entitled, victim.function)["arn"]
    _, message = refused(powerless("lambda").invoke, FunctionName=victim.function)
    assert "because no identity-based policy allows" in message
    # Nothing else came with it.
    for call in ("get_function", "get_function_configuration", "get_policy", "delete_function"):
        assert "AccessDeniedException" == refused(getattr(entitled("lambda"), call), FunctionName=victim.function)[0]


def test_a_grant_that_is_taken_back_ends_with_the_next_call(victim, attacker):
    functions = victim.client("lambda")
    mark = uuid.uuid4().hex[:8]
    caller = attacker.user(f"caller-{mark}", ALLOW_ALL)
    grant = {"FunctionName": NAME, "StatementId": f"s{mark}"}
    functions.add_permission(**grant, Action="lambda:InvokeFunction", Principal=attacker.arn(f"user/caller-{mark}"))
    assert victim.function == invoke(caller, victim.function)["arn"]
    functions.remove_permission(**grant)
    assert "AccessDeniedException" == refused(caller("lambda").invoke, FunctionName=victim.function)[0]


def test_a_grant_to_one_role_is_none_to_its_neighbours(victim, attacker, granted):
    iam = attacker.client("iam")
    mark = uuid.uuid4().hex[:8]
    user = attacker.user(f"u-{mark}", ALLOW_ALL)
    for name in (f"named-{mark}", f"other-{mark}"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting(attacker.account))
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=ALLOW_ALL)
    granted(attacker.arn(f"role/named-{mark}"))
    outcomes = []
    for name in (f"named-{mark}", f"other-{mark}"):
        keys = user("sts").assume_role(RoleArn=attacker.arn(f"role/{name}"), RoleSessionName="session")["Credentials"]
        functions = victim.house.client_for(
            "lambda", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]
        )
        try:
            functions.invoke(FunctionName=victim.function, Payload=b"{}")
            outcomes.append("")
        except ClientError as error:
            outcomes.append(error.response["Error"]["Code"])
    assert ["", "AccessDeniedException"] == outcomes


def test_a_grant_to_the_organization_is_one_to_every_account_in_it_and_to_no_other(house, victim, attacker, granted):
    caller = attacker.user(f"member-{uuid.uuid4().hex[:8]}", ALLOW_ALL)
    organization = house.client("organizations").describe_organization()["Organization"]["Id"]
    granted("*", PrincipalOrgID="o-zzzzzzzzzz")
    assert "AccessDeniedException" == refused(caller("lambda").invoke, FunctionName=victim.function)[0]
    granted("*", PrincipalOrgID=organization)
    assert victim.function == invoke(caller, victim.function)["arn"]


def test_an_event_from_a_neighbour_runs_in_its_owners_account(victim, attacker, granted):
    caller = attacker.user(f"sender-{uuid.uuid4().hex[:8]}", ALLOW_ALL)
    event = {"FunctionName": victim.function, "InvocationType": "Event", "Payload": b'{"from": "outside"}'}
    assert "AccessDeniedException" == refused(caller("lambda").invoke, **event)[0]
    granted(attacker.account)
    assert 202 == caller("lambda").invoke(**event)["StatusCode"]


def test_who_uses_a_neighbours_function_is_on_record_on_both_sides(house, victim, attacker, granted):
    name = f"recorded-{uuid.uuid4().hex[:8]}"
    caller = attacker.user(name, ALLOW_ALL)
    granted(attacker.account)
    request_id = caller("lambda").invoke(FunctionName=victim.function, Payload=b"{}")["ResponseMetadata"]["RequestId"]
    records = []
    for segment in sorted((house.data / "trail").rglob("*")):
        if segment.is_file():
            for line in segment.read_bytes().splitlines():
                if request_id.encode() in line:
                    found = re.search(rb'\{"eventVersion".*\}', line) or re.search(rb"\{.*\}", line)
                    records.append(json.loads(found.group()))
    records = [record.get("record", record) for record in records]
    by_account = {record["recipientAccountId"]: record for record in records}
    assert {victim.account, attacker.account} == set(by_account)
    mine, theirs = by_account[attacker.account], by_account[victim.account]
    assert mine["sharedEventID"] == theirs["sharedEventID"]
    assert mine["eventID"] != theirs["eventID"]
    assert name == mine["userIdentity"]["userName"]
    assert ("AWSAccount", attacker.account) == (theirs["userIdentity"]["type"], theirs["userIdentity"]["accountId"])
    assert name not in json.dumps(theirs)


def test_what_a_neighbour_runs_is_paid_by_the_owner(house, victim, attacker, granted):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    def requests(tenant):
        url = f"{house.url}/2026-11-23/usage?FirstDay=2020-01-01&LastDay=2099-12-31"
        request = AWSRequest(method="GET", url=url)
        keys = Credentials(tenant.keys["AccessKeyId"], tenant.keys["SecretAccessKey"], tenant.keys["SessionToken"])
        SigV4Auth(keys, "leastwise", "us-east-1").add_auth(request)
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers))) as answer:
            totals = json.load(answer)["Totals"]
        assert {tenant.account} == {total["FunctionArn"].split(":")[4] for total in totals}
        return sum(total["Requests"] for total in totals)

    attacker.client("lambda").invoke(FunctionName=NAME, Payload=b"{}")
    victim.client("lambda").invoke(FunctionName=NAME, Payload=b"{}")
    before = requests(victim), requests(attacker)
    caller = attacker.user(f"spender-{uuid.uuid4().hex[:8]}", ALLOW_ALL)
    granted(attacker.account)
    invoke(caller, victim.function)
    assert (before[0] + 1, before[1]) == (requests(victim), requests(attacker))


def test_a_function_of_a_neighbour_has_its_own_accounts_credentials_and_no_other(victim, attacker):
    """From inside the sandbox too: the attacker's code with the attacker's role."""
    source = """
import boto3
def handler(event, context):
    told = [boto3.client("sts").get_caller_identity()["Account"]]
    for call in ("get_function", "invoke"):
        try:
            getattr(boto3.client("lambda"), call)(FunctionName=event)
            told.append("done")
        except Exception as error:
            told.append(type(error).__name__)
    return told
"""
    iam, functions = attacker.client("iam"), attacker.client("lambda")
    iam.put_role_policy(RoleName=NAME, PolicyName="all", PolicyDocument=ALLOW_ALL)
    functions.create_function(
        FunctionName="inside",
        Runtime=RUNTIME,
        Role=attacker.arn(f"role/{NAME}"),
        Handler="app.handler",
        Timeout=30,
        MemorySize=256,
        Code={"ZipFile": package(source)},
    )
    functions.get_waiter("function_active_v2").wait(FunctionName="inside", WaiterConfig={"Delay": 1})
    answer = functions.invoke(FunctionName="inside", Payload=json.dumps(victim.function).encode())
    told = json.loads(answer["Payload"].read())
    assert attacker.account == told[0]
    assert {"ClientError", "AccessDeniedException"} >= set(told[1:])
    functions.delete_function(FunctionName="inside")
    iam.delete_role_policy(RoleName=NAME, PolicyName="all")


def test_everything_is_still_apart_after_a_restart(house, victim, attacker):
    """Last in this file: it stops the platform."""
    before = snapshot(victim), snapshot(attacker)
    assert house.stop() == 0
    again = start(house.data)
    house.process, house.url = again.process, again.url
    assert before == (snapshot(victim), snapshot(attacker))
    answer = victim.client("lambda").invoke(FunctionName=NAME, Payload=b"{}")
    assert SECRET in answer["Payload"].read().decode()
    assert attacker.function == json.loads(
        attacker.client("lambda").invoke(FunctionName=NAME, Payload=b"{}")["Payload"].read()
    )
    assert "AccessDeniedException" == refused(attacker.client("lambda").invoke, FunctionName=victim.function)[0]
