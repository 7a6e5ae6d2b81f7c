"""Where accounts stand, and what that puts above them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from leastwise.iam.account_tree import FULL_ACCESS, FULL_RESOURCE_ACCESS, AccountTree
from leastwise.iam.interface import PolicyKind
from leastwise.iam.organization import (
    Attachment,
    Chart,
    Guardrail,
    GuardrailType,
    Member,
    Organization,
    Standing,
    Unit,
)
from leastwise.iam.policy.compile import compile_policy

SCP, RCP = GuardrailType.SERVICE_CONTROL, GuardrailType.RESOURCE_CONTROL
MANAGEMENT, MEMBER, STRANGER = "111111111111", "222222222222", "999999999999"
DENY = Guardrail(policy_id="p-deny1234", type=SCP, name="deny", description="", content="{}")


def member(account_id, parent_id="ou-root-inner000", **more):
    return Member(
        account_id=account_id, name="m", email=f"{account_id}@x.org", parent_id=parent_id, joined_at_ms=0, **more
    )


def chart(*attached, enabled=frozenset({SCP}), **more):
    parts = {
        "organization": Organization(
            organization_id="o-aaaaaaaaaa",
            root_id="r-root",
            management_account_id=MANAGEMENT,
            created_at_ms=0,
            enabled=enabled,
        ),
        "units": (
            Unit(unit_id="ou-root-outer000", parent_id="r-root", name="outer"),
            Unit(unit_id="ou-root-inner000", parent_id="ou-root-outer000", name="inner"),
        ),
        "members": (member(MANAGEMENT, "r-root"), member(MEMBER)),
        "guardrails": (DENY,),
        "attachments": tuple(Attachment(policy_id=policy, target_id=target) for policy, target in attached),
    }
    return Chart(**(parts | more))


def names(levels):
    return [[policy.name for policy in level] for level in levels]


def test_levels_go_from_the_root_to_the_account_and_empty_ones_are_there():
    tree = AccountTree(
        chart((FULL_ACCESS.policy_id, "r-root"), (DENY.policy_id, "ou-root-inner000"), (FULL_ACCESS.policy_id, MEMBER))
    )
    assert [["FullAWSAccess"], [], ["deny"], ["FullAWSAccess"]] == names(tree.levels(MEMBER, SCP))


def test_the_management_account_has_no_levels():
    tree = AccountTree(chart((DENY.policy_id, "r-root"), (DENY.policy_id, MANAGEMENT)))
    assert () == tree.levels(MANAGEMENT, SCP)


def test_a_type_that_is_not_enabled_has_no_levels_and_types_do_not_mix():
    tree = AccountTree(chart((FULL_RESOURCE_ACCESS.policy_id, "r-root"), (DENY.policy_id, "r-root")))
    assert () == tree.levels(MEMBER, RCP)
    both = AccountTree(replace(tree.chart, organization=replace(tree.organization, enabled=frozenset({SCP, RCP}))))
    assert [["RCPFullAWSAccess"], [], [], []] == names(both.levels(MEMBER, RCP))
    assert [["deny"], [], [], []] == names(both.levels(MEMBER, SCP))


def test_an_account_that_nobody_knows_is_limited_to_nothing():
    tree = AccountTree(chart((FULL_ACCESS.policy_id, "r-root")))
    assert ((),) == tree.levels(STRANGER, SCP)
    assert tree.is_suspended(STRANGER)
    assert tree.path_of(STRANGER) is None


@pytest.mark.parametrize("parent", ["ou-root-gone0000", "ou-root-circle00"])
def test_an_account_that_does_not_hang_on_the_root_is_limited_to_nothing(parent):
    circle = Unit(unit_id="ou-root-circle00", parent_id="ou-root-circle00", name="circle")
    tree = AccountTree(
        chart((FULL_ACCESS.policy_id, MEMBER), units=(circle,), members=(member(MANAGEMENT), member(MEMBER, parent)))
    )
    assert ((),) == tree.levels(MEMBER, SCP)


def test_a_policy_that_is_attached_and_gone_allows_nothing():
    tree = AccountTree(chart(("p-gone0000", "r-root"), guardrails=()))
    assert [[], [], [], []] == names(tree.levels(MEMBER, SCP))


def test_paths_name_the_units_and_not_the_account():
    tree = AccountTree(chart())
    assert "o-aaaaaaaaaa/r-root/ou-root-outer000/ou-root-inner000/" == tree.path_of(MEMBER)
    assert "o-aaaaaaaaaa/r-root/" == tree.path_of(MANAGEMENT)
    assert [0, 1, 2] == [tree.depth(node) for node in ("r-root", "ou-root-outer000", "ou-root-inner000")]


def test_only_an_active_account_is_not_suspended():
    tree = AccountTree(chart(members=(member(MANAGEMENT), member(MEMBER, standing=Standing.SUSPENDED))))
    assert [False, True] == [tree.is_suspended(account) for account in (MANAGEMENT, MEMBER)]


def test_condition_keys_say_where_caller_and_resource_stand():
    tree = AccountTree(chart())
    here, there = tree.path_of(MEMBER), tree.path_of(MANAGEMENT)
    assert {
        "aws:principalorgid": "o-aaaaaaaaaa",
        "aws:principalorgpaths": (here,),
        "aws:resourceorgid": "o-aaaaaaaaaa",
        "aws:resourceorgpaths": (there,),
    } == tree.context(MEMBER, MANAGEMENT, service=False)
    assert {"aws:sourceorgid": "o-aaaaaaaaaa", "aws:sourceorgpaths": (here,)} == tree.context(
        MEMBER, None, service=True
    )
    assert {} == tree.context(STRANGER, None, service=False)
    assert tree.context(MEMBER, None, service=False) is tree.context(MEMBER, None, service=False)


def test_what_the_platform_ships_can_be_compiled():
    for policy, kind in (
        (FULL_ACCESS, PolicyKind.SERVICE_CONTROL),
        (FULL_RESOURCE_ACCESS, PolicyKind.RESOURCE_CONTROL),
    ):
        (statement,) = compile_policy(policy.content, name=policy.policy_id, kind=kind).select("lambda:anything")[1]
        assert statement.allow


def test_arns_are_those_of_the_service_authorization_reference():
    tree = AccountTree(chart())
    prefix = f"arn:aws:organizations::{MANAGEMENT}"
    assert f"{prefix}:policy/o-aaaaaaaaaa/service_control_policy/p-deny1234" == tree.arn_of(DENY)
    assert "arn:aws:organizations::aws:policy/resource_control_policy/p-RCPFullAWSAccess" == tree.arn_of(
        FULL_RESOURCE_ACCESS
    )
    assert [
        f"{prefix}:root/o-aaaaaaaaaa/r-root",
        f"{prefix}:ou/o-aaaaaaaaaa/ou-root-inner000",
        f"{prefix}:account/o-aaaaaaaaaa/{MEMBER}",
    ] == [tree.node_arn(node) for node in ("r-root", "ou-root-inner000", MEMBER)]
