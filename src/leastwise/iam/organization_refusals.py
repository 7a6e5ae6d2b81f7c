"""The refusals of the Organizations API in AWS's words, one function each.

Source: Organizations API Reference, errors of each operation, and the reasons of ConstraintViolationException and
InvalidInputException.
"""

from __future__ import annotations

from leastwise.iam import organization as org
from leastwise.kernel import errors


def _violation(reason: str, message: str) -> org.ConstraintViolation:
    return org.ConstraintViolation(message, detail={"Reason": reason})


def _invalid(reason: str, message: str) -> org.InvalidOrganizationInput:
    return org.InvalidOrganizationInput(message, detail={"Reason": reason})


def not_management() -> errors.Denied:
    return errors.Denied("You don't have permissions to access this resource.")


def not_in_use() -> org.OrganizationNotInUse:
    return org.OrganizationNotInUse("Your account is not a member of an organization.")


def already_in_organization() -> org.AlreadyInOrganization:
    return org.AlreadyInOrganization("The AWS account is already a member of an organization.")


def no_account() -> org.AccountNotFound:
    return org.AccountNotFound("You specified an account that doesn't exist.")


def no_parent() -> org.ParentNotFound:
    return org.ParentNotFound("You specified parent that doesn't exist.")


def no_child() -> org.ChildNotFound:
    return org.ChildNotFound("You specified a child that doesn't exist.")


def no_root() -> org.RootNotFound:
    return org.RootNotFound("You specified a root that doesn't exist.")


def no_target() -> org.TargetNotFound:
    return org.TargetNotFound("You specified a target that doesn't exist.")


def no_unit() -> org.UnitNotFound:
    return org.UnitNotFound("You specified an organizational unit that doesn't exist.")


def no_source() -> org.SourceParentNotFound:
    return org.SourceParentNotFound("You specified a source parent that doesn't exist.")


def no_destination() -> org.DestinationParentNotFound:
    return org.DestinationParentNotFound("You specified a destination parent that doesn't exist.")


def no_creation() -> org.CreationNotFound:
    return org.CreationNotFound("You specified a CreateAccountRequestId that doesn't exist.")


def account_in_place() -> org.AccountInPlace:
    return org.AccountInPlace("That account is already present in the specified destination.")


def unit_exists() -> org.UnitExists:
    return org.UnitExists("An OU with the same name already exists.")


def unit_not_empty() -> org.UnitNotEmpty:
    return org.UnitNotEmpty(
        "The specified OU is not empty. Move all accounts to another root or to other OUs, remove all child OUs, "
        "and try the operation again."
    )


def already_closed() -> org.AccountAlreadyClosed:
    return org.AccountAlreadyClosed("You attempted to close an account that is already closed.")


def management_stays_open() -> org.ConstraintViolation:
    return _violation(
        "CANNOT_CLOSE_MANAGEMENT_ACCOUNT",
        "You attempted to close the management account. To close the management account for the organization, you must "
        "first either remove or close all member accounts in the organization.",
    )


def too_many_accounts() -> org.ConstraintViolation:
    return _violation(
        "ACCOUNT_NUMBER_LIMIT_EXCEEDED", "You have exceeded the allowed number of AWS accounts in an organization."
    )


def too_many_units() -> org.ConstraintViolation:
    return _violation("OU_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of OUs that you can have.")


def too_deep() -> org.ConstraintViolation:
    return _violation("OU_DEPTH_LIMIT_EXCEEDED", "You have exceeded the allowed OU tree depth.")


def too_many_guardrails() -> org.ConstraintViolation:
    return _violation(
        "POLICY_NUMBER_LIMIT_EXCEEDED", "You have exceeded the number of policies that you can have in an organization."
    )


def content_too_long(limit: int) -> org.ConstraintViolation:
    return _violation(
        "POLICY_CONTENT_LIMIT_EXCEEDED", f"You have exceeded the maximum policy size of {limit} characters."
    )


def too_many_attached() -> org.ConstraintViolation:
    return _violation(
        "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
        "You have attached the maximum number of policies of this type to the specified target.",
    )


def last_attached() -> org.ConstraintViolation:
    return _violation(
        "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED",
        "You cannot remove the last policy attached to the specified target. You must have at least one attached at "
        "all times.",
    )


def too_many_tags() -> org.ConstraintViolation:
    return _violation("MAX_TAG_LIMIT_EXCEEDED", "You have exceeded the number of tags allowed on this resource.")


def immutable() -> org.InvalidOrganizationInput:
    return _invalid("IMMUTABLE_POLICY", "You specified a policy that is managed by AWS and can't be modified.")


def not_detachable() -> org.InvalidOrganizationInput:
    return _invalid("NON_DETACHABLE_POLICY", "This policy is automatically attached and can't be detached.")


def bad_page_token() -> org.InvalidOrganizationInput:
    return _invalid("INVALID_NEXT_TOKEN", "Get the NextToken parameter from the response to a previous call.")


def bad_role_name() -> org.InvalidOrganizationInput:
    return _invalid("INVALID_ROLE_NAME", "You provided a role name that isn't valid.")


def malformed(why: str) -> org.MalformedGuardrail:
    """With the place, which AWS keeps to itself."""
    return org.MalformedGuardrail(
        f"The provided policy document does not meet the requirements of the specified policy type. {why}"
    )


def no_guardrail() -> org.GuardrailNotFound:
    return org.GuardrailNotFound("You specified a policy that doesn't exist.")


def guardrail_exists() -> org.GuardrailExists:
    return org.GuardrailExists("A policy with the same name and type already exists.")


def guardrail_in_use() -> org.GuardrailInUse:
    return org.GuardrailInUse(
        "The policy is attached to one or more entities. You must detach it from all roots, OUs, and accounts before "
        "performing this operation."
    )


def already_attached() -> org.GuardrailAlreadyAttached:
    return org.GuardrailAlreadyAttached("The selected policy is already attached to the specified target.")


def not_attached() -> org.GuardrailNotAttached:
    return org.GuardrailNotAttached("The policy isn't attached to the specified target in the specified root.")


def type_enabled() -> org.GuardrailTypeEnabled:
    return org.GuardrailTypeEnabled("The specified policy type is already enabled.")


def type_not_enabled() -> org.GuardrailTypeNotEnabled:
    return org.GuardrailTypeNotEnabled("This operation can be performed only for enabled policy types.")


def type_not_offered() -> org.GuardrailTypeNotOffered:
    return org.GuardrailTypeNotOffered("You can't use the specified policy type with this organization.")
