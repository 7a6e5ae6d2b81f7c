"""Reads YAML policy documents and test files, and keeps where everything stands in them."""

from __future__ import annotations

import json
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from leastwise.iam.authoring.positioned_json import Path, Place, PositionedDocument, Span, UnreadableText

_DEEPEST: Final = 32


def read_yaml(text: str) -> PositionedDocument:
    """Reads a YAML text. Dates stay text (`Version: 2012-10-17`); anchors, tags and several documents are refused.

    Raises:
        UnreadableText: it is not YAML, or not of this part of it.
    """
    try:
        # SECURITY: only composed, never constructed: a tag in somebody's file must not make an object here.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(line=1, column=0, offset=0) if mark is None else _place(mark)
        raise UnreadableText(error.problem or "not YAML", place) from error
    except (yaml.YAMLError, RecursionError) as error:
        reason = "not YAML"
        raise UnreadableText(reason, Place(line=1, column=0, offset=0)) from error
    if root is None:
        reason = "it is empty"
        raise UnreadableText(reason, Place(line=1, column=0, offset=0))
    reader = _YamlReader()
    value = reader.value(root, ())
    return PositionedDocument(
        value=value, values=reader.values, names=reader.names, duplicates=tuple(reader.duplicates)
    )


class _YamlReader:
    def __init__(self) -> None:
        self.values: dict[Path, Span] = {}
        self.names: dict[Path, Span] = {}
        self.duplicates: list[Path] = []
        self._seen: set[int] = set()

    def value(self, node: Node, path: Path) -> Any:
        # SECURITY: an alias is the same node again; a few of them nested stand for gigabytes.
        if id(node) in self._seen or len(path) > _DEEPEST:
            reason = "anchors are not supported" if id(node) in self._seen else "nested too deeply"
            raise UnreadableText(reason, _place(node.start_mark))
        self._seen.add(id(node))
        self.values[path] = _span(node)
        if isinstance(node, MappingNode):
            result: dict[str, Any] = {}
            for name_node, value_node in node.value:
                name = str(name_node.value)
                here = (*path, name)
                if name in result:
                    self.duplicates.append(here)
                self.names[here] = _span(name_node)
                result[name] = self.value(value_node, here)
            return result
        if isinstance(node, SequenceNode):
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(node)


def _scalar(node: Node) -> Any:
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "bool":
        return text.lower() in {"true", "yes", "on"}
    if kind == "null":
        return None
    if kind in {"int", "float"}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    if kind in {"str", "timestamp"}:
        return text
    reason = f"{node.tag} is not supported"
    raise UnreadableText(reason, _place(node.start_mark))


def _span(node: Node) -> Span:
    return Span(start=_place(node.start_mark), end=_place(node.end_mark))


def _place(mark: Any) -> Place:
    return Place(line=mark.line + 1, column=mark.column, offset=mark.index)
