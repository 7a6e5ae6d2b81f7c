"""The Runtime API as a state machine: what a runtime may say, and when. Pure; bytes are `runtime_http`'s business.

    Started --next--> Ready --dispatch--> Running --response|error--> (receiving) --> ResponseSent --next--> Ready
    Started --init/error--> InitError

Source: AWS Lambda Developer Guide, "Using the Lambda runtime API"; texts as the Runtime Interface Emulator sends them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from leastwise.kernel import errors
from leastwise.runtime.interface import Reply, ReplyKind

MAX_PAYLOAD_BYTES: Final = 6_291_556
"""6 MiB + 100 bytes. Source: message of the Runtime API's 413."""

ERROR_TYPE_HEADER: Final = b"lambda-runtime-function-error-type"
ERROR_BODY_HEADER: Final = b"lambda-runtime-function-error-body"
RESPONSE_MODE_HEADER: Final = b"lambda-runtime-function-response-mode"
CAUSE_CONTENT_TYPE: Final = b"application/vnd.aws.lambda.error.cause+json"

_ERROR_TYPE: Final = re.compile(r"(?:Runtime|Function)\.[A-Z][a-zA-Z]{1,80}")


class RuntimeState(StrEnum):
    """Named as in the messages of the Runtime API."""

    STARTED = "Started"
    INIT_ERROR = "InitError"
    READY = "Ready"
    RUNNING = "Running"
    RECEIVING_RESPONSE = "InvocationResponse"
    RECEIVING_ERROR = "InvocationErrorResponse"
    RESPONSE_SENT = "RuntimeResponseSentState"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer to the runtime. Header names and values are ours, never the guest's."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Refused(errors.Conflict):
    """A step the runtime may not take. `answer` is what it is told."""

    def __init__(self, status: int, error_type: str, message: str) -> None:
        super().__init__(message)
        body = json.dumps({"errorMessage": message, "errorType": error_type}, separators=(",", ":"))
        self.answer = Answer(status=status, body=body.encode() + b"\n")


ACCEPTED: Final = Answer(status=202, body=b'{"status":"OK"}\n')
TOO_LARGE: Final = Refused(
    413, "RequestEntityTooLarge", f"Exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes)."
).answer


class RuntimeProtocol:
    """Where one runtime stands.

    INVARIANT: at most one invocation is out, and it is answered at most once. Nothing the runtime sends changes the
    state unless the table above has an arrow for it.
    """

    __slots__ = ("_request_id", "_resting_state", "state")

    def __init__(self) -> None:
        self.state = RuntimeState.STARTED
        self._resting_state = RuntimeState.STARTED
        self._request_id: str | None = None

    def _move(self, allowed: frozenset[RuntimeState], wanted: RuntimeState) -> None:
        if self.state not in allowed:
            message = (
                f"State transition from {self.state} to {wanted} failed for runtime. "
                "Error: State transition is not allowed"
            )
            raise Refused(403, "InvalidStateTransition", message)
        self.state = wanted

    def ask_next(self) -> None:
        """The runtime waits for an invocation.

        Raises:
            Refused: it is already waiting on another connection, has not answered the last one, or failed to start.
        """
        self._resting_state = self.state
        self._move(_MAY_ASK, RuntimeState.READY)

    def stop_asking(self) -> None:
        """The connection that waited is gone; the runtime may ask again."""
        if self.state is RuntimeState.READY:
            self.state = self._resting_state

    def dispatch(self, request_id: str) -> None:
        """An invocation goes out to the waiting runtime."""
        self._move(_ONLY_READY, RuntimeState.RUNNING)
        self._request_id = request_id

    def begin_answer(self, request_id: str, *, error: bool) -> None:
        """The head of an answer has arrived, its body has not.

        Raises:
            Refused: nothing is out, it is being answered already, or it is another invocation's id.
        """
        wanted = RuntimeState.RECEIVING_ERROR if error else RuntimeState.RECEIVING_RESPONSE
        self._move(_ONLY_RUNNING, wanted)
        if request_id != self._request_id:
            self.state = RuntimeState.RUNNING
            raise Refused(400, "InvalidRequestID", "Invalid request ID")

    def abandon_answer(self) -> None:
        """The connection broke in the middle of the body; the runtime may answer again."""
        if self.state in _RECEIVING:
            self.state = RuntimeState.RUNNING

    def complete_answer(self) -> None:
        """The whole body is here, or was too long to be taken."""
        self._move(_RECEIVING, RuntimeState.RESPONSE_SENT)
        self._request_id = None

    def fail_init(self) -> None:
        """The runtime reports that it cannot start.

        Raises:
            Refused: it has started, or failed before.
        """
        self._move(_ONLY_STARTED, RuntimeState.INIT_ERROR)


_MAY_ASK: Final = frozenset({RuntimeState.STARTED, RuntimeState.RESPONSE_SENT})
_ONLY_READY: Final = frozenset({RuntimeState.READY})
_ONLY_RUNNING: Final = frozenset({RuntimeState.RUNNING})
_ONLY_STARTED: Final = frozenset({RuntimeState.STARTED})
_RECEIVING: Final = frozenset({RuntimeState.RECEIVING_RESPONSE, RuntimeState.RECEIVING_ERROR})


def error_type(claimed: bytes | None) -> str:
    """The error type a runtime names, or the one for names that are not in the form AWS takes.

    Source: AWS Lambda, platform error types: `(Runtime|Function).[A-Z][a-zA-Z]+`, else Runtime.Unknown or
    Function.Unknown.
    """
    text = (claimed or b"").decode("latin-1")
    if _ERROR_TYPE.fullmatch(text):
        return text
    return "Runtime.Unknown" if text.startswith("Runtime.") else "Function.Unknown"


def error_payload(body: bytes, *, content_type: bytes, claimed_type: bytes | None) -> bytes:
    """What the caller of the function gets for the body of an error report.

    An error-cause document is reduced to its public members, as on AWS; an empty body says at least the type.
    """
    if not body.strip():
        return json.dumps({"errorType": error_type(claimed_type)}, separators=(",", ":")).encode()
    if content_type.split(b";")[0].strip().lower() != CAUSE_CONTENT_TYPE:
        return body
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return b'"Invalid error body"'
    if not isinstance(document, dict):
        return b'"Invalid error body"'
    public = {name: document[name] for name in ("errorMessage", "errorType", "stackTrace") if name in document}
    return json.dumps(public, separators=(",", ":")).encode()


def check_response_mode(mode: bytes | None) -> None:
    """Raises `Refused` unless the response is buffered (no header) or `streaming`, which is buffered too."""
    if mode is not None and mode.lower() not in {b"streaming", b"buffered"}:
        raise Refused(400, "InvalidFunctionResponseMode", "Invalid function response mode")


def reply_from_response(body: bytes, trailers: dict[bytes, bytes]) -> Reply:
    """A response; one whose trailers name an error broke in the middle of streaming and is an error.

    Source: AWS Lambda Developer Guide, "Building a custom runtime", response streaming: the trailer
    `Lambda-Runtime-Function-Error-Body` is base64.
    """
    claimed = trailers.get(ERROR_TYPE_HEADER)
    if claimed is None:
        return Reply(kind=ReplyKind.RESULT, payload=body)
    try:
        detail = base64.b64decode(trailers.get(ERROR_BODY_HEADER, b""), validate=True)
    except binascii.Error:
        detail = b""
    payload = error_payload(detail, content_type=b"application/json", claimed_type=claimed)
    return Reply(kind=ReplyKind.ERROR, payload=payload)
