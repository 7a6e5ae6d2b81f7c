"""The execution role of a function that is deployed: found by name, or made."""

from __future__ import annotations

import json
from typing import Any, Final

from leastwise.cli.failures import CommandError

TRUST: Final[dict[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
POLICY_NAME: Final = "basic-execution"


def basic_execution(function: str, *, role_arn: str, region: str) -> dict[str, Any]:
    """What AWSLambdaBasicExecutionRole allows, for the log group of this one function only.

    Source: AWS Managed Policy Reference, AWSLambdaBasicExecutionRole.
    """
    account = role_arn.split(":")[4]
    group = f"arn:aws:logs:{region}:{account}:log-group:/aws/lambda/{function}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [group, f"{group}:*"],
            }
        ],
    }


def resolve_role(iam: Any, role: str, *, function: str, region: str, create: bool) -> tuple[str, bool]:
    """The role's ARN, and whether it was made just now.

    Args:
        iam: boto3 client.
        role: name or ARN.
        function: name of the function that gets it.
        region: of the function.
        create: make it when there is none of that name.

    Raises:
        CommandError: there is none.
    """
    if role.startswith("arn:"):
        if create:
            message = "--create-role takes the role's name, not an ARN"
            raise CommandError(message)
        return role, False
    try:
        return str(iam.get_role(RoleName=role)["Role"]["Arn"]), False
    except iam.exceptions.NoSuchEntityException:
        if not create:
            message = f"there is no role {role}"
            raise CommandError(
                message, hint="--create-role makes one that may write its log, and nothing else."
            ) from None
    made = iam.create_role(
        RoleName=role,
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description=f"Execution role of the function {function}",
    )
    arn = str(made["Role"]["Arn"])
    iam.put_role_policy(
        RoleName=role,
        PolicyName=POLICY_NAME,
        PolicyDocument=json.dumps(basic_execution(function, role_arn=arn, region=region)),
    )
    return arn, True
