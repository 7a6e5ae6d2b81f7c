"""Finding the handler, and what a caller is told when something fails.

Source: payloads recorded on AWS: key order errorMessage, errorType, requestId, stackTrace; frames of the runtime itself
are not shown.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from types import TracebackType
from typing import Any

from leastwise.guest import python_json

_RUNTIME_FILES = "/var/guest/"


class Fault(Exception):
    """A failure that the runtime itself names (`Runtime.HandlerNotFound`, ...)."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = "Runtime." + kind
        self.trace = trace or []


def find_handler(name: str) -> Any:
    """The callable behind `module.function` (`pkg/module.function` works too).

    Raises:
        Fault: MalformedHandlerName, BuiltInModuleConflict, ImportModuleError, UserCodeSyntaxError, HandlerNotFound.
        Exception: whatever the module raises while it is imported.
    """
    try:
        module_name, function_name = name.rsplit(".", 1)
    except ValueError as error:
        raise Fault("MalformedHandlerName", "Bad handler '%s': %s" % (name, error)) from None
    if module_name.split(".")[0] in sys.builtin_module_names:
        raise Fault("BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % module_name)
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault("ImportModuleError", "Unable to import module '%s': %s" % (module_name, error)) from None
    except SyntaxError as error:
        trace = ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)]
        raise Fault("UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, error), trace) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        raise Fault("HandlerNotFound", "Handler '%s' missing on module '%s'" % (function_name, module_name)) from None


def unmarshal(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except Exception as error:
        raise Fault("UnmarshalError", "Unable to unmarshal input: %s" % error) from None


def marshal(value: object, ascii_only: bool) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return python_json.encode(value, ascii_only=ascii_only)
    except Exception as error:
        raise Fault("MarshalError", "Unable to marshal response: %s" % error) from None


def describe(exception_info: tuple[Any, Any, Any], request_id: str) -> dict[str, Any]:
    """The error payload of one failed invocation."""
    kind, value, trace = exception_info
    if isinstance(value, Fault):
        return _payload(str(value), value.kind, value.trace, request_id)
    return _payload(_text(value), kind.__name__, traceback.format_list(_frames(trace)), request_id)


def describe_init_failure(exception_info: tuple[Any, Any, Any]) -> dict[str, Any]:
    """The error payload of a failed init phase: the same with an empty request id."""
    return describe(exception_info, "")


def warm_up() -> None:
    try:
        raise ValueError("warm")
    except ValueError:
        python_json.encode(describe(sys.exc_info(), ""), ascii_only=True)


def _payload(message: str, kind: str, trace: list[str], request_id: str) -> dict[str, Any]:
    return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": trace}


def _text(value: BaseException) -> str:
    try:
        return str(value)
    except Exception:
        return ""


def _frames(trace: TracebackType | None) -> list[Any]:
    """(file, line, name, text) of every frame from the first that is not the runtime's own."""
    frames = [(frame.filename, frame.lineno, frame.name, frame.line) for frame in traceback.extract_tb(trace)]
    for index, frame in enumerate(frames):
        if not frame[0].startswith(_RUNTIME_FILES):
            return frames[index:]
    return frames
