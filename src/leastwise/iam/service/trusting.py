"""What happens to trust policies when those they name come and go."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from leastwise.iam import names, refusals, trust
from leastwise.iam.directory import Directory, IdentityKind

_SERVICE: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com")


class Trusting:
    """Keeps trust policies pointing at living identities, and nowhere else."""

    def __init__(self, *, directory: Directory) -> None:
        self._directory = directory

    async def check_principals(self, document: Mapping[str, Any]) -> None:
        """Every principal of a trust policy must exist at the moment it is written.

        SECURITY: a role that trusted a name nobody has yet could be taken over by whoever makes an identity of that
        name. Federated principals are refused as long as there are no identity providers.

        Raises:
            MalformedPolicy: a principal does not exist, or is none.
        """
        for place, kind, value in trust.trusted(document):
            if not await self.exists(kind, value):
                raise refusals.unknown_principal(place, kind, value)

    async def exists(self, kind: str, value: str) -> bool:
        """Whether a principal of a policy is somebody at this moment; `kind` as in the Principal element."""
        if kind == trust.SERVICE_PRINCIPAL:
            return _SERVICE.fullmatch(value) is not None
        if kind != trust.AWS_PRINCIPAL:
            return False
        if value == "*":
            return True
        named = trust.named_identity(value)
        if named is None:
            # A federated user is whom a user of that account calls so; it exists as long as its session.
            federating = names.account_of_federated_user(value)
            return any(account.account_id == federating for account in await self._directory.accounts())
        account_id, identity_kind, path, name = named
        if identity_kind is None:
            return any(account.account_id == account_id for account in await self._directory.accounts())
        if identity_kind is IdentityKind.USER:
            user = await self._directory.user(account_id, name)
            return user is not None and user.arn == value
        role = await self._directory.role(account_id, name)
        if role is None or role.name != name:
            return False
        return not path or role.arn == names.identity_arn(account_id, IdentityKind.ROLE, path, name)

    async def identity_deleted(self, kind: IdentityKind, arn: str, *, unique_id: str) -> None:
        """Trust in a deleted identity becomes trust in its unique id, which nobody has again.

        SECURITY: without this, whoever makes a new user of the old name inherits every role that trusted the old one.
        """
        await self._rewrite(kind, arn, lambda text: trust.after_deletion(text, kind=kind, arn=arn, unique_id=unique_id))

    async def identity_moved(self, kind: IdentityKind, arn: str, *, new_arn: str) -> None:
        """Trust follows an identity that is renamed."""
        await self._rewrite(kind, arn, lambda text: trust.after_renaming(text, kind=kind, arn=arn, new_arn=new_arn))

    async def _rewrite(self, kind: IdentityKind, arn: str, rewritten: Callable[[str], str | None]) -> None:
        # A write transaction is open and everybody else waits: only what may name the identity is read and parsed.
        for role in await self._directory.roles_mentioning(trust.mentions(kind, arn)):
            text = rewritten(role.trust_policy)
            if text is not None:
                await self._directory.replace_role(replace(role, trust_policy=text))
