"""What is known of a resource that somebody names by its ARN: its owner, its policy, its tags."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from leastwise.flows import function_target
from leastwise.flows import identity_targets as targets
from leastwise.flows.interface import Scene, Target
from leastwise.functions.naming import parse_function_name
from leastwise.iam.directory import Group, IdentityKind
from leastwise.iam.interface import InvalidInput, Request
from leastwise.iam.policy.vocabulary import action_named
from leastwise.iam.why.knowledge import RESOURCE_TAGS
from leastwise.kernel import errors

EVERYTHING: Final = "*"
_SEGMENTS: Final = 6
_TRUST_ACTIONS: Final = frozenset({"sts:assumerole", "sts:tagsession", "sts:setsourceidentity"})
_ONE_REGION: Final = frozenset({"iam", "organizations"})
_GLOBAL_REGION: Final = "us-east-1"


def called_region(action: str, home_region: str) -> str:
    """The region that a call of this action is addressed to (`flows.perform` lets in no other)."""
    return _GLOBAL_REGION if action.partition(":")[0].lower() in _ONE_REGION else home_region


def acts_on_resources(action: str) -> bool:
    """The action is decided on a resource's ARN, never on `*`. An action that is not known here may be."""
    known = action_named(action)
    return known is None or bool(known.resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTarget:
    """A target, and how much of it was seen.

    Args:
        target: what is decided on.
        known: it was looked up, so that the tags it lacks are absent.
        can_grant: it has, or can have, a policy of its own.
        remark: what the asker should know of it.
        hidden: the asker may not read it, and so nothing of it is in `target`.
    """

    target: Target
    known: bool
    can_grant: bool = False
    remark: str | None = None
    hidden: bool = False


async def target_named(scene: Scene, action: str, arn: str) -> KnownTarget:
    """Resolves an ARN, or `*`, for an action. Looks at nothing outside the caller's account, nor at what it may not read.

    Raises:
        InvalidInput: neither an ARN nor `*`; or a pattern where one resource is meant.
    """
    if arn == EVERYTHING:
        # What acts on a resource has that resource's tags.
        known = not acts_on_resources(action)
        return KnownTarget(target=Target(arn=arn, account_id=scene.account_id), known=known)
    segments = arn.split(":", _SEGMENTS - 1)
    if len(segments) != _SEGMENTS or segments[0] != "arn" or not segments[-1]:
        message = f'{arn} is neither an ARN nor "*".'
        raise InvalidInput(message)
    service, account_id = segments[2], segments[4] or scene.account_id
    plain = Target(arn=arn, account_id=account_id)
    if account_id != scene.account_id:
        # SECURITY: not even whether it exists.
        return KnownTarget(target=plain, known=False)
    resolve = _RESOLVE.get(service)
    if resolve is None:
        return KnownTarget(target=plain, known=service == "logs")
    # A name cannot hold `*`: such a "resource" would be matched as a text that nothing has, and be called allowed.
    if "*" in segments[-1] or "?" in segments[-1]:
        message = f"{arn} is a pattern; name one resource."
        raise InvalidInput(message)
    found = await resolve(scene, action.lower(), plain)
    if not await may_read(scene, plain):
        # SECURITY: what depends on tags and policies tells them, one question at a time. Whether it is there, too.
        return concealed(scene, plain)
    return found or KnownTarget(
        target=plain, known=False, remark=f"There is no {arn} now: it was decided without tags and without a policy."
    )


async def may_read(scene: Scene, target: Target) -> bool:
    """Whether the caller may read what a decision on a target depends on: its policy and its tags.

    SECURITY: a target that nothing here can be asked for is not readable.
    """
    segments = target.arn.split(":", _SEGMENTS - 1)
    if len(segments) != _SEGMENTS:
        return not _says_something(target)
    service, resource = segments[2], segments[-1]
    kind = re.split("[:/]", resource, maxsplit=1)[0]
    actions = _READING.get((service, kind))
    if actions is None:
        return not _says_something(target)
    # What is read is the function itself, by whatever name it was called.
    arn = ":".join(target.arn.split(":")[: _SEGMENTS + 1]) if service == "lambda" else target.arn
    whole = Target(arn=arn, account_id=target.account_id)
    if target.account_id == scene.account_id:
        found = await _RESOLVE[service](scene, "", whole)
        whole = whole if found is None else found.target
    for action in actions:
        request = Request(
            principal=scene.principal,
            action=action,
            resource=whole.arn,
            resource_account_id=whole.account_id,
            context=whole.context,
        )
        allowed = await scene.services.identities.asking.may(
            request,
            scene.source,
            resource_policy=whole.policy,
            now_ms=scene.now_ms,
            region=called_region(action, scene.region),
        )
        if not allowed:
            return False
    return True


def concealed(scene: Scene, target: Target) -> KnownTarget:
    """A target of which no more is known than its name, because the caller may not read it."""
    plain = Target(arn=target.arn, account_id=target.account_id, also_arn=target.also_arn)
    remark = (
        f"{scene.principal.arn} may not read {target.arn}, if it is there: it was decided without its tags and without a "
        "policy of its own."
    )
    return KnownTarget(target=plain, known=False, remark=remark, hidden=True)


def _says_something(target: Target) -> bool:
    return target.policy is not None or any(key.partition("/")[0] in RESOURCE_TAGS for key in target.context)


async def _function(scene: Scene, action: str, plain: Target) -> KnownTarget | None:
    if ":function:" not in plain.arn:
        return KnownTarget(target=plain, known=False)
    try:
        # The region of the ARN, not of the call: IAM's own calls come from another one.
        name = parse_function_name(plain.arn, account_id=scene.account_id, region=plain.arn.split(":")[3])
    except errors.LeastwiseError as error:
        raise InvalidInput(error.message) from error
    function = await scene.services.catalog.get(name.account_id, name.name)
    if function is None or function.region != name.region:
        return None
    return KnownTarget(
        target=function_target.target_of(name, function), known=True, can_grant=action.startswith("lambda:")
    )


async def _identity(scene: Scene, action: str, plain: Target) -> KnownTarget | None:
    resource = plain.arn.split(":", _SEGMENTS - 1)[-1]
    kind, _, path = resource.partition("/")
    if kind == "policy":
        policy = await scene.services.identities.policies.find(scene.account_id, plain.arn)
        if policy is None:
            return None
        return KnownTarget(
            target=Target(arn=plain.arn, account_id=plain.account_id, context=targets.resource_tags(policy.tags)),
            known=True,
        )
    if kind not in {member.value for member in IdentityKind} or not path or path.endswith("/"):
        return KnownTarget(target=plain, known=True)
    found = await targets.find(scene, IdentityKind(kind), path.rpartition("/")[2])
    if found is None or found.arn != plain.arn:
        return None
    if isinstance(found, Group):
        return KnownTarget(target=plain, known=True)
    trust = getattr(found, "trust_policy", None) if action in _TRUST_ACTIONS else None
    tags = targets.resource_tags(found.tags)
    context = tags if trust is not None else tags | targets.boundary(found.boundary_arn)
    return KnownTarget(
        target=Target(arn=plain.arn, account_id=plain.account_id, policy=trust, context=context),
        known=True,
        can_grant=trust is not None,
    )


_READING: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("lambda", "function"): ("lambda:GetPolicy", "lambda:ListTags"),
    ("iam", "user"): ("iam:GetUser",),
    ("iam", "role"): ("iam:GetRole",),
    ("iam", "group"): ("iam:GetGroup",),
    ("iam", "policy"): ("iam:GetPolicy",),
}
"""The operations that show what a decision depends on, by service and kind of resource."""

_RESOLVE: Final[dict[str, Callable[[Scene, str, Target], Awaitable[KnownTarget | None]]]] = {
    "lambda": _function,
    "iam": _identity,
}
