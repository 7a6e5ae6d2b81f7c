"""`leastwise iam escalations` and the operation behind it, on a running platform; and that what it says is so."""

import json
import os
import subprocess

import pytest

from .conftest import LEASTWISE, RUNTIME, TRUST, package, start


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("escalations") / "data")
    yield running
    assert running.stop() == 0


def leastwise(house, *arguments):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEASTWISE_"))}
    command = [LEASTWISE, "--data", str(house.data), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean, check=False)


def test_a_path_is_shown_and_can_be_walked(house):
    iam = house.client("iam")
    told = leastwise(house, "iam", "escalations")
    assert (0, True) == (told.returncode, told.stdout.startswith("Nobody, of ")), told.stderr
    boss = iam.create_role(RoleName="boss", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="boss", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    eve = iam.create_user(UserName="eve")["User"]["Arn"]
    functions = eve.replace("arn:aws:iam::", "arn:aws:lambda:us-east-1:").replace("user/eve", "function:dev-*")
    iam.put_user_policy(
        UserName="eve",
        PolicyName="p",
        PolicyDocument=document(
            allow("iam:PassRole", boss), allow(["lambda:CreateFunction", "lambda:InvokeFunction"], functions)
        ),
    )
    told = leastwise(house, "iam", "escalations")
    assert 8 == told.returncode, told.stderr
    assert "user/eve" in told.stdout
    assert "iam:PassRole role/boss, lambda:CreateFunction function:dev-escalation" in told.stdout
    shown = leastwise(house, "--output", "json", "iam", "escalations", "--principal", eve)
    answer = json.loads(shown.stdout)
    (path,) = answer["Escalations"]
    assert (eve, "administrator", []) == (path["Principal"], path["Becomes"], path["Conditions"])
    assert boss in answer["Administrators"]
    # The path is real: a user who may not list users does it through the function's role.
    key = iam.create_access_key(UserName="eve")["AccessKey"]
    functions = house.client_for("lambda", key["AccessKeyId"], key["SecretAccessKey"])
    source = (
        "def handler(event, context):\n    import boto3\n    return len(boto3.client('iam').list_users()['Users'])\n"
    )
    functions.create_function(
        FunctionName=path["Steps"][0]["Calls"][1]["Resource"].rpartition(":")[2],
        Runtime=RUNTIME,
        Role=boss,
        Handler="app.handler",
        Code={"ZipFile": package(source)},
        Timeout=30,
    )
    house.client("lambda").get_waiter("function_active_v2").wait(FunctionName="dev-escalation")
    answer = functions.invoke(FunctionName="dev-escalation")
    assert 2 == json.loads(answer["Payload"].read())


def test_roles_that_are_assumed_as_they_are_meant_to_be_are_shown_when_asked_for(house):
    iam = house.client("iam")
    ann = iam.create_user(UserName="ann")["User"]["Arn"]
    trust = document({"Effect": "Allow", "Principal": {"AWS": ann}, "Action": "sts:AssumeRole"})
    reader = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    quiet = json.loads(leastwise(house, "--output", "json", "iam", "escalations", "--principal", ann).stdout)
    assert [] == quiet["Escalations"]
    shown = leastwise(house, "--output", "json", "iam", "escalations", "--principal", ann, "--all")
    assert [reader] == [path["Becomes"] for path in json.loads(shown.stdout)["Escalations"]]


def test_somebody_who_does_not_exist_is_not_nobody(house):
    account = house.client("sts").get_caller_identity()["Account"]
    for named in (f"arn:aws:iam::{account}:user/ghost", "user/ghost", "role/ghost"):
        told = leastwise(house, "iam", "escalations", "--principal", named)
        assert told.returncode not in {0, 8}
        assert ("", True) == (told.stdout, f"There is no {named}" in told.stderr)


def test_somebody_can_be_named_as_why_names_them(house):
    iam = house.client("iam")
    for name in ("mallory", "trent"):
        iam.create_user(UserName=name)
        iam.put_user_policy(
            UserName=name,
            PolicyName="p",
            PolicyDocument=document(allow("iam:PutUserPolicy", f"arn:aws:iam::*:user/{name}")),
        )
    shown = leastwise(house, "--output", "json", "iam", "escalations", "--principal", "user/mallory")
    assert 8 == shown.returncode, shown.stderr
    names = {path["Principal"].rpartition("/")[2] for path in json.loads(shown.stdout)["Escalations"]}
    assert {"mallory"} == names
