import pytest

from leastwise.iam.interface import Decision, PolicyKind, StatementId
from leastwise.iam.policy.explain import denial_message

WHO = "arn:aws:iam::111122223333:user/alice"
WHAT = "arn:aws:lambda:us-east-1:111122223333:function:f1"
START = f"User: {WHO} is not authorized to perform: lambda:InvokeFunction on resource: {WHAT} "


def message(layer, *, explicit, policy=None):
    statements = (StatementId(policy=policy, kind=layer, sid="", index=0),) if policy else ()
    decision = Decision(allowed=False, layer=layer, explicit=explicit, statements=statements)
    return denial_message(WHO, "lambda:InvokeFunction", WHAT, decision)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (PolicyKind.IDENTITY, "because no identity-based policy allows the lambda:InvokeFunction action"),
        (PolicyKind.RESOURCE, "because no resource-based policy allows the lambda:InvokeFunction action"),
        (PolicyKind.BOUNDARY, "because no permissions boundary allows the lambda:InvokeFunction action"),
        (PolicyKind.SESSION, "because no session policy allows the lambda:InvokeFunction action"),
        (PolicyKind.SERVICE_CONTROL, "because no service control policy allows the lambda:InvokeFunction action"),
        (PolicyKind.RESOURCE_CONTROL, "because no resource control policy allows the lambda:InvokeFunction action"),
        (PolicyKind.TRUST, "because no role trust policy allows the lambda:InvokeFunction action"),
    ],
)
def test_an_implicit_deny_names_the_kind_of_policy_that_is_missing(layer, words):
    assert START + words == message(layer, explicit=False)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (PolicyKind.IDENTITY, "with an explicit deny in an identity-based policy"),
        (PolicyKind.RESOURCE, "with an explicit deny in a resource-based policy"),
        (PolicyKind.BOUNDARY, "with an explicit deny in a permissions boundary"),
        (PolicyKind.SESSION, "with an explicit deny in a session policy"),
        (PolicyKind.SERVICE_CONTROL, "with an explicit deny in a service control policy"),
        (PolicyKind.RESOURCE_CONTROL, "with an explicit deny in a resource control policy"),
        (PolicyKind.TRUST, "with an explicit deny in the role trust policy"),
    ],
)
def test_an_explicit_deny_names_the_kind_of_policy_that_denies(layer, words):
    assert START + words == message(layer, explicit=True, policy="inline-name")


def test_an_explicit_deny_names_a_policy_that_has_an_arn():
    arn = "arn:aws:iam::111122223333:policy/guard"
    assert message(PolicyKind.BOUNDARY, explicit=True, policy=arn).endswith(f"a permissions boundary: {arn}")


def test_the_name_of_an_inline_policy_is_not_told():
    assert "inline-name" not in message(PolicyKind.IDENTITY, explicit=True, policy="inline-name")
