"""What the egress proxy says when it does not let through: to the function, and in its log."""

from __future__ import annotations

import http
from collections.abc import Callable
from typing import Final

from leastwise.kernel.units import SECOND_MS
from leastwise.linux.egress_request import Destination, Refusal

ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_BURST: Final = 20
_EVERY_MS: Final = SECOND_MS


def refusal_answer(refusal: Refusal, function_arn: str, destination: Destination | None) -> bytes:
    """The complete answer. The reason stands in the status line too: of a refused CONNECT most clients show only that.

    SECURITY: nothing of the request is repeated but the destination, which was read into its one form before.
    """
    words = printable(refusal.words)
    lines = [f"leastwise did not let this connection out: {words}.", f"function: {function_arn}"]
    if destination is not None:
        lines.append(f"destination: {destination}")
    lines.append(
        "A function reaches the platform's own API through AWS_ENDPOINT_URL, and nothing else that no egress rule allows."
    )
    body = "\n".join((*lines, "")).encode()
    phrase = http.HTTPStatus(refusal.status).phrase
    head = (
        f"HTTP/1.1 {refusal.status} {phrase} by leastwise: {words}",
        f'Proxy-Status: leastwise; error={refusal.kind}; details="{words}"',
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(head).encode() + body


def printable(words: str) -> str:
    """One line that may stand in a header, in quotes."""
    return "".join(character if " " <= character <= "~" and character not in '"\\' else " " for character in words)


class Notices:
    """Lines about refusals in the function's log: a few at once, then one a second, with a count of the rest.

    SECURITY: destination and reason only. A path, a query, a header or a body may hold a secret.
    """

    def __init__(self, say: Callable[[bytes], None], now_ms: int) -> None:
        self._say = say
        self._tokens = _BURST
        self._filled_at_ms = now_ms
        self._untold = 0

    def refused(self, destination: Destination, words: str, now_ms: int) -> None:
        earned = (now_ms - self._filled_at_ms) // _EVERY_MS
        if earned > 0:
            self._tokens = min(_BURST, self._tokens + earned)
            self._filled_at_ms += earned * _EVERY_MS
        if not self._tokens:
            self._untold += 1
            return
        self._tokens -= 1
        if self._untold:
            self._say(f"[leastwise] {self._untold} more refusals of egress were not logged: too many at once".encode())
            self._untold = 0
        self._say(f"[leastwise] egress to {destination} refused: {printable(words)}".encode())
