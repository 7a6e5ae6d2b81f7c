"""The query protocol: form parameters in (`Tags.member.1.Key=...`), XML out.

Source: Smithy 2.0, "AWS query protocol".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes
from xml.sax.saxutils import escape, quoteattr

from botocore.model import OperationModel, Shape

from leastwise.api.protocol import scalars
from leastwise.api.protocol.rest_json import is_signature_member, text_reader
from leastwise.api.protocol.wire import Unparseable, WireRequest, WireResponse
from leastwise.kernel.errors import Bug

Tree = dict[str, Any]
TreeReader = Callable[[Tree], Any]
XmlWriter = Callable[[list[str], str, Any], None]
XML_TYPE: Final = (b"content-type", b"text/xml")
_LEAF: Final = ""
_MAX_DEPTH: Final = 40
_MAX_PARAMETERS: Final = 20_000
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def read_form(request: WireRequest) -> tuple[dict[str, str], Unparseable | None]:
    """All parameters of the request: query string and form body, without those of a presigned signature.

    Returns:
        the parameters, and what is wrong with them: not UTF-8, too many, or one given twice.
    """
    form: dict[str, str] = {}
    problem: Unparseable | None = None
    for raw, plus_is_space in ((request.query, False), (request.body, True)):
        pairs = raw.split(b"&", _MAX_PARAMETERS)
        if len(pairs) > _MAX_PARAMETERS:
            return form, Unparseable(f"More than {_MAX_PARAMETERS} parameters")
        for pair in filter(None, pairs):
            name, _, value = pair.partition(b"=")
            try:
                key, text = _decode(name, plus_is_space=plus_is_space), _decode(value, plus_is_space=plus_is_space)
            except Unparseable as error:
                problem = error
                continue
            if is_signature_member(key):
                continue
            if key in form:
                # SECURITY: parameter pollution. Whichever of two values we took, something could have looked at the
                # other: the first one names the operation, and the call is refused.
                problem = Unparseable(f"Parameter {key[:64]} is given more than once")
                continue
            form[key] = text
    return form, problem


def read_query(query: bytes) -> dict[str, list[str]]:
    """Decoded parameters of a query string. A plus sign is a plus sign, as the signature sees it.

    Raises:
        Unparseable: not UTF-8.
    """
    found: dict[str, list[str]] = {}
    for pair in query.split(b"&") if query else ():
        if pair:
            name, _, value = pair.partition(b"=")
            found.setdefault(_decode(name, plus_is_space=False), []).append(_decode(value, plus_is_space=False))
    return found


def _decode(raw: bytes, *, plus_is_space: bool) -> str:
    if plus_is_space and b"+" in raw:
        raw = raw.replace(b"+", b" ")
    try:
        return (unquote_to_bytes(raw) if b"%" in raw else raw).decode()
    except UnicodeDecodeError as error:
        message = "Parameters are not valid UTF-8"
        raise Unparseable(message) from error


def _plant(form: Mapping[str, str]) -> Tree:
    """Dotted names as a tree; the value of a name itself stands under the empty key."""
    root: Tree = {}
    for name, value in form.items():
        node = root
        parts = name.split(".", _MAX_DEPTH)
        if len(parts) > _MAX_DEPTH:
            message = "Parameters are nested too deeply"
            raise Unparseable(message)
        for part in parts:
            node = node.setdefault(part, {})
        node[_LEAF] = value
    return root


class TreeReaders:
    """Makes readers for the shapes of one service."""

    def __init__(self) -> None:
        self._structures: dict[str, TreeReader] = {}

    def reader(self, shape: Shape) -> TreeReader:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            return self._list(shape)
        if kind == "map":
            return self._map(shape)
        read_text = text_reader(shape, timestamps="iso8601")

        def read(node: Tree) -> Any:
            value = node.get(_LEAF)
            if value is None:
                message = "Start of structure or map found where not expected."
                raise Unparseable(message)
            return read_text(value)

        return read

    def _structure(self, shape: Shape) -> TreeReader:
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        members: list[tuple[str, str, TreeReader]] = []

        def read(node: Tree) -> Any:
            return {name: read_member(node[wire]) for wire, name, read_member in members if wire in node}

        self._structures[shape.name] = read
        for name, member in shape.members.items():
            read_member = self.reader(member)
            # botocore calls a flattened list by the name of its items, other SDKs by the list's own.
            names = {member.serialization.get("name", name), wire_name(name, member)}
            members.extend((wire, name, read_member) for wire in names)
        return read

    def _list(self, shape: Shape) -> TreeReader:
        read_item = self.reader(shape.member)
        item_name = None if shape.serialization.get("flattened") else shape.member.serialization.get("name", "member")
        return lambda node: [read_item(item) for item in _numbered(node, item_name)]

    def _map(self, shape: Shape) -> TreeReader:
        read_key, read_value = self.reader(shape.key), self.reader(shape.value)
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        entry_name = None if shape.serialization.get("flattened") else "entry"

        def read(node: Tree) -> Any:
            out = {}
            for entry in _numbered(node, entry_name):
                if key_name not in entry or value_name not in entry:
                    message = "A map entry needs a key and a value"
                    raise Unparseable(message)
                out[read_key(entry[key_name])] = read_value(entry[value_name])
            return out

        return read


def _numbered(node: Tree, item_name: str | None) -> list[Tree]:
    """The items of a list in the order of their numbers. `Name=` alone is the empty list."""
    items = node.get(item_name, {}) if item_name else node
    numbers = [key for key in items if key != _LEAF]
    if any(not key.isascii() or not key.isdigit() or len(key) > 6 for key in numbers):  # noqa: PLR2004 - a million items
        message = "Start of structure or map found where not expected."
        raise Unparseable(message)
    return [items[key] for key in sorted(numbers, key=int)]


def wire_name(name: str, member: Shape) -> str:
    """What a member is called on the wire; a flattened list goes by the name of its items."""
    if member.type_name == "list" and member.serialization.get("flattened"):
        item_name: str | None = member.member.serialization.get("name")
        if item_name is not None:
            return item_name
    return str(member.serialization.get("name", name))


def compile_parser(operation: OperationModel, readers: TreeReaders) -> Callable[[Mapping[str, str]], dict[str, Any]]:
    """The parser of one operation: form -> parameters."""
    shape = operation.input_shape
    if shape is None:
        return lambda _form: {}
    read = readers.reader(shape)

    def parse(form: Mapping[str, str]) -> dict[str, Any]:
        params: dict[str, Any] = read(_plant(form))
        return params

    return parse


class XmlWriters:
    """Makes writers for the shapes of one service."""

    def __init__(self) -> None:
        self._structures: dict[str, XmlWriter] = {}

    def writer(self, shape: Shape) -> XmlWriter:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            return self._list(shape)
        if kind == "map":
            return self._map(shape)
        text = _text_of(shape)

        def write(out: list[str], tag: str, value: Any) -> None:
            out.append(f"<{tag}>{text(value)}</{tag.partition(' ')[0]}>")

        return write

    def _structure(self, shape: Shape) -> XmlWriter:
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        members: dict[str, tuple[str, XmlWriter]] = {}
        attributes: dict[str, str] = {}

        def write(out: list[str], tag: str, value: Mapping[str, Any]) -> None:
            written = "".join(
                f" {attributes[name]}={quoteattr(xml_text(str(item)))}"
                for name, item in value.items()
                if name in attributes
            )
            out.append(f"<{tag}{written}>")
            for name, item in value.items():
                if item is None or name in attributes:
                    continue
                member = members.get(name)
                if member is None:
                    message = f"{shape.name} has no member {name}"
                    raise Bug(message)
                member[1](out, member[0], item)
            out.append(f"</{tag.partition(' ')[0]}>")

        self._structures[shape.name] = write
        for name, member in shape.members.items():
            if member.serialization.get("xmlAttribute"):
                attributes[name] = member.serialization["name"]
            members[name] = (wire_name(name, member) + _namespace(member), self.writer(member))
        return write

    def _list(self, shape: Shape) -> XmlWriter:
        write_item = self.writer(shape.member)
        if shape.serialization.get("flattened"):

            def write_flat(out: list[str], tag: str, value: list[Any]) -> None:
                for item in value:
                    write_item(out, tag, item)

            return write_flat
        item_tag = shape.member.serialization.get("name", "member") + _namespace(shape.member)

        def write(out: list[str], tag: str, value: list[Any]) -> None:
            out.append(f"<{tag}>")
            for item in value:
                write_item(out, item_tag, item)
            out.append(f"</{tag.partition(' ')[0]}>")

        return write

    def _map(self, shape: Shape) -> XmlWriter:
        write_key, write_value = self.writer(shape.key), self.writer(shape.value)
        key_tag = shape.key.serialization.get("name", "key")
        value_tag = shape.value.serialization.get("name", "value")
        flat = bool(shape.serialization.get("flattened"))

        def write(out: list[str], tag: str, value: Mapping[str, Any]) -> None:
            entry = tag if flat else "entry"
            if not flat:
                out.append(f"<{tag}>")
            for key, item in value.items():
                out.append(f"<{entry}>")
                write_key(out, key_tag, key)
                write_value(out, value_tag, item)
                out.append(f"</{entry.partition(' ')[0]}>")
            if not flat:
                out.append(f"</{tag.partition(' ')[0]}>")

        return write


def _namespace(shape: Shape) -> str:
    given = shape.serialization.get("xmlNamespace")
    if not given:
        return ""
    if isinstance(given, str):
        return f" xmlns={quoteattr(given)}"
    prefix = f":{given['prefix']}" if given.get("prefix") else ""
    return f" xmlns{prefix}={quoteattr(given['uri'])}"


def xml_text(value: str) -> str:
    """Characters that XML 1.0 cannot hold become U+FFFD."""
    return _NOT_XML.sub("\ufffd", value)


def _text_of(shape: Shape) -> Callable[[Any], str]:
    kind = shape.type_name
    if kind == "timestamp":
        form = shape.serialization.get("timestampFormat", "iso8601").lower()
        return lambda value: str(scalars.write_timestamp(value, form=form))
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind == "blob":
        return scalars.write_blob
    if kind in {"float", "double"}:
        return lambda value: str(scalars.write_float(value))
    return lambda value: escape(xml_text(str(value)), {"\r": "&#xD;"})


def compile_responder(
    operation: OperationModel, writers: XmlWriters, *, namespace: str
) -> Callable[[Mapping[str, Any], str], WireResponse]:
    """The serializer of one operation: (result, request id) -> response."""
    shape = operation.output_shape
    write = writers.writer(shape) if shape is not None else None
    opening = f"{operation.name}Response xmlns={quoteattr(namespace)}" if namespace else f"{operation.name}Response"
    wrapper = (shape.serialization.get("resultWrapper") if shape is not None else None) or f"{operation.name}Result"

    def respond(result: Mapping[str, Any], request_id: str) -> WireResponse:
        out = [f"<{opening}>"]
        if write is not None:
            write(out, wrapper, result)
        out.append(
            f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation.name}Response>"
        )
        return WireResponse(status=200, headers=[XML_TYPE], body="".join(out).encode())

    return respond
