"""Where print and logging of a function go: one datagram per log event on the telemetry wire.

A datagram arrives whole or not at all, so threads and forked children cannot tear each other's events. Programs that
write to descriptors 1 and 2 themselves arrive through a pipe, line by line.

Source: Lambda, "Log and monitor Python Lambda functions"; event formats as recorded on AWS.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from typing import Any

from leastwise.guest.wire import EVENT_LIMIT, TELEMETRY_FD

_NO_BREAK_SPACE = "\u00a0"
_streams: list[_Stream] = []
_replaced = []  # type: list[object] # kept: closing them would touch the descriptors


def send_event(text: bytes) -> None:
    """Sends one event (in pieces if it is long). Blocks while the gateway is behind: a flood slows its maker down."""
    try:
        for start in range(0, len(text), EVENT_LIMIT):
            piece = text[start : start + EVENT_LIMIT]
            os.write(TELEMETRY_FD, piece if piece.endswith(b"\n") else piece + b"\n")
    except OSError:
        return  # the gateway is gone, and with it everybody who could read this


class _Stream(io.RawIOBase):
    """Standard output or error: splits into lines, one event each."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self.rest: dict[int, bytes] = {}

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Any) -> int:
        text = bytes(data)
        thread = threading.get_ident()
        rest = self.rest.pop(thread, b"")
        *lines, unfinished = (rest + text).split(b"\n")
        for line in lines:
            send_event(line + b"\n")
        if len(unfinished) > EVENT_LIMIT:
            send_event(unfinished)
        elif unfinished:
            self.rest[thread] = unfinished
        return len(text)

    def flush_rest(self) -> None:
        """Ends unfinished lines."""
        while self.rest:
            _, rest = self.rest.popitem()
            send_event(rest + b"\n")


class _Handler(logging.Handler):
    """The root logger's handler."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record.aws_request_id = self._log.request_id
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        send_event(text.encode("utf-8", "backslashreplace"))


class Log:
    """The platform's side of an environment's log."""

    def __init__(self) -> None:
        self.request_id = ""

    def error(self, payload: dict[str, Any]) -> None:
        """An error payload as one event, lines joined by carriage returns, indented with no-break spaces."""
        lines = [
            "[ERROR] %s: %s" % (payload["errorType"], payload["errorMessage"]),
            "Traceback (most recent call last):",
        ]
        if not payload["errorMessage"]:
            lines[0] = "[ERROR] " + payload["errorType"]
        for entry in payload["stackTrace"]:
            for line in entry.splitlines():
                text = line.lstrip(" ")
                lines.append(_NO_BREAK_SPACE * (len(line) - len(text)) + text)
        flush()
        send_event("\r".join(lines).encode("utf-8", "backslashreplace"))


def _text(raw: Any) -> io.TextIOWrapper:
    return io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def install() -> Log:
    """Takes over sys.stdout, sys.stderr and the root logger: in the fork server, for all its sandboxes."""
    log = Log()
    _streams[:] = [_Stream(1), _Stream(2)]
    _replaced[:] = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
    texts: list[Any] = [_text(stream) for stream in _streams]
    sys.stdout, sys.stderr = texts
    sys.__stdout__, sys.__stderr__ = texts  # type: ignore[misc] # whoever restores them must not reach the pipe
    logging.Formatter.converter = time.gmtime
    handler = _Handler(log)
    handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"
        )
    )
    logging.getLogger().addHandler(handler)
    # A forked child of the function keeps its parent's unfinished line out of its own output.
    os.register_at_fork(after_in_child=_forget)
    return log


def flush() -> None:
    """Ends unfinished lines of both streams, before a reply leaves."""
    for stream in _streams:
        if stream.rest:
            stream.flush_rest()


def _forget() -> None:
    for stream in _streams:
        stream.rest.clear()
