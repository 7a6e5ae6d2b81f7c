"""What IAM has and nobody can have here: factors, certificates, identity providers, instance profiles, linked roles.

The honest answer to "list them" is none: clients ask before they delete or show a user. Making any of them is refused.
"""

from __future__ import annotations

from typing import Final

from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Handler, Operation, Parameters, Resolve, Scene, Target
from leastwise.iam.directory import IdentityKind
from leastwise.iam.interface import InvalidInput, NoSuchEntity


def _none(member: str, *, paged: bool = True) -> Handler:
    """Answers an empty list; a user that is named must exist."""

    async def handle(scene: Scene, parameters: Parameters) -> Parameters:
        if "UserName" in parameters:
            await scene.services.identities.users.get(scene.account_id, parameters["UserName"])
        return {member: [], "IsTruncated": False} if paged else {member: []}

    return handle


def _linked_role(scene: Scene, parameters: Parameters) -> Target:
    service = parameters["AWSServiceName"]
    return Target(
        arn=f"arn:aws:iam::{scene.account_id}:role/aws-service-role/{service}/AWSServiceRole",
        account_id=scene.account_id,
        context={"iam:awsservicename": service},
    )


async def _create_service_linked_role(_scene: Scene, parameters: Parameters) -> Parameters:
    message = f"The service {parameters['AWSServiceName']} does not use service-linked roles."
    raise InvalidInput(message)


async def _delete_service_linked_role(_scene: Scene, parameters: Parameters) -> Parameters:
    message = f"The service-linked role with name {parameters['RoleName']} cannot be found."
    raise NoSuchEntity(message)


async def _get_deletion_status(_scene: Scene, parameters: Parameters) -> Parameters:
    message = f"The deletion task {parameters['DeletionTaskId']} cannot be found."
    raise NoSuchEntity(message)


def _deletion_task(scene: Scene, _parameters: Parameters) -> Target:
    return Target(arn=f"arn:aws:iam::{scene.account_id}:role/*", account_id=scene.account_id)


_LISTS: Final[tuple[tuple[str, Resolve, Handler], ...]] = (
    ("ListMFADevices", targets.acting_user, _none("MFADevices")),
    ("ListVirtualMFADevices", targets.everything, _none("VirtualMFADevices")),
    ("ListSSHPublicKeys", targets.acting_user, _none("SSHPublicKeys")),
    ("ListServiceSpecificCredentials", targets.acting_user, _none("ServiceSpecificCredentials")),
    ("ListSigningCertificates", targets.acting_user, _none("Certificates")),
    ("ListServerCertificates", targets.listed("server-certificate"), _none("ServerCertificateMetadataList")),
    ("ListInstanceProfiles", targets.listed("instance-profile"), _none("InstanceProfiles")),
    ("ListOpenIDConnectProviders", targets.everything, _none("OpenIDConnectProviderList", paged=False)),
    ("ListSAMLProviders", targets.everything, _none("SAMLProviderList", paged=False)),
)

OPERATIONS: Final[tuple[Operation, ...]] = (
    *(read(*row) for row in _LISTS),
    write("CreateServiceLinkedRole", _linked_role, _create_service_linked_role),
    write("DeleteServiceLinkedRole", targets.named(IdentityKind.ROLE), _delete_service_linked_role),
    read("GetServiceLinkedRoleDeletionStatus", _deletion_task, _get_deletion_status),
)
