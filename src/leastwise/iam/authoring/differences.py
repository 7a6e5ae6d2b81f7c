"""Compares two versions of a policy statement by statement: what was added, what went, what grew and what shrank.

Order, spelling of actions, repetitions and single values in lists make no difference. "Grew" is said of the requests
that a statement applies to; a Deny that grew allows less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from leastwise.iam.interface import PolicyKind
from leastwise.iam.lint.reach import conditions_imply
from leastwise.iam.policy.clockkeys import TIME_OF_DAY
from leastwise.iam.policy.containment import action_pattern, arn_covers, covers, resource_pattern
from leastwise.iam.policy.document import ConditionEntry, Statement, parse_document
from leastwise.iam.policy.matching import Tokens


class Change(StrEnum):
    """What became of a statement."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementChange:
    """One statement that differs.

    Args:
        change: see `Change`.
        name: its Sid, or its place ("statement 2").
        effect: Allow or Deny; of a changed one the new effect.
        old_index: place in the old document, from 0; None when it was added.
        new_index: place in the new document; None when it was removed.
        grew: what it applies to now and did not before, one line each.
        shrank: what it applied to before and does not now.
    """

    change: Change
    name: str
    effect: str
    old_index: int | None
    new_index: int | None
    grew: tuple[str, ...]
    shrank: tuple[str, ...]

    @property
    def may_allow_more(self) -> bool:
        """An Allow that grew, or a Deny that shrank."""
        return bool(self.grew if self.effect == "Allow" else self.shrank)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Told:
    """A statement, and its principals as they are written (federated ones, too)."""

    statement: Statement
    principals: frozenset[str]

    @property
    def index(self) -> int:
        return self.statement.index


def compare(old: Mapping[str, Any], new: Mapping[str, Any], *, kind: PolicyKind) -> tuple[StatementChange, ...]:
    """Every statement that differs, in the order of the new document, removed ones last.

    Statements are paired by Sid, then by being equal, then by having most in common.

    Raises:
        MalformedPolicy: one of them is not in the grammar.
    """
    read = [parse_document(document, kind=kind) for document in (old, new)]
    variables = (read[0].has_variables, read[1].has_variables)
    before_all, after_all = (
        [
            _Told(statement=statement, principals=_principals(raw))
            for statement, raw in zip(document.statements, _listed(source["Statement"]), strict=True)
        ]
        for document, source in zip(read, (old, new), strict=True)
    )
    pairs = _paired(before_all, after_all)
    changes = [
        _changed(before, after, variables=variables) if before else _alone(after, Change.ADDED)
        for before, after in pairs
    ]
    kept = {before.index for before, _ in pairs if before is not None}
    removed = [_alone(item, Change.REMOVED) for item in before_all if item.index not in kept]
    return tuple(change for change in (*changes, *removed) if change is not None)


def _paired(old: Sequence[_Told], new: Sequence[_Told]) -> list[tuple[_Told | None, _Told]]:
    found: dict[int, _Told] = {}
    free = list(old)

    def pair(score: Callable[[_Told, _Told], float]) -> None:
        open_ones = [item for item in new if item.index not in found]
        ranked = sorted(
            ((score(before, after), -before.index, -after.index) for before in free for after in open_ones),
            reverse=True,
        )
        for points, before_index, after_index in ranked:
            before = next((item for item in free if item.index == -before_index), None)
            if points > 0 and before is not None and -after_index not in found:
                found[-after_index] = before
                free.remove(before)

    pair(lambda before, after: float(bool(before.statement.sid) and before.statement.sid == after.statement.sid))
    pair(lambda before, after: float(_essence(before) == _essence(after)))
    pair(_likeness)
    return [(found.get(item.index), item) for item in new]


def _likeness(one: _Told, other: _Told) -> float:
    """Share of what both have in common; nothing across effects."""
    before, after = one.statement, other.statement
    if before.allow is not after.allow or (before.sid and after.sid):
        return 0.0
    mine, theirs = _lines(one), _lines(other)
    return len(mine & theirs) / len(mine | theirs)


def _lines(told: _Told) -> frozenset[str]:
    statement = told.statement
    return frozenset(
        [
            *(f"action {text.lower()}" for text in statement.actions),
            *(f"resource {text}" for text in statement.resources or ()),
            *(f"condition {_condition(entry)}" for entry in statement.conditions),
            *told.principals,
        ]
    )


def _essence(told: _Told) -> tuple[object, ...]:
    return (told.statement.allow, told.statement.not_action, told.statement.not_resource, _lines(told))


