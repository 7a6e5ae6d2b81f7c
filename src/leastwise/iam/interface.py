"""Identity and access: nouns, ports and errors. Other packages import this page and nothing else of `iam`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from leastwise.kernel import errors
from leastwise.kernel.call import Proof, Source

ContextValue = str | Sequence[str]
"""A condition key's value as text: one string, or several for a multi-valued key."""


class PrincipalKind(StrEnum):
    """Who can call. The words are those of CloudTrail's `userIdentity.type`."""

    ROOT = "Root"
    USER = "IAMUser"
    ROLE_SESSION = "AssumedRole"
    SERVICE = "AWSService"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller.

    Args:
        kind: see `PrincipalKind`.
        account_id: the account the caller belongs to.
        arn: what policies call `aws:PrincipalArn` for users and root; for a role session the *session* ARN
            (`arn:aws:sts::ACC:assumed-role/ROLE/SESSION`).
        role_arn: ARN of the role behind a session, None otherwise. (`aws:PrincipalArn` of a session is this.)
        unique_id: `AIDA...`, `AROA...:session`, or the account id for root (`aws:userid`).
        name: user name, role name, or service name; empty for root.
        session_name: of a role session.
        tags: principal tags, by key as written.
        access_key_id: the key that proved it; empty for services.
        session_policies: JSON texts passed when the session was made.
        session_issued_at_ms: when the session began; None for long-term keys.
        mfa_authenticated_at_ms: when a second factor was proved for this session, None if never.
        source_identity: as set with AssumeRole.
        transitive_tag_keys: session tags that the next session of a chain inherits.
    """

    kind: PrincipalKind
    account_id: str
    arn: str
    role_arn: str | None = None
    unique_id: str
    name: str = ""
    session_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    access_key_id: str = ""
    session_policies: tuple[str, ...] = ()
    session_issued_at_ms: int | None = None
    mfa_authenticated_at_ms: int | None = None
    source_identity: str | None = None
    transitive_tag_keys: tuple[str, ...] = ()


class PolicyKind(StrEnum):
    """The kinds of policy, in the words of AWS's denials."""

    IDENTITY = "identity-based"
    RESOURCE = "resource-based"
    BOUNDARY = "permissions boundary"
    SESSION = "session"
    SERVICE_CONTROL = "service control"
    RESOURCE_CONTROL = "resource control"
    TRUST = "role trust"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a decision is made about.

    Args:
        principal: the caller.
        action: `service:Operation`.
        resource: ARN of what is acted on, or `*` for operations that have no resource.
        resource_account_id: account that owns the resource.
        context: condition keys and their values. Keys are in lower case (keys are case-insensitive in policies);
            an absent key is absent, never an empty string.
    """

    principal: Principal
    action: str
    resource: str
    resource_account_id: str
    context: Mapping[str, ContextValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementId:
    """Names one statement: the policy it stands in, and its Sid or its position."""

    policy: str
    kind: PolicyKind
    sid: str
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer, with its reason.

    Args:
        allowed: True only if every layer that exists allows and none denies.
        layer: the kind of policy that decided: for an allow the layer that granted, for an explicit deny the layer
            of the denying statement, for an implicit deny the first layer that grants nothing.
        explicit: True when a Deny statement decided.
        statements: the deciding statements (the denying ones, or the granting ones); empty for an implicit deny.
    """

    allowed: bool
    layer: PolicyKind
    explicit: bool
    statements: tuple[StatementId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Short-lived keys of a session. Secrets never show in a repr."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at_ms: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRef:
    """A user or role by name."""

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


class Gate(Protocol):
    """What `flows.perform` asks of identity: who is it, and may they. Implemented by `iam.service.IdentityGate`."""

    async def authenticate(self, proof: Proof, *, now_ms: int) -> Principal:
        """Judges a proof.

        Raises:
            BadProof (a subclass per AWS error): missing, unknown key, wrong signature, expired, skewed clock.
        """
        ...

    async def authorize(self, request: Request, *, resource_policy: str | None) -> Decision:
        """Decides, with every policy that applies to the principal. A cached, compiled decision: no SQL when warm.

        Args:
            request: the request with its complete context.
            resource_policy: JSON text of the resource's own policy, None when it has none.
        """
        ...

    def context(
        self,
        principal: Principal,
        source: Source,
        *,
        now_ms: int,
        region: str,
        extra: Mapping[str, ContextValue],
        resource_account_id: str | None = None,
    ) -> Mapping[str, ContextValue]:
        """The global condition keys of a call, with those that the operation and its target supply (`extra`)."""
        ...

    def denial_message(self, request: Request, decision: Decision) -> str:
        """AWS's sentence for a decision that refuses."""
        ...


class SessionIssuer(Protocol):
    """Gives the platform short-lived credentials of an execution role."""

    async def assume_for_service(
        self,
        *,
        role_arn: str,
        service: str,
        session_name: str,
        duration_s: int,
        now_ms: int,
        source_arn: str | None = None,
    ) -> Credentials:
        """Credentials of the role for a service.

        Args:
            role_arn: the execution role.
            service: service principal, e.g. `lambda.amazonaws.com`.
            session_name: ends up in the session's ARN.
            duration_s: wished length, 12 hours at most. The role's MaxSessionDuration does not limit services.
            now_ms: when the session begins.
            source_arn: on behalf of what (the function's ARN): `aws:SourceArn` in the trust policy's conditions.

        Raises:
            errors.Denied: the role does not exist or its trust policy does not allow the service.
        """
        ...


class BadProof(errors.Unauthenticated):
    """Base of the ways in which a proof fails."""


class MissingProof(BadProof):
    """No signature at all."""


class IncompleteSignature(BadProof):
    """A signature that cannot be read."""


class UnknownKey(BadProof):
    """The access key id, or the token that came with it, is not one of ours."""


class SignatureMismatch(BadProof):
    """The signature is not the one that the secret gives."""


class ExpiredProof(BadProof):
    """Signed too long ago, presigned and past its time, or too far in the future."""


class ExpiredSession(BadProof):
    """The session token was good and is past its time."""


class NoSuchEntity(errors.NotFound):
    """IAM's NoSuchEntity."""


class EntityAlreadyExists(errors.AlreadyExists):
    """IAM's EntityAlreadyExists."""


class DeleteConflict(errors.Conflict):
    """IAM's DeleteConflict: something still hangs on it."""


class MalformedPolicy(errors.Invalid):
    """IAM's MalformedPolicyDocument, with the place."""


class PolicyNotAttachable(errors.Invalid):
    """IAM's PolicyNotAttachable."""


class InvalidInput(errors.Invalid):
    """IAM's InvalidInput."""


class PackedPolicyTooLarge(errors.TooLarge):
    """STS's PackedPolicyTooLarge: session policies or session tags above their limit."""


AnyDocument = str | Mapping[str, Any]
