"""What a deployment package may contain, and what will be written for it.

`plan_package` decides everything before the first byte is written: which directories, which files, which links. Whoever
carries the plan out writes files before links, so that nothing can be written through one.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from leastwise.functions.archive import Member, read_members, refuse, shown, unpack
from leastwise.functions.interface import InvalidPackage, PackageTooLarge

LARGEST_ZIP_BYTES: Final = 52_428_800
LARGEST_UNPACKED_BYTES: Final = 262_144_000
"""Source: Lambda Developer Guide, "Lambda quotas", deployment package size."""

MOST_ENTRIES: Final = 100_000
"""Files, links and directories together: what one package may take of the file system's inodes."""

_DEEPEST: Final = 64
_LONGEST_PATH_BYTES: Final = 1024
_LONGEST_NAME_BYTES: Final = 255
_LONGEST_LINK_BYTES: Final = 1024
_MOST_LINK_STEPS: Final = 1_000_000
_MOST_LINKS_IN_A_ROW: Final = 40
_ANY_EXECUTE: Final = 0o111

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFile:
    """A regular file: where it goes, and the member it comes from."""

    path: str
    executable: bool
    member: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLink:
    """A relative symbolic link that ends within the package."""

    path: str
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be written. Paths are relative, normalised, with `/`.

    Args:
        directories: parents before children.
        files: in the order of the zip.
        links: to be made last.
        unpacked_bytes: sum of the files' sizes.
    """

    directories: tuple[str, ...]
    files: tuple[PlannedFile, ...]
    links: tuple[PlannedLink, ...]
    unpacked_bytes: int


def check_zip_size(zip_file: bytes) -> None:
    """Raises `PackageTooLarge` in AWS's words. SOURCE: recorded on AWS, RequestEntityTooLargeException."""
    if len(zip_file) >= LARGEST_ZIP_BYTES:
        message = f"Zipped size must be smaller than {LARGEST_ZIP_BYTES} bytes"
        raise PackageTooLarge(message)


def plan_package(zip_file: bytes) -> Plan:
    """Judges every member and decides what is written.

    Raises:
        InvalidPackage: not a zip; nothing in it; a member that is absolute, leads upwards, is a device or a pipe, has a
            name that is taken, stands behind a link; a link that leads out; more bytes or entries than allowed.
    """
    members = read_members(zip_file)
    if not members:
        message = "Uploaded file must be a non-empty zip"
        raise InvalidPackage(message)
    unpacked_bytes = sum(member.unpacked_bytes for member in members)
    if unpacked_bytes >= LARGEST_UNPACKED_BYTES:
        message = f"Unzipped size must be smaller than {LARGEST_UNPACKED_BYTES} bytes"
        raise InvalidPackage(message)
    contents = _Contents(zip_file)
    for member in members:
        contents.add(member)
    contents.judge_parents()
    _judge_links(contents.links)
    return Plan(
        directories=tuple("/".join(path) for path in sorted(contents.directories, key=len)),
        files=tuple(contents.files.values()),
        links=tuple(PlannedLink(path="/".join(path), target=target) for path, target in contents.links.items()),
        unpacked_bytes=unpacked_bytes,
    )


class _Contents:
    """The tree that the members seen so far make. Directories: True when a member names it, False when only implied."""

    __slots__ = ("directories", "files", "links", "zip_file")

    def __init__(self, zip_file: bytes) -> None:
        self.zip_file = zip_file
        self.directories: dict[Path, bool] = {}
        self.files: dict[Path, PlannedFile] = {}
        self.links: dict[Path, str] = {}

    def add(self, member: Member) -> None:
        path = _judge_name(member.name)
        kind = _judge_kind(member)
        if not path:
            if kind != stat.S_IFDIR:
                refuse("a member has no name")
            return
        # SECURITY: of two members with one name, or a file and a directory, one would be checked and the other used.
        if path in self.files or path in self.links or self.directories.get(path, False):
            refuse(f"{shown(member.name)} is there twice")
        if kind == stat.S_IFDIR:
            self.directories[path] = True
        elif kind == stat.S_IFLNK:
            self.links[path] = _read_link(self.zip_file, member)
        else:
            self.files[path] = PlannedFile(
                path="/".join(path), executable=bool(member.mode & _ANY_EXECUTE), member=member
            )
        for depth in range(1, len(path)):
            self.directories.setdefault(path[:depth], False)
        if len(self.directories) + len(self.files) + len(self.links) > MOST_ENTRIES:
            refuse(f"more than {MOST_ENTRIES} files and directories")

    def judge_parents(self) -> None:
        # SECURITY: a member whose parent is a link would be written wherever the link leads.
        for path in self.directories:
            if path in self.files or path in self.links:
                refuse(f"{shown('/'.join(path))} is a directory and something else")


