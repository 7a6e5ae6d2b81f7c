"""Policies on SQL: inline and managed ones, their versions, and what they are attached to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Row, Table, Tuple, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from leastwise.iam.directory import (
    IdentityKind,
    IdentityRef,
    InlinePolicy,
    ManagedPolicy,
    OwnedPolicies,
    PolicyVersion,
)
from leastwise.storage.iam_rows import SqlRows, owned, owner_values, read_tags, tags_text, taken, write_revision
from leastwise.storage.schema import (
    groups,
    inline_policies,
    managed_policies,
    policy_attachments,
    policy_versions,
    roles,
    users,
)

_TABLES: Final = {IdentityKind.USER: users, IdentityKind.ROLE: roles, IdentityKind.GROUP: groups}


class SqlPolicies(SqlRows):
    """The part of `iam.Directory` that is about policies."""

    async def put_inline_policy(self, owner: IdentityRef, policy: InlinePolicy) -> None:
        """Adds the policy, or replaces the one of that name."""
        async with self._database.writing() as connection:
            where = (*owned(inline_policies, owner), inline_policies.c.name == policy.name)
            changed = await connection.execute(update(inline_policies).where(*where).values(document=policy.document))
            if changed.rowcount == 0:
                values = {**owner_values(owner), "name": policy.name, "document": policy.document}
                await connection.execute(insert(inline_policies).values(values))

    async def inline_policies(self, owner: IdentityRef) -> tuple[InlinePolicy, ...]:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(inline_policies).where(*owned(inline_policies, owner)))
            found = [InlinePolicy(name=row.name, document=row.document) for row in rows]
        return tuple(sorted(found, key=lambda policy: policy.name))

    async def remove_inline_policy(self, owner: IdentityRef, name: str) -> None:
        async with self._database.writing() as connection:
            where = (*owned(inline_policies, owner), inline_policies.c.name == name)
            await connection.execute(delete(inline_policies).where(*where))

    async def add_managed_policy(self, policy: ManagedPolicy) -> None:
        async with self._database.writing() as connection:
            try:
                async with connection.begin_nested():
                    await connection.execute(insert(managed_policies).values(_managed_policy_values(policy)))
                    await _insert_versions(connection, policy)
            except IntegrityError as error:
                raise taken(managed_policies) from error

    async def managed_policy(self, arn: str) -> ManagedPolicy | None:
        found = await self._managed(managed_policies.c.arn == arn)
        return found[0] if found else None

    async def managed_policies(self, account_id: str, path_prefix: str) -> tuple[ManagedPolicy, ...]:
        below = func.substr(managed_policies.c.path, 1, len(path_prefix)) == path_prefix
        return await self._managed((managed_policies.c.account_id == account_id) & below)

    async def replace_managed_policy(self, policy: ManagedPolicy) -> None:
        """Writes the new state, versions included."""
        async with self._database.writing() as connection:
            where = managed_policies.c.arn == policy.arn
            values = _managed_policy_values(policy)
            await write_revision(connection, managed_policies, where, values, revision=policy.revision)
            await connection.execute(delete(policy_versions).where(policy_versions.c.policy_arn == policy.arn))
            await _insert_versions(connection, policy)

    async def remove_managed_policy(self, arn: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(policy_versions).where(policy_versions.c.policy_arn == arn))
            await connection.execute(delete(managed_policies).where(managed_policies.c.arn == arn))

    async def attach_policy(self, owner: IdentityRef, policy_arn: str) -> None:
        """Idempotent. The policy must exist."""
        async with self._database.writing() as connection:
            where = (*owned(policy_attachments, owner), policy_attachments.c.policy_arn == policy_arn)
            present = await connection.execute(select(policy_attachments.c.policy_arn).where(*where))
            if present.first() is None:
                values = {**owner_values(owner), "policy_arn": policy_arn}
                await connection.execute(insert(policy_attachments).values(values))

    async def attached_policies(self, owner: IdentityRef) -> tuple[ManagedPolicy, ...]:
        attached = select(policy_attachments.c.policy_arn).where(*owned(policy_attachments, owner))
        return await self._managed(managed_policies.c.arn.in_(attached))

    async def detach_policy(self, owner: IdentityRef, policy_arn: str) -> None:
        async with self._database.writing() as connection:
            where = (*owned(policy_attachments, owner), policy_attachments.c.policy_arn == policy_arn)
            await connection.execute(delete(policy_attachments).where(*where))

    async def policies_of(self, owners: Sequence[IdentityRef]) -> tuple[OwnedPolicies, ...]:
        """Few questions, however many owners."""
        keys = [tuple(owner_values(owner).values()) for owner in owners]
        inline: dict[tuple[str, ...], list[InlinePolicy]] = {}
        attached: dict[tuple[str, ...], set[str]] = {}
        async with self._database.reading() as connection:
            for row in await connection.execute(select(inline_policies).where(_owner_of(inline_policies).in_(keys))):
                found = InlinePolicy(name=row.name, document=row.document)
                inline.setdefault((row.account_id, row.owner_kind, row.owner_key), []).append(found)
            rows = await connection.execute(select(policy_attachments).where(_owner_of(policy_attachments).in_(keys)))
            for row in rows:
                attached.setdefault((row.account_id, row.owner_kind, row.owner_key), set()).add(row.policy_arn)
        arns = set().union(*attached.values())
        managed = await self._managed(managed_policies.c.arn.in_(arns)) if arns else ()
        return tuple(
            OwnedPolicies(
                owner=owner,
                inline=tuple(sorted(inline.get(key, ()), key=lambda policy: policy.name)),
                attached=tuple(policy for policy in managed if policy.arn in attached.get(key, ())),
            )
            for owner, key in zip(owners, keys, strict=True)
        )

    async def attached_entities(self, policy_arn: str) -> tuple[IdentityRef, ...]:
        """Users, roles and groups of every account, sorted by kind and name."""
        found: list[IdentityRef] = []
        async with self._database.reading() as connection:
            for kind, table in _TABLES.items():
                rows = await connection.execute(
                    select(table.c.account_id, table.c.name)
                    .join(
                        policy_attachments,
                        (policy_attachments.c.account_id == table.c.account_id)
                        & (policy_attachments.c.owner_key == table.c.name_key)
                        & (policy_attachments.c.owner_kind == kind.value),
                    )
                    .where(policy_attachments.c.policy_arn == policy_arn)
                )
                found.extend(IdentityRef(account_id=row.account_id, kind=kind, name=row.name) for row in rows)
        return tuple(sorted(found, key=lambda ref: (ref.kind.value, ref.name, ref.account_id)))

    async def _managed(self, where: Any) -> tuple[ManagedPolicy, ...]:
        chosen = select(managed_policies.c.arn).where(where)
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(managed_policies).where(where))).all()
            version_rows = (
                await connection.execute(
                    select(policy_versions)
                    .where(policy_versions.c.policy_arn.in_(chosen))
                    .order_by(policy_versions.c.policy_arn, policy_versions.c.number.desc())
                )
            ).all()
            counted = await connection.execute(
                select(policy_attachments.c.policy_arn, func.count())
                .where(policy_attachments.c.policy_arn.in_(chosen))
                .group_by(policy_attachments.c.policy_arn)
            )
            counts = {str(arn): int(count) for arn, count in counted}
        versions: dict[str, list[PolicyVersion]] = {}
        for row in version_rows:
            versions.setdefault(row.policy_arn, []).append(
                PolicyVersion(
                    version_id=f"v{row.number}",
                    document=row.document,
                    is_default=row.is_default,
                    created_at_ms=row.created_at_ms,
                )
            )
        found = [_managed_policy(row, versions.get(row.arn, ()), counts.get(row.arn, 0)) for row in rows]
        return tuple(sorted(found, key=lambda policy: (policy.name, policy.arn)))


def _owner_of(table: Table) -> Tuple:
    return tuple_(table.c.account_id, table.c.owner_kind, table.c.owner_key)


async def owner_renamed(
    connection: AsyncConnection, account_id: str, kind: IdentityKind, old_key: str, new_key: str
) -> None:
    """Inline policies and attachments follow their owner."""
    if old_key == new_key:
        return
    for table in (inline_policies, policy_attachments):
        await connection.execute(
            update(table)
            .where(table.c.account_id == account_id, table.c.owner_kind == kind.value, table.c.owner_key == old_key)
            .values(owner_key=new_key)
        )


def _managed_policy_values(policy: ManagedPolicy) -> dict[str, Any]:
    return {
        "arn": policy.arn,
        "account_id": policy.account_id,
        "name_key": policy.name.lower(),
        "name": policy.name,
        "path": policy.path,
        "policy_id": policy.policy_id,
        "description": policy.description,
        "created_at_ms": policy.created_at_ms,
        "updated_at_ms": policy.updated_at_ms,
        "tags": tags_text(policy.tags),
        "last_version": policy.last_version,
    }


def _managed_policy(row: Row[Any], versions: Iterable[PolicyVersion], attachment_count: int) -> ManagedPolicy:
    return ManagedPolicy(
        account_id=row.account_id,
        name=row.name,
        path=row.path,
        policy_id=row.policy_id,
        arn=row.arn,
        description=row.description,
        created_at_ms=row.created_at_ms,
        updated_at_ms=row.updated_at_ms,
        versions=tuple(versions),
        attachment_count=attachment_count,
        tags=read_tags(row.tags),
        last_version=row.last_version,
        revision=row.revision,
    )


async def _insert_versions(connection: AsyncConnection, policy: ManagedPolicy) -> None:
    for version in policy.versions:
        await connection.execute(
            insert(policy_versions).values(
                policy_arn=policy.arn,
                number=int(version.version_id.removeprefix("v")),
                document=version.document,
                is_default=version.is_default,
                created_at_ms=version.created_at_ms,
            )
        )
