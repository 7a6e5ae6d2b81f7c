"""Sessions: what a token carries, how long one may live, and whom it makes.

A token is self-contained and sealed: it is verified without asking the database.
Source: STS API Reference, AssumeRole, GetFederationToken and GetSessionToken; IAM User Guide, "Role chaining" and
"Pass session tags".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

import msgspec

from leastwise.iam import names, refusals
from leastwise.iam.interface import Issuer, Principal, PrincipalKind
from leastwise.iam.sealing import Seal, SealBrokenError
from leastwise.kernel import errors

TOKEN_PURPOSE: Final = "session tokens"  # noqa: S105 - the name of a key's purpose, not a secret
MAX_POLICY_CHARACTERS: Final = 2048
MAX_SESSION_TAGS: Final = 50
CHAINED_SESSION_S: Final = 3600
LONGEST_CHAIN: Final = 32
ROOT_SESSION_S: Final = 3600


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a session token says. Append-only: a token made by an older release must still open.

    Args:
        key_id: the `ASIA...` key that goes with it.
        secret: its secret access key.
        kind: a value of `PrincipalKind`.
        account_id: account of the identity behind it.
        name: of the role or user (of the user behind a federated one); empty for root.
        unique_id: of the role or user itself (`AROA...`), without the session's name; the account id for root.
        issued_at_ms: when it began.
        expires_at_ms: when it ends.
        session_name: of a role session, or the name of a federated user.
        policies: session policies as JSON texts.
        policy_arns: managed session policies.
        tags: session tags.
        transitive_tag_keys: those of them that the next session of a chain inherits.
        source_identity: as set, or as inherited.
        mfa_at_ms: when a second factor was proved, None if none was.
        mfa_method: kind of the second factor.
        authentication_method: how whoever began the chain proved it; None for what no person began.
        source_function_arn: of a function's own keys.
        made_from: unique id of every role or user earlier in the chain, and when its session began, epoch ms.
    """

    key_id: str
    secret: str
    kind: str
    account_id: str
    name: str
    unique_id: str
    issued_at_ms: int
    expires_at_ms: int
    session_name: str | None = None
    policies: tuple[str, ...] = ()
    policy_arns: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str | None = None
    mfa_at_ms: int | None = None
    mfa_method: str | None = None
    authentication_method: str | None = None
    source_function_arn: str | None = None
    made_from: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"Claims(key_id={self.key_id!r}, unique_id={self.unique_id!r})"


class BadTokenError(Exception):
    """Not a token of ours."""


