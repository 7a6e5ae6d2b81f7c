"""How logs lie in the file system: `DIR/ACCOUNT/GROUP/SEGMENT.log`, and `group.json` beside the segments."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

_SEGMENT: Final = re.compile(r"([0-9]{16})\.log")
_LONGEST_NAME: Final = 200


class GroupFile(msgspec.Struct):
    """A group's `group.json`."""

    name: str
    created_at_ms: int


def group_at(path: Path) -> GroupFile | None:
    try:
        return msgspec.json.decode((path / "group.json").read_bytes(), type=GroupFile)
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return None


def segments_in(path: Path) -> list[tuple[Path, int, int]]:
    """(file, number, size), ordered by number."""
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(path):
            match = _SEGMENT.fullmatch(entry.name)
            if match is not None:
                with suppress(FileNotFoundError):
                    found.append((Path(entry.path), int(match[1]), entry.stat(follow_symlinks=False).st_size))
    return sorted(found, key=lambda segment: segment[1])


def read_bytes(file: Path, offset: int, length: int) -> bytes:
    """Bytes of a file; nothing when it has been dropped meanwhile."""
    try:
        with file.open("rb") as opened:
            opened.seek(offset)
            return opened.read(length)
    except FileNotFoundError:
        return b""


def write_all(fd: int, data: bytes, size: int) -> None:
    """Appends all of it, or leaves the file as it was, `size` bytes long."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(fd, size)
        raise


def file_name(name: str) -> str:
    """A name that is one path segment, whatever was asked for.

    SECURITY: group names may be `..` or hold slashes; the mark in front and the quoting keep them where they belong.
    """
    quoted = quote(name, safe="")
    if len(quoted) <= _LONGEST_NAME:
        return f"n-{quoted}"
    return f"h-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()}"
