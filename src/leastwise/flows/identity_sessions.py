"""STS: who am I, and short-lived credentials.

Source: STS API Reference; Service Authorization Reference, "AWS Security Token Service".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.interface import Demand, Operation, Parameters, Scene, Target
from leastwise.iam.interface import Credentials, PrincipalKind
from leastwise.kernel import errors
from leastwise.kernel.events import Access


async def _get_caller_identity(scene: Scene, _parameters: Parameters) -> Parameters:
    principal = scene.principal
    return {"UserId": principal.unique_id, "Account": principal.account_id, "Arn": principal.arn}


async def _role_to_assume(scene: Scene, parameters: Parameters) -> Target:
    """The role with its trust policy as the resource policy. An unknown role has none, and so trusts nobody."""
    arn = str(parameters["RoleArn"])
    if scene.principal.kind is PrincipalKind.FEDERATED_USER:
        raise _out_of_reach(scene, "AssumeRole", arn)
    segments = arn.split(":", 5)
    if len(segments) != 6 or segments[:4] != ["arn", "aws", "iam", ""] or not segments[5].startswith("role/"):  # noqa: PLR2004 - an ARN's segments
        message = f"{arn} is invalid"
        raise errors.Invalid(message)
    role = await scene.services.identities.roles.find_by_arn(arn)
    context: targets.Context = targets.request_tags(parameters)
    context["sts:rolesessionname"] = parameters["RoleSessionName"]
    if "ExternalId" in parameters:
        context["sts:externalid"] = parameters["ExternalId"]
    # A source identity that the caller has is set again on the new session.
    source_identity = parameters.get("SourceIdentity") or scene.principal.source_identity
    if source_identity:
        context["sts:sourceidentity"] = source_identity
    if parameters.get("TransitiveTagKeys"):
        context["sts:transitivetagkeys"] = tuple(parameters["TransitiveTagKeys"])
    if role is None:
        return Target(arn=arn, account_id=segments[4], context=context)
    return Target(
        arn=arn,
        account_id=role.account_id,
        policy=role.trust_policy,
        context=targets.resource_tags(role.tags) | context,
    )


async def _further_to_assume(scene: Scene, parameters: Parameters) -> tuple[Demand, ...]:
    """Tags and a source identity each need a permission of their own, from the trust policy too.

    A source identity that the caller's session already has is set again on the new one, and needs it as well.
    """
    actions = []
    if parameters.get("Tags") or scene.principal.transitive_tag_keys:
        actions.append("sts:TagSession")
    if parameters.get("SourceIdentity") or scene.principal.source_identity:
        actions.append("sts:SetSourceIdentity")
    if not actions:
        return ()
    target = await _role_to_assume(scene, parameters)
    return tuple(Demand(action=action, target=target) for action in actions)


async def _assume_role(scene: Scene, parameters: Parameters) -> Parameters:
    _refuse_what_is_not_there_yet(parameters)
    assumed = await scene.services.sessions.assume_role(
        scene.principal,
        parameters["RoleArn"],
        session_name=parameters["RoleSessionName"],
        duration_s=parameters.get("DurationSeconds"),
        policy=parameters.get("Policy"),
        policy_arns=_policy_arns(parameters),
        tags=shapes.tags_of(parameters),
        transitive_tag_keys=parameters.get("TransitiveTagKeys") or (),
        source_identity=parameters.get("SourceIdentity"),
        now_ms=scene.now_ms,
    )
    scene.notes["issuedAccessKeyId"] = assumed.credentials.access_key_id
    result: dict[str, Any] = {
        "Credentials": _credentials(assumed.credentials),
        "AssumedRoleUser": {"AssumedRoleId": assumed.unique_id, "Arn": assumed.arn},
    }
    if assumed.packed_policy_percent is not None:
        result["PackedPolicySize"] = assumed.packed_policy_percent
    if assumed.source_identity is not None:
        result["SourceIdentity"] = assumed.source_identity
    return result


async def _get_session_token(scene: Scene, parameters: Parameters) -> Parameters:
    _refuse_what_is_not_there_yet(parameters)
    credentials = await scene.services.sessions.session_token(
        scene.principal, duration_s=parameters.get("DurationSeconds"), now_ms=scene.now_ms
    )
    scene.notes["issuedAccessKeyId"] = credentials.access_key_id
    return {"Credentials": _credentials(credentials)}


def _federated_user(scene: Scene, parameters: Parameters) -> Target:
    """The session that the call would make."""
    arn = f"arn:aws:sts::{scene.account_id}:federated-user/{parameters['Name']}"
    return Target(arn=arn, account_id=scene.account_id, context=targets.request_tags(parameters))


async def _get_federation_token(scene: Scene, parameters: Parameters) -> Parameters:
    made = await scene.services.sessions.federation_token(
        scene.principal,
        parameters["Name"],
        duration_s=parameters.get("DurationSeconds"),
        policy=parameters.get("Policy"),
        policy_arns=_policy_arns(parameters),
        tags=shapes.tags_of(parameters),
        now_ms=scene.now_ms,
    )
    scene.notes["issuedAccessKeyId"] = made.credentials.access_key_id
    result: dict[str, Any] = {
        "Credentials": _credentials(made.credentials),
        "FederatedUser": {"FederatedUserId": made.unique_id, "Arn": made.arn},
    }
    if made.packed_policy_percent is not None:
        result["PackedPolicySize"] = made.packed_policy_percent
    return result


async def _decode_authorization_message(scene: Scene, parameters: Parameters) -> Parameters:
    decoded = scene.services.sessions.decode_authorization_message(scene.account_id, parameters["EncodedMessage"])
    return {"DecodedMessage": decoded}


def _for_long_lived(name: str) -> Callable[[Scene, Parameters], Target]:
    """Operations that act on no resource, out of reach of the sessions of users and of federated users.

    Source: STS API Reference, GetSessionToken ("You cannot call any AWS STS API except AssumeRole or
    GetCallerIdentity") and GetFederationToken ("You cannot call any AWS STS operations except GetCallerIdentity").
    """

    def resolve(scene: Scene, _parameters: Parameters) -> Target:
        principal = scene.principal
        if principal.session_issued_at_ms is not None and principal.kind is not PrincipalKind.ROLE_SESSION:
            raise _out_of_reach(scene, name, "*")
        return Target(arn="*", account_id=scene.account_id)

    return resolve


def _out_of_reach(scene: Scene, name: str, resource: str) -> errors.Denied:
    return errors.Denied(
        f"User: {scene.principal.arn} is not authorized to perform: sts:{name} on resource: {resource}"
    )


async def _get_access_key_info(scene: Scene, parameters: Parameters) -> Parameters:
    if parameters["AccessKeyId"].startswith("ASIA"):
        # A session is kept nowhere but in its token, and its key id says nothing.
        message = (
            f"The account of {parameters['AccessKeyId']} is not known: a key of a session stands in its token alone. "
            "GetCallerIdentity with the key tells it."
        )
        raise errors.Invalid(message)
    key = await scene.services.identities.access_keys.find(parameters["AccessKeyId"])
    if key is None:
        message = f"The Access Key with id {parameters['AccessKeyId']} cannot be found."
        raise errors.Invalid(message)
    return {"Account": key.account_id}


def _policy_arns(parameters: Parameters) -> list[str]:
    return [descriptor.get("arn", "") for descriptor in parameters.get("PolicyArns") or ()]


def _refuse_what_is_not_there_yet(parameters: Parameters) -> None:
    """SECURITY: a second factor that is not checked must not look as if it had been."""
    for member in ("SerialNumber", "TokenCode", "ProvidedContexts"):
        if parameters.get(member):
            message = f"{member} is not implemented yet; it is refused, never ignored."
            raise errors.NotImplementedHere(message)


def _credentials(credentials: Credentials) -> dict[str, Any]:
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": shapes.instant(credentials.expires_at_ms),
    }


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        service="sts",
        name="GetCallerIdentity",
        action=None,
        target=targets.everything,
        handle=_get_caller_identity,
        access=Access.READ,
    ),
    Operation(
        service="sts",
        name="AssumeRole",
        action="sts:AssumeRole",
        target=_role_to_assume,
        further=_further_to_assume,
        handle=_assume_role,
        access=Access.READ,
        redact=frozenset({"TokenCode"}),
    ),
    Operation(
        service="sts",
        name="GetSessionToken",
        action=None,
        target=targets.everything,
        handle=_get_session_token,
        access=Access.READ,
        redact=frozenset({"TokenCode"}),
    ),
    Operation(
        service="sts",
        name="GetFederationToken",
        action="sts:GetFederationToken",
        target=_federated_user,
        further=targets.tagged("sts:TagSession", _federated_user),
        handle=_get_federation_token,
        access=Access.READ,
    ),
    Operation(
        service="sts",
        name="DecodeAuthorizationMessage",
        action="sts:DecodeAuthorizationMessage",
        target=_for_long_lived("DecodeAuthorizationMessage"),
        handle=_decode_authorization_message,
        access=Access.READ,
        redact=frozenset({"EncodedMessage"}),
    ),
    Operation(
        service="sts",
        name="GetAccessKeyInfo",
        action="sts:GetAccessKeyInfo",
        target=_for_long_lived("GetAccessKeyInfo"),
        handle=_get_access_key_info,
        access=Access.READ,
    ),
)
