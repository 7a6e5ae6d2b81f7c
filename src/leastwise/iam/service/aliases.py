"""Account aliases: one name per account, unique in the installation."""

from __future__ import annotations

import re
from typing import Final

from leastwise.iam import refusals
from leastwise.iam.directory import Directory
from leastwise.kernel import errors

_ALIAS: Final = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]")
_ACCOUNT_ID: Final = re.compile(r"[0-9]{12}")


class Aliases:
    """The verbs of account aliases. Writes join the caller's transaction."""

    def __init__(self, *, directory: Directory) -> None:
        self._directory = directory

    async def create(self, account_id: str, alias: str) -> None:
        """The new alias takes the place of the one the account has.

        Raises: EntityAlreadyExists (another account's, or its own already), errors.Invalid.
        """
        # SECURITY: an alias that looks like an account id would stand for another account at sign-in.
        if not _ALIAS.fullmatch(alias) or _ACCOUNT_ID.fullmatch(alias):
            message = (
                "The specified value for accountAlias is invalid. It must contain only lowercase alphanumeric "
                "characters and/or hyphens, must not look like an account id, must not start or end with a hyphen, "
                "and must not contain two hyphens in a row"
            )
            raise errors.Invalid(message)
        if await self.find(account_id) == alias:
            raise refusals.alias_exists(alias)
        try:
            await self._directory.put_account_alias(account_id, alias)
        except errors.AlreadyExists as error:
            raise refusals.alias_exists(alias) from error

    async def find(self, account_id: str) -> str | None:
        return await self._directory.account_alias(account_id)

    async def account_of(self, alias: str) -> str | None:
        """The account that is called so, for sign-in."""
        return await self._directory.account_of_alias(alias)

    async def delete(self, account_id: str, alias: str) -> None:
        """Raises: NoSuchEntity."""
        if await self.find(account_id) != alias:
            raise refusals.no_alias(alias)
        await self._directory.remove_account_alias(account_id)
