"""The Python runtime of a sandbox: loads the handler, then answers one invocation after the other.

Source: AWS Lambda, "Define Lambda function handler in Python", "Runtimes"; payloads as recorded on AWS.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib
import importlib.machinery
import json
import os
import site
import socket
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

from leastwise.guest import fork_hooks, python_errors, python_json, python_output
from leastwise.guest.confine import Layers
from leastwise.guest.python_context import make_context
from leastwise.guest.wire import (
    ERROR,
    HEADER,
    INIT_DONE,
    INIT_ERROR,
    INVOKE,
    RESPONSE_LIMIT,
    RESULT,
    SPECIALISE,
    TOO_LARGE,
    Frames,
    pack_invoke,
    unpack_invoke,
)

_WARM_MODULES = (
    "base64", "collections", "contextlib", "datetime", "functools", "json", "logging", "os", "re", "socket", "string",
    "threading", "time", "traceback", "typing", "urllib.parse",
)  # fmt: skip
"""MEASURED: every shared library more is five mappings more to copy, 12 us of each fork (2 cores, kernel 6.18, 2026-11)."""

_seeders: list[Callable[[bytes], None]] = []
_own_modules: dict[str, types.ModuleType] = {}
_logs: list[python_output.Log] = []
_REHEARSALS = 64
_SPARE_MODULE = "colorsys"
"""Small, in every version, imported by nobody: stands in for a function's module."""


def warm_up() -> None:
    """In the fork server: imports and touches what every function needs, once for all of them."""
    for name in _WARM_MODULES:
        importlib.import_module(name)
    site.setquit()
    site.setcopyright()
    site.sethelper()
    sys.argv = ["/var/runtime/bootstrap.py"]
    python_errors.warm_up()
    _find_generators()
    _go_through_the_motions(_REHEARSALS)


def _find_generators() -> None:
    """Notes the random generators that the fork server has in memory: each sandbox must seed its own copy."""
    if "random" in sys.modules:
        random = sys.modules["random"]
        seed = super(random.Random, random._inst).seed  # noqa: SLF001 - the generator behind random.random()
        _seeders.append(lambda entropy: seed(int.from_bytes(entropy, "big")))
    if "ssl" in sys.modules:
        ssl = sys.modules["ssl"]
        ssl.RAND_bytes(1)  # set up once, not in every sandbox
        _seeders.append(lambda entropy: ssl.RAND_add(entropy, 32.0))


def look_like_a_function() -> None:
    """In the fork server, last of all: makes the interpreter look as if it had been started for a function."""
    sys.path[:] = _search_path(sys.path)
    for directory in ("/var/task", "/var/runtime"):
        # Finders look at the directory when they are first asked; there is no need to make them in every sandbox.
        finder = importlib.machinery.FileFinder(directory, *_loaders())
        sys.path_importer_cache[directory] = finder
    _logs.append(python_output.install())
    # Our own modules are hidden but kept: freeing them would copy every page they lie on, in every sandbox.
    for name in [name for name in sys.modules if name == "leastwise" or name.startswith("leastwise.")]:
        _own_modules[name] = sys.modules.pop(name)
    # A fresh __main__: multiprocessing's "spawn" would run our own file again.
    _own_modules["__main__"] = sys.modules["__main__"]
    main = types.ModuleType("__main__")
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = main


def _loaders() -> list[tuple[type, list[str]]]:
    """As the interpreter's own path hook has them."""
    kinds = importlib.machinery
    return [
        (kinds.ExtensionFileLoader, kinds.EXTENSION_SUFFIXES),
        (kinds.SourceFileLoader, kinds.SOURCE_SUFFIXES),
        (kinds.SourcelessFileLoader, kinds.BYTECODE_SUFFIXES),
    ]


def _go_through_the_motions(times: int) -> None:
    """Runs what every sandbox will run on its way to the first answer.

    In the fork server until the interpreter has specialised the code and filled its caches: counters and caches lie in
    the code itself, and what is settled once is not written again in each sandbox.
    """
    frame = pack_invoke(0, "0" * 36, "arn", None, None, b'{"warm": [1.5, null, true]}')
    before = dict(os.environ)
    many = {"LEASTWISE_REHEARSAL_%d" % number: "x" * number for number in range(40)}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        runtime = _Runtime(theirs, Frames(theirs), python_output.Log())
        runtime.handler = lambda event, context: [event, context.aws_request_id]
        for _ in range(times):
            body = json.dumps(many).encode()
            socket.send_fds(ours, [HEADER.pack(SPECIALISE, len(body)) + body], [ours.fileno()])
            _, body, fd = _receive_with_fd(theirs)
            os.close(fd)
            _replace_environment(json.loads(body))
            _replace_environment(before)
            ours.send(frame)
            runtime.answer_next()
            ours.recv(4096)
            python_errors.find_handler(_SPARE_MODULE + ".rgb_to_hsv")
            del sys.modules[_SPARE_MODULE]
            for seed in _seeders:
                seed(os.urandom(32))


