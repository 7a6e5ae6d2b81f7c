"""The root, organizational units, and what hangs on what: rows and handlers."""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows import organization_shapes as shapes
from leastwise.flows import organization_targets as targets
from leastwise.flows.identity_shapes import tag_list, tags_of
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.iam import organization_refusals as refuse
from leastwise.kernel.events import Access


async def _list_roots(scene: Scene, _parameters: Parameters) -> Parameters:
    return {"Roots": [shapes.root(await scene.services.organization.accounts.tree())]}


async def _create_unit(scene: Scene, parameters: Parameters) -> Parameters:
    accounts = scene.services.organization.accounts
    unit = await accounts.create_unit(parameters["ParentId"], parameters["Name"], tags=tags_of(parameters))
    return {"OrganizationalUnit": shapes.unit(await accounts.tree(), unit)}


async def _update_unit(scene: Scene, parameters: Parameters) -> Parameters:
    accounts = scene.services.organization.accounts
    unit = await accounts.rename_unit(parameters["OrganizationalUnitId"], parameters.get("Name"))
    return {"OrganizationalUnit": shapes.unit(await accounts.tree(), unit)}


async def _delete_unit(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.organization.accounts.delete_unit(parameters["OrganizationalUnitId"])
    return {}


async def _describe_unit(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    unit = tree.units.get(parameters["OrganizationalUnitId"])
    if unit is None:
        raise refuse.no_unit()
    return {"OrganizationalUnit": shapes.unit(tree, unit)}


async def _list_units_for_parent(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    if not tree.is_parent(parameters["ParentId"]):
        raise refuse.no_parent()
    cut, more = shapes.page(parameters, tree.units_under(parameters["ParentId"]), key=lambda unit: unit.unit_id)
    return {"OrganizationalUnits": [shapes.unit(tree, unit) for unit in cut], **more}


async def _list_parents(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    parent_id = tree.parent_of(parameters["ChildId"])
    if parent_id is None:
        raise refuse.no_child()
    kind = "ROOT" if parent_id == tree.organization.root_id else "ORGANIZATIONAL_UNIT"
    return {"Parents": [{"Id": parent_id, "Type": kind}]}


async def _list_children(scene: Scene, parameters: Parameters) -> Parameters:
    tree = await scene.services.organization.accounts.tree()
    parent_id, kind = parameters["ParentId"], parameters["ChildType"]
    if not tree.is_parent(parent_id):
        raise refuse.no_parent()
    if kind == "ACCOUNT":
        children = [member.account_id for member in tree.members_under(parent_id)]
    else:
        children = [unit.unit_id for unit in tree.units_under(parent_id)]
    cut, more = shapes.page(parameters, children, key=str)
    return {"Children": [{"Id": child, "Type": kind} for child in cut], **more}


async def _tag_resource(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.organization.accounts.tag(parameters["ResourceId"], tags_of(parameters))
    return {}


async def _untag_resource(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.organization.accounts.untag(parameters["ResourceId"], parameters["TagKeys"])
    return {}


async def _list_tags_for_resource(scene: Scene, parameters: Parameters) -> Parameters:
    found = await scene.services.organization.accounts.listed_tags(parameters["ResourceId"])
    cut, more = shapes.page(parameters, tag_list(found), key=lambda tag: str(tag["Key"]))
    return {"Tags": list(cut), **more}


def _row(name: str, **parts: Any) -> Operation:
    return Operation(service="organizations", name=name, action=f"organizations:{name}", **parts)


_UNIT: Final = targets.node("OrganizationalUnitId")
_PARENT: Final = targets.node("ParentId")

OPERATIONS: Final[tuple[Operation, ...]] = (
    _row("ListRoots", target=targets.everything, handle=_list_roots, access=Access.READ),
    _row(
        "CreateOrganizationalUnit",
        target=_PARENT,
        further=targets.tagging,
        handle=_create_unit,
        access=Access.WRITE,
    ),
    _row("UpdateOrganizationalUnit", target=_UNIT, handle=_update_unit, access=Access.WRITE),
    _row("DeleteOrganizationalUnit", target=_UNIT, handle=_delete_unit, access=Access.WRITE),
    _row("DescribeOrganizationalUnit", target=_UNIT, handle=_describe_unit, access=Access.READ),
    _row("ListOrganizationalUnitsForParent", target=_PARENT, handle=_list_units_for_parent, access=Access.READ),
    _row("ListParents", target=targets.node("ChildId"), handle=_list_parents, access=Access.READ),
    _row("ListChildren", target=_PARENT, handle=_list_children, access=Access.READ),
    _row("TagResource", target=targets.tagged, handle=_tag_resource, access=Access.WRITE),
    _row("UntagResource", target=targets.tagged, handle=_untag_resource, access=Access.WRITE),
    _row("ListTagsForResource", target=targets.tagged, handle=_list_tags_for_resource, access=Access.READ),
)
