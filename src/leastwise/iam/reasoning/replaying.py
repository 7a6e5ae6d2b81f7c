"""The real engine's opinion of a request: what the solver claims counts only when the engine confirms it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from leastwise.iam.interface import Decision, PolicyKind, Request
from leastwise.iam.policy.compile import CompiledPolicy, compile_policy
from leastwise.iam.policy.evaluate import Layers, decide, decide_trust

_EVERYTHING: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
_ALLOWING: Final = compile_policy(_EVERYTHING, name="everything", kind=PolicyKind.IDENTITY)
_UNBOUNDED: Final = compile_policy(_EVERYTHING, name="everything", kind=PolicyKind.BOUNDARY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What policies of one kind say about a request, all other layers allowing.

    Args:
        allowed: one allows and none denies.
        statements: positions of the statements that allow, in the first policy that does.
    """

    allowed: bool
    statements: tuple[int, ...] = ()


def opinion(policies: Sequence[CompiledPolicy], request: Request, *, kind: PolicyKind, has_boundary: bool) -> Opinion:
    """Asks the engine about each policy.

    Resource and trust policies must allow by themselves; the caller's own account is taken to allow everything, which is
    what naming an account leaves to it.
    """
    allowing: tuple[int, ...] | None = None
    for policy in policies:
        decision = _decide(policy, request, kind, has_boundary=has_boundary)
        if decision.explicit:
            return Opinion(allowed=False)
        if decision.allowed and allowing is None:
            allowing = tuple(statement.index for statement in decision.statements if statement.policy == policy.name)
    return Opinion(allowed=allowing is not None, statements=allowing or ())


def _decide(policy: CompiledPolicy, request: Request, kind: PolicyKind, *, has_boundary: bool) -> Decision:
    boundary = _UNBOUNDED if has_boundary else None
    if kind is PolicyKind.TRUST:
        return decide_trust(request, Layers(identity=(_ALLOWING,), boundary=boundary, resource=policy))
    if kind is PolicyKind.RESOURCE:
        layers = Layers(identity=(_ALLOWING,), boundary=boundary, resource=policy)
        return decide(request, layers, resource_must_allow=True)
    return decide(request, Layers(identity=(policy,)))


def simplest(request: Request, still: Callable[[Request], bool]) -> Request:
    """The request without the parts of its context that it does not need.

    Args:
        request: one that holds.
        still: a smaller one holds too.
    """
    for key in sorted(request.context):
        smaller = replace(request, context={name: value for name, value in request.context.items() if name != key})
        if still(smaller):
            request = smaller
    return request
