"""What would have to change for a denied request to be allowed: the smallest sets of layers, and what in each.

Found by asking, not by rules of thumb: layers are made to allow, one, two, three at a time, until `evaluate.decide`
allows. What is called enough is enough, and no part of it can be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import combinations
from typing import Final

from leastwise.iam.interface import PolicyKind, Principal, PrincipalKind, Request, StatementId
from leastwise.iam.policy.compile import CompiledPolicy, compile_policy
from leastwise.iam.policy.evaluate import Layers, decide, decide_trust
from leastwise.iam.why.certainty import Failure, Part, WeighedStatement, operator_name, wants_absence
from leastwise.iam.why.trace import (
    ALL_KNOWN,
    LayerTrace,
    Slot,
    Trace,
    Unseen,
    Verdict,
    pin_statements,
    pinned,
    policies_of,
    slots,
    weigh_layers,
    with_policies,
)

_MOST_NAMED: Final = 3


class Change(StrEnum):
    """What has to be done in a layer."""

    REMOVE_DENY = "removeDeny"
    ADD_ALLOW = "addAllow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of one layer.

    Args:
        change: what kind.
        slot: which layer.
        sentence: for people.
        statements: those that deny; or, for an Allow, those that nearly allow already.
        otherwise: what the caller could do instead, without a change of policy ("sign in with a second factor").
    """

    change: Change
    slot: Slot
    sentence: str
    statements: tuple[StatementId, ...] = ()
    otherwise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Steps that are enough together, and all needed."""

    steps: tuple[Step, ...]


def remedies(
    request: Request,
    layers: Layers,
    found: Trace,
    *,
    trust: bool = False,
    unseen: Unseen = ALL_KNOWN,
    resource_can_grant: bool = False,
) -> tuple[Remedy, ...]:
    """Every smallest way to have a certain denial allowed; none for what is allowed, or depends.

    Args:
        request: as it was traced.
        layers: as they were traced.
        found: the trace.
        trust: as it was traced.
        unseen: as it was traced.
        resource_can_grant: the resource has a policy of its own, or can have one, and its owner is asked.
    """
    if found.verdict not in {Verdict.EXPLICIT_DENY, Verdict.IMPLICIT_DENY}:
        return ()
    best = pinned(layers, weigh_layers(request, layers, unseen), unseen, hopeful=True)
    denials = [layer for layer in found.layers if layer.deciding(allow=False)]
    free = _without_denials(best)
    steps = tuple(_remove(layer, layers, request) for layer in denials)
    candidates = _candidates(request, free, trust=trust, resource_can_grant=resource_can_grant)
    decider = decide_trust if trust else decide

    def enough(chosen: Iterable[Slot]) -> bool:
        with_resource = tuple(chosen)
        without = tuple(slot for slot in with_resource if slot.kind not in {PolicyKind.RESOURCE, PolicyKind.TRUST})
        # In `_allowing` a new grant of the resource stands in the place of the old one, which may be a better one: one
        # that names the session goes past the boundary. A grant more never takes away what there was without it.
        return any(
            decider(request, _allowing(free, way, request)).allowed for way in dict.fromkeys((with_resource, without))
        )

    traces = {layer.slot: layer for layer in found.layers}
    # What the others cannot make up for is in every remedy; only the rest is tried in all combinations.
    needed = tuple(slot for slot in candidates if not enough(other for other in candidates if other != slot))
    spare = [slot for slot in candidates if slot not in needed]
    for size in range(len(spare) + 1):
        ways = [(*needed, *chosen) for chosen in combinations(spare, size) if enough((*needed, *chosen))]
        if ways:
            return tuple(
                Remedy(
                    steps=(
                        *steps,
                        *(_add(traces.get(slot), slot, request) for slot in sorted(way, key=candidates.index)),
                    )
                )
                for way in ways
            )
    return ()


def _candidates(request: Request, layers: Layers, *, trust: bool, resource_can_grant: bool) -> tuple[Slot, ...]:
    """The layers that could be made to allow and do not.

    INVARIANT: of organization policies only levels that grant nothing, which nothing else makes up for; so that what is
    tried in all combinations are at most identity, resource, boundary and session.
    """
    found = [slot for slot in slots(layers) if slot.kind not in {PolicyKind.RESOURCE, PolicyKind.TRUST}]
    if request.principal.kind is PrincipalKind.SERVICE:
        # What services may do by themselves is not written in anybody's policies.
        found = [slot for slot in found if slot.kind is PolicyKind.RESOURCE_CONTROL]
    if resource_can_grant or trust:
        found.append(Slot(kind=PolicyKind.TRUST if trust else PolicyKind.RESOURCE))
    action = request.action.lower()

    def grants(slot: Slot) -> bool:
        return any(one.applies(request) for policy in policies_of(layers, slot) for one in policy.select(action)[1])

    organization = {PolicyKind.RESOURCE_CONTROL, PolicyKind.SERVICE_CONTROL}
    return tuple(slot for slot in found if slot.kind not in organization or not grants(slot))


def _without_denials(layers: Layers) -> Layers:
    for slot in slots(layers):
        stripped = (
            pin_statements(policy, lambda one: one.allow and one.context_test is None)
            for policy in policies_of(layers, slot)
        )
        layers = with_policies(layers, slot, tuple(stripped))
    return layers


def _allowing(layers: Layers, chosen: Iterable[Slot], request: Request) -> Layers:
    for slot in chosen:
        layers = with_policies(layers, slot, (*policies_of(layers, slot), _everything(slot.kind, request.principal)))
    return layers


def _everything(kind: PolicyKind, principal: Principal) -> CompiledPolicy:
    """A policy that allows everything, the principal if it has principals."""
    return _allow_all(kind, named_as(principal) if kind in {PolicyKind.RESOURCE, PolicyKind.TRUST} else None)


@lru_cache(maxsize=256)
def _allow_all(kind: PolicyKind, named: tuple[str, str] | None) -> CompiledPolicy:
    statement: dict[str, object] = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    if kind is PolicyKind.RESOURCE_CONTROL:
        statement["Principal"] = "*"
    if named is not None:
        statement["Principal"] = {named[0]: named[1]}
    # A trust policy may not say `*`; as a resource policy the same statement reads the same.
    compiled_as = PolicyKind.RESOURCE if kind is PolicyKind.TRUST else kind
    return compile_policy({"Version": "2012-10-17", "Statement": [statement]}, name="", kind=compiled_as)


def named_as(principal: Principal) -> tuple[str, str]:
    """How a resource's policy would name the principal: (type, value)."""
    if principal.kind is PrincipalKind.SERVICE:
        return "Service", principal.name
    if principal.kind is PrincipalKind.ANONYMOUS:
        return "AWS", "*"
    return "AWS", principal.role_arn or principal.arn


