"""Policy decisions per second, beside the reference model (the slow, obvious reading of the same documents).

Three sizes: one small policy; every layer with ten statements and more, the request's context built each time; nine
large policies in the manner of AWS's managed ones (about 4,400 action strings). Then 20,000 requests that all differ.
"""

from __future__ import annotations

import gc
import itertools
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "laws"))

import reference_model

from leastwise.iam.interface import PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.context import build_context
from leastwise.iam.policy.evaluate import Layers, decide
from leastwise.kernel.call import Source

ACCOUNT = "111122223333"
NOW_MS = 1_767_225_600_000
SECONDS = 0.6
VERBS = ("Get", "List", "Create", "Delete", "Update", "Describe", "Put", "Tag", "Start", "Stop", "Invoke")
NOUNS = (*(f"Thing{number}" for number in range(45)), "Function", "Policy", "Alias")
SERVICES = ("lambda", "iam", "s3", "ec2", "logs", "sts", "sqs", "sns", "kms", "dynamodb", "events", "states")

ROLE = Principal(
    kind=PrincipalKind.ROLE_SESSION,
    account_id=ACCOUNT,
    arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1",
    role_arn=f"arn:aws:iam::{ACCOUNT}:role/worker",
    unique_id="AROA234567ABCDEFGHIJK:s1",
    name="worker",
    session_name="s1",
    tags={"team": "orders"},
    access_key_id="ASIA234567ABCDEFGHIJ",
    session_issued_at_ms=NOW_MS - 60_000,
)
SOURCE = Source(ip="10.20.30.40", user_agent="Boto3/1.40 md/Botocore#1.40", tls=True, received_at_ms=NOW_MS)


def document(*statements: dict) -> dict:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(effect: str, actions, resources, **further) -> dict:
    return {"Effect": effect, "Action": actions, "Resource": resources, **further}


SMALL = document(
    statement("Allow", ["lambda:InvokeFunction", "lambda:Get*"], f"arn:aws:lambda:*:{ACCOUNT}:function:orders-*")
)


