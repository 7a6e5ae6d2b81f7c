"""What is kept about identities, and the port that keeps it: the second public page of `iam`, beside `interface.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


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
class Account:
    """One account of the installation."""

    account_id: str
    created_at_ms: int


class Directory(Protocol):
    """Where accounts, users, roles, keys and policies are kept. Every write joins the caller's transaction.

    Lists come back sorted by name. A missing thing is None; uniqueness violations raise `errors.AlreadyExists`.
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
    async def replace_access_key(self, key: AccessKey) -> None: ...
    async def remove_access_key(self, access_key_id: str) -> None: ...

    async def add_role(self, role: Role) -> None: ...
    async def role(self, account_id: str, name: str) -> Role | None: ...
    async def roles(self, account_id: str, path_prefix: str) -> tuple[Role, ...]: ...
    async def replace_role(self, role: Role) -> None: ...
    async def remove_role(self, account_id: str, name: str) -> None: ...

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
    async def attached_entities(self, policy_arn: str) -> tuple[IdentityRef, ...]: ...
