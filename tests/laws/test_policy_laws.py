"""Laws of the policy engine: it answers as the reference model does, and what must never happen never does."""

import random
import sys

import reference_model
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from leastwise.iam.interface import Issuer, PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.conditions import compile_conditions
from leastwise.iam.policy.document import parse_document
from leastwise.iam.policy.evaluate import Layers, decide
from leastwise.iam.policy.matching import compile_arn, compile_glob, parse_wildcards

HERE, ELSEWHERE = "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{HERE}:role/team/worker"
SESSION = f"arn:aws:sts::{HERE}:assumed-role/worker/s1"
USER = f"arn:aws:iam::{HERE}:user/alice"
FEDERATED = f"arn:aws:sts::{HERE}:federated-user/bob"

PRINCIPALS = {
    "user": Principal(
        kind=PrincipalKind.USER, account_id=HERE, arn=USER, unique_id="AIDA234567ABCDEFGHIJK", name="alice"
    ),
    "session": Principal(
        kind=PrincipalKind.ROLE_SESSION,
        account_id=HERE,
        arn=SESSION,
        role_arn=ROLE,
        unique_id="AROA234567ABCDEFGHIJK:s1",
        name="worker",
        session_name="s1",
    ),
    "federated": Principal(
        kind=PrincipalKind.FEDERATED_USER,
        account_id=HERE,
        arn=FEDERATED,
        unique_id=f"{HERE}:bob",
        name="bob",
        federated_by=Issuer(arn=USER, unique_id="AIDA234567ABCDEFGHIJK", name="alice"),
    ),
    "anonymous": Principal(kind=PrincipalKind.ANONYMOUS, account_id="", arn="", unique_id="anonymous"),
}

actions = st.sampled_from(["lambda:InvokeFunction", "lambda:GetFunction", "lambda:ListTags", "iam:PassRole"])
action_patterns = st.sampled_from(
    [
        *("*", "lambda:*", "LAMBDA:invokefunction", "lambda:Get*", "lambda:*Function", "lambda:List????"),
        *("iam:PassRole", "*:*", "lambda:Invoke Function", "lambda:Get,List", "iam:*"),
    ]
)
resources = st.sampled_from(
    [
        f"arn:aws:lambda:us-east-1:{HERE}:function:f1",
        f"arn:aws:lambda:us-east-1:{HERE}:function:f1:PROD",
        f"arn:aws:lambda:us-east-1:{ELSEWHERE}:function:f*",
        f"arn:aws:iam::{HERE}:role/x/alice",
        "*",
    ]
)
resource_patterns = st.sampled_from(
    [
        "*",
        "**",
        f"arn:aws:lambda:us-east-1:{HERE}:function:f1",
        f"arn:aws:lambda:us-east-1:{HERE}:function:f*",
        "arn:aws:lambda:*:*:function:*",
        "arn:aws:lambda:us-*:????2222*:function:f?",
        "arn:aws:lambda",
        "arn:aws:lambda:*:${aws:PrincipalAccount}:function:f1*",
        "arn:aws:lambda:us-east-1:*:function:${aws:PrincipalTag/team, 'f1'}",
        "arn:aws:lambda:us-east-1:*:function:f${*}",
        f"arn:aws:iam::{HERE}:role/*/${{aws:username}}",
        "arn:aws:iam::*:role/?/*",
    ]
)

TEXTS = ["alice", "Alice", "a*", "f1", "*", "", "true", "10", "10.0", "9", "ten", "2024-05-01T00:00:00Z", "1714521600"]
TEXTS += ["2024-05-01T02:00:00+02:00", "arn:aws:iam::111122223333:role/x", "arn:aws:iam::111122223333:role/x:y", HERE]
KEYS = ["aws:username", "aws:PrincipalTag/team", "aws:PrincipalAccount", "lambda:Layer"]
contexts = st.dictionaries(
    st.sampled_from([key.lower() for key in KEYS]),
    st.sampled_from(TEXTS) | st.lists(st.sampled_from(TEXTS), max_size=3),
)
ip_contexts = st.dictionaries(
    st.just("aws:sourceip"), st.sampled_from(["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3"])
)


