"""Whom a role trusts: the principals that a trust policy names, and what becomes of them.

AWS keeps the unique id of a trusted user or role, so that one made anew under an old name is not trusted. Here the
ARN stands in the document while its owner lives; it is replaced by the unique id when the owner is deleted, and by
the new ARN when it is renamed.
Source: IAM User Guide, "AWS JSON policy elements: Principal".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from leastwise.iam.directory import IdentityKind
from leastwise.iam.policy.malformed import item_place, statement_place

AWS_PRINCIPAL = "AWS"
SERVICE_PRINCIPAL = "Service"
FEDERATED_PRINCIPAL = "Federated"


def trusted(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(place, type, value) of every principal in a checked document, type "AWS" and value "*" for a bare star."""
    statements = document.get("Statement", [])
    for index, statement in enumerate([statements] if isinstance(statements, Mapping) else statements):
        place = f"{statement_place(index, statement.get('Sid'))}.Principal"
        principals = statement.get("Principal", {})
        if isinstance(principals, str):
            yield place, AWS_PRINCIPAL, principals
            continue
        for kind, values in principals.items():
            for position, value in enumerate([values] if isinstance(values, str) else values):
                yield item_place(place, kind, values, position), kind, value


def named_identity(value: str) -> tuple[str, IdentityKind | None, str, str] | None:
    """What an `AWS` principal names: (account id, kind, path, name).

    An account (twelve digits or its root ARN) has kind None and empty path and name; a role session stands for its
    role, with an empty path, which session ARNs drop. None when it is no principal at all.
    """
    if value.isascii() and value.isdigit() and len(value) == len("123456789012"):
        return value, None, "", ""
    match value.split(":", 5):
        case ["arn", "aws", "iam", "", account_id, "root"]:
            return account_id, None, "", ""
        case ["arn", "aws", "iam", "", account_id, resource]:
            kind, _, rest = resource.partition("/")
            path, _, name = rest.rpartition("/")
            if kind in {"user", "role"} and name:
                return account_id, IdentityKind(kind), f"/{path}/" if path else "/", name
        case ["arn", "aws", "sts", "", account_id, resource]:
            match resource.split("/"):
                case ["assumed-role", name, session] if name and session:
                    return account_id, IdentityKind.ROLE, "", name
    return None


def with_root_arns(text: str) -> str:
    """The trust policy as it is kept: an account that is named by its digits is named by its root ARN.

    Source: IAM User Guide, "AWS JSON policy elements: Principal", AWS account principals.
    """

    def spelled(value: str) -> str:
        named = named_identity(value)
        return f"arn:aws:iam::{value}:root" if named is not None and named[0] == value else value

    return _with_principals(text, spelled) or text


def mentions(kind: IdentityKind, arn: str) -> tuple[str, ...]:
    """What stands in a trust policy that names the owner of `arn`, unless it is escaped there."""
    return (arn, _session_prefix(arn)) if kind is IdentityKind.ROLE else (arn,)


def after_deletion(text: str, *, kind: IdentityKind, arn: str, unique_id: str) -> str | None:
    """The trust policy once the owner of `arn` is deleted; None when it did not name it."""
    return _rewritten(text, kind=kind, arn=arn, becomes=unique_id)


def after_renaming(text: str, *, kind: IdentityKind, arn: str, new_arn: str) -> str | None:
    """The trust policy once the owner of `arn` is called `new_arn`; None when it did not name it."""
    return _rewritten(text, kind=kind, arn=arn, becomes=new_arn)


def _rewritten(text: str, *, kind: IdentityKind, arn: str, becomes: str) -> str | None:
    session_prefix = _session_prefix(arn) if kind is IdentityKind.ROLE else None

    def renamed(value: str) -> str:
        return becomes if value == arn or (session_prefix is not None and value.startswith(session_prefix)) else value

    return _with_principals(text, renamed)


def _with_principals(text: str, renamed: Callable[[str], str]) -> str | None:
    """The policy with its `AWS` principals called anew; None when that changes nothing."""
    document = json.loads(text)
    changed = False
    for principals in _principals(document):
        if not isinstance(principals, str) and AWS_PRINCIPAL in principals:
            values = principals[AWS_PRINCIPAL]
            anew = renamed(values) if isinstance(values, str) else [renamed(value) for value in values]
            changed = changed or anew != values
            principals[AWS_PRINCIPAL] = anew
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) if changed else None


def _session_prefix(role_arn: str) -> str:
    account_id, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[1]
    return f"arn:aws:sts::{account_id}:assumed-role/{name}/"


def _principals(document: Mapping[str, Any]) -> Iterator[Any]:
    statements = document.get("Statement", [])
    for statement in [statements] if isinstance(statements, Mapping) else statements:
        for element in ("Principal", "NotPrincipal"):
            if element in statement:
                yield statement[element]
