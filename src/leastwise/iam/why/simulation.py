"""What a simulation is made of: the policies it takes in and leaves out, and the context it is given.

Source: IAM API Reference, SimulatePrincipalPolicy and SimulateCustomPolicy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from leastwise.iam.interface import ContextValue, InvalidInput, MalformedPolicy, PolicyKind
from leastwise.iam.policy.compile import CompiledPolicy, compile_policy
from leastwise.iam.policy.matching import compile_glob, parse_wildcards
from leastwise.iam.policy.operators import (
    parse_address,
    parse_bool,
    parse_bytes,
    parse_instant,
    parse_network,
    parse_number,
)
from leastwise.iam.policy.positions import Position, statement_positions
from leastwise.iam.why.certainty import Certainty
from leastwise.iam.why.trace import LayerAnswer, LayerTrace, Trace, Verdict

_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "string": str,
    "numeric": parse_number,
    "boolean": parse_bool,
    "ip": lambda text: parse_address(text) or parse_network(text),
    "binary": parse_bytes,
    "date": parse_instant,
}
_LIST: Final = "List"
MOST_CONTEXT_CHARACTERS: Final = 16_384
_MOST_ENTRIES: Final = 200
_MOST_VALUES: Final = 50
"""Of one key. A resource has no more tags, and so no request more values of aws:TagKeys. Source: IAM quotas, tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPolicy:
    """One policy of a simulation.

    Args:
        source_id: what the answer calls it (`PolicyInputList.1`, `user_ann_deploy`, the name of a managed policy).
        source_type: user, group, role, aws-managed, user-managed, resource or none.
        text: JSON.
    """

    source_id: str
    source_type: str
    text: str

    def compiled(self, *, name: str, kind: PolicyKind) -> CompiledPolicy:
        """Raises: InvalidInput (it is no such policy)."""
        try:
            return compile_policy(self.text, name=name, kind=kind)
        except MalformedPolicy as error:
            message = f"{self.source_id}: {error.message}"
            raise InvalidInput(message) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedStatement:
    """A statement that decided, and where it stands."""

    source_id: str
    source_type: str
    start: Position
    end: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """One action on one resource.

    Args:
        verdict: allowed, explicitDeny or implicitDeny.
        matched: statements of identity-based and resource-based policies that decided.
        missing_context: keys that such policies ask for and nobody gave.
        allowed_by_organization: None where no service control policy has a say.
        allowed_by_boundary: None without a boundary.
        details: by kind of policy, for a resource of another account; None otherwise.
    """

    verdict: Verdict
    matched: tuple[MatchedStatement, ...]
    missing_context: tuple[str, ...]
    allowed_by_organization: bool | None
    allowed_by_boundary: bool | None
    details: Mapping[str, str] | None


_ORGANIZATION: Final = frozenset({PolicyKind.SERVICE_CONTROL, PolicyKind.RESOURCE_CONTROL})
_RESOURCE: Final = frozenset({PolicyKind.RESOURCE, PolicyKind.TRUST})


def simulated(found: Trace, policies: Mapping[str, SimulatedPolicy], *, across_accounts: bool) -> Simulated:
    """A trace in the words of the simulator.

    SECURITY: it has no word for "it depends". What depends on context that was not given is never called allowed, and
    `missing_context` says why.

    Args:
        found: the trace.
        policies: by the names under which they were compiled.
        across_accounts: the resource belongs to another account than the caller.
    """
    verdict = Verdict.IMPLICIT_DENY if found.verdict is Verdict.DEPENDS else found.verdict
    by_kind: dict[PolicyKind, list[LayerTrace]] = {}
    for layer in found.layers:
        if layer.answer is not LayerAnswer.ABSENT:
            by_kind.setdefault(layer.slot.kind, []).append(layer)
    shown = [layer for kind, layers in by_kind.items() if kind not in _ORGANIZATION for layer in layers]
    missing = dict.fromkeys(key for layer in shown for one in layer.statements for key in one.missing)
    details = None
    if across_accounts:
        named = (("IAM Policy", {PolicyKind.IDENTITY}), ("Resource Policy", _RESOURCE))
        details = {name: _word([layer for kind in kinds for layer in by_kind.get(kind, [])]) for name, kinds in named}
        if PolicyKind.BOUNDARY in by_kind:
            details["Permissions Boundary Policy"] = _word(by_kind[PolicyKind.BOUNDARY])
    return Simulated(
        verdict=verdict,
        matched=_matched(found, shown, policies),
        missing_context=tuple(missing),
        allowed_by_organization=_all_allow(by_kind.get(PolicyKind.SERVICE_CONTROL)),
        allowed_by_boundary=_all_allow(by_kind.get(PolicyKind.BOUNDARY)),
        details=details,
    )


def _all_allow(layers: Sequence[LayerTrace] | None) -> bool | None:
    return None if layers is None else all(layer.answer is LayerAnswer.ALLOWS for layer in layers)


def _word(layers: Sequence[LayerTrace]) -> str:
    answers = {layer.answer for layer in layers}
    if LayerAnswer.DENIES in answers:
        return Verdict.EXPLICIT_DENY.value
    return (Verdict.ALLOWED if answers == {LayerAnswer.ALLOWS} else Verdict.IMPLICIT_DENY).value


