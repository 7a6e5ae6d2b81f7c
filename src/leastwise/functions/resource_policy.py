"""A function's resource policy, built statement by statement as AddPermission says.

Source: Lambda API Reference, AddPermission; statement layout as recorded on AWS.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from leastwise.functions.interface import FunctionNotFound, InvalidParameter, PolicyTooLong, StatementExists
from leastwise.functions.limits import LARGEST_POLICY_BYTES

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_IDENTITY: Final = re.compile(
    r"arn:aws[a-zA-Z-]*:(?:iam::[0-9]{12}:(?:root|(?:user|role)/[\w+=,.@/-]+)|sts::[0-9]{12}:(?:assumed-role|federated-user)/[\w+=,.@/-]+)",
    re.ASCII,
)
_SERVICE: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com")
_ACTION: Final = re.compile(r"lambda:\*|lambda:[a-zA-Z]+|\*")
_URL_ACTION: Final = "lambda:InvokeFunctionUrl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """One grant, as AddPermission takes it.

    Args:
        statement_id: the Sid.
        action: `lambda:InvokeFunction`, ...
        principal: a service, an account id, an ARN of an identity, or `*`.
        source_arn: only calls on behalf of this resource (wildcards allowed).
        source_account: only calls on behalf of this account.
        organization_id: only principals of this organization.
        event_source_token: only calls with this token.
        url_auth_type: only through a function URL of this kind.
        via_url: only through a function URL (or, False, only not through one).
    """

    statement_id: str
    action: str
    principal: str
    source_arn: str | None = None
    source_account: str | None = None
    organization_id: str | None = None
    event_source_token: str | None = None
    url_auth_type: str | None = None
    via_url: bool | None = None


def build_statement(permission: Permission, *, resource: str) -> dict[str, Any]:
    """The policy statement of a permission.

    Args:
        permission: what is granted.
        resource: ARN of the function.

    Raises:
        InvalidParameter: a principal or an action that cannot be; conditions that do not go with the action.
    """
    if not _ACTION.fullmatch(permission.action):
        message = (
            f"1 validation error detected: Value '{permission.action[:256]}' at 'action' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])"
        )
        raise InvalidParameter(message, detail={"Type": "User"})
    if permission.url_auth_type is not None and permission.action != _URL_ACTION:
        message = "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action"
        raise InvalidParameter(message, detail={"Type": "User"})
    statement: dict[str, Any] = {
        "Sid": permission.statement_id,
        "Effect": "Allow",
        "Principal": _build_principal(permission.principal),
        "Action": permission.action,
        "Resource": resource,
    }
    condition = _build_condition(permission)
    if condition:
        statement["Condition"] = condition
    return statement


def add_statement(policy: str | None, statement: dict[str, Any]) -> str:
    """The policy with one statement more.

    Raises:
        StatementExists: its Sid is taken.
        PolicyTooLong: more than 20 KiB.
    """
    document = _empty() if policy is None else json.loads(policy)
    sid = statement["Sid"]
    if any(existing["Sid"] == sid for existing in document["Statement"]):
        message = (
            f"The statement id ({sid}) provided already exists. Please provide a new statement id, "
            "or remove the existing statement."
        )
        raise StatementExists(message, detail={"Type": "User"})
    document["Statement"].append(statement)
    text = to_text(document)
    if len(text) > LARGEST_POLICY_BYTES:
        message = f"The final policy size ({len(text)}) is bigger than the limit ({LARGEST_POLICY_BYTES})."
        raise PolicyTooLong(message, detail={"Type": "User"})
    return text


def remove_statement(policy: str | None, statement_id: str) -> str | None:
    """The policy with one statement less; None when that was the last.

    Raises:
        FunctionNotFound: AWS's ResourceNotFoundException: there is no policy, or no such statement.
    """
    if policy is None:
        message = "No policy is associated with the given resource."
        raise FunctionNotFound(message, detail={"Type": "User"})
    document = json.loads(policy)
    kept = [statement for statement in document["Statement"] if statement["Sid"] != statement_id]
    if len(kept) == len(document["Statement"]):
        message = f"Statement {statement_id} is not found in resource policy."
        raise FunctionNotFound(message, detail={"Type": "User"})
    document["Statement"] = kept
    return to_text(document) if kept else None


def to_text(document: dict[str, Any]) -> str:
    """JSON without blanks, as AWS gives it out."""
    return json.dumps(document, separators=(",", ":"))


def _empty() -> dict[str, Any]:
    return {"Version": "2012-10-17", "Id": "default", "Statement": []}


def _build_principal(principal: str) -> str | dict[str, str]:
    if principal == "*":
        return "*"
    if _ACCOUNT.fullmatch(principal):
        return {"AWS": f"arn:aws:iam::{principal}:root"}
    if _IDENTITY.fullmatch(principal):
        return {"AWS": principal}
    if _SERVICE.fullmatch(principal):
        return {"Service": principal}
    message = "The provided principal was invalid. Please check the principal and try again."
    raise InvalidParameter(message, detail={"Type": "User"})


def _build_condition(permission: Permission) -> dict[str, dict[str, str]]:
    asked = (
        ("AWS:SourceAccount", permission.source_account),
        ("aws:PrincipalOrgID", permission.organization_id),
        ("lambda:EventSourceToken", permission.event_source_token),
        ("lambda:FunctionUrlAuthType", permission.url_auth_type),
    )
    equal = {key: value for key, value in asked if value is not None}
    condition: dict[str, dict[str, str]] = {}
    if equal:
        condition["StringEquals"] = equal
    if permission.source_arn is not None:
        condition["ArnLike"] = {"AWS:SourceArn": permission.source_arn}
    if permission.via_url is not None:
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": "true" if permission.via_url else "false"}
    return condition
