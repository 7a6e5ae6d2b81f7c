"""What organizations have on AWS and this one never has: trusted services, delegates, invitations.

Clients (Terraform's data sources) ask these when they show an organization. The honest answer is none; making any of
them answers that it is not implemented.
"""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows import organization_targets as targets
from leastwise.flows.interface import Handler, Operation, Parameters, Scene
from leastwise.kernel.events import Access


def _none_of(member: str) -> Handler:
    async def answer(_scene: Scene, _parameters: Parameters) -> Parameters:
        return {member: []}

    return answer


def _row(name: str, member: str, **parts: Any) -> Operation:
    return Operation(
        service="organizations",
        name=name,
        action=f"organizations:{name}",
        handle=_none_of(member),
        access=Access.READ,
        **parts,
    )


OPERATIONS: Final[tuple[Operation, ...]] = (
    _row("ListAWSServiceAccessForOrganization", "EnabledServicePrincipals", target=targets.everything),
    _row("ListDelegatedAdministrators", "DelegatedAdministrators", target=targets.everything),
    _row("ListHandshakesForAccount", "Handshakes", target=targets.own_organization),
    _row("ListHandshakesForOrganization", "Handshakes", target=targets.everything),
)
