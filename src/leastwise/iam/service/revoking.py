"""Ending sessions before their time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from leastwise.iam import refusals
from leastwise.iam.directory import Directory, IdentityKind, Revocation, Role, User


class Revoking:
    """The verbs of revocation. Writes join the caller's transaction."""

    def __init__(self, *, directory: Directory, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._changed = changed

    async def revoke(self, identity: User | Role, *, until_ms: int | None, now_ms: int) -> Revocation:
        """Ends the sessions of a role or user that began at an instant or before, and all that were made from them.

        Args:
            identity: whose. Its long-term keys and passwords stay good.
            until_ms: epoch ms; None: now.
            now_ms: epoch ms.

        Returns:
            What holds from now on: an earlier revocation with a later instant stays.

        Raises:
            errors.Invalid: an instant that is still to come.
        """
        until_ms = now_ms if until_ms is None else until_ms
        if until_ms > now_ms:
            raise refusals.revoked_in_future()
        revocation = Revocation(
            account_id=identity.account_id,
            kind=IdentityKind.ROLE if isinstance(identity, Role) else IdentityKind.USER,
            unique_id=identity.role_id if isinstance(identity, Role) else identity.user_id,
            not_before_ms=until_ms,
        )
        holds_ms = await self._directory.revoke_sessions(revocation)
        self._changed()
        return replace(revocation, not_before_ms=holds_ms)

    async def of_account(self, account_id: str) -> tuple[Revocation, ...]:
        """Newest first."""
        return await self._directory.revocations(account_id)
