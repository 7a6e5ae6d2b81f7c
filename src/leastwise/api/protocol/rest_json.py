"""rest-json: members bound to labels, query strings, headers, status code and payload; the rest is a JSON body.

Source: Smithy 2.0, "AWS restJson1 protocol" and "HTTP bindings".
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from botocore.model import OperationModel, Shape

from leastwise.api.protocol import json_body, scalars
from leastwise.api.protocol.json_body import JsonReaders, JsonWriters, Reader, Writer
from leastwise.api.protocol.wire import HeaderList, Unparseable, WireRequest, WireResponse
from leastwise.kernel.errors import Bug

Query = dict[str, list[str]]
Bind = Callable[[dict[str, Any], WireRequest, Mapping[str, str], Query], None]
Parse = Callable[[WireRequest, Mapping[str, str], Query], dict[str, Any]]
Respond = Callable[[Mapping[str, Any]], WireResponse]
JSON_TYPE: Final = (b"content-type", b"application/json")
_QUOTED_OR_PLAIN: Final = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)')
_HEADER_UNSAFE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def compile_parser(operation: OperationModel, readers: JsonReaders) -> Parse:
    """The parser of one operation: request, labels and query string -> parameters."""
    shape = operation.input_shape
    if shape is None:
        return lambda _request, _labels, _query: {}
    binds: list[Bind] = []
    body_members: list[tuple[str, str, Reader]] = []
    payload = shape.serialization.get("payload")
    for name, member in shape.members.items():
        wire_name = member.serialization.get("name", name)
        location = _location(member)
        if name == payload:
            binds.append(_bind_payload(name, member, readers))
        elif location is None:
            body_members.append((wire_name, name, readers.reader(member)))
        else:
            binds.append(_BINDERS[location](name, wire_name, member))
    if body_members and payload is None:
        binds.append(_bind_body(body_members))

    def parse(request: WireRequest, labels: Mapping[str, str], query: Query) -> dict[str, Any]:
        params: dict[str, Any] = {}
        for bind in binds:
            bind(params, request, labels, query)
        return params

    return parse


def _location(member: Shape) -> str | None:
    location: str | None = member.serialization.get("location")
    return location


def _bind_body(members: list[tuple[str, str, Reader]]) -> Bind:
    def bind(params: dict[str, Any], request: WireRequest, _labels: Mapping[str, str], _query: Query) -> None:
        if not request.body:
            return
        value = json_body.decode(request.body)
        if not isinstance(value, dict):
            message = "Start of list found where not expected" if isinstance(value, list) else "Expected an object"
            raise Unparseable(message)
        for wire_name, name, read in members:
            raw = value.get(wire_name)
            if raw is not None:
                params[name] = read(raw)

    return bind


def _bind_payload(name: str, member: Shape, readers: JsonReaders) -> Bind:
    kind = member.type_name
    read = readers.reader(member)

    def bind(params: dict[str, Any], request: WireRequest, _labels: Mapping[str, str], _query: Query) -> None:
        if not request.body:
            return
        if kind == "blob":
            params[name] = request.body
        elif kind == "string":
            params[name] = _text(request.body)
        else:
            value = json_body.decode(request.body)
            if value is not None:
                params[name] = read(value)

    return bind


def _bind_label(name: str, wire_name: str, member: Shape) -> Bind:
    read = text_reader(member, timestamps="iso8601")

    def bind(params: dict[str, Any], _request: WireRequest, labels: Mapping[str, str], _query: Query) -> None:
        params[name] = read(labels[wire_name])

    return bind


def _bind_query(name: str, wire_name: str, member: Shape) -> Bind:
    if member.type_name == "map":
        many = member.value.type_name == "list"

        def bind(params: dict[str, Any], _request: WireRequest, _labels: Mapping[str, str], query: Query) -> None:
            given = {key: values for key, values in query.items() if not is_signature_member(key)}
            if given:
                params[name] = given if many else {key: _single(key, values) for key, values in given.items()}

        return bind
    is_list = member.type_name == "list"
    read = text_reader(member.member if is_list else member, timestamps="iso8601")

    def bind_one(params: dict[str, Any], _request: WireRequest, _labels: Mapping[str, str], query: Query) -> None:
        values = query.get(wire_name)
        if values is not None:
            params[name] = [read(value) for value in values] if is_list else read(_single(wire_name, values))

    return bind_one


def _single(name: str, values: list[str]) -> str:
    """SECURITY: parameter pollution. Two values for a single-valued parameter are refused: whichever one we took, some
    policy, proxy or log could have looked at the other.
    """
    if len(values) > 1:
        message = f"Parameter {name[:64]} is given more than once"
        raise Unparseable(message)
    return values[0]


def is_signature_member(key: str) -> bool:
    """Whether a query parameter belongs to a presigned request's signature and not to the operation."""
    return key[:6].lower() == "x-amz-"


