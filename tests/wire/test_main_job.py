"""The main job: unmodified boto3 creates a function and invokes it."""

import base64
import datetime
import json
import time
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import pytest
from tests.wire.conftest import RUNTIME, TRUST, package

ECHO = "def handler(event, context):\n    return {'got': event}\n"


def invoke(functions, name, payload=None, **settings):
    answer = functions.invoke(FunctionName=name, Payload=json.dumps(payload), **settings)
    return answer, json.loads(answer["Payload"].read() or b"null")


def test_a_function_that_was_created_answers(functions, deploy):
    answer, payload = invoke(functions, deploy(ECHO), {"a": 1})
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert "FunctionError" not in answer
    assert payload == {"got": {"a": 1}}


def test_an_exception_is_told_as_on_lambda(functions, deploy):
    name = deploy("def handler(event, context):\n    raise Exception('Handler fails')\n")
    answer, payload = invoke(functions, name, {})
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert list(payload) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert payload == {
        "errorMessage": "Handler fails",
        "errorType": "Exception",
        "requestId": answer["ResponseMetadata"]["RequestId"],
        "stackTrace": ["  File \"/var/task/app.py\", line 2, in handler\n    raise Exception('Handler fails')\n"],
    }


def test_an_exception_at_import_has_an_empty_request_id(functions, deploy):
    answer, payload = invoke(functions, deploy("raise ValueError('no')\n"), {})
    assert answer["FunctionError"] == "Unhandled"
    assert (payload["errorType"], payload["requestId"]) == ("ValueError", "")


def test_a_missing_handler_is_told_as_on_lambda(functions, deploy):
    answer, payload = invoke(functions, deploy("x = 1\n"), {})
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == "Runtime.HandlerNotFound"
    assert payload["errorMessage"] == "Handler 'handler' missing on module 'app'"


def test_a_timeout_is_told_as_on_lambda_and_the_next_call_works(functions, deploy):
    name = deploy(
        "import time\ndef handler(event, context):\n    time.sleep(30 if event else 0)\n    return 1\n", Timeout=1
    )
    answer, payload = invoke(functions, name, {"slow": True})
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert answer["FunctionError"] == "Unhandled"
    assert payload == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 1.00 seconds",
    }
    assert invoke(functions, name, {})[1] == 1


def test_a_process_that_exits_is_told_as_on_lambda(functions, deploy):
    name = deploy("import os\ndef handler(event, context):\n    os._exit(3)\n")
    answer, payload = invoke(functions, name, {})
    assert payload["errorType"] == "Runtime.ExitError"
    assert payload["errorMessage"].endswith("Error: Runtime exited with error: exit status 3")


def test_a_response_that_is_too_large_is_a_function_error(functions, deploy):
    name = deploy("def handler(event, context):\n    return 'x' * 7_000_000\n", MemorySize=256)
    answer, payload = invoke(functions, name, {})
    assert payload == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


def test_the_tail_of_the_log_comes_with_the_answer(functions, deploy):
    name = deploy("def handler(event, context):\n    print('hello from inside')\n    return 1\n")
    answer, _ = invoke(functions, name, {}, LogType="Tail")
    tail = base64.b64decode(answer["LogResult"]).decode()
    request_id = answer["ResponseMetadata"]["RequestId"]
    assert f"START RequestId: {request_id} Version: $LATEST\n" in tail
    assert "hello from inside\n" in tail
    assert f"END RequestId: {request_id}\n" in tail
    assert f"REPORT RequestId: {request_id}\tDuration: " in tail
    assert "\tInit Duration: " in tail


def test_the_log_can_be_read_with_the_logs_api(functions, logs, deploy):
    name = deploy("def handler(event, context):\n    print('marker', event['n'])\n    return 1\n")
    for number in range(3):
        invoke(functions, name, {"n": number})
    group = f"/aws/lambda/{name}"
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern="marker")
    found = [event["message"].strip() for page in pages for event in page["events"]]
    assert found == ["marker 0", "marker 1", "marker 2"]
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    read = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
    assert read["events"][0]["message"].startswith("INIT_START")
    assert group in [one["logGroupName"] for one in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]]


