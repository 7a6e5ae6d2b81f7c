"""What the caller gets when the environment itself could not answer. Source: payloads recorded on AWS."""

from __future__ import annotations

import signal
from typing import Final

import msgspec

from leastwise.runtime.interface import CrashReason, EnvironmentCrashed

LARGEST_RESPONSE: Final = 6_291_556
"""6 MiB and 100 bytes. Source: Lambda quotas, "Invocation payload"."""

_SIGNAL_WORDS: Final = {signal.SIGKILL: "killed", signal.SIGSEGV: "segmentation fault", signal.SIGABRT: "aborted"}


def timed_out(request_id: str, timeout_ms: int) -> bytes:
    """The task passed its timeout."""
    return _error(
        "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {timeout_ms / 1000:.2f} seconds"
    )


def exited(request_id: str, crash: EnvironmentCrashed) -> bytes:
    """The runtime process is gone."""
    return _error("Runtime.ExitError", f"RequestId: {request_id} Error: {exit_words(crash)}")


def exit_words(crash: EnvironmentCrashed) -> str:
    """How Lambda says how a runtime ended."""
    if crash.reason is CrashReason.EXIT:
        if crash.status == 0:
            return "Runtime exited without providing a reason"
        return f"Runtime exited with error: exit status {crash.status}"
    if crash.reason is CrashReason.OUT_OF_MEMORY:
        return "Runtime exited with error: signal: killed"
    try:
        word = _SIGNAL_WORDS.get(signal.Signals(crash.status)) or signal.strsignal(crash.status) or str(crash.status)
    except ValueError:
        word = str(crash.status)
    return f"Runtime exited with error: signal: {word.lower()}"


def response_too_large() -> bytes:
    """More came back than may."""
    return msgspec.json.encode(
        {
            "errorMessage": f"Response payload size exceeded maximum allowed payload size ({LARGEST_RESPONSE} bytes).",
            "errorType": "Function.ResponseSizeTooLarge",
        }
    )


def _error(error_type: str, message: str) -> bytes:
    return msgspec.json.encode({"errorType": error_type, "errorMessage": message})
