"""The simulators of IAM through boto3."""

import json

import pytest
from botocore.exceptions import ClientError

INVOKE = "lambda:InvokeFunction"


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action, resource="*", **more):
    return allow(action, resource, **more) | {"Effect": "Deny"}


def function(account, name):
    return f"arn:aws:lambda:us-east-1:{account}:function:{name}"


@pytest.fixture(scope="module")
def account(platform):
    return platform.client("sts").get_caller_identity()["Account"]


@pytest.fixture(scope="module")
def simulated(iam, account):
    """A user with an inline policy, a managed policy, a group with both, and a boundary to come."""
    arn = iam.create_user(UserName="simulated", Tags=[{"Key": "team", "Value": "a"}])["User"]["Arn"]
    iam.put_user_policy(
        UserName="simulated", PolicyName="inline", PolicyDocument=policy(allow(INVOKE, function(account, "x")))
    )
    made = iam.create_policy(PolicyName="simulated-managed", PolicyDocument=policy(allow("lambda:Get*")))
    iam.attach_user_policy(UserName="simulated", PolicyArn=made["Policy"]["Arn"])
    iam.create_group(GroupName="simulating")
    iam.put_group_policy(GroupName="simulating", PolicyName="logs", PolicyDocument=policy(allow("logs:*")))
    iam.add_user_to_group(GroupName="simulating", UserName="simulated")
    return arn


def first(answer):
    (result,) = answer["EvaluationResults"]
    return result


def test_an_allowed_action_names_the_statement_and_where_it_stands(iam):
    text = json.dumps({"Version": "2012-10-17", "Statement": [allow("lambda:*"), allow("logs:*")]}, indent=4)
    result = first(iam.simulate_custom_policy(PolicyInputList=[text], ActionNames=[INVOKE]))
    assert ("allowed", "*", INVOKE) == (result["EvalDecision"], result["EvalResourceName"], result["EvalActionName"])
    (matched,) = result["MatchedStatements"]
    assert "PolicyInputList.1" == matched["SourcePolicyId"]
    assert {"Line": 3, "Column": 19} == matched["StartPosition"]
    assert {"Line": 8, "Column": 10} == matched["EndPosition"]
    assert [] == result["MissingContextValues"]
    assert "ResourceSpecificResults" not in result


def test_an_explicit_deny_names_only_the_statement_that_denies(iam):
    texts = [policy(allow("lambda:*")), policy(allow("*"), deny(INVOKE))]
    result = first(iam.simulate_custom_policy(PolicyInputList=texts, ActionNames=[INVOKE]))
    assert "explicitDeny" == result["EvalDecision"]
    assert ["PolicyInputList.2"] == [one["SourcePolicyId"] for one in result["MatchedStatements"]]


def test_what_no_policy_speaks_of_is_denied_implicitly(iam):
    result = first(iam.simulate_custom_policy(PolicyInputList=[policy(allow("logs:*"))], ActionNames=[INVOKE]))
    assert ("implicitDeny", []) == (result["EvalDecision"], result["MatchedStatements"])


def test_every_resource_has_a_result_and_the_worst_is_told_on_top(iam, account):
    arns = [function(account, "x"), function(account, "y")]
    result = first(
        iam.simulate_custom_policy(
            PolicyInputList=[policy(allow(INVOKE, arns[0]))], ActionNames=[INVOKE], ResourceArns=arns
        )
    )
    assert "implicitDeny" == result["EvalDecision"]
    specific = {one["EvalResourceName"]: one["EvalResourceDecision"] for one in result["ResourceSpecificResults"]}
    assert {arns[0]: "allowed", arns[1]: "implicitDeny"} == specific
    assert result["EvalResourceName"].startswith("arn:")
    assert "${FunctionName}" in result["EvalResourceName"]


