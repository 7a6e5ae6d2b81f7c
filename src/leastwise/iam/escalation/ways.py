"""The table of known ways to gain permissions that one was not given.

Each way is a row here, a rule in `iam.service.escalations` and a fixture in tests/unit/iam/reasoning/test_escalation_ways.py,
under one id.

Source: Gietzen, "AWS IAM Privilege Escalation - Methods and Mitigation" (Rhino Security Labs, 2018), and the collections
that grew from it (Principal Mapper, pathfinding.cloud); IAM User Guide, "Permissions boundaries for IAM entities". Ways
through services that this platform does not offer (EC2, Glue, CloudFormation, ...) are not listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Gain(StrEnum):
    """What a way gives."""

    RAISE = "raise"
    """More permissions for a principal: for oneself, or for one that one can become."""
    BECOME = "become"
    """The permissions of another principal."""
    MAKE = "make"
    """A new principal with any permissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way.

    Args:
        id: stable, CamelCase.
        gain: see `Gain`.
        actions: that it takes, in order; alternatives of one step with `|`.
        story: what is done, one sentence.
    """

    id: str
    gain: Gain
    actions: tuple[str, ...]
    story: str


_INVOKE: Final = "lambda:InvokeFunction | lambda:AddPermission"

WAYS: Final[dict[str, Way]] = {
    way.id: way
    for way in (
        # A user gives itself (or a user it can become) more.
        Way(
            id="PutUserPolicy",
            gain=Gain.RAISE,
            actions=("iam:PutUserPolicy",),
            story="Writes an inline policy for the user.",
        ),
        Way(
            id="AttachUserPolicy",
            gain=Gain.RAISE,
            actions=("iam:AttachUserPolicy",),
            story="Attaches AdministratorAccess to the user.",
        ),
        Way(
            id="PutGroupPolicy",
            gain=Gain.RAISE,
            actions=("iam:PutGroupPolicy",),
            story="Writes an inline policy for a group of the user.",
        ),
        Way(
            id="AttachGroupPolicy",
            gain=Gain.RAISE,
            actions=("iam:AttachGroupPolicy",),
            story="Attaches AdministratorAccess to a group of the user.",
        ),
        Way(
            id="AddUserToGroup",
            gain=Gain.RAISE,
            actions=("iam:AddUserToGroup",),
            story="Adds the user to a group of administrators.",
        ),
        Way(
            id="PutGroupPolicyAndAddUser",
            gain=Gain.RAISE,
            actions=("iam:PutGroupPolicy | iam:AttachGroupPolicy", "iam:AddUserToGroup"),
            story="Gives a group everything and adds the user to it.",
        ),
        # Roles.
        Way(
            id="PutRolePolicy",
            gain=Gain.RAISE,
            actions=("iam:PutRolePolicy",),
            story="Writes an inline policy for the role.",
        ),
        Way(
            id="AttachRolePolicy",
            gain=Gain.RAISE,
            actions=("iam:AttachRolePolicy",),
            story="Attaches AdministratorAccess to the role.",
        ),
        # Both.
        Way(
            id="CreatePolicyVersion",
            gain=Gain.RAISE,
            actions=("iam:CreatePolicyVersion",),
            story="Makes a new default version of a managed policy that the principal has.",
        ),
        Way(
            id="SetDefaultPolicyVersion",
            gain=Gain.RAISE,
            actions=("iam:SetDefaultPolicyVersion",),
            story="Makes an older version of a managed policy that the principal has its default again.",
        ),
        Way(
            id="DeleteDenyPolicy",
            gain=Gain.RAISE,
            actions=("iam:DeleteUserPolicy | iam:DeleteRolePolicy | iam:DeleteGroupPolicy",),
            story="Deletes the inline policy whose Deny stood in the way.",
        ),
        Way(
            id="DetachDenyPolicy",
            gain=Gain.RAISE,
            actions=("iam:DetachUserPolicy | iam:DetachRolePolicy | iam:DetachGroupPolicy",),
            story="Detaches the managed policy whose Deny stood in the way.",
        ),
        Way(
            id="RemoveUserFromGroup",
            gain=Gain.RAISE,
            actions=("iam:RemoveUserFromGroup",),
            story="Leaves the group whose Deny stood in the way.",
        ),
        Way(
            id="DeleteUserPermissionsBoundary",
            gain=Gain.RAISE,
            actions=("iam:DeleteUserPermissionsBoundary",),
            story="Deletes the permissions boundary that limited the user.",
        ),
        Way(
            id="PutUserPermissionsBoundary",
            gain=Gain.RAISE,
            actions=("iam:PutUserPermissionsBoundary",),
            story="Replaces the permissions boundary that limited the user by AdministratorAccess.",
        ),
        Way(
            id="DeleteRolePermissionsBoundary",
            gain=Gain.RAISE,
            actions=("iam:DeleteRolePermissionsBoundary",),
            story="Deletes the permissions boundary that limited the role.",
        ),
        Way(
            id="PutRolePermissionsBoundary",
            gain=Gain.RAISE,
            actions=("iam:PutRolePermissionsBoundary",),
            story="Replaces the permissions boundary that limited the role by AdministratorAccess.",
        ),
        Way(
            id="RewriteBoundaryPolicy",
            gain=Gain.RAISE,
            actions=("iam:CreatePolicyVersion",),
            story="Makes a new default version of the policy that is the principal's permissions boundary.",
        ),
        # Becoming somebody else.
        Way(
            id="CreateAccessKey",
            gain=Gain.BECOME,
            actions=("iam:CreateAccessKey",),
            story="Makes an access key of the user.",
        ),
        Way(
            id="CreateLoginProfile",
            gain=Gain.BECOME,
            actions=("iam:CreateLoginProfile",),
            story="Gives the user a password.",
        ),
        Way(
            id="UpdateLoginProfile",
            gain=Gain.BECOME,
            actions=("iam:UpdateLoginProfile",),
            story="Changes the user's password.",
        ),
        Way(id="AssumeRole", gain=Gain.BECOME, actions=("sts:AssumeRole",), story="Assumes the role."),
        Way(
            id="UpdateAssumeRolePolicy",
            gain=Gain.BECOME,
            actions=("iam:UpdateAssumeRolePolicy", "sts:AssumeRole"),
            story="Makes the role trust oneself, and assumes it.",
        ),
        Way(
            id="CreateFunction",
            gain=Gain.BECOME,
            actions=("iam:PassRole", "lambda:CreateFunction", _INVOKE),
            story="Hands the role to a new function and calls it.",
        ),
        Way(
            id="UpdateFunctionCode",
            gain=Gain.BECOME,
            actions=("lambda:UpdateFunctionCode", _INVOKE),
            story="Puts code of its own into a function that runs as the role.",
        ),
        Way(
            id="UpdateFunctionConfiguration",
            gain=Gain.BECOME,
            actions=("iam:PassRole", "lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionCode", _INVOKE),
            story="Hands the role to a function whose code it can change.",
        ),
        Way(
            id="OrganizationAccountAccessRole",
            gain=Gain.BECOME,
            actions=("sts:AssumeRole",),
            story="Assumes the role that every account of the organization was made with.",
        ),
        # Making somebody.
        Way(
            id="CreateRole",
            gain=Gain.MAKE,
            actions=("iam:CreateRole", "iam:AttachRolePolicy | iam:PutRolePolicy", "sts:AssumeRole"),
            story="Makes a role that trusts oneself and may do everything, and assumes it.",
        ),
        Way(
            id="CreateUser",
            gain=Gain.MAKE,
            actions=("iam:CreateUser", "iam:AttachUserPolicy | iam:PutUserPolicy | iam:AddUserToGroup", "iam:CreateAccessKey"),
            story="Makes a user that may do everything, and an access key of it.",
        ),
    )
}  # fmt: skip
