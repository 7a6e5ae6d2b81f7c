"""Automated reasoning: how long a question takes, how many stay open, cvc5 beside z3.

Run: python benchmarks/reasoning.py [pairs]. Pairs of policies are made from a fixed seed, like those that people write:
a few statements over the services of this platform, with conditions, one edited into the other.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections import Counter

from leastwise.iam.interface import PolicyKind
from leastwise.iam.policy.document import parse_document
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.child import ChildSolver
from leastwise.iam.reasoning.encode import RequestTerms
from leastwise.iam.reasoning.questions import new_access
from leastwise.iam.reasoning.solving import Cvc5Session

ACTIONS = [
    *("lambda:*", "lambda:Get*", "lambda:List*", "lambda:InvokeFunction", "lambda:CreateFunction", "lambda:Update*"),
    *("iam:PassRole", "iam:Get*", "iam:CreateUser", "logs:*", "logs:Describe*", "s3:GetObject", "s3:Put*", "*"),
]
RESOURCES = [
    *("*", "arn:aws:lambda:*:111122223333:function:*", "arn:aws:lambda:us-east-1:111122223333:function:dev-*"),
    *("arn:aws:s3:::data/*", "arn:aws:s3:::data/${aws:username}/*", "arn:aws:s3:::*/public/*"),
    *("arn:aws:iam::111122223333:role/app/*", "arn:aws:logs:*:*:log-group:/aws/lambda/*"),
]
CONDITIONS = [
    *({}, {}, {}),
    {"StringEquals": {"aws:RequestedRegion": ["us-east-1", "eu-central-1"]}},
    {"StringEquals": {"aws:RequestedRegion": "us-east-1"}},
    {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.168.0.0/16"]}},
    {"IpAddress": {"aws:SourceIp": "10.1.0.0/16"}},
    {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
    {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}},
    {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"}},
    {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
    {"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "stage"]}},
    {"ForAnyValue:StringLike": {"aws:TagKeys": "te*"}},
    {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}},
    {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}},
]


def statement(draw: random.Random) -> dict:
    made = {
        "Effect": draw.choice(["Allow", "Allow", "Allow", "Deny"]),
        "Action": draw.sample(ACTIONS, draw.randint(1, 4)),
        "Resource": draw.sample(RESOURCES, draw.randint(1, 3)),
    }
    condition = draw.choice(CONDITIONS)
    return made | ({"Condition": condition} if condition else {})


def pair(draw: random.Random) -> tuple[str, str]:
    old = [statement(draw) for _ in range(draw.randint(1, 6))]
    new = list(old)
    for _ in range(draw.randint(1, 2)):
        change = draw.random()
        if change < 0.4:
            new.append(statement(draw))
        elif change < 0.7 and len(new) > 1:
            new.pop(draw.randrange(len(new)))
        else:
            at = draw.randrange(len(new))
            narrower = {key: value for key, value in new[at].items() if key != "Condition"}
            new[at] = narrower | ({"Condition": draw.choice(CONDITIONS[3:])} if draw.random() < 0.7 else {})
    old_text, new_text = (json.dumps({"Version": "2012-10-17", "Statement": body}) for body in (old, new))
    return old_text, new_text


def question(old: str, new: str) -> tuple[str, list[str]]:
    documents = [parse_document(text, kind=PolicyKind.IDENTITY) for text in (old, new)]
    request = RequestTerms(documents, PolicyKind.IDENTITY)
    goals = [request.allowed(documents[1:]), terms.negation(request.allowed(documents[:1]))]
    return request.script.text(), goals


def with_cvc5(script: str, goals: list[str]) -> str:
    session = Cvc5Session()
    session.load(script)
    return session.ask(goals, timeout_ms=1000).answer.value


def with_z3(script: str, goals: list[str]) -> str:
    import z3

    solver = z3.Solver()
    solver.set("timeout", 1000)
    solver.from_string(script + "".join(f"(assert {goal})\n" for goal in goals))
    return str(solver.check())


def line(name: str, times: list[float], answers: Counter) -> str:
    unknown = 100 * answers["unknown"] / len(times)
    return (
        f"| {name} | {len(times)} | {statistics.median(times) * 1000:.1f} | {max(times) * 1000:.0f} | {unknown:.1f} % |"
    )


def main() -> None:
    draw = random.Random(7)
    pairs = [pair(draw) for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 150)]
    print("| question | pairs | median ms | max ms | unknown |\n| --- | ---: | ---: | ---: | ---: |")
    answers: dict[str, list[str]] = {}
    for name, solve in (("cvc5, the question alone", with_cvc5), ("z3, the question alone (1 s)", with_z3)):
        times, answers[name] = [], []
        for old, new in pairs:
            script, goals = question(old, new)
            began = time.perf_counter()
            answers[name].append(solve(script, goals))
            times.append(time.perf_counter() - began)
        print(line(name, times, Counter(answers[name])), flush=True)
    disagreements = [both for both in zip(*answers.values(), strict=True) if set(both) == {"sat", "unsat"}]
    times, outcomes = [], Counter()
    for old, new in pairs[:60]:
        began = time.perf_counter()
        with ChildSolver() as solver:
            verdict = new_access([old], [new], kind=PolicyKind.IDENTITY, solver=solver)
        times.append(time.perf_counter() - began)
        outcomes[verdict.outcome.value] += 1
    print(line("a whole verdict: process, question, examples", times, outcomes))
    print(f"\nverdicts: {dict(outcomes)}; cvc5 and z3 disagree on {len(disagreements)} of {len(pairs)}")


if __name__ == "__main__":
    main()