def test_a_key_that_is_not_given_is_missing_and_the_answer_is_not_allowed(iam):
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    text = policy(allow(INVOKE, Condition=condition))
    result = first(iam.simulate_custom_policy(PolicyInputList=[text], ActionNames=[INVOKE]))
    assert ("implicitDeny", ["aws:SourceIp"]) == (result["EvalDecision"], result["MissingContextValues"])
    given = {"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["10.1.2.3"], "ContextKeyType": "ip"}
    result = first(iam.simulate_custom_policy(PolicyInputList=[text], ActionNames=[INVOKE], ContextEntries=[given]))
    assert ("allowed", []) == (result["EvalDecision"], result["MissingContextValues"])


def test_a_deny_that_may_apply_keeps_the_simulator_from_saying_allowed(iam):
    text = policy(allow("*"), deny(INVOKE, Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}))
    result = first(iam.simulate_custom_policy(PolicyInputList=[text], ActionNames=[INVOKE]))
    assert "allowed" != result["EvalDecision"]
    assert ["aws:MultiFactorAuthPresent"] == result["MissingContextValues"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"ContextKeyName": "aws:EpochTime", "ContextKeyValues": ["soon"], "ContextKeyType": "numeric"}, "not of type"),
        ({"ContextKeyName": "aws:SourceIp", "ContextKeyValues": ["a.b"], "ContextKeyType": "ip"}, "not of type"),
        ({"ContextKeyName": "aws:TagKeys", "ContextKeyValues": ["a", "b"], "ContextKeyType": "string"}, "exactly one"),
        ({"ContextKeyName": "nothing", "ContextKeyValues": ["a"], "ContextKeyType": "string"}, "Invalid Context"),
    ],
)
def test_a_context_entry_of_another_type_is_refused(iam, entry, words):
    with pytest.raises(ClientError, match=words) as caught:
        iam.simulate_custom_policy(PolicyInputList=[policy(allow("*"))], ActionNames=[INVOKE], ContextEntries=[entry])
    assert "InvalidInput" == caught.value.response["Error"]["Code"]


@pytest.mark.parametrize(
    "broken",
    [
        {"PolicyInputList": ["{}"]},
        {"ActionNames": ["lambda:*"]},
        {"ActionNames": ["nothing"]},
        {"ResourceArns": ["nothing"]},
        {"PermissionsBoundaryPolicyInputList": [policy(allow("*"))] * 2},
        {"ResourcePolicy": policy({**allow("*"), "Principal": "*"})},
        {"CallerArn": "arn:aws:sts::111122223333:assumed-role/a/b"},
    ],
)
def test_an_input_that_makes_no_sense_is_invalid(iam, broken):
    with pytest.raises(ClientError) as caught:
        iam.simulate_custom_policy(**({"PolicyInputList": [policy(allow("*"))], "ActionNames": [INVOKE]} | broken))
    assert "InvalidInput" == caught.value.response["Error"]["Code"]


def test_a_boundary_says_whether_it_allows(iam):
    given = {"PolicyInputList": [policy(allow("*"))], "ActionNames": [INVOKE, "logs:PutLogEvents"]}
    boundary = [policy(allow("logs:*"))]
    results = iam.simulate_custom_policy(**given, PermissionsBoundaryPolicyInputList=boundary)["EvaluationResults"]
    said = [
        (one["EvalDecision"], one["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"])
        for one in results
    ]
    assert [("implicitDeny", False), ("allowed", True)] == said


def test_service_control_policies_that_are_given_limit(iam):
    levels = [
        {"ServiceControlPolicyInputList": [policy(allow("*"))]},
        {"ServiceControlPolicyInputList": [policy(allow("s3:*"))]},
    ]
    result = first(
        iam.simulate_custom_policy(
            PolicyInputList=[policy(allow("*"))], ActionNames=[INVOKE], OrderedOrganizationPolicyInputList=levels
        )
    )
    assert "implicitDeny" == result["EvalDecision"]
    assert {"AllowedByOrganizations": False} == result["OrganizationsDecisionDetail"]


def test_a_resource_policy_of_another_account_needs_both_sides(iam, account, simulated):
    abroad = function("999988887777", "x")
    names_all = policy({"Effect": "Allow", "Principal": {"AWS": simulated}, "Action": INVOKE, "Resource": abroad})
    given = {"ActionNames": [INVOKE], "ResourceArns": [abroad], "CallerArn": simulated}
    result = first(iam.simulate_custom_policy(PolicyInputList=[policy(allow("*"))], **given, ResourcePolicy=names_all))
    assert "allowed" == result["EvalDecision"]
    (specific,) = result["ResourceSpecificResults"]
    assert {"IAM Policy": "allowed", "Resource Policy": "allowed"} == specific["EvalDecisionDetails"]
    result = first(iam.simulate_custom_policy(PolicyInputList=[policy(allow("*"))], **given))
    assert "implicitDeny" == result["EvalDecision"]


def test_a_user_is_simulated_with_inline_managed_and_group_policies(iam, account, simulated):
    actions = [INVOKE, "lambda:GetFunction", "logs:PutLogEvents", "iam:GetUser"]
    answer = iam.simulate_principal_policy(
        PolicySourceArn=simulated, ActionNames=actions, ResourceArns=[function(account, "x")]
    )
    said = {
        one["EvalActionName"]: (
            one["EvalDecision"],
            [(s["SourcePolicyId"], s["SourcePolicyType"]) for s in one["MatchedStatements"]],
        )
        for one in answer["EvaluationResults"]
    }
    assert {
        INVOKE: ("allowed", [("user_simulated_inline", "user")]),
        "lambda:GetFunction": ("allowed", [("simulated-managed", "user-managed")]),
        "logs:PutLogEvents": ("allowed", [("group_simulating_logs", "group")]),
        "iam:GetUser": ("implicitDeny", []),
    } == said


