"""What is kept about identities, and the port that keeps it: the second public page of `iam`, beside `interface.py`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from leastwise.iam.password_store import PasswordStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An IAM user. `arn` includes the path."""

    account_id: str
    name: str
    path: str
    user_id: str
    arn: str
    created_at_ms: int
    tags: Mapping[str, str] = field(default_factory=dict)
    boundary_arn: str | None = None
    password_last_used_at_ms: int | None = None
    """When the user last signed in with a password; None if never. Written by `note_password_use` only."""
    revision: int = field(default=0, compare=False)
    """Of what was read; see `Directory`. The same for every noun that has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An IAM group: users that share policies. A group is no principal."""

    account_id: str
    name: str
    path: str
    group_id: str
    arn: str
    created_at_ms: int
    revision: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A long-term key. `sealed_secret` is ciphertext; only `iam` can open it."""

    access_key_id: str
    account_id: str
    user_name: str | None
    """None: the account's root user."""
    active: bool
    created_at_ms: int
    sealed_secret: bytes = field(repr=False)
    last_used_at_ms: int | None = None
    last_used_service: str | None = None
    last_used_region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """An IAM role. `trust_policy` is the AssumeRolePolicyDocument as JSON text, as it was given."""

    account_id: str
    name: str
    path: str
    role_id: str
    arn: str
    created_at_ms: int
    trust_policy: str
    description: str = ""
    max_session_s: int = 3600
    tags: Mapping[str, str] = field(default_factory=dict)
    boundary_arn: str | None = None
    last_used_at_ms: int | None = None
    """When one of its sessions signed a call; None when none did."""
    last_used_region: str | None = None
    revision: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    version_id: str
    document: str
    is_default: bool
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedPolicy:
    """A customer or built-in managed policy; `versions` newest first. Built-in ones have account_id `aws`."""

    account_id: str
    name: str
    path: str
    policy_id: str
    arn: str
    description: str
    created_at_ms: int
    updated_at_ms: int
    versions: tuple[PolicyVersion, ...]
    attachment_count: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    last_version: int = 1
    """The highest number a version ever had: numbers are not used again after a version is deleted."""
    revision: int = field(default=0, compare=False)

    @property
    def default_version(self) -> PolicyVersion:
        return next(version for version in self.versions if version.is_default)


