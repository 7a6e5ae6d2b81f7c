"""Does a statement apply, when part of the request's context is not known? No, yes, or maybe.

A key is *absent* when the request certainly does not have it, and *unknown* when nobody said. A condition on an unknown
key is neither true nor false; with all keys known the answer is the one that `compile` gives.

INVARIANT: sound. Whatever the unknown keys turn out to be (absent, one value, several), a statement that is YES applies
and one that is NO does not. (tests/laws/test_trace_laws.py)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from leastwise.iam.interface import ContextValue, Request, StatementId
from leastwise.iam.policy import clockkeys
from leastwise.iam.policy.compile import CompiledStatement
from leastwise.iam.policy.conditions import Context, compile_entry, keys_read, parts_of
from leastwise.iam.policy.document import ConditionEntry
from leastwise.iam.policy.matching import Tokens, Variable, Wild, compile_arn, is_everything
from leastwise.iam.policy.principals import Grade
from leastwise.iam.policy.variables import compile_late_arn, keys_of, parse_pattern

Unknown = Callable[[str], bool]
"""(key in lower case, not in the context) -> nobody said whether the request has it."""

_MOST_VALUES: Final = 20


class Certainty(IntEnum):
    """Whether something holds."""

    NO = 0
    MAYBE = 1
    YES = 2


class Part(Enum):
    """The part of a statement that did not fit."""

    PRINCIPAL = "principal"
    RESOURCE = "resource"
    CONDITION = "condition"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a statement whose action fits does not apply, or may not.

    Args:
        part: which part.
        operator: of a condition, as written (`ForAnyValue:StringLikeIfExists`).
        key: of a condition, as written.
        wanted: the values that the statement names; resources for `Part.RESOURCE`.
        found: what the request has; empty when it has none.
        missing: keys, as written, that are unknown. Empty: it certainly fails.
    """

    part: Part
    operator: str = ""
    key: str = ""
    wanted: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedStatement:
    """A statement whose action fits, weighed.

    Args:
        statement: its name.
        allow: Effect.
        certainty: whether it applies.
        grade: how it names the principal; DIRECT in policies without principals.
        failures: what does not fit, or may not; empty when it applies.
    """

    statement: StatementId
    allow: bool
    certainty: Certainty
    grade: Grade
    failures: tuple[Failure, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The unknown keys that it waits for."""
        return tuple(dict.fromkeys(key for failure in self.failures for key in failure.missing))


def weigh(
    statement: CompiledStatement,
    request: Request,
    unknown: Unknown,
    *,
    variables: bool,
    has_boundary: bool,
    some_resource: bool = False,
) -> WeighedStatement:
    """Weighs one statement whose action fits.

    Args:
        statement: compiled, of a policy that has a say.
        request: what is known of the request.
        unknown: which keys outside its context nobody knows.
        variables: the document's version has variables.
        has_boundary: the principal has a permissions boundary.
        some_resource: nobody said which resource it is; what is not about all of them may apply.
    """
    context = request.context
    view = _View(
        statement=statement,
        request=request,
        variables=variables,
        some_resource=some_resource,
        unknown=lambda key: key not in context and unknown(key),
    )
    certainty = Certainty.YES
    failures: list[Failure] = []
    grade = statement.grade(request.principal, has_boundary=has_boundary)
    if grade is Grade.NONE:
        certainty = Certainty.NO
        failures.append(Failure(part=Part.PRINCIPAL, found=(request.principal.arn,)))
    for fits, failure in (_weigh_resource(view), *_weigh_conditions(view)):
        certainty = min(certainty, fits)
        if failure is not None:
            failures.append(failure)
    return WeighedStatement(
        statement=statement.statement_id,
        allow=statement.allow,
        certainty=certainty,
        grade=grade,
        failures=tuple(failures),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """One statement beside one request."""

    statement: CompiledStatement
    request: Request
    variables: bool
    some_resource: bool
    unknown: Unknown

    def open_keys(self, keys: Iterable[str]) -> set[str]:
        return set(filter(self.unknown, keys))


# Resources.


def _weigh_resource(view: _View) -> tuple[Certainty, Failure | None]:
    test, source, request = view.statement.resource_test, view.statement.source, view.request
    if test is None or source.resources is None:
        return Certainty.YES, None
    if view.some_resource:
        operator = "NotResource" if source.not_resource else "Resource"
        return Certainty.MAYBE, Failure(part=Part.RESOURCE, operator=operator, wanted=source.resources[:_MOST_VALUES])
    missing: tuple[str, ...] = ()
    if view.variables and any("${" in text for text in source.resources):
        patterns = [parse_pattern(text, variables=True, wildcards=True) for text in source.resources]
        missing = _written(view.open_keys(frozenset().union(*map(keys_of, patterns))), source.resources)
    certainty = _open_resource(view, patterns) if missing else _certain(test(request.resource, request.context))
    if certainty is Certainty.YES:
        return certainty, None
    return certainty, Failure(
        part=Part.RESOURCE,
        operator="NotResource" if source.not_resource else "Resource",
        wanted=source.resources[:_MOST_VALUES],
        found=(request.resource,),
        missing=missing if certainty is Certainty.MAYBE else (),
    )


def _open_resource(view: _View, patterns: list[Tokens]) -> Certainty:
    """Some patterns hold variables that are unknown: those can match at most what they match as `*`."""
    resource, context = view.request.resource, view.request.context
    matched = possible = False
    for pattern in patterns:
        if view.open_keys(keys_of(pattern)):
            possible = possible or _widest_matches(pattern, resource)
        else:
            matched = matched or is_everything(pattern) or compile_late_arn(pattern)(resource, context)
    if not view.statement.source.not_resource:
        return Certainty.YES if matched else Certainty.MAYBE if possible else Certainty.NO
    if matched:
        return Certainty.NO
    # A variable without a value keeps an Allow with NotResource from applying (compile._not_resource).
    return Certainty.MAYBE if possible or view.statement.allow else Certainty.YES


def _widest_matches(pattern: Tokens, resource: str) -> bool:
    return compile_arn(tuple(Wild.ANY if isinstance(token, Variable) else token for token in pattern))(resource)


# Conditions.


def _weigh_conditions(view: _View) -> Iterator[tuple[Certainty, Failure | None]]:
    for part in parts_of(view.statement.source.conditions):
        # A part is one entry, or a window of two of which one must hold.
        certainty = max(_weigh_entry(view, entry) for entry in part)
        if certainty is Certainty.YES:
            yield certainty, None
            continue
        for entry in part:
            yield certainty, _failed_condition(view, entry, certainty)


def _weigh_entry(view: _View, entry: ConditionEntry) -> Certainty:
    context = view.request.context
    open_keys = view.open_keys(keys_read(entry, variables=view.variables))
    own = _own_key(entry)
    # Without a value of its own key a condition never gets as far as its variables.
    if open_keys and (own in open_keys or own in context):
        return Certainty.MAYBE
    return _certain(compile_entry(entry, variables=view.variables, allow=view.statement.allow)(context))


def _certain(holds: bool) -> Certainty:  # noqa: FBT001 - the one thing that it turns
    return Certainty.YES if holds else Certainty.NO


def _own_key(entry: ConditionEntry) -> str:
    return "aws:epochtime" if clockkeys.zone_of_key(entry.key) else entry.key.lower()


def _failed_condition(view: _View, entry: ConditionEntry, certainty: Certainty) -> Failure:
    missing: tuple[str, ...] = ()
    if certainty is Certainty.MAYBE:
        open_keys = view.open_keys(keys_read(entry, variables=view.variables))
        missing = _written(open_keys, (entry.key, *entry.values))
    return Failure(
        part=Part.CONDITION,
        operator=operator_name(entry),
        key=entry.key,
        wanted=entry.values[:_MOST_VALUES],
        found=_found(entry, view.request.context),
        missing=missing,
    )


def _found(entry: ConditionEntry, context: Context) -> tuple[str, ...]:
    value: ContextValue | None
    zoned = clockkeys.zone_of_key(entry.key)
    value = clockkeys.read_zoned(*zoned, context.get("aws:epochtime")) if zoned else context.get(entry.key.lower())
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)[:_MOST_VALUES]


def operator_name(entry: ConditionEntry) -> str:
    """The operator as it is written in a policy."""
    prefix = "" if entry.set_operator is None else f"{entry.set_operator}:"
    return f"{prefix}{entry.operator.name}{'IfExists' if entry.if_exists else ''}"


def wants_absence(failure: Failure) -> bool:
    """A Null condition that asks for the key not to be there."""
    return failure.operator == "Null" and "true" in {value.lower() for value in failure.wanted}


def _written(keys: Iterable[str], texts: Iterable[str]) -> tuple[str, ...]:
    """Keys as they are spelled in the policy rather than in lower case."""
    texts = tuple(texts)
    return tuple(dict.fromkeys(_spelled(key, texts) for key in sorted(keys)))


def _spelled(key: str, texts: tuple[str, ...]) -> str:
    for text in texts:
        at = text.lower().find(key)
        if at >= 0:
            return text[at : at + len(key)]
    return "aws:EpochTime" if key == "aws:epochtime" else key
