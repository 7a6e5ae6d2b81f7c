"""`iam.Directory` on SQL. Rows stay here: nouns go in and come out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Row, Table, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from leastwise.iam.directory import (
    AccessKey,
    Account,
    IdentityKind,
    IdentityRef,
    InlinePolicy,
    ManagedPolicy,
    PolicyVersion,
    Role,
    User,
)
from leastwise.kernel import errors
from leastwise.storage.engine import Database
from leastwise.storage.schema import (
    access_keys,
    accounts,
    inline_policies,
    managed_policies,
    policy_attachments,
    policy_versions,
    roles,
    users,
)


class SqlDirectory:
    """Keeps `iam.directory.Directory`. Every write joins the caller's transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_account(self, account: Account) -> None:
        await self._insert(accounts, {"account_id": account.account_id, "created_at_ms": account.created_at_ms})

    async def accounts(self) -> tuple[Account, ...]:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(accounts).order_by(accounts.c.account_id))
            return tuple(Account(account_id=row.account_id, created_at_ms=row.created_at_ms) for row in rows)

    async def add_user(self, user: User) -> None:
        await self._insert(users, _user_values(user))

    async def user(self, account_id: str, name: str) -> User | None:
        row = await self._named(users, account_id, name)
        return None if row is None else _user(row)

    async def users(self, account_id: str, path_prefix: str) -> tuple[User, ...]:
        return tuple(_user(row) for row in await self._below(users, account_id, path_prefix))

    async def replace_user(self, name: str, user: User) -> None:
        """Writes the new state of the user called `name`; a new name takes keys, policies and attachments along."""
        old_key, new_key = name.lower(), user.name.lower()
        async with self._database.writing() as connection:
            where = (users.c.account_id == user.account_id) & (users.c.name_key == old_key)
            try:
                async with connection.begin_nested():
                    await connection.execute(update(users).where(where).values(_user_values(user)))
            except IntegrityError as error:
                raise _taken(users) from error
            await connection.execute(
                update(access_keys)
                .where(
                    access_keys.c.account_id == user.account_id,
                    func.lower(access_keys.c.user_name) == old_key,
                )
                .values(user_name=user.name)
            )
            if old_key == new_key:
                return
            for table in (inline_policies, policy_attachments):
                await connection.execute(
                    update(table)
                    .where(
                        table.c.account_id == user.account_id,
                        table.c.owner_kind == IdentityKind.USER.value,
                        table.c.owner_key == old_key,
                    )
                    .values(owner_key=new_key)
                )

    async def remove_user(self, account_id: str, name: str) -> None:
        await self._delete_named(users, account_id, name)

    async def add_access_key(self, key: AccessKey) -> None:
        await self._insert(access_keys, _access_key_values(key))

    async def access_key(self, access_key_id: str) -> AccessKey | None:
        async with self._database.reading() as connection:
            result = await connection.execute(select(access_keys).where(access_keys.c.access_key_id == access_key_id))
            row = result.first()
        return None if row is None else _access_key(row)

    async def access_keys(self, account_id: str, user_name: str | None) -> tuple[AccessKey, ...]:
        """Oldest first. `user_name` as the user is called (its own case); None means the root user."""
        owner = access_keys.c.user_name.is_(None) if user_name is None else access_keys.c.user_name == user_name
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(access_keys)
                .where(access_keys.c.account_id == account_id, owner)
                .order_by(access_keys.c.created_at_ms, access_keys.c.access_key_id)
            )
            return tuple(_access_key(row) for row in rows)

    async def replace_access_key(self, key: AccessKey) -> None:
        async with self._database.writing() as connection:
            await connection.execute(
                update(access_keys)
                .where(access_keys.c.access_key_id == key.access_key_id)
                .values(_access_key_values(key))
            )

    async def remove_access_key(self, access_key_id: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(access_keys).where(access_keys.c.access_key_id == access_key_id))

    async def add_role(self, role: Role) -> None:
        await self._insert(roles, _role_values(role))

    async def role(self, account_id: str, name: str) -> Role | None:
        row = await self._named(roles, account_id, name)
        return None if row is None else _role(row)

    async def roles(self, account_id: str, path_prefix: str) -> tuple[Role, ...]:
        return tuple(_role(row) for row in await self._below(roles, account_id, path_prefix))

    async def replace_role(self, role: Role) -> None:
        async with self._database.writing() as connection:
            where = (roles.c.account_id == role.account_id) & (roles.c.name_key == role.name.lower())
            await connection.execute(update(roles).where(where).values(_role_values(role)))

    async def remove_role(self, account_id: str, name: str) -> None:
        await self._delete_named(roles, account_id, name)

    async def put_inline_policy(self, owner: IdentityRef, policy: InlinePolicy) -> None:
        """Adds the policy, or replaces the one of that name."""
        async with self._database.writing() as connection:
            where = (*_owned(inline_policies, owner), inline_policies.c.name == policy.name)
            changed = await connection.execute(update(inline_policies).where(*where).values(document=policy.document))
            if changed.rowcount == 0:
                values = {**_owner_values(owner), "name": policy.name, "document": policy.document}
                await connection.execute(insert(inline_policies).values(values))

    async def inline_policies(self, owner: IdentityRef) -> tuple[InlinePolicy, ...]:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(inline_policies).where(*_owned(inline_policies, owner)))
            found = [InlinePolicy(name=row.name, document=row.document) for row in rows]
        return tuple(sorted(found, key=lambda policy: policy.name))

    async def remove_inline_policy(self, owner: IdentityRef, name: str) -> None:
        async with self._database.writing() as connection:
            where = (*_owned(inline_policies, owner), inline_policies.c.name == name)
            await connection.execute(delete(inline_policies).where(*where))

    async def add_managed_policy(self, policy: ManagedPolicy) -> None:
        async with self._database.writing() as connection:
            try:
                async with connection.begin_nested():
                    await connection.execute(insert(managed_policies).values(_managed_policy_values(policy)))
                    await _insert_versions(connection, policy)
            except IntegrityError as error:
                raise _taken(managed_policies) from error

    async def managed_policy(self, arn: str) -> ManagedPolicy | None:
        found = await self._managed(managed_policies.c.arn == arn)
        return found[0] if found else None

    async def managed_policies(self, account_id: str, path_prefix: str) -> tuple[ManagedPolicy, ...]:
        below = func.substr(managed_policies.c.path, 1, len(path_prefix)) == path_prefix
        return await self._managed((managed_policies.c.account_id == account_id) & below)

    async def replace_managed_policy(self, policy: ManagedPolicy) -> None:
        """Writes the new state, versions included."""
        async with self._database.writing() as connection:
            await connection.execute(
                update(managed_policies)
                .where(managed_policies.c.arn == policy.arn)
                .values(_managed_policy_values(policy))
            )
            await connection.execute(delete(policy_versions).where(policy_versions.c.policy_arn == policy.arn))
            await _insert_versions(connection, policy)

    async def remove_managed_policy(self, arn: str) -> None:
        async with self._database.writing() as connection:
            await connection.execute(delete(policy_versions).where(policy_versions.c.policy_arn == arn))
            await connection.execute(delete(managed_policies).where(managed_policies.c.arn == arn))

    async def attach_policy(self, owner: IdentityRef, policy_arn: str) -> None:
        """Idempotent. The policy must exist."""
        async with self._database.writing() as connection:
            where = (*_owned(policy_attachments, owner), policy_attachments.c.policy_arn == policy_arn)
            present = await connection.execute(select(policy_attachments.c.policy_arn).where(*where))
            if present.first() is None:
                values = {**_owner_values(owner), "policy_arn": policy_arn}
                await connection.execute(insert(policy_attachments).values(values))

    async def attached_policies(self, owner: IdentityRef) -> tuple[ManagedPolicy, ...]:
        attached = select(policy_attachments.c.policy_arn).where(*_owned(policy_attachments, owner))
        return await self._managed(managed_policies.c.arn.in_(attached))

    async def detach_policy(self, owner: IdentityRef, policy_arn: str) -> None:
        async with self._database.writing() as connection:
            where = (*_owned(policy_attachments, owner), policy_attachments.c.policy_arn == policy_arn)
            await connection.execute(delete(policy_attachments).where(*where))

    async def attached_entities(self, policy_arn: str) -> tuple[IdentityRef, ...]:
        """Users and roles of every account, sorted by kind and name."""
        found: list[IdentityRef] = []
        async with self._database.reading() as connection:
            for kind, table in ((IdentityKind.USER, users), (IdentityKind.ROLE, roles)):
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

    async def _insert(self, table: Table, values: Mapping[str, Any]) -> None:
        async with self._database.writing() as connection:
            try:
                async with connection.begin_nested():
                    await connection.execute(insert(table).values(values))
            except IntegrityError as error:
                raise _taken(table) from error

    async def _named(self, table: Table, account_id: str, name: str) -> Row[Any] | None:
        async with self._database.reading() as connection:
            where = (table.c.account_id == account_id) & (table.c.name_key == name.lower())
            return (await connection.execute(select(table).where(where))).first()

    async def _below(self, table: Table, account_id: str, path_prefix: str) -> list[Row[Any]]:
        """Rows whose path starts with the prefix, sorted by name in code point order whatever the collation is."""
        async with self._database.reading() as connection:
            below = func.substr(table.c.path, 1, len(path_prefix)) == path_prefix
            rows = await connection.execute(select(table).where(table.c.account_id == account_id, below))
            return sorted(rows, key=lambda row: str(row.name))

    async def _delete_named(self, table: Table, account_id: str, name: str) -> None:
        async with self._database.writing() as connection:
            where = (table.c.account_id == account_id) & (table.c.name_key == name.lower())
            await connection.execute(delete(table).where(where))

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


