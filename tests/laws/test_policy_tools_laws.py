"""Laws of the policy tools: what they claim about a policy is so, whatever the policy and the request."""

import json
from types import SimpleNamespace

import reference_model
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_policy_laws import PRINCIPALS, policy_statements, requests

from leastwise.iam.authoring.differences import compare
from leastwise.iam.authoring.positioned_json import UnreadableText, read_json
from leastwise.iam.authoring.rewrite import canonical, formatted
from leastwise.iam.interface import MalformedPolicy, PolicyKind, Request
from leastwise.iam.lint.linter import Severity, lint
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.containment import arn_covers, arn_disjoint, covers, disjoint, resource_pattern
from leastwise.iam.policy.document import parse_document, validate_document
from leastwise.iam.policy.evaluate import Layers, decide
from leastwise.iam.policy.matching import compile_arn, compile_glob, parse_wildcards

globs = st.text(alphabet="ab*?:", max_size=8)
texts = st.text(alphabet="ab:", max_size=8)
arn_parts = st.sampled_from(["arn", "aws", "l", "*", "?", "a*", "*b", "", "${aws:username}"])
arns = st.lists(arn_parts, min_size=1, max_size=7).map(":".join)


@st.composite
def patterns_and_match(draw):
    """Two patterns and a text that the second matches."""
    wide, narrow = draw(globs), draw(globs)
    fillings = {"*": st.text(alphabet="ab:", max_size=3), "?": st.sampled_from("ab:")}
    return wide, narrow, "".join(draw(fillings[c]) if c in fillings else c for c in narrow)


@given(patterns_and_match())
@settings(max_examples=800, deadline=None)
def test_what_covers_matches_whatever_the_other_matches(three):
    wide, narrow, text = three
    assert reference_model.fits(reference_model.cells(narrow), text)
    if covers(parse_wildcards(wide), parse_wildcards(narrow)):
        assert compile_glob(parse_wildcards(wide))(text)


@given(patterns_and_match())
@settings(max_examples=800, deadline=None)
def test_disjoint_patterns_match_nothing_in_common(three):
    one, other, text = three
    if disjoint(parse_wildcards(one), parse_wildcards(other)):
        assert not (compile_glob(parse_wildcards(one))(text) and compile_glob(parse_wildcards(other))(text))


@given(globs, globs, texts)
@settings(max_examples=300, deadline=None)
def test_disjointness_is_complete_on_short_texts(one, other, text):
    if compile_glob(parse_wildcards(one))(text) and compile_glob(parse_wildcards(other))(text):
        assert not disjoint(parse_wildcards(one), parse_wildcards(other))


@given(arns, arns, st.lists(st.sampled_from(["arn", "aws", "l", "ab", "b", ""]), min_size=6, max_size=8).map(":".join))
@settings(max_examples=800, deadline=None)
def test_arn_patterns_are_compared_as_they_match(one, other, text):
    assume("$" not in one + other)
    first, second = (resource_pattern(pattern, variables=True) for pattern in (one, other))
    matched = [compile_arn(pattern)(text) for pattern in (first, second)]
    if arn_covers(first, second) and matched[1]:
        assert matched[0]
    assert not (arn_disjoint(first, second) and all(matched))


