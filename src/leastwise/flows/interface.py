"""What a row of the operations table is made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from leastwise.iam.interface import ContextValue, Principal
from leastwise.kernel.call import Source
from leastwise.kernel.events import Access, EventClass

if TYPE_CHECKING:
    from leastwise.flows.services import Services

Parameters = Mapping[str, Any]
"""An operation's input or output, with the member names of the AWS service model."""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler knows besides its parameters."""

    services: Services
    principal: Principal
    region: str
    request_id: str
    now_ms: int
    source: Source
    notes: dict[str, str | int]
    """What the handler wants in the record's `additionalEventData` (never a secret, never a payload)."""

    @property
    def account_id(self) -> str:
        """The caller's account."""
        return self.principal.account_id


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a call acts on, resolved before it is decided.

    Args:
        arn: of the resource, or `*`.
        account_id: that owns it.
        policy: the resource's own policy as JSON text.
        context: condition keys that the target supplies (`aws:resourcetag/...`, `lambda:functionarn`), lower case.
        also_arn: another ARN of the very same thing, if it was called by one of two: an explicit Deny of that one
            counts too.
    """

    arn: str
    account_id: str
    policy: str | None = None
    context: Mapping[str, ContextValue] = msgspec.field(default_factory=dict)
    also_arn: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """A further permission that a call needs (`iam:PassRole` on the role it hands over)."""

    action: str
    target: Target


Resolve = Callable[[Scene, Parameters], "Target | Awaitable[Target]"]
Further = Callable[[Scene, Parameters], "tuple[Demand, ...] | Awaitable[tuple[Demand, ...]]"]
Handler = Callable[[Scene, Parameters], Awaitable[Parameters]]


Prepare = Callable[[Scene, Parameters], Awaitable[Parameters]]
Recorded = Callable[[Scene, int], None]


def _nothing_recorded(_scene: Scene, _sequence: int) -> None:
    """Most operations have nothing to do once they are recorded."""


def _nothing_further(_scene: Scene, _parameters: Parameters) -> tuple[Demand, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row: an operation that can be called.

    Args:
        service: `lambda`, `iam`, `sts`, `logs`.
        name: operation name in the service model.
        action: IAM action it needs; None only where AWS demands none (`sts:GetCallerIdentity`).
        target: resolves what it acts on. Must not reveal to a stranger whether the target exists: an unknown name
            resolves to the ARN it would have.
        further: further permissions.
        handle: does it. Runs inside a transaction when `access` is WRITE and the class MANAGEMENT.
        event_class: management or data.
        access: read or write.
        redact: input members that never reach the record (secrets, code); nested ones with dots
            (`Environment.Variables`). Blobs are always left out.
        prepare: slow work of a change (unpacking a package) that runs after authorization and before the transaction
            that holds the database's write lock; what it returns is merged into the handler's parameters.
        recorded: called with the record's sequence number once a data event stands in the trail.
    """

    service: str
    name: str
    action: str | None
    target: Resolve
    further: Further = _nothing_further
    handle: Handler
    event_class: EventClass = EventClass.MANAGEMENT
    access: Access
    redact: frozenset[str] = frozenset()
    prepare: Prepare | None = None
    recorded: Recorded = _nothing_recorded
