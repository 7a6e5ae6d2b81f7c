"""Every case of tests/cases/iam is explained with the decision that the engine makes."""

import pytest
from tests.unit.iam.test_policy_cases import HERE, called, layers, load

from leastwise.iam.interface import Request
from leastwise.iam.policy.evaluate import decide, decide_trust
from leastwise.iam.why.trace import Verdict, trace

DECIDED = [parameter for parameter in load() if "policies" in parameter.values[0]]


@pytest.mark.parametrize("case", DECIDED)
def test_an_explanation_decides_as_the_engine_does(case):
    who, context = called(case)
    request = Request(
        principal=who,
        action=case.get("action", "lambda:InvokeFunction"),
        resource=case.get("resource", f"arn:aws:lambda:us-east-1:{HERE}:function:f1"),
        resource_account_id=HERE,
        context=context,
    )
    applying, trust = layers(case["policies"]), "trust" in case["policies"]
    decision = (decide_trust if trust else decide)(request, applying)
    told = trace(request, applying, trust=trust)
    verdict = Verdict.EXPLICIT_DENY if decision.explicit else Verdict.IMPLICIT_DENY
    assert decision == told.decision
    assert (Verdict.ALLOWED if decision.allowed else verdict) is told.verdict