def test_the_context_and_environment_are_lambdas(functions, deploy, platform):
    name = deploy(
        "import os\n"
        "def handler(event, context):\n"
        "    return {'name': context.function_name, 'version': context.function_version,\n"
        "            'arn': context.invoked_function_arn, 'memory': context.memory_limit_in_mb,\n"
        "            'request': context.aws_request_id, 'group': context.log_group_name,\n"
        "            'left': context.get_remaining_time_in_millis(), 'mine': os.environ['MINE'],\n"
        "            'region': os.environ['AWS_REGION'], 'exec': os.environ['AWS_EXECUTION_ENV'],\n"
        "            'handler': os.environ['_HANDLER'], 'root': os.environ['LAMBDA_TASK_ROOT'],\n"
        "            'client': context.client_context.custom['x'] if context.client_context else None}\n",
        Environment={"Variables": {"MINE": "yes"}},
        Timeout=7,
        MemorySize=192,
    )
    context = base64.b64encode(json.dumps({"custom": {"x": "y"}}).encode()).decode()
    answer, told = invoke(functions, name, {}, ClientContext=context)
    assert told["name"] == name
    assert told["version"] == "$LATEST"
    assert told["arn"].endswith(f":function:{name}")
    assert told["memory"] == "192"
    assert told["request"] == answer["ResponseMetadata"]["RequestId"]
    assert told["group"] == f"/aws/lambda/{name}"
    assert 0 < told["left"] <= 7000
    assert (told["mine"], told["region"], told["handler"], told["root"], told["client"]) == (
        "yes", "us-east-1", "app.handler", "/var/task", "y",
    )  # fmt: skip
    assert told["exec"] == f"AWS_Lambda_{RUNTIME}"


def test_dry_run_answers_204_and_runs_nothing(functions, deploy):
    name = deploy("raise Exception('must not run')\n")
    assert functions.invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"] == 204


def test_an_event_is_accepted_and_runs(functions, logs, deploy):
    name = deploy("def handler(event, context):\n    print('ran', event['n'])\n")
    answer = functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"n": 7}))
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    deadline = time.monotonic() + 30
    found = []
    while not found and time.monotonic() < deadline:
        try:
            found = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="ran")["events"]
        except logs.exceptions.ResourceNotFoundException:
            continue
    assert [event["message"].strip() for event in found] == ["ran 7"]


def test_twenty_concurrent_calls_have_twenty_environments(functions, deploy):
    name = deploy(
        "import os, time\ndef handler(event, context):\n    time.sleep(1)\n"
        "    return os.environ['AWS_LAMBDA_LOG_STREAM_NAME']\n",
        Timeout=20,
    )
    with ThreadPoolExecutor(20) as pool:
        streams = list(pool.map(lambda _: invoke(functions, name, {})[1], range(20)))
    assert len(set(streams)) == 20


def test_reserved_concurrency_throttles_with_lambdas_reason(functions, deploy):
    name = deploy(ECHO)
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(functions.exceptions.TooManyRequestsException) as caught:
        invoke(functions, name, {})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert caught.value.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert caught.value.response["Error"]["Message"] == "Rate Exceeded."
    functions.delete_function_concurrency(FunctionName=name)
    assert invoke(functions, name, {"a": 1})[1] == {"got": {"a": 1}}


def test_new_code_is_what_the_next_call_runs(functions, deploy):
    name = deploy("def handler(event, context):\n    return 'old'\n")
    assert invoke(functions, name, {})[1] == "old"
    functions.update_function_code(
        FunctionName=name, ZipFile=package("def handler(event, context):\n    return 'new'\n")
    )
    functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    assert invoke(functions, name, {})[1] == "new"
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": {"A1": "b"}}, Timeout=9)
    got = functions.get_function_configuration(FunctionName=name)
    assert (got["Environment"]["Variables"], got["Timeout"], got["LastUpdateStatus"]) == ({"A1": "b"}, 9, "Successful")


