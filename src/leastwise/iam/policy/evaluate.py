"""Decides: may this principal do this action on this resource?

Any Deny that applies, in any layer, ends it. Then every layer that exists must contain an Allow, with the shortcuts that
a resource's own policy can take within one account:

1. each level of resource control policies (the resource's side),
2. each level of service control policies (the principal's side),
3. the resource policy: naming the user, the session, the federated user or everyone, it allows by itself; naming the
   role (or the user behind a federated one), it stands in for the identity policies; naming the account, it leaves the
   decision to the account,
4. identity policies, permissions boundary, session policies.

Across accounts both sides are evaluated apart and both must allow; the resource policy takes no shortcut.

Source: IAM User Guide, "Policy evaluation logic", "How AWS enforcement code logic evaluates requests to allow or deny
access" and "Cross-account policy evaluation logic".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from leastwise.iam.interface import Decision, PolicyKind, PrincipalKind, Request
from leastwise.iam.policy.compile import CompiledPolicy, CompiledStatement
from leastwise.iam.policy.principals import Grade

Level = tuple[CompiledPolicy, ...]
"""Policies of which one must allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Every policy that has a say. INVARIANT: a policy that cannot be read is never left out; its layer denies.

    Args:
        identity: inline and managed policies of the user or role; for a service, what the platform grants it.
        boundary: None when there is none.
        session: policies passed when the session was made, of which one must allow; None when none was passed.
        resource: the resource's own policy, or the role's trust policy for `decide_trust`.
        service_control: one entry per level (root, organizational units, account); empty in a management account.
        resource_control: the same, on the resource's side.
    """

    identity: Level = ()
    boundary: CompiledPolicy | None = None
    session: Level | None = None
    resource: CompiledPolicy | None = None
    service_control: tuple[Level, ...] = ()
    resource_control: tuple[Level, ...] = ()


_NOTHING_ALLOWS: Final = {kind: Decision(allowed=False, layer=kind, explicit=False) for kind in PolicyKind}
_ROOT_ALLOWED: Final = Decision(allowed=True, layer=PolicyKind.IDENTITY, explicit=False)


def decide(request: Request, layers: Layers, *, resource_must_allow: bool = False) -> Decision:
    """Decides one request. Total: it never raises on a request whose context is text.

    Args:
        request: with its complete context.
        layers: every policy that has a say.
        resource_must_allow: also within one account the resource's policy must allow (trust and key policies).

    Returns:
        The decision. Of the statements that allow, the first that was found; of those that deny, all of the layer.
    """
    action = request.action.lower()
    denied = _explicit_denial(request, layers, action)
    if denied is not None:
        return denied
    principal = request.principal
    if principal.kind is PrincipalKind.SERVICE:
        # Service control policies do not bind services.
        return _levels_refuse(request, layers.resource_control, PolicyKind.RESOURCE_CONTROL, action) or _service(
            request, layers, action, resource_must_allow=resource_must_allow
        )
    if principal.kind is PrincipalKind.ANONYMOUS:
        return _anonymous(request, layers, action)
    if principal.account_id != request.resource_account_id:
        return _across_accounts(request, layers, action)
    refused = _levels_refuse(request, layers.resource_control, PolicyKind.RESOURCE_CONTROL, action) or _levels_refuse(
        request, layers.service_control, PolicyKind.SERVICE_CONTROL, action
    )
    if refused is not None:
        return refused
    grade, granting = _resource_grant(request, layers, action)
    if granting is not None and grade is Grade.DIRECT:
        return granting.granted
    if granting is None and resource_must_allow:
        return _NOTHING_ALLOWS[_resource_kind(layers)]
    stands_in = granting is not None and grade is Grade.ROLE
    allowed = granting.granted if granting is not None and stands_in else _identity(request, layers, action)
    if not allowed.allowed:
        return allowed
    return _limits_refuse(request, layers, action) or allowed


def decide_trust(request: Request, layers: Layers) -> Decision:
    """Decides whether a principal may assume a role. The trust policy is `layers.resource` and must allow.

    The account's root user may not assume roles. Source: STS API Reference, AssumeRole.
    """
    if request.principal.kind is PrincipalKind.ROOT or layers.resource is None:
        return _NOTHING_ALLOWS[PolicyKind.TRUST]
    return decide(request, layers, resource_must_allow=True)


def _explicit_denial(request: Request, layers: Layers, action: str) -> Decision | None:
    resource = layers.resource
    if resource is not None:
        denials = resource.select(action)[0]
        if denials:
            has_boundary = layers.boundary is not None
            principal = request.principal
            denying = [
                statement
                for statement in denials
                if statement.grade(principal, has_boundary=has_boundary) and statement.applies(request)
            ]
            if denying:
                return _denied_by(denying, resource.kind)
    for level in (
        *layers.resource_control,
        *layers.service_control,
        layers.identity,
        () if layers.boundary is None else (layers.boundary,),
        layers.session or (),
    ):
        for policy in level:
            denials = policy.select(action)[0]
            if denials:
                denying = [statement for statement in denials if statement.applies(request)]
                if denying:
                    return _denied_by(denying, policy.kind)
    return None


def _denied_by(statements: list[CompiledStatement], kind: PolicyKind) -> Decision:
    return Decision(
        allowed=False,
        layer=kind,
        explicit=True,
        statements=tuple(statement.statement_id for statement in statements),
    )


def _allowing(request: Request, policies: Level, action: str) -> CompiledStatement | None:
    """The first statement of these policies that allows."""
    for policy in policies:
        for statement in policy.select(action)[1]:
            if statement.applies(request):
                return statement
    return None


def _levels_refuse(request: Request, levels: tuple[Level, ...], kind: PolicyKind, action: str) -> Decision | None:
    for level in levels:
        if _allowing(request, level, action) is None:
            return _NOTHING_ALLOWS[kind]
    return None


def _limits_refuse(request: Request, layers: Layers, action: str) -> Decision | None:
    """Boundary and session policies only ever take away."""
    if layers.boundary is not None and _allowing(request, (layers.boundary,), action) is None:
        return _NOTHING_ALLOWS[PolicyKind.BOUNDARY]
    if layers.session is not None and _allowing(request, layers.session, action) is None:
        return _NOTHING_ALLOWS[PolicyKind.SESSION]
    return None


def _identity(request: Request, layers: Layers, action: str) -> Decision:
    """The root user may do everything within its account. Source: IAM User Guide, "AWS account root user"."""
    if request.principal.kind is PrincipalKind.ROOT:
        return _ROOT_ALLOWED
    granting = _allowing(request, layers.identity, action)
    return _NOTHING_ALLOWS[PolicyKind.IDENTITY] if granting is None else granting.granted


def _resource_grant(request: Request, layers: Layers, action: str) -> tuple[Grade, CompiledStatement | None]:
    """The most direct grant of the resource's policy."""
    best, granting = Grade.NONE, None
    if layers.resource is not None:
        has_boundary = layers.boundary is not None
        for statement in layers.resource.select(action)[1]:
            grade = statement.grade(request.principal, has_boundary=has_boundary)
            if grade > best and statement.applies(request):
                best, granting = grade, statement
                if grade is Grade.DIRECT:
                    break
    return best, granting