# Sentences.

_NOUN: Final = {
    PolicyKind.IDENTITY: "identity-based policy",
    PolicyKind.RESOURCE: "resource-based policy",
    PolicyKind.BOUNDARY: "permissions boundary",
    PolicyKind.SESSION: "session policy",
    PolicyKind.SERVICE_CONTROL: "service control policy",
    PolicyKind.RESOURCE_CONTROL: "resource control policy",
    PolicyKind.TRUST: "role trust policy",
}


def statement_name(statement: StatementId) -> str:
    """`statement "Sid" of POLICY`, or by its number from 1."""
    which = f'statement "{statement.sid}"' if statement.sid else f"statement {statement.index + 1}"
    return f"{which} of {statement.policy or 'the ' + _NOUN[statement.kind]}"


def _remove(layer: LayerTrace, layers: Layers, request: Request) -> Step:
    denying = layer.deciding(allow=False)
    named = _listed([statement_name(one.statement) for one in denying])
    verb = "denies" if len(denying) == 1 else "deny"
    changes = "It must change" if len(denying) == 1 else "They must change"
    where = "" if not denying[0].statement.policy else f" ({_NOUN[layer.slot.kind]})"
    return Step(
        change=Change.REMOVE_DENY,
        slot=layer.slot,
        sentence=f"{_capital(named)}{where} {verb} {request.action} explicitly. {changes}: no Allow overrides a Deny.",
        statements=tuple(one.statement for one in denying),
        otherwise=_escapes(layer, layers, request) if len(denying) == 1 else (),
    )


def _escapes(layer: LayerTrace, layers: Layers, request: Request) -> tuple[str, ...]:
    """Of one statement that denies: what about the request its conditions caught."""
    (denying,) = (one.statement for one in layer.deciding(allow=False))
    sources = [
        one.source
        for policy in policies_of(layers, layer.slot)
        for one in policy.select(request.action.lower())[0]
        if one.statement_id == denying
    ]
    hints = [
        f"It denies only while its condition {operator_name(entry)} {entry.key} holds: "
        + _ESCAPE.get(entry.key.lower(), f"a request with another {entry.key} is not denied by it")
        + "."
        for source in sources[:1]
        for entry in source.conditions
    ]
    return tuple(hints[:_MOST_NAMED])


