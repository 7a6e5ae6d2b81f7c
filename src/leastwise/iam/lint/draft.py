"""A policy document as somebody wrote it, right or wrong, in a form that the rules of lint can walk through.

`document.parse_document` refuses at the first mistake; a draft keeps going, so that all of them can be named. What is
not of the right JSON type is left out here and reported by `lint_shape`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from leastwise.iam.authoring.positioned_json import Path
from leastwise.iam.interface import PolicyKind
from leastwise.iam.policy.document import CURRENT_VERSION, ConditionEntry
from leastwise.iam.policy.operators import Family, Operator, SetOperator, parse_operator

GRANTING_KINDS: Final = frozenset({PolicyKind.IDENTITY, PolicyKind.RESOURCE, PolicyKind.TRUST})
"""Policies that give. Boundaries, session and control policies only take away, and are wide on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A text and where it stands."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftCondition:
    """One operator and one key of a Condition block.

    Args:
        path: of the key.
        operator_name: as written.
        set_operator: see `operators.parse_operator`.
        operator: None when there is no such operator.
        if_exists: see `operators.parse_operator`.
        key: as written.
        values: as text; JSON booleans and numbers are written out.
    """

    path: Path
    operator_name: str
    set_operator: SetOperator | None
    operator: Operator | None
    if_exists: bool
    key: str
    values: tuple[Word, ...]

    @property
    def fails_without_key(self) -> bool:
        """It does not hold for a request without the key."""
        if self.operator is None:
            return False
        if self.operator.family is Family.NULL:
            return [word.text.lower() for word in self.values] == ["false"]
        return not (self.operator.negated or self.if_exists or self.set_operator is SetOperator.FOR_ALL)

    def entry(self) -> ConditionEntry | None:
        """As the engine takes it; None when there is no such operator."""
        if self.operator is None:
            return None
        return ConditionEntry(
            set_operator=self.set_operator,
            operator=self.operator,
            if_exists=self.if_exists,
            key=self.key,
            values=tuple(word.text for word in self.values),
        )


@dataclass(frozen=True, kw_only=True)
class DraftStatement:
    """One statement. `path` is `("Statement",)` when the document has a single one without a list."""

    path: Path
    index: int
    raw: Mapping[str, Any]

    @property
    def allow(self) -> bool:
        return self.raw.get("Effect") == "Allow"

    @property
    def deny(self) -> bool:
        return self.raw.get("Effect") == "Deny"

    @property
    def not_action(self) -> bool:
        return "NotAction" in self.raw

    @property
    def not_resource(self) -> bool:
        return "NotResource" in self.raw

    @cached_property
    def actions(self) -> tuple[Word, ...]:
        """Of Action or NotAction."""
        return self.words("NotAction" if self.not_action else "Action")

    @cached_property
    def resources(self) -> tuple[Word, ...]:
        """Of Resource or NotResource."""
        return self.words("NotResource" if self.not_resource else "Resource")

    @property
    def principal(self) -> Any:
        """Of Principal, as written; None when there is none."""
        return self.raw.get("Principal")

    @cached_property
    def conditions(self) -> tuple[DraftCondition, ...]:
        return tuple(self._conditions())

    @cached_property
    def required_keys(self) -> frozenset[str]:
        """Keys, in lower case, without which some condition of the statement fails."""
        return frozenset(condition.key.lower() for condition in self.conditions if condition.fails_without_key)

    def words(self, element: str) -> tuple[Word, ...]:
        """The texts of an element that may be one or a list."""
        return _words((*self.path, element), self.raw.get(element))

    def _conditions(self) -> Iterator[DraftCondition]:
        block = self.raw.get("Condition")
        for name, keys in block.items() if isinstance(block, Mapping) else ():
            set_operator, operator, if_exists = parse_operator(name) or (None, None, False)
            for key, values in keys.items() if isinstance(keys, Mapping) else ():
                path = (*self.path, "Condition", name, key)
                yield DraftCondition(
                    path=path,
                    operator_name=name,
                    set_operator=set_operator,
                    operator=operator,
                    if_exists=if_exists,
                    key=key,
                    values=_words(path, values),
                )


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A document.

    Args:
        raw: what its JSON stands for.
        text: the JSON.
        kind: what the policy will be used as.
        attached_to: ARN of what it will hang on; None when that is not known.
    """

    raw: Mapping[str, Any]
    text: str
    kind: PolicyKind
    attached_to: str | None

    @property
    def variables(self) -> bool:
        """`${...}` are variables in this version of the language."""
        return self.raw.get("Version") == CURRENT_VERSION

    @cached_property
    def statements(self) -> tuple[DraftStatement, ...]:
        raw = self.raw.get("Statement")
        if isinstance(raw, Mapping):
            return (DraftStatement(path=("Statement",), index=0, raw=raw),)
        return tuple(
            DraftStatement(path=("Statement", index), index=index, raw=item)
            for index, item in enumerate(raw if isinstance(raw, list) else ())
            if isinstance(item, Mapping)
        )


def _words(path: Path, value: Any) -> tuple[Word, ...]:
    if isinstance(value, list):
        return tuple(
            Word(path=(*path, index), text=text)
            for index, item in enumerate(value)
            if (text := _text(item)) is not None
        )
    text = _text(value)
    return () if text is None else (Word(path=path, text=text),)


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None