def _resource_kind(layers: Layers) -> PolicyKind:
    return PolicyKind.RESOURCE if layers.resource is None else layers.resource.kind


def _service(request: Request, layers: Layers, action: str, *, resource_must_allow: bool) -> Decision:
    """A service is named by the resource, or does what the platform itself grants it (`layers.identity`).

    SECURITY: the latter only in the account on whose behalf it acts, or one account could use the service to reach
    into another (confused deputy).
    """
    _, granting = _resource_grant(request, layers, action)
    at_home = request.principal.account_id == request.resource_account_id
    if granting is None and at_home and not resource_must_allow:
        granting = _allowing(request, layers.identity, action)
    return _NOTHING_ALLOWS[_resource_kind(layers)] if granting is None else granting.granted


def _anonymous(request: Request, layers: Layers, action: str) -> Decision:
    """Nobody in particular: what the resource's own policy gives to everyone, within the resource's guardrails."""
    refused = _levels_refuse(request, layers.resource_control, PolicyKind.RESOURCE_CONTROL, action)
    if refused is not None:
        return refused
    _, granting = _resource_grant(request, layers, action)
    return _NOTHING_ALLOWS[_resource_kind(layers)] if granting is None else granting.granted


def _across_accounts(request: Request, layers: Layers, action: str) -> Decision:
    """Both sides must allow. The principal's side comes first: a stranger learns nothing of the resource's policy."""
    refused = _levels_refuse(request, layers.service_control, PolicyKind.SERVICE_CONTROL, action)
    if refused is not None:
        return refused
    allowed = _identity(request, layers, action)
    if not allowed.allowed:
        return allowed
    refused = _limits_refuse(request, layers, action) or _levels_refuse(
        request, layers.resource_control, PolicyKind.RESOURCE_CONTROL, action
    )
    if refused is not None:
        return refused
    _, granting = _resource_grant(request, layers, action)
    if granting is None:
        return _NOTHING_ALLOWS[_resource_kind(layers)]
    return Decision(
        allowed=True,
        layer=granting.statement_id.kind,
        explicit=False,
        statements=(*allowed.statements, granting.statement_id),
    )
