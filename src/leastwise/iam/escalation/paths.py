"""Paths from a principal to more than it was given: the nouns, and the search."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

ADMINISTRATOR: Final = "administrator"
"""Everything in the account (as far as guardrails of the organization let anybody)."""
WITHIN_BOUNDARY: Final = "everything within its permissions boundary and guardrails"


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCall:
    """One call. `resource` is an ARN, possibly of something that does not exist yet."""

    action: str
    resource: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One way, taken.

    Args:
        way: id in `ways.WAYS`, or several joined by `+`.
        calls: in order.
        becomes: ARN of the principal whose permissions are gained, `ADMINISTRATOR`, or `WITHIN_BOUNDARY`.
        conditions: what must hold besides, empty when the calls are allowed whatever the circumstances.
    """

    way: str
    calls: tuple[MadeCall, ...]
    becomes: str
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationPath:
    """A chain of steps.

    Args:
        principal: ARN of the user or role that can take it.
        becomes: of the last step.
        steps: in order, each taken with the permissions that the one before gave.
    """

    principal: str
    becomes: str
    steps: tuple[Step, ...]

    @property
    def conditions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(condition for step in self.steps for condition in step.conditions))

    @property
    def is_grave(self) -> bool:
        """It ends with everything, or all that a boundary leaves."""
        return self.becomes in {ADMINISTRATOR, WITHIN_BOUNDARY}

    @property
    def is_plain_assumption(self) -> bool:
        """One AssumeRole: what the role's trust policy is there for."""
        return [step.way for step in self.steps] == ["AssumeRole"]


def in_order(steps: Iterable[Step]) -> tuple[Step, ...]:
    """Steps of one principal as `find_paths` takes them: the fewest calls first, then without conditions."""
    return tuple(sorted(steps, key=lambda one: (len(one.calls), bool(one.conditions), one.way)))


def find_paths(steps: Mapping[str, Sequence[Step]], principal: str) -> tuple[EscalationPath, ...]:
    """The best path from a principal to each that it can become: without conditions if there is one, then the shortest.

    Args:
        steps: principal -> the steps that it can take itself, `in_order`.
        principal: where paths start.

    Returns:
        Sorted: administrator first. Nothing beyond a principal that is as good as an administrator.
    """
    found: dict[str, tuple[Step, ...]] = {}
    # First paths whose steps all are unconditional, then any: a condition is worse than a detour.
    for conditional in (False, True):
        seen = {principal}
        queue: deque[tuple[str, tuple[Step, ...]]] = deque([(principal, ())])
        while queue:
            at, taken = queue.popleft()
            for step in steps.get(at, ()):
                if step.becomes in seen or (step.conditions and not conditional):
                    continue
                seen.add(step.becomes)
                path = (*taken, step)
                found.setdefault(step.becomes, path)
                if step.becomes in steps:
                    queue.append((step.becomes, path))
    return tuple(
        EscalationPath(principal=principal, becomes=becomes, steps=path)
        for becomes, path in sorted(found.items(), key=lambda item: (item[0] != ADMINISTRATOR, item[0]))
        if becomes != principal
    )
