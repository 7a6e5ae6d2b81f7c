"""IAM roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from leastwise.iam import documents, names, refusals, trust
from leastwise.iam.directory import Directory, IdentityKind, IdentityRef, Role, Tag
from leastwise.iam.last_used import LastUsed
from leastwise.iam.policy.sizes import check_trust_policy
from leastwise.iam.refusals import Quota
from leastwise.iam.service.grants import Grants
from leastwise.iam.service.trusting import Trusting
from leastwise.kernel import errors, ids


class Roles:
    """The verbs of roles. Writes join the caller's transaction. Arguments as in `users.Users`, and uses of roles."""

    def __init__(
        self,
        *,
        directory: Directory,
        grants: Grants,
        trusting: Trusting,
        last_used: LastUsed,
        changed: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._grants = grants
        self._trusting = trusting
        self._last_used = last_used
        self._changed = changed

    async def create(
        self,
        account_id: str,
        name: str,
        *,
        path: str,
        trust_policy: str,
        description: str,
        max_session_s: int,
        tags: Iterable[Tag],
        boundary_arn: str | None,
        now_ms: int,
    ) -> Role:
        """Raises: EntityAlreadyExists, MalformedPolicy, errors.Invalid, errors.LimitExceeded, NoSuchEntity."""
        names.check_name("roleName", name, longest=names.MAX_IDENTITY_NAME)
        names.check_identity_path(path)
        # SECURITY: readers of policies trust that roles below this path belong to a service and not to a person.
        if path.startswith(names.SERVICE_PATH):
            raise refusals.path_of_services()
        trust_policy = await self._checked_trust(trust_policy)
        if boundary_arn is not None:
            await self._grants.check_boundary(account_id, boundary_arn)
        if len(await self._directory.roles(account_id, "/")) >= Quota.ROLES.limit:
            raise refusals.exceeded(Quota.ROLES)
        role = Role(
            account_id=account_id,
            name=name,
            path=path,
            role_id=ids.unique_id("AROA"),
            arn=names.identity_arn(account_id, IdentityKind.ROLE, path, name),
            created_at_ms=now_ms,
            trust_policy=trust_policy,
            description=description,
            max_session_s=max_session_s,
            tags=names.read_tags(tags),
            boundary_arn=boundary_arn,
        )
        try:
            await self._directory.add_role(role)
        except errors.AlreadyExists as error:
            raise refusals.identity_exists(IdentityKind.ROLE, name) from error
        self._changed()
        return role

    async def find(self, account_id: str, name: str) -> Role | None:
        return await self._directory.role(account_id, name)

    async def find_by_arn(self, arn: str) -> Role | None:
        """None also when a role of that name exists under another path."""
        place = names.role_in_arn(arn)
        role = None if place is None else await self._directory.role(*place)
        return role if role is not None and role.arn == arn else None

    async def get(self, account_id: str, name: str) -> Role:
        """Raises: NoSuchEntity."""
        role = await self._directory.role(account_id, name)
        if role is None:
            raise refusals.no_identity(IdentityKind.ROLE, name)
        return role

    def with_last_use(self, role: Role) -> Role:
        """The role with its newest use, written back or not."""
        use = self._last_used.of(role.role_id)
        return role if use is None else replace(role, last_used_at_ms=use.at_ms, last_used_region=use.region)

    async def list(self, account_id: str, path_prefix: str) -> tuple[Role, ...]:
        return await self._directory.roles(account_id, path_prefix)

    async def update(self, account_id: str, name: str, *, description: str | None, max_session_s: int | None) -> Role:
        """Raises: NoSuchEntity."""
        role = await self.get(account_id, name)
        return await self._replace(
            replace(
                role,
                description=role.description if description is None else description,
                max_session_s=role.max_session_s if max_session_s is None else max_session_s,
            )
        )

    async def trust(self, account_id: str, name: str, trust_policy: str) -> Role:
        """UpdateAssumeRolePolicy. Raises: NoSuchEntity, MalformedPolicy, errors.LimitExceeded."""
        role = await self.get(account_id, name)
        trust_policy = await self._checked_trust(trust_policy)
        return await self._replace(replace(role, trust_policy=trust_policy))

    async def delete(self, account_id: str, name: str) -> None:
        """Sessions of the role end with it. Raises: NoSuchEntity, DeleteConflict."""
        role = await self.get(account_id, name)
        await self._grants.check_none_left(IdentityRef(account_id=account_id, kind=IdentityKind.ROLE, name=role.name))
        await self._directory.remove_role(account_id, role.name)
        await self._trusting.identity_deleted(IdentityKind.ROLE, role.arn, unique_id=role.role_id)
        self._changed()

    async def tag(self, account_id: str, name: str, tags: Iterable[Tag]) -> None:
        """Raises: NoSuchEntity, errors.LimitExceeded."""
        role = await self.get(account_id, name)
        await self._replace(replace(role, tags=names.merge_tags(role.tags, names.read_tags(tags))))

    async def untag(self, account_id: str, name: str, keys: Iterable[str]) -> None:
        """Raises: NoSuchEntity."""
        role = await self.get(account_id, name)
        await self._replace(replace(role, tags=names.without_tags(role.tags, keys)))

    async def _replace(self, role: Role) -> Role:
        await self._directory.replace_role(role)
        self._changed()
        return role

    async def _checked_trust(self, text: str) -> str:
        """As it is kept. Raises: MalformedPolicy, errors.LimitExceeded."""
        document = documents.check_trust(text)
        check_trust_policy(text)
        await self._trusting.check_principals(document)
        return trust.with_root_arns(text)