def test_a_group_is_simulated_with_its_own_policies(iam, account, simulated):
    arn = f"arn:aws:iam::{account}:group/simulating"
    answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["logs:PutLogEvents", INVOKE])
    assert ["allowed", "implicitDeny"] == [one["EvalDecision"] for one in answer["EvaluationResults"]]


def test_policies_can_be_added_and_left_out(iam, account, simulated):
    arn = function(account, "x")
    extra = policy(deny(INVOKE))
    result = first(
        iam.simulate_principal_policy(
            PolicySourceArn=simulated, ActionNames=[INVOKE], ResourceArns=[arn], PolicyInputList=[extra]
        )
    )
    assert "explicitDeny" == result["EvalDecision"]
    left_out = [
        {"InlinePolicyIdentifier": {"PolicyName": "inline", "AttachmentType": "user", "AttachmentName": "simulated"}}
    ]
    result = first(
        iam.simulate_principal_policy(
            PolicySourceArn=simulated, ActionNames=[INVOKE], ResourceArns=[arn], PolicyExclusionList=left_out
        )
    )
    assert "implicitDeny" == result["EvalDecision"]


def test_the_principals_own_tags_and_name_are_known(iam, simulated):
    text = policy(
        allow(INVOKE, Condition={"StringEquals": {"aws:PrincipalTag/team": "a", "aws:username": "simulated"}})
    )
    result = first(
        iam.simulate_principal_policy(PolicySourceArn=simulated, ActionNames=[INVOKE], PolicyInputList=[text])
    )
    assert ("allowed", []) == (result["EvalDecision"], result["MissingContextValues"])


def test_a_functions_own_policy_counts_without_being_handed_over(iam, functions, deploy, account, simulated):
    name = deploy("def handler(event, context): return 1\n")
    functions.add_permission(FunctionName=name, StatementId="s", Action=INVOKE, Principal=simulated)
    given = {"PolicySourceArn": simulated, "ActionNames": [INVOKE], "ResourceArns": [function(account, name)]}
    result = first(iam.simulate_principal_policy(**given))
    assert "allowed" == result["EvalDecision"]
    assert ["resource"] == [one["SourcePolicyType"] for one in result["MatchedStatements"]]


def test_a_roles_trust_policy_counts(iam, account, simulated):
    def trusting(name, principal):
        statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}
        return iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(statement))["Role"]["Arn"]

    trusted, strange = trusting("trusts-simulated", simulated), trusting("trusts-root", account)
    answer = iam.simulate_principal_policy(
        PolicySourceArn=simulated, ActionNames=["sts:AssumeRole"], ResourceArns=[trusted, strange]
    )
    said = {one["EvalResourceName"]: one["EvalResourceDecision"] for one in first(answer)["ResourceSpecificResults"]}
    assert {trusted: "allowed", strange: "implicitDeny"} == said


def test_results_come_in_pages(iam):
    actions = [f"lambda:Get{number}" for number in range(5)]
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[policy(allow("*"))], ActionNames=actions, PaginationConfig={"PageSize": 2}
    )
    seen = [[one["EvalActionName"] for one in page["EvaluationResults"]] for page in pages]
    assert [actions[0:2], actions[2:4], actions[4:]] == seen


def test_who_is_not_there_cannot_be_simulated(iam, account):
    with pytest.raises(ClientError) as caught:
        iam.simulate_principal_policy(PolicySourceArn=f"arn:aws:iam::{account}:user/nobody-here", ActionNames=[INVOKE])
    assert "NoSuchEntity" == caught.value.response["Error"]["Code"]
    with pytest.raises(ClientError) as caught:
        iam.simulate_principal_policy(PolicySourceArn=f"arn:aws:iam::{account}:root", ActionNames=[INVOKE])
    assert "InvalidInput" == caught.value.response["Error"]["Code"]


def test_who_is_of_another_account_cannot_be_simulated(iam):
    with pytest.raises(ClientError) as caught:
        iam.simulate_principal_policy(PolicySourceArn="arn:aws:iam::999988887777:user/ann", ActionNames=[INVOKE])
    assert "AccessDenied" == caught.value.response["Error"]["Code"]


