"""Identities in the shapes of the IAM API.

Source: IAM API Reference, data types. Policy documents go out URL-encoded (RFC 3986), as IAM sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

from leastwise.flows.interface import Parameters
from leastwise.flows.pages import cut_page
from leastwise.iam.directory import AccessKey, Group, IdentityKind, ManagedPolicy, PolicyVersion, Role, Tag, User

Item = TypeVar("Item")

DEFAULT_PAGE: Final = 100
NAME_MEMBER: Final = {
    IdentityKind.USER: "UserName",
    IdentityKind.ROLE: "RoleName",
    IdentityKind.GROUP: "GroupName",
}
ROOT_USER: Final = "root"


def instant(epoch_ms: int) -> datetime:
    """IAM's instants have whole seconds."""
    return datetime.fromtimestamp(epoch_ms // 1000, UTC)


def encoded(document: str) -> str:
    return quote(document, safe="")


def tags_of(parameters: Parameters) -> tuple[Tag, ...]:
    """The input member `Tags`, empty when it is absent."""
    return tuple(Tag(key=tag["Key"], value=tag.get("Value", "")) for tag in parameters.get("Tags") or ())


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def page(
    parameters: Parameters, items: Sequence[Item], *, key: Callable[[Item], str]
) -> tuple[Sequence[Item], dict[str, Any]]:
    """One page of what IAM lists, and the members that say whether there is more."""
    limit = int(parameters.get("MaxItems", DEFAULT_PAGE))
    cut, marker = cut_page(items, key=key, marker=parameters.get("Marker"), limit=limit)
    return cut, {"IsTruncated": False} if marker is None else {"IsTruncated": True, "Marker": marker}


def tag_page(parameters: Parameters, tags: Mapping[str, str]) -> dict[str, Any]:
    """The answer of the operations that list tags."""
    cut, more = page(parameters, tag_list(tags), key=lambda tag: tag["Key"])
    return {"Tags": list(cut), **more}


def unique_id(identity: User | Role | Group) -> str:
    match identity:
        case User():
            return identity.user_id
        case Role():
            return identity.role_id
        case Group():
            return identity.group_id


def in_list(identity: User | Role | Group) -> dict[str, Any]:
    """An identity as lists show it. A group shows nowhere more than there."""
    match identity:
        case User():
            return user_in_list(identity)
        case Role():
            return role_in_list(identity)
        case Group():
            return {
                "Path": identity.path,
                "GroupName": identity.name,
                "GroupId": identity.group_id,
                "Arn": identity.arn,
                "CreateDate": instant(identity.created_at_ms),
            }


def user_in_list(user: User) -> dict[str, Any]:
    """Lists leave out tags and boundary."""
    return {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.user_id,
        "Arn": user.arn,
        "CreateDate": instant(user.created_at_ms),
    }


def password_use(identity: User | Role | Group) -> dict[str, Any]:
    """Told by GetUser and ListUsers only. Source: IAM API Reference, User, PasswordLastUsed."""
    used = identity.password_last_used_at_ms if isinstance(identity, User) else None
    return {} if used is None else {"PasswordLastUsed": instant(used)}


def user_shape(user: User) -> dict[str, Any]:
    return user_in_list(user) | _boundary(user.boundary_arn) | _tags(user.tags)


def role_in_list(role: Role) -> dict[str, Any]:
    """Lists leave out tags, boundary and last use."""
    shape = {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": instant(role.created_at_ms),
        "AssumeRolePolicyDocument": encoded(role.trust_policy),
        "MaxSessionDuration": role.max_session_s,
    }
    return shape | ({"Description": role.description} if role.description else {})


def role_shape(role: Role) -> dict[str, Any]:
    return role_in_list(role) | _boundary(role.boundary_arn) | _tags(role.tags)


def role_last_used(role: Role) -> dict[str, Any]:
    """The member RoleLastUsed: empty for a role that never was."""
    if role.last_used_at_ms is None:
        return {"RoleLastUsed": {}}
    return {"RoleLastUsed": {"LastUsedDate": instant(role.last_used_at_ms), "Region": role.last_used_region or ""}}


def access_key_in_list(key: AccessKey) -> dict[str, Any]:
    return {
        "UserName": key.user_name or ROOT_USER,
        "AccessKeyId": key.access_key_id,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": instant(key.created_at_ms),
    }


def policy_in_list(policy: ManagedPolicy, boundary_uses: int) -> dict[str, Any]:
    """Lists leave out description and tags."""
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default_version.version_id,
        "AttachmentCount": policy.attachment_count,
        "PermissionsBoundaryUsageCount": boundary_uses,
        "IsAttachable": True,
        "CreateDate": instant(policy.created_at_ms),
        "UpdateDate": instant(policy.updated_at_ms),
    }


def policy_shape(policy: ManagedPolicy, boundary_uses: int) -> dict[str, Any]:
    described = {"Description": policy.description} if policy.description else {}
    return policy_in_list(policy, boundary_uses) | described | _tags(policy.tags)


def version_in_list(version: PolicyVersion) -> dict[str, Any]:
    return {
        "VersionId": version.version_id,
        "IsDefaultVersion": version.is_default,
        "CreateDate": instant(version.created_at_ms),
    }


def version_shape(version: PolicyVersion) -> dict[str, Any]:
    return {"Document": encoded(version.document)} | version_in_list(version)


def attached_shape(policy: ManagedPolicy) -> dict[str, Any]:
    return {"PolicyName": policy.name, "PolicyArn": policy.arn}


def _boundary(arn: str | None) -> dict[str, Any]:
    if arn is None:
        return {}
    return {
        "PermissionsBoundary": {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": arn,
        }
    }


def _tags(tags: Mapping[str, str]) -> dict[str, Any]:
    return {"Tags": tag_list(tags)} if tags else {}
