"""The condition keys that belong to no one service: `aws:...`, those that cross services, and `leastwise:...`.

Source: IAM User Guide, "AWS global condition context keys" (data type, value type and availability of each key).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ValueType(StrEnum):
    """What a key's values are."""

    STRING = "String"
    ARN = "ARN"
    BOOL = "Bool"
    NUMERIC = "Numeric"
    DATE = "Date"
    IP = "IP address"


class Presence(StrEnum):
    """When this platform puts a key into a request."""

    ALWAYS = "always"
    SOMETIMES = "sometimes"
    """Depends on who calls, how, or on what."""
    NEVER = "never"
    """What it speaks of (a VPC, another cloud's service) does not exist here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionKey:
    """A condition key.

    Args:
        name: as AWS spells it; `/${TagKey}` at its end stands for any tag key.
        value_type: of each value.
        multivalued: a request may carry several values.
        presence: see `Presence`.
    """

    name: str
    value_type: ValueType
    multivalued: bool = False
    presence: Presence = Presence.SOMETIMES

    @property
    def family(self) -> str:
        """What a key is looked up by: lower case, without the tag key."""
        return self.name.partition("/")[0].lower()


def _keys(value_type: ValueType, presence: Presence, names: str, *, multivalued: bool = False) -> list[ConditionKey]:
    return [
        ConditionKey(name=name, value_type=value_type, multivalued=multivalued, presence=presence)
        for name in names.split()
    ]


_TABLE: Final = (
    # Of the principal.
    *_keys(ValueType.ARN, Presence.SOMETIMES, "aws:PrincipalArn"),
    *_keys(
        ValueType.STRING,
        Presence.SOMETIMES,
        "aws:PrincipalAccount aws:PrincipalOrgID aws:PrincipalServiceName aws:PrincipalTag/${TagKey} "
        "aws:PrincipalType aws:username",
    ),
    *_keys(ValueType.STRING, Presence.ALWAYS, "aws:userid"),
    *_keys(
        ValueType.STRING, Presence.SOMETIMES, "aws:PrincipalOrgPaths aws:PrincipalServiceNamesList", multivalued=True
    ),
    *_keys(ValueType.BOOL, Presence.ALWAYS, "aws:PrincipalIsAWSService"),
    # Of the session.
    *_keys(ValueType.BOOL, Presence.SOMETIMES, "aws:MultiFactorAuthPresent"),
    *_keys(ValueType.NUMERIC, Presence.SOMETIMES, "aws:MultiFactorAuthAge"),
    *_keys(ValueType.DATE, Presence.SOMETIMES, "aws:TokenIssueTime"),
    *_keys(ValueType.STRING, Presence.SOMETIMES, "aws:FederatedProvider aws:SourceIdentity"),
    *_keys(ValueType.STRING, Presence.NEVER, "aws:AssumedRoot"),
    *_keys(ValueType.ARN, Presence.NEVER, "aws:ChatbotSourceArn aws:SignInSessionArn"),
    *_keys(ValueType.STRING, Presence.NEVER, "aws:Ec2InstanceSourceVpc"),
    *_keys(ValueType.IP, Presence.NEVER, "aws:Ec2InstanceSourcePrivateIPv4"),
    # Of the network.
    *_keys(ValueType.IP, Presence.SOMETIMES, "aws:SourceIp"),
    *_keys(ValueType.IP, Presence.NEVER, "aws:VpcSourceIp"),
    *_keys(
        ValueType.STRING,
        Presence.NEVER,
        "aws:SourceVpc aws:SourceVpce aws:VpceAccount aws:VpceOrgID",
    ),
    *_keys(ValueType.STRING, Presence.NEVER, "aws:VpceOrgPaths", multivalued=True),
    *_keys(ValueType.ARN, Presence.NEVER, "aws:SourceVpcArn"),
    *_keys(ValueType.BOOL, Presence.ALWAYS, "aws:SecureTransport"),
    # Of the resource.
    *_keys(ValueType.STRING, Presence.SOMETIMES, "aws:ResourceAccount aws:ResourceOrgID aws:ResourceTag/${TagKey}"),
    *_keys(ValueType.STRING, Presence.SOMETIMES, "aws:ResourceOrgPaths", multivalued=True),
    # Of the request.
    *_keys(ValueType.DATE, Presence.ALWAYS, "aws:CurrentTime aws:EpochTime"),
    *_keys(ValueType.STRING, Presence.ALWAYS, "aws:RequestedRegion aws:UserAgent"),
    *_keys(ValueType.BOOL, Presence.ALWAYS, "aws:ViaAWSService"),
    *_keys(ValueType.STRING, Presence.SOMETIMES, "aws:CalledVia", multivalued=True),
    *_keys(ValueType.STRING, Presence.SOMETIMES, "aws:CalledViaFirst aws:CalledViaLast aws:referer"),
    *_keys(ValueType.STRING, Presence.SOMETIMES, "aws:RequestTag/${TagKey} aws:SourceAccount aws:SourceOrgID"),
    *_keys(ValueType.STRING, Presence.SOMETIMES, "aws:TagKeys aws:SourceOrgPaths", multivalued=True),
    *_keys(ValueType.ARN, Presence.SOMETIMES, "aws:SourceArn"),
    *_keys(ValueType.BOOL, Presence.NEVER, "aws:IsMcpServiceAction aws:ViaAWSMCPService"),
    *_keys(ValueType.STRING, Presence.NEVER, "aws:CalledViaAWSMCP"),
    # Of a service, present in requests to others.
    *_keys(ValueType.ARN, Presence.SOMETIMES, "lambda:SourceFunctionArn"),
    *_keys(ValueType.ARN, Presence.NEVER, "ec2:SourceInstanceArn ssm:SourceInstanceArn"),
    *_keys(ValueType.STRING, Presence.NEVER, "identitystore:UserId glue:RoleAssumedBy glue:CredentialIssuingService"),
    # Our own (see `clockkeys`).
    *_keys(
        ValueType.STRING,
        Presence.ALWAYS,
        "leastwise:TimeZone leastwise:DayOfWeek leastwise:TimeOfDay",
    ),
    *_keys(ValueType.STRING, Presence.SOMETIMES, "leastwise:MfaMethod leastwise:AuthenticationMethod"),
)

GLOBAL_KEYS: Final = {key.family: key for key in _TABLE}
"""By family (see `ConditionKey.family`)."""
