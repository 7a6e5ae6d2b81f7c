"""What identities may be called, and the ARNs that follow from it.

Source: IAM User Guide, "IAM and AWS STS quotas", name requirements and character limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from leastwise.iam import refusals
from leastwise.iam.directory import IdentityKind, IdentityRef, Tag
from leastwise.kernel import errors

_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]+")
_IDENTITY_PATH: Final = re.compile(r"/|/[\x21-\x7e]+/")
_POLICY_PATH: Final = re.compile(r"(/[A-Za-z0-9.,+@=_-]+)*/")
_TAG: Final = re.compile(r"[\w .:/=+\-@]*")

MAX_IDENTITY_NAME: Final = 64
MAX_GROUP_NAME: Final = 128
MAX_POLICY_NAME: Final = 128
MAX_PATH: Final = 512
MAX_TAGS: Final = 50
MAX_TAG_KEY: Final = 128
MAX_TAG_VALUE: Final = 256

SERVICE_PATH: Final = "/aws-service-role/"
"""The path of service-linked roles."""

BUILT_IN: Final = "aws"
"""The account of built-in managed policies, in ARNs and in `ManagedPolicy.account_id`."""


def check_name(field: str, name: str, *, longest: int) -> str:
    """The name, if it may stand in an ARN.

    Args:
        field: input member as AWS spells it in the message (`userName`).
        name: the proposed name.
        longest: characters allowed.

    Raises:
        errors.Invalid: empty, too long, or with characters outside `+=,.@_-` and ASCII letters and digits.
    """
    if not 0 < len(name) <= longest:
        message = f"The specified value for {field} is invalid. It must have between 1 and {longest} characters."
        raise errors.Invalid(message)
    # SECURITY: a `/`, `:` or `*` in a name would forge another identity's ARN.
    if not _NAME.fullmatch(name):
        message = (
            f"The specified value for {field} is invalid. "
            "It must contain only alphanumeric characters and/or the following: +=,.@_-"
        )
        raise errors.Invalid(message)
    return name


def region_of(arn: str) -> str:
    """The region an ARN names, empty when it names none."""
    return (arn.split(":", 4) + [""] * 4)[3]


def check_identity_path(path: str) -> str:
    """The path of a user or role, if it may stand in an ARN. Raises: errors.Invalid."""
    return _check_path(path, _IDENTITY_PATH)


def check_policy_path(path: str) -> str:
    """The path of a managed policy, if it may stand in an ARN. Raises: errors.Invalid."""
    return _check_path(path, _POLICY_PATH)


def _check_path(path: str, pattern: re.Pattern[str]) -> str:
    if len(path) > MAX_PATH or not pattern.fullmatch(path):
        message = "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters."
        raise errors.Invalid(message)
    return path


def root_arn(account_id: str) -> str:
    return f"arn:aws:iam::{account_id}:root"


def identity_arn(account_id: str, kind: IdentityKind, path: str, name: str) -> str:
    """`arn:aws:iam::ACC:user/path/name`, or the same with `role` or `group`."""
    return f"arn:aws:iam::{account_id}:{kind.value}{path}{name}"


def policy_arn(account_id: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account_id}:policy{path}{name}"


def session_arn(account_id: str, role_name: str, session_name: str) -> str:
    """A role session's ARN, which drops the role's path."""
    return f"arn:aws:sts::{account_id}:assumed-role/{role_name}/{session_name}"


def federated_user_arn(account_id: str, name: str) -> str:
    return f"arn:aws:sts::{account_id}:federated-user/{name}"


def account_of_federated_user(arn: str) -> str | None:
    """The account in a federated user's ARN, None when it is not one."""
    match arn.split(":", 5):
        case ["arn", "aws", "sts", "", account_id, resource] if resource.startswith("federated-user/"):
            return account_id if _NAME.fullmatch(resource.partition("/")[2]) else None
    return None


def federated_user_id(account_id: str, name: str) -> str:
    """`aws:userid` of a federated user. Source: IAM User Guide, "Variables and tags", principal key values."""
    return f"{account_id}:{name}"


def role_in_arn(arn: str) -> tuple[str, str] | None:
    """(account id, role name) of a role's ARN, None when it is not one."""
    match arn.split(":", 5):
        case ["arn", "aws", "iam", "", account_id, resource] if resource.startswith("role/"):
            return account_id, resource.rsplit("/", 1)[1]
    return None


def identity_in_arn(arn: str) -> IdentityRef | None:
    """Whom the ARN of a user, role or group names, None when it is not one. The path is not looked at."""
    match arn.split(":", 5):
        case ["arn", "aws", "iam", "", account_id, resource]:
            kind, _, rest = resource.partition("/")
            if kind in set(IdentityKind) and rest:
                return IdentityRef(account_id=account_id, kind=IdentityKind(kind), name=rest.rsplit("/", 1)[-1])
    return None


def read_tags(given: Iterable[Tag]) -> dict[str, str]:
    """The tags of an input.

    Raises:
        InvalidInput: a key twice (keys differ regardless of case), a reserved key, or characters AWS refuses.
    """
    tags: dict[str, str] = {}
    seen: set[str] = set()
    for tag in given:
        key, value = tag.key, tag.value
        if key.lower() in seen:
            raise refusals.duplicate_tags()
        if key.lower().startswith("aws:"):
            raise refusals.reserved_tag()
        well_formed = 0 < len(key) <= MAX_TAG_KEY and len(value) <= MAX_TAG_VALUE
        if not (well_formed and _TAG.fullmatch(key) and _TAG.fullmatch(value)):
            raise refusals.bad_tag()
        seen.add(key.lower())
        tags[key] = value
    return tags


def overlay_tags(present: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Both; a key that differs only in case replaces the old one."""
    added_keys = {key.lower() for key in added}
    merged = {key: value for key, value in present.items() if key.lower() not in added_keys}
    merged.update(added)
    return merged


def merge_tags(present: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """An identity's tags after adding some.

    Raises:
        errors.LimitExceeded: more than 50 tags.
    """
    merged = overlay_tags(present, added)
    if len(merged) > MAX_TAGS:
        raise refusals.too_many_tags(MAX_TAGS)
    return merged


def without_tags(present: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Tags after removing some, regardless of the keys' case."""
    removed = {key.lower() for key in keys}
    return {key: value for key, value in present.items() if key.lower() not in removed}
