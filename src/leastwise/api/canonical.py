"""The canonical form of paths and query strings, shared by the signature and by the router.

SECURITY: differential parsing. What is routed is the same normalized path that was signed: a signature for
`/a` cannot be replayed as `/b/../a` and land somewhere else.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

_PLAIN_PATH: Final = re.compile(rb"(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)+/?")
_CANONICAL_PAIR: Final = re.compile(rb"[A-Za-z0-9_.~-]+=(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})*")
_KEPT: Final = 2048
_paths: dict[bytes, bytes] = {}
_queries: dict[bytes, bytes] = {}


def normalized_path(raw: bytes) -> bytes:
    """The path without `.`, `..` and empty segments, still percent-encoded. A trailing slash stays.

    Source: RFC 3986 section 5.2.4, as SigV4 uses it outside S3.
    """
    if _PLAIN_PATH.fullmatch(raw) is not None or (b"//" not in raw and b"/." not in raw):
        return raw or b"/"
    kept: list[bytes] = []
    for segment in raw.split(b"/"):
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment not in {b"", b"."}:
            kept.append(segment)
    slash = b"/" if kept and raw.endswith(b"/") else b""
    return b"/" + b"/".join(kept) + slash


def canonical_path(raw: bytes, *, once: bool) -> bytes:
    """The path of the canonical request.

    Args:
        raw: as received, percent-encoded.
        once: S3's form: neither normalized nor encoded a second time.
    """
    if _PLAIN_PATH.fullmatch(raw) is not None:
        return raw
    if once:
        return quote_from_bytes(unquote_to_bytes(raw), safe="/~").encode()
    known = _paths.get(raw)
    if known is None:
        known = quote_from_bytes(normalized_path(raw), safe="/~").encode()
        _keep(_paths, raw, known)
    return known


def canonical_query(raw: bytes) -> bytes:
    """Names and values encoded once and sorted. A plus sign is a plus sign."""
    if _CANONICAL_PAIR.fullmatch(raw) is not None:
        return raw
    known = _queries.get(raw)
    if known is None:
        pairs = []
        for pair in raw.split(b"&"):
            if pair:
                name, _, value = pair.partition(b"=")
                pairs.append((_encoded(name), _encoded(value)))
        known = b"&".join(name + b"=" + value for name, value in sorted(pairs))
        _keep(_queries, raw, known)
    return known


def _encoded(part: bytes) -> bytes:
    return quote_from_bytes(unquote_to_bytes(part), safe="~").encode()


def _keep(cache: dict[bytes, bytes], key: bytes, value: bytes) -> None:
    """Bounded: emptied when full, and long keys (presigned requests) are not worth keeping."""
    if len(key) > 512:  # noqa: PLR2004
        return
    if len(cache) >= _KEPT:
        cache.clear()
    cache[key] = value
