"""Short-lived credentials: AssumeRole, GetSessionToken, GetFederationToken, and execution roles for the platform itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from leastwise.iam import denials, documents, names, refusals, sessions
from leastwise.iam.directory import Directory, Role, Tag
from leastwise.iam.interface import BadProof, Credentials, Gate, Principal, PrincipalKind, Request
from leastwise.iam.last_used import LastUsed, Use
from leastwise.iam.refusals import Quota
from leastwise.iam.sealing import NONCE_BYTES, Seal
from leastwise.iam.service.access_keys import new_access_key_id, new_secret
from leastwise.kernel import errors
from leastwise.kernel.call import ServiceProof, Source

ASSUME_ROLE: Final = "sts:AssumeRole"
SERVICE_SESSION_S: Final = 12 * 3600
LAMBDA: Final = "lambda.amazonaws.com"
_GLOBAL_REGION: Final = "us-east-1"
"""Source: IAM User Guide, "AWS global condition context keys", aws:RequestedRegion, global services."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedRole:
    """A session that was just made.

    Args:
        credentials: of the session.
        unique_id: `AROA...:session`.
        arn: of the session.
        packed_policy_percent: AWS's PackedPolicySize; None without policies and tags.
        source_identity: set or inherited.
    """

    credentials: Credentials
    unique_id: str
    arn: str
    packed_policy_percent: int | None
    source_identity: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FederatedUser:
    """A federated user's session that was just made; the members are those of `AssumedRole`."""

    credentials: Credentials
    unique_id: str
    arn: str
    packed_policy_percent: int | None


