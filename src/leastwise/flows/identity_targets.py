"""What calls on identities act on: ARNs, and the condition keys that users, roles, policies and inputs supply.

A name that nobody has resolves to the ARN it would have, so that a stranger learns nothing from a refusal.
Source: Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity and Access Management".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from leastwise.flows.identity_shapes import NAME_MEMBER
from leastwise.flows.interface import Demand, Parameters, Scene, Target
from leastwise.iam.directory import Group, IdentityKind, IdentityRef, Role, User
from leastwise.iam.interface import ContextValue, PrincipalKind
from leastwise.kernel import errors

Context = dict[str, ContextValue]
Resolver = Callable[[Scene, Parameters], Awaitable[Target]]


def resource_tags(tags: Mapping[str, str]) -> Context:
    """Tag keys are case-insensitive in conditions."""
    context: Context = {}
    for key, value in tags.items():
        context[f"aws:resourcetag/{key.lower()}"] = value
        context[f"iam:resourcetag/{key.lower()}"] = value
    return context


def request_tags(parameters: Parameters) -> Context:
    """Of `Tags` (creating, tagging) and `TagKeys` (untagging)."""
    tags = parameters.get("Tags") or ()
    keys = [tag["Key"] for tag in tags] + list(parameters.get("TagKeys") or ())
    context: Context = {f"aws:requesttag/{tag['Key'].lower()}": tag.get("Value", "") for tag in tags}
    if keys:
        context["aws:tagkeys"] = keys
    return context


def boundary(arn: str | None) -> Context:
    return {} if arn is None else {"iam:permissionsboundary": arn}


class IdentityVerbs(Protocol):
    """What the services of users, groups and roles have alike."""

    async def find(self, account_id: str, name: str) -> User | Role | Group | None: ...
    async def get(self, account_id: str, name: str) -> User | Role | Group: ...
    async def list(self, account_id: str, path_prefix: str) -> Sequence[User | Role | Group]: ...
    async def delete(self, account_id: str, name: str) -> None: ...


def verbs(scene: Scene, kind: IdentityKind) -> IdentityVerbs:
    identities = scene.services.identities
    match kind:
        case IdentityKind.USER:
            return identities.users
        case IdentityKind.ROLE:
            return identities.roles
        case IdentityKind.GROUP:
            return identities.groups


def title(kind: IdentityKind) -> str:
    """The kind as it stands in names of operations and members: `User`."""
    return kind.value.capitalize()


def _identity(scene: Scene, kind: IdentityKind, name: str, found: User | Role | Group | None) -> Target:
    if found is None:
        return Target(arn=f"arn:aws:iam::{scene.account_id}:{kind.value}/{name}", account_id=scene.account_id)
    if isinstance(found, Group):
        return Target(arn=found.arn, account_id=found.account_id)
    return Target(
        arn=found.arn,
        account_id=found.account_id,
        context=resource_tags(found.tags) | boundary(found.boundary_arn),
    )


async def find(scene: Scene, kind: IdentityKind, name: str) -> User | Role | Group | None:
    return await verbs(scene, kind).find(scene.account_id, name)


async def owner(scene: Scene, kind: IdentityKind, parameters: Parameters) -> IdentityRef:
    """The user, role or group that an input names, under the name it has. Raises: NoSuchEntity."""
    found = await verbs(scene, kind).get(scene.account_id, str(parameters[NAME_MEMBER[kind]]))
    return IdentityRef(account_id=scene.account_id, kind=kind, name=found.name)


def named(kind: IdentityKind, supply: Callable[[Parameters], Context] | None = None) -> Resolver:
    """The user, role or group named in the input; `supply` adds condition keys of the input."""

    async def resolve(scene: Scene, parameters: Parameters) -> Target:
        name = str(parameters[NAME_MEMBER[kind]])
        target = _identity(scene, kind, name, await find(scene, kind, name))
        if supply is None:
            return target
        return Target(arn=target.arn, account_id=target.account_id, context={**target.context, **supply(parameters)})

    return resolve


def created(kind: IdentityKind) -> Callable[[Scene, Parameters], Target]:
    """The user, role or group that the call would make."""

    def resolve(scene: Scene, parameters: Parameters) -> Target:
        path, name = parameters.get("Path", "/"), parameters[NAME_MEMBER[kind]]
        return Target(
            arn=f"arn:aws:iam::{scene.account_id}:{kind.value}{path}{name}",
            account_id=scene.account_id,
            context=request_tags(parameters) | boundary(parameters.get("PermissionsBoundary")),
        )

    return resolve


def tagged(
    action: str, resolve: Callable[[Scene, Parameters], Target]
) -> Callable[[Scene, Parameters], tuple[Demand, ...]]:
    """What making something with tags needs besides: the permission to tag it.

    SECURITY: otherwise whoever may make identities could give them any tag that policies trust.
    Source: IAM User Guide, "Tags for AWS Identity and Access Management resources", permissions for tagging.
    """

    def demand(scene: Scene, parameters: Parameters) -> tuple[Demand, ...]:
        return (Demand(action=action, target=resolve(scene, parameters)),) if parameters.get("Tags") else ()

    return demand


def listed(kind: str) -> Callable[[Scene, Parameters], Target]:
    """What listing acts on: everything below the path prefix."""

    def resolve(scene: Scene, parameters: Parameters) -> Target:
        prefix = parameters.get("PathPrefix", "/")
        return Target(arn=f"arn:aws:iam::{scene.account_id}:{kind}{prefix}", account_id=scene.account_id)

    return resolve


def acting_user_name(scene: Scene, parameters: Parameters) -> str | None:
    """The user an access key operation is about: as named, or the caller. None is the root user.

    Raises:
        errors.Invalid: nobody is named and the caller is no user.
    """
    name: str | None = parameters.get("UserName")
    if name is not None:
        return name
    if scene.principal.kind is PrincipalKind.ROOT:
        return None
    if scene.principal.kind is not PrincipalKind.USER:
        message = "Must specify userName when calling with non-User credentials"
        raise errors.Invalid(message)
    return scene.principal.name


def moved(kind: IdentityKind) -> Callable[[Scene, Parameters], Awaitable[tuple[Demand, ...]]]:
    """UpdateUser and UpdateGroup need their permission on the new name too.

    SECURITY: otherwise who may rename one user could give it the name, and with it the permissions, of a pattern.
    """
    member = NAME_MEMBER[kind]

    async def demand(scene: Scene, parameters: Parameters) -> tuple[Demand, ...]:
        found = await find(scene, kind, str(parameters[member]))
        path = parameters.get("NewPath", "/" if found is None else found.path)
        name = parameters.get(f"New{member}", parameters[member] if found is None else found.name)
        target = Target(arn=f"arn:aws:iam::{scene.account_id}:{kind.value}{path}{name}", account_id=scene.account_id)
        return (Demand(action=f"iam:Update{title(kind)}", target=target),)

    return demand


async def acting_user(scene: Scene, parameters: Parameters) -> Target:
    name = acting_user_name(scene, parameters)
    if name is None:
        return Target(arn=scene.principal.arn, account_id=scene.account_id)
    return _identity(scene, IdentityKind.USER, name, await find(scene, IdentityKind.USER, name))


def policy_account(scene: Scene, arn: str) -> str:
    """Who owns a policy, by its ARN. Built-in policies are every account's own."""
    segments = arn.split(":", 5)
    if len(segments) != 6 or segments[:4] != ["arn", "aws", "iam", ""] or not segments[5].startswith("policy/"):  # noqa: PLR2004 - an ARN's segments
        message = f"ARN {arn} is not valid."
        raise errors.Invalid(message)
    return scene.account_id if segments[4] == "aws" else segments[4]


async def policy(scene: Scene, parameters: Parameters) -> Target:
    """The managed policy named by `PolicyArn`."""
    arn = str(parameters["PolicyArn"])
    account_id = policy_account(scene, arn)
    found = await scene.services.identities.policies.find(scene.account_id, arn)
    context = {} if found is None else resource_tags(found.tags)
    return Target(arn=arn, account_id=account_id, context=context | request_tags(parameters))


def everything(scene: Scene, _parameters: Parameters) -> Target:
    """Operations that AWS gives no resource."""
    return Target(arn="*", account_id=scene.account_id)


def policy_arn(parameters: Parameters) -> Context:
    return {"iam:policyarn": str(parameters["PolicyArn"])}


def requested_boundary(parameters: Parameters) -> Context:
    return boundary(parameters.get("PermissionsBoundary"))
