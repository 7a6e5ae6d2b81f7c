"""Which rest-json operation a method and a URI name.

Source: Smithy 2.0, "HTTP bindings", http trait, uri conflicts: literals win over labels, a greedy label (`{Key+}`)
takes several segments, query literals must be present.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes

from leastwise.api.protocol.wire import Unparseable

Labels = dict[str, str]
_LABEL: Final = b"{"


@dataclass(slots=True)
class _Node:
    """What can follow a prefix of segments."""

    literals: dict[bytes, _Node] = field(default_factory=dict)
    label: _Node | None = None
    greedy: _Node | None = None
    ends: list[_End] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _End:
    operation: str
    labels: tuple[str, ...]
    literals: frozenset[tuple[str, str]]


class Routes:
    """All URI templates of one service.

    Args:
        templates: (operation name, HTTP method, requestUri).
    """

    def __init__(self, templates: Iterable[tuple[str, str, str]]) -> None:
        self._roots: dict[str, _Node] = {}
        for operation, method, uri in templates:
            self._add(operation, method, uri)

    def _add(self, operation: str, method: str, uri: str) -> None:
        path, _, query = uri.partition("?")
        node = self._roots.setdefault(method, _Node())
        labels = []
        for segment in _segments(path.encode()):
            if not segment.startswith(_LABEL):
                node = node.literals.setdefault(segment, _Node())
                continue
            name = segment[1:-1].decode()
            labels.append(name.rstrip("+"))
            if name.endswith("+"):
                node.greedy = node.greedy or _Node()
                node = node.greedy
            else:
                node.label = node.label or _Node()
                node = node.label
        literals = frozenset(parse_qsl(query, keep_blank_values=True))
        node.ends.append(_End(operation, tuple(labels), literals))
        node.ends.sort(key=lambda end: -len(end.literals))

    def find(self, method: str, path: bytes, query: dict[str, list[str]]) -> tuple[str, Labels] | None:
        """The operation and its decoded labels, or None.

        Args:
            method: upper case.
            path: percent-encoded, normalized.
            query: decoded parameters.

        Raises:
            Unparseable: a label is not UTF-8.
        """
        root = self._roots.get(method)
        if root is None:
            return None
        found = _walk(root, _segments(path), 0, (), query)
        if found is None:
            return None
        end, values = found
        return end.operation, dict(zip(end.labels, map(decode_label, values), strict=True))


def _segments(path: bytes) -> list[bytes]:
    """The path without its leading and its trailing slash, cut at the others."""
    inner = path[1:-1] if path.endswith(b"/") else path[1:]
    return inner.split(b"/") if inner else []


def _walk(  # noqa: C901 - one search, in the order of precedence
    node: _Node, segments: list[bytes], at: int, values: tuple[bytes, ...], query: dict[str, list[str]]
) -> tuple[_End, tuple[bytes, ...]] | None:
    if at == len(segments):
        for end in node.ends:
            if all(value in query.get(name, ()) for name, value in end.literals):
                return end, values
        return None
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None:
        found = _walk(literal, segments, at + 1, values, query)
        if found is not None:
            return found
    if node.label is not None and segment:
        found = _walk(node.label, segments, at + 1, (*values, segment), query)
        if found is not None:
            return found
    if node.greedy is not None and segment:
        suffixes = (len(segments),) if not node.greedy.literals else range(len(segments), at, -1)
        for stop in suffixes:
            found = _walk(node.greedy, segments, stop, (*values, b"/".join(segments[at:stop])), query)
            if found is not None:
                return found
    return None


def decode_label(value: bytes) -> str:
    """Raises Unparseable: not UTF-8."""
    try:
        return (unquote_to_bytes(value) if b"%" in value else value).decode()
    except UnicodeDecodeError as error:
        message = "URI is not valid UTF-8"
        raise Unparseable(message) from error
