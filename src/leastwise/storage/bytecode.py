"""Compiles the Python files of an unpacked package, without ever running or trusting them.

The compiler of CPython is no security boundary: a hostile source can make it use all memory, or crash it. So a child
process compiles that has nothing: no files, no sockets, no rights, little memory, little time. Sources go in over a
pipe, bytecode comes back; which file it is written to is decided here. Whatever goes wrong, the file is simply not
compiled: bytecode saves time at cold start and changes nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from leastwise.kernel.units import MIB

_LOG: Final = logging.getLogger(__name__)

_TASK_ROOT: Final = "/var/task"
_LARGEST_SOURCE: Final = 4 * MIB
_LARGEST_BYTECODE: Final = 32 * MIB
_LONGEST_S: Final = 60.0
_LONGEST_NAME_BYTES: Final = 255
_LENGTH: Final = struct.Struct("<L")

# Runs on CPython 3.9 and later with nothing but its standard library. UNCHECKED_HASH (PEP 552), because the tree never
# changes under its digest: the interpreter need not look at the source again.
_CHILD: Final = """
import encodings.ascii, encodings.latin_1, encodings.utf_8_sig, importlib.util, marshal, os, resource, struct, sys
source, sink = sys.stdin.buffer, sys.stdout.buffer
for limit, value in (
    (resource.RLIMIT_AS, 1 << 30), (resource.RLIMIT_CPU, 60), (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_NOFILE, 3),
):
    resource.setrlimit(limit, (value, value))
if os.getuid() == 0:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
length = struct.Struct("<L")
def take():
    head = source.read(4)
    return source.read(length.unpack(head)[0]) if len(head) == 4 else None
while True:
    name, text = take(), take()
    if name is None or text is None:
        break
    try:
        code = compile(text, name.decode(), "exec", dont_inherit=True, optimize=0)
        head = importlib.util.MAGIC_NUMBER + length.pack(1) + importlib.util.source_hash(text)
        answer = head + marshal.dumps(code)
    except Exception:
        answer = b""
    sink.write(length.pack(len(answer)) + answer)
    sink.flush()
"""


class BytecodeCompiler:
    """Writes `__pycache__` into a tree for one runtime.

    Args:
        interpreters: `python3.11` -> the interpreter that compiles for it. A runtime that is not there is skipped.
    """

    def __init__(self, interpreters: Mapping[str, Path]) -> None:
        self._interpreters = dict(interpreters)

    def __call__(self, runtime: str, tree: Path) -> None:
        """Compiles every `.py` of the tree that can be compiled. The tree's directories must be writable."""
        interpreter = self._interpreters.get(runtime)
        tag = f"cpython-{runtime.removeprefix('python').replace('.', '')}"
        if interpreter is None or next(_sources(tree), None) is None:
            return
        # SECURITY: -I and -S keep environment variables, the working directory and .pth files from running code in
        # the child; an empty environment keeps the platform's secrets out of it.
        try:
            child = subprocess.Popen(  # noqa: S603 - an interpreter of this machine, with fixed arguments
                [str(interpreter), "-I", "-S", "-B", "-W", "ignore", "-c", _CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            _LOG.warning("no bytecode for %s: %s cannot be started: %s", runtime, interpreter, error.strerror)
            return
        # The child may die of a source at any time, also while its pipe is being closed: what is compiled by then stays.
        with contextlib.suppress(BrokenPipeError), child:
            # SECURITY: stops a source that keeps the compiler busy for ever.
            watchdog = threading.Timer(_LONGEST_S, child.kill)
            watchdog.daemon = True
            watchdog.start()
            try:
                if child.stdin is None or child.stdout is None:
                    return
                with contextlib.suppress(BrokenPipeError, EOFError):
                    _compile_all(tree, tag, child.stdin, child.stdout)
            finally:
                watchdog.cancel()
                child.kill()


def _compile_all(tree: Path, tag: str, to_child: IO[bytes], from_child: IO[bytes]) -> None:
    for directory, name in _sources(tree):
        text = _read(directory / name)
        if text is None:
            continue
        shown_as = os.fsencode(f"{_TASK_ROOT}/{(directory / name).relative_to(tree)}")
        for part in (shown_as, text):
            to_child.write(_LENGTH.pack(len(part)))
            to_child.write(part)
        to_child.flush()
        answer = _take(from_child)
        if answer:
            _write(directory / "__pycache__", f"{name[:-3]}.{tag}.pyc", answer)


def _sources(tree: Path) -> Iterator[tuple[Path, str]]:
    for directory, children, names in os.walk(tree):
        children[:] = [child for child in children if child != "__pycache__"]
        for name in names:
            if name.endswith(".py"):
                yield Path(directory), name


def _read(path: Path) -> bytes | None:
    """A source; None for a link or a file too large to be worth it."""
    if path.is_symlink() or path.stat().st_size > _LARGEST_SOURCE:
        return None
    return path.read_bytes()


def _take(from_child: IO[bytes]) -> bytes:
    head = from_child.read(_LENGTH.size)
    if len(head) != _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    # SECURITY: the child reads hostile input; what it says is a claim like any other.
    if length > _LARGEST_BYTECODE:
        raise EOFError
    answer = from_child.read(length)
    if len(answer) != length:
        raise EOFError
    return answer


def _write(directory: Path, name: str, bytecode: bytes) -> None:
    """Puts a file in place in one step, so that an environment that runs on this tree never sees half of one."""
    # SECURITY: a package may bring a link named __pycache__; nothing is written through it.
    if directory.is_symlink() or len(os.fsencode(name)) > _LONGEST_NAME_BYTES - len(".new"):
        return
    if not directory.exists():
        directory.mkdir(mode=0o700)
    elif not directory.is_dir():
        return
    new = directory / f"{name}.new"
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o400)
    with os.fdopen(descriptor, "wb") as file:
        file.write(bytecode)
        os.fchmod(file.fileno(), 0o444)
    new.replace(directory / name)