def _taken(table: Table) -> errors.AlreadyExists:
    return errors.AlreadyExists(f"The name is already in use in {table.name}.")


def _owner_values(owner: IdentityRef) -> dict[str, str]:
    return {"account_id": owner.account_id, "owner_kind": owner.kind.value, "owner_key": owner.name.lower()}


def _owned(table: Table, owner: IdentityRef) -> tuple[Any, ...]:
    return tuple(table.c[column] == value for column, value in _owner_values(owner).items())


def _tags_text(tags: Mapping[str, str]) -> str:
    return json.dumps(dict(tags), ensure_ascii=False, separators=(",", ":"))


def _tags(text: str) -> dict[str, str]:
    return {str(key): str(value) for key, value in json.loads(text).items()}


def _user_values(user: User) -> dict[str, Any]:
    return {
        "account_id": user.account_id,
        "name_key": user.name.lower(),
        "name": user.name,
        "path": user.path,
        "user_id": user.user_id,
        "created_at_ms": user.created_at_ms,
        "tags": _tags_text(user.tags),
        "boundary_arn": user.boundary_arn,
    }


def _user(row: Row[Any]) -> User:
    return User(
        account_id=row.account_id,
        name=row.name,
        path=row.path,
        user_id=row.user_id,
        arn=f"arn:aws:iam::{row.account_id}:user{row.path}{row.name}",
        created_at_ms=row.created_at_ms,
        tags=_tags(row.tags),
        boundary_arn=row.boundary_arn,
    )


