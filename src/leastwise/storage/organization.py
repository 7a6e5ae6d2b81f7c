"""`iam.organization.OrganizationStore` on SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from leastwise.iam.organization import (
    Attachment,
    Chart,
    Creation,
    Guardrail,
    GuardrailType,
    Member,
    Organization,
    Standing,
    Unit,
)
from leastwise.kernel import errors
from leastwise.storage.engine import Database
from leastwise.storage.schema import (
    account_creations,
    guardrail_attachments,
    guardrails,
    organization_members,
    organization_tags,
    organizational_units,
    organizations,
)

_ONLY: Final = 1


class SqlOrganization:
    """Keeps `iam.organization.OrganizationStore`. Every write joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def chart(self) -> Chart | None:
        """One connection, and on SQLite one snapshot, for all of it."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(organizations))).first()
            if row is None:
                return None
            units = (await connection.execute(select(organizational_units))).all()
            members = (await connection.execute(select(organization_members))).all()
            policies = (await connection.execute(select(guardrails))).all()
            attached = (await connection.execute(select(guardrail_attachments))).all()
        return Chart(
            organization=_organization(row),
            units=tuple(Unit(unit_id=unit.unit_id, parent_id=unit.parent_id, name=unit.name) for unit in units),
            members=tuple(_member(member) for member in members),
            guardrails=tuple(_guardrail(policy) for policy in policies),
            attachments=tuple(Attachment(policy_id=one.policy_id, target_id=one.target_id) for one in attached),
        )

    async def put_organization(self, organization: Organization) -> None:
        values = {
            "only": _ONLY,
            "organization_id": organization.organization_id,
            "root_id": organization.root_id,
            "management_account_id": organization.management_account_id,
            "created_at_ms": organization.created_at_ms,
            "enabled": " ".join(sorted(organization.enabled)),
        }
        await self._put(organizations, "only", values)

    async def put_unit(self, unit: Unit) -> None:
        values = {"unit_id": unit.unit_id, "parent_id": unit.parent_id, "name": unit.name}
        await self._put(organizational_units, "unit_id", values)

    async def remove_unit(self, unit_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(organizational_units).where(organizational_units.c.unit_id == unit_id))

    async def put_member(self, member: Member) -> None:
        values = {
            "account_id": member.account_id,
            "name": member.name,
            "email": member.email,
            "email_key": member.email.lower(),
            "parent_id": member.parent_id,
            "standing": member.standing.value,
            "invited": member.invited,
            "joined_at_ms": member.joined_at_ms,
        }
        await self._put(organization_members, "account_id", values)

    async def put_guardrail(self, guardrail: Guardrail) -> None:
        values = {
            "policy_id": guardrail.policy_id,
            "type": guardrail.type.value,
            "name": guardrail.name,
            "description": guardrail.description,
            "content": guardrail.content,
        }
        await self._put(guardrails, "policy_id", values)

    async def remove_guardrail(self, policy_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(guardrails).where(guardrails.c.policy_id == policy_id))

    async def attach(self, attachment: Attachment) -> None:
        async with self._database.writing() as connection:
            present = await connection.execute(select(guardrail_attachments).where(*_attachment(attachment)))
            if present.first() is None:
                values = {"policy_id": attachment.policy_id, "target_id": attachment.target_id}
                await connection.execute(insert(guardrail_attachments).values(values))

    async def detach(self, attachment: Attachment) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(guardrail_attachments).where(*_attachment(attachment)))

    async def tags(self, resource_id: str) -> Mapping[str, str]:
        async with self._database.reading() as connection:
            query = select(organization_tags.c.tags).where(organization_tags.c.resource_id == resource_id)
            text: str | None = await connection.scalar(query)
        return {} if text is None else {str(key): str(value) for key, value in json.loads(text).items()}

    async def set_tags(self, resource_id: str, tags: Mapping[str, str]) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(organization_tags).where(organization_tags.c.resource_id == resource_id))
            if tags:
                text = json.dumps(dict(tags), ensure_ascii=False, separators=(",", ":"))
                await connection.execute(insert(organization_tags).values(resource_id=resource_id, tags=text))

    async def add_creation(self, creation: Creation) -> None:
        values = {
            "request_id": creation.request_id,
            "name": creation.name,
            "at_ms": creation.at_ms,
            "account_id": creation.account_id,
            "failure": creation.failure,
        }
        async with self._database.writing() as connection:
            await connection.execute(insert(account_creations).values(values))

    async def creations(self) -> tuple[Creation, ...]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(account_creations))).all()
        found = (Creation(**row._mapping) for row in rows)  # noqa: SLF001 - public in SQLAlchemy
        return tuple(sorted(found, key=lambda creation: creation.request_id))

    async def _put(self, table: Table, key: str, values: Mapping[str, Any]) -> None:
        async with self._database.writing() as connection:
            try:
                async with connection.begin_nested():
                    changed = await connection.execute(update(table).where(table.c[key] == values[key]).values(values))
                    if changed.rowcount == 0:
                        await connection.execute(insert(table).values(values))
            except IntegrityError as error:
                message = f"The name is already in use in {table.name}."
                raise errors.AlreadyExists(message) from error


def _attachment(attachment: Attachment) -> tuple[Any, ...]:
    return (
        guardrail_attachments.c.policy_id == attachment.policy_id,
        guardrail_attachments.c.target_id == attachment.target_id,
    )


def _organization(row: Row[Any]) -> Organization:
    return Organization(
        organization_id=row.organization_id,
        root_id=row.root_id,
        management_account_id=row.management_account_id,
        created_at_ms=row.created_at_ms,
        enabled=frozenset(GuardrailType(name) for name in row.enabled.split()),
    )


def _member(row: Row[Any]) -> Member:
    return Member(
        account_id=row.account_id,
        name=row.name,
        email=row.email,
        parent_id=row.parent_id,
        standing=Standing(row.standing),
        invited=row.invited,
        joined_at_ms=row.joined_at_ms,
    )


def _guardrail(row: Row[Any]) -> Guardrail:
    return Guardrail(
        policy_id=row.policy_id,
        type=GuardrailType(row.type),
        name=row.name,
        description=row.description,
        content=row.content,
    )
