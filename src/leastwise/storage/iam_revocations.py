"""Revoked sessions, and the revision that tells other processes of changes, on SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import insert, select, update

from leastwise.iam.directory import IdentityKind, Revocation
from leastwise.storage.iam_rows import SqlRows
from leastwise.storage.schema import directory_revision, session_epochs

_IDENTITIES = "identities"


class SqlRevocations(SqlRows):
    """Keeps `iam.directory.Revocations`."""

    async def revoke_sessions(self, revocation: Revocation) -> int:
        mine = session_epochs.c.unique_id == revocation.unique_id
        async with self._database.writing() as connection:
            present: int | None = await connection.scalar(select(session_epochs.c.not_before_ms).where(mine))
            if present is None:
                await connection.execute(
                    insert(session_epochs).values(
                        unique_id=revocation.unique_id,
                        account_id=revocation.account_id,
                        kind=revocation.kind.value,
                        not_before_ms=revocation.not_before_ms,
                    )
                )
                return revocation.not_before_ms
            later = session_epochs.c.not_before_ms < revocation.not_before_ms
            await connection.execute(
                update(session_epochs).where(mine, later).values(not_before_ms=revocation.not_before_ms)
            )
            return max(present, revocation.not_before_ms)

    async def revoked_until(self, unique_ids: Collection[str]) -> Mapping[str, int]:
        wanted = select(session_epochs.c.unique_id, session_epochs.c.not_before_ms).where(
            session_epochs.c.unique_id.in_(unique_ids)
        )
        async with self._database.reading() as connection:
            return {row.unique_id: row.not_before_ms for row in await connection.execute(wanted)}

    async def revocations(self, account_id: str) -> tuple[Revocation, ...]:
        wanted = (
            select(session_epochs)
            .where(session_epochs.c.account_id == account_id)
            .order_by(session_epochs.c.not_before_ms.desc(), session_epochs.c.unique_id)
        )
        async with self._database.reading() as connection:
            return tuple(
                Revocation(
                    account_id=row.account_id,
                    kind=IdentityKind(row.kind),
                    unique_id=row.unique_id,
                    not_before_ms=row.not_before_ms,
                )
                for row in await connection.execute(wanted)
            )

    async def directory_revision(self) -> int:
        async with self._database.reading() as connection:
            return await connection.scalar(select(directory_revision.c.revision)) or 0

    async def bump_directory_revision(self) -> int:
        table = directory_revision
        async with self._database.writing() as connection:
            # The row stays locked until the transaction ends: revisions are given out in the order of commits.
            changed = await connection.execute(update(table).values(revision=table.c.revision + 1))
            if changed.rowcount == 0:
                await connection.execute(insert(table).values(name=_IDENTITIES, revision=1))
            return await connection.scalar(select(table.c.revision)) or 0
