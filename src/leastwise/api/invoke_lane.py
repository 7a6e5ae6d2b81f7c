"""The fast lane of lambda:Invoke: the same parameters as the model-driven parser gives, without the model.

Only what is plainly right takes this lane. Anything else (an odd name, a repeated header, a member that is rare) is
left to the model, which also words what is wrong. A property test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from leastwise.api.protocol.rest_json import header
from leastwise.api.protocol.wire import HeaderList, WireResponse

OPERATION: Final = "Invoke"
_HEAD: Final = b"/2015-03-31/functions/"
_TAIL: Final = b"/invocations"
_NAME: Final = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_QUALIFIER: Final = re.compile(rb"Qualifier=(?:([A-Za-z0-9_-]{1,128})|(?:%24|\$)LATEST)")
_TYPES: Final[Mapping[bytes | None, str | None]] = {
    None: None,
    b"RequestResponse": "RequestResponse",
    b"Event": "Event",
    b"DryRun": "DryRun",
}
_LOG_TYPES: Final[Mapping[bytes | None, str | None]] = {None: None, b"None": "None", b"Tail": "Tail"}
_RARE: Final = (b"x-amz-tenant-id", b"x-amz-durable-execution-name", b"content-encoding")
_OTHER: Final = "?"
_OK: Final = 200
_NO_CONTENT: Final = 204


def is_invoke(method: str, raw_path: bytes) -> bool:
    """Whether the request is plausibly an Invoke; the lane itself may still decline."""
    return raw_path.endswith(_TAIL) and method == "POST" and raw_path.startswith(_HEAD)


def read_invoke(  # noqa: C901 - straight down, on the hot path
    raw_path: bytes, query: bytes, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> dict[str, Any] | None:
    """The parameters of an Invoke, or None when the model has to look at it.

    Args:
        raw_path: of a request for which `is_invoke` holds.
        query: without the question mark.
        headers: names in lower case.
        body: the payload.
    """
    name = raw_path[len(_HEAD) : -len(_TAIL)]
    if _NAME.fullmatch(name) is None:
        return None
    by_name = dict(headers)
    if len(by_name) != len(headers):
        return None
    get = by_name.get
    for rare in _RARE:
        if rare in by_name:
            return None
    params: dict[str, Any] = {"FunctionName": name.decode("ascii")}
    kind = _TYPES.get(get(b"x-amz-invocation-type"), _OTHER)
    tail = _LOG_TYPES.get(get(b"x-amz-log-type"), _OTHER)
    if _OTHER in {kind, tail}:
        return None
    if kind is not None:
        params["InvocationType"] = kind
    if tail is not None:
        params["LogType"] = tail
    context = get(b"x-amz-client-context")
    if context is not None:
        if not context.isascii():
            return None
        params["ClientContext"] = context.decode("ascii")
    if query:
        found = _QUALIFIER.fullmatch(query)
        if found is None:
            return None
        params["Qualifier"] = "$LATEST" if found[1] is None else found[1].decode("ascii")
    if body:
        params["Payload"] = body
    return params


def write_invoke(result: Mapping[str, Any]) -> WireResponse:
    """The response of an Invoke, for both lanes.

    Args:
        result: `StatusCode`, `Payload`, and if there are any `FunctionError`, `LogResult`, `ExecutedVersion`.
    """
    status = result.get("StatusCode", _OK)
    headers: HeaderList = [(b"content-type", b"application/json")]
    for member, name in _RESULT_HEADERS:
        value = result.get(member)
        if value is not None:
            headers.append(header(name, value))
    body = b"" if status == _NO_CONTENT else result.get("Payload") or b""
    return WireResponse(status=status, headers=headers, body=body)


_RESULT_HEADERS: Final = (
    ("ExecutedVersion", "x-amz-executed-version"),
    ("FunctionError", "x-amz-function-error"),
    ("LogResult", "x-amz-log-result"),
)
