"""Identity and access: nouns, ports and errors. Other packages import this page and nothing else of `iam`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Protocol

from leastwise.kernel import errors
from leastwise.kernel.call import Proof, Source

ContextValue = str | Sequence[str]
"""A condition key's value as text: one string, or several for a multi-valued key."""


SEALED_DENIAL: Final = "sealedDenial"
"""Under which name the sealed reasons of a denial stand in its error's `detail`."""


class PrincipalKind(StrEnum):
    """Who can call. The words are those of CloudTrail's `userIdentity.type`."""

    ROOT = "Root"
    USER = "IAMUser"
    ROLE_SESSION = "AssumedRole"
    FEDERATED_USER = "FederatedUser"
    SERVICE = "AWSService"
    ANONYMOUS = "Anonymous"
    """Nobody in particular. No gate makes one; decisions about what is public are made for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Who made a federated user's session: the IAM user, or the account's root user (empty name).

    Args:
        arn: as it is now.
        unique_id: `AIDA...`, or the account id for root.
        name: user name, empty for root.
    """

    arn: str
    unique_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller.

    Args:
        kind: see `PrincipalKind`.
        account_id: the account the caller belongs to.
        arn: what policies call `aws:PrincipalArn` for users and root; for a role session the *session* ARN
            (`arn:aws:sts::ACC:assumed-role/ROLE/SESSION`), for a federated user its own
            (`arn:aws:sts::ACC:federated-user/NAME`).
        role_arn: ARN of the role behind a session, None otherwise. (`aws:PrincipalArn` of a session is this.)
        unique_id: `AIDA...`, `AROA...:session`, `ACC:NAME` of a federated user, or the account id for root
            (`aws:userid`).
        name: user name, role name, federated user's name, or service name; empty for root.
        session_name: of a role session.
        tags: principal tags, by key as written.
        access_key_id: the key that proved it; empty for services.
        session_policies: JSON texts passed when the session was made.
        session_issued_at_ms: when the session began; None for long-term keys.
        mfa_authenticated_at_ms: when a second factor was proved for this session, None if never.
        source_identity: as set with AssumeRole.
        transitive_tag_keys: session tags that the next session of a chain inherits.
        federated_by: who made a federated user's session, None otherwise.
        authentication_method: how whoever began the chain of sessions proved it (`key`, later `password`, `saml`,
            `oidc`, `ldap`); None for what no person began (`leastwise:AuthenticationMethod`).
        mfa_method: kind of the second factor (`totp`, `webauthn`), None if there was none (`leastwise:MfaMethod`).
        source_function_arn: the function whose execution environment holds the keys (`lambda:SourceFunctionArn`).
        source_arn: of a service's call: on behalf of what it is made (`aws:SourceArn`).
        called_via: services that passed the principal's call on, first to last (`aws:CalledVia`).
        made_from: unique id of every role or user earlier in the chain of sessions, and when its session began, epoch
            ms. Revoking one of them ends this session too.
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
    federated_by: Issuer | None = None
    authentication_method: str | None = None
    mfa_method: str | None = None
    source_function_arn: str | None = None
    source_arn: str | None = None
    called_via: tuple[str, ...] = ()
    made_from: Mapping[str, int] = field(default_factory=dict)


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

    def sealed_denial(self, request: Request, decision: Decision, *, resource_policy: str | None) -> str | None:
        """The reasons of a decision that refuses, sealed for `sts:DecodeAuthorizationMessage`; None if too long."""
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


class ConcurrentModification(errors.Conflict):
    """IAM's ConcurrentModification: somebody else changed it between reading and writing."""

    def __init__(self) -> None:
        super().__init__(
            "The request was rejected because multiple requests to change this object were submitted simultaneously. "
            "Wait a few minutes and submit your request again."
        )


class MalformedPolicy(errors.Invalid):
    """IAM's MalformedPolicyDocument, with the place."""


class PolicyNotAttachable(errors.Invalid):
    """IAM's PolicyNotAttachable."""


class InvalidInput(errors.Invalid):
    """IAM's InvalidInput."""


class PasswordPolicyViolation(errors.Invalid):
    """IAM's PasswordPolicyViolation."""


class InvalidUserType(errors.Invalid):
    """IAM's InvalidUserType."""


class EntityTemporarilyUnmodifiable(errors.Conflict):
    """IAM's EntityTemporarilyUnmodifiable: somebody else is changing it; the same call may succeed later."""


class InvalidAuthorizationMessage(errors.Invalid):
    """STS's InvalidAuthorizationMessageException: what DecodeAuthorizationMessage was given is no message of ours."""


class PackedPolicyTooLarge(errors.TooLarge):
    """STS's PackedPolicyTooLarge: session policies or session tags above their limit."""


AnyDocument = str | Mapping[str, Any]
