"""A call as a CloudTrail record.

Source: CloudTrail User Guide, "CloudTrail record contents for management, data, and network activity events" and
"CloudTrail userIdentity element" (eventVersion 1.11). What AWS has no field for stands in `additionalEventData`.

On the path of every invocation: what repeats (identities, resources, instants) is encoded once and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType, field

from leastwise.audit.interface import Happening
from leastwise.audit.parameters import bounded, cut, scrubbed
from leastwise.iam.interface import Issuer, Principal, PrincipalKind
from leastwise.kernel.clock import iso_seconds
from leastwise.kernel.events import Access, EventClass

EVENT_VERSION: Final = "1.11"

_MOST_RESOURCES: Final = 50
_LONG: Final = 2048
_SENTENCE: Final = 1024
_AGENT: Final = 512
_NAME: Final = 128

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")
_RESOURCE_TYPES: Final[Mapping[tuple[str, str], str]] = {
    ("lambda", "function"): "AWS::Lambda::Function",
    ("iam", "user"): "AWS::IAM::User",
    ("iam", "role"): "AWS::IAM::Role",
    ("iam", "policy"): "AWS::IAM::ManagedPolicy",
    ("logs", "log-group"): "AWS::Logs::LogGroup",
    ("organizations", "account"): "AWS::Organizations::Account",
    ("organizations", "ou"): "AWS::Organizations::OrganizationalUnit",
    ("organizations", "policy"): "AWS::Organizations::Policy",
}
_SOURCES: Final = {"accessanalyzer": "access-analyzer"}
"""Where the name in `eventSource` is not the one of the service model."""

Text = Callable[[str, int], str]
"""(text, most characters) -> what may stand in the record."""


class _Attributes(msgspec.Struct, frozen=True, gc=False):
    creation: str = field(name="creationDate")
    mfa: Literal["true", "false"] = field(name="mfaAuthenticated")


class _Issuer(msgspec.Struct, frozen=True, gc=False):
    type: str
    principal_id: str = field(name="principalId")
    arn: str
    account_id: str = field(name="accountId")
    user_name: str | UnsetType = field(name="userName")


class _Session(msgspec.Struct, frozen=True, gc=False):
    issuer: _Issuer | UnsetType = field(name="sessionIssuer", default=UNSET)
    attributes: _Attributes | UnsetType = UNSET
    source_identity: str | UnsetType = field(name="sourceIdentity", default=UNSET)


class _Identity(msgspec.Struct, frozen=True, gc=False):
    type: str
    principal_id: str | UnsetType = field(name="principalId", default=UNSET)
    arn: str | UnsetType = UNSET
    account_id: str | UnsetType = field(name="accountId", default=UNSET)
    access_key_id: str | UnsetType = field(name="accessKeyId", default=UNSET)
    user_name: str | UnsetType = field(name="userName", default=UNSET)
    session: _Session | UnsetType = field(name="sessionContext", default=UNSET)
    invoked_by: str | UnsetType = field(name="invokedBy", default=UNSET)


class _Resource(msgspec.Struct, frozen=True, gc=False):
    arn: str = field(name="ARN")
    account_id: str | UnsetType = field(name="accountId", default=UNSET)
    type: str | UnsetType = UNSET


class _Record(msgspec.Struct, frozen=True, gc=False):
    version: str = field(name="eventVersion")
    identity: Raw = field(name="userIdentity")
    time: str = field(name="eventTime")
    source: str = field(name="eventSource")
    name: str = field(name="eventName")
    region: str = field(name="awsRegion")
    ip: str = field(name="sourceIPAddress")
    agent: str = field(name="userAgent")
    error_code: str | UnsetType = field(name="errorCode")
    error_message: str | UnsetType = field(name="errorMessage")
    parameters: dict[str, Any] | None = field(name="requestParameters")
    response: None = field(name="responseElements")
    additional: dict[str, Any] = field(name="additionalEventData")
    request_id: str = field(name="requestID")
    event_id: str = field(name="eventID")
    read_only: bool = field(name="readOnly")
    resources: Raw
    type: str = field(name="eventType")
    management: bool = field(name="managementEvent")
    recipient: str = field(name="recipientAccountId")
    category: str = field(name="eventCategory")
    tls: dict[str, str] | UnsetType = field(name="tlsDetails")
    shared: str | UnsetType = field(name="sharedEventID")


class EventId(msgspec.Struct):
    """The one member that recovery needs of a record."""

    event_id: str = field(name="eventID")


def encode(happening: Happening) -> bytes:
    """The record of a call: one JSON object, the same bytes for the same call.

    Blobs and values that JSON has no form for are left out, text is cut to bounds, and text that is not Unicode is
    written with replacement characters: whatever a caller sends, there is a record.
    """
    try:
        return _encode(happening, cut)
    except (ValueError, TypeError, OverflowError):
        return _encode(happening, scrubbed)


def event_id_of(payload: bytes) -> str:
    """The event id of a record.

    Raises:
        msgspec.MsgspecError: it is not a record.
    """
    return msgspec.json.decode(payload, type=EventId).event_id


def _encode(happening: Happening, text: Text) -> bytes:
    source = happening.source
    management = happening.event_class is EventClass.MANAGEMENT
    error = happening.error_code
    words = happening.error_message
    principal = happening.principal
    if principal is None:
        identity = _stranger(happening.claimed_access_key_id, text)
    elif happening.shared_event_id is not None and happening.account_id != principal.account_id:
        identity = _other_account(principal)
    else:
        identity = _identity_of(principal)
    parameters = happening.parameters
    return _ENCODER.encode(
        _Record(
            EVENT_VERSION,
            identity,
            _instant(happening.at_ms // 1000),
            _event_source(text(happening.service, _NAME)),
            text(happening.operation, _NAME),
            text(happening.region, _NAME),
            text(source.ip, _NAME),
            text(source.user_agent, _AGENT),
            UNSET if error is None else text(error, _NAME),
            UNSET if words is None else text(words, _SENTENCE),
            None if parameters is None or not management else bounded(parameters, text),
            None,
            _additional(happening, text),
            happening.request_id,
            happening.event_id,
            happening.access is Access.READ,
            _resources(happening.resources) if text is cut else _encode_resources(happening.resources, text),
            "AwsApiCall",
            management,
            happening.account_id,
            "Management" if management else "Data",
            {} if source.tls else UNSET,
            UNSET if happening.shared_event_id is None else happening.shared_event_id,
        )
    )


def _additional(happening: Happening, text: Text) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in happening.additional.items():
        if isinstance(value, str):
            kept[name] = text(value, _SENTENCE)
        elif isinstance(value, int):
            kept[name] = value
    if happening.decision is not None:
        kept["decision"] = happening.decision
        if happening.principal is not None and happening.principal.session_policies:
            # An explanation must know that there was one more layer, whose text is too long for a record.
            kept["sessionPolicies"] = len(happening.principal.session_policies)
    return kept


@lru_cache(maxsize=64)
def _instant(epoch_s: int) -> str:
    return iso_seconds(epoch_s * 1000)


@lru_cache(maxsize=64)
def _event_source(service: str) -> str:
    return f"{_SOURCES.get(service, service)}.amazonaws.com"


def _stranger(claimed_access_key_id: str, text: Text) -> Raw:
    """Nobody was authenticated. Not kept: strangers choose these and could push everyone else's identity out."""
    return Raw(_ENCODER.encode(_Identity("Unknown", access_key_id=text(claimed_access_key_id, _NAME))))


