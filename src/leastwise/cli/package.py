"""What goes into a deployment package, and the package itself: the same bytes for the same files, anywhere."""

from __future__ import annotations

import fnmatch
import io
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from leastwise.cli.failures import CommandError

LARGEST_ZIP_BYTES: Final = 52_428_800
"""SOURCE: Lambda quotas, "Deployment package (.zip file archive) size", direct upload."""
LARGEST_UNPACKED_BYTES: Final = 262_144_000
"""SOURCE: as above, unzipped, layers included."""
IGNORE_FILE: Final = ".leastwiseignore"

# SECURITY: a package can be read by everyone who may call GetFunction. Keys and histories stay at home, asked or not.
NEVER_PACKED: Final = (
    ".git",
    ".hg",
    ".svn",
    ".env",
    ".env.*",
    ".netrc",
    ".pypirc",
    ".npmrc",
    ".ssh",
    ".aws",
    ".leastwise",
    IGNORE_FILE,
    "__pycache__",
    "*.pyc",
    "*.pyo",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".idea",
    ".vscode",
    ".DS_Store",
)
_FIRST_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a package.

    Args:
        name: path inside the package, with `/`.
        path: where it is now.
        mode: type and permission bits as they go into the zip: 0755 or 0644 for files, 0777 for links.
        size: bytes.
    """

    name: str
    path: Path
    mode: int
    size: int

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


def read_ignore(root: Path) -> tuple[str, ...]:
    """The patterns of `.leastwiseignore`: one a line, `#` for remarks.

    A pattern without a slash fits a name at any depth, one with a slash the whole path below the root; a slash at the
    end is allowed and says nothing. Negation is not offered.

    Raises:
        CommandError: a line begins with `!`.
    """
    try:
        lines = (root / IGNORE_FILE).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    patterns = tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
    for pattern in patterns:
        if pattern.startswith("!"):
            message = f"{IGNORE_FILE}: patterns that begin with ! are not supported: {pattern}"
            raise CommandError(message)
    return patterns


def is_ignored(name: str, patterns: Iterable[str]) -> bool:
    """Whether a path (relative, with `/`) fits a pattern."""
    last = name.rpartition("/")[2]
    for pattern in patterns:
        bare = pattern.rstrip("/").removeprefix("./")
        if "/" in bare:
            if fnmatch.fnmatchcase(name, bare.removeprefix("/")):
                return True
        elif fnmatch.fnmatchcase(last, bare):
            return True
    return False


def select_files(root: Path, *, patterns: Sequence[str] = NEVER_PACKED, without: Sequence[Path] = ()) -> list[Entry]:
    """Finds the files to pack, sorted by name.

    Args:
        root: directory to pack.
        patterns: what to leave out, see `is_ignored`.
        without: directories to leave out wherever they are, resolved (the data directory of a platform).

    Raises:
        CommandError: a device, socket or fifo, or a link out of `root`.
        OSError: something cannot be read.
    """
    found: list[Entry] = []
    left_out = {path.resolve() for path in without}
    inside = root.resolve()

    def fail(error: OSError) -> None:
        raise error

    for directory, names, files in os.walk(root, onerror=fail):
        below = Path(directory)
        links = [name for name in names if (below / name).is_symlink()]
        names[:] = sorted(
            name
            for name in names
            if name not in links
            and not is_ignored((below / name).relative_to(root).as_posix(), patterns)
            and (below / name).resolve() not in left_out
        )
        for file in sorted(files + links):
            path = below / file
            name = path.relative_to(root).as_posix()
            if not is_ignored(name, patterns):
                found.append(_entry(path, name, inside))
    return sorted(found, key=lambda entry: entry.name.encode())


def _entry(path: Path, name: str, inside: Path) -> Entry:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        target = path.readlink()
        # SECURITY: a cloned repository may hold a link to a private key of whoever deploys it.
        if target.is_absolute() or not _resolves_inside(path, inside):
            message = f"{name} links out of the directory, to {target}"
            raise CommandError(message)
        return Entry(name=name, path=path, mode=stat.S_IFLNK | 0o777, size=len(os.fsencode(target)))
    if not stat.S_ISREG(status.st_mode):
        message = f"{name} is neither a file nor a link"
        raise CommandError(message)
    executable = bool(status.st_mode & 0o111)
    return Entry(name=name, path=path, mode=stat.S_IFREG | (0o755 if executable else 0o644), size=status.st_size)


def _resolves_inside(path: Path, inside: Path) -> bool:
    try:
        return path.resolve().is_relative_to(inside)
    except (RuntimeError, OSError):
        return False  # links in a circle


def merge(dependencies: Iterable[Entry], own: Iterable[Entry]) -> list[Entry]:
    """Both together, sorted; a file of one's own wins over a dependency's of the same name."""
    by_name = {entry.name: entry for entry in (*dependencies, *own)}
    return [by_name[name] for name in sorted(by_name, key=str.encode)]


def build_zip(entries: Sequence[Entry]) -> bytes:
    """Packs the files. The same names, contents and x bits give the same bytes: no times, no owners, sorted.

    Raises:
        CommandError: nothing to pack, or more than Lambda takes.
        OSError: a file cannot be read.
    """
    if not entries:
        message = "there is nothing to deploy: no file was left to pack"
        raise CommandError(message)
    unpacked = sum(entry.size for entry in entries)
    if unpacked > LARGEST_UNPACKED_BYTES:
        message = f"{unpacked:,} bytes of files; {LARGEST_UNPACKED_BYTES:,} is the limit"
        raise CommandError(message)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, date_time=_FIRST_MOMENT)
            info.create_system = _UNIX
            info.external_attr = entry.mode << 16
            info.compress_type = zipfile.ZIP_STORED if entry.is_link else zipfile.ZIP_DEFLATED
            content = os.fsencode(entry.path.readlink()) if entry.is_link else entry.path.read_bytes()
            package.writestr(info, content)
    packed = buffer.getvalue()
    if len(packed) > LARGEST_ZIP_BYTES:
        message = f"the package has {len(packed):,} bytes; {LARGEST_ZIP_BYTES:,} is the limit"
        raise CommandError(message)
    return packed


def handler_problem(handler: str, runtime: str, names: Iterable[str]) -> str | None:
    """Why this handler cannot be in these files, None when it may be. Spares a deploy that can only fail later."""
    present = set(names)
    if runtime.startswith("provided"):
        return None if "bootstrap" in present else f"{runtime} needs an executable named bootstrap"
    module, dot, attribute = handler.rpartition(".")
    if not dot or not module or not attribute or not re.fullmatch(r"\S{1,128}", handler):
        return f"not a handler: {handler} (file.function)"
    if runtime.startswith("nodejs"):
        candidates = [f"{module}{suffix}" for suffix in (".js", ".mjs", ".cjs")]
    else:
        base = PurePosixPath(module.replace(".", "/"))
        candidates = [f"{base}.py", f"{base}/__init__.py"]
        candidates += [name for name in present if name.startswith(f"{base}.") and name.endswith(".so")]
    if present.isdisjoint(candidates):
        return f"handler {handler}: there is no {candidates[0]}"
    return None
