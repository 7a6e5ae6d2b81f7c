"""`leastwise why` and the API behind it, on a running platform."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

import leastwise

from .conftest import start

LEASTWISE = str(Path(sys.executable).parent / "leastwise")
INVOKE = "lambda:InvokeFunction"
MODELS = Path(leastwise.__file__).parent / "api" / "models"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def own_client(platform, session=None):
    """A client of the platform's own service, which botocore has no model of."""
    session = session or platform.session()
    token = session.get_credentials().token
    core = botocore.session.Session()
    core.get_component("data_loader").search_paths.append(str(MODELS))
    key = session.get_credentials()
    return boto3.Session(
        aws_access_key_id=key.access_key,
        aws_secret_access_key=key.secret_key,
        aws_session_token=token,
        region_name="us-east-1",
        botocore_session=core,
    ).client("leastwise", endpoint_url=platform.url, config=Config(retries={"total_max_attempts": 1}))


@pytest.fixture(scope="module")
def why(platform):
    client = own_client(platform)
    return lambda principal, action, resource="*", **context: client.explain_access(
        PrincipalArn=principal,
        Action=action,
        ResourceArn=resource,
        ContextEntries=[
            {"ContextKeyName": key.replace("__", ":"), "ContextKeyValues": [value]} for key, value in context.items()
        ],
    )


@pytest.fixture(scope="module")
def record_of(platform):
    client = own_client(platform)
    return lambda request_id, **more: client.explain_access(RecordId=request_id, **more)


@pytest.fixture(scope="module")
def account(platform):
    return platform.client("sts").get_caller_identity()["Account"]


@pytest.fixture
def person(iam, platform, request):
    """A new user with a key: (name, boto3 session)."""
    name = f"why-{abs(hash(request.node.nodeid)) % 10**8}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    session = boto3.Session(
        aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"], region_name="us-east-1"
    )
    return name, session


def layer(answer, name):
    return next(one for one in answer["Layers"] if one["Layer"] == name)


def sentences(answer):
    return [[step["Sentence"] for step in remedy["Steps"]] for remedy in answer["Remedies"]]


def test_what_is_allowed_names_the_layer_and_the_statement(iam, why, person, account):
    name, _ = person
    arn = f"arn:aws:lambda:us-east-1:{account}:function:nowhere"
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow(INVOKE, arn, Sid="Call")))
    answer = why(f"user/{name}", INVOKE, arn)
    assert "allowed" == answer["Decision"]
    found = layer(answer, "identity-based")
    assert (True, "allows") == (found["Decisive"], found["Answer"])
    assert [("p", "Call", "yes")] == [(s["Policy"], s["Sid"], s["Applies"]) for s in found["Statements"]]
    assert [] == answer["Remedies"]


def test_what_nothing_allows_says_where_an_allow_would_do(iam, why, deploy, person, account):
    name, _ = person
    function = deploy("def handler(event, context): return 1\n")
    arn = f"arn:aws:lambda:us-east-1:{account}:function:{function}"
    answer = why(f"user/{name}", INVOKE, arn)
    assert "implicitDeny" == answer["Decision"]
    identity, resource = sorted(sentences(answer))
    assert [
        f"No identity-based policy allows it. Add an Allow for {INVOKE} on {arn} in a policy of arn:aws:iam::{account}:user/{name}."
    ] == identity
    assert resource[0].startswith("The resource's own policy may allow it")


def test_an_explicit_deny_must_change_itself(iam, why, person):
    name, _ = person
    denying = policy(allow("*"), {**allow("iam:GetUser", Sid="NoUsers"), "Effect": "Deny"})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=denying)
    answer = why(f"user/{name}", "iam:GetUser")
    assert "explicitDeny" == answer["Decision"]
    (steps,) = sentences(answer)
    assert [
        'Statement "NoUsers" of p (identity-based policy) denies iam:GetUser explicitly. It must change: no Allow overrides a Deny.'
    ] == steps


