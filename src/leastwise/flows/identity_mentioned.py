"""What policies speak of: GetContextKeysForCustomPolicy, ...ForPrincipalPolicy, ListPoliciesGrantingServiceAccess."""

from __future__ import annotations

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read
from leastwise.flows.interface import Operation, Parameters, Resolve, Scene, Target
from leastwise.iam.interface import InvalidInput
from leastwise.iam.service import PolicySource


async def _of_custom_policy(scene: Scene, parameters: Parameters) -> Parameters:
    found = scene.services.identities.grants.context_keys(parameters["PolicyInputList"])
    return {"ContextKeyNames": list(found)}


async def _of_principal_policy(scene: Scene, parameters: Parameters) -> Parameters:
    grants = scene.services.identities.grants
    sources = await grants.sources_of(scene.account_id, parameters["PolicySourceArn"])
    found = grants.context_keys([*(source.document for source in sources), *parameters.get("PolicyInputList", ())])
    return {"ContextKeyNames": list(found)}


async def _granting_service_access(scene: Scene, parameters: Parameters) -> Parameters:
    services = sorted(set(parameters["ServiceNamespaces"]))
    cut, more = shapes.page(parameters, services, key=str)
    found = await scene.services.identities.grants.granting(scene.account_id, parameters["Arn"], cut)
    told = [
        {"ServiceNamespace": service, "Policies": [_source_shape(source) for source in found[service]]}
        for service in cut
    ]
    return {"PoliciesGrantingServiceAccess": told, **more}


def _source_shape(source: PolicySource) -> dict[str, str]:
    if source.arn is not None:
        return {"PolicyName": source.name, "PolicyType": "MANAGED", "PolicyArn": source.arn}
    return {
        "PolicyName": source.name,
        "PolicyType": "INLINE",
        "EntityType": source.owner.kind.value.upper(),
        "EntityName": source.owner.name,
    }


def _identity(member: str) -> Resolve:
    """The user, role or group that a member names by its ARN."""

    def resolve(_scene: Scene, parameters: Parameters) -> Target:
        arn = str(parameters[member])
        match arn.split(":", 5):
            case ["arn", "aws", "iam", "", account_id, resource] if "/" in resource:
                return Target(arn=arn, account_id=account_id)
        message = f"Invalid Entity Arn: {arn} does not clearly define entity type and name."
        raise InvalidInput(message)

    return resolve


OPERATIONS: tuple[Operation, ...] = (
    read("GetContextKeysForCustomPolicy", targets.everything, _of_custom_policy),
    read("GetContextKeysForPrincipalPolicy", _identity("PolicySourceArn"), _of_principal_policy),
    read("ListPoliciesGrantingServiceAccess", _identity("Arn"), _granting_service_access),
)
