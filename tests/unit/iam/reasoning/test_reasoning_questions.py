"""New access, granted access, public access: what is proved and what is refuted."""

import asyncio
import json
from pathlib import Path
from string import ascii_lowercase, digits

import pytest

from leastwise.iam.interface import MalformedPolicy, PolicyKind
from leastwise.iam.reasoning.child import ChildSolver
from leastwise.iam.reasoning.questions import Access, grants, new_access, public
from leastwise.iam.reasoning.solving import Answer, Cvc5Session
from leastwise.iam.reasoning.verdicts import Outcome, Verdict
from leastwise.iam.service.reasoning import Reasoning
from leastwise.kernel import errors

HERE, ROLE = "111122223333", "arn:aws:iam::111122223333:role/x"
IDENTITY, RESOURCE, TRUST = PolicyKind.IDENTITY, PolicyKind.RESOURCE, PolicyKind.TRUST


def document(*statements, version="2012-10-17"):
    return json.dumps({"Version": version, "Statement": list(statements)})


def allow(action, resource="*", principal=None, effect="Allow", **conditions):
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    statement |= {} if principal is None else {"Principal": principal}
    return statement | ({"Condition": conditions} if conditions else {})


def compared(old, new, kind=IDENTITY):
    return new_access([old], [new], kind=kind, solver=Cvc5Session())


