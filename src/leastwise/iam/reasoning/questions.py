"""The three questions: does a policy allow anything new, anything of a list, anything to everybody?

Each is "is there a request such that ...", put to a solver. An answer "no" is a proof over all requests of `encode`. An
answer "yes" comes with a request, which is decided by the real engine before anybody hears of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from leastwise.iam.interface import PolicyKind, Request
from leastwise.iam.policy.compile import CompiledPolicy, compile_policy
from leastwise.iam.policy.document import PolicyDocument, parse_document
from leastwise.iam.policy.matching import (
    compile_alternatives,
    parse_wildcards,
)
from leastwise.iam.policy.vocabulary import actions_matching
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.encode import RequestTerms
from leastwise.iam.reasoning.outsider import outsider
from leastwise.iam.reasoning.readable import preferences
from leastwise.iam.reasoning.readings import Model
from leastwise.iam.reasoning.replaying import opinion, simplest
from leastwise.iam.reasoning.solving import Answer, Reply, Solver
from leastwise.iam.reasoning.verdicts import Counterexample, Outcome, Verdict

QUESTION_MS: Final = 5000
"""Time for the question itself."""
_DETAIL_MS: Final = 150
"""Time for each wish about the counterexample: which statement, and a readable one."""
_MOST_STATEMENTS: Final = 20
_EXAMPLES: Final = 12
_MOST_EXAMPLES: Final = 120
_ORDINARY: Final = (
    "lambda:InvokeFunction",
    "lambda:CreateFunction",
    "iam:CreateUser",
    "iam:PassRole",
    "logs:GetLogEvents",
)
_FEDERATED: Final = re.compile(r'"(?:Federated|CanonicalUser)"\s*:')


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Actions and resources that should not be granted. Patterns as in a policy; empty: any."""

    actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()


def new_access(
    existing: Sequence[str],
    proposed: Sequence[str],
    *,
    kind: PolicyKind,
    solver: Solver,
) -> Verdict:
    """Do the proposed policies allow a request that the existing ones do not?

    Args:
        existing: JSON texts, applied together.
        proposed: JSON texts, applied together.
        kind: of all of them.
        solver: fresh.

    Raises:
        MalformedPolicy: one of them is not a policy of this kind.
    """
    old, new = _Policies(existing, kind), _Policies(proposed, kind)
    question = _Question(asked=new, others=old, kind=kind, solver=solver)
    return question.answer(
        lambda request: [terms.negation(request.allowed(old.documents))],
        lambda request, bound: not opinion(old.compiled, request, kind=kind, has_boundary=bound).allowed,
    )


def grants(policy: str, access: Access, *, kind: PolicyKind, solver: Solver) -> Verdict:
    """Does the policy allow one of these actions on one of these resources?

    Raises:
        MalformedPolicy: it is not a policy of this kind.
    """
    asked = _Policies([policy], kind)
    question = _Question(asked=asked, others=None, kind=kind, solver=solver, about=access.actions)
    action_fits = compile_alternatives([parse_wildcards(action.lower()) for action in access.actions], arn=False)
    resource_fits = compile_alternatives(map(parse_wildcards, access.resources), arn=True)

    def goals(request: RequestTerms) -> list[str]:
        return [
            *([request.action_fits(access.actions)] if access.actions else []),
            *([request.resource_fits(access.resources)] if access.resources else []),
        ]

    def confirmed(request: Request, _bound: bool) -> bool:  # noqa: FBT001 - a callback
        by_action = not access.actions or action_fits is None or action_fits(request.action.lower())
        return by_action and (not access.resources or resource_fits is None or resource_fits(request.resource))

    return question.answer(goals, confirmed)


def public(
    policy: str,
    *,
    kind: PolicyKind,
    services_act_for_anybody: bool,
    solver: Solver,
) -> Verdict:
    """Does the policy allow anything to somebody of whom it names nothing (see `outsider`)?

    Args:
        policy: JSON text.
        kind: RESOURCE or TRUST.
        services_act_for_anybody: a grant to a service is public unless it says on whose behalf.
        solver: fresh.

    Raises:
        MalformedPolicy: it is not a policy of this kind.
    """
    asked = _Policies([policy], kind)
    question = _Question(asked=asked, others=None, kind=kind, solver=solver)
    return question.answer(
        lambda request: outsider(request, policy, services_act_for_anybody=services_act_for_anybody),
        lambda _request, _bound: True,
    )


def _likely_actions(documents: Sequence[PolicyDocument], about: Sequence[str]) -> list[str]:
    """Actions that a counterexample may well be about: those that the policies name, and some that their patterns mean."""
    patterns = [*about] + [action for document in documents for item in document.statements for action in item.actions]
    likely = [action for action in dict.fromkeys(patterns) if not set(action) & set("*?")]
    for pattern in dict.fromkeys(patterns):
        likely += [action.full_name for action in actions_matching(pattern)[:_EXAMPLES]]
    return [*likely, *_ORDINARY][:_MOST_EXAMPLES]


