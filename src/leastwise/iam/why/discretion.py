"""What an explanation may show of policies that belong to another account: their names, never their text."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from leastwise.iam.why.certainty import Failure, WeighedStatement
from leastwise.iam.why.remedies import Remedy, Step
from leastwise.iam.why.trace import LayerTrace

_ACCOUNT_SEGMENT: Final = 4
_EVERYBODYS: Final = frozenset({"", "aws"})


def is_foreign(policy: str, account_id: str) -> bool:
    """A policy of another account, by its ARN. Inline policies have none; they are the asking account's own."""
    segments = policy.split(":", 5)
    if segments[0] != "arn" or len(segments) <= _ACCOUNT_SEGMENT:
        return False
    return segments[_ACCOUNT_SEGMENT] not in {account_id, *_EVERYBODYS}


def discreet_layer(layer: LayerTrace, account_id: str) -> LayerTrace:
    """The layer as somebody of an account may see it.

    SECURITY: service and resource control policies belong to the organization's management account. A member may learn
    that one denies, and which keys it waits for; not its conditions, addresses and resource names.
    """
    statements = tuple(_discreet(one, account_id) for one in layer.statements)
    return replace(layer, statements=statements)


def discreet_remedy(remedy: Remedy, account_id: str) -> Remedy:
    """The same for what would have to change."""

    def quiet(step: Step) -> Step:
        foreign = any(is_foreign(one.policy, account_id) for one in step.statements)
        return replace(step, otherwise=()) if foreign else step

    return replace(remedy, steps=tuple(map(quiet, remedy.steps)))


def _discreet(one: WeighedStatement, account_id: str) -> WeighedStatement:
    if not is_foreign(one.statement.policy, account_id):
        return one
    failures = tuple(Failure(part=failure.part, missing=failure.missing) for failure in one.failures)
    return replace(one, failures=tuple(dict.fromkeys(failures)))
