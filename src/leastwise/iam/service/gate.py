"""Who is it, and may they: the gate that every call passes."""

from __future__ import annotations

import contextlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from leastwise.iam import denials, names, sessions
from leastwise.iam.directory import AccessKey, Directory, Role, User
from leastwise.iam.interface import (
    BadProof,
    ContextValue,
    Decision,
    ExpiredSession,
    IncompleteSignature,
    MissingProof,
    Principal,
    PrincipalKind,
    Request,
    SignatureMismatch,
    UnknownKey,
)
from leastwise.iam.last_used import LastUsed, Use
from leastwise.iam.policy.context import build_context
from leastwise.iam.policy.evaluate import Layers, decide, decide_trust
from leastwise.iam.policy.explain import denial_message
from leastwise.iam.sealing import NONCE_BYTES, Seal, SealBrokenError
from leastwise.iam.service.access_keys import new_secret
from leastwise.iam.service.applying import Applying
from leastwise.iam.service.standing import AccountStanding
from leastwise.iam.signature import SigningKeys, verify
from leastwise.kernel.call import NoProof, Proof, ServiceProof, SigV4Proof, Source
from leastwise.kernel.transactions import Transactions

_LOG: Final = logging.getLogger(__name__)

INVALID_TOKEN: Final = "The security token included in the request is invalid."  # noqa: S105 - AWS's sentence
EXPIRED_TOKEN: Final = "The security token included in the request is expired"  # noqa: S105 - AWS's sentence

Kept = TypeVar("Kept")

_FEDERATED_USERS: Final = "arn:aws:sts:"
"""How the ARNs of federated users begin, and those of roles do not."""
_TRUST_ACTIONS: Final = frozenset({"sts:assumerole", "sts:tagsession", "sts:setsourceidentity"})
_WITH_A_KEY: Final = "key"
_REMEMBERED: Final = 10_000
"""Keys and sessions kept in memory; the oldest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A long-term key, ready to verify with."""

    principal: Principal
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Session:
    """A session whose token was opened, ready to verify with."""

    principal: Principal
    secret: str = field(repr=False)
    token: bytes = field(repr=False)
    expires_at_ms: int
    """When its token ends; the beginning of time once it was revoked."""


