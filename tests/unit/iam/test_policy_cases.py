"""Runs every case of tests/cases/iam/*.yaml: one decision, or one refusal of a document.

A case has `note`, `source` (section of the AWS documentation), optionally `trap` (its number in the list of known
traps), and either `document` + `kind` + `malformed`, or

    principal: user | role | root | service | federated | anonymous   (default user; `account: other` lets the caller
    come from elsewhere)
    action, resource, owner (here | other), context
    call: {ip, tls, at, zone, as}   the context is made as for a call; `as` changes the principal
    policies: {identity, boundary, session, resource, service_control, resource_control, trust}
    want: allowed | "explicit <kind>" | "implicit <kind>"      (allowed may name its kind too)
"""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from leastwise.iam.directory import IdentityKind
from leastwise.iam.interface import Decision, Issuer, MalformedPolicy, PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy import sizes
from leastwise.iam.policy.compile import compile_policy
from leastwise.iam.policy.context import build_context
from leastwise.iam.policy.document import validate_document
from leastwise.iam.policy.evaluate import Layers, decide, decide_trust
from leastwise.kernel.call import Source
from leastwise.kernel.errors import LimitExceeded

CASES = Path(__file__).parents[2] / "cases" / "iam"
HERE, OTHER = "111122223333", "444455556666"
KINDS = {kind.name.lower(): kind for kind in PolicyKind}


def load():
    for path in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            yield pytest.param(case, id=f"{path.stem}: {case['note']}")


def principal(kind: str, account: str) -> Principal:
    match kind:
        case "user":
            return Principal(
                kind=PrincipalKind.USER,
                account_id=account,
                arn=f"arn:aws:iam::{account}:user/alice",
                unique_id="AIDA234567ABCDEFGHIJK",
                name="alice",
            )
        case "role":
            return Principal(
                kind=PrincipalKind.ROLE_SESSION,
                account_id=account,
                arn=f"arn:aws:sts::{account}:assumed-role/worker/s1",
                role_arn=f"arn:aws:iam::{account}:role/team/worker",
                unique_id="AROA234567ABCDEFGHIJK:s1",
                name="worker",
                session_name="s1",
            )
        case "root":
            return Principal(
                kind=PrincipalKind.ROOT, account_id=account, arn=f"arn:aws:iam::{account}:root", unique_id=account
            )
        case "service":
            return Principal(
                kind=PrincipalKind.SERVICE,
                account_id=account,
                arn="lambda.amazonaws.com",
                unique_id="lambda.amazonaws.com",
                name="lambda.amazonaws.com",
            )
        case "federated":
            return Principal(
                kind=PrincipalKind.FEDERATED_USER,
                account_id=account,
                arn=f"arn:aws:sts::{account}:federated-user/bob",
                unique_id=f"{account}:bob",
                name="bob",
                federated_by=Issuer(
                    arn=f"arn:aws:iam::{account}:user/alice", unique_id="AIDA234567ABCDEFGHIJK", name="alice"
                ),
                session_issued_at_ms=1,
            )
        case "anonymous":
            return Principal(kind=PrincipalKind.ANONYMOUS, account_id="", arn="", unique_id="anonymous")
    raise ValueError(kind)


def called(case) -> tuple[Principal, dict]:
    """Who asks, and in what context: as given, or made as for a call."""
    who = principal(case.get("principal", "user"), OTHER if case.get("account") == "other" else HERE)
    given = {key.lower(): value for key, value in case.get("context", {}).items()}
    call = case.get("call")
    if call is None:
        return who, given
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in call.get("as", {}).items()}
    who = replace(who, **changes)
    source = Source(ip=call.get("ip", "192.0.2.7"), user_agent="Boto3/1", tls=call.get("tls", True), received_at_ms=0)
    at = datetime.fromisoformat(call.get("at", "2026-06-01T12:00:00+00:00"))
    return who, build_context(
        who,
        source,
        now_ms=int(at.timestamp() * 1000),
        region="us-east-1",
        extra=given,
        time_zone=call.get("zone", "UTC"),
        resource_account_id=HERE,
    )


