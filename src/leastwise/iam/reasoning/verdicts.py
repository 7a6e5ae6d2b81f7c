"""What reasoning about policies answers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from leastwise.iam.interface import ContextValue, Request


class Outcome(StrEnum):
    """Whether what one hopes for is certain."""

    PROVED = "proved"
    """No request of the whole space does it."""
    REFUTED = "refuted"
    """Here is a request that does it; the engine confirmed it."""
    UNKNOWN = "unknown"
    """Neither. INVARIANT: whoever acts on a verdict takes this for "it may be"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """A request that the engine allows although it should not be.

    Args:
        request: complete, without what it does not need.
        statement: position of the statement that allows it, in the policy that was asked about.
        sid: of that statement, may be empty.
    """

    request: Request
    statement: int
    sid: str

    def sentence(self) -> str:
        """For people: `lambda:InvokeFunction on ARN by ARN when aws:SourceIp is 10.0.0.1`."""
        request = self.request
        who = "" if request.principal.name == "someone" else f" by {request.principal.arn}"
        when = " and ".join(f"{key} is {_shown(value)}" for key, value in sorted(request.context.items()))
        return f"{request.action} on {request.resource}{who}" + (f" when {when}" if when else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An answer, with its reasons.

    Args:
        outcome: see `Outcome`.
        counterexamples: of REFUTED, at most one for each statement.
        reason: of UNKNOWN, what stood in the way.
    """

    outcome: Outcome
    counterexamples: tuple[Counterexample, ...] = ()
    reason: str = ""


def _shown(value: ContextValue) -> str:
    return f'"{value}"' if isinstance(value, str) else "[" + ", ".join(f'"{item}"' for item in value) + "]"