def test_missing_context_makes_it_depend_and_given_context_decides(iam, why, person):
    name, _ = person
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("iam:*", Condition=condition)))
    answer = why(f"user/{name}", "iam:GetUser")
    assert ("depends", ["aws:MultiFactorAuthPresent"]) == (answer["Decision"], answer["MissingContext"])
    assert "allowed" == why(f"user/{name}", "iam:GetUser", aws__MultiFactorAuthPresent="true")["Decision"]
    answer = why(f"user/{name}", "iam:GetUser", aws__MultiFactorAuthPresent="false")
    assert "implicitDeny" == answer["Decision"]
    ((step,),) = [remedy["Steps"] for remedy in answer["Remedies"]]
    assert "sign in with a second factor" in step["Otherwise"][0]


def test_the_clock_is_now_unless_another_instant_is_given(iam, why, person):
    name, _ = person
    condition = {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("iam:*", Condition=condition)))
    assert "implicitDeny" == why(f"user/{name}", "iam:GetUser")["Decision"]
    assert "allowed" == why(f"user/{name}", "iam:GetUser", aws__CurrentTime="2019-06-01T00:00:00Z")["Decision"]


def test_a_roles_trust_policy_is_a_layer(iam, why, person, role):
    name, _ = person
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole")))
    answer = why(f"user/{name}", "sts:AssumeRole", role)
    assert "implicitDeny" == answer["Decision"]
    assert (True, "grantsNothing") == (layer(answer, "role trust")["Decisive"], layer(answer, "role trust")["Answer"])
    assert "allowed" == why("lambda.amazonaws.com", "sts:AssumeRole", role)["Decision"]


def test_a_role_is_asked_about_as_its_sessions_are(iam, why, account):
    trust = policy({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    iam.create_role(RoleName="asked", Path="/team/", AssumeRolePolicyDocument=trust)
    iam.put_role_policy(RoleName="asked", PolicyName="p", PolicyDocument=policy(allow("logs:PutLogEvents")))
    for named in (
        "role/asked",
        f"arn:aws:iam::{account}:role/team/asked",
        f"arn:aws:sts::{account}:assumed-role/asked/s",
    ):
        assert "allowed" == why(named, "logs:PutLogEvents")["Decision"]


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("user/nobody-here", "ResourceNotFoundException"),
        ("arn:aws:iam::999988887777:user/ann", "ValidationException"),
        ("group/some", "ValidationException"),
        ("nonsense", "ValidationException"),
    ],
)
def test_who_is_nobody_or_of_another_account_is_refused(why, named, code):
    with pytest.raises(ClientError) as caught:
        why(named, INVOKE)
    assert code == caught.value.response["Error"]["Code"]


def test_another_accounts_resource_keeps_the_answer_open(iam, why, person):
    name, _ = person
    arn = "arn:aws:lambda:us-east-1:999988887777:function:theirs"
    assert "implicitDeny" == why(f"user/{name}", INVOKE, arn)["Decision"]
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow(INVOKE)))
    answer = why(f"user/{name}", INVOKE, arn)
    assert ("depends", True) == (answer["Decision"], layer(answer, "resource-based")["Unseen"])


def denied_call(client, **given):
    with pytest.raises(ClientError) as caught:
        client.invoke(**given)
    return caught.value.response["ResponseMetadata"]["RequestId"]


def test_a_denied_call_is_explained_by_its_request_id_and_so_is_the_change_since(
    iam, deploy, platform, person, record_of
):
    name, session = person
    function = deploy("def handler(event, context): return 1\n")
    request_id = denied_call(platform.client("lambda", session), FunctionName=function)
    answer = record_of(request_id)
    assert ("implicitDeny", "implicitDeny", False) == (
        answer["Decision"],
        answer["Recorded"]["Decision"],
        answer["Changed"],
    )
    assert (INVOKE, "Invoke") == (answer["Action"], answer["Recorded"]["EventName"])
    assert answer["Recorded"]["ErrorMessage"].startswith("User: ")
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow(INVOKE)))
    answer = record_of(request_id)
    assert ("allowed", "implicitDeny", True) == (answer["Decision"], answer["Recorded"]["Decision"], answer["Changed"])
    assert answer == {**record_of(answer["Recorded"]["EventId"]), "ResponseMetadata": answer["ResponseMetadata"]}