def full(policy):
    """Cases may leave out what they are not about."""
    if isinstance(policy, list):
        policy = {"Version": "2012-10-17", "Statement": policy}
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    filled = []
    for raw in statements:
        statement = {"Effect": "Allow", **raw}
        if "NotAction" not in statement:
            statement.setdefault("Action", "*")
        filled.append(statement)
    return {**policy, "Statement": filled}


def compiled(policies, kind, *, resource=True):
    ready = []
    for number, raw in enumerate(policies):
        policy = full(raw)
        for statement in policy["Statement"]:
            if resource and "NotResource" not in statement:
                statement.setdefault("Resource", "*")
            if kind is PolicyKind.RESOURCE and "NotPrincipal" not in statement:
                statement.setdefault("Principal", "*")
        ready.append(compile_policy(policy, name=f"{kind.name.lower()}-{number}", kind=kind))
    return tuple(ready)


def layers(policies) -> Layers:
    boundary = compiled([policies["boundary"]], PolicyKind.BOUNDARY) if "boundary" in policies else (None,)
    resource = (None,)
    if "resource" in policies:
        resource = compiled([policies["resource"]], PolicyKind.RESOURCE)
    if "trust" in policies:
        resource = compiled([policies["trust"]], PolicyKind.TRUST, resource=False)
    return Layers(
        identity=compiled(policies.get("identity", []), PolicyKind.IDENTITY),
        boundary=boundary[0],
        session=compiled(policies["session"], PolicyKind.SESSION) if "session" in policies else None,
        resource=resource[0],
        service_control=tuple(
            compiled(level, PolicyKind.SERVICE_CONTROL) for level in policies.get("service_control", [])
        ),
        resource_control=tuple(
            compiled([[{"Principal": "*", **s} for s in policy] for policy in level], PolicyKind.RESOURCE_CONTROL)
            for level in policies.get("resource_control", [])
        ),
    )


def said(decision: Decision, want: str) -> str:
    if decision.allowed:
        return "allowed" if want == "allowed" else f"allowed {decision.layer}"
    return f"{'explicit' if decision.explicit else 'implicit'} {decision.layer}"


@pytest.mark.parametrize("case", list(load()))
def test_the_documentation_is_kept(case):
    if "document" in case:
        with pytest.raises(MalformedPolicy) as refusal:
            validate_document(case["document"], kind=KINDS[case.get("kind", "identity")])
        assert case["malformed"] in refusal.value.message
        return
    if "size" in case:
        check_size(case["size"])
        return
    who, context = called(case)
    request = Request(
        principal=who,
        action=case.get("action", "lambda:InvokeFunction"),
        resource=case.get("resource", f"arn:aws:lambda:us-east-1:{HERE}:function:f1"),
        resource_account_id=HERE,
        context=context,
    )
    policies = case["policies"]
    decision = (decide_trust if "trust" in policies else decide)(request, layers(policies))
    assert case["want"] == said(decision, case["want"])


def check_size(size):
    text = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"%s}]}'
    text %= " \n\t" * 2000
    grown = text.replace('"*"', '"' + "x" * (size["limit"] - sizes.policy_size(text) + 1) + '"', 1)
    checks = {
        "managed": sizes.check_managed_policy,
        "user": lambda policy: sizes.check_inline_policies(IdentityKind.USER, "alice", [policy]),
        "role": lambda policy: sizes.check_inline_policies(IdentityKind.ROLE, "worker", [policy]),
        "trust": sizes.check_trust_policy,
    }
    assert size["limit"] == sizes.policy_size(grown)
    checks[size["of"]](grown)
    with pytest.raises(LimitExceeded) as refusal:
        checks[size["of"]](grown.replace("x", "xx", 1))
    assert size["message"] == refusal.value.message


def test_every_known_trap_has_a_case():
    traps = {parameter.values[0].get("trap") for parameter in load()} - {None}
    assert set(range(1, 27)) == traps


def test_every_case_says_what_it_is_and_where_it_comes_from():
    for parameter in load():
        case = parameter.values[0]
        assert case["note"]
        assert case["source"]
