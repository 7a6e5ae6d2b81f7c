"""The organization: nouns, the port that keeps them, and errors. The third public page of `iam`.

One installation is one organization. Its management account is the one it was founded with; further accounts stand in
a tree of organizational units under one root, and policies ("guardrails") on the way from the root to an account limit
what happens in it.

Source: AWS Organizations User Guide, "Terminology and concepts"; Organizations API Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from leastwise.kernel import errors


class GuardrailType(StrEnum):
    """The policy types that are offered, in the words of the API."""

    SERVICE_CONTROL = "SERVICE_CONTROL_POLICY"
    RESOURCE_CONTROL = "RESOURCE_CONTROL_POLICY"


class Standing(StrEnum):
    """Of an account. Nobody of a suspended account is authenticated, and nothing in it can be used."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organization:
    """The installation's one organization.

    Args:
        organization_id: `o-` and ten characters.
        root_id: `r-` and four characters.
        management_account_id: the account that the installation was founded with.
        created_at_ms: epoch ms.
        enabled: policy types that have an effect.
    """

    organization_id: str
    root_id: str
    management_account_id: str
    created_at_ms: int
    enabled: frozenset[GuardrailType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """An organizational unit. Its parent is the root or another unit."""

    unit_id: str
    parent_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An account's place in the organization.

    Args:
        account_id: twelve digits.
        name: what people call it.
        email: unique in the organization; nothing is ever sent there.
        parent_id: the root or a unit.
        standing: active or suspended.
        invited: False when the organization made it.
        joined_at_ms: epoch ms.
    """

    account_id: str
    name: str
    email: str = field(repr=False)
    parent_id: str
    standing: Standing = Standing.ACTIVE
    invited: bool = False
    joined_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """A policy of the organization. Built-in ones are not kept; they are the same everywhere."""

    policy_id: str
    type: GuardrailType
    name: str
    description: str
    content: str
    built_in: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A policy on a root, a unit or an account."""

    policy_id: str
    target_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Creation:
    """A request for an account, and what became of it.

    Args:
        request_id: `car-` and 32 characters.
        name: of the account that was asked for.
        at_ms: asked for and answered.
        account_id: None when it failed.
        failure: AWS's FailureReason, None when it succeeded.
    """

    request_id: str
    name: str = field(repr=False)
    at_ms: int
    account_id: str | None
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything that guardrails are found by, read in one go."""

    organization: Organization
    units: tuple[Unit, ...] = ()
    members: tuple[Member, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    attachments: tuple[Attachment, ...] = ()


class OrganizationStore(Protocol):
    """Where the organization is kept. Every write joins the caller's transaction. A missing thing is None."""

    async def chart(self) -> Chart | None:
        """The whole of it, from one moment; None before the installation is founded."""
        ...

    async def put_organization(self, organization: Organization) -> None:
        """Adds or replaces the one organization."""
        ...

    async def put_unit(self, unit: Unit) -> None:
        """Adds or replaces. Raises `errors.AlreadyExists` when a sibling has its name."""
        ...

    async def remove_unit(self, unit_id: str) -> None: ...

    async def put_member(self, member: Member) -> None:
        """Adds or replaces. Raises `errors.AlreadyExists` when another account has its email."""
        ...

    async def put_guardrail(self, guardrail: Guardrail) -> None:
        """Adds or replaces. Raises `errors.AlreadyExists` when another of its type has its name."""
        ...

    async def remove_guardrail(self, policy_id: str) -> None: ...

    async def attach(self, attachment: Attachment) -> None:
        """Idempotent."""
        ...

    async def detach(self, attachment: Attachment) -> None: ...

    async def tags(self, resource_id: str) -> Mapping[str, str]: ...

    async def set_tags(self, resource_id: str, tags: Mapping[str, str]) -> None:
        """Replaces; none at all forgets the resource."""
        ...

    async def add_creation(self, creation: Creation) -> None: ...

    async def creations(self) -> tuple[Creation, ...]:
        """Sorted by request id."""
        ...


# --- errors, one for each of the API's -----------------------------------------------------------------------------


class OrganizationNotInUse(errors.NotFound):
    """There is no organization."""


class AlreadyInOrganization(errors.Conflict):
    """The account is in one, as every account here."""


class ConstraintViolation(errors.Conflict):
    """A quota or a rule of the organization; `Reason` says which."""


class InvalidOrganizationInput(errors.Invalid):
    """The API's InvalidInputException; `Reason` says what."""


class MalformedGuardrail(errors.Invalid):
    """The policy's content is not in the grammar of its type."""


class AccountNotFound(errors.NotFound):
    """No such account in the organization."""


class AccountAlreadyClosed(errors.Conflict):
    """It is suspended."""


class AccountInPlace(errors.Conflict):
    """The account is under that parent already."""


class ChildNotFound(errors.NotFound):
    """No such account or unit."""


class CreationNotFound(errors.NotFound):
    """No such request for an account."""


class DestinationParentNotFound(errors.NotFound):
    """Where the account should go."""


class GuardrailAlreadyAttached(errors.Conflict):
    """The policy is on that target."""


class GuardrailExists(errors.AlreadyExists):
    """Another policy has the name."""


class GuardrailInUse(errors.Conflict):
    """The policy is on some target."""


class GuardrailNotAttached(errors.NotFound):
    """The policy is not on that target."""


class GuardrailNotFound(errors.NotFound):
    """No such policy."""


class GuardrailTypeEnabled(errors.Conflict):
    """The policy type has an effect already."""


class GuardrailTypeNotEnabled(errors.Conflict):
    """The policy type has no effect."""


class GuardrailTypeNotOffered(errors.Invalid):
    """A policy type of AWS's that this platform does not have."""


class ParentNotFound(errors.NotFound):
    """No such root or unit."""


class RootNotFound(errors.NotFound):
    """No such root."""


class SourceParentNotFound(errors.NotFound):
    """The account is not there."""


class TargetNotFound(errors.NotFound):
    """No such root, unit, account or policy."""


class UnitExists(errors.AlreadyExists):
    """A sibling has the name."""


class UnitNotEmpty(errors.Conflict):
    """The unit has accounts or units."""


class UnitNotFound(errors.NotFound):
    """No such unit."""
