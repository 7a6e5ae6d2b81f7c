"""JSON bodies, both ways: one closure per shape, made once, called for every value.

Readers take what the JSON decoder gives and return parameters; writers take results and return what the JSON encoder
takes. Members that are null are absent; nulls inside lists and maps stay, so that the shape check can name them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
from botocore.model import Shape

from leastwise.api.protocol import scalars
from leastwise.api.protocol.wire import NotJson, Unparseable
from leastwise.kernel.errors import Bug

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]

_DECODER: Final = msgspec.json.Decoder()
_ENCODER: Final = msgspec.json.Encoder()
_TOKENS: Final = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}


def decode(body: bytes) -> Any:
    """Raises NotJson: not JSON, or nested too deeply."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"Could not parse request body into json: {error}"
        raise NotJson(message) from error


def encode(value: Any) -> bytes:
    return _ENCODER.encode(value)


def _unexpected(value: Any, wanted: str) -> Unparseable:
    """The refusal in the words of AWS's JSON front end."""
    if isinstance(value, dict):
        return Unparseable("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return Unparseable("Start of list found where not expected")
    if isinstance(value, bool):
        return Unparseable(f"{'TRUE' if value else 'FALSE'}_VALUE can not be converted to {wanted}")
    return Unparseable(f"{_TOKENS.get(type(value), 'NULL_VALUE')} can not be converted to {wanted}")


class JsonReaders:
    """Makes readers for the shapes of one service. Structures are made once; recursive ones find themselves."""

    def __init__(self) -> None:
        self._structures: dict[str, Reader] = {}

    def reader(self, shape: Shape) -> Reader:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            return self._list(shape)
        if kind == "map":
            return self._map(shape)
        return scalar_reader(shape)

    def _structure(self, shape: Shape) -> Reader:
        if shape.is_document_type:
            return lambda value: value
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        members: list[tuple[str, str, Reader]] = []

        def read(value: Any) -> Any:
            if not isinstance(value, dict):
                raise _unexpected(value, "a structure")
            out = {}
            for wire_name, name, read_member in members:
                raw = value.get(wire_name)
                if raw is not None:
                    out[name] = read_member(raw)
            return out

        self._structures[shape.name] = read
        for name, member in shape.members.items():
            members.append((member.serialization.get("name", name), name, self.reader(member)))
        return read

    def _list(self, shape: Shape) -> Reader:
        read_item = self.reader(shape.member)

        def read(value: Any) -> Any:
            if not isinstance(value, list):
                raise _unexpected(value, "a list")
            return [None if item is None else read_item(item) for item in value]

        return read

    def _map(self, shape: Shape) -> Reader:
        read_item = self.reader(shape.value)

        def read(value: Any) -> Any:
            if not isinstance(value, dict):
                raise _unexpected(value, "a map")
            return {key: None if item is None else read_item(item) for key, item in value.items()}

        return read


def _read_string(value: Any) -> str:
    if not isinstance(value, str):
        raise _unexpected(value, "a String")
    return value


def _read_boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _unexpected(value, "a Boolean")
    return value


def _read_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        if isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"}:
            return scalars.read_float(value)
        raise _unexpected(value, "a Double")
    return value


def _read_blob(value: Any) -> bytes:
    if not isinstance(value, str):
        raise _unexpected(value, "a Blob")
    return scalars.read_blob(value)


def _integer_reader(kind: str) -> Reader:
    wanted = "a Long" if kind == "long" else "an Integer"

    def read(value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _unexpected(value, wanted)
        return scalars.checked_integer(value, kind=kind)

    return read


def _timestamp_reader(form: str) -> Reader:
    def read(value: Any) -> datetime:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise _unexpected(value, "a Timestamp")
        return scalars.read_timestamp(value, form=form)

    return read


_READERS: Final[Mapping[str, Reader]] = {
    "string": _read_string,
    "character": _read_string,
    "boolean": _read_boolean,
    "float": _read_float,
    "double": _read_float,
    "blob": _read_blob,
    "integer": _integer_reader("integer"),
    "long": _integer_reader("long"),
}


def scalar_reader(shape: Shape) -> Reader:
    if shape.type_name == "timestamp":
        return _timestamp_reader(shape.serialization.get("timestampFormat", "unixTimestamp").lower())
    return _READERS[shape.type_name]


class JsonWriters:
    """Makes writers for the shapes of one service."""

    def __init__(self) -> None:
        self._structures: dict[str, Writer] = {}

    def writer(self, shape: Shape) -> Writer:
        kind = shape.type_name
        if kind == "structure":
            return self._structure(shape)
        if kind == "list":
            write_item = self.writer(shape.member)
            return lambda value: [None if item is None else write_item(item) for item in value]
        if kind == "map":
            write_value = self.writer(shape.value)
            return lambda value: {k: None if v is None else write_value(v) for k, v in value.items()}
        if kind == "timestamp":
            form = shape.serialization.get("timestampFormat", "unixTimestamp").lower()
            return lambda value: scalars.write_timestamp(value, form=form)
        return _WRITERS.get(kind, _same)

    def _structure(self, shape: Shape) -> Writer:
        if shape.is_document_type:
            return _same
        known = self._structures.get(shape.name)
        if known is not None:
            return known
        members: dict[str, tuple[str, Writer]] = {}
        write = structure_writer(shape.name, members)
        self._structures[shape.name] = write
        for name, member in shape.members.items():
            members[name] = (member.serialization.get("name", name), self.writer(member))
        return write


def structure_writer(shape_name: str, members: Mapping[str, tuple[str, Writer]]) -> Writer:
    """A writer of the given members; anything else in the value is an error of ours, not silently lost."""

    def write(value: Mapping[str, Any]) -> dict[str, Any]:
        out = {}
        for name, item in value.items():
            if item is None:
                continue
            member = members.get(name)
            if member is None:
                message = f"{shape_name} has no member {name}"
                raise Bug(message)
            out[member[0]] = member[1](item)
        return out

    return write


def _same(value: Any) -> Any:
    return value


_WRITERS: Final[Mapping[str, Writer]] = {
    "float": scalars.write_float,
    "double": scalars.write_float,
    "blob": scalars.write_blob,
}