def _bind_header(name: str, wire_name: str, member: Shape) -> Bind:
    key = wire_name.lower().encode()
    if member.type_name == "list":
        read_item = text_reader(member.member, timestamps="rfc822")
        split = _split_dates if _is_http_date(member.member) else _split_list

        read: Callable[[str], Any] = lambda text: [read_item(item) for item in split(text)]  # noqa: E731 - one of two
    else:
        read = text_reader(member, timestamps="rfc822")

    def bind(params: dict[str, Any], request: WireRequest, _labels: Mapping[str, str], _query: Query) -> None:
        raw = request.headers.get(key)
        if raw is not None:
            params[name] = read(_text(raw))

    return bind


def _bind_prefix_headers(name: str, prefix: str, _member: Shape) -> Bind:
    key = prefix.lower().encode()

    def bind(params: dict[str, Any], request: WireRequest, _labels: Mapping[str, str], _query: Query) -> None:
        found = {_text(h[len(key) :]): _text(v) for h, v in request.headers.items() if h.startswith(key)}
        if found:
            params[name] = found

    return bind


_BINDERS: Final[Mapping[str, Callable[[str, str, Shape], Bind]]] = {
    "uri": _bind_label,
    "querystring": _bind_query,
    "header": _bind_header,
    "headers": _bind_prefix_headers,
}