def _add(layer: LayerTrace | None, slot: Slot, request: Request) -> Step:
    near = [] if layer is None else [one for one in layer.near() if one.allow and _is_close(one)]
    on = f"{request.action} on {request.resource}"
    if slot.kind is PolicyKind.TRUST:
        on = request.action
    names = [] if layer is None else [name for name in layer.policies if _is_own(name)]
    who = ":".join(named_as(request.principal)) if slot.kind in {PolicyKind.RESOURCE, PolicyKind.TRUST} else ""
    match slot.kind:
        case PolicyKind.IDENTITY:
            where = f"to {_listed(names)}, or to another policy" if names else "in a policy"
            sentence = f"No identity-based policy allows it. Add an Allow for {on} {where} of {_owner(request)}."
        case PolicyKind.RESOURCE:
            sentence = (
                f"The resource's own policy may allow it: a statement for the principal {who} and {request.action}."
            )
        case PolicyKind.TRUST:
            sentence = f"The role's trust policy must allow it: a statement for the principal {who} and {on}."
        case PolicyKind.BOUNDARY:
            sentence = f"The permissions boundary {_listed(names)} does not allow it. Add an Allow for {on}, or change the boundary."
        case PolicyKind.SESSION:
            sentence = (
                f"The session was made with policies that do not allow it. Make one whose session policies allow {on}."
            )
        case kind:
            sentence = (
                f"No {_NOUN[kind]} at level {slot.level + 1} (from the root down) allows it. Every level must: "
                f"add an Allow for {on} to a policy attached there."
            )
    return Step(
        change=Change.ADD_ALLOW,
        slot=slot,
        sentence=" ".join(sentence.split()),
        statements=tuple(one.statement for one in near[:_MOST_NAMED]),
        otherwise=tuple(dict.fromkeys(hint for one in near for hint in _ways(one)))[:_MOST_NAMED],
    )


def _is_close(one: WeighedStatement) -> bool:
    """Only its conditions or only its resources are in the way."""
    return len({failure.part for failure in one.failures}) == 1 and one.failures[0].part is not Part.PRINCIPAL


def _ways(one: WeighedStatement) -> Iterable[str]:
    for failure in one.failures:
        name = statement_name(one.statement)
        if failure.part is Part.CONDITION:
            yield f"{_capital(name)} would allow it, but for its condition {failure.operator} {failure.key}: {advice(failure)}."
        elif failure.part is Part.RESOURCE:
            yield f"{_capital(name)} allows the action, but not on this resource."


_ADVICE: Final = {
    "aws:multifactorauthpresent": "sign in with a second factor",
    "aws:multifactorauthage": "sign in with a second factor again",
    "leastwise:mfamethod": "sign in with another kind of second factor",
    "leastwise:authenticationmethod": "sign in in another way",
    "aws:sourceip": "call from an address that it names",
    "aws:securetransport": "call over TLS",
    "aws:currenttime": "call at a time that it allows",
    "aws:epochtime": "call at a time that it allows",
    "leastwise:dayofweek": "call on a day that it allows",
    "leastwise:timeofday": "call at a time of day that it allows",
    "leastwise:timezone": "the installation's time zone is another",
    "aws:tokenissuetime": "take new session credentials",
    "aws:requestedregion": "call another region",
    "aws:principaltag": "the principal needs the tag",
    "aws:resourcetag": "the resource needs the tag",
    "iam:resourcetag": "the resource needs the tag",
    "aws:requesttag": "pass the tag with the request",
    "aws:tagkeys": "pass other tags with the request",
    "sts:externalid": "pass the external id that the role asks for",
    "sts:rolesessionname": "use another session name",
    "sts:sourceidentity": "set the source identity that the role asks for",
    "iam:passedtoservice": "pass the role to another service",
    "iam:permissionsboundary": "set the permissions boundary that it asks for",
}


_ESCAPE: Final = {
    "aws:multifactorauthpresent": "sign in with a second factor",
    "aws:multifactorauthage": "sign in with a second factor again",
    "aws:securetransport": "call over TLS",
    "aws:sourceip": "call from another address",
    "aws:tokenissuetime": "take new session credentials",
}


def advice(failure: Failure) -> str:
    """What somebody could do about a condition that failed."""
    family = failure.key.partition("/")[0].lower()
    if failure.operator == "Null" or not family:
        return f"the request must {'not ' if wants_absence(failure) else ''}have {failure.key}"
    return _ADVICE.get(family, f"call with a value of {failure.key} that it accepts")


def _owner(request: Request) -> str:
    principal = request.principal
    return principal.role_arn or principal.arn


def _is_own(name: str) -> bool:
    """AWS's own policies cannot be changed."""
    return bool(name) and not name.startswith("arn:aws:iam::aws:")


def _listed(names: Sequence[str]) -> str:
    shown = list(dict.fromkeys(names))
    if len(shown) > _MOST_NAMED:
        shown = [*shown[:_MOST_NAMED], f"{len(shown) - _MOST_NAMED} more"]
    if len(shown) <= 1:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
