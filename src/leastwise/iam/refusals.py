"""IAM's refusals in AWS's words, one function each.

Source: answers of the IAM and STS APIs; limits from IAM User Guide, "IAM and AWS STS quotas".
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from leastwise.iam.directory import IdentityKind
from leastwise.iam.interface import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidInput,
    MalformedPolicy,
    NoSuchEntity,
    PackedPolicyTooLarge,
)
from leastwise.kernel import errors


class Quota(Enum):
    """Name as AWS writes it, and limit."""

    ACCESS_KEYS = ("AccessKeysPerUser", 2)
    USERS = ("UsersPerAccount", 5000)
    ROLES = ("RolesPerAccount", 1000)
    POLICIES = ("PoliciesPerAccount", 1500)
    USER_ATTACHMENTS = ("PoliciesPerUser", 10)
    ROLE_ATTACHMENTS = ("PoliciesPerRole", 10)
    SESSION_POLICIES = ("PolicyArns", 10)

    @property
    def limit(self) -> int:
        return self.value[1]


POLICY_VERSIONS: Final = 5
ATTACHMENTS: Final = {IdentityKind.USER: Quota.USER_ATTACHMENTS, IdentityKind.ROLE: Quota.ROLE_ATTACHMENTS}

_TITLE: Final = {IdentityKind.USER: "User", IdentityKind.ROLE: "Role"}


def no_identity(kind: IdentityKind, name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {kind.value} with name {name} cannot be found.")


def identity_exists(kind: IdentityKind, name: str) -> EntityAlreadyExists:
    return EntityAlreadyExists(f"{_TITLE[kind]} with name {name} already exists.")


def no_inline_policy(kind: IdentityKind, name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {kind.value} policy with name {name} cannot be found.")


def no_access_key(access_key_id: str) -> NoSuchEntity:
    return NoSuchEntity(f"The Access Key with id {access_key_id} cannot be found.")


def no_policy(arn: str) -> NoSuchEntity:
    return NoSuchEntity(f"Policy {arn} was not found.")


def policy_not_attachable(arn: str) -> NoSuchEntity:
    return NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")


def no_policy_version(arn: str, version_id: str) -> NoSuchEntity:
    return NoSuchEntity(f"Policy {arn} version {version_id} does not exist or is not attachable.")


def no_boundary(kind: IdentityKind, name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {kind.value} with name {name} has no permissions boundary.")


def policy_exists(name: str) -> EntityAlreadyExists:
    return EntityAlreadyExists(f"A policy called {name} already exists. Duplicate names are not allowed.")


def exceeded(quota: Quota) -> errors.LimitExceeded:
    name, limit = quota.value
    return errors.LimitExceeded(f"Cannot exceed quota for {name}: {limit}")


def too_many_versions() -> errors.LimitExceeded:
    return errors.LimitExceeded(
        "A managed policy can have up to 5 versions. "
        "Before you create a new version, you must delete an existing version."
    )


def access_keys_left() -> DeleteConflict:
    return DeleteConflict("Cannot delete entity, must delete access keys first.")


def inline_policies_left() -> DeleteConflict:
    return DeleteConflict("Cannot delete entity, must delete policies first.")


def attached_policies_left() -> DeleteConflict:
    return DeleteConflict("Cannot delete entity, must detach all policies first.")


def policy_in_use() -> DeleteConflict:
    return DeleteConflict("Cannot delete a policy attached to entities.")


def policy_has_versions() -> DeleteConflict:
    return DeleteConflict(
        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
        "The default version is deleted with the policy."
    )


def default_version() -> DeleteConflict:
    return DeleteConflict("Cannot delete the default version of a policy.")


def built_in_policy(arn: str) -> errors.Denied:
    return errors.Denied(f"Policy {arn} is provided by the platform and cannot be changed.")


def unknown_principal(kind: str, value: str) -> MalformedPolicy:
    return MalformedPolicy(f'Invalid principal in policy: "{kind}":"{value}"')


def duplicate_tags() -> InvalidInput:
    return InvalidInput("Duplicate tag keys found. Please note that Tag keys are case insensitive.")


def reserved_tag() -> InvalidInput:
    return InvalidInput("Tag keys that begin with aws: are reserved.")


def bad_tag() -> InvalidInput:
    return InvalidInput("The specified tag key or value is invalid.")


def too_many_tags(limit: int) -> errors.LimitExceeded:
    return errors.LimitExceeded(f"The number of tags has reached the maximum limit: {limit}.")


def too_many_session_tags() -> PackedPolicyTooLarge:
    return PackedPolicyTooLarge("Packed size of session tags consumes 100% of allotted space.")


def session_policy_too_long(percent: int) -> PackedPolicyTooLarge:
    return PackedPolicyTooLarge(f"Packed policy consumes {percent}% of allotted space, please use smaller policy.")


def no_session_by_session() -> errors.Denied:
    return errors.Denied("Cannot call GetSessionToken with session credentials")


def no_role_for_root() -> errors.Denied:
    return errors.Denied("Roles may not be assumed by root accounts.")


def source_identity_fixed() -> errors.Denied:
    return errors.Denied("The source identity of the calling session cannot be changed.")


def unknown_session_policy(arn: str) -> MalformedPolicy:
    return MalformedPolicy(f"The specified managed session policy {arn} does not exist.")
