"""Tests of policies: one request, what must come of it, and what did. The real engine decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leastwise.iam.interface import Decision, Request
from leastwise.iam.policy.compile import CompiledPolicy
from leastwise.iam.policy.evaluate import Layers
from leastwise.iam.why.certainty import Failure, Part, WeighedStatement
from leastwise.iam.why.trace import Trace, Verdict, trace

_MOST_REASONS: Final = 6


class Expectation(StrEnum):
    """What a case expects."""

    ALLOW = "allow"
    DENY = "deny"
    """Not allowed, for whatever reason."""
    IMPLICIT_DENY = "implicit-deny"
    EXPLICIT_DENY = "explicit-deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTest:
    """One request and what must come of it."""

    note: str
    request: Request
    layers: Layers
    trust: bool
    expected: Expectation


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTestResult:
    """What came of it.

    Args:
        test: the request.
        got: ALLOW, IMPLICIT_DENY or EXPLICIT_DENY.
        because: what decided, one sentence.
        reasons: what nearly decided otherwise, and why it did not.
        unsaid: condition keys that the policies ask for and the case does not give.
    """

    test: PolicyTest
    got: Expectation
    because: str
    reasons: tuple[str, ...]
    unsaid: tuple[str, ...]

    @property
    def passed(self) -> bool:
        if self.test.expected is Expectation.DENY:
            return self.got is not Expectation.ALLOW
        return self.got is self.test.expected


def run_test(test: PolicyTest) -> PolicyTestResult:
    """Asks the engine, and says why."""
    found = trace(test.request, test.layers, trust=test.trust)
    got = {
        Verdict.ALLOWED: Expectation.ALLOW,
        Verdict.EXPLICIT_DENY: Expectation.EXPLICIT_DENY,
    }.get(found.verdict, Expectation.IMPLICIT_DENY)
    asked = {key for policy in _policies(test.layers) for key in policy.context_keys}
    return PolicyTestResult(
        test=test,
        got=got,
        because=_because(found.decision),
        reasons=tuple(_reasons(found, test))[:_MOST_REASONS],
        unsaid=tuple(sorted(key for key in asked if key not in test.request.context)),
    )


def _policies(layers: Layers) -> Iterator[CompiledPolicy]:
    yield from layers.identity
    yield from layers.session or ()
    for one in (layers.boundary, layers.resource):
        if one is not None:
            yield one
    for level in (*layers.service_control, *layers.resource_control):
        yield from level


def _because(decision: Decision) -> str:
    names = ", ".join(f"{item.policy}, {item.sid or f'statement {item.index + 1}'}" for item in decision.statements)
    if decision.allowed:
        return f"allowed by {names}" if names else "allowed: the account's root user needs no policy"
    if decision.explicit:
        return f"denied by {names}"
    return f"no {decision.layer} policy allows it"


def _reasons(found: Trace, test: PolicyTest) -> Iterator[str]:
    """Statements whose action fits and that would have decided otherwise."""
    allowed = found.verdict is Verdict.ALLOWED
    for layer in found.layers:
        for statement in layer.near():
            if statement.allow is not allowed and (allowed or layer.decisive):
                yield _reason(statement, test.request)


def _reason(statement: WeighedStatement, request: Request) -> str:
    named = statement.statement
    effect = "Allow" if statement.allow else "Deny"
    why = "; ".join(_failed(failure, request) for failure in statement.failures)
    return f"the {effect} of {named.policy}, {named.sid or f'statement {named.index + 1}'}, does not apply: {why}"


def _failed(failure: Failure, request: Request) -> str:
    if failure.part is Part.PRINCIPAL:
        return f"it does not name {request.principal.arn}"
    if failure.part is Part.RESOURCE:
        return f"its resources ({', '.join(failure.wanted)}) do not fit {request.resource}"
    wanted, has = " or ".join(failure.wanted) or "nothing", " and ".join(failure.found) or "nothing"
    return f"{failure.operator} {failure.key} asks for {wanted}, the request has {has}"
