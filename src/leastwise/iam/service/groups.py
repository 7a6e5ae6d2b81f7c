"""IAM groups and who is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from leastwise.iam import names, refusals
from leastwise.iam.directory import Directory, Group, IdentityKind, IdentityRef, User
from leastwise.iam.refusals import Quota
from leastwise.iam.service.grants import Grants
from leastwise.kernel import errors, ids


class Groups:
    """The verbs of groups. Writes join the caller's transaction.

    Args:
        directory: where they are kept.
        grants: their policies.
        changed: called by every write, so that caches forget once it is committed.
    """

    def __init__(self, *, directory: Directory, grants: Grants, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._grants = grants
        self._changed = changed

    async def create(self, account_id: str, name: str, *, path: str, now_ms: int) -> Group:
        """Raises: EntityAlreadyExists, errors.Invalid, errors.LimitExceeded."""
        names.check_name("groupName", name, longest=names.MAX_GROUP_NAME)
        names.check_identity_path(path)
        if len(await self._directory.groups(account_id, "/")) >= Quota.GROUPS.limit:
            raise refusals.exceeded(Quota.GROUPS)
        group = Group(
            account_id=account_id,
            name=name,
            path=path,
            group_id=ids.unique_id("AGPA"),
            arn=names.identity_arn(account_id, IdentityKind.GROUP, path, name),
            created_at_ms=now_ms,
        )
        try:
            await self._directory.add_group(group)
        except errors.AlreadyExists as error:
            raise refusals.identity_exists(IdentityKind.GROUP, name) from error
        self._changed()
        return group

    async def find(self, account_id: str, name: str) -> Group | None:
        return await self._directory.group(account_id, name)

    async def get(self, account_id: str, name: str) -> Group:
        """Raises: NoSuchEntity."""
        group = await self._directory.group(account_id, name)
        if group is None:
            raise refusals.no_identity(IdentityKind.GROUP, name)
        return group

    async def list(self, account_id: str, path_prefix: str) -> tuple[Group, ...]:
        return await self._directory.groups(account_id, path_prefix)

    async def move(self, account_id: str, name: str, *, new_name: str | None, new_path: str | None) -> Group:
        """UpdateGroup: another name, another path. Users and policies come along.

        Raises: NoSuchEntity, EntityAlreadyExists, errors.Invalid, errors.Conflict.
        """
        group = await self.get(account_id, name)
        called = group.name
        if new_name is not None:
            called = names.check_name("newGroupName", new_name, longest=names.MAX_GROUP_NAME)
        path = group.path if new_path is None else names.check_identity_path(new_path)
        arn = names.identity_arn(account_id, IdentityKind.GROUP, path, called)
        moved = replace(group, name=called, path=path, arn=arn)
        try:
            await self._directory.replace_group(group.name, moved)
        except errors.AlreadyExists as error:
            raise refusals.identity_exists(IdentityKind.GROUP, called) from error
        self._changed()
        return moved

    async def delete(self, account_id: str, name: str) -> None:
        """Raises: NoSuchEntity, DeleteConflict."""
        group = await self.get(account_id, name)
        if await self._directory.group_members(account_id, group.name):
            raise refusals.users_left_in_group()
        await self._grants.check_none_left(IdentityRef(account_id=account_id, kind=IdentityKind.GROUP, name=group.name))
        await self._directory.remove_group(account_id, group.name)
        self._changed()

    async def members(self, account_id: str, name: str) -> tuple[User, ...]:
        return await self._directory.group_members(account_id, name)

    async def of_user(self, account_id: str, user_name: str) -> tuple[Group, ...]:
        """Groups that a user is in."""
        return await self._directory.groups_of_user(account_id, user_name)

    async def add_user(self, account_id: str, name: str, user_name: str) -> None:
        """Idempotent. Raises: NoSuchEntity (group or user), errors.LimitExceeded."""
        group, user = await self._group_and_user(account_id, name, user_name)
        present = await self._directory.groups_of_user(account_id, user.name)
        if group.group_id in {other.group_id for other in present}:
            return
        if len(present) >= Quota.GROUPS_OF_USER.limit:
            raise refusals.exceeded(Quota.GROUPS_OF_USER)
        await self._directory.add_group_member(account_id, group.name, user.name)
        self._changed()

    async def remove_user(self, account_id: str, name: str, user_name: str) -> None:
        """Taking out a user that is not in the group is no error, in AWS neither. Raises: NoSuchEntity."""
        group, user = await self._group_and_user(account_id, name, user_name)
        await self._directory.remove_group_member(account_id, group.name, user.name)
        self._changed()

    async def _group_and_user(self, account_id: str, name: str, user_name: str) -> tuple[Group, User]:
        group = await self.get(account_id, name)
        user = await self._directory.user(account_id, user_name)
        if user is None:
            raise refusals.no_identity(IdentityKind.USER, user_name)
        return group, user
