"""Reads one request of a function from the bytes of its connection, and writes the bytes that go out instead."""

from __future__ import annotations

from typing import Final

import httptools

from leastwise.kernel.units import KIB
from leastwise.linux.egress_request import (
    Destination,
    Refusal,
    check_head,
    is_chunked,
    malformed,
    outgoing_head,
    read_connect,
    read_url,
)

HEAD_BYTES: Final = 16 * KIB
MOST_HEADERS: Final = 100
FRAMING_BYTES: Final = 256 * KIB
"""Around a chunked body without a byte of body: sizes, extensions, trailers."""
_LAST_CHUNK: Final = b"0\r\n\r\n"


class RequestReader:
    """One request. The parser calls the `on_...` methods, which only note what it found; `feed` judges.

    Attributes:
        destination: where to; None until the head is complete.
        tunnel: the rest of the connection is for the destination as it is (CONNECT).
        ended: the request is complete.
    """

    def __init__(self) -> None:
        self.destination: Destination | None = None
        self.tunnel = False
        self.ended = False
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._messages = 0
        self._complete = False
        self._too_large = False
        self._head_bytes = 0
        self._framing_bytes = 0
        self._chunked = False
        self._body: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """Takes what has arrived; returns what goes to the destination for it. Not to be called again once `tunnel` is set.

        Raises:
            Refusal: this is not a request that the proxy serves. Of no use from then on.
        """
        if self.ended:
            raise _one_request()
        self._count(len(data))
        rest, upgraded = b"", False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest, upgraded = data[int(upgrade.args[0]) :], True
        except httptools.HttpParserError:
            words = "the request is not HTTP, or could be read in more than one way"
            raise malformed(words) from None
        if self._messages > 1:
            # SECURITY: a second request was never judged, and may be for another destination.
            raise _one_request()
        if self._too_large or (not self._complete and self._head_bytes > HEAD_BYTES):
            raise Refusal(431, "http_request_error", "the headers are too large")
        if not self._complete:
            return b""
        if self.destination is None:
            head = self._judge(upgraded=upgraded)
            return head + (rest if self.tunnel else self._take_body())
        return self._take_body()

    def _count(self, size: int) -> None:
        # SECURITY: counted before the parser sees them, for it keeps an unfinished header to itself.
        if not self._complete:
            self._head_bytes += size
            return
        self._framing_bytes += size
        if self._framing_bytes > FRAMING_BYTES:
            words = "there is no body in the body"
            raise malformed(words)

    def _judge(self, *, upgraded: bool) -> bytes:
        """The head is complete. Returns what goes to the destination for it."""
        method, headers = self._parser.get_method(), self._headers
        check_head(self._parser.get_http_version(), headers)
        self._chunked = is_chunked(headers)
        if method == b"CONNECT":
            self.destination, self.tunnel, self.ended = read_connect(self._url), True, True
            return b""
        if upgraded:
            words = "protocols are changed inside a CONNECT tunnel only"
            raise malformed(words)
        self.destination, path = read_url(self._url)
        return outgoing_head(method, path, self.destination, headers)

    def _take_body(self) -> bytes:
        pieces, self._body = self._body, []
        if pieces:
            self._framing_bytes = 0
        if not self._chunked:
            return b"".join(pieces)
        chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
        return b"".join([*chunks, _LAST_CHUNK] if self.ended else chunks)

    # --- the parser's side

    def on_message_begin(self) -> None:
        self._messages += 1

    def on_url(self, url: bytes) -> None:
        if not self._complete:
            self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._complete:
            return  # a trailer; the destination does not get any
        if len(self._headers) >= MOST_HEADERS:
            self._too_large = True
            return
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if not self._complete:
            held = len(self._url) + sum(len(name) + len(value) for name, value in self._headers)
            self._too_large = self._too_large or held > HEAD_BYTES
        self._complete = True

    def on_body(self, body: bytes) -> None:
        if self._messages == 1:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self.ended = True


def _one_request() -> Refusal:
    return malformed("this proxy takes one request a connection")
