"""Why is it so: a decision taken apart, layer by layer, also when part of the request is not known.

The verdict is not worked out a second time. Every statement is weighed (`certainty`), what was found is pinned into a
copy of the layers, and `evaluate.decide` decides on that copy: once with every doubt resolved in the request's favour,
once against it. When both say the same, that is certain; when they do not, it depends on what is missing.

INVARIANT: with nothing unknown the decision is the one of `decide` or `decide_trust` on the same input.
INVARIANT: sound. A certain verdict holds whatever the unknown parts turn out to be: decisions are monotone in what
applies (an Allow more never takes away, a Deny more never gives). Both are laws in tests/laws/test_trace_laws.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from leastwise.iam.interface import Decision, PolicyKind, PrincipalKind, Request
from leastwise.iam.policy.compile import CompiledPolicy, CompiledStatement, compile_policy
from leastwise.iam.policy.conditions import Context
from leastwise.iam.policy.evaluate import Layers, Level, decide, decide_trust
from leastwise.iam.policy.principals import Grade
from leastwise.iam.why.certainty import Certainty, Unknown, WeighedStatement, weigh

Decide = Callable[[Request, Layers], Decision]


class Verdict(StrEnum):
    """The answer. The words are those of AWS's simulator, and one that it does not have."""

    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"
    DEPENDS = "depends"


class LayerAnswer(StrEnum):
    """What one layer says."""

    ABSENT = "absent"
    ALLOWS = "allows"
    DENIES = "denies"
    GRANTS_NOTHING = "grantsNothing"
    DEPENDS = "depends"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place in `Layers`: a kind, and the level within it (0 but for organization policies, from the root down)."""

    kind: PolicyKind
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTrace:
    """What one layer says, and by which statements.

    Args:
        slot: which layer.
        answer: what it says by itself. ABSENT: there is no such layer, it takes no part.
        decisive: the decision would be another if this layer said something else.
        policies: names of its policies.
        statements: every statement whose action fits, weighed.
        unseen: its policies are not known (those of another account, or of a session long gone).
    """

    slot: Slot
    answer: LayerAnswer
    decisive: bool = False
    policies: tuple[str, ...] = ()
    statements: tuple[WeighedStatement, ...] = ()
    unseen: bool = False

    def deciding(self, *, allow: bool) -> tuple[WeighedStatement, ...]:
        """The statements that certainly allow (or deny)."""
        return tuple(one for one in self.statements if one.allow is allow and one.certainty is Certainty.YES)

    def near(self) -> tuple[WeighedStatement, ...]:
        """Statements whose action fits and that would decide if something else fitted too."""
        return tuple(one for one in self.statements if one.certainty is not Certainty.YES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A decision taken apart.

    Args:
        verdict: the answer.
        decision: the decision; when it depends, the one with every doubt against the request, which is never allowed.
        layers: every layer, the absent ones too, in the order of evaluation.
        missing_context: keys, as written, that statements ask for and nobody knows.
    """

    verdict: Verdict
    decision: Decision
    layers: tuple[LayerTrace, ...]
    missing_context: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """What is not known besides keys.

    Args:
        key: which keys outside the context nobody knows.
        resource_policy: the resource's own policy.
        resource_control: the guardrails of the resource's account.
        session_policies: what the session was limited to when it was made.
        resource: which resource it is, of an action that acts on one.
    """

    key: Unknown = lambda _key: False
    resource_policy: bool = False
    resource_control: bool = False
    session_policies: bool = False
    resource: bool = False


ALL_KNOWN: Final = Unseen()


def trace(request: Request, layers: Layers, *, trust: bool = False, unseen: Unseen = ALL_KNOWN) -> Trace:
    """Decides a request and says why.

    Args:
        request: with what is known of its context.
        layers: every policy that has a say.
        trust: the request assumes a role; `layers.resource` is its trust policy.
        unseen: what is not known.
    """
    weighed = weigh_layers(request, layers, unseen)
    decider: Decide = decide_trust if trust else decide
    best_layers = pinned(layers, weighed, unseen, hopeful=True)
    worst_layers = pinned(layers, weighed, unseen, hopeful=False)
    best, worst = decider(request, best_layers), decider(request, worst_layers)
    decisive_in: tuple[Layers, ...]
    if best.allowed != worst.allowed:
        verdict, decision, decisive_in = Verdict.DEPENDS, worst, (best_layers, worst_layers)
    elif worst.allowed:
        verdict, decision, decisive_in = Verdict.ALLOWED, worst, (worst_layers,)
    else:
        # What certainly denies: a doubtful Deny beside it says nothing new.
        verdict = Verdict.EXPLICIT_DENY if best.explicit else Verdict.IMPLICIT_DENY
        decision, decisive_in = best, (best_layers,)
    decisive = frozenset().union(*(_decisive(request, found, decider) for found in decisive_in))
    return Trace(
        verdict=verdict,
        decision=decision,
        layers=tuple(
            replace(_layer(request, layers, slot, weighed, unseen), decisive=slot in decisive)
            for slot in _all_slots(layers, unseen)
        ),
        missing_context=tuple(dict.fromkeys(key for one in weighed.values() for key in one.missing)),
    )


