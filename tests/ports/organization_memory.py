"""An in-memory `iam.organization.OrganizationStore`, kept by the same suite as SQL. It knows no transactions."""

from __future__ import annotations

from collections.abc import Mapping

from leastwise.iam.organization import Attachment, Chart, Creation, Guardrail, Member, Organization, Unit
from leastwise.kernel import errors


class MemoryOrganization:
    """`reads` counts how often the whole of it was asked for."""

    def __init__(self) -> None:
        self._organization: Organization | None = None
        self._units: dict[str, Unit] = {}
        self._members: dict[str, Member] = {}
        self._guardrails: dict[str, Guardrail] = {}
        self._attachments: set[Attachment] = set()
        self._tags: dict[str, dict[str, str]] = {}
        self._creations: dict[str, Creation] = {}
        self.reads = 0

    async def chart(self) -> Chart | None:
        self.reads += 1
        if self._organization is None:
            return None
        return Chart(
            organization=self._organization,
            units=tuple(self._units.values()),
            members=tuple(self._members.values()),
            guardrails=tuple(self._guardrails.values()),
            attachments=tuple(self._attachments),
        )

    async def put_organization(self, organization: Organization) -> None:
        self._organization = organization

    async def put_unit(self, unit: Unit) -> None:
        for other in self._units.values():
            if (other.parent_id, other.name) == (unit.parent_id, unit.name) and other.unit_id != unit.unit_id:
                raise errors.AlreadyExists("a sibling has the name")
        self._units[unit.unit_id] = unit

    async def remove_unit(self, unit_id: str) -> None:
        self._units.pop(unit_id, None)

    async def put_member(self, member: Member) -> None:
        for other in self._members.values():
            if other.email.lower() == member.email.lower() and other.account_id != member.account_id:
                raise errors.AlreadyExists("the email is taken")
        self._members[member.account_id] = member

    async def put_guardrail(self, guardrail: Guardrail) -> None:
        for other in self._guardrails.values():
            named_alike = (other.type, other.name) == (guardrail.type, guardrail.name)
            if named_alike and other.policy_id != guardrail.policy_id:
                raise errors.AlreadyExists("the name is taken")
        self._guardrails[guardrail.policy_id] = guardrail

    async def remove_guardrail(self, policy_id: str) -> None:
        self._guardrails.pop(policy_id, None)

    async def attach(self, attachment: Attachment) -> None:
        self._attachments.add(attachment)

    async def detach(self, attachment: Attachment) -> None:
        self._attachments.discard(attachment)

    async def tags(self, resource_id: str) -> Mapping[str, str]:
        return dict(self._tags.get(resource_id, {}))

    async def set_tags(self, resource_id: str, tags: Mapping[str, str]) -> None:
        self._tags[resource_id] = dict(tags)

    async def add_creation(self, creation: Creation) -> None:
        self._creations[creation.request_id] = creation

    async def creations(self) -> tuple[Creation, ...]:
        return tuple(self._creations[request_id] for request_id in sorted(self._creations))