def _text(raw: bytes) -> str:
    """UTF-8 as SDKs send it, else Latin-1 as HTTP has it."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _is_http_date(member: Shape) -> bool:
    return bool(
        member.type_name == "timestamp" and member.serialization.get("timestampFormat", "rfc822").lower() == "rfc822"
    )


def _split_dates(text: str) -> list[str]:
    """HTTP dates hold one comma each."""
    parts = text.split(",")
    return [f"{parts[at]},{parts[at + 1]}".strip() for at in range(0, len(parts) - 1, 2)]


def _split_list(text: str) -> list[str]:
    if '"' not in text:
        return [item.strip() for item in text.split(",")]
    items = []
    for match in _QUOTED_OR_PLAIN.finditer(text):
        if match.end() == match.start():
            break
        quoted = match.group(1)
        items.append(re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match.group(2).strip())
    return items


def text_reader(shape: Shape, *, timestamps: str) -> Callable[[str], Any]:
    """A reader for a scalar that stands in a header, a label, a query string or a form."""
    kind = shape.type_name
    if kind == "timestamp":
        form = shape.serialization.get("timestampFormat", timestamps).lower()
        return lambda text: scalars.read_timestamp(text, form=form)
    if kind in {"integer", "long"}:
        return lambda text: scalars.read_integer(text, kind=kind)
    if kind == "string" and shape.serialization.get("jsonvalue"):
        return _read_json_value
    return _TEXT_READERS[kind]


def _read_json_value(text: str) -> Any:
    try:
        return msgspec.json.decode(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        message = "Header is not base64 of JSON"
        raise Unparseable(message) from error


_TEXT_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "string": str,
    "character": str,
    "boolean": scalars.read_boolean,
    "float": scalars.read_float,
    "double": scalars.read_float,
    "blob": scalars.read_blob,
}


def compile_responder(operation: OperationModel, writers: JsonWriters) -> Respond:  # noqa: C901 - counts the closure in
    """The serializer of one operation: result -> response (without the request id)."""
    status = int(operation.http.get("responseCode", 200))
    shape = operation.output_shape
    if shape is None:
        return lambda _result: _response(status, [], b"")
    payload = shape.serialization.get("payload")
    head: dict[str, tuple[str, str, Callable[[Any], Any]]] = {}
    body: dict[str, tuple[str, Writer]] = {}
    for name, member in shape.members.items():
        location = _location(member)
        wire_name = member.serialization.get("name", name)
        if location is None or name == payload:
            body[name] = (wire_name, writers.writer(member))
        else:
            head[name] = (location, wire_name, _identity if location == "headers" else text_writer(member))
    payload_kind = shape.members[payload].type_name if payload else ""
    write_payload = body.pop(payload)[1] if payload else _identity
    write_body = json_body.structure_writer(shape.name, body)

    def respond(result: Mapping[str, Any]) -> WireResponse:
        headers: HeaderList = []
        code = status
        rest: dict[str, Any] = {}
        for name, value in result.items():
            bound = head.get(name)
            if bound is None:
                rest[name] = value
            elif value is None:
                continue
            elif bound[0] == "statusCode":
                code = int(value)
            elif bound[0] == "headers":
                headers.extend(header(bound[1] + key, item) for key, item in value.items())
            else:
                headers.append(header(bound[1], bound[2](value)))
        if payload is None:
            return _response(code, [JSON_TYPE, *headers], json_body.encode(write_body(rest)))
        content = rest.pop(payload, None)
        write_body(rest)  # refuses members that the shape does not have
        if payload_kind in {"blob", "string"}:
            return _response(code, headers, content.encode() if isinstance(content, str) else bytes(content or b""))
        written = write_payload({} if content is None else content)
        return _response(code, [JSON_TYPE, *headers], json_body.encode(written))

    return respond


def _response(status: int, headers: HeaderList, body: bytes) -> WireResponse:
    """SOURCE: RFC 9110 section 15.3.5: a 204 has no content."""
    return WireResponse(status=status, headers=headers, body=b"" if status == 204 else body)  # noqa: PLR2004


def _identity(value: Any) -> Any:
    return value


def header(name: str, value: str) -> tuple[bytes, bytes]:
    """One response header.

    SECURITY: response splitting. A value with a line break would let whoever chose it write headers and bodies.
    """
    if _HEADER_UNSAFE.search(value) or _HEADER_UNSAFE.search(name):
        message = f"header {name!r} would hold control characters"
        raise Bug(message)
    return name.lower().encode(), value.encode()


def text_writer(shape: Shape) -> Callable[[Any], str]:
    """A writer for a scalar or list that stands in a response header."""
    kind = shape.type_name
    if kind == "timestamp":
        form = shape.serialization.get("timestampFormat", "rfc822").lower()
        return lambda value: _written_date(value, form)
    if kind == "list":
        write_item = text_writer(shape.member)
        quote = shape.member.type_name == "string"
        return lambda value: ", ".join(_quoted(write_item(item)) if quote else write_item(item) for item in value)
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind in {"float", "double"}:
        return lambda value: str(scalars.write_float(value))
    if kind == "blob":
        return scalars.write_blob
    if kind == "string" and shape.serialization.get("jsonvalue"):
        return lambda value: scalars.write_blob(json.dumps(value, separators=(",", ":")))
    return str


def _written_date(value: datetime, form: str) -> str:
    return str(scalars.write_timestamp(value, form=form))


def _quoted(item: str) -> str:
    if '"' in item or "," in item:
        return '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return item