S3 = "arn:aws:s3:::b/"
NOTHING_NEW = {
    "the same": (allow("s3:*"), allow("s3:*")),
    "an action in other letters": (allow("S3:GETOBJECT"), allow("s3:GetObject")),
    "fewer actions": (allow("s3:Get*"), allow("s3:GetObject")),
    "a narrower network": (
        allow("s3:*", IpAddress={"aws:SourceIp": "10.0.0.0/8"}),
        allow("s3:*", IpAddress={"aws:SourceIp": "10.1.0.0/16"}),
    ),
    "an earlier end": (
        allow("s3:*", DateLessThan={"aws:CurrentTime": "2030-01-01"}),
        allow("s3:*", DateLessThan={"aws:CurrentTime": "2029-12-31T23:59:59Z"}),
    ),
    "a variable within a wildcard": (allow("s3:*", S3 + "*"), allow("s3:*", S3 + "${aws:username}/*")),
    "more conditions": (allow("s3:*"), allow("s3:*", Bool={"aws:MultiFactorAuthPresent": "true"})),
    "a positive operator instead of IfExists": (
        allow("s3:*", StringEqualsIfExists={"s3:prefix": "a"}),
        allow("s3:*", StringEquals={"s3:prefix": "a"}),
    ),
    "fewer values of a list": (
        allow("s3:*", **{"ForAllValues:StringLike": {"aws:TagKeys": ["a*", "b"]}}),
        allow("s3:*", **{"ForAllValues:StringLike": {"aws:TagKeys": ["ax", "b"]}}),
    ),
    "a window within a window": (
        allow("s3:*", NumericGreaterThanEquals={"leastwise:TimeOfDay": "22:00"}, NumericLessThan={"leastwise:TimeOfDay": "06:00"}),
        allow("s3:*", NumericGreaterThanEquals={"leastwise:TimeOfDay": "23:00"}, NumericLessThan={"leastwise:TimeOfDay": "05:00"}),
    ),
    "2008 has no variables": (allow("s3:*", S3 + "${*}"), allow("s3:*", S3 + "${*}")),
}  # fmt: skip
SOMETHING_NEW = {
    "another service": (allow("s3:*"), allow(["s3:*", "lambda:GetFunction"])),
    "ForAllValues holds without values": (
        allow("s3:*", **{"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}),
        allow("s3:*", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}),
    ),
    "a negated operator holds without the key": (
        allow("s3:*", StringNotEquals={"s3:prefix": "a"}, Null={"s3:prefix": "false"}),
        allow("s3:*", StringNotEquals={"s3:prefix": "a"}),
    ),
    "the next minute": (
        allow("s3:*", DateLessThan={"aws:CurrentTime": "2030-01-01"}),
        allow("s3:*", DateLessThan={"aws:CurrentTime": "2030-01-01T00:01:00Z"}),
    ),
    "a wildcard does not swallow a colon": (
        allow("lambda:*", "arn:aws:lambda:*:111122223333:function:f"),
        allow("lambda:*", "arn:aws:lambda:*:*:function:f"),
    ),
    "one address more": (
        allow("s3:*", IpAddress={"aws:SourceIp": "10.0.0.0/31"}),
        allow("s3:*", IpAddress={"aws:SourceIp": ["10.0.0.0/31", "10.0.0.2"]}),
    ),
    "a like instead of an equals": (
        allow("s3:*", StringEquals={"s3:prefix": "a*"}),
        allow("s3:*", StringLike={"s3:prefix": "a*"}),
    ),
}


@pytest.mark.parametrize("case", NOTHING_NEW)
def test_what_is_not_new_is_proved_not_to_be(case):
    old, new = NOTHING_NEW[case]
    assert Outcome.PROVED == compared(document(old), document(new)).outcome


@pytest.mark.parametrize("case", SOMETHING_NEW)
def test_what_is_new_is_shown_by_a_request(case):
    old, new = SOMETHING_NEW[case]
    verdict = compared(document(old), document(new))
    assert (Outcome.REFUTED, [0]) == (verdict.outcome, [example.statement for example in verdict.counterexamples])


def test_taking_a_deny_away_is_new_access():
    guard = allow("s3:Delete*", effect="Deny")
    verdict = compared(document(allow("s3:*"), guard), document(allow("s3:*")))
    (example,) = verdict.counterexamples
    assert example.request.action.lower().startswith("s3:delete")


def test_an_account_contains_its_roles_and_users():
    account, role = ({"AWS": HERE}, {"AWS": [ROLE, f"arn:aws:iam::{HERE}:user/a"]})
    wide, narrow = document(allow("s3:*", principal=account)), document(allow("s3:*", principal=role))
    assert Outcome.PROVED == compared(wide, narrow, RESOURCE).outcome
    assert Outcome.REFUTED == compared(narrow, wide, RESOURCE).outcome


def test_a_role_contains_its_sessions():
    role = document(allow("s3:*", principal={"AWS": ROLE}))
    session = document(allow("s3:*", principal={"AWS": f"arn:aws:sts::{HERE}:assumed-role/x/s"}))
    # A session's ARN drops the role's path: it may be one of another role with the name x.
    assert Outcome.REFUTED == compared(role, session, RESOURCE).outcome
    assert Outcome.REFUTED == compared(session, role, RESOURCE).outcome


def test_naming_a_principal_is_the_same_as_a_condition_on_it():
    named = document(allow("s3:*", principal={"AWS": f"arn:aws:iam::{HERE}:user/a"}))
    asked = document(
        allow(
            "s3:*",
            principal="*",
            StringEquals={"aws:PrincipalArn": f"arn:aws:iam::{HERE}:user/a", "aws:PrincipalType": "User"},
        )
    )
    assert Outcome.PROVED == compared(named, asked, RESOURCE).outcome


def test_trust_policies_are_compared_without_resources():
    def trust(principal):
        return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})

    assert Outcome.PROVED == compared(trust({"AWS": HERE}), trust({"AWS": ROLE}), TRUST).outcome
    assert Outcome.REFUTED == compared(trust({"AWS": ROLE}), trust("*"), TRUST).outcome


