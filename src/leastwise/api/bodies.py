"""Reads request bodies: no more than the operation takes, and no more of them at once than the machine bears."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from leastwise.api.protocol.wire import BodyTooLarge, PayloadTooLarge, UnsupportedEncoding
from leastwise.kernel.errors import LeastwiseError, Throttled
from leastwise.kernel.units import KIB, MIB

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

INVOKE_BYTES: Final = 6_291_556
"""Source: Lambda quotas: 6 MB synchronous payload, as the service measures it."""
PACKAGE_BYTES: Final = 70_167_211
"""Source: recorded on AWS: "Request must be smaller than 70167211 bytes for the CreateFunction operation"."""
_CODE_PATH: Final = re.compile(rb"/2015-03-31/functions/[^/]+/code/?")
_FUNCTION_PATHS: Final = frozenset({b"/2015-03-31/functions", b"/2015-03-31/functions/"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimits:
    """Sizes in bytes.

    Args:
        ordinary: of operations without a limit of their own.
        unsigned: of requests that carry no signature.
        in_flight: of all bodies above `small` that are held at the same time.
        small: up to this a body is not counted. SECURITY: times the number of connections, this is what strangers can
            make us hold in any case.
    """

    ordinary: int = MIB
    unsigned: int = 256 * KIB
    in_flight: int = 512 * MIB
    small: int = 64 * KIB


class ClientGoneError(Exception):
    """The client hung up before its request was complete."""


class Held:
    """Bytes of large bodies that are held, by one door or by several together.

    Args:
        limit: no more than this.
    """

    __slots__ = ("bytes", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.bytes = 0


class Bodies:
    """Reads the bodies of one door.

    Args:
        limits: sizes.
        held: what is counted against.
    """

    def __init__(self, limits: BodyLimits, held: Held) -> None:
        self._limits = limits
        self._held = held

    @property
    def in_flight(self) -> int:
        """Bytes of large bodies that are being held."""
        return self._held.bytes

    def _refusal(self, method: str, path: bytes, *, signed: bool) -> BodyTooLarge:
        limit, operation = self._limit(method, path, signed=signed)
        named = f" for the {operation} operation" if operation else ""
        kind = PayloadTooLarge if operation == "InvokeFunction" else BodyTooLarge
        return kind(f"Request must be smaller than {limit} bytes{named}")

    def _limit(self, method: str, path: bytes, *, signed: bool) -> tuple[int, str]:
        """SECURITY: memory exhaustion by strangers. Without a signature there is no reason to send megabytes."""
        if not signed:
            return self._limits.unsigned, ""
        if method == "POST":
            if path.endswith(b"/invocations"):
                return INVOKE_BYTES, "InvokeFunction"
            if path in _FUNCTION_PATHS:
                return PACKAGE_BYTES, "CreateFunction"
        elif method == "PUT" and _CODE_PATH.fullmatch(path):
            return PACKAGE_BYTES, "UpdateFunctionCode"
        return self._limits.ordinary, ""

    async def read(
        self, receive: Receive, headers: Sequence[tuple[bytes, bytes]], *, method: str, path: bytes, signed: bool
    ) -> tuple[bytes, int]:
        """The body, and what is to be given back to `release` when it is no longer held.

        Raises:
            BodyTooLarge: above the limit; the rest was read and thrown away, so that the client sees the answer.
            Throttled: too many large bodies at once; likewise.
            UnsupportedEncoding: compressed.
            ClientGoneError: hung up.
        """
        message = await receive()
        if not message.get("more_body", False) and len(message.get("body", b"")) <= self._limits.unsigned:
            _expect_content(message)
            _refuse_encodings(headers)
            return message["body"], 0
        limit, _ = self._limit(method, path, signed=signed)
        declared = _declared(headers)
        if declared is not None and declared > limit:
            await self._throw_away(receive, message, limit, self._refusal(method, path, signed=signed))
        _refuse_encodings(headers)
        return await self._gather(receive, message, limit, declared, self._refusal(method, path, signed=signed))

    async def _gather(
        self, receive: Receive, message: Message, limit: int, declared: int | None, refusal: BodyTooLarge
    ) -> tuple[bytes, int]:
        chunks: list[bytes] = []
        size = reserved = 0
        try:
            while True:
                _expect_content(message)
                size += len(message["body"])
                if size > limit:
                    chunks.clear()
                    await self._throw_away(receive, message, limit, refusal)
                expected = max(size, declared or 0)
                if expected > self._limits.small:
                    # SECURITY: memory exhaustion. Many large uploads at once are turned away. Counted is what has come, not
                    # what was announced: a few lines of headers could else take all the room there is.
                    if self._held.bytes - reserved + expected > self._held.limit:
                        chunks.clear()
                        await self._throw_away(receive, message, limit, Throttled("Rate exceeded"))
                    self._held.bytes += size - reserved
                    reserved = size
                chunks.append(message["body"])
                if not message.get("more_body", False):
                    return b"".join(chunks), reserved
                message = await receive()
        except BaseException:
            self.release(reserved)
            raise

    def release(self, reserved: int) -> None:
        """Gives back what `read` reserved."""
        self._held.bytes -= reserved

    @staticmethod
    async def _throw_away(receive: Receive, message: Message, limit: int, error: LeastwiseError) -> NoReturn:
        """Reads what is left, up to as much again as was allowed, and then raises `error`: a client that is still
        sending would see a reset connection instead of the answer.
        """
        left = limit + MIB
        while message["type"] == "http.request" and message.get("more_body", False) and left > 0:
            message = await receive()
            left -= len(message.get("body", b""))
        raise error


def _expect_content(message: Message) -> None:
    if message["type"] != "http.request":
        raise ClientGoneError


def _declared(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    """What Content-Length says; None when it says nothing."""
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and len(value) < 16:  # noqa: PLR2004 - a petabyte
            return int(value)
    return None


def _refuse_encodings(headers: Sequence[tuple[bytes, bytes]]) -> None:
    """SECURITY: decompression bombs. No compressed body is undone; the SDKs send none to the services offered here."""
    for name, value in headers:
        if name == b"content-encoding" and value.lower() != b"identity":
            message = f"Content-Encoding {value[:32].decode('latin-1')} is not supported"
            raise UnsupportedEncoding(message)
