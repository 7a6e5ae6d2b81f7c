"""How the organization's nouns look on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from leastwise.flows.identity_shapes import instant
from leastwise.flows.interface import Parameters
from leastwise.flows.pages import cut_page
from leastwise.iam import organization_refusals as refuse
from leastwise.iam.account_tree import AccountTree
from leastwise.iam.organization import Creation, Guardrail, GuardrailType, Member, Unit
from leastwise.kernel import errors

Item = TypeVar("Item")
Shape = dict[str, Any]

_LARGEST_PAGE: Final = 20
"""Source: Organizations API Reference, MaxResults."""


def page(
    parameters: Parameters, items: Sequence[Item], *, key: Callable[[Item], str]
) -> tuple[Sequence[Item], Mapping[str, str]]:
    """One page of `items`, sorted by `key`, and the `NextToken` member if there are more.

    Raises:
        InvalidOrganizationInput: a token that is none of ours.
    """
    limit = min(parameters.get("MaxResults", _LARGEST_PAGE), _LARGEST_PAGE)
    try:
        cut, marker = cut_page(items, key=key, marker=parameters.get("NextToken"), limit=limit)
    except errors.Invalid as error:
        raise refuse.bad_page_token() from error
    return cut, {} if marker is None else {"NextToken": marker}


def organization(tree: AccountTree) -> Shape:
    kept = tree.organization
    management = tree.members[kept.management_account_id]
    return {
        "Id": kept.organization_id,
        "Arn": tree.organization_arn,
        "FeatureSet": "ALL",
        "MasterAccountArn": tree.node_arn(management.account_id),
        "MasterAccountId": management.account_id,
        "MasterAccountEmail": management.email,
        # SOURCE: Organizations API Reference, Organization: "Do not use. This field is deprecated".
        "AvailablePolicyTypes": [_type_shape(GuardrailType.SERVICE_CONTROL)],
    }


def root(tree: AccountTree) -> Shape:
    kept = tree.organization
    return {
        "Id": kept.root_id,
        "Arn": tree.node_arn(kept.root_id),
        "Name": "Root",
        "PolicyTypes": [_type_shape(kind) for kind in sorted(kept.enabled)],
    }


def _type_shape(kind: GuardrailType) -> Shape:
    return {"Type": kind.value, "Status": "ENABLED"}


def account(tree: AccountTree, member: Member) -> Shape:
    return {
        "Id": member.account_id,
        "Arn": tree.node_arn(member.account_id),
        "Email": member.email,
        "Name": member.name,
        "Status": member.standing.value,
        "State": member.standing.value,
        "JoinedMethod": "INVITED" if member.invited else "CREATED",
        "JoinedTimestamp": instant(member.joined_at_ms),
    }


def unit(tree: AccountTree, kept: Unit) -> Shape:
    return {"Id": kept.unit_id, "Arn": tree.node_arn(kept.unit_id), "Name": kept.name}


def creation(kept: Creation) -> Shape:
    shape: Shape = {
        "Id": kept.request_id,
        "AccountName": kept.name,
        "State": "SUCCEEDED" if kept.failure is None else "FAILED",
        "RequestedTimestamp": instant(kept.at_ms),
        "CompletedTimestamp": instant(kept.at_ms),
    }
    if kept.account_id is not None:
        shape["AccountId"] = kept.account_id
    if kept.failure is not None:
        shape["FailureReason"] = kept.failure
    return shape


def policy_summary(tree: AccountTree, policy: Guardrail) -> Shape:
    return {
        "Id": policy.policy_id,
        "Arn": tree.arn_of(policy),
        "Name": policy.name,
        "Description": policy.description,
        "Type": policy.type.value,
        "AwsManaged": policy.built_in,
    }


def policy(tree: AccountTree, kept: Guardrail) -> Shape:
    return {"Policy": {"PolicySummary": policy_summary(tree, kept), "Content": kept.content}}


def policy_target(tree: AccountTree, target_id: str) -> Shape:
    shape: Shape = {"TargetId": target_id, "Arn": tree.node_arn(target_id)}
    if target_id in tree.members:
        return shape | {"Name": tree.members[target_id].name, "Type": "ACCOUNT"}
    if target_id in tree.units:
        return shape | {"Name": tree.units[target_id].name, "Type": "ORGANIZATIONAL_UNIT"}
    return shape | {"Name": "Root", "Type": "ROOT"}
