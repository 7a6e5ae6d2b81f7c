"""The solver in a process of its own.

A process and not a thread: cvc5 is native code that holds the interpreter's lock while it thinks, that can run out of
memory, and that can crash. None of these may reach the platform. One process serves one verdict (90 ms to start) and
keeps nothing from one caller to the next.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Self

from leastwise.iam.reasoning.solving import Answer, Reply

PATIENCE_S: Final = 15.0
"""For a whole verdict. Whatever is not answered by then is UNKNOWN."""


class ChildSolver:
    """Keeps `Solver`. A context manager: the process is gone when the block ends, whatever happened in it."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        # SECURITY: -I keeps modules of the working directory out; no environment: none of the platform's secrets.
        self._process: subprocess.Popen[str] = subprocess.Popen(
            [sys.executable, "-I", "-m", "leastwise.iam.reasoning"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            encoding="utf-8",
            start_new_session=True,
        )
        # Reads and writes below end when the process does, so this one clock bounds them all.
        self._clock = threading.Timer(patience_s, self._process.kill)
        self._clock.daemon = True
        self._clock.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._clock.cancel()
        self._process.kill()
        self._process.communicate()

    def load(self, script: str) -> None:
        """See `Solver`."""
        self._send(script)

    def ask(self, goals: Sequence[str], *, timeout_ms: int) -> Reply:
        """See `Solver`. A process that is gone answers UNKNOWN."""
        self._send({"goals": list(goals), "timeout_ms": timeout_ms})
        output = self._process.stdout
        line = output.readline() if output is not None else ""
        if not line.endswith("\n"):
            return Reply(answer=Answer.UNKNOWN)
        said = json.loads(line)
        return Reply(answer=Answer(said["answer"]), model=said["model"])

    def _send(self, value: Any) -> None:
        try:
            if self._process.stdin is not None:
                self._process.stdin.write(json.dumps(value) + "\n")
                self._process.stdin.flush()
        except BrokenPipeError:
            # The next answer will be missing, and says so.
            return
