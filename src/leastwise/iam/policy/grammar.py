"""What may stand in the single elements of a statement: Sid, actions, resources, condition keys and values.

Every check raises `MalformedPolicy` with IAM's sentence, where IAM has one, and the place.

Source: IAM User Guide, "Grammar of the IAM JSON policy language" and "IAM JSON policy elements reference".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from leastwise.iam.interface import PolicyKind
from leastwise.iam.policy import clockkeys
from leastwise.iam.policy.malformed import quoted, refuse, refuse_syntax
from leastwise.iam.policy.matching import ARN_SEGMENTS, Variable, has_variables, is_everything, split_segments
from leastwise.iam.policy.operators import (
    Family,
    Operator,
    parse_bool,
    parse_bytes,
    parse_instant,
    parse_network,
    parse_number,
)
from leastwise.iam.policy.variables import parse_pattern

_SID: Final = re.compile(r"[0-9A-Za-z]*")
_ARN: Final = re.compile(r"(?:arn|[*?]+)(?::[^:]*){4}:.*", re.DOTALL)
_VENDOR: Final = re.compile(r"[A-Za-z0-9.-]+")
_PLAIN_ACTION: Final = re.compile(r"[A-Za-z0-9.-]+:[^:]*")
_ACTION: Final = re.compile(r"[!-+\--~]+")
"""Visible ASCII without the comma."""
_PLAIN_SID_KINDS: Final = frozenset(
    {
        PolicyKind.IDENTITY,
        PolicyKind.BOUNDARY,
        PolicyKind.SESSION,
        PolicyKind.SERVICE_CONTROL,
        PolicyKind.RESOURCE_CONTROL,
    }
)
_TRUST_ACTIONS: Final = frozenset(
    {
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:tagsession",
        "sts:setsourceidentity",
        "sts:setcontext",
    }
)
_IAM_PATHS: Final = (
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
)
_READERS: Final[dict[Family, tuple[Callable[[str], object], str]]] = {
    Family.NUMERIC: (parse_number, "a number"),
    Family.DATE: (parse_instant, "an ISO 8601 date or epoch seconds"),
    Family.BOOL: (parse_bool, "true or false"),
    Family.NULL: (parse_bool, "true or false"),
    Family.BINARY: (parse_bytes, "base64"),
    Family.IP: (parse_network, "an IP address or a CIDR block"),
    Family.ARN: (lambda text: True if _ARN.fullmatch(text) else None, "an ARN of six segments"),
}
"""How each kind of value is read (None: it cannot be), and what it is called when it cannot."""


def check_sid(sid: str, kind: PolicyKind, place: str) -> None:
    """Identity policies take alphanumeric ids only; services choose for their resource policies."""
    if kind in _PLAIN_SID_KINDS and not _SID.fullmatch(sid):
        refuse(
            "Statement IDs (SID) must be alpha-numeric. "
            "Check that your input satisfies the regular expression [0-9A-Za-z]*",
            place,
            value=sid,
        )


def are_plain_actions(actions: tuple[str, ...], kind: PolicyKind) -> bool:
    """Whether there is nothing to check about them: all are `vendor:name`, as nearly all are."""
    return kind is not PolicyKind.TRUST and all(map(_PLAIN_ACTION.fullmatch, actions))


def check_action(action: str, kind: PolicyKind, place: str) -> None:
    """Checks the vendor in front of the colon. What stands behind it may be anything, and then never matches.

    Trust policies name the operations that assume a role, in full.
    """
    if kind is PolicyKind.TRUST:
        if action.lower() not in _TRUST_ACTIONS:
            refuse("AssumeRole policy may only specify STS AssumeRole actions.", place, value=action)
        return
    if action == "*":
        return
    vendor, colon, name = action.partition(":")
    if not colon:
        refuse("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", place, value=action)
    if ":" in name:
        refuse("Actions/Condition can contain only one colon.", place, value=action)
    if vendor != "*" and not _VENDOR.fullmatch(vendor):
        refuse(f"Vendor {quoted(vendor)} is not valid", place)


def check_action_is_writable(action: str, place: str) -> None:
    """Refuses an action that could never match.

    SECURITY: `"s3:Get, s3:Put"` is one string that is no action's name. AWS stores it; an Allow then grants nothing,
    and a Deny lets everything pass that it was written to stop.
    """
    if not _ACTION.fullmatch(action):
        refuse_syntax(f'{place} "{quoted(action)}"', "must be one action: no commas, no blanks, nothing but ASCII")


def check_resource(resource: str, place: str, *, variables: bool) -> None:
    """A resource is `*` or an ARN, which may be incomplete at its end."""
    tokens = parse_pattern(resource, variables=variables, wildcards=True)
    if is_everything(tokens):
        return
    shown = quoted(resource)
    segments = resource.split(":", ARN_SEGMENTS - 1)
    if segments[0] != "arn" or len(segments) == 1:
        refuse(f'Resource {shown} must be in ARN format or "*".', place)
    if segments[1] != "aws":
        refuse(f'Partition "{quoted(segments[1])}" is not valid for resource "{shown}".', place)
    if len(segments) == 2 or not _VENDOR.fullmatch(segments[2]):  # noqa: PLR2004 - arn:aws and no more
        refuse("Resource vendor must be fully qualified and cannot contain regexes.", place, value=resource)
    if segments[2] == "iam" and len(segments) == ARN_SEGMENTS:
        *_, region, _account, path = split_segments(tokens)
        if region:
            refuse(f"IAM resource {shown} cannot contain region information.", place)
        first = path[0] if path else ""
        known = isinstance(first, Variable) or (isinstance(first, str) and first.startswith(_IAM_PATHS))
        if not known and not is_everything(path):
            known_paths = ", ".join(_IAM_PATHS)
            refuse(f'IAM resource path must either be "*" or start with {known_paths}.', place, value=resource)


def check_condition_key(key: str, place: str) -> None:
    """A key has a vendor in front of a colon (`aws:...`, `lambda:...`, an OIDC provider's host)."""
    vendor, colon, name = key.partition(":")
    if not colon or not vendor or not name:
        refuse("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", place, value=key)
    zoned = clockkeys.zone_of_key(key)
    if zoned and clockkeys.zone_named(zoned[1]) is None:
        refuse_syntax(place, "names no time zone; write it as IANA does, e.g. Europe/Berlin")


def check_condition_value(operator: Operator, key: str, value: str, place: str, *, variables: bool) -> None:
    """A value must be of the operator's kind, unless a variable decides that later."""
    if operator.takes_variables and has_variables(parse_pattern(value, variables=variables, wildcards=False)):
        return
    read, kind = _READERS.get(operator.family, (str, ""))
    if operator.family is Family.NUMERIC and key.partition("/")[0].lower() == clockkeys.TIME_OF_DAY:
        read, kind = clockkeys.minutes_of_day, "a time of day, HH:MM"
    if read(value) is None:
        refuse_syntax(place, f"{quoted(value)} is not {kind}")