def wanted(texts):
    return st.sampled_from(texts) | st.lists(st.sampled_from(texts), max_size=3)


ARNS = ["arn:aws:iam::111122223333:role/x", "arn:aws:iam::*:role/*", "arn:aws:iam:*:role/x:*", "arn:*:iam::*:*"]
ARNS += ["arn:aws:iam::${aws:PrincipalAccount}:role/x", "arn:aws:iam::111122223333:${aws:username}"]
PATTERNS = ["a*", "A?ice", "*", "${aws:username}", "${aws:PrincipalTag/team, 'f1'}", "${*}", "f1", "x${", "${aws:none}"]
NUMBERS = ["10", 9, 10.0, "9.5"]
INSTANTS = ["2024-05-01", "1714521600", "2024-05-01T00:00:00-01:00"]
STRING_OPERATORS = ["StringEquals", "StringEqualsIgnoreCase", "StringLike"]
STRING_OPERATORS += ["StringNotEquals", "StringNotEqualsIgnoreCase", "StringNotLike"]
ORDERED = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
VALUES_OF = {
    **dict.fromkeys(STRING_OPERATORS, (*TEXTS, *PATTERNS)),
    **dict.fromkeys(("ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"), tuple(ARNS)),
    **{f"Numeric{order}": NUMBERS for order in ORDERED},
    **{f"Date{order}": INSTANTS for order in ORDERED},
    "Bool": ["true", "False", True, False],
}