class _Policies:
    def __init__(self, texts: Sequence[str], kind: PolicyKind) -> None:
        self.texts = texts
        self.documents: list[PolicyDocument] = [parse_document(text, kind=kind) for text in texts]
        self.compiled: list[CompiledPolicy] = [
            compile_policy(document, name=str(number), kind=kind) for number, document in enumerate(self.documents)
        ]


class _Question:
    def __init__(
        self,
        *,
        asked: _Policies,
        others: _Policies | None,
        kind: PolicyKind,
        solver: Solver,
        about: Sequence[str] = (),
    ) -> None:
        self._asked = asked
        self._others = others
        self._kind = kind
        self._solver = solver
        documents = asked.documents + ([] if others is None else others.documents)
        self._spelled = {action.lower(): action for action in _likely_actions(documents, about)}
        self._documents = documents

    def answer(
        self, goals_of: Callable[[RequestTerms], list[str]], confirmed: Callable[[Request, bool], bool]
    ) -> Verdict:
        """Asks, and checks the answer.

        Args:
            goals_of: what else must be true of the request that the policies allow.
            confirmed: (request, the caller has a boundary) -> it is so. Without a solver.
        """
        if any(_FEDERATED.search(text) for text in [*self._asked.texts, *(self._others.texts if self._others else ())]):
            return Verdict(outcome=Outcome.UNKNOWN, reason="federated and canonical principals are not analysed")
        try:
            request = RequestTerms(self._documents, self._kind)
            goals = [request.allowed(self._asked.documents), *goals_of(request)]
        except terms.Inexpressible as reason:
            return Verdict(outcome=Outcome.UNKNOWN, reason=f"the policies contain {reason}")
        self._solver.load(request.script.text())
        first = self._solver.ask(goals, timeout_ms=QUESTION_MS)
        if first.answer is Answer.UNSATISFIABLE:
            if request.script.bounded:
                return Verdict(outcome=Outcome.UNKNOWN, reason="; ".join(request.script.bounded))
            return Verdict(outcome=Outcome.PROVED)
        if first.answer is Answer.UNKNOWN:
            return Verdict(outcome=Outcome.UNKNOWN, reason="the solver came to no answer within its time and memory")
        return self._examples(request, goals, first, confirmed)

    def _examples(
        self, request: RequestTerms, goals: list[str], first: Reply, confirmed: Callable[[Request, bool], bool]
    ) -> Verdict:
        found: dict[int, Counterexample] = {}
        tried = 0
        for document in self._asked.documents:
            for statement in document.statements:
                if not statement.allow or tried >= _MOST_STATEMENTS:
                    continue
                tried += 1
                also = request.applies(statement, variables=document.has_variables)
                reply = self._solver.ask([*goals, also], timeout_ms=_DETAIL_MS)
                if reply.answer is Answer.SATISFIABLE:
                    example = self._readable(request, [*goals, also], reply, confirmed)
                    if example is not None:
                        found.setdefault(example.statement, example)
        if not found:
            example = self._confirm(request, first.model, confirmed)
            if example is not None:
                found[example.statement] = example
        if not found:
            reason = "the example that the solver found is none for the engine"
            return Verdict(outcome=Outcome.UNKNOWN, reason="; ".join([reason, *request.script.loose]))
        return Verdict(outcome=Outcome.REFUTED, counterexamples=tuple(example for _, example in sorted(found.items())))

    def _readable(
        self, request: RequestTerms, goals: list[str], reply: Reply, confirmed: Callable[[Request, bool], bool]
    ) -> Counterexample | None:
        """The example, made one that people recognise, as far as wishes can be fulfilled."""
        best = reply
        wishes = preferences(request, self._spelled)
        everything = self._solver.ask([*goals, *wishes], timeout_ms=_DETAIL_MS)
        if everything.answer is Answer.SATISFIABLE:
            wishes, best = [], everything
        for wish in wishes:
            better = self._solver.ask([*goals, wish], timeout_ms=_DETAIL_MS)
            if better.answer is Answer.SATISFIABLE:
                goals, best = [*goals, wish], better
        return self._confirm(request, best.model, confirmed) or self._confirm(request, reply.model, confirmed)

    def _confirm(
        self, terms_of: RequestTerms, model: Model, confirmed: Callable[[Request, bool], bool]
    ) -> Counterexample | None:
        if not model:
            # "Yes", and no example: nothing that could be confirmed.
            return None
        bound = terms_of.bounded_principal(model)

        def holds(request: Request) -> bool:
            said = opinion(self._asked.compiled, request, kind=self._kind, has_boundary=bound)
            return said.allowed and confirmed(request, bound)

        request = terms_of.shown(model, self._spelled)
        if not holds(request):
            return None
        request = simplest(request, holds)
        said = opinion(self._asked.compiled, request, kind=self._kind, has_boundary=bound)
        index = said.statements[0] if said.statements else 0
        sids: Mapping[int, str] = {item.index: item.sid for item in self._asked.documents[0].statements}
        return Counterexample(request=request, statement=index, sid=sids.get(index, ""))