def _matched(
    found: Trace, layers: Iterable[LayerTrace], policies: Mapping[str, SimulatedPolicy]
) -> tuple[MatchedStatement, ...]:
    """Of a denial the statements that deny, else those that allow."""
    if found.verdict is Verdict.DEPENDS:
        return ()
    allow = found.verdict is not Verdict.EXPLICIT_DENY
    matched = []
    for layer in layers:
        if layer.slot.kind is PolicyKind.BOUNDARY and allow:
            continue
        positions: dict[str, tuple[tuple[Position, Position], ...]] = {}
        for one in layer.statements:
            policy = policies.get(one.statement.policy)
            if policy is None or one.allow is not allow or one.certainty is not Certainty.YES:
                continue
            name = one.statement.policy
            if name not in positions:
                positions[name] = statement_positions(policy.text)
            start, end = positions[name][one.statement.index]
            matched.append(
                MatchedStatement(source_id=policy.source_id, source_type=policy.source_type, start=start, end=end)
            )
    return tuple(matched)


def check_entries(entries: Sequence[Mapping[str, Any]]) -> None:
    """Refuses more context than a request could have.

    SECURITY: every value is matched against every pattern of every policy, while everybody waits. Values of a megabyte
    against thousands of patterns would stop the platform.

    Raises:
        InvalidInput: too many entries, values of one key, or characters altogether.
    """
    message = None
    if len(entries) > _MOST_ENTRIES:
        message = f"Invalid Input: at most {_MOST_ENTRIES} context entries."
    elif any(len(entry.get("ContextKeyValues") or ()) > _MOST_VALUES for entry in entries):
        message = f"Invalid Input: at most {_MOST_VALUES} values of one context key."
    elif sum(map(_characters, entries)) > MOST_CONTEXT_CHARACTERS:
        message = f"Invalid Input: at most {MOST_CONTEXT_CHARACTERS} characters of context altogether."
    if message is not None:
        raise InvalidInput(message)


def _characters(entry: Mapping[str, Any]) -> int:
    values = entry.get("ContextKeyValues") or ()
    return len(str(entry.get("ContextKeyName", ""))) + sum(len(str(value)) for value in values)


def read_entries(entries: Sequence[Mapping[str, Any]]) -> dict[str, ContextValue]:
    """The input member ContextEntries as a context: keys in lower case, values that are what they claim to be.

    Raises:
        InvalidInput: a key twice, a value of another type, several values for a type that has one, or too much of it.
    """
    check_entries(entries)
    context: dict[str, ContextValue] = {}
    for entry in entries:
        name, kind = str(entry.get("ContextKeyName", "")), str(entry.get("ContextKeyType", "string"))
        values = tuple(map(str, entry.get("ContextKeyValues") or ()))
        reader = _READERS.get(kind.removesuffix(_LIST))
        if ":" not in name or reader is None:
            message = f"Invalid Context Entry: {name} of type {kind}."
            raise InvalidInput(message)
        if name.lower() in context:
            message = f"Duplicate Context Entry: {name}."
            raise InvalidInput(message)
        if any(reader(value) is None for value in values):
            message = f"Invalid Context Entry: the values of {name} are not of type {kind}."
            raise InvalidInput(message)
        if kind.endswith(_LIST):
            context[name.lower()] = values
        elif len(values) == 1:
            context[name.lower()] = values[0]
        else:
            message = f"Invalid Context Entry: {name} of type {kind} takes exactly one value."
            raise InvalidInput(message)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusions:
    """Which of a principal's policies a simulation leaves out."""

    types: frozenset[str]
    arns: tuple[str, ...]
    inline: tuple[tuple[str, str, str], ...]
    """(kind of owner, pattern of its name, policy name)."""

    def drops_managed(self, arn: str) -> bool:
        kind = "aws-managed" if arn.startswith("arn:aws:iam::aws:") else "user-managed"
        return kind in self.types or any(_fits(pattern, arn) for pattern in self.arns)

    def drops_inline(self, owner_kind: str, owner: str, name: str) -> bool:
        return "inline" in self.types or any(
            kind == owner_kind and policy == name and _fits(pattern, owner) for kind, pattern, policy in self.inline
        )


def read_exclusions(entries: Iterable[Mapping[str, Any]]) -> Exclusions:
    """The input member PolicyExclusionList. Raises: InvalidInput."""
    types, arns, inline = set[str](), list[str](), list[tuple[str, str, str]]()
    for entry in entries:
        match dict(entry):
            case {"PolicyType": str(kind)} if len(entry) == 1:
                types.add(kind)
            case {"PolicyArn": str(arn)} if len(entry) == 1:
                head, _, name = arn.rpartition("/")
                if not arn.startswith("arn:aws:iam::") or ":policy" not in arn or "*" in head or name.count("*") > 1:
                    message = f"Invalid Policy Identifier: {arn}"
                    raise InvalidInput(message)
                arns.append(arn)
            case {"InlinePolicyIdentifier": Mapping() as one} if len(entry) == 1:
                inline.append((str(one["AttachmentType"]), str(one["AttachmentName"]), str(one["PolicyName"])))
            case _:
                message = "Specify exactly one of PolicyType, PolicyArn, or InlinePolicyIdentifier."
                raise InvalidInput(message)
    return Exclusions(types=frozenset(types), arns=tuple(arns), inline=tuple(inline))


def _fits(pattern: str, text: str) -> bool:
    return compile_glob(parse_wildcards(pattern))(text)
