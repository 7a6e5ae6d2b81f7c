"""Laws of reasoning: the terms say what the engine says, and a proof is never contradicted by a request."""

import ipaddress
import json
from fractions import Fraction

import z3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leastwise.iam.interface import Issuer, PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy import clockkeys
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.document import parse_document
from leastwise.iam.policy.operators import parse_address, parse_bytes, parse_instant, parse_number
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.encode import RequestTerms
from leastwise.iam.reasoning.principal import KINDS, user
from leastwise.iam.reasoning.questions import new_access
from leastwise.iam.reasoning.readings import Reading
from leastwise.iam.reasoning.replaying import opinion
from leastwise.iam.reasoning.solving import Answer, Cvc5Session, Reply
from leastwise.iam.reasoning.verdicts import Outcome

HERE, THERE = "111122223333", "444455556666"
FEW = settings(max_examples=28, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
MANY = settings(FEW, max_examples=110)

ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:Get", "lambda:InvokeFunction", "iam:PassRole"]
ACTION_PATTERNS = ["*", "s3:*", "S3:getobject", "s3:Get*", "*:Get*", "s3:???Object", "lambda:Invoke Function", "iam:*"]
RESOURCES = [
    "*",
    "arn:aws:s3:::b/alice",
    "arn:aws:s3:::b/alice/x",
    "arn:aws:s3:::b/a*",
    f"arn:aws:lambda:us-east-1:{HERE}:function:f1",
    f"arn:aws:lambda:us-east-1:{HERE}:function:f1:PROD",
    f"arn:aws:lambda:eu-west-1:{THERE}:function:f2",
    f"arn:aws:iam::{HERE}:role/alice/x",
]
RESOURCE_PATTERNS = [
    "*",
    "**",
    "arn:aws:s3:::*",
    "arn:aws:s3",
    "arn:aws:s3:::b/${aws:username}",
    "arn:aws:s3:::b/${aws:username}/*",
    "arn:aws:s3:::*/${aws:PrincipalTag/team, 'alice'}*x",
    "arn:aws:s3:::b/${*}",
    "arn:aws:s3:::b/a?i*",
    f"arn:aws:lambda:us-*:{HERE}:function:f1*",
    "arn:aws:lambda:*:${aws:PrincipalAccount}:function:*",
    "arn:aws:lambda:*:*4*:function:f?",
    f"arn:aws:iam::{HERE}:role/*/${{aws:PrincipalTag/team}}",
]
TEXTS = ["alice", "Alice", "a*", "", "x", "true", "K\u212aelvin", "10", "10.0", "9.95", "ten", "f\u00fc", "*"]
ARNS = [
    f"arn:aws:iam::{HERE}:role/x",
    f"arn:aws:iam::{HERE}:role/x:y",
    "arn:aws:iam:role/x",
    f"arn:aws:iam::{THERE}:user/alice",
]
NUMBERS = ["10", "9.5", "-3", "10.0", "007"]
TIMES = ["2024-05-01", "1714521600", "2024-05-01T00:00:00-01:00", "2024-05-01T00:00:00.5Z"]
NETWORKS = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "0.0.0.0/0", "10.1.0.0/255.255.0.0"]
CLOCK = ["08:00", "18:00", "22:00", "24:00"]
STRINGS = ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase"]
STRINGS += ["StringNotEqualsIgnoreCase"]
ORDERS = ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]
WANTED = {
    **dict.fromkeys(STRINGS, (*TEXTS, "a*e", "A?ice", "${aws:username}", "${aws:PrincipalTag/team, 'x'}", "*${aws:username}*e")),
    **dict.fromkeys(
        ("ArnLike", "ArnNotEquals"),
        (*ARNS[:2], "arn:aws:iam::*:role/*", "arn:*:iam::*:*", "arn:aws:iam::${aws:PrincipalAccount}:*/${aws:username}"),
    ),
    **{f"Numeric{order}": NUMBERS for order in ORDERS},
    **{f"Date{order}": TIMES for order in ORDERS},
    "Bool": ["true", "False", True],
    "BinaryEquals": ["QQ==", "QR==", "eA=="],
}  # fmt: skip
KEYS = ["aws:username", "aws:PrincipalTag/team", "s3:any", "aws:TagKeys", "aws:PrincipalArn", "s3:other"]
VALUES = [*TEXTS, *ARNS, *TIMES, "QQ==", "QR=="]
ADDRESSES = ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3", "nowhere"]


