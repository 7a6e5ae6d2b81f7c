"""The Lambda Runtime API (version 2018-06-01) of one environment, and the conversation it makes with the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from leastwise.linux import runtime_protocol
from leastwise.linux.runtime_http import Exchange, RequestHead
from leastwise.linux.runtime_protocol import ACCEPTED, MAX_PAYLOAD_BYTES, TOO_LARGE, Answer, Refused, RuntimeProtocol
from leastwise.runtime.interface import InitFailed, Invocation, Reply, ReplyKind, ResponseTooLarge

_PREFIX: Final = b"/2018-06-01"
_INVOCATION: Final = b"/runtime/invocation/"
_MAX_REQUEST_ID_BYTES: Final = 64
_NOT_FOUND: Final = Answer(status=404, body=b"404 page not found\n", content_type=b"text/plain; charset=utf-8")
_METHOD_NOT_ALLOWED: Final = Answer(status=405, body=b"")
_PONG: Final = Answer(status=200, body=b"pong", content_type=b"text/plain; charset=utf-8")


class RuntimeApi:
    """Answers the runtime inside one environment. A `GuestApplication` on one side, a `Conversation` on the other.

    Attributes:
        ready: done when the runtime asks for its first invocation; fails with `InitFailed` when it reports an init
            error.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._protocol = RuntimeProtocol()
        self.ready: asyncio.Future[None] = loop.create_future()
        # A failure nobody waits for (the process died first) is not worth a warning.
        self.ready.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._asking: asyncio.Future[Answer] | None = None
        self._waiting_invocation: Invocation | None = None
        self._reply: asyncio.Future[Reply] | None = None

    # The gateway's side

    def send(self, invocation: Invocation) -> asyncio.Future[Reply]:
        """Hands out an invocation, now or when the runtime asks for it."""
        self._reply = self._loop.create_future()
        self._waiting_invocation = invocation
        self._deliver()
        return self._reply

    def _deliver(self) -> None:
        if self._asking is None or self._waiting_invocation is None:
            return
        asking, self._asking = self._asking, None
        invocation, self._waiting_invocation = self._waiting_invocation, None
        self._protocol.dispatch(invocation.request_id)
        asking.set_result(next_answer(invocation))

    def _settle(self, reply: Reply | Exception) -> None:
        waiter, self._reply = self._reply, None
        if waiter is None or waiter.done():
            return
        if isinstance(reply, Reply):
            waiter.set_result(reply)
        else:
            waiter.set_exception(reply)

    # The runtime's side

    def begin(self, head: RequestHead) -> Exchange | Answer:
        """Routes one request. Source: AWS Lambda Developer Guide, "Using the Lambda runtime API"."""
        if not head.path.startswith(_PREFIX):
            return _NOT_FOUND
        path = head.path[len(_PREFIX) :]
        try:
            if path == b"/ping":
                return _PONG if head.method == b"GET" else _METHOD_NOT_ALLOWED
            if path == b"/runtime/invocation/next":
                return self._next() if head.method == b"GET" else _METHOD_NOT_ALLOWED
            if path == b"/runtime/init/error":
                return self._init_error(head) if head.method == b"POST" else _METHOD_NOT_ALLOWED
            if path.startswith(_INVOCATION):
                request_id, _, verb = path[len(_INVOCATION) :].partition(b"/")
                if verb in {b"response", b"error"} and len(request_id) <= _MAX_REQUEST_ID_BYTES:
                    return self._post(head, request_id, verb) if head.method == b"POST" else _METHOD_NOT_ALLOWED
        except Refused as refused:
            return refused.answer
        return _NOT_FOUND

    def _next(self) -> Exchange:
        self._protocol.ask_next()
        self._asking = self._loop.create_future()
        asking = self._asking
        if not self.ready.done():
            self.ready.set_result(None)

        def complete(_body: bytes, _trailers: dict[bytes, bytes]) -> asyncio.Future[Answer]:
            self._loop.call_soon(self._deliver)
            return asking

        def overflow() -> Answer:
            self._gone(asking)
            return TOO_LARGE

        return Exchange(body_limit=0, complete=complete, overflow=overflow, abandon=lambda: self._gone(asking))

    def _gone(self, asking: asyncio.Future[Answer]) -> None:
        if self._asking is asking:
            self._asking = None
            self._protocol.stop_asking()

    def _post(self, head: RequestHead, request_id: bytes, verb: bytes) -> Exchange:
        error = verb == b"error"
        if not error:
            runtime_protocol.check_response_mode(head.headers.get(runtime_protocol.RESPONSE_MODE_HEADER))
        self._protocol.begin_answer(request_id.decode("latin-1"), error=error)

        def complete(body: bytes, trailers: dict[bytes, bytes]) -> Answer:
            self._protocol.complete_answer()
            if error:
                self._settle(Reply(kind=ReplyKind.ERROR, payload=_error_payload(head, body)))
            else:
                self._settle(runtime_protocol.reply_from_response(body, trailers))
            return ACCEPTED

        def overflow() -> Answer:
            self._protocol.complete_answer()
            self._settle(too_large())
            return TOO_LARGE

        return Exchange(
            body_limit=MAX_PAYLOAD_BYTES, complete=complete, overflow=overflow, abandon=self._protocol.abandon_answer
        )

    def _init_error(self, head: RequestHead) -> Exchange:
        self._protocol.fail_init()

        def fail(payload: bytes) -> None:
            if not self.ready.done():
                self.ready.set_exception(InitFailed(payload))

        def complete(body: bytes, _trailers: dict[bytes, bytes]) -> Answer:
            fail(_error_payload(head, body))
            return ACCEPTED

        def overflow() -> Answer:
            fail(_error_payload(head, b""))
            return TOO_LARGE

        def abandon() -> None:
            fail(_error_payload(head, b""))

        return Exchange(body_limit=MAX_PAYLOAD_BYTES, complete=complete, overflow=overflow, abandon=abandon)


