"""Amazon Resource Names: `arn:partition:service:region:account:resource`."""

from __future__ import annotations

from dataclasses import dataclass

from leastwise.kernel.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Arn:
    """One parsed ARN. `resource` keeps everything behind the fifth colon, colons included.

    Source: AWS General Reference, "Amazon Resource Names (ARNs)".
    """

    partition: str = "aws"
    service: str
    region: str = ""
    account_id: str = ""
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account_id}:{self.resource}"


def parse_arn(text: str) -> Arn:
    """Takes an ARN apart.

    Raises:
        Invalid: it does not have six segments, or does not start with `arn:`.
    """
    segments = text.split(":", 5)
    if len(segments) != 6 or segments[0] != "arn" or not segments[5]:  # noqa: PLR2004 - six is the format
        message = f"Invalid ARN: {text[:200]}"
        raise Invalid(message)
    _, partition, service, region, account_id, resource = segments
    return Arn(partition=partition, service=service, region=region, account_id=account_id, resource=resource)