def serve(connection: socket.socket, layers: Layers) -> int:
    """The life of one environment. Returns the exit status of pid 1."""
    _settle_in()
    _wait_in_the_pool(connection)
    frames = Frames(connection)
    try:
        kind, body, code_fd = _receive_with_fd(connection)
        if kind != SPECIALISE:
            return 70
        request = json.loads(body)
        layers.mount_code(code_fd, request["tmp_mib"])
        layers.confine(data_limit=request["data_limit"])
        _replace_environment(request["variables"])
        time.tzset()
        gc.enable()
        return _Runtime(connection, frames, _logs[0]).run(request["handler"])
    except EOFError:
        return 0
    except SystemExit as exit_request:
        return _leave(exit_request)
    except KeyboardInterrupt:
        return 130


def _receive_with_fd(connection: socket.socket) -> tuple[int, bytes, int]:
    """The first frame, with the descriptor that came along (-1 for none)."""
    message, fds, _, _ = socket.recv_fds(connection, HEADER.size, 1)
    if not message:
        raise EOFError
    kind, length = HEADER.unpack(message)
    body = bytearray()
    while len(body) < length:
        more = connection.recv(length - len(body))
        if not more:
            raise EOFError
        body += more
    if fds:
        os.set_inheritable(fds[0], False)
    return kind, bytes(body), fds[0] if fds else -1


def _settle_in() -> None:
    """Generic stage: what each sandbox must have of its own."""
    # SECURITY: children of one fork server must never draw the same random numbers.
    for seed in _seeders:
        seed(os.urandom(32))
    fork_hooks.hand_over()
    threading.main_thread()._native_id = os.getpid()  # type: ignore[attr-defined] # noqa: SLF001 - as its own hook would


def _wait_in_the_pool(connection: socket.socket) -> None:
    """If nobody is waiting for this sandbox yet: copies the pages now that its first function will write to.

    MEASURED: 250 of the 300 page faults between request and handler happen here instead, 0.8 of 2.1 ms (2 cores, kernel
    6.18, CPython 3.11, 2026-11). The pages would be copied anyway, so it costs no memory once the sandbox is used.
    """
    try:
        connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        _go_through_the_motions(1)


def _replace_environment(variables: dict[str, str]) -> None:
    """As clear() and update(), without their detour through eight abstract methods a variable."""
    environ: Any = os.environ
    data = environ._data  # noqa: SLF001
    for name in list(data):
        os.unsetenv(name)
    data.clear()
    for name, value in variables.items():
        key, text = os.fsencode(name), os.fsencode(value)
        os.putenv(key, text)
        data[key] = text


def _search_path(interpreter_path: list[str]) -> list[str]:
    """Source: Lambda, "Working with layers for Python", search order."""
    version = "python%d.%d" % sys.version_info[:2]
    layers = ["/opt/python/lib/%s/site-packages" % version, "/opt/python"]
    own = [path for path in interpreter_path if path.startswith("/var/lang/")]
    return ["/var/task", *layers, "/var/runtime", *own]


def _leave(exit_request: SystemExit) -> int:
    """What the interpreter does with an uncaught SystemExit."""
    code = exit_request.code
    try:
        atexit._run_exitfuncs()  # noqa: SLF001 - what the interpreter itself calls at this point
    except BaseException:
        sys.excepthook(*sys.exc_info())
    if code is None:
        status = 0
    elif isinstance(code, int):
        status = code & 0xFF
    else:
        sys.stderr.write("%s\n" % (code,))
        status = 1
    python_output.flush()
    return status


class _Runtime:
    """One environment's handler and its wire."""

    def __init__(self, connection: socket.socket, frames: Frames, log: python_output.Log) -> None:
        self._send = connection.sendall
        self._frames = frames
        self._ascii_only = sys.version_info < (3, 12)  # Source: as the official runtime's marshaller of each version
        self._log = log
        self.handler: Any = None

    def run(self, handler: str) -> int:
        try:
            self.handler = python_errors.find_handler(handler)
        except Exception:
            error = python_errors.describe_init_failure(sys.exc_info())
            self._log.error(error)
            self._reply(INIT_ERROR, python_json.encode(error, ascii_only=self._ascii_only))
            return 1
        self._reply(INIT_DONE, b"")
        while self.answer_next():
            pass
        return 70

    def answer_next(self) -> bool:
        """Waits for one invocation and answers it; False when something else came."""
        kind, body = self._frames.next()
        if kind != INVOKE:
            return False
        deadline_ms, request_id, function_arn, trace_id, client_context, payload = unpack_invoke(body)
        self._log.request_id = request_id
        if trace_id:
            os.environ["_X_AMZN_TRACE_ID"] = trace_id
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        try:
            context = make_context(request_id, deadline_ms, function_arn, client_context)
            event = python_errors.unmarshal(payload)
            result = python_errors.marshal(self.handler(event, context), self._ascii_only)
        except Exception:
            error = python_errors.describe(sys.exc_info(), request_id)
            self._log.error(error)
            self._reply(ERROR, python_json.encode(error, ascii_only=self._ascii_only))
            return True
        if len(result) > RESPONSE_LIMIT:
            self._reply(TOO_LARGE, b"%d" % len(result))
        else:
            self._reply(RESULT, result)
        return True

    def _reply(self, kind: int, body: bytes) -> None:
        python_output.flush()
        self._send(HEADER.pack(kind, len(body)) + body)