def _error_payload(head: RequestHead, body: bytes) -> bytes:
    return runtime_protocol.error_payload(
        body,
        content_type=head.headers.get(b"content-type", b""),
        claimed_type=head.headers.get(runtime_protocol.ERROR_TYPE_HEADER),
    )


def too_large() -> ResponseTooLarge:
    """The error of a result over the limit, in AWS's words."""
    return ResponseTooLarge(f"Response payload size exceeded maximum allowed payload size ({MAX_PAYLOAD_BYTES} bytes).")


def next_answer(invocation: Invocation) -> Answer:
    """An invocation as the runtime reads it.

    SECURITY: the client context is the caller's text; line breaks in it would let a caller write headers of his own, so
    everything outside printable ASCII is written as JSON escapes.
    """
    headers = [
        (b"Lambda-Runtime-Aws-Request-Id", invocation.request_id.encode("ascii")),
        (b"Lambda-Runtime-Deadline-Ms", b"%d" % invocation.deadline_ms),
        (b"Lambda-Runtime-Invoked-Function-Arn", _header_value(invocation.function_arn)),
    ]
    if invocation.trace_id is not None:
        headers.append((b"Lambda-Runtime-Trace-Id", _header_value(invocation.trace_id)))
    if invocation.client_context is not None:
        headers.append((b"Lambda-Runtime-Client-Context", _header_value(invocation.client_context)))
    return Answer(status=200, body=invocation.payload, headers=tuple(headers))


def _header_value(text: str) -> bytes:
    if text.isascii() and text.isprintable():
        return text.encode("ascii")
    escape: Callable[[str], str] = lambda character: (  # noqa: E731 - one expression with a name
        character
        if " " <= character <= "~"
        else " "
        if character in "\t\r\n"
        else "".join(f"\\u{unit:04x}" for unit in _utf16(character))
    )
    return "".join(map(escape, text)).encode("ascii")


def _utf16(character: str) -> tuple[int, ...]:
    encoded = character.encode("utf-16-be", "surrogatepass")
    return tuple(int.from_bytes(encoded[at : at + 2], "big") for at in range(0, len(encoded), 2))