def some(values, most=3):
    return st.sampled_from(values) | st.lists(st.sampled_from(values), min_size=1, max_size=most)


@st.composite
def conditions(draw):
    block = {}
    for name in draw(st.lists(st.sampled_from([*WANTED, "Null", "IpAddress", "NotIpAddress", "Clock"]), max_size=2)):
        if name == "Null":
            block["Null"] = {draw(st.sampled_from(KEYS)): draw(some(["true", "false"]))}
        elif name == "Clock":
            block["NumericGreaterThanEquals"] = {"leastwise:TimeOfDay": draw(st.sampled_from(CLOCK))}
            block["NumericLessThan"] = {"leastwise:TimeOfDay": draw(st.sampled_from(CLOCK))}
        elif "IpAddress" in name:
            block[name] = {"aws:SourceIp": draw(some(NETWORKS))}
        else:
            prefix = draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"]))
            suffix = draw(st.sampled_from(["", "IfExists"]))
            block[prefix + name + suffix] = {draw(st.sampled_from(KEYS)): draw(some(list(WANTED[name])))}
    return block


NAMES = [
    HERE,
    f"arn:aws:iam::{THERE}:root",
    f"arn:aws:iam::{HERE}:user/a/alice",
    f"arn:aws:iam::{HERE}:role/r/worker",
    f"arn:aws:sts::{HERE}:assumed-role/worker/s1",
    f"arn:aws:sts::{HERE}:assumed-role/worker/s2",
    f"arn:aws:sts::{HERE}:federated-user/fed",
    "AIDAAAAAAAAAAAAAAAAAA",
    "AROAAAAAAAAAAAAAAAAAA",
]
PEOPLE = [
    user(HERE, "a/alice", unique_id="AIDAAAAAAAAAAAAAAAAAA"),
    user(THERE, "alice"),
    Principal(
        kind=PrincipalKind.ROLE_SESSION,
        account_id=HERE,
        arn=f"arn:aws:sts::{HERE}:assumed-role/worker/s1",
        role_arn=f"arn:aws:iam::{HERE}:role/r/worker",
        unique_id="AROAAAAAAAAAAAAAAAAAA:s1",
        name="worker",
        session_name="s1",
    ),
    Principal(
        kind=PrincipalKind.FEDERATED_USER,
        account_id=HERE,
        arn=f"arn:aws:sts::{HERE}:federated-user/fed",
        unique_id=f"{HERE}:fed",
        name="fed",
        federated_by=Issuer(arn=f"arn:aws:iam::{HERE}:user/a/alice", unique_id="AIDAAAAAAAAAAAAAAAAAA", name="alice"),
    ),
    Principal(kind=PrincipalKind.ROOT, account_id=HERE, arn=f"arn:aws:iam::{HERE}:root", unique_id=HERE),
    Principal(
        kind=PrincipalKind.SERVICE, account_id=HERE, arn="s3.amazonaws.com", unique_id="s3.amazonaws.com",
        name="s3.amazonaws.com",
    ),
    Principal(kind=PrincipalKind.ANONYMOUS, account_id="anonymous", arn="anonymous", unique_id="anonymous"),
]  # fmt: skip


