"""What users and roles are given: inline policies, attached policies, permissions boundaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from leastwise.iam import documents, names, refusals
from leastwise.iam.directory import Directory, IdentityKind, IdentityRef, InlinePolicy, ManagedPolicy
from leastwise.iam.policy.sizes import check_inline_policies


class Grants:
    """The same verbs for users and roles. The owner must exist. Writes join the caller's transaction."""

    def __init__(self, *, directory: Directory, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._changed = changed

    async def put_inline(self, owner: IdentityRef, name: str, document: str) -> None:
        """Adds or replaces. Raises: MalformedPolicy, errors.Invalid, errors.LimitExceeded."""
        names.check_name("policyName", name, longest=names.MAX_POLICY_NAME)
        documents.check_identity(document)
        others = [policy for policy in await self._directory.inline_policies(owner) if policy.name != name]
        check_inline_policies(owner.kind, owner.name, [document, *(policy.document for policy in others)])
        await self._directory.put_inline_policy(owner, InlinePolicy(name=name, document=document))
        self._changed()

    async def inline(self, owner: IdentityRef, name: str) -> InlinePolicy:
        """Raises: NoSuchEntity."""
        for policy in await self._directory.inline_policies(owner):
            if policy.name == name:
                return policy
        raise refusals.no_inline_policy(owner.kind, name)

    async def inline_policies(self, owner: IdentityRef) -> tuple[InlinePolicy, ...]:
        return await self._directory.inline_policies(owner)

    async def remove_inline(self, owner: IdentityRef, name: str) -> None:
        """Raises: NoSuchEntity."""
        await self.inline(owner, name)
        await self._directory.remove_inline_policy(owner, name)
        self._changed()

    async def attach(self, owner: IdentityRef, policy_arn: str) -> None:
        """Idempotent. Raises: NoSuchEntity, errors.LimitExceeded."""
        await self._usable(owner.account_id, policy_arn)
        attached = {policy.arn for policy in await self._directory.attached_policies(owner)}
        if policy_arn in attached:
            return
        quota = refusals.ATTACHMENTS[owner.kind]
        if len(attached) >= quota.limit:
            raise refusals.exceeded(quota)
        await self._directory.attach_policy(owner, policy_arn)
        self._changed()

    async def attached(self, owner: IdentityRef, *, path_prefix: str = "/") -> tuple[ManagedPolicy, ...]:
        found = await self._directory.attached_policies(owner)
        return tuple(policy for policy in found if policy.path.startswith(path_prefix))

    async def detach(self, owner: IdentityRef, policy_arn: str) -> None:
        """Raises: NoSuchEntity."""
        if policy_arn not in {policy.arn for policy in await self._directory.attached_policies(owner)}:
            raise refusals.no_policy(policy_arn)
        await self._directory.detach_policy(owner, policy_arn)
        self._changed()

    async def attached_to(self, account_id: str, policy_arn: str) -> tuple[IdentityRef, ...]:
        """Users and roles of one account that a policy is attached to."""
        return tuple(ref for ref in await self._directory.attached_entities(policy_arn) if ref.account_id == account_id)

    async def bound_by(self, account_id: str, policy_arn: str) -> tuple[IdentityRef, ...]:
        """Users and roles of one account whose boundary a policy is."""
        return tuple(ref for ref, arn in await self._boundaries(account_id) if arn == policy_arn)

    async def boundary_counts(self, account_id: str) -> Counter[str]:
        """How many identities of an account each policy bounds."""
        return Counter(arn for _, arn in await self._boundaries(account_id))

    async def _boundaries(self, account_id: str) -> list[tuple[IdentityRef, str]]:
        found = []
        for role in await self._directory.roles(account_id, "/"):
            if role.boundary_arn is not None:
                ref = IdentityRef(account_id=account_id, kind=IdentityKind.ROLE, name=role.name)
                found.append((ref, role.boundary_arn))
        for user in await self._directory.users(account_id, "/"):
            if user.boundary_arn is not None:
                ref = IdentityRef(account_id=account_id, kind=IdentityKind.USER, name=user.name)
                found.append((ref, user.boundary_arn))
        return found

    async def set_boundary(self, owner: IdentityRef, policy_arn: str | None) -> None:
        """Puts a boundary on, or takes it off (None). Raises: NoSuchEntity."""
        if policy_arn is not None:
            await self.check_boundary(owner.account_id, policy_arn)
        if owner.kind is IdentityKind.USER:
            user = await self._directory.user(owner.account_id, owner.name)
            if user is None:
                raise refusals.no_identity(owner.kind, owner.name)
            if policy_arn is None and user.boundary_arn is None:
                raise refusals.no_boundary(owner.kind, owner.name)
            await self._directory.replace_user(user.name, replace(user, boundary_arn=policy_arn))
        else:
            role = await self._directory.role(owner.account_id, owner.name)
            if role is None:
                raise refusals.no_identity(owner.kind, owner.name)
            if policy_arn is None and role.boundary_arn is None:
                raise refusals.no_boundary(owner.kind, owner.name)
            await self._directory.replace_role(replace(role, boundary_arn=policy_arn))
        self._changed()

    async def check_boundary(self, account_id: str, policy_arn: str) -> None:
        """Raises: NoSuchEntity."""
        await self._usable(account_id, policy_arn)

    async def check_none_left(self, owner: IdentityRef) -> None:
        """Raises: DeleteConflict."""
        if await self._directory.attached_policies(owner):
            raise refusals.attached_policies_left()
        if await self._directory.inline_policies(owner):
            raise refusals.inline_policies_left()

    async def _usable(self, account_id: str, policy_arn: str) -> None:
        policy = await self._directory.managed_policy(policy_arn)
        if policy is None or policy.account_id not in {account_id, names.BUILT_IN}:
            raise refusals.policy_not_attachable(policy_arn)