class IdentityGate:
    """Keeps `iam.interface.Gate`.

    Warm, neither question asks the database: keys, sessions and compiled policies stay in memory until a change of
    identities is committed, and then all of them are forgotten.

    Args:
        directory: identities and policies.
        transactions: for writing back when keys were last used.
        key_seal: of access key secrets.
        token_seal: of session tokens.
        message_seal: of the reasons that go out with denials.
        last_used: where uses of keys are noted.
        role_last_used: where uses of roles are noted.
        signing_keys: cache of derived signing keys.
        time_zone: IANA name, for the `leastwise:` clock keys.
        standing: where accounts stand; None where there is no organization.
    """

    def __init__(
        self,
        *,
        directory: Directory,
        transactions: Transactions,
        key_seal: Seal,
        token_seal: Seal,
        message_seal: Seal,
        last_used: LastUsed,
        role_last_used: LastUsed,
        signing_keys: SigningKeys,
        time_zone: str = "UTC",
        standing: AccountStanding | None = None,
    ) -> None:
        self._directory = directory
        self._transactions = transactions
        self._key_seal = key_seal
        self._token_seal = token_seal
        self._message_seal = message_seal
        self._last_used = last_used
        self._role_last_used = role_last_used
        self._signing_keys = signing_keys
        self._time_zone = time_zone
        self._standing = standing or AccountStanding(store=None)
        self._applying = Applying(directory=directory, standing=self._standing)
        self._keys: dict[str, _Key] = {}
        self._sessions: dict[str, _Session] = {}
        self._generation = 0
        self._nobodys_secret = new_secret()

    def forget(self) -> None:
        """Drops everything that was read. Called after a change of identities was committed."""
        self._generation += 1
        self._keys.clear()
        self._sessions.clear()
        self._applying.forget()

    # Who is it?

    async def authenticate(self, proof: Proof, *, now_ms: int) -> Principal:
        """See `iam.interface.Gate`."""
        # Also what `context` needs to be in memory.
        await self._standing.tree()
        if isinstance(proof, SigV4Proof):
            return await self._authenticate_signature(proof, now_ms)
        if isinstance(proof, ServiceProof):
            if await self._standing.is_suspended(proof.account_id):
                raise UnknownKey(INVALID_TOKEN)
            return Principal(
                kind=PrincipalKind.SERVICE,
                account_id=proof.account_id,
                arn=proof.service,
                unique_id=proof.service,
                name=proof.service,
                source_arn=proof.source_arn,
            )
        raise _refusal_of(proof)

    async def _authenticate_signature(self, proof: SigV4Proof, now_ms: int) -> Principal:
        found: _Key | _Session | None
        if proof.session_token is None:
            found = self._keys.get(proof.access_key_id) or await self._load_key(proof.access_key_id)
        else:
            found = await self._session(proof, proof.session_token)
        if found is None:
            # SECURITY: an unknown key costs a full verification too, so that time does not tell which keys exist.
            with contextlib.suppress(BadProof):
                verify(proof, self._nobodys_secret, now_ms=now_ms, signing_keys=SigningKeys(capacity=1))
            raise UnknownKey(INVALID_TOKEN)
        verify(proof, found.secret, now_ms=now_ms, signing_keys=self._signing_keys)
        if isinstance(found, _Session):
            if now_ms >= found.expires_at_ms:
                raise ExpiredSession(EXPIRED_TOKEN)
            _check_reach(found.principal, proof.service)
            if found.principal.kind is PrincipalKind.ROLE_SESSION:
                role_id = found.principal.unique_id.partition(":")[0]
                self._role_last_used.note(role_id, Use(now_ms, proof.service, proof.region))
        else:
            use = Use(now_ms, proof.service, proof.region)
            self._last_used.note(proof.access_key_id, use)
        return found.principal

    async def _load_key(self, access_key_id: str) -> _Key | None:
        generation = self._generation
        key = await self._directory.access_key(access_key_id)
        if key is None or not key.active or await self._standing.is_suspended(key.account_id):
            return None
        secret = self._open_secret(key)
        if key.user_name is None:
            principal = _root(key.account_id, access_key_id)
        else:
            user = await self._directory.user(key.account_id, key.user_name)
            if user is None:
                return None
            principal = _user(user, access_key_id)
        if secret is None:
            return None
        loaded = _Key(principal=principal, secret=secret)
        # INVARIANT: what was read before a change is never remembered after it.
        if generation == self._generation:
            _remember(self._keys, access_key_id, loaded)
        return loaded

    def _open_secret(self, key: AccessKey) -> str | None:
        try:
            return self._key_seal.open(key.sealed_secret, bound_to=key.access_key_id).decode()
        except SealBrokenError:
            _LOG.error("the secret of access key %s does not open: other install key, or altered", key.access_key_id)
            return None

    async def _session(self, proof: SigV4Proof, token: str) -> _Session | None:
        known = self._sessions.get(proof.access_key_id)
        # SECURITY: compared in constant time; a wrong token goes on to be opened, and fails there.
        if known is not None and hmac.compare_digest(known.token, token.encode("utf-8", "backslashreplace")):
            return known
        try:
            claims = sessions.read_token(token, self._token_seal, key_id=proof.access_key_id)
        except sessions.BadTokenError:
            return None
        generation = self._generation
        principal = await self._session_principal(claims)
        if principal is None:
            return None
        # SECURITY: a revoked session is told so only behind a good signature, as one that has expired.
        revoked = sessions.is_revoked(
            claims, await self._directory.revoked_until((claims.unique_id, *claims.made_from))
        )
        opened = _Session(
            principal=principal,
            secret=claims.secret,
            token=token.encode(),
            expires_at_ms=0 if revoked else claims.expires_at_ms,
        )
        if generation == self._generation:
            _remember(self._sessions, proof.access_key_id, opened)
        return opened

    async def _session_principal(self, claims: sessions.Claims) -> Principal | None:
        """Who the session is; None when the identity behind it is gone.

        SECURITY: a token outlives what it was made from only in its bytes: the role or user must still be the same
        one, by unique id, so that deleting it ends its sessions at once.
        """
        if await self._standing.is_suspended(claims.account_id):
            return None
        kind = PrincipalKind(claims.kind)
        if kind is PrincipalKind.ROOT or (kind is PrincipalKind.FEDERATED_USER and not claims.name):
            return sessions.principal_of(
                claims,
                arn=names.root_arn(claims.account_id),
                name="",
                identity_tags={},
                policies=claims.policies + await self._applying.session_policies(claims.policy_arns),
            )
        behind: Role | User | None
        if kind is PrincipalKind.ROLE_SESSION:
            behind = await self._directory.role(claims.account_id, claims.name)
            if behind is None or behind.role_id != claims.unique_id:
                return None
        else:
            behind = await self._user_by_id(claims)
            if behind is None:
                return None
        return sessions.principal_of(
            claims,
            arn=behind.arn,
            name=behind.name,
            identity_tags=behind.tags,
            policies=claims.policies + await self._applying.session_policies(claims.policy_arns),
        )

    async def _user_by_id(self, claims: sessions.Claims) -> User | None:
        user = await self._directory.user(claims.account_id, claims.name)
        if user is not None and user.user_id == claims.unique_id:
            return user
        everybody = await self._directory.users(claims.account_id, "/")
        return next((user for user in everybody if user.user_id == claims.unique_id), None)

    # May they?

    async def authorize(self, request: Request, *, resource_policy: str | None) -> Decision:
        """See `iam.interface.Gate`. For the actions that assume a role, `resource_policy` is its trust policy."""
        if _asks_trust(request):
            return decide_trust(request, await self._layers(request, resource_policy, trust=True))
        return decide(request, await self._layers(request, resource_policy, trust=False))

    async def layers(self, request: Request, *, resource_policy: str | None) -> tuple[Layers, bool]:
        """What `authorize` decides on, for whoever explains it; and whether the resource policy is a trust policy."""
        trust = _asks_trust(request)
        return await self._layers(request, resource_policy, trust=trust), trust

    async def _layers(self, request: Request, resource_policy: str | None, *, trust: bool) -> Layers:
        principal, owner = request.principal, request.resource_account_id
        known = self._applying.known(principal, resource_policy, resource_account_id=owner, trust=trust)
        if known is not None:
            return known
        return await self._applying.load(principal, resource_policy, resource_account_id=owner, trust=trust)

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
        """See `iam.interface.Gate`."""
        context = build_context(
            principal,
            source,
            now_ms=now_ms,
            region=region,
            extra=extra,
            time_zone=self._time_zone,
            resource_account_id=resource_account_id,
        )
        tree = self._standing.known
        if tree is not None:
            service = principal.kind is PrincipalKind.SERVICE
            context.update(tree.context(principal.account_id, resource_account_id, service=service))
        return context

    def denial_message(self, request: Request, decision: Decision) -> str:
        """See `iam.interface.Gate`."""
        return denial_message(request.principal.arn, request.action, request.resource, decision)

    def sealed_denial(self, request: Request, decision: Decision, *, resource_policy: str | None) -> str | None:
        """See `iam.interface.Gate`."""
        layers = self._applying.known(
            request.principal,
            resource_policy,
            resource_account_id=request.resource_account_id,
            trust=_asks_trust(request),
        )
        return denials.encode(request, decision, layers, self._message_seal, nonce=secrets.token_bytes(NONCE_BYTES))

    # When was it used?

    async def flush_last_used(self) -> None:
        """Writes down when keys and roles were last used. Call it now and then, and at the end; a kill loses the rest."""
        uses, role_uses = self._last_used.drain(), self._role_last_used.drain()
        if not uses and not role_uses:
            return
        try:
            async with self._transactions.begin():
                for access_key_id, use in uses.items():
                    await self._directory.note_access_key_use(
                        access_key_id, at_ms=use.at_ms, service=use.service, region=use.region
                    )
                for role_id, use in role_uses.items():
                    await self._directory.note_role_use(role_id, at_ms=use.at_ms, region=use.region)
        except BaseException:
            self._last_used.put_back(uses)
            self._role_last_used.put_back(role_uses)
            raise