def context_entry(values, key="aws:TagKeys"):
    return {"ContextKeyName": key, "ContextKeyValues": values, "ContextKeyType": "stringList"}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ContextEntries": [context_entry(["x" * 16_384])]}, "16384 characters of context"),
        ({"ContextEntries": [context_entry(["x"] * 51)]}, "50 values"),
        ({"ContextEntries": [context_entry(["x"], f"aws:PrincipalTag/{n}") for n in range(201)]}, "200 context"),
        ({"PolicyInputList": [policy(allow("lambda:" + "x" * 900)) for _ in range(70)]}, "65536 characters"),
        (
            {
                "PolicyInputList": [policy(allow("lambda:" + "x" * 60_000))],
                "ContextEntries": [context_entry(["x" * 3_000])],
            },
            "too much context for policies of this size",
        ),
        (
            {
                "PolicyInputList": [policy(allow("lambda:" + "x" * 60_000))],
                "ResourceArns": [function("111122223333", f"f{n}") for n in range(100)],
            },
            "resources at a time",
        ),
    ],
)
def test_what_would_keep_everybody_waiting_is_refused(iam, more, words):
    with pytest.raises(ClientError, match=words) as caught:
        iam.simulate_custom_policy(**({"PolicyInputList": [policy(allow("*"))], "ActionNames": [INVOKE]} | more))
    assert "InvalidInput" == caught.value.response["Error"]["Code"]


def test_long_policies_make_short_pages(iam):
    text = policy(allow("lambda:" + "x" * 60_000))
    given = {"PolicyInputList": [text], "ActionNames": [f"lambda:Get{number}" for number in range(100)]}
    answer = iam.simulate_custom_policy(**given)
    assert (69, True) == (len(answer["EvaluationResults"]), answer["IsTruncated"])
    rest = iam.simulate_custom_policy(**given, Marker=answer["Marker"])
    assert (31, False) == (len(rest["EvaluationResults"]), rest["IsTruncated"])


@pytest.fixture
def curious(iam, platform, account):
    """Somebody who may simulate itself and read nothing: (ARN, name, client)."""
    arn = iam.create_user(UserName="curious")["User"]["Arn"]
    iam.put_user_policy(
        UserName="curious",
        PolicyName="p",
        PolicyDocument=policy(
            allow("iam:SimulatePrincipalPolicy", arn), allow("iam:SimulateCustomPolicy"), allow("s3:*")
        ),
    )
    key = iam.create_access_key(UserName="curious")["AccessKey"]
    yield arn, "curious", platform.client_for("iam", key["AccessKeyId"], key["SecretAccessKey"])
    iam.delete_access_key(UserName="curious", AccessKeyId=key["AccessKeyId"])
    for name in iam.list_user_policies(UserName="curious")["PolicyNames"]:
        iam.delete_user_policy(UserName="curious", PolicyName=name)
    iam.delete_user(UserName="curious")


def test_a_simulation_tells_neither_tags_nor_grants_that_the_asker_may_not_read(
    iam, functions, deploy, account, curious
):
    arn, user, client = curious
    name = deploy("def handler(event, context): return 1\n")
    resource = function(account, name)
    functions.tag_resource(Resource=resource, Tags={"owner": "hidden"})
    functions.add_permission(FunctionName=name, StatementId="s", Action=INVOKE, Principal=arn)
    guess = policy(allow("lambda:GetAlias", Condition={"StringLike": {"aws:ResourceTag/owner": "hid*"}}))

    def ask(action):
        result = first(
            client.simulate_principal_policy(
                PolicySourceArn=arn, ActionNames=[action], ResourceArns=[resource], PolicyInputList=[guess]
            )
        )
        return result["EvalDecision"], result["MatchedStatements"] != []

    assert [("implicitDeny", False)] * 2 == [ask("lambda:GetAlias"), ask(INVOKE)]
    iam.put_user_policy(
        UserName=user, PolicyName="reads", PolicyDocument=policy(allow(["lambda:GetPolicy", "lambda:ListTags"]))
    )
    assert [("allowed", True)] * 2 == [ask("lambda:GetAlias"), ask(INVOKE)]


def test_a_simulation_does_not_tell_the_tags_of_a_caller_whom_the_asker_may_not_read(iam, simulated, curious):
    _, user, client = curious
    guess = policy(allow(INVOKE, Condition={"StringEquals": {"aws:PrincipalTag/team": "a"}}))

    def ask():
        given = {"PolicyInputList": [guess], "ActionNames": [INVOKE], "CallerArn": simulated}
        return first(client.simulate_custom_policy(**given))["EvalDecision"]

    assert "implicitDeny" == ask()
    iam.put_user_policy(UserName=user, PolicyName="reads", PolicyDocument=policy(allow("iam:GetUser", simulated)))
    assert "allowed" == ask()