def test_a_recorded_call_with_a_long_term_key_certainly_had_no_second_factor(iam, platform, person, record_of):
    name, session = person
    condition = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("iam:*", Condition=condition)))
    with pytest.raises(ClientError) as caught:
        platform.client("iam", session).get_user(UserName=name)
    answer = record_of(caught.value.response["ResponseMetadata"]["RequestId"])
    assert ("implicitDeny", []) == (answer["Decision"], answer["MissingContext"])


def test_the_source_address_of_a_recorded_call_is_known(iam, platform, person, record_of):
    name, session = person
    condition = {"NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("iam:*", Condition=condition)))
    with pytest.raises(ClientError) as caught:
        platform.client("iam", session).get_user(UserName=name)
    answer = record_of(caught.value.response["ResponseMetadata"]["RequestId"])
    assert ("implicitDeny", []) == (answer["Decision"], answer["MissingContext"])
    (failure,) = layer(answer, "identity-based")["Statements"][0]["Failures"]
    assert ("NotIpAddress", ["127.0.0.1"]) == (failure["Operator"], failure["Found"])


def test_a_further_permission_that_was_denied_is_what_is_explained(iam, platform, person, role, record_of):
    name, session = person
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("lambda:*")))
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): return 1\n")
    with pytest.raises(ClientError) as caught:
        platform.client("lambda", session).create_function(
            FunctionName=name,
            Runtime=f"python3.{sys.version_info.minor}",
            Role=role,
            Handler="app.handler",
            Code={"ZipFile": file.getvalue()},
        )
    answer = record_of(caught.value.response["ResponseMetadata"]["RequestId"])
    assert ("iam:PassRole", role, "implicitDeny") == (answer["Action"], answer["Resource"], answer["Decision"])


def session_of(answer):
    keys = answer["Credentials"]
    return boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        region_name="us-east-1",
    )


def test_the_session_policies_of_a_recorded_call_are_said_to_be_unknown(iam, platform, account, record_of):
    trust = policy({"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"})
    arn = iam.create_role(RoleName="limited", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="limited", PolicyName="p", PolicyDocument=policy(allow("*")))
    made = platform.client("sts").assume_role(
        RoleArn=arn, RoleSessionName="narrow", Policy=policy(allow("logs:DescribeLogGroups"))
    )
    with pytest.raises(ClientError) as caught:
        platform.client("iam", session_of(made)).list_users()
    answer = record_of(caught.value.response["ResponseMetadata"]["RequestId"])
    assert ("depends", "session", "implicitDeny") == (
        answer["Decision"],
        answer["Recorded"]["Layer"],
        answer["Recorded"]["Decision"],
    )
    assert layer(answer, "session")["Unseen"] is True
    assert "Changed" not in answer


def test_a_federated_users_recorded_call_is_explained_by_what_its_issuer_has(iam, platform, person, record_of):
    name, session = person
    allowed = policy(allow(["sts:GetFederationToken", "logs:*"]))
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=allowed)
    made = platform.client("sts", session).get_federation_token(Name="guest", Policy=policy(allow("logs:*")))
    request_id = platform.client("logs", session_of(made)).describe_log_groups()["ResponseMetadata"]["RequestId"]
    answer = record_of(request_id)
    assert ("allowed", "depends") == (answer["Recorded"]["Decision"], answer["Decision"])
    assert "allows" == layer(answer, "identity-based")["Answer"]