# The layers as a list.


def slots(layers: Layers) -> Iterator[Slot]:
    """The layers that there are, in the order of evaluation."""
    for level in range(len(layers.resource_control)):
        yield Slot(kind=PolicyKind.RESOURCE_CONTROL, level=level)
    for level in range(len(layers.service_control)):
        yield Slot(kind=PolicyKind.SERVICE_CONTROL, level=level)
    if layers.resource is not None:
        yield Slot(kind=layers.resource.kind)
    yield Slot(kind=PolicyKind.IDENTITY)
    if layers.boundary is not None:
        yield Slot(kind=PolicyKind.BOUNDARY)
    if layers.session is not None:
        yield Slot(kind=PolicyKind.SESSION)


def _all_slots(layers: Layers, unseen: Unseen) -> Iterator[Slot]:
    found = list(slots(layers))
    kinds = {slot.kind for slot in found}
    resource = PolicyKind.TRUST if PolicyKind.TRUST in kinds else PolicyKind.RESOURCE
    for kind in (
        PolicyKind.RESOURCE_CONTROL,
        PolicyKind.SERVICE_CONTROL,
        resource,
        PolicyKind.IDENTITY,
        PolicyKind.BOUNDARY,
        PolicyKind.SESSION,
    ):
        if kind in kinds and not (unseen.resource_policy and kind is resource):
            yield from (slot for slot in found if slot.kind is kind)
        else:
            yield Slot(kind=kind)


def policies_of(layers: Layers, slot: Slot) -> Level:
    """The policies in one place."""
    match slot.kind:
        case PolicyKind.RESOURCE_CONTROL:
            return layers.resource_control[slot.level] if slot.level < len(layers.resource_control) else ()
        case PolicyKind.SERVICE_CONTROL:
            return layers.service_control[slot.level] if slot.level < len(layers.service_control) else ()
        case PolicyKind.IDENTITY:
            return layers.identity
        case PolicyKind.BOUNDARY:
            return () if layers.boundary is None else (layers.boundary,)
        case PolicyKind.SESSION:
            return layers.session or ()
        case _:
            return () if layers.resource is None else (layers.resource,)


def with_policies(layers: Layers, slot: Slot, policies: Level) -> Layers:
    """The layers with other policies in one place. Boundary and resource hold one, which is the last one given."""
    match slot.kind:
        case PolicyKind.RESOURCE_CONTROL:
            return replace(layers, resource_control=_put(layers.resource_control, slot.level, policies))
        case PolicyKind.SERVICE_CONTROL:
            return replace(layers, service_control=_put(layers.service_control, slot.level, policies))
        case PolicyKind.IDENTITY:
            return replace(layers, identity=policies)
        case PolicyKind.BOUNDARY:
            return replace(layers, boundary=policies[-1])
        case PolicyKind.SESSION:
            return replace(layers, session=policies)
        case _:
            return replace(layers, resource=policies[-1])


def _put(levels: tuple[Level, ...], at: int, policies: Level) -> tuple[Level, ...]:
    return (*levels[:at], policies, *levels[at + 1 :])


# Weighing and pinning.

Weighed = dict[CompiledStatement, WeighedStatement]


def weigh_layers(request: Request, layers: Layers, unseen: Unseen) -> Weighed:
    """Every statement of every layer whose action fits."""
    action = request.action.lower()
    weighed: Weighed = {}
    for slot in slots(layers):
        for policy in policies_of(layers, slot):
            for statement in (one for side in policy.select(action) for one in side):
                weighed[statement] = weigh(
                    statement,
                    request,
                    unseen.key,
                    variables=policy.document.has_variables,
                    has_boundary=layers.boundary is not None,
                    some_resource=unseen.resource,
                )
    return weighed


