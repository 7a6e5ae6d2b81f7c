"""Managed policies and their versions: rows and handlers."""

from __future__ import annotations

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.iam.directory import IdentityKind, IdentityRef, PolicyVersion


async def _create_policy(scene: Scene, parameters: Parameters) -> Parameters:
    policy = await scene.services.identities.policies.create(
        scene.account_id,
        parameters["PolicyName"],
        path=parameters.get("Path", "/"),
        description=parameters.get("Description", ""),
        document=parameters["PolicyDocument"],
        tags=shapes.tags_of(parameters),
        now_ms=scene.now_ms,
    )
    return {"Policy": shapes.policy_shape(policy, 0)}


async def _get_policy(scene: Scene, parameters: Parameters) -> Parameters:
    identities = scene.services.identities
    policy = await identities.policies.get(scene.account_id, parameters["PolicyArn"])
    bounded = await identities.grants.bound_by(scene.account_id, policy.arn)
    return {"Policy": shapes.policy_shape(policy, len(bounded))}


async def _list_policies(scene: Scene, parameters: Parameters) -> Parameters:
    identities = scene.services.identities
    scope = parameters.get("Scope", "All")
    found = await identities.policies.list(
        scene.account_id, parameters.get("PathPrefix", "/"), own=scope != "AWS", built_in=scope != "Local"
    )
    bounds = await identities.grants.boundary_counts(scene.account_id)
    usage = parameters.get("PolicyUsageFilter")
    if usage is not None or parameters.get("OnlyAttached"):
        found = tuple(
            policy
            for policy in found
            if (usage != "PermissionsBoundary" and policy.attachment_count)
            or (usage != "PermissionsPolicy" and bounds[policy.arn])
        )
    cut, more = shapes.page(parameters, found, key=lambda policy: f"{policy.name} {policy.account_id}")
    return {"Policies": [shapes.policy_in_list(policy, bounds[policy.arn]) for policy in cut], **more}


async def _delete_policy(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.policies.delete(scene.account_id, parameters["PolicyArn"])
    return {}


async def _create_policy_version(scene: Scene, parameters: Parameters) -> Parameters:
    version = await scene.services.identities.policies.add_version(
        scene.account_id,
        parameters["PolicyArn"],
        parameters["PolicyDocument"],
        as_default=bool(parameters.get("SetAsDefault", False)),
        now_ms=scene.now_ms,
    )
    return {"PolicyVersion": shapes.version_in_list(version)}


async def _get_policy_version(scene: Scene, parameters: Parameters) -> Parameters:
    version = await scene.services.identities.policies.version(
        scene.account_id, parameters["PolicyArn"], parameters["VersionId"]
    )
    return {"PolicyVersion": shapes.version_shape(version)}


async def _list_policy_versions(scene: Scene, parameters: Parameters) -> Parameters:
    policy = await scene.services.identities.policies.get(scene.account_id, parameters["PolicyArn"])
    newest_first = sorted(policy.versions, key=_place)
    cut, more = shapes.page(parameters, newest_first, key=_place)
    return {"Versions": [shapes.version_in_list(version) for version in cut], **more}


def _place(version: PolicyVersion) -> str:
    """Sorts the newest first."""
    return f"{10**9 - int(version.version_id[1:]):010}"


async def _set_default_policy_version(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.policies.set_default_version(
        scene.account_id, parameters["PolicyArn"], parameters["VersionId"], now_ms=scene.now_ms
    )
    return {}


async def _delete_policy_version(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.policies.delete_version(
        scene.account_id, parameters["PolicyArn"], parameters["VersionId"], now_ms=scene.now_ms
    )
    return {}


async def _tag_policy(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.policies.tag(scene.account_id, parameters["PolicyArn"], shapes.tags_of(parameters))
    return {}


async def _untag_policy(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.policies.untag(scene.account_id, parameters["PolicyArn"], parameters["TagKeys"])
    return {}


async def _list_policy_tags(scene: Scene, parameters: Parameters) -> Parameters:
    policy = await scene.services.identities.policies.get(scene.account_id, parameters["PolicyArn"])
    return shapes.tag_page(parameters, policy.tags)


async def _list_entities_for_policy(scene: Scene, parameters: Parameters) -> Parameters:
    identities = scene.services.identities
    policy = await identities.policies.get(scene.account_id, parameters["PolicyArn"])
    usage, prefix, wanted = (parameters.get(name) for name in ("PolicyUsageFilter", "PathPrefix", "EntityFilter"))
    found: set[IdentityRef] = set()
    if usage != "PermissionsBoundary":
        found.update(await identities.grants.attached_to(scene.account_id, policy.arn))
    if usage != "PermissionsPolicy":
        found.update(await identities.grants.bound_by(scene.account_id, policy.arn))
    named: list[tuple[str, IdentityKind, dict[str, str]]] = []
    for ref in found:
        identity = await targets.find(scene, ref.kind, ref.name)
        title = targets.title(ref.kind)
        if identity is None or not identity.path.startswith(prefix or "/") or wanted not in {None, title}:
            continue
        shape = {f"{title}Name": identity.name, f"{title}Id": shapes.unique_id(identity)}
        named.append((f"{title} {identity.name}", ref.kind, shape))
    cut, more = shapes.page(parameters, sorted(named, key=lambda item: item[0]), key=lambda item: item[0])
    lists = {f"Policy{targets.title(kind)}s": [shape for _, of, shape in cut if of is kind] for kind in IdentityKind}
    return {**lists, **more}


def _created_policy(scene: Scene, parameters: Parameters) -> Target:
    path, name = parameters.get("Path", "/"), parameters["PolicyName"]
    return Target(
        arn=f"arn:aws:iam::{scene.account_id}:policy{path}{name}",
        account_id=scene.account_id,
        context=targets.request_tags(parameters),
    )


OPERATIONS: tuple[Operation, ...] = (
    write("CreatePolicy", _created_policy, _create_policy, further=targets.tagged("iam:TagPolicy", _created_policy)),
    read("GetPolicy", targets.policy, _get_policy),
    read("ListPolicies", targets.listed("policy"), _list_policies),
    write("DeletePolicy", targets.policy, _delete_policy),
    write("CreatePolicyVersion", targets.policy, _create_policy_version),
    read("GetPolicyVersion", targets.policy, _get_policy_version),
    read("ListPolicyVersions", targets.policy, _list_policy_versions),
    write("SetDefaultPolicyVersion", targets.policy, _set_default_policy_version),
    write("DeletePolicyVersion", targets.policy, _delete_policy_version),
    write("TagPolicy", targets.policy, _tag_policy),
    write("UntagPolicy", targets.policy, _untag_policy),
    read("ListPolicyTags", targets.policy, _list_policy_tags),
    read("ListEntitiesForPolicy", targets.policy, _list_entities_for_policy),
)