def test_a_grant_to_one_session_of_a_role_makes_it_depend_on_the_sessions_name(iam, functions, deploy, why, account):
    trust = policy({"Effect": "Allow", "Principal": {"AWS": account}, "Action": "sts:AssumeRole"})
    iam.create_role(RoleName="sessions", AssumeRolePolicyDocument=trust)
    name = deploy("def handler(event, context): return 1\n")
    arn = f"arn:aws:lambda:us-east-1:{account}:function:{name}"
    session = f"arn:aws:sts::{account}:assumed-role/sessions/night"
    functions.add_permission(FunctionName=name, StatementId="s", Action=INVOKE, Principal=session)
    assert "allowed" == why(session, INVOKE, arn)["Decision"]
    assert "implicitDeny" == why(session.replace("night", "day"), INVOKE, arn)["Decision"]
    answer = why("role/sessions", INVOKE, arn)
    assert "depends" == answer["Decision"]
    assert session in answer["Remarks"][0]


def test_an_allowed_call_is_explained_too(iam, record_of):
    request_id = iam.list_users()["ResponseMetadata"]["RequestId"]
    answer = record_of(request_id)
    assert ("allowed", "allowed", False) == (answer["Decision"], answer["Recorded"]["Decision"], answer["Changed"])


def test_an_id_that_no_call_had_is_not_found(record_of):
    with pytest.raises(ClientError) as caught:
        record_of("00000000-0000-4000-8000-000000000000")
    assert "ResourceNotFoundException" == caught.value.response["Error"]["Code"]


def test_whoever_may_not_ask_is_denied_and_may_be_let_ask_about_itself(iam, platform, person, account):
    name, session = person
    own = f"arn:aws:iam::{account}:user/{name}"
    client = own_client(platform, session)
    with pytest.raises(ClientError, match="is not authorized to perform: leastwise:ExplainAccess"):
        client.explain_access(PrincipalArn=own, Action=INVOKE)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("leastwise:ExplainAccess", own)))
    assert "implicitDeny" == client.explain_access(PrincipalArn=f"user/{name}", Action=INVOKE)["Decision"]
    for others in ("user/administrator", f"arn:aws:iam::{account}:root", "user/nobody-here"):
        with pytest.raises(ClientError, match="is not authorized"):
            client.explain_access(PrincipalArn=others, Action=INVOKE)


def test_a_refusal_does_not_say_who_there_is(iam, platform, person, account):
    name, session = person
    client = own_client(platform, session)

    def refusal(named):
        with pytest.raises(ClientError) as caught:
            client.explain_access(PrincipalArn=named, Action=INVOKE)
        return caught.value.response["Error"]["Message"].split(" on resource: ")[1].split(" ")[0]

    iam.create_user(UserName="somebody-else")
    for kind, there in (("user", "somebody-else"), ("user", "not-there"), ("role", "not-there")):
        assert f"arn:aws:iam::{account}:{kind}/{there}" == refusal(f"{kind}/{there}")
        assert f"arn:aws:iam::{account}:{kind}/{there}" == refusal(f"arn:aws:iam::{account}:{kind}/{there}")


def test_an_explanation_leaves_out_a_resource_that_the_asker_may_not_read(
    iam, functions, deploy, platform, person, account
):
    name, session = person
    own = f"arn:aws:iam::{account}:user/{name}"
    function = deploy("def handler(event, context): return 1\n")
    arn = f"arn:aws:lambda:us-east-1:{account}:function:{function}"
    functions.add_permission(FunctionName=function, StatementId="hidden-sid", Action=INVOKE, Principal="444455556666")
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("leastwise:ExplainAccess")))
    client = own_client(platform, session)

    def ask(resource):
        answer = client.explain_access(PrincipalArn=own, Action=INVOKE, ResourceArn=resource)
        text = json.dumps({**answer, "ResponseMetadata": {}})
        assert ("may not read" in text, "hidden-sid" in text) == (True, False)
        return answer["Decision"], layer(answer, "resource-based")["Unseen"]

    assert [("depends", True)] * 2 == [ask(arn), ask(f"{arn}-not-there")]
    request_id = denied_call(platform.client("lambda", session), FunctionName=function)
    answer = client.explain_access(RecordId=request_id)
    assert ("depends", True) == (answer["Decision"], layer(answer, "resource-based")["Unseen"])
    iam.put_user_policy(
        UserName=name,
        PolicyName="q",
        PolicyDocument=policy(allow("lambda:GetPolicy", arn), allow("lambda:ListTags", arn)),
    )
    answer = client.explain_access(PrincipalArn=own, Action=INVOKE, ResourceArn=arn)
    assert ("implicitDeny", ["hidden-sid"]) == (
        answer["Decision"],
        [one["Sid"] for one in layer(answer, "resource-based")["Statements"]],
    )