def _remember(cache: dict[str, Kept], name: str, kept: Kept) -> None:
    if len(cache) >= _REMEMBERED:
        del cache[next(iter(cache))]
    cache[name] = kept


def _asks_trust(request: Request) -> bool:
    """Tags of a federated user's session are asked for too, and there is no trust policy in that."""
    return request.action.lower() in _TRUST_ACTIONS and not request.resource.startswith(_FEDERATED_USERS)


def _refusal_of(proof: NoProof) -> BadProof:
    kind = {"missing": MissingProof, "malformed": SignatureMismatch}.get(proof.reason, IncompleteSignature)
    return kind(proof.message)


def _check_reach(principal: Principal, service: str) -> None:
    """A user's session without a second factor, and a federated user's session, reach no IAM operation.

    SECURITY: a stolen short-lived key must not be able to make itself a long-lived one.
    Source: STS API Reference, GetSessionToken ("You cannot call any IAM API operations unless MFA authentication
    information is included in the request") and GetFederationToken ("You cannot call any IAM operations").
    """
    if service != "iam" or principal.kind is PrincipalKind.ROLE_SESSION:
        return
    if principal.kind is PrincipalKind.FEDERATED_USER or principal.mfa_authenticated_at_ms is None:
        raise UnknownKey(INVALID_TOKEN)


def _root(account_id: str, access_key_id: str) -> Principal:
    return Principal(
        kind=PrincipalKind.ROOT,
        account_id=account_id,
        arn=names.root_arn(account_id),
        unique_id=account_id,
        access_key_id=access_key_id,
        authentication_method=_WITH_A_KEY,
    )


def _user(user: User, access_key_id: str) -> Principal:
    return Principal(
        kind=PrincipalKind.USER,
        account_id=user.account_id,
        arn=user.arn,
        unique_id=user.user_id,
        name=user.name,
        tags=user.tags,
        access_key_id=access_key_id,
        authentication_method=_WITH_A_KEY,
    )
