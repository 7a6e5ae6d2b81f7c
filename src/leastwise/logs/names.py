"""What groups and streams may be called, and what IAM calls them."""

from __future__ import annotations

import re
from typing import Final

from leastwise.logs.interface import InvalidLogsParameter

_GROUP: Final = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_STREAM: Final = re.compile(r"[^:*]{1,512}")


def check_group_name(name: str) -> str:
    """Source: CloudWatch Logs API, CreateLogGroup."""
    if _GROUP.fullmatch(name) is None:
        message = (
            f"1 validation error detected: Value '{name[:200]}' at 'logGroupName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
        )
        raise InvalidLogsParameter(message)
    return name


def check_stream_name(name: str) -> str:
    """Source: CloudWatch Logs API, CreateLogStream."""
    if _STREAM.fullmatch(name) is None:
        message = (
            f"1 validation error detected: Value '{name[:200]}' at 'logStreamName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [^:*]*"
        )
        raise InvalidLogsParameter(message)
    return name


def group_arn(region: str, account_id: str, group: str) -> str:
    return f"arn:aws:logs:{region}:{account_id}:log-group:{group}"


def decided_arn(region: str, account_id: str, group: str, stream: str = "") -> str:
    """The resource on which IAM decides: always with a stream, which is empty where an operation names none.

    So `log-group:NAME:*` covers a group with everything in it, and `log-group:NAME` covers nothing.

    SOURCE: denials of the service: `... on resource: arn:aws:logs:us-east-1:...:log-group::log-stream:` (hashicorp/
    terraform-provider-aws#8804, DescribeLogGroups) and `...:log-group:/aws/lambda/X:log-stream:2019/12/16/[$LATEST]...`
    (aws-solutions/aws-crr-monitor#8, CreateLogStream).
    """
    return f"{group_arn(region, account_id, group)}:log-stream:{stream}"


def group_of_identifier(identifier: str) -> tuple[str, str | None]:
    """A logGroupIdentifier, which is a name or an ARN, as (name, account of the ARN or None)."""
    if not identifier.startswith("arn:"):
        return check_group_name(identifier), None
    segments = identifier.removesuffix(":*").split(":")
    if len(segments) != 7 or segments[2] != "logs" or segments[5] != "log-group":  # noqa: PLR2004 - an ARN of a group
        message = f"Invalid log group identifier: {identifier[:200]}"
        raise InvalidLogsParameter(message)
    return check_group_name(segments[6]), segments[4]
