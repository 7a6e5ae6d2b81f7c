"""`functions.CodeStore` on a directory: one subdirectory per package, named after the SHA-256 of its zip.

    ROOT/incoming/<random>/    being unpacked, or being thrown away; emptied at start
    ROOT/<digest>/package.zip  as uploaded
    ROOT/<digest>/manifest     sizes, and the runtimes it is compiled for
    ROOT/<digest>/tree/        what an environment sees as /var/task

Names say nothing of the owner, because a mount shows the path it was made from. A subdirectory appears by one rename,
complete and on disk, or not at all.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import secrets
import stat
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from leastwise.functions.archive import unpack
from leastwise.functions.interface import CodePackage
from leastwise.functions.packages import PlannedFile, check_zip_size, plan_package
from leastwise.kernel import errors
from leastwise.kernel.clock import Clock
from leastwise.kernel.units import HOUR_MS

_INCOMING: Final = "incoming"
_ZIP: Final = "package.zip"
_MANIFEST: Final = "manifest"
_TREE: Final = "tree"
_DIGEST_LENGTH: Final = 64
_HEX: Final = frozenset("0123456789abcdef")

_FILE: Final = 0o444
_PROGRAM: Final = 0o555
_DIRECTORY: Final = 0o555
_OPEN_DIRECTORY: Final = 0o755
_PRIVATE: Final = 0o700

Compile = Callable[[str, Path], None]
"""(runtime, tree): writes bytecode for a runtime into a tree. Never runs the code, never raises for it."""


class _Manifest(msgspec.Struct):
    """What is known of a package without looking at it. Append-only: new members get a default."""

    zip_bytes: int
    unpacked_bytes: int
    compiled_for: list[str] = []


class CodeDirectory:
    """Keeps `functions.interface.CodeStore`. All its methods block; threads may call them at the same time.

    Args:
        root: a directory of its own; made when missing.
        clock: tells when a package was last asked for.
        compile_with: makes bytecode.
    """

    def __init__(self, root: Path, *, clock: Clock, compile_with: Compile) -> None:
        self._root = root
        self._clock = clock
        self._compile = compile_with
        self._names = threading.Lock()
        self._changes: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()

    def open(self) -> None:
        """Makes the directory, and throws away what a killed platform left half done."""
        # SECURITY: the packages of every account lie below; no other user of this machine may look in.
        self._root.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        self._root.chmod(_PRIVATE)
        incoming = self._root / _INCOMING
        incoming.mkdir(mode=_PRIVATE, exist_ok=True)
        for leftover in incoming.iterdir():
            _remove_tree(leftover)

    def put(self, zip_file: bytes, *, python_versions: tuple[str, ...]) -> CodePackage:
        """See `CodeStore.put`.

        Raises:
            InvalidPackage, PackageTooLarge: it will not be unpacked.
            errors.Unavailable: the file system refuses (no space left, for example).
        """
        check_zip_size(zip_file)
        digest = hashlib.sha256(zip_file).hexdigest()
        try:
            with self._change(digest):
                if not self._touch(digest):
                    self._add(digest, zip_file, python_versions)
                else:
                    self._compile_missing(digest, python_versions)
                manifest = self._manifest(digest)
        except OSError as error:
            message = "The deployment package could not be stored."
            raise errors.Unavailable(message) from error
        return CodePackage(digest=digest, zip_bytes=manifest.zip_bytes, unpacked_bytes=manifest.unpacked_bytes)

    def compile(self, digest: str, *, python_versions: tuple[str, ...]) -> None:
        """See `CodeStore.compile`."""
        with self._change(digest):
            if self._touch(digest):
                self._compile_missing(digest, python_versions)

    def path(self, digest: str) -> Path:
        """See `CodeStore.path`."""
        return self._home(digest) / _TREE

    def zip_path(self, digest: str) -> Path:
        """See `CodeStore.zip_path`."""
        return self._home(digest) / _ZIP

    def collect(self, keep: frozenset[str], *, untouched_for_ms: int = HOUR_MS) -> tuple[str, ...]:
        """Removes packages that nobody needs.

        Args:
            keep: digests that functions name, and those that living environments still run on.
            untouched_for_ms: a package put more recently stays, for its function may be about to be stored.

        Returns:
            the digests that were removed.
        """
        before_ms = self._clock.now_ms() - untouched_for_ms
        removed = []
        for home in sorted(self._root.iterdir()):
            if home.name in keep or not _is_digest(home.name):
                continue
            with self._change(home.name):
                if home.stat().st_mtime_ns // 1_000_000 > before_ms:
                    continue
                rubbish = self._root / _INCOMING / secrets.token_hex(16)
                home.rename(rubbish)
            _remove_tree(rubbish)
            removed.append(home.name)
        return tuple(removed)

    def _home(self, digest: str) -> Path:
        # SECURITY: a digest from outside (a link, a damaged row) must not become a path.
        if not _is_digest(digest):
            message = "a package digest is 64 hexadecimal digits"
            raise errors.Bug(message)
        return self._root / digest

    def _change(self, digest: str) -> threading.Lock:
        """One at a time changes a package; different packages do not wait for each other."""
        with self._names:
            return self._changes.setdefault(digest, threading.Lock())

    def _touch(self, digest: str) -> bool:
        """Marks a package as wanted now; False when it is not there."""
        home = self._home(digest)
        if not home.is_dir():
            return False
        now_ns = self._clock.now_ms() * 1_000_000
        os.utime(home, ns=(now_ns, now_ns))
        return True

    def _add(self, digest: str, zip_file: bytes, python_versions: tuple[str, ...]) -> None:
        plan = plan_package(zip_file)
        workplace = self._root / _INCOMING / secrets.token_hex(16)
        workplace.mkdir(mode=_PRIVATE)
        try:
            tree = workplace / _TREE
            for directory in ("", *plan.directories):
                (tree / directory).mkdir(mode=_PRIVATE)
            for file in plan.files:
                _write_file(tree, file, zip_file)
            # INVARIANT: links are made when every file is written, so nothing can be written through one.
            for link in plan.links:
                (tree / link.path).symlink_to(link.target)
            for runtime in python_versions:
                self._compile(runtime, tree)
            _close_directories(tree)
            (workplace / _ZIP).write_bytes(zip_file)
            (workplace / _ZIP).chmod(0o400)
            _write_manifest(
                workplace,
                _Manifest(
                    zip_bytes=len(zip_file),
                    unpacked_bytes=plan.unpacked_bytes,
                    compiled_for=sorted(set(python_versions)),
                ),
            )
            now_ns = self._clock.now_ms() * 1_000_000
            os.utime(workplace, ns=(now_ns, now_ns))
            # INVARIANT: a package has its name only when all of it is on the disk.
            _sync_file_system(workplace)
            workplace.rename(self._home(digest))
            _sync_directory(self._root)
        except BaseException:
            _remove_tree(workplace)
            raise

    def _compile_missing(self, digest: str, python_versions: tuple[str, ...]) -> None:
        manifest = self._manifest(digest)
        missing = [runtime for runtime in python_versions if runtime not in manifest.compiled_for]
        if not missing:
            return
        home = self._home(digest)
        tree = home / _TREE
        for directory, _, _ in os.walk(tree):
            Path(directory).chmod(_OPEN_DIRECTORY)
        for runtime in missing:
            self._compile(runtime, tree)
        _close_directories(tree)
        _sync_file_system(home)
        manifest.compiled_for = sorted({*manifest.compiled_for, *missing})
        _write_manifest(home, manifest)

    def _manifest(self, digest: str) -> _Manifest:
        return msgspec.json.decode((self._home(digest) / _MANIFEST).read_bytes(), type=_Manifest)


def _is_digest(name: str) -> bool:
    return len(name) == _DIGEST_LENGTH and _HEX.issuperset(name)


def _write_file(tree: Path, file: PlannedFile, zip_file: bytes) -> None:
    # SECURITY: O_EXCL and O_NOFOLLOW refuse a name that is taken, should the plan ever be wrong. The permission bits
    # are ours: no set-user-id bit of a package reaches the disk.
    descriptor = os.open(tree / file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with os.fdopen(descriptor, "wb") as target:
        for piece in unpack(zip_file, file.member):
            target.write(piece)
        os.fchmod(target.fileno(), _PROGRAM if file.executable else _FILE)


def _close_directories(tree: Path) -> None:
    for directory, _, _ in os.walk(tree, topdown=False):
        Path(directory).chmod(_DIRECTORY)


def _write_manifest(home: Path, manifest: _Manifest) -> None:
    new = home / f"{_MANIFEST}.new"
    with new.open("wb") as file:
        file.write(msgspec.json.encode(manifest))
        file.flush()
        os.fsync(file.fileno())
    new.replace(home / _MANIFEST)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _sync_file_system(directory: Path) -> None:
    """One call for thousands of files; fsync one by one costs a disk flush each."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(descriptor):
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(descriptor)


def _remove_tree(path: Path) -> None:
    """Removes what lies there, read-only directories too, and follows no link."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for directory, _, _ in os.walk(path):
        if stat.S_IMODE(Path(directory).stat().st_mode) != _PRIVATE:
            Path(directory).chmod(_PRIVATE)
    for directory, children, names in os.walk(path, topdown=False):
        for name in names:
            (Path(directory) / name).unlink()
        for child in children:
            entry = Path(directory) / child
            if entry.is_symlink():
                entry.unlink()
            else:
                entry.rmdir()
    path.rmdir()