def test_an_explanation_takes_no_more_context_than_a_request_could_have(why):
    with pytest.raises(ClientError, match="characters of context"):
        why("user/administrator", INVOKE, aws__TagKeys="x" * 17_000)


def test_an_action_that_nobody_has_is_said_to_be_none(why, platform):
    assert (
        "There is no action iam:CreateUsr. Did you mean iam:CreateUser?"
        == (why("user/administrator", "iam:CreateUsr")["Remarks"][0])
    )
    assert "There is no service iamm. Did you mean iam?" == why("user/administrator", "iamm:GetUser")["Remarks"][0]
    said = run(platform, "why", "user/administrator", "iam:CreateUsr")
    assert said.stdout.startswith("Note: There is no action iam:CreateUsr.")


def test_the_command_names_the_root_user_as_what_allows(platform, account):
    said = run(platform, "why", f"arn:aws:iam::{account}:root", "iam:GetUser")
    line = next(line for line in said.stdout.splitlines() if "identity-based" in line)
    assert line.endswith("root user")


def run(platform, *arguments, session=None):
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEASTWISE_"))}
    if session is not None:
        key = session.get_credentials()
        environ |= {"AWS_ACCESS_KEY_ID": key.access_key, "AWS_SECRET_ACCESS_KEY": key.secret_key}
    return subprocess.run(
        [LEASTWISE, *arguments, "--data", str(platform.data)], capture_output=True, text=True, env=environ, check=False
    )


def test_the_command_says_the_decision_first_and_ends_with_its_code(iam, platform, person):
    name, _ = person
    denied = run(platform, "why", f"user/{name}", "iam:GetUser")
    assert 6 == denied.returncode, denied.stderr
    assert denied.stdout.startswith("decision   denied: nothing allows it")
    assert "To have it allowed:" in denied.stdout
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(allow("iam:*", Condition=condition)))
    depends = run(platform, "why", f"user/{name}", "iam:GetUser")
    assert 7 == depends.returncode
    assert "--context aws:SourceIp=..." in depends.stdout
    allowed = run(platform, "why", f"user/{name}", "iam:GetUser", "--context", "aws:SourceIp=10.1.1.1")
    assert 0 == allowed.returncode
    assert allowed.stdout.startswith("decision   allowed")


def test_the_command_prints_json_for_scripts(platform):
    done = run(platform, "why", "user/administrator", "iam:GetUser", "--output", "json")
    assert (0, "allowed") == (done.returncode, json.loads(done.stdout)["Decision"])


def test_a_denial_in_the_command_line_says_how_to_ask_why(platform, person):
    name, session = person
    denied = run(platform, "functions", session=session)
    assert 1 == denied.returncode
    request_id = denied.stderr.split("--request-id ")[1].split("`")[0]
    told = run(platform, "why", "--request-id", request_id)
    assert 6 == told.returncode, told.stderr
    assert f"user/{name}" in told.stdout
    assert "decided then" in told.stdout


@pytest.mark.parametrize(
    "arguments",
    [(), ("user/x",), ("user/x", "iam:GetUser", "--request-id", "x"), ("user/x", "a:b", "*", "--context", "x")],
)
def test_a_question_that_is_none_ends_with_code_2(platform, arguments):
    assert 2 == run(platform, "why", *arguments).returncode


