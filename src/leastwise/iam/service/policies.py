"""Managed policies and their versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from leastwise.iam import documents, names, refusals
from leastwise.iam.directory import Directory, ManagedPolicy, PolicyVersion, Tag
from leastwise.iam.policy.sizes import check_managed_policy
from leastwise.iam.refusals import Quota
from leastwise.iam.service.grants import Grants
from leastwise.kernel import errors, ids


class Policies:
    """The verbs of managed policies. Writes join the caller's transaction.

    Every verb takes the account on whose behalf it acts: a policy of another account does not exist for it.
    """

    def __init__(self, *, directory: Directory, grants: Grants, changed: Callable[[], None]) -> None:
        self._directory = directory
        self._grants = grants
        self._changed = changed

    async def create(
        self,
        account_id: str,
        name: str,
        *,
        path: str,
        description: str,
        document: str,
        tags: Iterable[Tag],
        now_ms: int,
    ) -> ManagedPolicy:
        """Raises: EntityAlreadyExists, MalformedPolicy, errors.Invalid, errors.LimitExceeded."""
        names.check_name("policyName", name, longest=names.MAX_POLICY_NAME)
        names.check_policy_path(path)
        _check_document(document)
        if len(await self._directory.managed_policies(account_id, "/")) >= Quota.POLICIES.limit:
            raise refusals.exceeded(Quota.POLICIES)
        policy = ManagedPolicy(
            account_id=account_id,
            name=name,
            path=path,
            policy_id=ids.unique_id("ANPA"),
            arn=names.policy_arn(account_id, path, name),
            description=description,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            versions=(PolicyVersion(version_id="v1", document=document, is_default=True, created_at_ms=now_ms),),
            tags=names.read_tags(tags),
        )
        try:
            await self._directory.add_managed_policy(policy)
        except errors.AlreadyExists as error:
            raise refusals.policy_exists(name) from error
        self._changed()
        return policy

    async def find(self, account_id: str, arn: str) -> ManagedPolicy | None:
        """With the attachments of this account counted, not those of others."""
        policy = await self._directory.managed_policy(arn)
        if policy is None or policy.account_id not in {account_id, names.BUILT_IN}:
            return None
        return await self._counted_here(account_id, policy)

    async def get(self, account_id: str, arn: str) -> ManagedPolicy:
        """Raises: NoSuchEntity."""
        policy = await self.find(account_id, arn)
        if policy is None:
            raise refusals.no_policy(arn)
        return policy

    async def list(
        self, account_id: str, path_prefix: str, *, own: bool = True, built_in: bool = True
    ) -> tuple[ManagedPolicy, ...]:
        """Sorted by name, the account's own before built-in ones of the same name."""
        found: list[ManagedPolicy] = []
        if own:
            found.extend(await self._directory.managed_policies(account_id, path_prefix))
        if built_in:
            shipped = await self._directory.managed_policies(names.BUILT_IN, path_prefix)
            found.extend([await self._counted_here(account_id, policy) for policy in shipped])
        return tuple(sorted(found, key=lambda policy: (policy.name, policy.account_id)))

    async def delete(self, account_id: str, arn: str) -> None:
        """Raises: NoSuchEntity, DeleteConflict, errors.Denied (built-in)."""
        policy = await self._own(account_id, arn)
        # SECURITY: a boundary that vanished would otherwise leave its identities with none.
        if policy.attachment_count or await self._grants.bound_by(account_id, arn):
            raise refusals.policy_in_use()
        if len(policy.versions) > 1:
            raise refusals.policy_has_versions()
        await self._directory.remove_managed_policy(arn)
        self._changed()

    async def version(self, account_id: str, arn: str, version_id: str) -> PolicyVersion:
        """Raises: NoSuchEntity."""
        policy = await self.get(account_id, arn)
        for version in policy.versions:
            if version.version_id == version_id:
                return version
        raise refusals.no_policy_version(arn, version_id)

    async def add_version(
        self, account_id: str, arn: str, document: str, *, as_default: bool, now_ms: int
    ) -> PolicyVersion:
        """Raises: NoSuchEntity, MalformedPolicy, errors.LimitExceeded, errors.Denied (built-in)."""
        policy = await self._own(account_id, arn)
        _check_document(document)
        if len(policy.versions) >= refusals.POLICY_VERSIONS:
            raise refusals.too_many_versions()
        number = policy.last_version + 1
        added = PolicyVersion(version_id=f"v{number}", document=document, is_default=False, created_at_ms=now_ms)
        policy = replace(policy, versions=(added, *policy.versions), last_version=number, updated_at_ms=now_ms)
        if as_default:
            policy = _with_default(policy, added.version_id)
        await self._directory.replace_managed_policy(policy)
        self._changed()
        return policy.versions[0]

    async def set_default_version(self, account_id: str, arn: str, version_id: str, *, now_ms: int) -> None:
        """Raises: NoSuchEntity, errors.Denied (built-in)."""
        policy = await self._own(account_id, arn)
        await self.version(account_id, arn, version_id)
        await self._directory.replace_managed_policy(
            replace(_with_default(policy, version_id), updated_at_ms=now_ms),
        )
        self._changed()

    async def delete_version(self, account_id: str, arn: str, version_id: str, *, now_ms: int) -> None:
        """Raises: NoSuchEntity, DeleteConflict (the default one), errors.Denied (built-in)."""
        policy = await self._own(account_id, arn)
        version = await self.version(account_id, arn, version_id)
        if version.is_default:
            raise refusals.default_version()
        kept = tuple(other for other in policy.versions if other.version_id != version_id)
        await self._directory.replace_managed_policy(replace(policy, versions=kept, updated_at_ms=now_ms))
        self._changed()

    async def tag(self, account_id: str, arn: str, tags: Iterable[Tag]) -> None:
        """Raises: NoSuchEntity, errors.LimitExceeded, errors.Denied (built-in)."""
        policy = await self._own(account_id, arn)
        await self._directory.replace_managed_policy(
            replace(policy, tags=names.merge_tags(policy.tags, names.read_tags(tags)))
        )
        self._changed()

    async def untag(self, account_id: str, arn: str, keys: Iterable[str]) -> None:
        """Raises: NoSuchEntity, errors.Denied (built-in)."""
        policy = await self._own(account_id, arn)
        await self._directory.replace_managed_policy(replace(policy, tags=names.without_tags(policy.tags, keys)))
        self._changed()

    async def _own(self, account_id: str, arn: str) -> ManagedPolicy:
        policy = await self.get(account_id, arn)
        if policy.account_id == names.BUILT_IN:
            raise refusals.built_in_policy(arn)
        return policy

    async def _counted_here(self, account_id: str, policy: ManagedPolicy) -> ManagedPolicy:
        if policy.account_id == account_id or not policy.attachment_count:
            return policy
        return replace(policy, attachment_count=len(await self._grants.attached_to(account_id, policy.arn)))


def _check_document(document: str) -> None:
    documents.check_managed(document)
    check_managed_policy(document)


def _with_default(policy: ManagedPolicy, version_id: str) -> ManagedPolicy:
    """INVARIANT: exactly one version is the default."""
    versions = tuple(replace(version, is_default=version.version_id == version_id) for version in policy.versions)
    return replace(policy, versions=versions)