def _alone(told: _Told, change: Change) -> StatementChange:
    statement = told.statement
    about = (
        f"{'every action but' if statement.not_action else 'actions'} {', '.join(statement.actions)}",
        *(
            [f"{'every resource but' if statement.not_resource else 'resources'} {', '.join(statement.resources)}"]
            if statement.resources
            else []
        ),
        *sorted(told.principals),
        *(f"when {_condition(entry)}" for entry in statement.conditions),
    )
    added = change is Change.ADDED
    return StatementChange(
        change=change,
        name=_name(statement),
        effect=_effect(statement),
        old_index=None if added else statement.index,
        new_index=statement.index if added else None,
        grew=about if added else (),
        shrank=() if added else about,
    )


def _changed(old: _Told, new: _Told, *, variables: tuple[bool, bool]) -> StatementChange | None:
    if _essence(old) == _essence(new) and variables[0] is variables[1]:
        return None
    before, after = old.statement, new.statement
    grew: list[str] = []
    shrank: list[str] = []
    if before.allow is not after.allow:
        grew.append(f"{_effect(after)} instead of {_effect(before)}")
        shrank.append(f"no longer {_effect(before)}")
    if variables[0] is not variables[1]:
        grew.append("policy variables are read as such" if variables[1] else "policy variables are literal text")
        shrank.append(grew[-1])
    more, less = _patterns(
        "action", before.actions, after.actions, (before.not_action, after.not_action), action_pattern
    )
    grew += more
    shrank += less
    more, less = _patterns(
        "resource",
        before.resources or (),
        after.resources or (),
        (before.not_resource, after.not_resource),
        lambda text: resource_pattern(text, variables=variables[1]),
    )
    grew += more
    shrank += less
    negated = after.not_principal
    (shrank if negated else grew).extend(sorted(new.principals - old.principals))
    (grew if negated else shrank).extend(sorted(old.principals - new.principals))
    _compare_conditions(before.conditions, after.conditions, grew, shrank)
    return StatementChange(
        change=Change.CHANGED,
        name=_name(after),
        effect=_effect(after),
        old_index=before.index,
        new_index=after.index,
        grew=tuple(grew),
        shrank=tuple(shrank),
    )


def _patterns(
    what: str,
    before: Sequence[str],
    after: Sequence[str],
    negated: tuple[bool, bool],
    read: Callable[[str], Tokens],
) -> tuple[list[str], list[str]]:
    """Patterns that the other side does not include: of the new side, of the old side."""
    if negated[0] is not negated[1]:
        now, once = (
            f"every {what} but {', '.join(texts)}" if but else f"{what}s {', '.join(texts)}"
            for texts, but in ((after, negated[1]), (before, negated[0]))
        )
        return [now], [once]
    includes = arn_covers if what == "resource" else covers

    def missing(these: Sequence[str], others: Sequence[str]) -> list[str]:
        wide = [read(text) for text in others]
        return [f"{what} {text}" for text in these if not any(includes(other, read(text)) for other in wide)]

    more, less = missing(after, before), missing(before, after)
    return (less, more) if negated[1] else (more, less)


def _compare_conditions(
    before: Sequence[ConditionEntry], after: Sequence[ConditionEntry], grew: list[str], shrank: list[str]
) -> None:
    mine, theirs = {_condition(entry) for entry in before}, {_condition(entry) for entry in after}
    gone = [f"no longer asks for {text}" for text in sorted(mine - theirs)]
    come = [f"now asks for {text}" for text in sorted(theirs - mine)]
    if conditions_imply(before, after):
        grew.extend(gone + come)
    elif conditions_imply(after, before):
        shrank.extend(gone + come)
    elif gone and come and not any(TIME_OF_DAY in text.lower() for text in (*gone, *come)):
        grew.extend(gone)
        shrank.extend(come)
    else:
        # Two bounds on the time of day are read together (`clockkeys`): one more can widen the window.
        grew.extend(gone + come)
        shrank.extend(gone + come)


def _condition(entry: ConditionEntry) -> str:
    prefix = f"{entry.set_operator}:" if entry.set_operator else ""
    suffix = "IfExists" if entry.if_exists else ""
    return f"{prefix}{entry.operator.name}{suffix} {entry.key} = {' | '.join(sorted(set(entry.values))) or '(nothing)'}"


def _principals(raw: Mapping[str, Any]) -> frozenset[str]:
    for element, label in (("Principal", "principal"), ("NotPrincipal", "every principal but")):
        value = raw.get(element)
        if isinstance(value, str):
            return frozenset([f"{label} {value}"])
        if isinstance(value, Mapping):
            names = [(kind, name) for kind, several in value.items() for name in _listed(several)]
            return frozenset(
                f"{label} *" if (kind, name) == ("AWS", "*") else f"{label} {kind} {name}" for kind, name in names
            )
    return frozenset()


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _name(statement: Statement) -> str:
    return statement.sid or f"statement {statement.index + 1}"


def _effect(statement: Statement) -> str:
    return "Allow" if statement.allow else "Deny"