def _role_values(role: Role) -> dict[str, Any]:
    return {
        "account_id": role.account_id,
        "name_key": role.name.lower(),
        "name": role.name,
        "path": role.path,
        "role_id": role.role_id,
        "created_at_ms": role.created_at_ms,
        "trust_policy": role.trust_policy,
        "description": role.description,
        "max_session_s": role.max_session_s,
        "tags": _tags_text(role.tags),
        "boundary_arn": role.boundary_arn,
    }


def _role(row: Row[Any]) -> Role:
    return Role(
        account_id=row.account_id,
        name=row.name,
        path=row.path,
        role_id=row.role_id,
        arn=f"arn:aws:iam::{row.account_id}:role{row.path}{row.name}",
        created_at_ms=row.created_at_ms,
        trust_policy=row.trust_policy,
        description=row.description,
        max_session_s=row.max_session_s,
        tags=_tags(row.tags),
        boundary_arn=row.boundary_arn,
    )


def _access_key_values(key: AccessKey) -> dict[str, Any]:
    return {
        "access_key_id": key.access_key_id,
        "account_id": key.account_id,
        "user_name": key.user_name,
        "active": key.active,
        "created_at_ms": key.created_at_ms,
        "sealed_secret": key.sealed_secret,
        "last_used_at_ms": key.last_used_at_ms,
        "last_used_service": key.last_used_service,
        "last_used_region": key.last_used_region,
    }


def _access_key(row: Row[Any]) -> AccessKey:
    return AccessKey(
        access_key_id=row.access_key_id,
        account_id=row.account_id,
        user_name=row.user_name,
        active=row.active,
        created_at_ms=row.created_at_ms,
        sealed_secret=row.sealed_secret,
        last_used_at_ms=row.last_used_at_ms,
        last_used_service=row.last_used_service,
        last_used_region=row.last_used_region,
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
        "tags": _tags_text(policy.tags),
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
        tags=_tags(row.tags),
        last_version=row.last_version,
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