def pinned(layers: Layers, weighed: Weighed, unseen: Unseen, *, hopeful: bool) -> Layers:
    """The layers with what was weighed in the place of conditions and resources.

    Args:
        layers: as they are.
        weighed: of them.
        unseen: what is not known.
        hopeful: doubts are resolved in the request's favour.
    """

    def pin(policy: CompiledPolicy) -> CompiledPolicy:
        return pin_statements(policy, lambda one: _applies(weighed[one], hopeful=hopeful) if one in weighed else False)

    result = layers
    for slot in slots(layers):
        result = with_policies(result, slot, tuple(map(pin, policies_of(layers, slot))))
    if unseen.resource_policy:
        result = replace(result, resource=_EVERYTHING_FOR_ANYBODY if hopeful else None)
    if unseen.session_policies:
        result = replace(result, session=None if hopeful else ())
    return result


def pin_statements(policy: CompiledPolicy, applies: Callable[[CompiledStatement], bool]) -> CompiledPolicy:
    """The policy with statements that apply, or do not, whatever the request's resource and context."""
    statements = tuple(
        replace(one, resource_test=None, context_test=None if applies(one) else _never) for one in policy.statements
    )
    return replace(policy, statements=statements, _selections={})


def _applies(weighed: WeighedStatement, *, hopeful: bool) -> bool:
    if weighed.grade is Grade.NONE:
        return False
    return weighed.certainty is Certainty.YES or (weighed.certainty is Certainty.MAYBE and hopeful is weighed.allow)


def _never(_context: Context) -> bool:
    return False


_EVERYTHING_FOR_ANYBODY: Final = compile_policy(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
    },
    name="",
    kind=PolicyKind.RESOURCE,
)


# What each layer says.


def _decisive(request: Request, layers: Layers, decider: Decide) -> frozenset[Slot]:
    """The layers without which the decision would be another.

    Of an explicit deny those that hold it; of an allow those whose Allow is needed; of an implicit deny those that
    would have to allow (see `remedies`, which asks what would be enough).
    """
    decision = decider(request, layers)
    action = request.action.lower()
    decisive = set()
    for slot in slots(layers):
        policies = policies_of(layers, slot)
        if decision.explicit:
            applying = (one for policy in policies for one in policy.select(action)[0] if _lives(one, request, layers))
            if any(applying):
                decisive.add(slot)
        elif decision.allowed:
            mute = with_policies(layers, slot, tuple(pin_statements(policy, lambda _one: False) for policy in policies))
            if policies and not decider(request, mute).allowed:
                decisive.add(slot)
        elif slot.kind is decision.layer:
            decisive.add(slot)
    if not decision.allowed and not decision.explicit and not decisive:
        decisive.add(Slot(kind=decision.layer))
    return frozenset(decisive)


def _lives(statement: CompiledStatement, request: Request, layers: Layers) -> bool:
    has_boundary = layers.boundary is not None
    return bool(statement.grade(request.principal, has_boundary=has_boundary)) and statement.applies(request)


def _layer(request: Request, layers: Layers, slot: Slot, weighed: Weighed, unseen: Unseen) -> LayerTrace:
    hidden = {
        PolicyKind.RESOURCE: unseen.resource_policy,
        PolicyKind.TRUST: unseen.resource_policy,
        PolicyKind.RESOURCE_CONTROL: unseen.resource_control,
        PolicyKind.SESSION: unseen.session_policies,
    }
    if hidden.get(slot.kind, False):
        return LayerTrace(slot=slot, answer=LayerAnswer.DEPENDS, unseen=True)
    if slot not in set(slots(layers)):
        return LayerTrace(slot=slot, answer=LayerAnswer.ABSENT)
    policies = policies_of(layers, slot)
    action = request.action.lower()
    statements = tuple(weighed[one] for policy in policies for side in policy.select(action) for one in side)
    return LayerTrace(
        slot=slot,
        answer=_answer(request, slot, statements),
        policies=tuple(policy.name for policy in policies),
        statements=statements,
    )


def _answer(request: Request, slot: Slot, statements: tuple[WeighedStatement, ...]) -> LayerAnswer:
    denies = max((one.certainty for one in statements if not one.allow), default=Certainty.NO)
    allows = max((one.certainty for one in statements if one.allow), default=Certainty.NO)
    if slot.kind is PolicyKind.IDENTITY and request.principal.kind is PrincipalKind.ROOT:
        allows = Certainty.YES
    if denies is Certainty.YES:
        return LayerAnswer.DENIES
    if denies is Certainty.MAYBE or allows is Certainty.MAYBE:
        return LayerAnswer.DEPENDS
    return LayerAnswer.ALLOWS if allows is Certainty.YES else LayerAnswer.GRANTS_NOTHING