@st.composite
def statements(draw, *, with_principal):
    statement = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    statement[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(some(ACTION_PATTERNS))
    statement[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(some(RESOURCE_PATTERNS))
    if with_principal:
        who = draw(
            st.just("*")
            | st.fixed_dictionaries({"AWS": st.lists(st.sampled_from(NAMES), min_size=1, max_size=4)})
            | st.just({"Service": "s3.amazonaws.com", "AWS": HERE})
        )
        statement[draw(st.sampled_from(["Principal", "Principal", "NotPrincipal"]))] = who
    block = draw(conditions())
    return statement | ({"Condition": block} if block else {})


@st.composite
def policies(draw, *, with_principal=False):
    body = draw(st.lists(statements(with_principal=with_principal), min_size=1, max_size=3))
    version = draw(st.sampled_from(["2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17"]))
    return json.dumps({"Version": version, "Statement": body})


@st.composite
def requests(draw, *, with_principal=False):
    who = draw(st.sampled_from(PEOPLE)) if with_principal else draw(st.sampled_from(PEOPLE[:1]))
    context = draw(st.dictionaries(st.sampled_from(["aws:principaltag/team"]), st.sampled_from(VALUES)))
    context |= draw(st.dictionaries(st.sampled_from(["s3:any", "aws:tagkeys", "s3:other"]), some(VALUES)))
    context |= draw(st.dictionaries(st.just("aws:sourceip"), st.sampled_from(ADDRESSES)))
    context |= draw(st.dictionaries(st.just("leastwise:timeofday"), st.sampled_from(["07:59", "08:00", "23:30"])))
    if who.kind not in {PrincipalKind.SERVICE, PrincipalKind.ANONYMOUS}:
        context |= {"aws:principalaccount": who.account_id, "aws:principalarn": who.role_arn or who.arn}
    if who.kind is PrincipalKind.ANONYMOUS:
        context |= {"aws:principalaccount": "anonymous"}
    if who.kind is PrincipalKind.USER:
        context |= {"aws:username": who.name}
    resource = draw(st.sampled_from(RESOURCES))
    account = resource.split(":")[4] if resource != "*" else who.account_id
    if not with_principal or not account:
        account = who.account_id
    action = draw(st.sampled_from(ACTIONS))
    return Request(principal=who, action=action, resource=resource, resource_account_id=account, context=context)


def pinned(request_terms, request, *, bound):
    """Terms that leave exactly this request."""
    service, _, name = request.action.lower().partition(":")
    pins = [f"(= aservice {terms.quoted(service)})", f"(= aname {terms.quoted(name)})"]
    if request.resource == "*":
        pins.append("rstar")
    else:
        *_, r_service, region, account, path = request.resource.split(":", 5)
        pins.append("(not rstar)")
        for variable, text in (("rservice", r_service), ("rregion", region), ("raccount", account), ("rpath", path)):
            pins.append(f"(= {variable} {terms.quoted(text)})")
    if request_terms.principal is not None:
        pins += pinned_principal(request.principal, bound=bound)
    for key in request_terms.context.keys.values():
        value = request.context.get(key.name)
        if value is None:
            pins.append(terms.negation(key.present))
            continue
        values = [value] if isinstance(value, str) else value
        pins.append(key.present)
        if key.several != terms.FALSE:
            pins.append(terms.equal(key.several, terms.constant(not isinstance(value, str))))
        if len(values) > len(key.slots):
            # More witnesses than any condition needs; such requests are covered by those with fewer.
            return None
        for index, (used, slot) in enumerate(zip(key.used, key.slots, strict=True)):
            if index < len(values):
                pins += [used, *pinned_value(slot, values[index])]
            else:
                pins.append(terms.negation(used))
    return pins


def pinned_principal(who, *, bound):
    pins = [f"(= pkind {KINDS.index(who.kind)})", "pbound" if bound else "(not pbound)"]
    issuer = who.federated_by
    path = (issuer.arn if issuer else who.role_arn or who.arn).partition("/")[2] or "x"
    pins.append(f"(= ppath {terms.quoted(path)})")
    if who.kind is not PrincipalKind.ANONYMOUS:
        pins.append(f"(= paccount {terms.quoted(who.account_id)})")
    if who.kind is not PrincipalKind.SERVICE:
        pins.append(f"(= pname {terms.quoted(path.rpartition('/')[2])})")
        pins.append(f"(= psession {terms.quoted(who.session_name or who.name or 'x')})")
    else:
        pins.append(f"(= pservice {terms.quoted(who.name)})")
    unique_id = (issuer.unique_id if issuer else who.unique_id).partition(":")[0]
    pins.append(f"(= pid {terms.quoted(unique_id if unique_id.startswith('A') else 'A' * 20)})")
    return pins


def pinned_value(slot, text):
    """Every reading of one value."""
    readings = slot.uses.readings
    if Reading.TEXT in readings:
        yield f"(= {slot.text} {terms.quoted(text)})"
    if Reading.MINUTES in readings:
        minutes = clockkeys.minutes_of_day(text)
        yield f"(= {slot.name('ism')} {terms.constant(minutes is not None)})"
        yield f"(= {slot.name('m')} {minutes or 0})"
    if Reading.NUMBER in readings:
        value = parse_number(text)
        yield f"(= {slot.name('isn')} {terms.constant(value is not None)})"
        if value is not None:
            scaled = Fraction(value) * slot.uses.scale
            # Between two steps there is no bound: any place between them stands for the number.
            yield f"(= {slot.name('n')} {terms.number(int(scaled))})"
    if Reading.INSTANT in readings:
        value = parse_instant(text)
        yield f"(= {slot.name('ist')} {terms.constant(value is not None)})"
        if value is not None:
            yield f"(= {slot.name('t')} {terms.number(value)})"
    if Reading.ADDRESS in readings:
        version, value = parse_address(text) or (0, 0)
        yield f"(and (= {slot.name('av')} {version}) (= {slot.name('a')} {value}))"
    if Reading.BYTES in readings:
        data = parse_bytes(text)
        known = slot.uses.wanted_bytes
        yield f"(= {slot.name('b')} {known.index(data) + 1 if data in known else 0})"


def check_agreement(text, request, kind, *, bound=False):
    document = parse_document(text, kind=kind)
    question = RequestTerms([document], kind)
    allowed = question.allowed([document])
    pins = pinned(question, request, bound=bound)
    if pins is None:
        return
    solver = Cvc5Session()
    solver.load(question.script.text())
    said = solver.ask([*pins, allowed], timeout_ms=10_000)
    compiled = compile_policy(document, name="0", kind=kind)
    truth = opinion([compiled], request, kind=kind, has_boundary=bound).allowed
    if truth or not question.script.loose:
        assert truth == (said.answer is Answer.SATISFIABLE), (text, request, said)


@MANY
@given(policies(), requests())
def test_the_term_of_an_identity_policy_allows_what_the_engine_allows(text, request):
    check_agreement(text, request, PolicyKind.IDENTITY)


@MANY
@given(policies(with_principal=True), requests(with_principal=True), st.booleans())
def test_the_term_of_a_resource_policy_allows_what_the_engine_allows(text, request, bound):
    if request.principal.kind is PrincipalKind.ANONYMOUS:
        bound = False
    check_agreement(text, request, PolicyKind.RESOURCE, bound=bound)


class Keeping(Cvc5Session):
    """Also keeps what was asked first, for another solver, and has little patience with wishes."""

    script = ""
    first = None

    def load(self, script):
        self.script = script
        super().load(script)

    def ask(self, goals, *, timeout_ms):
        reply = super().ask(goals, timeout_ms=timeout_ms if self.first is None else 20)
        if self.first is None:
            self.first = (list(goals), reply)
        return reply


def with_z3(script, goals) -> str:
    solver = z3.Solver()
    solver.set("timeout", 300)
    solver.from_string(script + "".join(f"(assert {goal})\n" for goal in goals))
    return str(solver.check())


@FEW
@given(policies(), policies(), st.lists(requests(), min_size=12, max_size=12))
def test_no_request_contradicts_a_proof_and_every_example_is_one(old, new, tried):
    solver = Keeping()
    verdict = new_access([old], [new], kind=PolicyKind.IDENTITY, solver=solver)
    before, after = (compile_policy(text, name=text, kind=PolicyKind.IDENTITY) for text in (old, new))

    def is_new(request):
        was = opinion([before], request, kind=PolicyKind.IDENTITY, has_boundary=False).allowed
        return not was and opinion([after], request, kind=PolicyKind.IDENTITY, has_boundary=False).allowed

    for example in verdict.counterexamples:
        assert is_new(example.request)
    if verdict.outcome is Outcome.PROVED:
        assert [] == [request for request in tried if is_new(request)]
    goals, reply = solver.first
    other = with_z3(solver.script, goals)
    assert {other, reply.answer.value} != {"sat", "unsat"}


@FEW
@given(policies(), st.integers(0, 5))
def test_taking_a_statement_away_never_adds_unless_it_denied(text, at):
    document = json.loads(text)
    gone = document["Statement"].pop(at % len(document["Statement"]))
    if gone["Effect"] == "Deny" or not document["Statement"]:
        return
    verdict = new_access([text], [json.dumps(document)], kind=PolicyKind.IDENTITY, solver=Cvc5Session())
    assert verdict.outcome in {Outcome.PROVED, Outcome.UNKNOWN}
    assert verdict.outcome is Outcome.PROVED or verdict.reason


class Liar(Cvc5Session):
    """A solver that says yes to everything, with whatever it last found."""

    def ask(self, goals, *, timeout_ms):
        model = super().ask([], timeout_ms=timeout_ms).model
        return Reply(answer=Answer.SATISFIABLE, model=model)


@settings(FEW, max_examples=10)
@given(policies())
def test_an_example_that_the_engine_does_not_confirm_is_no_answer(text):
    verdict = new_access([text], [text], kind=PolicyKind.IDENTITY, solver=Liar())
    assert (Outcome.UNKNOWN, ()) == (verdict.outcome, verdict.counterexamples)


def test_the_addresses_tried_are_addresses():
    assert [True, True, True, True] == [bool(ipaddress.ip_address(text)) for text in ADDRESSES[:4]]