def _judge_name(name: str) -> Path:
    """The name's parts, without empty ones and `.`.

    SECURITY: absolute names and `..` write outside of the package ("zip slip"); a backslash is a separator elsewhere;
    NUL ends a name for the kernel but not for Python.
    """
    if name.startswith("/") or "\\" in name or "\0" in name:
        refuse(f"{shown(name)} is not a relative name")
    path = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in path:
        refuse(f"{shown(name)} leads out of the package")
    if (
        len(path) > _DEEPEST
        or len(name.encode()) > _LONGEST_PATH_BYTES
        or any(len(part.encode()) > _LONGEST_NAME_BYTES for part in path)
    ):
        refuse(f"{shown(name)} is too long")
    return path


def _judge_kind(member: Member) -> int:
    """`S_IFREG`, `S_IFDIR` or `S_IFLNK`. The permission bits count for nothing but the execute bit."""
    kind = stat.S_IFMT(member.mode)
    named_directory = member.name.endswith("/")
    # SECURITY: devices, pipes and sockets from a package would be opened by whoever reads the tree next.
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK} or (named_directory and kind == stat.S_IFLNK):
        refuse(f"{shown(member.name)} is neither a file, a directory nor a symbolic link")
    if named_directory or kind == stat.S_IFDIR:
        if member.unpacked_bytes:
            refuse(f"{shown(member.name)} is a directory with content")
        return stat.S_IFDIR
    return stat.S_IFLNK if kind == stat.S_IFLNK else stat.S_IFREG


def _read_link(zip_file: bytes, member: Member) -> str:
    if not 0 < member.unpacked_bytes <= _LONGEST_LINK_BYTES:
        refuse(f"the symbolic link {shown(member.name)} is empty or too long")
    try:
        target = b"".join(unpack(zip_file, member)).decode()
    except UnicodeDecodeError:
        refuse(f"the symbolic link {shown(member.name)} is not UTF-8")
    if target.startswith("/") or "\0" in target:
        refuse(f"the symbolic link {shown(member.name)} leads out of the package")
    return target


def _judge_links(links: Mapping[Path, str]) -> None:
    """Follows every link as the kernel would, through other links, and refuses those that leave the package."""
    steps = _MOST_LINK_STEPS
    for path, target in links.items():
        steps = _follow(path, target, links, steps)


def _follow(path: Path, target: str, links: Mapping[Path, str], steps: int) -> int:
    here = list(path[:-1])
    ahead = _reversed_parts(target)
    followed = 0
    while ahead:
        steps -= 1
        part = ahead.pop()
        if part == "..":
            if not here:
                refuse(f"the symbolic link {shown('/'.join(path))} leads out of the package")
            here.pop()
            continue
        here.append(part)
        further = links.get(tuple(here))
        if further is not None:
            followed += 1
            here.pop()
            ahead.extend(_reversed_parts(further))
        # SECURITY: links through links multiply; without a limit a small zip keeps the platform busy for hours.
        if followed > _MOST_LINKS_IN_A_ROW or steps < 0 or len(here) > _DEEPEST:
            refuse(f"the symbolic link {shown('/'.join(path))} leads in a circle or too far")
    return steps


def _reversed_parts(target: str) -> list[str]:
    return [part for part in reversed(target.split("/")) if part not in {"", "."}]