def _other_account(principal: Principal) -> Raw:
    """Whoever called from another account, as the owner of what was called sees it.

    SECURITY: names, sessions and access keys of one account are nobody's business in another.
    Source: CloudTrail User Guide, "CloudTrail userIdentity element", type AWSAccount.
    """
    return Raw(
        _ENCODER.encode(_Identity("AWSAccount", principal_id=principal.unique_id, account_id=principal.account_id))
    )


def _identity_of(principal: Principal) -> Raw:
    return _identity(
        principal.kind.value,
        principal.account_id,
        principal.arn,
        principal.role_arn,
        principal.unique_id,
        principal.name,
        principal.access_key_id,
        principal.session_issued_at_ms,
        principal.mfa_authenticated_at_ms,
        principal.source_identity,
        principal.federated_by,
    )


@lru_cache(maxsize=4096)
def _identity(  # noqa: PLR0917 - a cache key of plain values
    kind: str,
    account_id: str,
    arn: str,
    role_arn: str | None,
    unique_id: str,
    name: str,
    access_key_id: str,
    issued_at_ms: int | None,
    mfa_at_ms: int | None,
    source_identity: str | None,
    federated_by: Issuer | None,
) -> Raw:
    """Source: CloudTrail User Guide, "CloudTrail userIdentity element", examples by type."""
    if kind == PrincipalKind.SERVICE:
        return Raw(_ENCODER.encode(_Identity(kind, account_id=account_id, invoked_by=name)))
    issuer: _Issuer | UnsetType = UNSET
    if role_arn is not None:
        issuer = _Issuer("Role", unique_id.partition(":")[0], role_arn, account_id, name)
    elif federated_by is not None:
        by = federated_by
        kind_of_issuer = PrincipalKind.USER if by.name else PrincipalKind.ROOT
        issuer = _Issuer(kind_of_issuer.value, by.unique_id, by.arn, account_id, by.name or UNSET)
    session: _Session | UnsetType = UNSET
    if issued_at_ms is not None:
        attributes = _Attributes(iso_seconds(issued_at_ms), "false" if mfa_at_ms is None else "true")
        session = _Session(issuer, attributes, UNSET if source_identity is None else source_identity)
    elif issuer is not UNSET:
        session = _Session(issuer)
    return Raw(
        _ENCODER.encode(
            _Identity(
                kind,
                unique_id,
                arn,
                account_id,
                access_key_id or UNSET,
                name if kind == PrincipalKind.USER else UNSET,
                session,
            )
        )
    )


@lru_cache(maxsize=4096)
def _resources(arns: tuple[str, ...]) -> Raw:
    return _encode_resources(arns, cut)


def _encode_resources(arns: tuple[str, ...], text: Text) -> Raw:
    return Raw(_ENCODER.encode([_resource(text(arn, _LONG)) for arn in arns[:_MOST_RESOURCES]]))


def _resource(arn: str) -> _Resource:
    segments = arn.split(":", 5)
    if len(segments) != 6:  # noqa: PLR2004 - `*`, for operations that act on no resource
        return _Resource(arn)
    kind = segments[5].partition(":")[0].partition("/")[0]
    return _Resource(arn, segments[4] or UNSET, _RESOURCE_TYPES.get((segments[2], kind), UNSET))
