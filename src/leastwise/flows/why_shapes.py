"""Explanations in the shapes of the platform's own API."""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows.interface import Parameters
from leastwise.iam.policy.principals import Grade
from leastwise.iam.service.asking import Explanation
from leastwise.iam.why.certainty import Certainty, Failure, WeighedStatement
from leastwise.iam.why.remedies import Remedy, Step
from leastwise.iam.why.trace import LayerTrace

_APPLIES: Final = {Certainty.NO: "no", Certainty.MAYBE: "maybe", Certainty.YES: "yes"}
_NAMED_AS: Final = {Grade.NONE: "notNamed", Grade.ACCOUNT: "account", Grade.ROLE: "role", Grade.DIRECT: "direct"}
_MOST_STATEMENTS: Final = 20


def explanation_shape(explanation: Explanation, *, now: str) -> dict[str, Any]:
    request, trace = explanation.request, explanation.trace
    return {
        "Decision": trace.verdict.value,
        "Principal": request.principal.arn,
        "Action": request.action,
        "Resource": request.resource,
        "DecidedFor": now,
        "Layers": [_layer(layer) for layer in trace.layers],
        "Remedies": [_remedy(remedy) for remedy in explanation.remedies],
        "MissingContext": list(trace.missing_context),
        "Remarks": list(explanation.remarks),
    }


def _layer(layer: LayerTrace) -> Parameters:
    # What applies, or may, comes first: nothing that decided is cut off.
    statements = sorted(layer.statements, key=lambda one: -one.certainty)
    return {
        "Layer": layer.slot.kind.value,
        "Level": layer.slot.level + 1,
        "Answer": layer.answer.value,
        "Decisive": layer.decisive,
        "Unseen": layer.unseen,
        "Policies": [name for name in layer.policies if name],
        "Statements": [_statement(one) for one in statements[:_MOST_STATEMENTS]],
    }


def _statement(one: WeighedStatement) -> Parameters:
    return {
        "Policy": one.statement.policy,
        "Sid": one.statement.sid,
        "Number": one.statement.index + 1,
        "Effect": "Allow" if one.allow else "Deny",
        "Applies": _APPLIES[one.certainty],
        "NamedAs": _NAMED_AS[one.grade],
        "Failures": [_failure(failure) for failure in one.failures],
    }


def _failure(failure: Failure) -> Parameters:
    return {
        "Part": failure.part.value,
        "Operator": failure.operator,
        "Key": failure.key,
        "Wanted": list(failure.wanted),
        "Found": list(failure.found),
        "Missing": list(failure.missing),
    }


def _remedy(remedy: Remedy) -> Parameters:
    return {"Steps": [_step(step) for step in remedy.steps]}


def _step(step: Step) -> Parameters:
    return {
        "Change": step.change.value,
        "Layer": step.slot.kind.value,
        "Level": step.slot.level + 1,
        "Sentence": step.sentence,
        "Otherwise": list(step.otherwise),
    }
