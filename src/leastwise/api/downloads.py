"""`GET /code/{token}`: deployment packages, to whoever holds a link that is still good."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from leastwise.kernel.errors import Denied, NotFound
from leastwise.kernel.units import KIB

OpenPackage = Callable[[str], Awaitable[Path]]
"""Token -> the zip file. Raises `Denied` (also for links whose time is over) or `NotFound`."""

_PREFIX: Final = b"/code/"
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{1,512}")
_CHUNK: Final = 256 * KIB


async def send_package(
    open_package: OpenPackage, path: bytes, send: Callable[[Mapping[str, Any]], Awaitable[None]]
) -> None:
    """Answers the whole request."""
    token = path[len(_PREFIX) :]
    try:
        if _TOKEN.fullmatch(token) is None:
            await _refuse(send)
            return
        package = await open_package(token.decode("ascii"))
        file = await asyncio.to_thread(package.open, "rb")
    except (Denied, NotFound, OSError):
        await _refuse(send)
        return
    with file:
        size = (await asyncio.to_thread(package.stat)).st_size
        headers = [
            (b"content-type", b"application/zip"),
            (b"content-length", str(size).encode("ascii")),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        left = size
        while left:
            chunk = await asyncio.to_thread(file.read, min(_CHUNK, left))
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": bool(left)})
        if not size:
            await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Callable[[Mapping[str, Any]], Awaitable[None]]) -> None:
    """SECURITY: probing. One answer for every reason, so that nobody learns which packages there are."""
    body = b'{"message":"The link is not valid, or not valid any more."}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
