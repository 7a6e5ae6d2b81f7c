"""Long-term access keys."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from leastwise.iam import refusals
from leastwise.iam.directory import AccessKey, Directory
from leastwise.iam.last_used import LastUsed
from leastwise.iam.refusals import Quota
from leastwise.iam.sealing import NONCE_BYTES, Seal
from leastwise.kernel import ids

ACCESS_KEY_PURPOSE: Final = "access key secrets"
_ACCESS_KEY_ID_LENGTH: Final = 20
_SECRET_BYTES: Final = 30
"""Forty characters of base64, as AWS's secrets have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccessKey:
    """A key at the one moment at which its secret is known outside `iam`."""

    key: AccessKey
    secret: str = field(repr=False)


def new_secret() -> str:
    return base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def new_access_key_id(prefix: str) -> str:
    return ids.unique_id(prefix, length=_ACCESS_KEY_ID_LENGTH)


class AccessKeys:
    """The verbs of access keys. `user_name` None is the root user. Writes join the caller's transaction."""

    def __init__(self, *, directory: Directory, seal: Seal, last_used: LastUsed, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._seal = seal
        self._last_used = last_used
        self._changed = changed

    async def create(self, account_id: str, user_name: str | None, *, now_ms: int) -> NewAccessKey:
        """The user must exist. Raises: errors.LimitExceeded."""
        if len(await self._directory.access_keys(account_id, user_name)) >= Quota.ACCESS_KEYS.limit:
            raise refusals.exceeded(Quota.ACCESS_KEYS)
        access_key_id, secret = new_access_key_id("AKIA"), new_secret()
        key = AccessKey(
            access_key_id=access_key_id,
            account_id=account_id,
            user_name=user_name,
            active=True,
            created_at_ms=now_ms,
            sealed_secret=self._seal.close(
                secret.encode(), bound_to=access_key_id, nonce=secrets.token_bytes(NONCE_BYTES)
            ),
        )
        await self._directory.add_access_key(key)
        self._changed()
        return NewAccessKey(key=key, secret=secret)

    async def find(self, access_key_id: str) -> AccessKey | None:
        return await self._directory.access_key(access_key_id)

    async def list(self, account_id: str, user_name: str | None) -> tuple[AccessKey, ...]:
        return await self._directory.access_keys(account_id, user_name)

    async def set_active(self, account_id: str, user_name: str | None, access_key_id: str, *, active: bool) -> None:
        """Raises: NoSuchEntity."""
        key = await self._owned(account_id, user_name, access_key_id)
        await self._directory.set_access_key_active(key.access_key_id, active=active)
        self._changed()

    async def delete(self, account_id: str, user_name: str | None, access_key_id: str) -> None:
        """Raises: NoSuchEntity."""
        key = await self._owned(account_id, user_name, access_key_id)
        await self._directory.remove_access_key(key.access_key_id)
        self._changed()

    async def last_used(self, account_id: str, access_key_id: str) -> AccessKey:
        """The key with its newest use, written back or not. Raises: NoSuchEntity."""
        key = await self._directory.access_key(access_key_id)
        if key is None or key.account_id != account_id:
            raise refusals.no_access_key(access_key_id)
        use = self._last_used.of(access_key_id)
        return key if use is None else use.on(key)

    async def _owned(self, account_id: str, user_name: str | None, access_key_id: str) -> AccessKey:
        # SECURITY: the caller was authorized for this user; a key of another must look as if it did not exist.
        key = await self._directory.access_key(access_key_id)
        if key is None or key.account_id != account_id or key.user_name != user_name:
            raise refusals.no_access_key(access_key_id)
        return key