def test_what_cannot_be_expressed_is_no_proof_and_no_example():
    asked = {"StringEqualsIgnoreCase": {"s3:prefix": "${aws:username}"}}
    verdict = compared(document(allow("s3:*", **asked)), document(allow("s3:*", StringLike={"s3:prefix": "?"})))
    assert verdict.outcome in {Outcome.REFUTED, Outcome.UNKNOWN}
    # The same condition on both sides is the same unknown, and so nothing new.
    assert Outcome.PROVED == compared(document(allow("s3:*", **asked)), document(allow("s3:Get*", **asked))).outcome


def test_more_values_than_are_tried_are_no_proof():
    many = [
        allow("s3:*", **{"ForAnyValue:StringEquals": {"aws:TagKeys": [letter]}}) | {"Sid": letter}
        for letter in "abcdefgh"
    ]
    assert Outcome.UNKNOWN == compared(document(*many), document(*many)).outcome


def test_federated_principals_are_not_judged():
    federated = {"Federated": "arn:aws:iam::111122223333:oidc-provider/x"}
    trust = document({"Effect": "Allow", "Principal": federated, "Action": "sts:AssumeRoleWithWebIdentity"})
    assert Outcome.UNKNOWN == public(trust, kind=TRUST, services_act_for_anybody=False, solver=Cvc5Session()).outcome


def test_a_policy_that_is_none_is_refused():
    with pytest.raises(MalformedPolicy):
        compared("{}", "{}")


@pytest.mark.parametrize(
    ("access", "outcome"),
    [
        (Access(actions=("s3:PutObject",)), Outcome.PROVED),
        (Access(actions=("s3:PutObject", "s3:GetObject")), Outcome.REFUTED),
        (Access(actions=("s3:*",)), Outcome.REFUTED),
        (Access(resources=(S3 + "secret/*",)), Outcome.PROVED),
        (Access(resources=(S3 + "*",)), Outcome.REFUTED),
        (Access(actions=("S3:GETOBJECT",), resources=(S3 + "open/x",)), Outcome.REFUTED),
        (Access(actions=("s3:GetObject",), resources=("arn:aws:s3:::other/x",)), Outcome.PROVED),
    ],
)
def test_whether_one_of_a_list_is_granted(access, outcome):
    policy = document(allow("s3:Get*", S3 + "*"), allow("*", S3 + "secret/*", effect="Deny"))
    assert outcome == grants(policy, access, kind=IDENTITY, solver=Cvc5Session()).outcome


