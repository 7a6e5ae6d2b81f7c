"""A function of a running platform, and the world outside: refused at once, and said where its owner looks."""

from __future__ import annotations

import json

SOURCE = """
import os, urllib.error, urllib.request
import boto3
def handler(event, context):
    try:
        urllib.request.urlopen(event["url"], timeout=5)
    except urllib.error.HTTPError as error:
        refusal = [error.code, error.reason]
    except OSError as error:
        refusal = [str(error)]
    return [refusal, os.environ["HTTPS_PROXY"], boto3.client("sts").get_caller_identity()["Account"]]
"""
WORDS = "Forbidden by leastwise: no egress rule allows it"


def test_what_no_rule_lets_out_is_refused_and_logged_and_boto3_still_reaches_the_platform(deploy, functions, logs):
    name = deploy(SOURCE, Timeout=30)
    answers = []
    for url in ("http://example.com/?q=SECRET", "https://example.com/", "http://169.254.169.254/latest/meta-data/"):
        answer = functions.invoke(FunctionName=name, Payload=json.dumps({"url": url}))
        answers.append(json.loads(answer["Payload"].read()))
    assert [[403, WORDS], [f"<urlopen error Tunnel connection failed: 403 {WORDS}>"], [403, WORDS]] == [
        refusal for refusal, _, _ in answers
    ]
    assert {("http://127.0.0.1:9003", name_of_account(functions))} == {(proxy, who) for _, proxy, who in answers}
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="egress")["events"]
    assert [f"[leastwise] egress to {where} refused: no egress rule allows it" for where in DESTINATIONS] == [
        event["message"].strip() for event in events
    ]


DESTINATIONS = ("example.com:80", "example.com:443", "169.254.169.254:80")


def name_of_account(functions) -> str:
    return functions.list_functions()["Functions"][0]["FunctionArn"].split(":")[4]
