"""Compiles a policy once, so that a decision only looks up and compares.

Actions are indexed by their literal name and by service; every statement keeps one test of the resource and one of the
context. What a request's action selects is remembered, because the same few actions come again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from leastwise.iam.interface import AnyDocument, Decision, PolicyKind, Principal, Request, StatementId
from leastwise.iam.policy.conditions import Context, Test, compile_conditions, keys_read
from leastwise.iam.policy.document import PolicyDocument, Statement, parse_document
from leastwise.iam.policy.matching import (
    Matcher,
    Tokens,
    compile_alternatives,
    compile_glob,
    compile_segments,
    has_variables,
    parse_wildcards,
    split_segments,
)
from leastwise.iam.policy.principals import Grade
from leastwise.iam.policy.variables import bind_segments, compile_late_arn, keys_of, parse_pattern

_REMEMBERED_ACTIONS: Final = 4096
"""Above this the memory of selections starts anew; callers choose the action, so it must have an end."""

ResourceTest = Callable[[str, Context], bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledStatement:
    """One statement, ready to be asked.

    Args:
        statement_id: names it in decisions.
        allow: Effect.
        source: as it was written.
        resource_test: None when every resource fits.
        context_test: None when there is no condition.
        granted: the decision that this statement alone makes when it allows.
    """

    statement_id: StatementId
    allow: bool
    source: Statement
    resource_test: ResourceTest | None
    context_test: Test | None
    granted: Decision

    def applies(self, request: Request) -> bool:
        """Resource and conditions fit. (Action and principal are the callers' business.)"""
        context = request.context
        if self.resource_test is not None and not self.resource_test(request.resource, context):
            return False
        return self.context_test is None or self.context_test(context)

    def grade(self, principal: Principal, *, has_boundary: bool) -> Grade:
        """How the statement's Principal or NotPrincipal names the principal.

        SECURITY: an Allow with NotPrincipal names nobody, so it never lifts a boundary or session policy.
        """
        element = self.source.principal
        if element is None:
            return Grade.DIRECT
        if not self.source.not_principal:
            return element.grade(principal)
        if self.allow:
            return Grade.ROLE if element.grade(principal) is Grade.NONE else Grade.NONE
        return Grade.NONE if element.exempts(principal, has_boundary=has_boundary) else Grade.DIRECT


Selection = tuple[tuple[CompiledStatement, ...], tuple[CompiledStatement, ...]]
"""The statements that name an action: those that deny, those that allow."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledPolicy:
    """A policy, ready to be asked.

    Args:
        name: ARN of a managed policy, name of an inline one; ends up in decisions.
        kind: what it is used as.
        document: as it was written.
        statements: in the order of the document.
        context_keys: every condition key that it reads, in lower case.
    """

    name: str
    kind: PolicyKind
    document: PolicyDocument
    statements: tuple[CompiledStatement, ...]
    context_keys: frozenset[str]
    _literal: dict[str, list[int]] = field(repr=False)
    _by_service: dict[str, list[tuple[Matcher, int]]] = field(repr=False)
    _anywhere: list[tuple[Matcher, int]] = field(repr=False)
    _selections: dict[str, Selection] = field(default_factory=dict, repr=False)

    def select(self, action: str) -> Selection:
        """The statements whose Action or NotAction fits.

        Args:
            action: `service:operation` in lower case.
        """
        known = self._selections.get(action)
        return known if known is not None else self._select(action)

    def _select(self, action: str) -> Selection:
        indexes = set(self._literal.get(action, ()))
        for matches, index in self._by_service.get(action.partition(":")[0], ()):
            if matches(action):
                indexes.add(index)
        for matches, index in self._anywhere:
            if matches(action):
                indexes.add(index)
        chosen = [self.statements[index] for index in sorted(indexes)]
        selection = (
            tuple(statement for statement in chosen if not statement.allow),
            tuple(statement for statement in chosen if statement.allow),
        )
        if len(self._selections) >= _REMEMBERED_ACTIONS:
            self._selections.clear()
        self._selections[action] = selection
        return selection


def compile_policy(document: AnyDocument | PolicyDocument, *, name: str, kind: PolicyKind) -> CompiledPolicy:
    """Compiles a stored policy.

    Args:
        document: JSON text, what it stands for, or a document that was read before.
        name: ARN of a managed policy, name of an inline one.
        kind: what it is used as.

    Raises:
        MalformedPolicy: it is not in the grammar. Callers must deny then, never leave the policy out.
    """
    parsed = document if isinstance(document, PolicyDocument) else parse_document(document, kind=kind)
    variables = parsed.has_variables
    statements = tuple(
        _compile_statement(item, name=name, kind=kind, variables=variables) for item in parsed.statements
    )
    literal: dict[str, list[int]] = {}
    by_service: dict[str, list[tuple[Matcher, int]]] = {}
    anywhere: list[tuple[Matcher, int]] = []
    for statement in parsed.statements:
        _index_actions(statement, literal, by_service, anywhere)
    return CompiledPolicy(
        name=name,
        kind=kind,
        document=parsed,
        statements=statements,
        context_keys=frozenset().union(*(_context_keys(item, variables=variables) for item in parsed.statements)),
        _literal=literal,
        _by_service=by_service,
        _anywhere=anywhere,
    )


def _compile_statement(statement: Statement, *, name: str, kind: PolicyKind, variables: bool) -> CompiledStatement:
    statement_id = StatementId(policy=name, kind=kind, sid=statement.sid, index=statement.index)
    return CompiledStatement(
        statement_id=statement_id,
        allow=statement.allow,
        source=statement,
        resource_test=_resource_test(statement, variables=variables),
        context_test=compile_conditions(statement.conditions, variables=variables, allow=statement.allow),
        granted=Decision(allowed=True, layer=kind, explicit=False, statements=(statement_id,)),
    )


def _index_actions(
    statement: Statement,
    literal: dict[str, list[int]],
    by_service: dict[str, list[tuple[Matcher, int]]],
    anywhere: list[tuple[Matcher, int]],
) -> None:
    """Actions are case-insensitive. Source: IAM User Guide, "IAM JSON policy elements: Action"."""
    index = statement.index
    if statement.not_action:
        matches = compile_alternatives([parse_wildcards(action.lower()) for action in statement.actions], arn=False)
        if matches is not None:
            anywhere.append((_none_of(matches), index))
        return
    services: dict[str, list[Tokens]] = {}
    for action in statement.actions:
        lowered = action.lower()
        if "*" not in lowered and "?" not in lowered:
            literal.setdefault(lowered, []).append(index)
            continue
        service = lowered.partition(":")[0]
        if service == "*":
            anywhere.append((compile_glob(parse_wildcards(lowered)), index))
        else:
            services.setdefault(service, []).append(parse_wildcards(lowered))
    for service, several in services.items():
        matches = compile_alternatives(several, arn=False)
        if matches is not None:
            by_service.setdefault(service, []).append((matches, index))


def _none_of(matches: Matcher) -> Matcher:
    return lambda text: not matches(text)


def _resource_test(statement: Statement, *, variables: bool) -> ResourceTest | None:
    if statement.resources is None:
        return None
    patterns = [parse_pattern(text, variables=variables, wildcards=True) for text in statement.resources]
    fixed = [pattern for pattern in patterns if not has_variables(pattern)]
    changing = [pattern for pattern in patterns if has_variables(pattern)]
    static = compile_alternatives(fixed, arn=True)
    if statement.not_resource:
        if static is None:
            return lambda _resource, _context: False
        return _not_resource(static, changing, allow=statement.allow)
    if static is None:
        return None
    if not changing:
        return lambda resource, _context: static(resource)
    late = [compile_late_arn(pattern) for pattern in changing]
    if len(late) == 1 and not fixed:
        return late[0]
    return lambda resource, context: static(resource) or any(matches(resource, context) for matches in late)


def _not_resource(static: Matcher, changing: Sequence[Tokens], *, allow: bool) -> ResourceTest:
    """SECURITY: when a variable has no value nobody can say what NotResource leaves out: an Allow then does not apply."""
    cut = [split_segments(pattern) for pattern in changing]

    def applies(resource: str, context: Context) -> bool:
        if static(resource):
            return False
        for pattern in cut:
            matched = _matches_bound(pattern, resource, context)
            if matched or (matched is None and allow):
                return False
        return True

    return applies


def _matches_bound(pattern: tuple[Tokens, ...], resource: str, context: Context) -> bool | None:
    """Matches with the request's values in the place of the variables; None when one of them has no value."""
    bound = bind_segments(pattern, context)
    return None if bound is None else compile_segments(bound)(resource)


def _context_keys(statement: Statement, *, variables: bool) -> frozenset[str]:
    keys = [keys_read(entry, variables=variables) for entry in statement.conditions]
    if variables and statement.resources:
        keys += [keys_of(parse_pattern(text, variables=True, wildcards=True)) for text in statement.resources]
    return frozenset().union(*keys)
