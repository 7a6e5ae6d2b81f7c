"""The managed policies that every installation has, made of the library. They cannot be changed, only attached."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Final

from leastwise.iam import names
from leastwise.iam.directory import ManagedPolicy, PolicyVersion
from leastwise.iam.library import ReadyPolicy
from leastwise.iam.library_known import KNOWN
from leastwise.iam.library_own import OWN
from leastwise.iam.refusals import POLICY_VERSIONS

ADMINISTRATOR_ACCESS: Final = "arn:aws:iam::aws:policy/AdministratorAccess"


def built_in_policies(*, now_ms: int) -> tuple[ManagedPolicy, ...]:
    """All of the library at version v1, as it is when an installation is founded."""
    return tuple(_policy(ready, now_ms=now_ms) for ready in (*KNOWN, *OWN))


def _policy(ready: ReadyPolicy, *, now_ms: int) -> ManagedPolicy:
    document = json.dumps({"Version": "2012-10-17", "Statement": list(ready.statements)}, separators=(",", ":"))
    return ManagedPolicy(
        account_id=names.BUILT_IN,
        name=ready.name,
        path=ready.path,
        policy_id=_stable_id(ready.name),
        arn=names.policy_arn(names.BUILT_IN, ready.path, ready.name),
        description=ready.description,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
        versions=(PolicyVersion(version_id="v1", document=document, is_default=True, created_at_ms=now_ms),),
    )


def _stable_id(name: str) -> str:
    """The same on every installation, as AWS's are the same in every account."""
    return "ANPA" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]


def renewed(kept: ManagedPolicy, shipped: ManagedPolicy, *, now_ms: int) -> ManagedPolicy | None:
    """The policy as this release ships it; None when nothing changed.

    Another document becomes the new default version. The newest versions before it stay readable.
    """
    if kept.default_version.document == shipped.default_version.document:
        if kept.description == shipped.description:
            return None
        return replace(kept, description=shipped.description, updated_at_ms=now_ms)
    number = kept.last_version + 1
    newest = PolicyVersion(
        version_id=f"v{number}", document=shipped.default_version.document, is_default=True, created_at_ms=now_ms
    )
    older = [replace(version, is_default=False) for version in kept.versions[: POLICY_VERSIONS - 1]]
    return replace(
        kept,
        description=shipped.description,
        updated_at_ms=now_ms,
        versions=(newest, *older),
        last_version=number,
    )