@st.composite
def documents(draw):
    """A document, as it is and as the grammar allows it to be said otherwise."""
    statements = draw(st.lists(policy_statements(with_principal=False), min_size=1, max_size=4))
    version = draw(st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17", None]))
    document = {"Version": version, "Id": "x", "Statement": statements}
    if version is None:
        del document["Version"]
    if len(statements) == 1 and draw(st.booleans()):
        document["Statement"] = statements[0]
    try:
        parse_document(document, kind=PolicyKind.IDENTITY)
    except MalformedPolicy:
        assume(False)
    return document


def decided(document, request):
    layers = Layers(identity=(compile_policy(document, name="p", kind=PolicyKind.IDENTITY),))
    decision = decide(request, layers)
    return SimpleNamespace(allowed=decision.allowed, explicit=decision.explicit)


@given(documents(), requests())
@settings(max_examples=200, deadline=None)
def test_formatting_changes_no_decision_and_is_done_once(document, request):
    text = formatted(document)
    again = json.loads(text)
    assert formatted(again) == text
    assert decided(document, request) == decided(again, request)
    assert compare(document, canonical(document), kind=PolicyKind.IDENTITY) == ()


@given(documents(), requests())
@settings(max_examples=250, deadline=None)
def test_a_statement_that_lint_says_does_not_matter_can_be_left_out(document, request):
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    whole = {**document, "Statement": statements}
    for finding in lint(json.dumps(whole), kind=PolicyKind.IDENTITY):
        if finding.code not in {"UNREACHABLE_STATEMENT", "REDUNDANT_STATEMENT", "CONTRADICTORY_CONDITIONS"}:
            continue
        rest = [item for index, item in enumerate(statements) if index != finding.path[1]]
        without = (
            decided({**document, "Statement": rest}, request)
            if rest
            else SimpleNamespace(allowed=False, explicit=False)
        )
        assert decided(whole, request) == without


@given(documents(), requests())
@settings(max_examples=300, deadline=None)
def test_an_action_that_lint_says_is_unreachable_can_be_left_out(document, request):
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    whole = {**document, "Statement": statements}
    for finding in lint(json.dumps(whole), kind=PolicyKind.IDENTITY):
        if finding.code in {"UNREACHABLE_ACTION", "REDUNDANT_ACTION", "REDUNDANT_RESOURCE"} and len(finding.path) == 4:
            _, index, element, item = finding.path
            listed = list(statements[index][element])
            del listed[item]
            changed = [{**one, element: listed} if at == index else one for at, one in enumerate(statements)]
            assert decided(whole, request) == decided({**document, "Statement": changed}, request)


@given(documents(), documents(), requests())
@settings(max_examples=250, deadline=None)
def test_a_policy_that_allows_more_has_a_change_that_may(old, new, request):
    changes = compare(old, new, kind=PolicyKind.IDENTITY)
    if decided(new, request).allowed and not decided(old, request).allowed:
        assert any(change.may_allow_more for change in changes)
    if not changes:
        assert decided(new, request) == decided(old, request)


@given(documents())
@settings(max_examples=200, deadline=None)
def test_a_policy_does_not_differ_from_itself(document):
    assert compare(document, json.loads(json.dumps(document)), kind=PolicyKind.IDENTITY) == ()


NUMBERS = ["1", "2", "2.5", "3", "10", "-1", "1.0"]
INSTANTS = ["2026-01-01", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z", "1767225600", "2026-02"]
ADDRESSES = ["10.0.0.0/8", "10.0.0.0/9", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32", "10.128.0.0/9", "::/0"]
ORDERS = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
NAMES = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"]
TIMES = ["08:00", "08:01", "22:00", "24:00", "00:00", "23:59"]
SAME_KEY = {
    "aws:MultiFactorAuthAge": ([f"Numeric{order}" for order in ORDERS], NUMBERS, [*NUMBERS, "2.2", "100", "x"]),
    "aws:CurrentTime": (
        [f"Date{order}" for order in ORDERS],
        INSTANTS,
        [*INSTANTS, "2026-01-01T00:00:00.7Z", "1767225601", "1999-01-01"],
    ),
    "aws:SourceIp": (
        ["IpAddress", "NotIpAddress"],
        ADDRESSES,
        ["10.0.0.1", "10.200.0.1", "8.8.8.8", "2001:db8::1", "::1"],
    ),
    "aws:username": (NAMES, ["a", "b", "a*", "A", "${aws:userid}", "${*}"], ["a", "b", "A", "ab", "*", "${*}"]),
    "leastwise:TimeOfDay": (
        [f"Numeric{order}" for order in ORDERS],
        TIMES,
        ["07:59", *TIMES[:3], "00:00", "23:59", "12:00"],
    ),
}


@st.composite
def conditions_on_one_key(draw):
    key = draw(st.sampled_from(sorted(SAME_KEY)))
    operators, values, found = SAME_KEY[key]
    block = {}
    for name in draw(st.lists(st.sampled_from(operators), min_size=1, max_size=3, unique=True)):
        suffix = draw(st.sampled_from(["", "", "IfExists"]))
        block[name + suffix] = {key: draw(st.lists(st.sampled_from(values), min_size=1, max_size=2))}
    if draw(st.integers(0, 3)) == 0:
        block["Null"] = {key: draw(st.sampled_from(["true", "false"]))}
    return block, {key.lower(): value for value in draw(st.lists(st.sampled_from(found), max_size=1))}


@given(conditions_on_one_key(), st.sampled_from(["Allow", "Deny"]))
@settings(max_examples=1000, deadline=None)
def test_conditions_that_lint_says_contradict_each_other_never_hold(both, effect):
    block, context = both
    statement = {"Effect": effect, "Action": "*", "Resource": "*", "Condition": block}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    found = {finding.code for finding in lint(json.dumps(document), kind=PolicyKind.IDENTITY)}
    if "CONTRADICTORY_CONDITIONS" in found:
        request = Request(
            principal=PRINCIPALS["user"], action="iam:GetUser", resource="*", resource_account_id="1", context=context
        )
        [compiled] = compile_policy(document, name="p", kind=PolicyKind.IDENTITY).statements
        assert not compiled.applies(request)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["Allow", "*", "a:b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *(
                        "Version",
                        "Id",
                        "Statement",
                        "Sid",
                        "Effect",
                        "Principal",
                        "NotPrincipal",
                        "Action",
                        "NotAction",
                    ),
                    *("Resource", "NotResource", "Condition", "StringEquals", "Null", "aws:username", "AWS", "x"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(anything, st.sampled_from(list(PolicyKind)))
@settings(max_examples=300, deadline=None)
def test_lint_never_fails_and_never_passes_what_the_door_refuses(document, kind):
    text = json.dumps(document)
    found = lint(text, kind=kind)
    try:
        validate_document(text, kind=kind)
    except MalformedPolicy:
        assert Severity.ERROR in {finding.severity for finding in found}


@given(st.text(alphabet='{}[]",:0123456789.eE+-truefalsn \n\\u', max_size=40) | anything.map(json.dumps))
@settings(max_examples=1000, deadline=None)
def test_positioned_json_reads_what_the_standard_library_reads(text):
    try:
        wanted = json.loads(text, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        wanted = UnreadableText
    try:
        read = read_json(text)
    except UnreadableText:
        assert wanted is UnreadableText or "\\u" in text
        return
    assert wanted == read.value
    for path, span in read.values.items():
        part = text[span.start.offset : span.end.offset]
        value = read.value
        for step in path:
            value = value[step]
        assert read.duplicates or json.loads(part) == value
        assert text.split("\n")[span.start.line - 1][span.start.column :].startswith(part.split("\n")[0])
