"""IAM users."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from leastwise.iam import names, refusals
from leastwise.iam.directory import Directory, IdentityKind, IdentityRef, Tag, User
from leastwise.iam.refusals import Quota
from leastwise.iam.service.grants import Grants
from leastwise.iam.service.trusting import Trusting
from leastwise.kernel import errors, ids


class Users:
    """The verbs of users. Writes join the caller's transaction.

    Args:
        directory: where they are kept.
        grants: their policies.
        trusting: the trust policies that may name them.
        changed: called by every write, so that caches forget once it is committed.
    """

    def __init__(
        self, *, directory: Directory, grants: Grants, trusting: Trusting, changed: Callable[[], None]
    ) -> None:
        self._directory = directory
        self._grants = grants
        self._trusting = trusting
        self._changed = changed

    async def create(
        self,
        account_id: str,
        name: str,
        *,
        path: str,
        tags: Iterable[Tag],
        boundary_arn: str | None,
        now_ms: int,
    ) -> User:
        """Raises: EntityAlreadyExists, errors.Invalid, errors.LimitExceeded, NoSuchEntity (the boundary)."""
        names.check_name("userName", name, longest=names.MAX_IDENTITY_NAME)
        names.check_identity_path(path)
        if boundary_arn is not None:
            await self._grants.check_boundary(account_id, boundary_arn)
        if len(await self._directory.users(account_id, "/")) >= Quota.USERS.limit:
            raise refusals.exceeded(Quota.USERS)
        user = User(
            account_id=account_id,
            name=name,
            path=path,
            user_id=ids.unique_id("AIDA"),
            arn=names.identity_arn(account_id, IdentityKind.USER, path, name),
            created_at_ms=now_ms,
            tags=names.read_tags(tags),
            boundary_arn=boundary_arn,
        )
        try:
            await self._directory.add_user(user)
        except errors.AlreadyExists as error:
            raise refusals.identity_exists(IdentityKind.USER, name) from error
        self._changed()
        return user

    async def find(self, account_id: str, name: str) -> User | None:
        return await self._directory.user(account_id, name)

    async def get(self, account_id: str, name: str) -> User:
        """Raises: NoSuchEntity."""
        user = await self._directory.user(account_id, name)
        if user is None:
            raise refusals.no_identity(IdentityKind.USER, name)
        return user

    async def list(self, account_id: str, path_prefix: str) -> tuple[User, ...]:
        return await self._directory.users(account_id, path_prefix)

    async def move(self, account_id: str, name: str, *, new_name: str | None, new_path: str | None) -> User:
        """UpdateUser: another name, another path. Keys, policies, groups and the trust that roles put in it come along.

        Raises: NoSuchEntity, EntityAlreadyExists, errors.Invalid.
        """
        user = await self.get(account_id, name)
        called = user.name
        if new_name is not None:
            called = names.check_name("newUserName", new_name, longest=names.MAX_IDENTITY_NAME)
        path = user.path if new_path is None else names.check_identity_path(new_path)
        arn = names.identity_arn(account_id, IdentityKind.USER, path, called)
        moved = replace(user, name=called, path=path, arn=arn)
        try:
            await self._directory.replace_user(user.name, moved)
        except errors.AlreadyExists as error:
            raise refusals.identity_exists(IdentityKind.USER, called) from error
        if moved.arn != user.arn:
            await self._trusting.identity_moved(IdentityKind.USER, user.arn, new_arn=moved.arn)
        self._changed()
        return moved

    async def delete(self, account_id: str, name: str) -> None:
        """Raises: NoSuchEntity, DeleteConflict."""
        user = await self.get(account_id, name)
        await self._grants.check_none_left(IdentityRef(account_id=account_id, kind=IdentityKind.USER, name=user.name))
        if await self._directory.access_keys(account_id, user.name):
            raise refusals.access_keys_left()
        if await self._directory.login_profile(user.user_id) is not None:
            raise refusals.login_profile_left()
        if await self._directory.groups_of_user(account_id, user.name):
            raise refusals.users_left_in_group()
        await self._directory.remove_user(account_id, user.name)
        await self._trusting.identity_deleted(IdentityKind.USER, user.arn, unique_id=user.user_id)
        self._changed()

    async def tag(self, account_id: str, name: str, tags: Iterable[Tag]) -> None:
        """Raises: NoSuchEntity, errors.LimitExceeded."""
        user = await self.get(account_id, name)
        await self._directory.replace_user(
            user.name, replace(user, tags=names.merge_tags(user.tags, names.read_tags(tags)))
        )
        self._changed()

    async def untag(self, account_id: str, name: str, keys: Iterable[str]) -> None:
        """Raises: NoSuchEntity."""
        user = await self.get(account_id, name)
        await self._directory.replace_user(user.name, replace(user, tags=names.without_tags(user.tags, keys)))
        self._changed()