def layered() -> dict:
    """Identity, boundary, session, service control and resource policies: 34 statements with conditions."""
    functions = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:"
    tls = {"Bool": {"aws:SecureTransport": "false"}}
    office = {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}}
    identity = [
        document(
            statement("Deny", "*", "*", Condition=tls),
            statement(
                "Deny", "lambda:Delete*", "*", Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
            ),
            statement("Allow", ["lambda:Get*", "lambda:List*"], "*"),
            statement("Allow", "lambda:InvokeFunction", functions + "${aws:PrincipalTag/team}-*", Condition=office),
            statement("Allow", "logs:*", f"arn:aws:logs:*:{ACCOUNT}:log-group:/aws/lambda/*"),
            *(statement("Allow", f"s3:Get{noun}", f"arn:aws:s3:::bucket-{noun}/*") for noun in NOUNS[:7]),
        )
    ]
    boundary = document(
        statement("Allow", ["lambda:*", "logs:*", "s3:*"], "*"),
        statement("Deny", "iam:*", "*"),
        *(statement("Deny", f"lambda:Update{noun}", functions + "prod-*") for noun in NOUNS[:8]),
    )
    session = [
        document(
            statement(
                "Allow",
                "lambda:*",
                functions + "*",
                Condition={"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-central-1"]}},
            )
        )
    ]
    control = [
        [document(statement("Allow", "*", "*"))],
        [
            document(
                statement("Allow", "*", "*"),
                statement("Deny", "organizations:*", "*"),
                statement(
                    "Deny",
                    "lambda:AddPermission",
                    "*",
                    Condition={"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}},
                ),
            )
        ],
    ]
    resource = document(
        *(
            {
                **statement("Allow", "lambda:InvokeFunction", functions + "orders-api"),
                "Sid": f"s{number}",
                "Principal": {"Service": f"service{number}.amazonaws.com"},
            }
            for number in range(6)
        ),
        {
            **statement("Deny", "lambda:InvokeFunction", functions + "orders-api"),
            "Principal": "*",
            "Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        },
    )
    return {
        "identity": identity,
        "boundary": boundary,
        "session": session,
        "resource": resource,
        "service_control": control,
        "resource_control": [],
    }


def large() -> dict:
    """Nine policies with 4,392 action strings, a tenth of them with wildcards."""
    names = [f"{service}:{verb}{noun}" for service in SERVICES for verb in VERBS for noun in NOUNS]
    chosen = [name if index % 10 else name[:-2] + "*" for index, name in enumerate(names[: 9 * 488])]
    identity = [
        document(
            *(
                statement("Allow", chosen[start : start + 61], "*" if start % 2 else "arn:aws:lambda:*:*:function:*")
                for start in range(part * 488, part * 488 + 488, 61)
            )
        )
        for part in range(9)
    ]
    return {
        "identity": identity,
        "boundary": None,
        "session": None,
        "resource": None,
        "service_control": [],
        "resource_control": [],
    }


def compiled(layers: dict) -> Layers:
    def each(raw, kind):
        return tuple(
            compile_policy(json.dumps(policy), name=f"p{index}", kind=kind) for index, policy in enumerate(raw)
        )

    return Layers(
        identity=each(layers["identity"], PolicyKind.IDENTITY),
        boundary=each([layers["boundary"]], PolicyKind.BOUNDARY)[0] if layers["boundary"] else None,
        session=None if layers["session"] is None else each(layers["session"], PolicyKind.SESSION),
        resource=each([layers["resource"]], PolicyKind.RESOURCE)[0] if layers["resource"] else None,
        service_control=tuple(each(level, PolicyKind.SERVICE_CONTROL) for level in layers["service_control"]),
    )


def request(action: str, name: str, *, ip: str = SOURCE.ip) -> Request:
    """One request with its context made anew, as a call makes it."""
    source = SOURCE if ip == SOURCE.ip else Source(ip=ip, user_agent=SOURCE.user_agent, tls=True, received_at_ms=NOW_MS)
    resource = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:{name}"
    return Request(
        principal=ROLE,
        action=action,
        resource=resource,
        resource_account_id=ACCOUNT,
        context=build_context(
            ROLE,
            source,
            now_ms=NOW_MS,
            region="us-east-1",
            extra={"lambda:functionarn": resource},
            time_zone="Europe/Berlin",
            resource_account_id=ACCOUNT,
        ),
    )


def model_request(asked: Request) -> dict:
    return {
        "principal": {"arn": ROLE.arn, "account": ACCOUNT, "role": ROLE.role_arn},
        "action": asked.action,
        "resource": asked.resource,
        "account": ACCOUNT,
        "context": asked.context,
    }


def rate(once, *, seconds: float = SECONDS) -> float:
    """Calls per second: the best of three runs, so that a neighbour's work counts less."""
    best = 0.0
    for _ in range(3):
        calls, started = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < seconds / 3:
            for _ in range(20):
                once()
            calls += 20
        best = max(best, calls / elapsed)
    return best


def model_rate(layers: dict, asked: dict) -> float:
    started = time.perf_counter()
    calls = 0
    while (elapsed := time.perf_counter() - started) < SECONDS / 3:
        reference_model.decide(asked, layers)
        calls += 1
    return calls / elapsed


def row(name: str, value: float, unit: str, *, target: str | None = None, met: bool | None = None) -> dict:
    return {"name": name, "value": value, "unit": unit} | ({} if target is None else {"target": target, "met": met})


def beside_model(title: str, layers: dict, action: str, name: str, *, target: float | None = None) -> list[dict]:
    """Engine and model on the same request, and that they agree."""
    ready, asked = compiled(layers), request(action, name)
    by_model = model_request(asked)
    decision = decide(asked, ready)
    assert (decision.allowed, str(decision.layer), decision.explicit) == reference_model.decide(by_model, layers)
    assert decision.allowed
    once = rate(lambda: decide(asked, ready))
    with_context = rate(lambda: decide(request(action, name), ready))
    floor = model_rate(layers, by_model)
    goal = {} if target is None else {"target": f">= {target:,.0f}", "met": with_context >= target}
    return [
        row(f"{title}: decisions", once, "1/s"),
        row(f"{title}: with the context built each time", with_context, "1/s", **goal),
        row(f"{title}: reference model", floor, "1/s"),
        row(f"{title}: engine / model", once / floor, "x"),
    ]


def distinct() -> list[dict]:
    """20,000 requests of which no two are alike, each timed with its context."""
    layers = layered()
    big = compiled(large())
    small = compiled(layers)
    ready = Layers(
        identity=small.identity + big.identity,
        boundary=small.boundary,
        session=small.session,
        resource=small.resource,
        service_control=small.service_control,
    )
    actions = [f"lambda:{verb}{noun}" for verb in VERBS for noun in NOUNS]
    wanted = itertools.islice(
        (
            (actions[number % len(actions)], f"orders-{number}", f"10.{number % 200}.{number // 200}.7")
            for number in itertools.count()
        ),
        20_000,
    )
    durations = []
    gc.collect()
    gc.disable()
    try:
        for action, name, ip in wanted:
            started = time.perf_counter_ns()
            decide(request(action, name, ip=ip), ready)
            durations.append(time.perf_counter_ns() - started)
    finally:
        gc.enable()
    durations.sort()
    total = sum(durations) / 1e9
    p99 = durations[int(len(durations) * 0.99)] / 1000
    return [
        row(
            "20,000 distinct requests, 13 policies: decisions",
            len(durations) / total,
            "1/s",
            target=">= 50,000",
            met=len(durations) / total >= 50_000,
        ),
        row("20,000 distinct requests: p50", durations[len(durations) // 2] / 1000, "us"),
        row("20,000 distinct requests: p99", p99, "us", target="< 50", met=p99 < 50),
    ]


def run() -> list[dict]:
    rows = beside_model(
        "one small policy",
        {
            "identity": [SMALL],
            "boundary": None,
            "session": None,
            "resource": None,
            "service_control": [],
            "resource_control": [],
        },
        "lambda:InvokeFunction",
        "orders-api",
    )
    rows += beside_model("all layers", layered(), "lambda:InvokeFunction", "orders-api", target=50_000)
    rows += beside_model("nine large policies", large(), "lambda:GetThing7", "orders-api")
    rows += distinct()
    rows.append(row("building the context", rate(lambda: request("lambda:InvokeFunction", "orders-api")), "1/s"))
    return rows


def main() -> dict[str, float]:
    rows = run()
    for each in rows:
        verdict = "" if "target" not in each else f"   {each['target']} {'met' if each['met'] else 'NOT MET'}"
        print(f"{each['name']:<62}{each['value']:>14,.1f} {each['unit']:<4}{verdict}")
    return {each["name"]: each["value"] for each in rows}


if __name__ == "__main__":
    main()
