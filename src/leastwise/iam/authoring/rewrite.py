"""Writes a policy document the one way: same meaning, canonical form.

- Elements in the order of the language: Version, Id, Statement; Sid, Effect, Principal, Action, Resource, Condition.
- `Statement` is a list. Of actions, resources, principals and values, one stands alone, several are a sorted list
  without repetitions. Statements keep their order: decisions name them by it.
- Condition operators and keys are sorted. An empty Sid or Condition, which says nothing, is left out.
- Two blanks of indentation, one newline at the end, no escapes but the ones that JSON needs.

What would change the meaning stays: a missing Version (without it there are no variables), upper and lower case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

_TOP: Final = ("Version", "Id", "Statement")
_STATEMENT: Final = (
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)
_LISTS: Final = frozenset({"Action", "NotAction", "Resource", "NotResource"})
_PRINCIPALS: Final = frozenset({"Principal", "NotPrincipal"})


def formatted(document: Mapping[str, Any]) -> str:
    """The canonical text of a document. Elements that the language does not have come last, as they are."""
    return json.dumps(canonical(document), indent=2, ensure_ascii=False) + "\n"


def canonical(document: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical document."""
    result = _in_order(document, _TOP)
    statements = document.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if isinstance(statements, list):
        result["Statement"] = [_statement(item) if isinstance(item, Mapping) else item for item in statements]
    return result


def _statement(raw: Mapping[str, Any]) -> dict[str, Any]:
    result = _in_order(raw, _STATEMENT)
    for name, value in raw.items():
        if name in _LISTS:
            result[name] = _values(value, by=_caseless)
        elif name in _PRINCIPALS and isinstance(value, Mapping):
            result[name] = {kind: _values(value[kind], by=_caseless) for kind in sorted(value)}
        elif name == "Condition" and isinstance(value, Mapping):
            result[name] = {operator: _keys(value[operator]) for operator in sorted(value)}
    for name, nothing in (("Sid", ""), ("Condition", {})):
        if result.get(name) == nothing:
            del result[name]
    return result


def _keys(block: Any) -> Any:
    if not isinstance(block, Mapping):
        return block
    return {key: _values(block[key], by=_text) for key in sorted(block, key=_caseless)}


def _values(value: Any, *, by: Callable[[Any], tuple[str, ...]]) -> Any:
    """Sorted, each once; one alone. A list with something else than texts, numbers and booleans stays as it is."""
    if not isinstance(value, list) or not all(isinstance(item, (str, int, float)) for item in value):
        return value
    several = sorted(_once(value), key=by)
    return several[0] if len(several) == 1 else several


def _once(values: Iterable[Any]) -> list[Any]:
    """Without repetitions. `1` and `true` are equal to Python and not to a policy."""
    return list({(type(value), value): value for value in values}.values())


def _caseless(value: Any) -> tuple[str, ...]:
    return (str(value).lower(), str(value))


def _text(value: Any) -> tuple[str, ...]:
    return (type(value).__name__, str(value))


def _in_order(raw: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    return {name: raw[name] for name in (*order, *(name for name in raw if name not in order)) if name in raw}
