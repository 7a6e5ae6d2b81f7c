"""Guardrails and what they are attached to: rows and handlers."""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows import organization_shapes as shapes
from leastwise.flows import organization_targets as targets
from leastwise.flows.identity_shapes import tags_of
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam import organization_refusals as refuse
from leastwise.iam.organization import Guardrail, GuardrailType
from leastwise.iam.service import guardrail_type
from leastwise.kernel.events import Access


async def _enable(scene: Scene, parameters: Parameters) -> Parameters:
    kind = guardrail_type(parameters["PolicyType"])
    return {"Root": shapes.root(await scene.services.organization.guardrails.enable(parameters["RootId"], kind))}


async def _disable(scene: Scene, parameters: Parameters) -> Parameters:
    offered = frozenset(GuardrailType)
    if parameters["PolicyType"] not in offered:
        raise refuse.type_not_enabled()
    kind = guardrail_type(parameters["PolicyType"])
    return {"Root": shapes.root(await scene.services.organization.guardrails.disable(parameters["RootId"], kind))}


async def _create(scene: Scene, parameters: Parameters) -> Parameters:
    made = await scene.services.organization.guardrails.create(
        guardrail_type(parameters["Type"]),
        parameters["Name"],
        description=parameters["Description"],
        content=parameters["Content"],
        tags=tags_of(parameters),
    )
    return await _shown(scene, made)


async def _update(scene: Scene, parameters: Parameters) -> Parameters:
    changed = await scene.services.organization.guardrails.update(
        parameters["PolicyId"],
        name=parameters.get("Name"),
        description=parameters.get("Description"),
        content=parameters.get("Content"),
    )
    return await _shown(scene, changed)


async def _describe(scene: Scene, parameters: Parameters) -> Parameters:
    return await _shown(scene, await scene.services.organization.guardrails.get(parameters["PolicyId"]))


async def _shown(scene: Scene, policy: Guardrail) -> Parameters:
    return shapes.policy(await scene.services.organization.accounts.tree(), policy)


async def _delete(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.organization.guardrails.delete(parameters["PolicyId"])
    return {}


async def _list(scene: Scene, parameters: Parameters) -> Parameters:
    """Of a type that is not offered there are none."""
    tree = await scene.services.organization.accounts.tree()
    found = [policy for policy in tree.guardrails.values() if policy.type == parameters["Filter"]]
    found.sort(key=lambda policy: policy.policy_id)
    cut, more = shapes.page(parameters, found, key=lambda policy: policy.policy_id)
    return {"Policies": [shapes.policy_summary(tree, policy) for policy in cut], **more}


async def _attach(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.organization.guardrails.attach(parameters["PolicyId"], parameters["TargetId"])
    return {}


async def _detach(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.organization.guardrails.detach(parameters["PolicyId"], parameters["TargetId"])
    return {}


async def _list_for_target(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    target_id = parameters["TargetId"]
    if not tree.is_target(target_id):
        raise refuse.no_target()
    kinds = [kind for kind in GuardrailType if kind == parameters["Filter"]]
    found = [policy for kind in kinds for policy in tree.on(target_id, kind)]
    cut, more = shapes.page(parameters, found, key=lambda policy: policy.policy_id)
    return {"Policies": [shapes.policy_summary(tree, policy) for policy in cut], **more}


async def _list_targets(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    policy_id = parameters["PolicyId"]
    if policy_id not in tree.guardrails:
        raise refuse.no_guardrail()
    cut, more = shapes.page(parameters, tree.targets_of(policy_id), key=str)
    return {"Targets": [shapes.policy_target(tree, target_id) for target_id in cut], **more}


def _row(name: str, **parts: Any) -> Operation:
    return Operation(service="organizations", name=name, action=f"organizations:{name}", **parts)


_ROOT: Final = targets.node("RootId")

OPERATIONS: Final[tuple[Operation, ...]] = (
    _row("EnablePolicyType", target=_ROOT, handle=_enable, access=Access.WRITE),
    _row("DisablePolicyType", target=_ROOT, handle=_disable, access=Access.WRITE),
    _row("CreatePolicy", target=targets.everything, further=targets.tagging, handle=_create, access=Access.WRITE),
    _row("UpdatePolicy", target=targets.policy, handle=_update, access=Access.WRITE),
    _row("DeletePolicy", target=targets.policy, handle=_delete, access=Access.WRITE),
    _row("DescribePolicy", target=targets.policy, handle=_describe, access=Access.READ),
    _row("ListPolicies", target=targets.everything, handle=_list, access=Access.READ),
    _row(
        "AttachPolicy",
        target=targets.policy,
        further=targets.further_nodes("organizations:AttachPolicy", "TargetId"),
        handle=_attach,
        access=Access.WRITE,
    ),
    _row(
        "DetachPolicy",
        target=targets.policy,
        further=targets.further_nodes("organizations:DetachPolicy", "TargetId"),
        handle=_detach,
        access=Access.WRITE,
    ),
    _row("ListPoliciesForTarget", target=targets.node("TargetId"), handle=_list_for_target, access=Access.READ),
    _row("ListTargetsForPolicy", target=targets.policy, handle=_list_targets, access=Access.READ),
)
