"""Ready managed policies that people know from AWS.

The names are those they already have in their templates, and what a policy allows is the same in spirit, for what this
platform serves.
"""

from __future__ import annotations

from typing import Final

from leastwise.iam.library import (
    CHANGES_OF_RIGHTS,
    JOBS,
    OWN_USER,
    READ_ANALYZER,
    READ_FUNCTION_LOGS,
    READ_IAM,
    READ_KEYS,
    READ_LAMBDA,
    READ_LOGS,
    READ_ORGANIZATION,
    READ_OURS,
    READ_ROLES,
    READ_SCHEDULES,
    READ_SECRET_NAMES,
    READ_TRAIL,
    SERVICE_ROLES,
    TO_LAMBDA,
    ReadyPolicy,
    allow,
    deny,
)

KNOWN: Final[tuple[ReadyPolicy, ...]] = (
    ReadyPolicy(name="AdministratorAccess", description="Everything, on everything.", statements=(allow("*"),)),
    ReadyPolicy(
        name="PowerUserAccess",
        description="Everything but identities, the organization and other people's sessions.",
        statements=(
            {
                "Effect": "Allow",
                "NotAction": ["iam:*", "organizations:*", "account:*", "leastwise:RevokeSessions"],
                "Resource": "*",
            },
            allow("iam:ListRoles", "organizations:DescribeOrganization", "account:ListRegions"),
        ),
    ),
    ReadyPolicy(
        name="ReadOnlyAccess",
        description="Reads the configuration of every service; changes nothing, invokes nothing, reads no secret.",
        statements=(
            allow(
                *READ_LAMBDA,
                *READ_IAM,
                *READ_LOGS,
                "sts:GetAccessKeyInfo",
                "sts:GetCallerIdentity",
                *READ_TRAIL,
                *READ_ANALYZER,
                *READ_ORGANIZATION,
                *READ_SCHEDULES,
                *READ_SECRET_NAMES,
                "ssm:Describe*",
                *READ_KEYS,
                *READ_OURS,
                "tag:Get*",
            ),
        ),
    ),
    ReadyPolicy(
        name="SecurityAudit",
        description="Reads what an auditor needs: rights, settings, the trail. No code, no output of functions.",
        statements=(
            allow(
                *READ_IAM,
                *READ_ANALYZER,
                *READ_ORGANIZATION,
                *READ_TRAIL,
                *READ_SECRET_NAMES,
                *READ_KEYS,
                *READ_OURS,
                *READ_SCHEDULES,
                "lambda:GetAccountSettings",
                "lambda:GetFunctionConfiguration",
                "lambda:GetLayerVersionPolicy",
                "lambda:GetPolicy",
                "lambda:List*",
                "logs:Describe*",
                "logs:ListTagsForResource",
                "tag:GetResources",
                "tag:GetTagKeys",
            ),
        ),
    ),
    ReadyPolicy(
        name="ViewOnlyAccess",
        path=JOBS,
        description="Lists what there is, without its contents.",
        statements=(
            allow(
                "access-analyzer:List*",
                "cloudtrail:DescribeTrails",
                "cloudtrail:ListTrails",
                "cloudtrail:LookupEvents",
                "events:List*",
                "iam:GetAccountSummary",
                "iam:GetLoginProfile",
                "iam:List*",
                "kms:List*",
                "lambda:GetAccountSettings",
                "lambda:List*",
                "leastwise:GetUsage",
                "logs:Describe*",
                "organizations:List*",
                "scheduler:List*",
                "secretsmanager:ListSecrets",
            ),
        ),
    ),
    ReadyPolicy(
        name="SystemAdministrator",
        path=JOBS,
        description="Runs the services: functions, logs, schedules, trail. Changes no rights.",
        statements=(
            allow("lambda:*", "logs:*", "events:*", "scheduler:*", "leastwise:GetUsage", "tag:*"),
            allow(*READ_IAM, *READ_TRAIL, *READ_SECRET_NAMES, *READ_KEYS),
            allow("iam:PassRole", condition=TO_LAMBDA),
        ),
    ),
    ReadyPolicy(
        name="SupportUser",
        path=JOBS,
        description="Finds out what is wrong and changes nothing.",
        statements=(
            allow(*READ_LAMBDA, *READ_LOGS, *READ_TRAIL, *READ_SCHEDULES, *READ_OURS),
            allow("iam:Get*", "iam:List*", "secretsmanager:ListSecrets", "sts:DecodeAuthorizationMessage"),
        ),
    ),
    ReadyPolicy(
        name="Billing", path=JOBS, description="Reads what was used.", statements=(allow("leastwise:GetUsage"),)
    ),
    ReadyPolicy(name="AWSDenyAll", description="Denies everything.", statements=(deny("*", sid="DenyAll"),)),
    ReadyPolicy(
        name="AWSCompromisedKeyQuarantineV3",
        description="Stops what stolen keys are used for first. Attach it to the user, then replace the keys.",
        statements=(
            deny(
                *CHANGES_OF_RIGHTS,
                "iam:ChangePassword",
                "iam:PassRole",
                "lambda:AddPermission",
                "lambda:CreateEventSourceMapping",
                "lambda:CreateFunction",
                "lambda:CreateFunctionUrlConfig",
                "lambda:InvokeFunction",
                "lambda:UpdateFunction*",
                "organizations:CreateAccount",
                "organizations:CreateOrganization",
                "organizations:InviteAccountToOrganization",
                "secretsmanager:GetSecretValue",
                "sts:AssumeRole",
                "sts:GetFederationToken",
            ),
        ),
    ),
    ReadyPolicy(
        name="AWSLambdaBasicExecutionRole",
        path=SERVICE_ROLES,
        description="Lets a function write its own logs.",
        statements=(allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),),
    ),
    ReadyPolicy(
        name="AWSLambdaRole",
        path=SERVICE_ROLES,
        description="Invokes functions.",
        statements=(allow("lambda:InvokeFunction"),),
    ),
    ReadyPolicy(
        name="AWSLambdaExecute",
        description="Lets a function write logs, and read and write objects.",
        statements=(
            allow("logs:*", on="arn:aws:logs:*:*:*"),
            allow("s3:GetObject", "s3:PutObject", on="arn:aws:s3:::*"),
        ),
    ),
    ReadyPolicy(
        name="AWSLambda_FullAccess",
        description="Everything with functions, the roles they run as, and their logs.",
        statements=(
            allow("lambda:*"),
            allow(*READ_ROLES),
            allow("iam:PassRole", condition=TO_LAMBDA),
            allow(*READ_FUNCTION_LOGS),
        ),
    ),
    ReadyPolicy(
        name="AWSLambda_ReadOnlyAccess",
        description="Reads functions, the roles they run as, and their logs.",
        statements=(allow(*READ_LAMBDA), allow(*READ_ROLES), allow(*READ_FUNCTION_LOGS)),
    ),
    ReadyPolicy(
        name="IAMFullAccess",
        description="Everything with identities and policies.",
        statements=(allow("iam:*"),),
    ),
    ReadyPolicy(
        name="IAMReadOnlyAccess",
        description="Reads identities and policies.",
        statements=(allow(*READ_IAM),),
    ),
    ReadyPolicy(
        name="IAMUserChangePassword",
        description="Lets users change their own password.",
        statements=(allow("iam:ChangePassword", on=OWN_USER), allow("iam:GetAccountPasswordPolicy")),
    ),
    ReadyPolicy(
        name="IAMAccessAnalyzerFullAccess",
        description="Everything with Access Analyzer.",
        statements=(allow("access-analyzer:*"), allow(*READ_ORGANIZATION)),
    ),
    ReadyPolicy(
        name="IAMAccessAnalyzerReadOnlyAccess",
        description="Reads findings of Access Analyzer, and checks policies.",
        statements=(allow(*READ_ANALYZER),),
    ),
    ReadyPolicy(name="CloudWatchLogsFullAccess", description="Everything with logs.", statements=(allow("logs:*"),)),
    ReadyPolicy(
        name="CloudWatchLogsReadOnlyAccess",
        description="Reads logs.",
        statements=(allow(*READ_LOGS, "logs:StopQuery", "logs:TestMetricFilter"),),
    ),
    ReadyPolicy(
        name="AWSCloudTrail_FullAccess",
        description="Everything with the trail.",
        statements=(allow("cloudtrail:*"),),
    ),
    ReadyPolicy(
        name="AWSCloudTrail_ReadOnlyAccess",
        description="Reads the trail.",
        statements=(allow(*READ_TRAIL),),
    ),
    ReadyPolicy(
        name="AWSOrganizationsFullAccess",
        description="Everything with accounts and guardrails.",
        statements=(allow("organizations:*"),),
    ),
    ReadyPolicy(
        name="AWSOrganizationsReadOnlyAccess",
        description="Reads accounts and guardrails.",
        statements=(allow(*READ_ORGANIZATION),),
    ),
    ReadyPolicy(
        name="SecretsManagerReadWrite",
        description="Everything with secrets, their values included.",
        statements=(allow("secretsmanager:*"), allow("kms:DescribeKey", "kms:ListAliases", "kms:ListKeys")),
    ),
)
