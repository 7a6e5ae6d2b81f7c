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
    EntityTemporarilyUnmodifiable,
    InvalidAuthorizationMessage,
    InvalidInput,
    InvalidUserType,
    MalformedPolicy,
    NoSuchEntity,
    PackedPolicyTooLarge,
)
from leastwise.iam.policy.malformed import quoted
from leastwise.kernel import errors


class Quota(Enum):
    """Name as AWS writes it, and limit."""

    ACCESS_KEYS = ("AccessKeysPerUser", 2)
    USERS = ("UsersPerAccount", 5000)
    GROUPS = ("GroupsPerAccount", 300)
    GROUPS_OF_USER = ("GroupsPerUser", 10)
    ROLES = ("RolesPerAccount", 1000)
    POLICIES = ("PoliciesPerAccount", 1500)
    USER_ATTACHMENTS = ("PoliciesPerUser", 10)
    ROLE_ATTACHMENTS = ("PoliciesPerRole", 10)
    GROUP_ATTACHMENTS = ("PoliciesPerGroup", 10)
    SESSION_POLICIES = ("PolicyArns", 10)

    @property
    def limit(self) -> int:
        return self.value[1]


POLICY_VERSIONS: Final = 5
ATTACHMENTS: Final = {
    IdentityKind.USER: Quota.USER_ATTACHMENTS,
    IdentityKind.ROLE: Quota.ROLE_ATTACHMENTS,
    IdentityKind.GROUP: Quota.GROUP_ATTACHMENTS,
}


def no_identity(kind: IdentityKind, name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {kind.value} with name {name} cannot be found.")


def no_source(arn: str) -> NoSuchEntity:
    return NoSuchEntity(f"The entity with ARN {arn} cannot be found.")


def identity_exists(kind: IdentityKind, name: str) -> EntityAlreadyExists:
    return EntityAlreadyExists(f"{kind.value.capitalize()} with name {name} already exists.")


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


def boundary_not_attachable(arn: str) -> NoSuchEntity:
    return NoSuchEntity(f"Scope ARN: {arn} does not exist or is not attachable.")


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


def users_left_in_group() -> DeleteConflict:
    """Said of a group with users in it and of a user that is in a group: the same sentence."""
    return DeleteConflict("Cannot delete entity, must remove users from group first.")


def path_of_services() -> InvalidInput:
    return InvalidInput("The path /aws-service-role/ is reserved for service-linked roles.")


def login_profile_left() -> DeleteConflict:
    return DeleteConflict("Cannot delete entity, must delete login profile first.")


def no_login_profile(user_name: str) -> NoSuchEntity:
    return NoSuchEntity(f"Login Profile for User {user_name} cannot be found.")


def login_profile_exists(user_name: str) -> EntityAlreadyExists:
    return EntityAlreadyExists(f"Login Profile for user {user_name} already exists.")


def login_profile_changing(user_name: str) -> EntityTemporarilyUnmodifiable:
    return EntityTemporarilyUnmodifiable(
        f"Login Profile for User {user_name} cannot be modified while login profile is being changed."
    )


def wrong_old_password() -> errors.Denied:
    return errors.Denied("The old password was incorrect.")


def no_user_to_change_password() -> InvalidUserType:
    return InvalidUserType("Only IAM Users can change their own password")


def no_password_policy(account_id: str) -> NoSuchEntity:
    return NoSuchEntity(f"The Password Policy with domain name {account_id} cannot be found.")


def alias_exists(alias: str) -> EntityAlreadyExists:
    return EntityAlreadyExists(f"The account alias {alias} already exists.")


def no_alias(alias: str) -> NoSuchEntity:
    return NoSuchEntity(f"The account alias {alias} does not exist.")


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


def unknown_principal(place: str, kind: str, value: str) -> MalformedPolicy:
    return MalformedPolicy(f'Invalid principal in policy: "{kind}":"{quoted(value)}" ({place})')


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


def no_federation_by_session() -> errors.Denied:
    return errors.Denied("Cannot call GetFederationToken with session credentials")


def no_role_for_root() -> errors.Denied:
    return errors.Denied("Roles may not be assumed by root accounts.")


def source_identity_fixed() -> errors.Denied:
    return errors.Denied("The source identity of the calling session cannot be changed.")


def bad_authorization_message() -> InvalidAuthorizationMessage:
    return InvalidAuthorizationMessage("Message is not valid")


def revoked_in_future() -> errors.Invalid:
    return errors.Invalid("Sessions can be revoked up to now, not up to an instant that is still to come.")


def unknown_session_policy(arn: str) -> MalformedPolicy:
    return MalformedPolicy(f"The specified managed session policy {arn} does not exist.")
