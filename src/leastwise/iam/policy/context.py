"""Builds the condition keys that every request has, from what the platform itself measured.

SECURITY: a key is present only when it is known. `aws:MultiFactorAuthPresent` is absent for long-term keys, as in AWS;
policies must use BoolIfExists to deny without a second factor.

Source: IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from leastwise.iam.interface import ContextValue, Principal, PrincipalKind
from leastwise.iam.policy.clockkeys import time_context
from leastwise.kernel.call import Source
from leastwise.kernel.clock import iso_seconds
from leastwise.kernel.units import SECOND_MS

_NOBODY: Final = "anonymous"
_PRINCIPAL_TYPES: Final = {
    PrincipalKind.ROOT: "Account",
    PrincipalKind.USER: "User",
    PrincipalKind.ROLE_SESSION: "AssumedRole",
    PrincipalKind.FEDERATED_USER: "FederatedUser",
    PrincipalKind.ANONYMOUS: "Anonymous",
}


def build_context(
    principal: Principal,
    source: Source,
    *,
    now_ms: int,
    region: str,
    extra: Mapping[str, ContextValue],
    time_zone: str,
    resource_account_id: str | None = None,
) -> dict[str, ContextValue]:
    """The context of one request.

    Args:
        principal: the authenticated caller.
        source: as the door measured it.
        now_ms: the one reading of the clock for this call, epoch ms.
        region: the region that the call was addressed to.
        extra: keys that the operation and its target supply. SECURITY: they never replace a key made here.
        time_zone: IANA name, for the `leastwise:` clock keys.
        resource_account_id: owner of the resource, None when the operation has none.

    Returns:
        Keys in lower case; an unknown key is absent.
    """
    context: dict[str, ContextValue] = {key.lower(): value for key, value in extra.items()}
    context |= time_context(now_ms, time_zone)
    context["aws:currenttime"] = _second(now_ms // SECOND_MS)
    context["aws:epochtime"] = str(now_ms // SECOND_MS)
    context["aws:requestedregion"] = region
    context["aws:securetransport"] = "true" if source.tls else "false"
    context["aws:useragent"] = source.user_agent
    context["aws:userid"] = principal.unique_id
    context["aws:viaawsservice"] = "false"
    if resource_account_id is not None:
        context["aws:resourceaccount"] = resource_account_id
    if principal.kind is PrincipalKind.SERVICE:
        return _add_service(context, principal)
    if principal.kind is PrincipalKind.ANONYMOUS:
        return _add_anonymous(context, source)
    context["aws:principalisawsservice"] = "false"
    context["aws:principalaccount"] = principal.account_id
    context["aws:principalarn"] = principal.role_arn or principal.arn
    context["aws:principaltype"] = _PRINCIPAL_TYPES[principal.kind]
    context["aws:sourceip"] = source.ip
    if principal.authentication_method is not None:
        context["leastwise:authenticationmethod"] = principal.authentication_method
    if principal.called_via:
        _add_forwarded(context, principal.called_via)
    if principal.kind is PrincipalKind.USER:
        context["aws:username"] = principal.name
    for key, value in principal.tags.items():
        context["aws:principaltag/" + key.lower()] = value
    if principal.source_identity is not None:
        context["aws:sourceidentity"] = principal.source_identity
    if principal.session_issued_at_ms is not None:
        _add_session(context, principal, principal.session_issued_at_ms, now_ms)
    return context


def _add_service(context: dict[str, ContextValue], principal: Principal) -> dict[str, ContextValue]:
    context["aws:principalisawsservice"] = "true"
    context["aws:principalservicename"] = principal.name
    context["aws:principalservicenameslist"] = (principal.name,)
    context["aws:sourceaccount"] = principal.account_id
    if principal.source_arn is not None:
        context["aws:sourcearn"] = principal.source_arn
    return context


def _add_session(context: dict[str, ContextValue], principal: Principal, issued_at_ms: int, now_ms: int) -> None:
    context["aws:tokenissuetime"] = _second(issued_at_ms // SECOND_MS)
    authenticated_at_ms = principal.mfa_authenticated_at_ms
    context["aws:multifactorauthpresent"] = "false" if authenticated_at_ms is None else "true"
    if authenticated_at_ms is not None:
        context["aws:multifactorauthage"] = str(max(0, now_ms - authenticated_at_ms) // SECOND_MS)
        if principal.mfa_method is not None:
            context["leastwise:mfamethod"] = principal.mfa_method
    if principal.source_function_arn is not None:
        context["lambda:sourcefunctionarn"] = principal.source_function_arn


def _add_forwarded(context: dict[str, ContextValue], services: tuple[str, ...]) -> None:
    """A service passed the principal's call on: it is the principal's still, and came from the service.

    Source: IAM User Guide, "AWS global condition context keys", aws:CalledVia, aws:ViaAWSService and aws:SourceIp
    (absent when a service makes the call).
    """
    context["aws:viaawsservice"] = "true"
    context["aws:calledvia"] = services
    context["aws:calledviafirst"] = services[0]
    context["aws:calledvialast"] = services[-1]
    del context["aws:sourceip"]


def _add_anonymous(context: dict[str, ContextValue], source: Source) -> dict[str, ContextValue]:
    """Source: IAM User Guide, "IAM policy elements: Variables and tags", principal key values."""
    context["aws:principalisawsservice"] = "false"
    context["aws:principalaccount"] = context["aws:userid"] = _NOBODY
    context["aws:principaltype"] = _PRINCIPAL_TYPES[PrincipalKind.ANONYMOUS]
    context["aws:sourceip"] = source.ip
    return context


@lru_cache(maxsize=4096)
def _second(epoch_s: int) -> str:
    return iso_seconds(epoch_s * SECOND_MS)
