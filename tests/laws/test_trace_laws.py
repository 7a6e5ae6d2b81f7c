"""Laws of the trace: it says what the engine decides, and what it is sure of stays so whatever it was not told."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from test_policy_laws import HERE, KEYS, PRINCIPALS, TEXTS, compiled, layer_sets, policies, requests

from leastwise.iam.interface import PolicyKind, Principal, PrincipalKind
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.evaluate import decide, decide_trust
from leastwise.iam.why.remedies import Change, named_as, remedies
from leastwise.iam.why.trace import LayerAnswer, Unseen, Verdict, trace

SERVICE = Principal(
    kind=PrincipalKind.SERVICE,
    account_id=HERE,
    arn="lambda.amazonaws.com",
    unique_id="lambda.amazonaws.com",
    name="lambda.amazonaws.com",
)
ROOT = Principal(kind=PrincipalKind.ROOT, account_id=HERE, arn=f"arn:aws:iam::{HERE}:root", unique_id=HERE)
everybody = st.sampled_from([*PRINCIPALS.values(), SERVICE, ROOT])
unknown_keys = st.sets(st.sampled_from([*(key.lower() for key in KEYS), "aws:sourceip", "aws:none"]))
completions = st.none() | st.sampled_from([*TEXTS, "10.1.2.3"]) | st.lists(st.sampled_from(TEXTS), max_size=3)


def verdict_of(decision):
    if decision.allowed:
        return Verdict.ALLOWED
    return Verdict.EXPLICIT_DENY if decision.explicit else Verdict.IMPLICIT_DENY


@settings(max_examples=600, deadline=None)
@given(requests(), layer_sets, everybody)
def test_a_trace_decides_what_the_engine_decides(request, layers, principal):
    request, ready = replace(request, principal=principal), compiled(layers)
    expected = decide(request, ready)
    found = trace(request, ready)
    assert expected == found.decision
    assert verdict_of(expected) == found.verdict
    assert found.missing_context == ()


@settings(max_examples=400, deadline=None)
@given(requests(), layer_sets, st.none() | policies(with_principal=True), everybody)
def test_a_trace_of_assuming_a_role_decides_what_the_engine_decides(request, layers, trust, principal):
    if trust is not None:
        kept = ({k: v for k, v in one.items() if "Resource" not in k} for one in trust["Statement"])
        kept = [one for one in kept if "NotPrincipal" not in one]
        for one in kept:
            one.pop("NotAction", None)
            one["Action"] = "sts:AssumeRole"
        trust = {**trust, "Statement": kept} if kept else None
    ready = replace(
        compiled({**layers, "resource": None}),
        resource=None if trust is None else compile_policy(trust, name="", kind=PolicyKind.TRUST),
    )
    request = replace(request, principal=principal, action="sts:AssumeRole")
    expected = decide_trust(request, ready)
    found = trace(request, ready, trust=True)
    assert (expected, verdict_of(expected)) == (found.decision, found.verdict)


@settings(max_examples=1000, deadline=None)
@given(requests(), layer_sets, unknown_keys, st.data())
def test_what_a_trace_is_sure_of_holds_whatever_the_unknown_keys_are(request, layers, unknown, data):
    ready = compiled(layers)
    told = {key: value for key, value in request.context.items() if key not in unknown}
    found = trace(replace(request, context=told), ready, unseen=Unseen(key=unknown.__contains__))
    for _ in range(4):
        filled = {key: data.draw(completions) for key in sorted(unknown)}
        context = told | {key: value for key, value in filled.items() if value is not None}
        actual = decide(replace(request, context=context), ready)
        if found.verdict is not Verdict.DEPENDS:
            assert (found.verdict is Verdict.ALLOWED) == actual.allowed
        if found.verdict is Verdict.EXPLICIT_DENY:
            assert actual.explicit
    if found.verdict is Verdict.DEPENDS:
        assert found.missing_context
        assert not found.decision.allowed


@settings(max_examples=300, deadline=None)
@given(requests(), layer_sets, policies(with_principal=True), st.none() | policies())
def test_what_a_trace_is_sure_of_holds_whatever_policies_it_may_not_see(request, layers, hidden, limit):
    seen = compiled({**layers, "resource": None, "session": None})
    abroad = replace(request, resource_account_id="999988887777")
    found = trace(abroad, seen, unseen=Unseen(resource_policy=True, session_policies=True))
    actual = decide(abroad, compiled({**layers, "resource": hidden, "session": None if limit is None else [limit]}))
    if found.verdict is not Verdict.DEPENDS:
        assert (found.verdict is Verdict.ALLOWED) == actual.allowed


@settings(max_examples=300, deadline=None)
@given(requests(), layer_sets)
def test_what_a_trace_is_sure_of_holds_whichever_resource_it_is(request, layers):
    ready = compiled(layers)
    found = trace(replace(request, resource="*"), ready, unseen=Unseen(resource=True))
    if found.verdict is not Verdict.DEPENDS:
        assert (found.verdict is Verdict.ALLOWED) == decide(request, ready).allowed


@settings(max_examples=300, deadline=None)
@given(requests(), layer_sets)
def test_every_denial_names_a_decisive_layer_and_every_layer_that_denies_says_so(request, layers):
    found = trace(request, compiled(layers))
    decisive = {layer.slot.kind for layer in found.layers if layer.decisive}
    if found.verdict is not Verdict.ALLOWED:
        assert found.decision.layer in decisive
    denying = [layer for layer in found.layers if layer.answer is LayerAnswer.DENIES]
    assert bool(denying) == (found.verdict is Verdict.EXPLICIT_DENY)


@settings(max_examples=300, deadline=None)
@given(requests(), layer_sets)
def test_a_statement_that_applies_has_no_failure_and_one_that_does_not_has_one(request, layers):
    for layer in trace(request, compiled(layers)).layers:
        for one in layer.statements:
            assert bool(one.failures) == (one in layer.near())


def carried_out(request, layers, remedy):
    """The layers as documents, with the steps of a remedy done by hand."""
    changed = {**layers}
    for step in remedy.steps:
        kind, level = step.slot.kind, step.slot.level
        name = FIELD[kind]
        if step.change is Change.REMOVE_DENY:
            gone = {(one.policy, one.index) for one in step.statements}
            changed[name] = without(changed[name], gone, level if kind in LEVELS else None)
            continue
        allow = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        if kind is PolicyKind.RESOURCE:
            who, value = named_as(request.principal)
            allow["Principal"] = {who: value}
        if kind is PolicyKind.RESOURCE_CONTROL:
            allow["Principal"] = "*"
        policy = {"Version": "2012-10-17", "Statement": [allow]}
        if kind in LEVELS:
            changed[name] = [[*held, policy] if at == level else held for at, held in enumerate(changed[name])]
        elif kind is PolicyKind.IDENTITY or kind is PolicyKind.SESSION:
            changed[name] = [*changed[name], policy]
        else:
            kept = changed[name] or {"Version": "2012-10-17", "Statement": []}
            changed[name] = {**kept, "Statement": [*kept["Statement"], allow]}
    return changed


def without(held, gone, level):
    """Policies without some statements; a policy is never left empty."""

    def stripped(policy, name):
        kept = [one for at, one in enumerate(policy["Statement"]) if (name, at) not in gone]
        has_principal = any("rincipal" in key for one in policy["Statement"] for key in one)
        nothing = {"Effect": "Allow", "NotAction": "*", "Resource": "*"} | ({"Principal": "*"} if has_principal else {})
        return {**policy, "Statement": kept or [nothing]}

    if isinstance(held, dict):
        return stripped(held, "p0")
    if level is None:
        return [stripped(policy, f"p{at}") for at, policy in enumerate(held)]
    return [
        [stripped(policy, f"p{i}") for i, policy in enumerate(each)] if at == level else each
        for at, each in enumerate(held)
    ]


LEVELS = {PolicyKind.SERVICE_CONTROL, PolicyKind.RESOURCE_CONTROL}
FIELD = {
    PolicyKind.IDENTITY: "identity",
    PolicyKind.SESSION: "session",
    PolicyKind.SERVICE_CONTROL: "service_control",
    PolicyKind.RESOURCE_CONTROL: "resource_control",
    PolicyKind.BOUNDARY: "boundary",
    PolicyKind.RESOURCE: "resource",
}


@settings(max_examples=500, deadline=None)
@given(requests(), layer_sets, st.booleans())
def test_what_is_said_to_be_enough_is_enough_and_none_of_it_can_be_left_out(request, layers, resource_can_grant):
    ready = compiled(layers)
    found = trace(request, ready)
    offered = remedies(request, ready, found, resource_can_grant=resource_can_grant)
    if found.verdict is Verdict.ALLOWED:
        assert offered == ()
        return
    for remedy in offered:
        done = decide(request, compiled(carried_out(request, layers, remedy)))
        assert done.allowed
        for left_out in remedy.steps:
            fewer = replace(remedy, steps=tuple(step for step in remedy.steps if step is not left_out))
            assert not decide(request, compiled(carried_out(request, layers, fewer))).allowed
    assert offered or request.principal.account_id != request.resource_account_id
