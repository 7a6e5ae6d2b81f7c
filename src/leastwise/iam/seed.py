"""The managed policies that every installation has. They cannot be changed, only attached.

The names are those people already have in their templates; what they allow is what this platform serves.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from leastwise.iam import names
from leastwise.iam.directory import ManagedPolicy, PolicyVersion

ADMINISTRATOR_ACCESS: Final = "arn:aws:iam::aws:policy/AdministratorAccess"


def _allow(*actions: str, condition: Mapping[str, Any] | None = None) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    if condition is not None:
        statement["Condition"] = condition
    return statement


_TO_LAMBDA: Final = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}
_READ_IAM: Final = ("iam:Get*", "iam:List*", "iam:Generate*", "iam:Simulate*")
_READ_LAMBDA: Final = ("lambda:Get*", "lambda:List*")
_READ_LOGS: Final = ("logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents", "logs:StartQuery")

_POLICIES: Final[tuple[tuple[str, str, str, tuple[dict[str, Any], ...]], ...]] = (
    ("/", "AdministratorAccess", "Everything, on everything.", (_allow("*"),)),
    (
        "/",
        "ReadOnlyAccess",
        "Reads the configuration of every service; changes nothing, invokes nothing, reads no secret.",
        (
            _allow(
                *_READ_LAMBDA,
                *_READ_IAM,
                *_READ_LOGS,
                "sts:GetAccessKeyInfo",
                "sts:GetCallerIdentity",
                "cloudtrail:Describe*",
                "cloudtrail:Get*",
                "cloudtrail:List*",
                "cloudtrail:LookupEvents",
                "access-analyzer:Get*",
                "access-analyzer:List*",
                "access-analyzer:ValidatePolicy",
                "events:Describe*",
                "events:List*",
                "scheduler:Get*",
                "scheduler:List*",
                "secretsmanager:DescribeSecret",
                "secretsmanager:GetResourcePolicy",
                "secretsmanager:ListSecrets",
                "secretsmanager:ListSecretVersionIds",
                "ssm:Describe*",
                "kms:Describe*",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:List*",
                "tag:Get*",
            ),
        ),
    ),
    (
        "/service-role/",
        "AWSLambdaBasicExecutionRole",
        "Lets a function write its own logs.",
        (_allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),),
    ),
    ("/service-role/", "AWSLambdaRole", "Invokes functions.", (_allow("lambda:InvokeFunction"),)),
    (
        "/",
        "AWSLambda_FullAccess",
        "Everything with functions, the roles they run as, and their logs.",
        (
            _allow("lambda:*"),
            _allow("iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy"),
            _allow("iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoles"),
            _allow("iam:PassRole", condition=_TO_LAMBDA),
            _allow("logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"),
        ),
    ),
    (
        "/",
        "AWSLambda_ReadOnlyAccess",
        "Reads functions, the roles they run as, and their logs.",
        (
            _allow(*_READ_LAMBDA),
            _allow("iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole", "iam:GetRolePolicy"),
            _allow("iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoles"),
            _allow("logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"),
        ),
    ),
    ("/", "IAMFullAccess", "Everything with identities and policies.", (_allow("iam:*"),)),
    ("/", "IAMReadOnlyAccess", "Reads identities and policies.", (_allow(*_READ_IAM),)),
)


def built_in_policies(*, now_ms: int) -> tuple[ManagedPolicy, ...]:
    """All of them at version v1, as they are when an installation is founded."""
    return tuple(
        _policy(path, name, description, statements, now_ms=now_ms) for path, name, description, statements in _POLICIES
    )


def _policy(
    path: str, name: str, description: str, statements: tuple[dict[str, Any], ...], *, now_ms: int
) -> ManagedPolicy:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, separators=(",", ":"))
    return ManagedPolicy(
        account_id=names.BUILT_IN,
        name=name,
        path=path,
        policy_id=_stable_id(name),
        arn=names.policy_arn(names.BUILT_IN, path, name),
        description=description,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        versions=(PolicyVersion(version_id="v1", document=document, is_default=True, created_at_ms=now_ms),),
    )


def _stable_id(name: str) -> str:
    """The same on every installation, as AWS's are the same in every account."""
    return "ANPA" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]


def renewed(kept: ManagedPolicy, shipped: ManagedPolicy, *, now_ms: int) -> ManagedPolicy | None:
    """The policy with a new default version when a release ships another document; None when nothing changed."""
    if kept.default_version.document == shipped.default_version.document:
        return None
    number = kept.last_version + 1
    newest = PolicyVersion(
        version_id=f"v{number}", document=shipped.default_version.document, is_default=True, created_at_ms=now_ms
    )
    older = PolicyVersion(
        version_id=kept.default_version.version_id,
        document=kept.default_version.document,
        is_default=False,
        created_at_ms=kept.default_version.created_at_ms,
    )
    return ManagedPolicy(
        account_id=kept.account_id,
        name=kept.name,
        path=kept.path,
        policy_id=kept.policy_id,
        arn=kept.arn,
        description=shipped.description,
        created_at_ms=kept.created_at_ms,
        updated_at_ms=now_ms,
        versions=(newest, older),
        last_version=number,
    )