def test_functions_are_listed_by_pages(functions, deploy):
    made = sorted(deploy(ECHO, name=f"paged-{number}") for number in range(5))
    pages = list(functions.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    names = [one["FunctionName"] for page in pages for one in page["Functions"]]
    assert [name for name in names if name.startswith("paged-")] == made
    assert len(pages) > 2
    not_listed = {"State", "LastUpdateStatus", "RuntimeVersionConfig"}
    assert not_listed.isdisjoint(pages[0]["Functions"][0])
    assert not_listed < functions.get_function_configuration(FunctionName=made[0]).keys()


def test_the_body_of_a_call_must_be_json(functions, deploy):
    name = deploy(ECHO)
    with pytest.raises(functions.exceptions.InvalidRequestContentException) as caught:
        functions.invoke(FunctionName=name, Payload=b"{not json")
    assert caught.value.response["Error"]["Message"].startswith("Could not parse request body into json: ")


def test_an_unknown_function_is_not_found_in_lambdas_words(functions):
    with pytest.raises(functions.exceptions.ResourceNotFoundException) as caught:
        functions.invoke(FunctionName="doesnotexist")
    assert "Function not found: arn:aws:lambda:us-east-1:" in caught.value.response["Error"]["Message"]


def test_a_function_calls_the_platform_with_its_roles_credentials(functions, iam, deploy, platform):
    iam.create_role(RoleName="caller", AssumeRolePolicyDocument=TRUST)
    callee = deploy(ECHO, name="callee")
    name = deploy(
        "import json, boto3\n"
        "from botocore.config import Config\n"
        "once = Config(retries={'total_max_attempts': 1})\n"
        "def handler(event, context):\n"
        "    who = boto3.client('sts', config=once).get_caller_identity()['Arn']\n"
        "    try:\n"
        "        answer = boto3.client('lambda', config=once).invoke(FunctionName='callee', Payload=json.dumps(event))\n"
        "        return {'who': who, 'answer': json.loads(answer['Payload'].read())}\n"
        "    except Exception as error:\n"
        "        return {'who': who, 'error': str(error)}\n",
        name="caller-function",
        Role=iam.get_role(RoleName="caller")["Role"]["Arn"],
        Timeout=30,
        MemorySize=256,
    )
    _, denied = invoke(functions, name, {"a": 1})
    assert ":assumed-role/caller/caller-function" in denied["who"]
    assert "is not authorized to perform: lambda:InvokeFunction on resource: " in denied["error"]
    assert "because no identity-based policy allows the lambda:InvokeFunction action" in denied["error"]
    allow = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "lambda:InvokeFunction",
            "Resource": f"arn:aws:lambda:*:*:function:{callee}",
        },
    }
    iam.put_role_policy(RoleName="caller", PolicyName="p", PolicyDocument=json.dumps(allow))
    _, allowed = invoke(functions, name, {"a": 1})
    assert allowed["answer"] == {"got": {"a": 1}}
    iam.delete_role_policy(RoleName="caller", PolicyName="p")
    assert "error" in invoke(functions, name, {})[1]
    iam.delete_role(RoleName="caller")


def test_an_operation_that_is_not_offered_says_so(functions):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        functions.list_layers()
    assert "not implemented by Leastwise" in caught.value.response["Error"]["Message"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] >= 400


def test_instants_are_instants(functions, iam, deploy):
    name = deploy(ECHO)
    modified = functions.get_function(FunctionName=name)["Configuration"]["LastModified"]
    assert datetime.datetime.strptime(modified, "%Y-%m-%dT%H:%M:%S.%f%z")
    assert iam.get_user(UserName="administrator")["User"]["CreateDate"].tzinfo is not None


def test_the_invoked_arn_is_the_one_that_was_asked_for(functions, deploy):
    name = deploy("def handler(event, context):\n    return context.invoked_function_arn\n")
    plain = invoke(functions, name, {})[1]
    assert plain.endswith(f":function:{name}")
    assert invoke(functions, f"{name}:$LATEST", {})[1] == f"{plain}:$LATEST"
    assert invoke(functions, name, {}, Qualifier="$LATEST")[1] == f"{plain}:$LATEST"
