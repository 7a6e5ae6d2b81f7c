"""Ready managed policies that AWS has nothing like: they are ours, and their names say so."""

from __future__ import annotations

from typing import Final

from leastwise.iam.library import (
    CHANGES_OF_RIGHTS,
    OURS,
    OWN_USER,
    READ_FUNCTION_LOGS,
    READ_IAM,
    READ_LAMBDA,
    READ_LOGS,
    READ_ORGANIZATION,
    READ_OURS,
    READ_ROLES,
    READ_SCHEDULES,
    READ_TRAIL,
    TO_LAMBDA,
    ReadyPolicy,
    allow,
    deny,
)

_PRIVILEGED: Final = (
    *CHANGES_OF_RIGHTS,
    "organizations:Attach*",
    "organizations:Close*",
    "organizations:Create*",
    "organizations:Delete*",
    "organizations:Detach*",
    "organizations:Disable*",
    "organizations:Enable*",
    "organizations:Move*",
    "organizations:Remove*",
    "organizations:Tag*",
    "organizations:Untag*",
    "organizations:Update*",
    "lambda:AddPermission",
    "lambda:DeleteFunction",
    "lambda:RemovePermission",
    "logs:DeleteLogGroup",
    "cloudtrail:DeleteTrail",
    "cloudtrail:StopLogging",
    "kms:ScheduleKeyDeletion",
    "leastwise:RevokeSessions",
    "secretsmanager:DeleteSecret",
)
# SECURITY: long-term keys carry no word on a second factor; without IfExists this Deny would never fire for them.
_WITHOUT_MFA: Final = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
_FRESH_MFA: Final = {
    "Bool": {"aws:MultiFactorAuthPresent": "true"},
    "NumericLessThan": {"aws:MultiFactorAuthAge": "3600"},
}

OWN: Final[tuple[ReadyPolicy, ...]] = (
    ReadyPolicy(
        name="LeastwiseDeveloper",
        path=OURS,
        description="Deploys, invokes and debugs functions that run as roles under /functions/. Grants nobody anything.",
        statements=(
            allow(
                *READ_LAMBDA,
                "lambda:CreateFunction",
                "lambda:DeleteFunction",
                "lambda:DeleteFunctionConcurrency",
                "lambda:InvokeFunction",
                "lambda:PutFunctionConcurrency",
                "lambda:TagResource",
                "lambda:UntagResource",
                "lambda:UpdateFunctionCode",
                "lambda:UpdateFunctionConfiguration",
                sid="Functions",
            ),
            allow(
                "iam:PassRole",
                sid="RolesMadeForFunctions",
                on="arn:aws:iam::*:role/functions/*",
                condition=TO_LAMBDA,
            ),
            allow(*READ_ROLES, *READ_FUNCTION_LOGS, "leastwise:GetUsage", sid="LookAround"),
        ),
    ),
    ReadyPolicy(
        name="LeastwiseOperator",
        path=OURS,
        description="Keeps functions running: reads, invokes, throttles, ends sessions. Deletes with a second factor that "
        "was proved within the hour.",
        statements=(
            allow(*READ_LAMBDA, *READ_IAM, *READ_LOGS, *READ_TRAIL, *READ_SCHEDULES, *READ_OURS, sid="Read"),
            allow(
                "lambda:DeleteFunctionConcurrency",
                "lambda:InvokeFunction",
                "lambda:PutFunctionConcurrency",
                # The brake of an emergency: it takes away only, and must not wait for a second factor.
                "leastwise:RevokeSessions",
                "logs:CreateLogGroup",
                "logs:PutRetentionPolicy",
                "scheduler:UpdateSchedule",
                "sts:DecodeAuthorizationMessage",
                sid="Operate",
            ),
            allow(
                "lambda:DeleteFunction",
                "logs:DeleteLogGroup",
                sid="DangerousWithFreshSecondFactor",
                condition=_FRESH_MFA,
            ),
        ),
    ),
    ReadyPolicy(
        name="LeastwisePrivilegedActionsNeedMfa",
        path=OURS,
        description="Denies changes of rights and what cannot be undone to whoever came without a second factor. "
        "Allows nothing: attach it beside what allows.",
        statements=(deny(*_PRIVILEGED, sid="PrivilegedWithoutSecondFactor", condition=_WITHOUT_MFA),),
    ),
    ReadyPolicy(
        name="LeastwiseDeveloperBoundary",
        path=OURS,
        description="A permissions boundary for developers: everything but identities and the organization; privileged "
        "actions with a second factor only.",
        statements=(
            {
                "Sid": "EverythingButRights",
                "Effect": "Allow",
                "NotAction": ["iam:*", "organizations:*", "account:*", "leastwise:RevokeSessions"],
                "Resource": "*",
            },
            allow(*READ_IAM, "iam:ChangePassword", *READ_ORGANIZATION, sid="SeeRights"),
            allow(
                "iam:PassRole",
                sid="RolesMadeForFunctions",
                on="arn:aws:iam::*:role/functions/*",
                condition=TO_LAMBDA,
            ),
            deny(*_PRIVILEGED, sid="PrivilegedWithoutSecondFactor", condition=_WITHOUT_MFA),
        ),
    ),
    ReadyPolicy(
        name="LeastwiseSelfService",
        path=OURS,
        description="Lets users look after their own password and access keys.",
        statements=(
            allow(
                "iam:ChangePassword",
                "iam:CreateAccessKey",
                "iam:DeleteAccessKey",
                "iam:GetAccessKeyLastUsed",
                "iam:GetLoginProfile",
                "iam:GetUser",
                "iam:ListAccessKeys",
                "iam:ListGroupsForUser",
                "iam:ListMFADevices",
                "iam:UpdateAccessKey",
                sid="OwnCredentials",
                on=OWN_USER,
            ),
            allow("iam:GetAccountPasswordPolicy", "iam:GetAccountSummary", sid="WhatIsAskedOfThem"),
        ),
    ),
    ReadyPolicy(
        name="LeastwiseWorkingHoursOnly",
        path=OURS,
        description="Denies everything at night (19:00 to 07:00) and at the weekend, in the installation's time zone. "
        "Allows nothing: attach it beside what allows.",
        statements=(
            deny(
                "*",
                sid="Nights",
                condition={
                    "NumericGreaterThanEquals": {"leastwise:TimeOfDay": "19:00"},
                    "NumericLessThan": {"leastwise:TimeOfDay": "07:00"},
                },
            ),
            deny("*", sid="Weekends", condition={"StringEquals": {"leastwise:DayOfWeek": ["Sat", "Sun"]}}),
        ),
    ),
)
