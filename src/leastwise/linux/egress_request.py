"""What a function asks the egress proxy for, read strictly: whatever could be read in two ways is refused.

The proxy never hands on a byte of a request's head. It takes the head apart, and writes a new one from the parts that it
has understood, so that no other reader of the same bytes can see another request in them.

Source: RFC 9110 sections 7.6 and 9.3.6, RFC 9112 sections 3.2 and 6, RFC 9209.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Headers = Sequence[tuple[bytes, bytes]]
"""As they came: names in any case, repeated ones repeated."""

_MOST_HOST_CHARACTERS: Final = 253
_MOST_PORT_DIGITS: Final = 5
_LAST_PORT: Final = 65_535
_HTTP_PORT: Final = 80
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_PATH: Final = re.compile(rb"[\x21\x22\x24-\x7e]*")
_VERSIONS: Final = ("1.0", "1.1")
_NOT_HANDED_ON: Final = frozenset(
    {
        b"connection",
        b"content-length",
        b"host",
        b"keep-alive",
        b"proxy-authenticate",
        # SECURITY: meant for this proxy; a secret that the next server must not learn.
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a function wants to go. `host` is a name in lower case without a final dot, or an address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Refusal(Exception):
    """The proxy will not do it.

    Args:
        status: of the answer.
        kind: proxy error type of RFC 9209 section 2.3.
        words: why; one line of printable ASCII, shown to the function.
    """

    def __init__(self, status: int, kind: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.kind = kind
        self.words = words


def malformed(words: str) -> Refusal:
    """The request cannot be read in exactly one way."""
    return Refusal(400, "http_request_error", words)


def read_connect(target: bytes) -> Destination:
    """The target of CONNECT: authority form, the port is a must.

    Raises:
        Refusal: it is anything else.
    """
    host, separator, port = _text(target).rpartition(":")
    if not separator:
        words = "CONNECT needs host:port"
        raise malformed(words)
    return Destination(host=_host(host), port=_port(port))


def read_url(url: bytes) -> tuple[Destination, bytes]:
    """The target of every other method: absolute form. Returns the destination, and path and query for it.

    Raises:
        Refusal: it is anything else.
    """
    scheme, separator, rest = url.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"}:
        words = "this is a proxy: it takes CONNECT host:port, and http://host/path"
        raise malformed(words)
    if scheme.lower() == b"https":
        words = "https is reached by CONNECT"
        raise malformed(words)
    end = next((at for at, byte in enumerate(rest) if byte in b"/?#"), len(rest))
    authority, path = _text(rest[:end]), rest[end:]
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        host, port = authority, str(_HTTP_PORT)
    # A "#" is not part of a request target; readers disagree about what stands behind it.
    if _PATH.fullmatch(path) is None:
        words = "the path holds characters that do not belong there"
        raise malformed(words)
    return Destination(host=_host(host), port=_port(port)), path if path.startswith(b"/") else b"/" + path


def check_head(version: str, headers: Headers) -> None:
    """What holds for every request.

    Raises:
        Refusal: it is not HTTP/1.1 or HTTP/1.0, or a header is not one.
    """
    if version not in _VERSIONS:
        raise Refusal(505, "http_request_error", "this proxy speaks HTTP/1.1")
    for name, value in headers:
        if _TOKEN.fullmatch(name) is None or _VALUE.fullmatch(value) is None:
            words = "a header is malformed"
            raise malformed(words)


def is_chunked(headers: Headers) -> bool:
    """Whether the body comes in chunks.

    Raises:
        Refusal: the length of the body is told in more than one way, or in a way this proxy does not speak.
    """
    lengths = [value for name, value in headers if name.lower() == b"content-length"]
    codings = [value for name, value in headers if name.lower() == b"transfer-encoding"]
    # SECURITY: request smuggling lives on two readers that disagree about where a body ends.
    if len(lengths) + len(codings) > 1 or any(coding.lower() != b"chunked" for coding in codings):
        words = "the length of the body is ambiguous"
        raise malformed(words)
    if any(not length.isdigit() for length in lengths):
        words = "Content-Length is not a number"
        raise malformed(words)
    return bool(codings)


def outgoing_head(method: bytes, path: bytes, destination: Destination, headers: Headers) -> bytes:
    """The head that goes to the destination, written anew. One request a connection.

    SECURITY: the Host header is the one that was judged, never the one that was sent: a shared server would be asked for
    another name than the rule allows.
    """
    named = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    authority = str(destination).removesuffix(f":{_HTTP_PORT}")
    lines = [method + b" " + path + b" HTTP/1.1", b"Host: " + authority.encode()]
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"content-length":
            lines.append(b"Content-Length: %d" % int(value))
        elif lowered not in _NOT_HANDED_ON and lowered not in named:
            lines.append(name + b": " + value)
    if is_chunked(headers):
        lines.append(b"Transfer-Encoding: chunked")
    lines += [b"Via: 1.1 leastwise", b"Connection: close", b"", b""]
    return b"\r\n".join(lines)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        words = "the destination is not ASCII; other names are written in punycode"
        raise malformed(words) from None


def _port(text: str) -> int:
    if not text.isdigit() or len(text) > _MOST_PORT_DIGITS or not 0 < int(text) <= _LAST_PORT:
        words = "the port is not a number from 1 to 65535"
        raise malformed(words)
    return int(text)


def _host(text: str) -> str:
    """A name or an address, in the one form it is judged in.

    SECURITY: `127.1`, `2130706433` and `0x7f000001` are addresses to some readers and names to others; none of them is
    either here. Neither is a name with user information before it.
    """
    if text.startswith("[") and text.endswith("]"):
        return _address(text[1:-1], ipaddress.IPv6Address)
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _address(text, ipaddress.IPv4Address)
    if len(name) > _MOST_HOST_CHARACTERS or any(_LABEL.fullmatch(label) is None for label in labels):
        words = "the host is neither a name nor an address"
        raise malformed(words)
    return name


def _address(text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> str:
    try:
        address = kind(text)
    except ValueError:
        words = "the host is neither a name nor an address"
        raise malformed(words) from None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        words = "an address with a zone means nothing here"
        raise malformed(words)
    return str(address)
