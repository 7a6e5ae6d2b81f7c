"""The process that the solver runs in: `python -I -m leastwise.iam.reasoning`.

One JSON value a line: first the script (a string), then goals (`{"goals": [...], "timeout_ms": N}`); each goal is answered
with `{"answer": ..., "model": {...}}`. It ends when its input does.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Final

from leastwise.iam.reasoning.solving import Cvc5Session

_MEMORY_BYTES: Final = 1 << 30
_CPU_S: Final = 30
_NOBODY: Final = 65_534


def _confine() -> None:
    """SECURITY: a policy that finds a way into native code must find nothing there: no other user's files, no memory
    without end (the host would kill the platform instead), no processor without end, no core file with the policy in it.
    """
    for limit, value in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        resource.setrlimit(limit, (value, value))
    if os.geteuid() == 0:
        # SECURITY: root's child would otherwise be root: code that broke out of the solver could do everything.
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    os.chdir("/")


def main() -> None:
    session = Cvc5Session()
    _confine()
    session.load(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        question = json.loads(line)
        reply = session.ask(question["goals"], timeout_ms=question["timeout_ms"])
        sys.stdout.write(json.dumps({"answer": reply.answer, "model": reply.model}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