class IdentityKind(StrEnum):
    """What policies can be put on or attached to."""

    USER = "user"
    ROLE = "role"
    GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRef:
    """A user, role or group by name."""

    account_id: str
    kind: IdentityKind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InlinePolicy:
    name: str
    document: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedPolicies:
    """All policies of one user, role or group, each kind sorted by name."""

    owner: IdentityRef
    inline: tuple[InlinePolicy, ...]
    attached: tuple[ManagedPolicy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account of the installation."""

    account_id: str
    created_at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Sessions of one role or user, and those made from them, that began at this instant or before have ended.

    Args:
        account_id: of the role or user.
        kind: role or user.
        unique_id: `AROA...` or `AIDA...`: a role made anew under an old name is another role.
        not_before_ms: epoch ms.
    """

    account_id: str
    kind: IdentityKind
    unique_id: str
    not_before_ms: int


class Revocations(Protocol):
    """Where it is kept which sessions were ended, and how often identities were changed."""

    async def revoke_sessions(self, revocation: Revocation) -> int:
        """INVARIANT: the instant never moves back, or ended sessions would live again. The one that holds, epoch ms."""
        ...

    async def revoked_until(self, unique_ids: Collection[str]) -> Mapping[str, int]:
        """By unique id the instant, epoch ms; identities that were never revoked are left out."""
        ...

    async def revocations(self, account_id: str) -> tuple[Revocation, ...]:
        """Of one account, newest first."""
        ...

    async def directory_revision(self) -> int:
        """Grows with every committed change of identities, whichever process made it."""
        ...

    async def bump_directory_revision(self) -> int:
        """Announces a change in the same transaction. The new revision."""
        ...


class Directory(Revocations, PasswordStore, Protocol):
    """Where accounts, users, groups, roles, keys and policies are kept. Every write joins the caller's transaction.

    Lists come back sorted by name. A missing thing is None; uniqueness violations raise `errors.AlreadyExists`.

    INVARIANT: no lost update. What is read carries a revision; `replace_...` of a noun that has one writes only over
    that revision and raises `ConcurrentModification` when it was changed or removed since. The written one has the next.
    """

    async def add_account(self, account: Account) -> None: ...
    async def accounts(self) -> tuple[Account, ...]: ...

    async def add_user(self, user: User) -> None: ...
    async def user(self, account_id: str, name: str) -> User | None: ...
    async def users(self, account_id: str, path_prefix: str) -> tuple[User, ...]: ...
    async def replace_user(self, name: str, user: User) -> None: ...
    async def remove_user(self, account_id: str, name: str) -> None: ...

    async def add_access_key(self, key: AccessKey) -> None: ...
    async def access_key(self, access_key_id: str) -> AccessKey | None: ...
    async def access_keys(self, account_id: str, user_name: str | None) -> tuple[AccessKey, ...]: ...
    async def set_access_key_active(self, access_key_id: str, *, active: bool) -> None: ...
    async def note_access_key_use(self, access_key_id: str, *, at_ms: int, service: str, region: str) -> None: ...
    async def remove_access_key(self, access_key_id: str) -> None: ...

    async def add_role(self, role: Role) -> None: ...
    async def role(self, account_id: str, name: str) -> Role | None: ...
    async def roles(self, account_id: str, path_prefix: str) -> tuple[Role, ...]: ...
    async def roles_mentioning(self, texts: Sequence[str]) -> tuple[Role, ...]:
        """Roles of every account whose trust policy may contain one of these texts, in no order.

        Also every role whose trust policy contains a backslash: what is escaped may mean any of them. The caller reads
        the policies; this only spares reading those that cannot matter.
        """
        ...

    async def replace_role(self, role: Role) -> None:
        """All but its last use."""
        ...

    async def note_role_use(self, role_id: str, *, at_ms: int, region: str) -> None: ...
    async def remove_role(self, account_id: str, name: str) -> None: ...

    async def add_group(self, group: Group) -> None: ...
    async def group(self, account_id: str, name: str) -> Group | None: ...
    async def groups(self, account_id: str, path_prefix: str) -> tuple[Group, ...]: ...
    async def replace_group(self, name: str, group: Group) -> None:
        """Writes the new state of the group called `name`; members and policies come along."""
        ...

    async def remove_group(self, account_id: str, name: str) -> None: ...
    async def add_group_member(self, account_id: str, group_name: str, user_name: str) -> None:
        """Idempotent. Group and user must exist."""
        ...

    async def remove_group_member(self, account_id: str, group_name: str, user_name: str) -> None: ...
    async def group_members(self, account_id: str, group_name: str) -> tuple[User, ...]: ...
    async def groups_of_user(self, account_id: str, user_name: str) -> tuple[Group, ...]: ...

    async def put_inline_policy(self, owner: IdentityRef, policy: InlinePolicy) -> None: ...
    async def inline_policies(self, owner: IdentityRef) -> tuple[InlinePolicy, ...]: ...
    async def remove_inline_policy(self, owner: IdentityRef, name: str) -> None: ...

    async def add_managed_policy(self, policy: ManagedPolicy) -> None: ...
    async def managed_policy(self, arn: str) -> ManagedPolicy | None: ...
    async def managed_policies(self, account_id: str, path_prefix: str) -> tuple[ManagedPolicy, ...]: ...
    async def replace_managed_policy(self, policy: ManagedPolicy) -> None: ...
    async def remove_managed_policy(self, arn: str) -> None: ...

    async def attach_policy(self, owner: IdentityRef, policy_arn: str) -> None: ...
    async def attached_policies(self, owner: IdentityRef) -> tuple[ManagedPolicy, ...]: ...
    async def detach_policy(self, owner: IdentityRef, policy_arn: str) -> None: ...
    async def policies_of(self, owners: Sequence[IdentityRef]) -> tuple[OwnedPolicies, ...]:
        """The policies of each owner, in the order given. In few questions: decisions wait for the answer."""
        ...

    async def attached_entities(self, policy_arn: str) -> tuple[IdentityRef, ...]: ...
