"""Everything in an account that an escalation can go through, read once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from leastwise.iam.directory import (
    Directory,
    Group,
    IdentityKind,
    IdentityRef,
    ManagedPolicy,
    OwnedPolicies,
    Role,
    User,
)
from leastwise.iam.interface import ContextValue, MalformedPolicy, PolicyKind, Principal
from leastwise.iam.policy.compile import CompiledPolicy, compile_policy
from leastwise.iam.policy.evaluate import Layers
from leastwise.iam.service.judging import Consent, Judge, Planned
from leastwise.iam.service.standing import AccountStanding
from leastwise.iam.why import presumed

ADMINISTRATOR_ACCESS: Final = "arn:aws:iam::aws:policy/AdministratorAccess"
_WILD: Final = re.compile(r"\*+")
_MOST_NAMES: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A function: its ARN, the role it runs as, its resource policy."""

    arn: str
    role_arn: str
    policy: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Somebody:
    """A user or role.

    Args:
        principal: as it calls; a role by a session that nobody named.
        user: None for a role.
        role: None for a user.
        held: its policies, and for a user those of its groups.
        groups: of a user.
        has_password: of a user.
        trusted_by_name: a role's or function's own policy names it, or everyone.
    """

    principal: Principal
    user: User | None = None
    role: Role | None = None
    held: tuple[OwnedPolicies, ...] = ()
    groups: tuple[Group, ...] = ()
    has_password: bool = False
    trusted_by_name: bool = False

    @property
    def arn(self) -> str:
        """The identity's, not the session's."""
        return self.principal.role_arn or self.principal.arn

    @property
    def kind(self) -> str:
        return "User" if self.user is not None else "Role"

    @property
    def boundary_arn(self) -> str | None:
        return self.user.boundary_arn if self.user is not None else self.role.boundary_arn if self.role else None

    def supplied(self) -> dict[str, ContextValue]:
        """Condition keys of calls on it."""
        tags = self.user.tags if self.user is not None else self.role.tags if self.role is not None else {}
        return with_tags(tags, self.boundary_arn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """One account."""

    account_id: str
    region: str
    people: tuple[Somebody, ...]
    groups: Mapping[str, OwnedPolicies]
    group_arns: Mapping[str, str]
    functions: tuple[Deployed, ...]
    managed: Mapping[str, ManagedPolicy] = field(default_factory=dict)
    access_roles: tuple[Role, ...] = ()
    """Of other accounts of the organization, when this is its management account."""

    def is_own(self, policy: ManagedPolicy) -> bool:
        """Built-in policies cannot be changed."""
        return policy.account_id == self.account_id


async def load_estate(
    directory: Directory,
    standing: AccountStanding,
    account_id: str,
    *,
    functions: Sequence[Deployed],
    region: str,
) -> Estate:
    """Reads an account."""
    groups = await directory.groups(account_id, "/")
    owners = [IdentityRef(account_id=account_id, kind=IdentityKind.GROUP, name=group.name) for group in groups]
    of_groups = dict(zip([g.name for g in groups], await directory.policies_of(owners), strict=True)) if groups else {}
    with_password = {profile.user_id for profile in await directory.login_profiles(account_id)}
    people: list[Somebody] = []
    roles = await directory.roles(account_id, "/")
    naming = [*(role.trust_policy for role in roles), *(function.policy or "" for function in functions)]
    for user in await directory.users(account_id, "/"):
        member_of = await directory.groups_of_user(account_id, user.name)
        owner = IdentityRef(account_id=account_id, kind=IdentityKind.USER, name=user.name)
        own = await directory.policies_of([owner])
        principal = presumed.user_principal(user)
        people.append(
            Somebody(
                principal=principal,
                user=user,
                held=(*own, *(of_groups[group.name] for group in member_of)),
                groups=member_of,
                has_password=user.user_id in with_password,
                trusted_by_name=_named(principal, naming),
            )
        )
    for role in roles:
        owner = IdentityRef(account_id=account_id, kind=IdentityKind.ROLE, name=role.name)
        principal = presumed.role_principal(role, presumed.ANY_SESSION)
        people.append(
            Somebody(
                principal=principal,
                role=role,
                held=await directory.policies_of([owner]),
                trusted_by_name=_named(principal, naming),
            )
        )
    managed = {policy.arn: policy for policy in await directory.managed_policies(account_id, "/")}
    return Estate(
        account_id=account_id,
        region=region,
        people=tuple(people),
        groups=of_groups,
        group_arns={group.name: group.arn for group in groups},
        functions=tuple(functions),
        managed=managed,
        access_roles=await _access_roles(directory, standing, account_id),
    )


def _named(principal: Principal, policies: Iterable[str]) -> bool:
    wanted = principal.role_arn or principal.arn
    return any(wanted in policy or '"*"' in policy for policy in policies)


async def _access_roles(directory: Directory, standing: AccountStanding, account_id: str) -> tuple[Role, ...]:
    tree = await standing.tree()
    if tree is None or not tree.is_management(account_id):
        return ()
    found = []
    for member in tree.chart.members:
        role = None if member.account_id == account_id else await directory.role(member.account_id, ACCESS_ROLE)
        if role is not None:
            found.append(role)
    return tuple(found)


ACCESS_ROLE: Final = "OrganizationAccountAccessRole"
"""Source: Organizations API Reference, CreateAccount, RoleName."""


def with_tags(tags: Mapping[str, str], boundary_arn: str | None) -> dict[str, ContextValue]:
    """The condition keys that a user or role supplies."""
    context: dict[str, ContextValue] = {}
    for key, value in tags.items():
        context[f"aws:resourcetag/{key.lower()}"] = value
        context[f"iam:resourcetag/{key.lower()}"] = value
    if boundary_arn is not None:
        context["iam:permissionsboundary"] = boundary_arn
    return context


async def whole_account(
    judge: Judge, principal: Principal, account_id: str, *, instead: Layers | None = None
) -> Consent | None:
    """Whether somebody may do everything: what no policy mentions, and what identities are made of."""
    conditions: list[str] = []
    for action, resource in (
        ("leastwise-probe:Anything", f"arn:aws:leastwise-probe:us-east-1:{account_id}:anything"),
        ("iam:PutUserPolicy", f"arn:aws:iam::{account_id}:user/anybody"),
        ("iam:AttachRolePolicy", f"arn:aws:iam::{account_id}:role/any"),
        ("lambda:CreateFunction", f"arn:aws:lambda:us-east-1:{account_id}:function:any"),
    ):
        consent = await judge.may(
            principal, Planned(action=action, resource=resource, account_id=account_id), instead=instead
        )
        if consent is None:
            return None
        conditions += consent.conditions
    return Consent(conditions=tuple(dict.fromkeys(conditions)))


def compiled(document: str, name: str) -> CompiledPolicy | None:
    """A policy as an identity policy; None when it cannot be read (and so allows nothing)."""
    try:
        return compile_policy(document, name=name, kind=PolicyKind.IDENTITY)
    except MalformedPolicy:
        return None


def policies_in(held: OwnedPolicies) -> tuple[CompiledPolicy, ...]:
    """Inline and attached policies, compiled."""
    texts = [(policy.name, policy.document) for policy in held.inline]
    texts += [(policy.arn, policy.default_version.document) for policy in held.attached]
    found = [compiled(text, name) for name, text in texts]
    return tuple(policy for policy in found if policy is not None)


def possible_names(layers: Layers, prefix: str, *, region: str, account_id: str) -> list[str]:
    """ARNs that something new could have: those that the principal's policies have in mind, else an ordinary one.

    Args:
        layers: of the principal.
        prefix: `arn:aws:lambda:REGION:ACCOUNT:function:` or `arn:aws:iam::ACCOUNT:role/`.
        region: in the place of a wildcard.
        account_id: in the place of a wildcard.
    """
    found = [prefix + "escalation"]
    service = prefix.split(":")[2]
    for policy in layers.identity:
        for statement in policy.statements:
            if not statement.allow or statement.source.not_resource:
                continue
            for pattern in statement.source.resources or ():
                parts = pattern.split(":", 5)
                if len(parts) < 6 or parts[2] != service or "${" in pattern:  # noqa: PLR2004 - an ARN's segments
                    continue
                tail = _WILD.sub("escalation", parts[5]).replace("?", "x")
                head = ["arn", "aws", service, region if service == "lambda" else "", account_id]
                name = ":".join([*head, tail])
                if name.startswith(prefix) and name not in found:
                    found.append(name)
    return found[:_MOST_NAMES]