@pytest.fixture(scope="module")
def member(tmp_path_factory):
    """A member account under a service control policy, on a platform of its own: (platform, session, account, policy)."""
    running = start(tmp_path_factory.mktemp("why") / "data")
    organizations = running.client("organizations")
    account = organizations.create_account(AccountName="member", Email="member@example.com")["CreateAccountStatus"][
        "AccountId"
    ]
    arn = f"arn:aws:iam::{account}:role/OrganizationAccountAccessRole"
    keys = running.client("sts").assume_role(RoleArn=arn, RoleSessionName="way-in")["Credentials"]
    session = boto3.Session(
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
        region_name="us-east-1",
    )
    running.client("iam", session).create_user(UserName="ann")
    content = policy(
        {
            **allow("iam:CreateUser", Sid="OnlyFromTheOffice"),
            "Effect": "Deny",
            "Condition": {"NotIpAddress": {"aws:SourceIp": "198.51.100.7/32"}},
        }
    )
    made = organizations.create_policy(Content=content, Description="x", Name="office", Type="SERVICE_CONTROL_POLICY")[
        "Policy"
    ]["PolicySummary"]
    organizations.attach_policy(PolicyId=made["Id"], TargetId=account)
    yield running, session, account, made["Arn"]
    assert running.stop() == 0


def test_a_guardrail_is_named_and_its_text_is_not_shown(member):
    running, session, account, scp = member
    user = running.client("iam", session)
    user.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy(allow("*")))
    asking = own_client(running, session)

    def ask(address):
        entries = [{"ContextKeyName": "aws:SourceIp", "ContextKeyValues": [address]}] if address else []
        return asking.explain_access(PrincipalArn="user/ann", Action="iam:CreateUser", ContextEntries=entries)

    assert ("depends", ["aws:SourceIp"]) == (ask(None)["Decision"], ask(None)["MissingContext"])
    assert "allowed" == ask("198.51.100.7")["Decision"]
    denied = ask("192.0.2.1")
    assert "explicitDeny" == denied["Decision"]
    ((step,),) = [remedy["Steps"] for remedy in denied["Remedies"]]
    assert f'Statement "OnlyFromTheOffice" of {scp} (service control policy) denies' in step["Sentence"]
    for answer in (ask(None), ask("198.51.100.7"), denied):
        assert "198.51.100.7/32" not in json.dumps(answer)
        assert "NotIpAddress" not in json.dumps(answer)


def test_the_simulator_counts_the_accounts_guardrails(member):
    running, session, account, _ = member
    client = running.client("iam", session)
    client.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy(allow("*")))

    def simulate(address):
        entry = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": [address], "ContextKeyType": "ip"}
        (result,) = client.simulate_principal_policy(
            PolicySourceArn=f"arn:aws:iam::{account}:user/ann", ActionNames=["iam:CreateUser"], ContextEntries=[entry]
        )["EvaluationResults"]
        return result["EvalDecision"], result["OrganizationsDecisionDetail"]["AllowedByOrganizations"]

    assert ("allowed", True) == simulate("198.51.100.7")
    assert ("explicitDeny", False) == simulate("192.0.2.1")


def test_accounts_do_not_see_each_others_principals_and_records(member):
    running, session, account, _ = member
    administrator = own_client(running)
    with pytest.raises(ClientError) as caught:
        administrator.explain_access(PrincipalArn=f"arn:aws:iam::{account}:user/ann", Action="iam:CreateUser")
    assert "ValidationException" == caught.value.response["Error"]["Code"]
    request_id = running.client("iam", session).list_users()["ResponseMetadata"]["RequestId"]
    assert "allowed" == own_client(running, session).explain_access(RecordId=request_id)["Decision"]
    with pytest.raises(ClientError) as caught:
        administrator.explain_access(RecordId=request_id)
    assert "ResourceNotFoundException" == caught.value.response["Error"]["Code"]
