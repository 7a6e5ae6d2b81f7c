"""Principals that nobody has proved to be: those an explanation is about, by name or as a record has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leastwise.iam import names
from leastwise.iam.directory import Role, User
from leastwise.iam.interface import InvalidInput, Issuer, Principal, PrincipalKind
from leastwise.iam.policy.operators import parse_instant

ANY_SESSION: Final = "*"
"""Stands for the name of a session that nobody named. No policy can name it: principals take no wildcard."""

_SERVICE_SUFFIX: Final = ".amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A principal as somebody writes it.

    Args:
        kind: root, user, role or service.
        name: of the user, role or service.
        arn: the ARN that it must have, None when only the name was given.
        session: of a role session; `ANY_SESSION` when none was named.
    """

    kind: PrincipalKind
    name: str = ""
    arn: str | None = None
    session: str = ANY_SESSION


def read_name(account_id: str, named: str) -> Named:
    """Understands who is meant.

    Args:
        account_id: the asker's.
        named: ARN of a user, role, role session or the root user; `user/NAME`, `role/NAME`; or a service.

    Raises:
        InvalidInput: it is no principal, or one of another account.
    """
    segments = named.split(":", 5)
    match segments:
        case [text] if text.endswith(_SERVICE_SUFFIX):
            return Named(kind=PrincipalKind.SERVICE, name=text)
        case [text]:
            service, resource, arn = "iam", text, None
        case ["arn", "aws", ("iam" | "sts") as service, "", owner, resource]:
            # SECURITY: who there is in another account, and what its policies say, is that account's business.
            if owner != account_id:
                message = f"{named} does not belong to this account. Access is explained within one account."
                raise InvalidInput(message)
            arn = named
        case _:
            raise _no_principal(named)
    kind, _, path = resource.partition("/")
    match service, kind:
        case "iam", "root" if not path:
            return Named(kind=PrincipalKind.ROOT)
        case "iam", "user" if path:
            return Named(kind=PrincipalKind.USER, name=path.rpartition("/")[2], arn=arn)
        case "iam", "role" if path:
            return Named(kind=PrincipalKind.ROLE_SESSION, name=path.rpartition("/")[2], arn=arn)
        case "sts", "assumed-role" if path.count("/") == 1:
            name, _, session = path.partition("/")
            return Named(kind=PrincipalKind.ROLE_SESSION, name=name, session=session)
    raise _no_principal(named)


def would_be(account_id: str, named: str) -> str:
    """The ARN of the user or role that is meant, if there were one of it. Raises: as `read_name`."""
    who = read_name(account_id, named)
    kind = "user" if who.kind is PrincipalKind.USER else "role"
    return who.arn or f"arn:aws:iam::{account_id}:{kind}/{who.name}"


def _no_principal(named: str) -> InvalidInput:
    return InvalidInput(
        f"{named} is no principal: give the ARN of a user, a role, a role session or the root user, "
        "user/NAME, role/NAME, or a service (lambda.amazonaws.com)."
    )


def root_principal(account_id: str) -> Principal:
    return Principal(
        kind=PrincipalKind.ROOT, account_id=account_id, arn=names.root_arn(account_id), unique_id=account_id
    )


def user_principal(user: User) -> Principal:
    """The user, without saying how it proves itself."""
    return Principal(
        kind=PrincipalKind.USER,
        account_id=user.account_id,
        arn=user.arn,
        unique_id=user.user_id,
        name=user.name,
        tags=user.tags,
    )


def role_principal(role: Role, session: str) -> Principal:
    """A session of the role. Its tags are not known: they may be given with the session."""
    return Principal(
        kind=PrincipalKind.ROLE_SESSION,
        account_id=role.account_id,
        arn=names.session_arn(role.account_id, role.name, session),
        role_arn=role.arn,
        unique_id=f"{role.role_id}:{session}",
        name=role.name,
        session_name=session,
    )


def service_principal(account_id: str, name: str) -> Principal:
    return Principal(kind=PrincipalKind.SERVICE, account_id=account_id, arn=name, unique_id=name, name=name)


def recorded_principal(identity: Mapping[str, object], *, account_id: str) -> Principal | None:
    """Reads `userIdentity` of a record back. Source: CloudTrail User Guide, "CloudTrail userIdentity element"."""

    def text(of: Mapping[str, object], name: str) -> str:
        value = of.get(name)
        return value if isinstance(value, str) else ""

    def part(of: Mapping[str, object], name: str) -> Mapping[str, object]:
        value = of.get(name)
        return value if isinstance(value, Mapping) else {}

    kind = text(identity, "type")
    if kind == PrincipalKind.SERVICE:
        return service_principal(account_id, text(identity, "invokedBy"))
    if kind not in {PrincipalKind.ROOT, PrincipalKind.USER, PrincipalKind.ROLE_SESSION, PrincipalKind.FEDERATED_USER}:
        return None
    arn = text(identity, "arn")
    session = part(identity, "sessionContext")
    issuer, attributes = part(session, "sessionIssuer"), part(session, "attributes")
    began = parse_instant(text(attributes, "creationDate"))
    issued_at_ms = None if began is None else began // 1000
    is_role, is_federated = kind == PrincipalKind.ROLE_SESSION, kind == PrincipalKind.FEDERATED_USER
    return Principal(
        kind=PrincipalKind(kind),
        account_id=account_id,
        arn=arn,
        role_arn=text(issuer, "arn") if is_role else None,
        unique_id=text(identity, "principalId"),
        name=text(issuer, "userName") if is_role else text(identity, "userName") or _last(arn, is_federated),
        session_name=arn.rpartition("/")[2] if is_role else None,
        access_key_id=text(identity, "accessKeyId"),
        session_issued_at_ms=issued_at_ms,
        mfa_authenticated_at_ms=issued_at_ms if text(attributes, "mfaAuthenticated") == "true" else None,
        source_identity=text(session, "sourceIdentity") or None,
        federated_by=Issuer(
            arn=text(issuer, "arn"), unique_id=text(issuer, "principalId"), name=text(issuer, "userName")
        )
        if is_federated
        else None,
        # A call without a session was signed with a long-term key: there is no other way to sign.
        authentication_method="key" if issued_at_ms is None and text(identity, "accessKeyId") else None,
    )


def _last(arn: str, wanted: bool) -> str:  # noqa: FBT001 - read beside its one use
    return arn.rpartition("/")[2] if wanted else ""