def write_token(claims: Claims, seal: Seal, *, nonce: bytes) -> str:
    """The token's text: URL-safe, without padding."""
    sealed = seal.close(msgspec.msgpack.encode(claims), bound_to=claims.key_id, nonce=nonce)
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def read_token(text: str, seal: Seal, *, key_id: str) -> Claims:
    """Opens a token.

    Args:
        text: as it came with the request.
        seal: of session tokens.
        key_id: the access key id that came with it; a token opens for its own key only.

    Raises:
        BadTokenError: not sealed here, for another key, or damaged.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
        claims = msgspec.msgpack.decode(seal.open(sealed, bound_to=key_id), type=Claims)
    except (UnicodeError, binascii.Error, SealBrokenError, msgspec.MsgspecError) as error:
        raise BadTokenError from error
    if claims.key_id != key_id:
        raise BadTokenError
    return claims


def principal_of(
    claims: Claims, *, arn: str, name: str, identity_tags: Mapping[str, str], policies: tuple[str, ...]
) -> Principal:
    """Who a session is.

    Args:
        claims: of the token.
        arn: of the role or user as it is now, or of root.
        name: of the role or user as it is now; empty for root.
        identity_tags: of the role or user as it is now; a session tag of the same key goes before.
        policies: every session policy as JSON text, managed ones included.
    """
    kind = PrincipalKind(claims.kind)
    role_arn = issuer = None
    session_name = str(claims.session_name)
    unique_id = claims.unique_id
    if kind is PrincipalKind.ROLE_SESSION:
        role_arn, arn = arn, names.session_arn(claims.account_id, name, session_name)
        unique_id = f"{unique_id}:{session_name}"
    elif kind is PrincipalKind.FEDERATED_USER:
        issuer = Issuer(arn=arn, unique_id=unique_id, name=name)
        arn, name = names.federated_user_arn(claims.account_id, session_name), session_name
        unique_id = names.federated_user_id(claims.account_id, session_name)
    return Principal(
        kind=kind,
        account_id=claims.account_id,
        arn=arn,
        role_arn=role_arn,
        unique_id=unique_id,
        name=name,
        session_name=claims.session_name,
        tags=names.overlay_tags(identity_tags, claims.tags) if claims.tags else dict(identity_tags),
        access_key_id=claims.key_id,
        session_policies=policies,
        session_issued_at_ms=claims.issued_at_ms,
        mfa_authenticated_at_ms=claims.mfa_at_ms,
        source_identity=claims.source_identity,
        transitive_tag_keys=claims.transitive_tag_keys,
        federated_by=issuer,
        authentication_method=claims.authentication_method,
        mfa_method=claims.mfa_method,
        source_function_arn=claims.source_function_arn,
        made_from=claims.made_from,
    )


def made_from(caller: Principal, *, now_ms: int) -> dict[str, int]:
    """The chain that a session of the caller's will carry: the caller's own, and the caller itself.

    A role that comes twice keeps its earliest session, so the chain is no longer than there are roles in it. A
    long-term key is no session: in its place stands the session that is made with it.

    Raises:
        errors.Invalid: too many different roles in one chain.
    """
    if caller.kind is PrincipalKind.SERVICE:
        return {}
    behind = caller.unique_id if caller.federated_by is None else caller.federated_by.unique_id
    began_ms = now_ms if caller.session_issued_at_ms is None else caller.session_issued_at_ms
    chain = {**caller.made_from}
    chain.setdefault(behind.partition(":")[0], began_ms)
    if len(chain) > LONGEST_CHAIN:
        message = f"A chain of sessions goes through {LONGEST_CHAIN} different roles at most."
        raise errors.Invalid(message)
    return chain


def is_revoked(claims: Claims, revoked_until: Mapping[str, int]) -> bool:
    """Whether the session was ended: its own identity's sessions were, or those of one that it was made from.

    Args:
        claims: of the token.
        revoked_until: by unique id the instant up to which sessions have ended, epoch ms.
    """
    for unique_id, began_at_ms in ((claims.unique_id, claims.issued_at_ms), *claims.made_from.items()):
        until_ms = revoked_until.get(unique_id)
        # INVARIANT: what began in the very millisecond of the revocation has ended too.
        if until_ms is not None and began_at_ms <= until_ms:
            return True
    return False


def role_session_s(requested_s: int | None, *, role_max_s: int, caller: Principal) -> int:
    """How long a role session may live, in seconds. An hour when nothing is asked for.

    Raises:
        errors.Invalid: longer than the role allows, or longer than an hour by a session of a role.
    """
    if requested_s is None:
        return CHAINED_SESSION_S
    if caller.kind is PrincipalKind.ROLE_SESSION and requested_s > CHAINED_SESSION_S:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        raise errors.Invalid(message)
    if requested_s > role_max_s:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise errors.Invalid(message)
    return requested_s


def user_session_s(requested_s: int | None, *, caller: Principal) -> int:
    """How long the session of GetSessionToken or GetFederationToken lives: 12 hours when nothing is asked for; an hour
    at most for root.
    """
    wanted = 12 * 3600 if requested_s is None else requested_s
    return min(wanted, ROOT_SESSION_S) if caller.kind is PrincipalKind.ROOT else wanted


def session_tags(
    given: Mapping[str, str], transitive_keys: tuple[str, ...], *, caller: Principal
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Session tags and transitive keys of a new role session.

    INVARIANT: a transitive tag keeps its value along the whole chain; nobody on it can change it.

    Raises:
        errors.Invalid: a tag would change an inherited one, or a transitive key is not among the tags.
        PackedPolicyTooLarge: more than 50 tags.
    """
    inherited_keys = {key.lower() for key in caller.transitive_tag_keys}
    inherited = {key: value for key, value in caller.tags.items() if key.lower() in inherited_keys}
    clash = next((key for key in given if key.lower() in inherited_keys), None)
    if clash is not None:
        message = f"One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session: {clash}"
        raise errors.Invalid(message)
    known = {key.lower(): key for key in given}
    missing = next((key for key in transitive_keys if key.lower() not in known), None)
    if missing is not None:
        message = f"The specified transitive tag key must be included in the requested tags: {missing}"
        raise errors.Invalid(message)
    if len(given) + len(inherited) > MAX_SESSION_TAGS:
        raise refusals.too_many_session_tags()
    transitive = tuple(inherited) + tuple(known[key.lower()] for key in transitive_keys)
    return {**inherited, **given}, transitive


def packed_percent(policy: str | None, policy_arns: tuple[str, ...], tags: Mapping[str, str]) -> int | None:
    """AWS's PackedPolicySize: how much of the allowed size policies and tags take; None when there are none.

    Raises:
        PackedPolicyTooLarge: above 2,048 characters.
    """
    if policy is None and not policy_arns and not tags:
        return None
    written = len(policy or "") + sum(map(len, policy_arns))
    if written > MAX_POLICY_CHARACTERS:
        percent = -(-written * 100 // MAX_POLICY_CHARACTERS)
        raise refusals.session_policy_too_long(percent)
    written += sum(len(key) + len(value) for key, value in tags.items())
    return max(1, min(100, written * 100 // MAX_POLICY_CHARACTERS))