S3_SERVICE = {"Service": "s3.amazonaws.com"}
PRIVATE = [
    allow("lambda:*", principal={"AWS": HERE}),
    allow("lambda:*", principal={"AWS": ROLE}),
    allow("lambda:*", principal="*", StringEquals={"aws:PrincipalOrgID": "o-123456"}),
    allow("lambda:*", principal="*", StringEquals={"aws:PrincipalAccount": HERE}),
    allow("lambda:*", principal="*", ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{HERE}:role/*"}),
    allow("lambda:*", principal="*", StringLike={"aws:userid": "AROAAAAAAAAAAAAAAAAAA:*"}),
    allow("lambda:*", principal="*", StringEquals={"aws:SourceVpc": "vpc-1"}),
    allow("lambda:*", principal="*", IpAddress={"aws:SourceIp": "10.0.0.0/8"}),
    allow("lambda:*", principal="*", IpAddress={"aws:SourceIp": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "2001:db8::/32"]}),
    allow("lambda:*", principal="*", StringEquals={"aws:PrincipalOrgID": "o-abcdefghij"}),
    allow("lambda:*", principal="*", StringEqualsIgnoreCase={"aws:PrincipalOrgID": "o-ABCDEFGHIJ"}),
    allow("lambda:*", principal="*", StringEquals={"aws:SourceVpc": "vpc-0123456789abcdef0"}),
    allow("lambda:*", principal="*", StringEquals={"aws:SourceVpce": ["vpce-01234567", "vpce-89abcdef"]}),
    allow("lambda:*", principal="*", **{"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": "o-abcdefghij/r-abcd/"}}),
    allow("lambda:*", principal="*", **{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-abcdefghij/r-abcd/ou-abcd-12345678/*"}}),
    allow("lambda:*", principal=S3_SERVICE, StringEquals={"aws:SourceOrgID": "o-abcdefghij"}),
    allow("lambda:*", principal=S3_SERVICE, StringEquals={"aws:SourceAccount": HERE}),
    allow("lambda:*", principal=S3_SERVICE, ArnLike={"aws:SourceArn": "arn:aws:s3:::mine"}),
    allow("lambda:*", principal=S3_SERVICE, ArnLike={"aws:SourceArn": f"arn:aws:events:*:{HERE}:rule/*"}),
]  # fmt: skip
PUBLIC = [
    allow("lambda:*", principal="*"),
    allow("lambda:*", principal={"AWS": "*"}),
    allow("lambda:*", principal="*", StringLike={"aws:PrincipalOrgID": "o-*"}),
    allow("lambda:*", principal="*", StringNotEquals={"aws:PrincipalAccount": HERE}),
    allow("lambda:*", principal="*", ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:role/x"}),
    allow("lambda:*", principal="*", IpAddress={"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}),
    allow("lambda:*", principal="*", IpAddress={"aws:SourceIp": "0.0.0.0/0"}),
    allow("lambda:*", principal="*", IpAddress={"aws:SourceIp": [f"{first}.0.0.0/8" for first in range(256)]}),
    allow("lambda:*", principal="*", IpAddress={"aws:SourceIp": [f"{first}.0.0.0/8" for first in range(0, 256, 2)]}),
    allow("lambda:*", principal="*", IpAddress={"aws:SourceIp": ["10.0.0.0/8", "11.0.0.0/8"]}),
    allow("lambda:*", principal="*", Null={"aws:VpcSourceIp": "false"}),
    allow("lambda:*", principal="*", StringLike={"aws:PrincipalOrgID": "o-a*"}),
    allow("lambda:*", principal="*", StringLike={"aws:PrincipalOrgID": [f"o-{one}*" for one in ascii_lowercase + digits]}),
    allow("lambda:*", principal="*", StringLike={"aws:PrincipalOrgID": "o-??????????*"}, StringNotEquals={"aws:PrincipalOrgID": "o-outsider00"}),
    allow("lambda:*", principal="*", Null={"aws:PrincipalOrgID": "false"}, StringNotEquals={"aws:PrincipalOrgID": "o-outsider00"}),
    allow("lambda:*", principal="*", **{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-*/r-abcd/*"}}),
    allow("lambda:*", principal="*", StringLike={"aws:SourceVpc": "vpc-1*"}),
    allow("lambda:*", principal="*", StringLike={"aws:SourceVpce": "vpce-*f"}),
    allow("lambda:*", principal="*", StringEquals={"aws:PrincipalTag/team": "a"}),
    allow("lambda:*", principal="*", StringEquals={"sts:ExternalId": "secret"}),
    allow("lambda:*", principal="*", StringEqualsIfExists={"aws:SourceVpc": "vpc-1"}),
    allow("lambda:*", principal=S3_SERVICE),
    allow("lambda:*", principal=S3_SERVICE, ArnLike={"aws:SourceArn": "arn:aws:s3:::*"}),
]  # fmt: skip


def is_public(*statements, services=True):
    return public(document(*statements), kind=RESOURCE, services_act_for_anybody=services, solver=Cvc5Session()).outcome


@pytest.mark.parametrize("statement", PRIVATE)
def test_a_grant_to_those_that_it_names_is_private(statement):
    assert Outcome.PROVED == is_public(statement)


@pytest.mark.parametrize("statement", PUBLIC)
def test_a_grant_that_strangers_can_use_is_public(statement):
    assert Outcome.REFUTED == is_public(statement)


def test_a_deny_can_make_a_policy_private():
    strangers = {"StringNotEquals": {"aws:PrincipalAccount": HERE}}
    assert Outcome.PROVED == is_public(
        allow("lambda:*", principal="*"), allow("*", principal="*", effect="Deny", **strangers)
    )


def test_a_deny_to_all_but_an_organization_names_it():
    strangers = {"StringNotEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
    named = [allow("lambda:*", principal="*"), allow("*", principal="*", effect="Deny", **strangers)]
    assert Outcome.PROVED == is_public(*named, services=False)
    # Who is turned away is named too, and everybody else comes in.
    evil = {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
    turned_away = allow("*", principal="*", effect="Deny", **evil)
    assert Outcome.REFUTED == is_public(allow("lambda:*", principal="*"), turned_away)


def test_trust_in_a_service_is_not_public():
    trust = document({"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"})
    assert Outcome.PROVED == public(trust, kind=TRUST, services_act_for_anybody=False, solver=Cvc5Session()).outcome


# The process that the solver runs in.


async def test_the_platform_asks_in_a_process_of_its_own():
    reasoning = Reasoning()
    old, new = document(allow("s3:Get*")), document(allow("s3:*"))
    asked = {"account_id": HERE, "kind": IDENTITY}
    assert Outcome.REFUTED == (await reasoning.new_access([old], [new], **asked)).outcome
    assert Outcome.PROVED == (await reasoning.new_access([new], [old], **asked)).outcome
    access = Access(actions=("lambda:*",))
    assert Outcome.PROVED == (await reasoning.grants(new, access, **asked)).outcome
    open_to_all = document(allow("s3:*", principal="*"))
    verdict = await reasoning.public(open_to_all, account_id=HERE, kind=RESOURCE, services_act_for_anybody=False)
    assert Outcome.REFUTED == verdict.outcome


async def test_an_account_that_asks_too_much_is_throttled_and_keeps_nobody_else_waiting():
    reasoning, text = Reasoning(), document(allow("s3:Get*"))

    def ask(account_id):
        return reasoning.new_access([text], [text], account_id=account_id, kind=IDENTITY)

    mine = [asyncio.ensure_future(ask(HERE)) for _ in range(9)]
    done = [False]

    async def other():
        await ask("444455556666")
        done[0] = not all(question.done() for question in mine)

    elsewhere = asyncio.ensure_future(other())
    answers = await asyncio.gather(*mine, return_exceptions=True)
    await elsewhere
    assert 8 == sum(isinstance(answer, Verdict) for answer in answers)
    assert 1 == sum(isinstance(answer, errors.Throttled) for answer in answers)
    assert done == [True]


def test_a_solver_that_is_killed_answers_that_it_does_not_know():
    with ChildSolver() as solver:
        solver.load("(set-logic ALL)(declare-const x Int)")
        assert Answer.SATISFIABLE == solver.ask(["(> x 5)"], timeout_ms=1000).answer
        solver._process.kill()
        assert Answer.UNKNOWN == solver.ask(["(> x 5)"], timeout_ms=1000).answer


def test_a_solver_that_does_not_stop_is_stopped():
    # Were it not stopped, this test would not end.
    hard = "(= (+ (* x x x) (* y y y) (* z z z)) 114)"
    with ChildSolver(patience_s=1.0) as solver:
        solver.load("(set-logic ALL)(declare-const x Int)(declare-const y Int)(declare-const z Int)")
        assert Answer.UNKNOWN == solver.ask([hard], timeout_ms=10**8).answer


def test_nothing_of_the_platform_is_in_the_solvers_environment():
    with ChildSolver() as solver:
        solver.load("(set-logic ALL)")
        solver.ask([], timeout_ms=1000)
        assert b"" == Path(f"/proc/{solver._process.pid}/environ").read_bytes()


def test_importing_the_service_imports_no_solver():
    import subprocess
    import sys

    code = "import sys, leastwise.iam.service.reasoning; sys.exit('cvc5' in sys.modules or 'z3' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
