"""What the library of ready managed policies is written with: the noun, its paths, and groups of actions.

The policies stand in `library_known.py` and `library_own.py`. A change there reaches every installation at its next
start, as a new default version (`iam.seed`). Never change the path of a policy: it is part of the ARN that people have
attached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

JOBS: Final = "/job-function/"
SERVICE_ROLES: Final = "/service-role/"
OURS: Final = "/leastwise/"

_Statement = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyPolicy:
    """One policy of the library."""

    name: str
    path: str = "/"
    description: str
    statements: tuple[Mapping[str, Any], ...]


def _statement(
    effect: str,
    actions: tuple[str, ...],
    *,
    sid: str | None = None,
    on: str | list[str] = "*",
    condition: Mapping[str, Any] | None = None,
) -> _Statement:
    statement: _Statement = {} if sid is None else {"Sid": sid}
    statement |= {"Effect": effect, "Action": list(actions), "Resource": on}
    return statement if condition is None else statement | {"Condition": condition}


def allow(*actions: str, **more: Any) -> _Statement:
    return _statement("Allow", actions, **more)


def deny(*actions: str, **more: Any) -> _Statement:
    return _statement("Deny", actions, **more)


TO_LAMBDA: Final = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
READ_IAM: Final = ("iam:Get*", "iam:List*", "iam:Generate*", "iam:Simulate*")
READ_LAMBDA: Final = ("lambda:Get*", "lambda:List*")
READ_LOGS: Final = ("logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents", "logs:StartQuery")
READ_TRAIL: Final = ("cloudtrail:Describe*", "cloudtrail:Get*", "cloudtrail:List*", "cloudtrail:LookupEvents")
READ_ANALYZER: Final = (
    "access-analyzer:Check*",
    "access-analyzer:Get*",
    "access-analyzer:List*",
    "access-analyzer:ValidatePolicy",
)
READ_ORGANIZATION: Final = ("organizations:Describe*", "organizations:List*")
READ_SCHEDULES: Final = ("events:Describe*", "events:List*", "scheduler:Get*", "scheduler:List*")
READ_SECRET_NAMES: Final = (
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetResourcePolicy",
    "secretsmanager:ListSecrets",
    "secretsmanager:ListSecretVersionIds",
)
READ_KEYS: Final = ("kms:Describe*", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:List*")
READ_OURS: Final = ("leastwise:ExplainAccess", "leastwise:Get*", "leastwise:List*")
READ_ROLES: Final = (
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:ListRoles",
)
READ_FUNCTION_LOGS: Final = (
    "logs:DescribeLogGroups",
    "logs:DescribeLogStreams",
    "logs:FilterLogEvents",
    "logs:GetLogEvents",
)
OWN_USER: Final = ["arn:aws:iam::*:user/${aws:username}", "arn:aws:iam::*:user/*/${aws:username}"]
"""Whatever its path. A name has no slash in it, so that nobody else's ARN ends so."""

CHANGES_OF_RIGHTS: Final = (
    "iam:Add*",
    "iam:Attach*",
    "iam:Create*",
    "iam:Deactivate*",
    "iam:Delete*",
    "iam:Detach*",
    "iam:Enable*",
    "iam:Put*",
    "iam:Remove*",
    "iam:Set*",
    "iam:Tag*",
    "iam:Untag*",
    "iam:Update*",
    "iam:Upload*",
)
"""Every action of IAM that changes something but ChangePassword and PassRole."""
