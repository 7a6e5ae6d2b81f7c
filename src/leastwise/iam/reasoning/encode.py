"""A request as variables, and what policies say about it as terms.

A request is an action, a resource (`*`, or an ARN in its six segments), a caller and a context. The space of requests:

- action: `service:operation`, in lower case (actions are case-insensitive), letters, digits and hyphens;
- resource: `*`, or `arn:aws:SERVICE:REGION:ACCOUNT:...`, with an account of twelve digits, `aws` or nothing;
- every condition key absent, with one value, or (unless AWS says that it never has) with several; never an empty list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from leastwise.iam.interface import PolicyKind, Request
from leastwise.iam.policy.document import PolicyDocument, Statement
from leastwise.iam.policy.matching import (
    ARN_SEGMENTS,
    Tokens,
    compile_glob,
    has_variables,
    is_everything,
    parse_wildcards,
    split_segments,
)
from leastwise.iam.policy.variables import parse_pattern
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.context import ContextTerms, with_clock_of
from leastwise.iam.reasoning.holding import Conditions, segment_matches
from leastwise.iam.reasoning.principal import ACCOUNT, LINKED, PrincipalTerms, user
from leastwise.iam.reasoning.readings import Model
from leastwise.iam.reasoning.script import Script

WITH_PRINCIPAL: Final = frozenset({PolicyKind.RESOURCE, PolicyKind.TRUST})
_HEAD: Final = ("arn", "aws")
_PARTS: Final = ("rservice", "rregion", "raccount", "rpath")
_WORD: Final = '(re.union (re.range "0" "9") (re.range "a" "z") (str.to_re "-"))'
_SOMEBODY: Final = "111122223333"


class RequestTerms:
    """One request, and what the policies of a question say about it.

    Args:
        documents: every policy of the question.
        kind: of all of them.
    """

    def __init__(self, documents: Sequence[PolicyDocument], kind: PolicyKind) -> None:
        self.kind = kind
        self.script = Script()
        self.context = ContextTerms(self.script, documents)
        script = self.script
        for name, expression in (
            ("aservice", f"(re.+ {_WORD})"),
            ("aname", f"(re.+ {_WORD})"),
            ("rservice", f"(re.+ {_WORD})"),
            ("rregion", f"(re.* {_WORD})"),
            ("raccount", f'(re.union {ACCOUNT} (str.to_re "aws") (str.to_re ""))'),
        ):
            script.declare(name, "String")
            script.fact(terms.within(name, expression))
        script.declare("rpath", "String")
        script.fact('(not (= rpath ""))')
        script.declare("rstar", "Bool")
        if kind is PolicyKind.TRUST:
            script.fact("(not rstar)")
        needed = kind in WITH_PRINCIPAL or LINKED & self.context.names()
        self.principal = PrincipalTerms(script, self.context, kind) if needed else None
        self._conditions = Conditions(script, self.context)
        if self.context.reads("aws:resourceaccount"):
            owner = self.context.as_text("aws:resourceaccount")
            known = terms.all_of(("(not rstar)", "(= (str.len raccount) 12)"))
            same = terms.all_of((owner.present, terms.equal(owner.slots[0].text, "raccount")))
            script.fact(terms.implies(known, same))

    def allowed(self, documents: Sequence[PolicyDocument]) -> str:
        """Some statement allows, and none denies."""
        allowing: list[str] = []
        denying: list[str] = []
        for document in documents:
            for statement in document.statements:
                term = self.applies(statement, variables=document.has_variables)
                (allowing if statement.allow else denying).append(term)
        return terms.all_of((terms.any_of(allowing), terms.negation(terms.any_of(denying))))

    def applies(self, statement: Statement, *, variables: bool) -> str:
        """The statement says something about the request."""
        return terms.all_of(
            (
                self.action_fits(statement.actions, none=statement.not_action),
                terms.TRUE if self.principal is None else self.principal.named(statement),
                self._resource(statement, variables=variables),
                self._conditions.block(statement.conditions, variables=variables, allow=statement.allow),
            )
        )

    def action_fits(self, actions: Sequence[str], *, none: bool = False) -> str:
        """One (or none) of these patterns matches the action."""
        found = terms.any_of(_action(action.lower()) for action in actions)
        return terms.negation(found) if none else found

    def resource_fits(self, resources: Sequence[str]) -> str:
        """One of these patterns, without variables, matches the resource."""
        return terms.any_of(_fixed(parse_wildcards(text)) for text in resources)

    def _resource(self, statement: Statement, *, variables: bool) -> str:
        """See `iam.policy.compile._resource_test`."""
        if statement.resources is None:
            return terms.TRUE
        try:
            return self._resource_exactly(statement, statement.resources, variables=variables)
        except terms.Inexpressible as reason:
            return self.script.unconstrained(f"resources of statement {statement.index}: {reason}")

    def _resource_exactly(self, statement: Statement, resources: Sequence[str], *, variables: bool) -> str:
        patterns = [parse_pattern(text, variables=variables, wildcards=True) for text in resources]
        found, unbound = [], []
        for pattern in patterns:
            if not has_variables(pattern):
                found.append(_fixed(pattern))
                continue
            have, match = self._late(pattern)
            found.append(terms.all_of((have, match)))
            unbound.append(terms.negation(have))
        if not statement.not_resource:
            return terms.any_of(found)
        # What NotResource leaves out is not known without the variable's value: an Allow then does not apply.
        return terms.negation(terms.any_of([*found, *(unbound if statement.allow else [])]))

    def _late(self, pattern: Tokens) -> tuple[str, str]:
        segments = split_segments(pattern)
        have, bound = self._conditions.bound(segments)
        fixed = [terms.constant(segment_is(text, segment)) for text, segment in zip(_HEAD, segments[:2], strict=True)]
        named = [segment_matches(name, segment, bound) for name, segment in zip(_PARTS, segments[2:], strict=True)]
        return have, terms.all_of(["(not rstar)", *fixed, *named])

    def names(self) -> tuple[str, ...]:
        """The request's own variables, without those of its context."""
        return ("aservice", "aname", "rstar", *_PARTS)

    def shown(self, model: Model, spelled: dict[str, str]) -> Request:
        """The request that the solver chose.

        Args:
            model: the choice.
            spelled: actions in lower case -> as people write them.
        """
        action = f"{model['aservice']}:{model['aname']}"
        account = str(model["raccount"])
        resource = "*" if model["rstar"] else ":".join([*_HEAD, *(str(model[part]) for part in _PARTS)])
        principal = user(_SOMEBODY, "someone") if self.principal is None else PrincipalTerms.shown(model)
        in_account = account if len(account) == len(_SOMEBODY) and not model["rstar"] else principal.account_id
        if self.kind not in WITH_PRINCIPAL:
            # Identity policies are asked about within the caller's own account.
            in_account = principal.account_id
        return Request(
            principal=principal,
            action=spelled.get(action, action),
            resource=resource,
            resource_account_id=in_account,
            context=with_clock_of(self.context.shown(model)),
        )

    @staticmethod
    def bounded_principal(model: Model) -> bool:
        """The caller has a permissions boundary in the solver's choice."""
        return bool(model.get("pbound", False))


def segment_is(text: str, tokens: Tokens) -> bool:
    """A segment that every ARN has alike matches its part of a pattern."""
    if has_variables(tokens):
        message = "a variable for the partition"
        raise terms.Inexpressible(message)
    return compile_glob(tokens)(text)


def _action(pattern: str) -> str:
    if pattern == "*":
        return terms.TRUE
    service, _, name = pattern.partition(":")
    return terms.all_of(
        (
            terms.TRUE if service == "*" else terms.equal("aservice", terms.quoted(service)),
            terms.matches_any("aname", [parse_wildcards(name)]),
        )
    )


def _fixed(tokens: Tokens) -> str:
    """A pattern without variables matches the resource."""
    if is_everything(tokens):
        return terms.TRUE
    segments = split_segments(tokens)
    if len(segments) != ARN_SEGMENTS or not all(
        segment_is(text, segment) for text, segment in zip(_HEAD, segments[:2], strict=True)
    ):
        return terms.FALSE
    return terms.all_of(
        ["(not rstar)", *(terms.matches_any(n, [s]) for n, s in zip(_PARTS, segments[2:], strict=True))]
    )