class Sessions:
    """Keeps `iam.interface.SessionIssuer`, and the verbs of STS.

    Args:
        directory: roles and managed session policies.
        gate: decides whether a service may have a role.
        seal: of session tokens.
        message_seal: of authorization messages.
        role_last_used: where uses of roles are noted.
    """

    def __init__(
        self, *, directory: Directory, gate: Gate, seal: Seal, message_seal: Seal, role_last_used: LastUsed
    ) -> None:
        self._directory = directory
        self._gate = gate
        self._seal = seal
        self._message_seal = message_seal
        self._role_last_used = role_last_used

    def decode_authorization_message(self, account_id: str, text: str) -> str:
        """Why a caller of this account was denied, as JSON. Raises: InvalidAuthorizationMessage."""
        return denials.decode(text, self._message_seal, account_id=account_id)

    async def assume_role(
        self,
        caller: Principal,
        role_arn: str,
        *,
        session_name: str,
        duration_s: int | None,
        policy: str | None,
        policy_arns: Sequence[str],
        tags: Iterable[Tag],
        transitive_tag_keys: Sequence[str],
        source_identity: str | None,
        now_ms: int,
    ) -> AssumedRole:
        """Makes a session. The caller was authorized by `Gate.authorize` with the role's trust policy.

        Raises:
            errors.Denied: root; the role is gone; the inherited source identity would change.
            errors.Invalid: duration, policies or tags that are not allowed.
            PackedPolicyTooLarge: session policies or tags above their limit.
        """
        if caller.kind is PrincipalKind.ROOT:
            raise refusals.no_role_for_root()
        role = await self._role(role_arn)
        if role is None:
            raise errors.Denied(_not_authorized(caller, role_arn))
        # INVARIANT: a source identity, once set, names the person through the whole chain.
        if caller.source_identity is not None and source_identity not in {None, caller.source_identity}:
            raise refusals.source_identity_fixed()
        duration = sessions.role_session_s(duration_s, role_max_s=role.max_session_s, caller=caller)
        if policy is not None:
            documents.check_session(policy)
        await self._check_policy_arns(role.account_id, policy_arns)
        kept_tags, transitive = sessions.session_tags(names.read_tags(tags), tuple(transitive_tag_keys), caller=caller)
        percent = sessions.packed_percent(policy, tuple(policy_arns), kept_tags)
        credentials = self._issue(
            kind=PrincipalKind.ROLE_SESSION,
            account_id=role.account_id,
            name=role.name,
            unique_id=role.role_id,
            session_name=session_name,
            duration_s=duration,
            now_ms=now_ms,
            policies=() if policy is None else (policy,),
            policy_arns=tuple(policy_arns),
            tags=kept_tags,
            transitive_tag_keys=transitive,
            source_identity=source_identity or caller.source_identity,
            caller=caller,
        )
        return AssumedRole(
            credentials=credentials,
            unique_id=f"{role.role_id}:{session_name}",
            arn=names.session_arn(role.account_id, role.name, session_name),
            packed_policy_percent=percent,
            source_identity=source_identity or caller.source_identity,
        )

    async def session_token(self, caller: Principal, *, duration_s: int | None, now_ms: int) -> Credentials:
        """GetSessionToken. Raises: errors.Denied (the caller is itself a session, or a service)."""
        if caller.kind not in {PrincipalKind.USER, PrincipalKind.ROOT} or caller.session_issued_at_ms is not None:
            raise refusals.no_session_by_session()
        return self._issue(
            kind=caller.kind,
            account_id=caller.account_id,
            name=caller.name,
            unique_id=caller.unique_id,
            duration_s=sessions.user_session_s(duration_s, caller=caller),
            now_ms=now_ms,
            caller=caller,
        )

    async def federation_token(
        self,
        caller: Principal,
        name: str,
        *,
        duration_s: int | None,
        policy: str | None,
        policy_arns: Sequence[str],
        tags: Iterable[Tag],
        now_ms: int,
    ) -> FederatedUser:
        """GetFederationToken. The caller was authorized by `Gate.authorize`.

        Raises:
            errors.Denied: the caller is itself a session, or a service.
            errors.Invalid, MalformedPolicy: policies or tags that are not allowed.
            PackedPolicyTooLarge: session policies or session tags above their limit.
        """
        if caller.kind not in {PrincipalKind.USER, PrincipalKind.ROOT} or caller.session_issued_at_ms is not None:
            raise refusals.no_federation_by_session()
        if policy is not None:
            documents.check_session(policy)
        await self._check_policy_arns(caller.account_id, policy_arns)
        kept_tags, _ = sessions.session_tags(names.read_tags(tags), (), caller=caller)
        percent = sessions.packed_percent(policy, tuple(policy_arns), kept_tags)
        credentials = self._issue(
            kind=PrincipalKind.FEDERATED_USER,
            account_id=caller.account_id,
            name=caller.name,
            unique_id=caller.unique_id,
            session_name=name,
            duration_s=sessions.user_session_s(duration_s, caller=caller),
            now_ms=now_ms,
            policies=() if policy is None else (policy,),
            policy_arns=tuple(policy_arns),
            tags=kept_tags,
            caller=caller,
        )
        return FederatedUser(
            credentials=credentials,
            unique_id=names.federated_user_id(caller.account_id, name),
            arn=names.federated_user_arn(caller.account_id, name),
            packed_policy_percent=percent,
        )

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
        """See `iam.interface.SessionIssuer`. `source_arn` becomes `aws:SourceArn` for the trust policy's conditions."""
        role = await self._role(role_arn)
        if role is None or not await self._trusts_service(role, service, source_arn=source_arn, now_ms=now_ms):
            message = f"The role {role_arn} cannot be assumed by {service}."
            raise errors.Denied(message)
        # SOURCE: IAM User Guide, "Refine permissions using last accessed information": a function that never calls
        # anything uses its role all the same.
        region = "" if source_arn is None else names.region_of(source_arn)
        self._role_last_used.note(role.role_id, Use(now_ms, service.partition(".")[0], region))
        return self._issue(
            kind=PrincipalKind.ROLE_SESSION,
            account_id=role.account_id,
            name=role.name,
            unique_id=role.role_id,
            session_name=session_name,
            # SOURCE: IAM User Guide, "Update the maximum session duration for a role": the setting does not limit
            # sessions assumed by AWS services.
            duration_s=min(duration_s, SERVICE_SESSION_S),
            now_ms=now_ms,
            source_function_arn=source_arn if service == LAMBDA else None,
        )

    async def role_can_be_assumed_by(
        self, role_arn: str, service: str, *, now_ms: int, source_arn: str | None = None
    ) -> bool:
        """Whether the role exists and its trust policy lets the service have it now."""
        role = await self._role(role_arn)
        return role is not None and await self._trusts_service(role, service, source_arn=source_arn, now_ms=now_ms)

    async def _trusts_service(self, role: Role, service: str, *, source_arn: str | None, now_ms: int) -> bool:
        """The service asks like everybody: a proof, and the gate's own context.

        SECURITY: a context of its own here lacked keys that conditions (and proofs about them) take for granted: a
        trust policy could give a role by "the key is missing" although nothing that decides said so.
        """
        proof = ServiceProof(service=service, account_id=role.account_id, source_arn=source_arn)
        try:
            principal = await self._gate.authenticate(proof, now_ms=now_ms)
        except BadProof:
            return False
        context = self._gate.context(
            principal,
            Source(ip=service, user_agent=service, tls=True, received_at_ms=now_ms),
            now_ms=now_ms,
            region=names.region_of(source_arn or "") or _GLOBAL_REGION,
            extra={},
            resource_account_id=role.account_id,
        )
        request = Request(
            principal=principal,
            action=ASSUME_ROLE,
            resource=role.arn,
            resource_account_id=role.account_id,
            context=context,
        )
        return (await self._gate.authorize(request, resource_policy=role.trust_policy)).allowed

    async def _role(self, role_arn: str) -> Role | None:
        place = names.role_in_arn(role_arn)
        role = None if place is None else await self._directory.role(*place)
        return role if role is not None and role.arn == role_arn else None

    async def _check_policy_arns(self, account_id: str, policy_arns: Sequence[str]) -> None:
        if len(policy_arns) > Quota.SESSION_POLICIES.limit:
            raise refusals.exceeded(Quota.SESSION_POLICIES)
        for arn in policy_arns:
            policy = await self._directory.managed_policy(arn)
            if policy is None or policy.account_id not in {account_id, names.BUILT_IN}:
                raise refusals.unknown_session_policy(arn)

    def _issue(
        self,
        *,
        kind: PrincipalKind,
        account_id: str,
        name: str,
        unique_id: str,
        duration_s: int,
        now_ms: int,
        session_name: str | None = None,
        policies: tuple[str, ...] = (),
        policy_arns: tuple[str, ...] = (),
        tags: Mapping[str, str] | None = None,
        transitive_tag_keys: tuple[str, ...] = (),
        source_identity: str | None = None,
        caller: Principal | None = None,
        source_function_arn: str | None = None,
    ) -> Credentials:
        """The session. `caller`: who made it, None for one that the platform makes for itself."""
        claims = sessions.Claims(
            key_id=new_access_key_id("ASIA"),
            secret=new_secret(),
            kind=kind.value,
            account_id=account_id,
            name=name,
            unique_id=unique_id,
            issued_at_ms=now_ms,
            # Whole seconds, because the Expiration that the caller is told has no fractions.
            expires_at_ms=(now_ms // 1000 + duration_s) * 1000,
            session_name=session_name,
            policies=policies,
            policy_arns=policy_arns,
            tags=dict(tags or {}),
            transitive_tag_keys=transitive_tag_keys,
            source_identity=source_identity,
            authentication_method=None if caller is None else caller.authentication_method,
            source_function_arn=source_function_arn,
            made_from={} if caller is None else sessions.made_from(caller, now_ms=now_ms),
        )
        return Credentials(
            access_key_id=claims.key_id,
            secret_access_key=claims.secret,
            session_token=sessions.write_token(claims, self._seal, nonce=secrets.token_bytes(NONCE_BYTES)),
            expires_at_ms=claims.expires_at_ms,
        )


def _not_authorized(caller: Principal, role_arn: str) -> str:
    return f"User: {caller.arn} is not authorized to perform: {ASSUME_ROLE} on resource: {role_arn}"
