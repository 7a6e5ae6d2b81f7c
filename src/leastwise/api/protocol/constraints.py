"""Checks parameters against the constraints of their shape, and words what is wrong as AWS does.

Source: messages recorded on AWS, e.g. `1 validation error detected: Value 'x' at 'functionName' failed to satisfy
constraint: Member must have length less than or equal to 64`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from botocore.model import OperationModel, Shape

from leastwise.api.protocol import patterns
from leastwise.api.protocol.wire import ShapeInvalid

Check = Callable[[Any, str, list[str]], None]
"""(value, path, problems): appends what is wrong with the value at the path."""
Rule = tuple[Callable[[Any], bool], str]
"""(holds, constraint in AWS's words)."""

NOT_NULL: Final = "Member must not be null"
_MAX_PROBLEMS: Final = 25
_MAX_SHOWN: Final = 1024
_NO_MAXIMUM: Final = 1 << 62

OPEN_ENUMS: Final = frozenset({("lambda", "Runtime")})
"""Enums that the model gives but the platform decides: the runtimes are those found on this machine."""


class Checks:
    """Makes checks for the shapes of one service.

    Args:
        service: service name, for the exceptions of `OPEN_ENUMS`.
        grouped: whether constraints on items of scalar lists and maps are reported at the list (rest-json) or at the
            item (`tags.1.member`, query and json).
    """

    def __init__(self, service: str, *, grouped: bool) -> None:
        self._service = service
        self._grouped = grouped
        self._structures: dict[str, Check] = {}

    def check(self, shape: Shape) -> Check | None:
        """The check of a shape, or None when the shape constrains nothing."""
        kind = shape.type_name
        if kind == "structure":
            return None if shape.is_document_type else self._structure(shape)
        rules = self._rules(shape)
        if kind == "list":
            return self._collection(shape, rules, shape.member, None)
        if kind == "map":
            return self._collection(shape, rules, shape.value, shape.key)
        return _scalar(shape, rules) if rules else None

    def _rules(self, shape: Shape) -> list[Rule]:
        """The constraints of the shape itself, in AWS's order."""
        about = shape.metadata
        kind = shape.type_name
        rules: list[Rule] = []
        if shape.serialization.get("jsonvalue"):
            return rules
        low, high = about.get("min"), about.get("max")
        if kind in {"integer", "long", "float", "double"}:
            if high is not None:
                rules.append((lambda v: v <= high, f"Member must have value less than or equal to {high}"))
            if low is not None:
                rules.append((lambda v: v >= low, f"Member must have value greater than or equal to {low}"))
            return rules
        if high is not None:
            rules.append((lambda v: len(v) <= high, f"Member must have length less than or equal to {high}"))
        if low:
            rules.append((lambda v: len(v) >= low, f"Member must have length greater than or equal to {low}"))
        if "pattern" in about and kind == "string":
            rules.append(_pattern_rule(about["pattern"], high if high is not None else _NO_MAXIMUM))
        if about.get("enum") and (self._service, shape.name) not in OPEN_ENUMS:
            allowed = frozenset(about["enum"])
            rules.append((allowed.__contains__, f"Member must satisfy enum value set: [{', '.join(about['enum'])}]"))
        return rules

    def _structure(self, shape: Shape) -> Check:  # noqa: C901 - counts the closures in
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        members: list[tuple[str, str, bool, Check | None]] = []

        def check(value: Any, path: str, problems: list[str]) -> None:
            for name, wire_name, required, check_member in members:
                item = value.get(name)
                if item is None:
                    if required:
                        problems.append(_problem("null", f"{path}{wire_name}", NOT_NULL))
                elif check_member is not None:
                    check_member(item, f"{path}{wire_name}", problems)
                if len(problems) >= _MAX_PROBLEMS:
                    return

        def check_nested(value: Any, path: str, problems: list[str]) -> None:
            check(value, f"{path}." if path else "", problems)

        self._structures[shape.name] = check_nested
        for name, member in shape.members.items():
            check_member = self.check(member)
            required = name in shape.required_members
            if required or check_member is not None:
                members.append((name, _lower_first(name), required, check_member))
        return check_nested

    def _collection(self, shape: Shape, rules: list[Rule], item: Shape, key: Shape | None) -> Check | None:
        whole = _scalar(shape, rules)
        scalar_items = item.type_name not in {"structure", "list", "map"}
        if self._grouped and scalar_items:
            each = self._grouped_items(shape, item, key)
        else:
            each = self._single_items(item, key)

        def check(value: Any, path: str, problems: list[str]) -> None:
            whole(value, path, problems)
            each(value, path, problems)

        return check

    def _grouped_items(self, shape: Shape, item: Shape, key: Shape | None) -> Check:
        """All constraints on items are told at once, at the list."""
        hidden = _is_sensitive(shape)
        what = "Member" if key is None else "Map value"
        item_rules = self._rules(item)
        key_rules = [] if key is None else self._rules(key)

        def check(value: Any, path: str, problems: list[str]) -> None:
            values = value if key is None else value.values()
            for items, rules, words in ((value, key_rules, "Map keys"), (values, item_rules, what)):
                if not all(one is not None and all(holds(one) for holds, _ in rules) for one in items):
                    told = ", ".join([text for _, text in rules] + [NOT_NULL])
                    shown = None if hidden else _shown(value)
                    problems.append(_problem(shown, path, f"{words} must satisfy constraint: [{told}]"))

        return check

    def _single_items(self, item: Shape, key: Shape | None) -> Check:
        check_item = self.check(item)
        check_key = None if key is None else self.check(key)

        def check(value: Any, path: str, problems: list[str]) -> None:
            entries = value.items() if key is not None else enumerate(value, 1)
            for place, one in entries:
                at = f"{path}.{str(place)[:128]}.member"
                if check_key is not None:
                    check_key(place, f"{path}.key", problems)
                if one is None:
                    problems.append(_problem("null", at, NOT_NULL))
                elif check_item is not None:
                    check_item(one, at, problems)
                if len(problems) >= _MAX_PROBLEMS:
                    return

        return check


def _scalar(shape: Shape, rules: list[Rule]) -> Check:
    hidden = _is_sensitive(shape)

    def check(value: Any, path: str, problems: list[str]) -> None:
        for holds, words in rules:
            if not holds(value):
                problems.append(_problem(None if hidden else _shown(value), path, words))

    return check


def _pattern_rule(pattern: str, longest: int) -> Rule:
    """SECURITY: catastrophic backtracking. A value that is too long already is not shown to the pattern."""
    return (
        lambda value: len(value) > longest or patterns.compiled(pattern).fullmatch(value) is not None,
        f"Member must satisfy regular expression pattern: {pattern}",
    )


def _is_sensitive(shape: Shape) -> bool:
    """SECURITY: secrets in logs. Values of sensitive shapes and blobs are left out of messages, which are recorded."""
    if shape.type_name == "list":
        return bool(shape.metadata.get("sensitive")) or _is_sensitive(shape.member)
    if shape.type_name == "map":
        return bool(shape.metadata.get("sensitive")) or _is_sensitive(shape.value) or _is_sensitive(shape.key)
    return bool(shape.metadata.get("sensitive")) or shape.type_name == "blob"


def _shown(value: Any) -> str:
    """As Java would print it, cut after 1,024 characters."""
    text = f"'{_java(value)}'"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...'"


def _java(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_java, value[:_MAX_SHOWN]))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java(item)}" for key, item in list(value.items())[:_MAX_SHOWN]) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    return "null" if value is None else str(value)[:_MAX_SHOWN]


def _problem(shown: str | None, path: str, words: str) -> str:
    value = "Value" if shown is None else f"Value {shown}"
    return f"{value} at '{path}' failed to satisfy constraint: {words}"


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def compile_check(operation: OperationModel, checks: Checks) -> Callable[[Mapping[str, Any]], None]:
    """The check of one operation's parameters; raises ShapeInvalid with all problems in one sentence."""
    shape = operation.input_shape
    check = None if shape is None else checks.check(shape)

    def check_all(params: Mapping[str, Any]) -> None:
        if check is None:
            return
        problems: list[str] = []
        check(params, "", problems)
        if problems:
            count = len(problems)
            message = f"{count} validation error{'s' if count > 1 else ''} detected: {'; '.join(problems)}"
            raise ShapeInvalid(message)

    return check_all
