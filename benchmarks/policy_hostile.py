"""The slowest decisions that policies of the largest size can be made to cost, and what compiling large ones takes.

Each family fills a managed policy (6,144 characters) with statements that are as expensive as the language allows and
that all have to be looked at, and asks with the longest values that a request can carry. One such policy, then ten, the
most that can be attached to one identity, then 110: a user in ten groups.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import policy_decisions as ordinary

from leastwise.iam.interface import PolicyKind, Request
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.evaluate import Layers, decide

LARGEST = 6_144
MOST_ATTACHED = 10
MOST_THROUGH_GROUPS = 110
REPEATS = 40
ONE_DECISION_US = 1_000
COMPILE_MS = 5

Family = Callable[[int], Mapping[str, Any]]


def conditional(**condition: Any) -> dict[str, Any]:
    return ordinary.statement("Allow", "*", "*", Condition=condition)


def like(value: str) -> dict[str, Any]:
    return conditional(StringLike={"aws:UserAgent": value})


FAMILIES: Mapping[str, Family] = {
    "wildcards in resources": lambda n: ordinary.statement("Allow", "lambda:*", f"arn:aws:lambda:*:*:*?a*?a*?b{n}"),
    "wildcards in a long value": lambda n: like(f"*?a*?a*?a*b{n}"),
    "stars and literals": lambda n: like(f"*a*a*a*a*a*b{n}"),
    "40 patterns against 50 values": lambda n: conditional(
        **{"ForAllValues:StringLike": {"aws:TagKeys": [f"*?a*?a{n}{at}" for at in range(40)]}}
    ),
    "variables in resources": lambda n: ordinary.statement("Allow", "*", f"arn:aws:lambda:*:*:*${{aws:UserAgent}}*{n}"),
    "variables in conditions": lambda n: like(f"*${{aws:PrincipalTag/x}}*${{aws:PrincipalTag/x}}{n}"),
    "addresses": lambda n: conditional(
        NotIpAddress={"aws:SourceIp": [f"10.{at}.{n}.0/24" for at in range(40)] + ["0.0.0.0/0"]}
    ),
    "numbers": lambda n: conditional(**{"ForAnyValue:NumericEquals": {"aws:TagKeys": [str(n)] * 100}}),
    "time of day in a zone": lambda _: conditional(StringEquals={"leastwise:DayOfWeek/Europe/Berlin": "none"}),
}


def full(family: Family) -> str:
    """As many statements as fit."""
    statements: list[Mapping[str, Any]] = []
    text = ""
    while True:
        longer = json.dumps(ordinary.document(*statements, family(len(statements))), separators=(",", ":"))
        if len(longer) > LARGEST:
            return text
        statements.append(family(len(statements)))
        text = longer


def longest_request() -> Request:
    plain = ordinary.request("lambda:InvokeFunction", "a" * 64)
    context = {
        **plain.context,
        "aws:useragent": "a" * 1024,
        "aws:tagkeys": tuple("a" * 127 + chr(97 + at % 26) for at in range(50)),
        "aws:principaltag/x": "a" * 256,
    }
    return Request(
        principal=plain.principal,
        action=plain.action,
        resource=plain.resource,
        resource_account_id=plain.resource_account_id,
        context=context,
    )


def slowest_us(family: Family, count: int) -> float:
    """Median of repeats: what the decision costs, not what a neighbour on the machine costs."""
    text = full(family)
    ready = Layers(identity=tuple(compile_policy(text, name=f"p{at}", kind=PolicyKind.IDENTITY) for at in range(count)))
    asked = longest_request()
    assert not decide(asked, ready).allowed
    durations = []
    for _ in range(REPEATS):
        started = time.perf_counter_ns()
        decide(asked, ready)
        durations.append((time.perf_counter_ns() - started) / 1000)
    return sorted(durations)[REPEATS // 2]


def compile_ms() -> float:
    texts = [json.dumps(policy) for policy in ordinary.large()["identity"]]
    best = float("inf")
    for _ in range(20):
        started = time.perf_counter_ns()
        for at, text in enumerate(texts):
            compile_policy(text, name=f"p{at}", kind=PolicyKind.IDENTITY)
        best = min(best, (time.perf_counter_ns() - started) / 1e6)
    return best


def run() -> list[dict]:
    took = compile_ms()
    rows = [ordinary.row("nine large policies compiled", took, "ms", target=f"< {COMPILE_MS}", met=took < COMPILE_MS)]
    one = {name: slowest_us(family, 1) for name, family in FAMILIES.items()}
    worst = max(one, key=one.__getitem__)
    rows.append(
        ordinary.row(
            f"slowest decision, one hostile policy ({worst})",
            one[worst],
            "us",
            target=f"< {ONE_DECISION_US:,}",
            met=one[worst] < ONE_DECISION_US,
        )
    )
    rows += [
        ordinary.row(f"{MOST_ATTACHED} hostile policies: {name}", slowest_us(family, MOST_ATTACHED), "us")
        for name, family in FAMILIES.items()
    ]
    rows.append(
        ordinary.row(
            f"{MOST_THROUGH_GROUPS} hostile policies ({worst})", slowest_us(FAMILIES[worst], MOST_THROUGH_GROUPS), "us"
        )
    )
    return rows


if __name__ == "__main__":
    for each in run():
        print(each)