@st.composite
def condition_blocks(draw):
    block = {}
    for name in draw(st.lists(st.sampled_from([*VALUES_OF, "Null", "IpAddress", "NotIpAddress"]), max_size=2)):
        if name == "Null":
            block["Null"] = {draw(st.sampled_from(KEYS)): draw(wanted(["true", "false", True]))}
        elif "IpAddress" in name:
            block[name] = {"aws:SourceIp": draw(wanted(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0"]))}
        else:
            prefix = draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"]))
            suffix = draw(st.sampled_from(["", "IfExists"]))
            block[prefix + name + suffix] = {draw(st.sampled_from(KEYS)): draw(wanted(VALUES_OF[name]))}
    return block


NAMES = [USER, ROLE, SESSION, FEDERATED, f"arn:aws:sts::{HERE}:assumed-role/worker/s2"]
NAMES += [HERE, f"arn:aws:iam::{ELSEWHERE}:root"]


@st.composite
def policy_statements(draw, *, with_principal):
    statement = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    for names, values in ((["Action", "NotAction"], action_patterns), (["Resource", "NotResource"], resource_patterns)):
        statement[draw(st.sampled_from(names))] = draw(values | st.lists(values, min_size=1, max_size=3))
    if with_principal:
        named = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(lambda names: {"AWS": names})
        statement[draw(st.sampled_from(["Principal", "NotPrincipal"]))] = draw(named | st.just("*"))
    block = draw(condition_blocks())
    return {**statement, "Condition": block} if block else statement


def policies(*, with_principal=False):
    version = st.sampled_from([{"Version": "2012-10-17"}] * 3 + [{"Version": "2008-10-17"}, {}])
    body = st.lists(policy_statements(with_principal=with_principal), min_size=1, max_size=3)
    return st.builds(lambda head, statements: {**head, "Statement": statements}, version, body)


def for_everyone(policy):
    """As a resource control policy must be written."""
    return {**policy, "Statement": [{**statement, "Principal": "*"} for statement in policy["Statement"]]}


LAYERS = ["identity", "boundary", "session", "service_control", "resource_control", "resource"]
several = st.lists(policies(), max_size=2)
layer_sets = st.fixed_dictionaries(
    {
        "identity": several,
        "boundary": st.none() | policies(),
        "session": st.none() | several,
        "resource": st.none() | policies(with_principal=True),
        "service_control": st.lists(several, max_size=2),
        "resource_control": st.lists(several.map(lambda level: [for_everyone(policy) for policy in level]), max_size=2),
    }
)


@st.composite
def requests(draw):
    resource = draw(resources)
    return Request(
        principal=PRINCIPALS[draw(st.sampled_from(sorted(PRINCIPALS)))],
        action=draw(actions),
        resource=resource,
        resource_account_id=draw(st.sampled_from([HERE, HERE, ELSEWHERE])),
        context={**draw(contexts), **draw(ip_contexts)},
    )


def compiled(layers):
    def each(raw, kind):
        return tuple(compile_policy(policy, name=f"p{i}", kind=kind) for i, policy in enumerate(raw))

    return Layers(
        identity=each(layers["identity"], PolicyKind.IDENTITY),
        boundary=next(iter(each([layers["boundary"]], PolicyKind.BOUNDARY) if layers["boundary"] else ()), None),
        session=None if layers["session"] is None else each(layers["session"], PolicyKind.SESSION),
        resource=next(iter(each([layers["resource"]], PolicyKind.RESOURCE) if layers["resource"] else ()), None),
        service_control=tuple(each(level, PolicyKind.SERVICE_CONTROL) for level in layers["service_control"]),
        resource_control=tuple(each(level, PolicyKind.RESOURCE_CONTROL) for level in layers["resource_control"]),
    )


def model(request, layers):
    who = request.principal
    principal = {"arn": who.arn, "account": who.account_id, "anonymous": who.kind is PrincipalKind.ANONYMOUS}
    principal |= {"role": who.role_arn} if who.role_arn else {}
    principal |= {"user": who.federated_by.arn} if who.federated_by else {}
    return reference_model.decide(
        {
            "principal": principal,
            "action": request.action,
            "resource": request.resource,
            "account": request.resource_account_id,
            "context": request.context,
        },
        layers,
    )


def answer(decision):
    return decision.allowed, str(decision.layer), decision.explicit


@settings(max_examples=800, deadline=None)
@given(requests(), layer_sets)
def test_the_engine_answers_as_the_reference_model(request, layers):
    assert model(request, layers) == answer(decide(request, compiled(layers)))


@settings(max_examples=1500, deadline=None)
@given(condition_blocks(), st.builds(dict, contexts), ip_contexts, st.booleans(), st.booleans())
def test_a_condition_block_holds_exactly_when_the_reference_model_says_so(block, context, ips, allow, variables):
    context = {**context, **ips}
    effect = "Allow" if allow else "Deny"
    version = "2012-10-17" if variables else "2008-10-17"
    document = {
        "Version": version,
        "Statement": {"Effect": effect, "Action": "*", "Resource": "*", "Condition": block},
    }
    entries = parse_document(document, kind=PolicyKind.IDENTITY).statements[0].conditions
    test = compile_conditions(entries, variables=variables, allow=allow)
    expected = all(
        reference_model.condition_holds(operator, key.lower(), values, variables, effect, context)
        for operator, keys in block.items()
        for key, values in keys.items()
    )
    assert expected == (test is None or test(context))


@given(requests(), layer_sets, st.sampled_from(LAYERS))
@settings(deadline=None)
def test_forbid_trumps_permit(request, layers, where):
    deny = {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    if where == "resource":
        deny["Statement"][0]["Principal"] = "*"
    if where in {"boundary", "resource"}:
        layers[where] = deny
    elif where.endswith("_control"):
        layers[where] = [*layers[where], [deny if where == "service_control" else for_everyone(deny)]]
    else:
        layers[where] = [*(layers[where] or []), deny]
    decision = decide(request, compiled(layers))
    assert decision.allowed is False
    assert decision.explicit is True
    assert decision.statements


@given(requests(), layer_sets)
@settings(deadline=None)
def test_default_deny(request, layers):
    layers = {**layers, "identity": [], "resource": None}
    assert decide(request, compiled(layers)).allowed is False


@given(requests(), layer_sets)
@settings(deadline=None)
def test_nothing_is_allowed_without_a_statement_that_allows_it(request, layers):
    decision = decide(request, compiled(layers))
    if decision.allowed:
        assert decision.statements
        assert decision.explicit is False
    else:
        assert bool(decision.statements) == decision.explicit


@given(requests(), layer_sets, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_and_duplicates_do_not_matter(request, layers, shuffler: random.Random):
    def stirred(items):
        doubled = items + shuffler.sample(items, k=len(items) // 2)
        shuffler.shuffle(doubled)
        return doubled

    def stirred_policy(policy):
        return policy and {**policy, "Statement": stirred(policy["Statement"])}

    other = {
        "identity": [stirred_policy(policy) for policy in stirred(layers["identity"])],
        "boundary": stirred_policy(layers["boundary"]),
        "session": layers["session"] if layers["session"] is None else stirred(layers["session"]),
        "resource": stirred_policy(layers["resource"]),
        "service_control": stirred(layers["service_control"]),
        "resource_control": stirred(layers["resource_control"]),
    }
    assert answer(decide(request, compiled(layers))) == answer(decide(request, compiled(other)))


@given(requests(), layer_sets, policies())
@settings(deadline=None)
def test_a_session_policy_or_boundary_never_adds(request, layers, extra):
    free = {**layers, "session": None, "boundary": None}
    allowed = decide(request, compiled(free)).allowed
    for limited in ({**free, "session": [extra]}, {**free, "boundary": extra}):
        assert allowed or not decide(request, compiled(limited)).allowed


@given(requests(), layer_sets)
@settings(deadline=None)
def test_asking_twice_gives_the_same_answer(request, layers):
    ready = compiled(layers)
    assert decide(request, ready) == decide(request, ready)


globs = st.text(alphabet="ab*?:", max_size=14)
subjects = st.text(alphabet="ab:\n.", max_size=14)


@st.composite
def patterns_and_texts(draw):
    """A pattern, and a text that it matches, sometimes with one character changed or dropped."""
    pattern = draw(globs)
    fillings = {"*": st.text(alphabet="ab:", max_size=4), "?": st.sampled_from("ab:")}
    text = "".join(draw(fillings[c]) if c in fillings else c for c in pattern)
    if text and draw(st.booleans()):
        spot = draw(st.integers(0, len(text) - 1))
        text = text[:spot] + draw(st.sampled_from(["", "a", ":"])) + text[spot + 1 :]
    return pattern, text


@given(patterns_and_texts() | st.tuples(globs, subjects))
@settings(max_examples=2500, deadline=None)
def test_a_glob_matches_exactly_what_the_reference_model_matches(both):
    pattern, text = both
    assert reference_model.fits(reference_model.cells(pattern), text) == compile_glob(parse_wildcards(pattern))(text)


@given(patterns_and_texts() | st.tuples(globs, subjects))
@settings(max_examples=2500, deadline=None)
def test_an_arn_pattern_matches_exactly_what_the_reference_model_matches(both):
    pattern, text = both
    assume(pattern)
    assert reference_model.arn_fits(reference_model.cells(pattern), text) == compile_arn(parse_wildcards(pattern))(text)


def lines_executed(function, *arguments):
    """Lines of Python that a call executes: a measure of work that does not depend on the machine."""
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


@given(st.text(alphabet="a*?", min_size=1, max_size=40), st.sampled_from(["b", "a", "", "?b", "*b"]))
@settings(deadline=None, max_examples=150)
def test_no_pattern_makes_matching_superlinear(pattern, ending):
    matches = compile_glob(parse_wildcards(pattern + ending))
    short, long = (lines_executed(matches, "a" * size) for size in (400, 1600))
    # Four times the text, at most four times the lines (and some for the set-up of each call).
    assert long <= 4 * short + 50
    assert long <= 4 * 1600 + 6 * len(pattern) + 50


def test_the_pattern_that_stops_other_engines_is_answered_in_one_pass():
    matches = compile_glob(parse_wildcards("*a*a*a*b"))
    assert matches("a" * 600) is False
    assert matches("a" * 600 + "b") is True
    assert lines_executed(matches, "a" * 600) < 50
