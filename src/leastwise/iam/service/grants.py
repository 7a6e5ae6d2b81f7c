"""What users, roles and groups are given: inline policies, attached policies, permissions boundaries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from leastwise.iam import documents, names, refusals
from leastwise.iam.directory import (
    Directory,
    Group,
    IdentityKind,
    IdentityRef,
    InlinePolicy,
    ManagedPolicy,
    Role,
    User,
)
from leastwise.iam.interface import InvalidInput, MalformedPolicy, PolicyKind
from leastwise.iam.policy.document import parse_document
from leastwise.iam.policy.mentioned import allows_service, mentioned_keys
from leastwise.iam.policy.sizes import check_inline_policies


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySource:
    """A policy that applies to an identity, and whose it is. `arn` is None for an inline one."""

    owner: IdentityRef
    name: str
    arn: str | None
    document: str


class Grants:
    """The same verbs for users, roles and groups. The owner must exist. Writes join the caller's transaction."""

    def __init__(self, *, directory: Directory, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._changed = changed

    async def put_inline(self, owner: IdentityRef, name: str, document: str) -> None:
        """Adds or replaces. Raises: MalformedPolicy, errors.Invalid, errors.LimitExceeded."""
        names.check_name("policyName", name, longest=names.MAX_POLICY_NAME)
        documents.check_inline(document)
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
        """Users, roles and groups of one account that a policy is attached to."""
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
        held = await self._find(owner)
        # A group has no boundary: it is nobody.
        if held is None or isinstance(held, Group):
            raise refusals.no_identity(owner.kind, owner.name)
        if policy_arn is None and held.boundary_arn is None:
            raise refusals.no_boundary(owner.kind, owner.name)
        if isinstance(held, User):
            await self._directory.replace_user(held.name, replace(held, boundary_arn=policy_arn))
        else:
            await self._directory.replace_role(replace(held, boundary_arn=policy_arn))
        self._changed()

    async def check_boundary(self, account_id: str, policy_arn: str) -> None:
        """Raises: NoSuchEntity."""
        if not await self._is_usable(account_id, policy_arn):
            raise refusals.boundary_not_attachable(policy_arn)

    async def check_none_left(self, owner: IdentityRef) -> None:
        """Raises: DeleteConflict."""
        if await self._directory.attached_policies(owner):
            raise refusals.attached_policies_left()
        if await self._directory.inline_policies(owner):
            raise refusals.inline_policies_left()

    async def sources_of(self, account_id: str, arn: str) -> tuple[PolicySource, ...]:
        """Every policy that says what a user, role or group may do, a user's groups' included.

        Raises: NoSuchEntity.
        """
        owner = names.identity_in_arn(arn)
        found = None if owner is None or owner.account_id != account_id else await self._find(owner)
        if owner is None or found is None or found.arn != arn:
            raise refusals.no_source(arn)
        owners = [replace(owner, name=found.name)]
        if owner.kind is IdentityKind.USER:
            groups = await self._directory.groups_of_user(account_id, found.name)
            owners += [replace(owner, kind=IdentityKind.GROUP, name=group.name) for group in groups]
        sources: list[PolicySource] = []
        for held in await self._directory.policies_of(owners):
            sources += [
                PolicySource(owner=held.owner, name=policy.name, arn=None, document=policy.document)
                for policy in held.inline
            ]
            sources += [
                PolicySource(
                    owner=held.owner, name=policy.name, arn=policy.arn, document=policy.default_version.document
                )
                for policy in held.attached
            ]
        return tuple(sources)

    async def granting(
        self, account_id: str, arn: str, services: Iterable[str]
    ) -> Mapping[str, tuple[PolicySource, ...]]:
        """Which of them allow anything of each service. Raises: NoSuchEntity."""
        read = [
            (source, parse_document(source.document, kind=PolicyKind.IDENTITY))
            for source in await self.sources_of(account_id, arn)
        ]
        return {
            service: tuple(source for source, policy in read if allows_service(policy, service)) for service in services
        }

    def context_keys(self, texts: Iterable[str]) -> tuple[str, ...]:
        """The condition keys that policies read. Raises: InvalidInput (a text is no policy)."""
        try:
            return mentioned_keys(parse_document(text, kind=PolicyKind.IDENTITY) for text in texts)
        except MalformedPolicy as error:
            raise InvalidInput(error.message) from error

    async def _find(self, owner: IdentityRef) -> User | Role | Group | None:
        match owner.kind:
            case IdentityKind.USER:
                return await self._directory.user(owner.account_id, owner.name)
            case IdentityKind.ROLE:
                return await self._directory.role(owner.account_id, owner.name)
            case IdentityKind.GROUP:
                return await self._directory.group(owner.account_id, owner.name)

    async def _usable(self, account_id: str, policy_arn: str) -> None:
        if not await self._is_usable(account_id, policy_arn):
            raise refusals.policy_not_attachable(policy_arn)

    async def _is_usable(self, account_id: str, policy_arn: str) -> bool:
        policy = await self._directory.managed_policy(policy_arn)
        return policy is not None and policy.account_id in {account_id, names.BUILT_IN}
