"""What calls on the organization act on, and who may make them at all.

Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Organizations".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from leastwise.flows.identity_targets import Context, request_tags
from leastwise.flows.interface import Demand, Parameters, Scene, Target
from leastwise.iam import organization_refusals as refuse
from leastwise.iam.account_tree import AccountTree

Resolver = Callable[[Scene, Parameters], Awaitable[Target]]


async def managed_tree(scene: Scene) -> AccountTree:
    """The tree, for principals of the management account.

    SECURITY: a member account must neither change what binds it nor learn who else is here.

    Raises:
        errors.Denied: a member account's principal.
    """
    tree = await scene.services.organization.accounts.tree()
    if not tree.is_management(scene.account_id):
        raise refuse.not_management()
    return tree


async def everything(scene: Scene, parameters: Parameters) -> Target:
    """Operations that AWS gives no resource."""
    await managed_tree(scene)
    return Target(arn="*", account_id=scene.account_id, context=_asked(parameters))


def own_organization(scene: Scene, _parameters: Parameters) -> Target:
    """What every account may ask about itself."""
    return Target(arn="*", account_id=scene.account_id)


def node(member: str) -> Resolver:
    """The root, unit or account that an input member names."""

    async def resolve(scene: Scene, parameters: Parameters) -> Target:
        return await _node_target(scene, parameters, str(parameters[member]))

    return resolve


def further_nodes(action: str, *members: str) -> Callable[[Scene, Parameters], Awaitable[tuple[Demand, ...]]]:
    """The same permission on every other node that the call names."""

    async def demand(scene: Scene, parameters: Parameters) -> tuple[Demand, ...]:
        targets = [await _node_target(scene, parameters, str(parameters[member])) for member in members]
        return tuple(Demand(action=action, target=target) for target in targets)

    return demand


async def _node_target(scene: Scene, parameters: Parameters, node_id: str) -> Target:
    tree = await managed_tree(scene)
    tags = await scene.services.organization.accounts.tags(node_id)
    return Target(
        arn=tree.node_arn(node_id), account_id=scene.account_id, context=_resource_tags(tags) | _asked(parameters)
    )


async def policy(scene: Scene, parameters: Parameters) -> Target:
    """The policy named by `PolicyId`."""
    return await _policy_target(scene, parameters, str(parameters["PolicyId"]))


async def _policy_target(scene: Scene, parameters: Parameters, policy_id: str) -> Target:
    tree = await managed_tree(scene)
    found = tree.guardrails.get(policy_id)
    context: Context = _asked(parameters)
    if found is None:
        arn = tree.organization_arn.replace(":organization/", ":policy/", 1) + f"/service_control_policy/{policy_id}"
        return Target(arn=arn, account_id=scene.account_id, context=context)
    tags = await scene.services.organization.accounts.tags(policy_id)
    context = _resource_tags(tags) | context | {"organizations:policytype": found.type.value}
    return Target(arn=tree.arn_of(found), account_id=scene.account_id, context=context)


async def tagged(scene: Scene, parameters: Parameters) -> Target:
    """The policy, root, unit or account named by `ResourceId`."""
    resource_id = str(parameters["ResourceId"])
    if resource_id.startswith("p-"):
        return await _policy_target(scene, parameters, resource_id)
    return await _node_target(scene, parameters, resource_id)


def tagging(scene: Scene, parameters: Parameters) -> tuple[Demand, ...]:
    """What making something with tags needs besides.

    SECURITY: otherwise whoever may make accounts could give them any tag that policies trust.
    """
    if not parameters.get("Tags"):
        return ()
    target = Target(arn="*", account_id=scene.account_id, context=request_tags(parameters))
    return (Demand(action="organizations:TagResource", target=target),)


def _asked(parameters: Parameters) -> Context:
    """The keys that the request itself supplies."""
    context = request_tags(parameters)
    kind = parameters.get("PolicyType") or parameters.get("Type") or parameters.get("Filter")
    if kind is not None:
        context["organizations:policytype"] = kind
    return context


def _resource_tags(tags: dict[str, str]) -> Context:
    return {f"aws:resourcetag/{key.lower()}": value for key, value in tags.items()}
