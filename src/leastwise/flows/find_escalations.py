"""ListEscalations: who in the caller's account can become more than they were made (service `leastwise`)."""

from __future__ import annotations

from typing import Any

from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.iam.escalation.paths import EscalationPath, Step
from leastwise.iam.escalation.ways import WAYS
from leastwise.iam.interface import InvalidInput, PrincipalKind
from leastwise.iam.service import Deployed
from leastwise.kernel.events import Access


def _account(scene: Scene, _parameters: Parameters) -> Target:
    return Target(arn="*", account_id=scene.account_id)


async def list_escalations(scene: Scene, parameters: Parameters) -> Parameters:
    """Paths to everything, and single steps to another principal; with `All`, every path to every principal. With
    `PrincipalArn`, from that one only.

    Raises:
        NoSuchEntity: there is no such user or role.
        InvalidInput: `PrincipalArn` names neither.
    """
    named = parameters.get("PrincipalArn")
    only = None if named is None else await _identity(scene, named)
    everything = bool(parameters.get("All"))
    report = await scene.services.identities.escalations.find(
        scene.account_id,
        functions=[
            Deployed(arn=function.arn, role_arn=function.role_arn, policy=function.policy)
            for function in scene.services.catalog.of_account(scene.account_id)
        ],
        now_ms=scene.now_ms,
        region=scene.region,
        wanted=lambda path: everything or not _is_minor(path),
        only=only,
    )
    return {
        "Escalations": [_path(path) for path in report.paths],
        "Administrators": list(report.administrators),
        "PrincipalsExamined": report.looked_at,
        "Complete": report.complete,
    }


async def _identity(scene: Scene, named: str) -> str:
    """ARN of the user or role; a session's role."""
    principal = await scene.services.identities.asking.somebody(scene.account_id, named)
    if principal.kind not in {PrincipalKind.USER, PrincipalKind.ROLE_SESSION}:
        message = f"{named} is neither a user nor a role: nobody else can become more."
        raise InvalidInput(message)
    return principal.role_arn or principal.arn


def _is_minor(path: EscalationPath) -> bool:
    """Assuming a role that trusts one is what the role is for, as long as nobody becomes an administrator by it. Longer
    chains to ordinary principals are made of the single steps, which are shown.
    """
    if path.is_grave:
        return False
    return path.is_plain_assumption or len(path.steps) > 1


def _path(path: EscalationPath) -> dict[str, Any]:
    return {
        "Principal": path.principal,
        "Becomes": path.becomes,
        "Conditions": list(path.conditions),
        "Steps": [_step(step) for step in path.steps],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "Way": step.way,
        "Story": " ".join(WAYS[part].story for part in step.way.split("+")),
        "Calls": [{"Action": call.action, "Resource": call.resource} for call in step.calls],
        "Becomes": step.becomes,
        "Conditions": list(step.conditions),
    }


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        service="leastwise",
        name="ListEscalations",
        action="leastwise:ListEscalations",
        target=_account,
        handle=list_escalations,
        access=Access.READ,
    ),
)
