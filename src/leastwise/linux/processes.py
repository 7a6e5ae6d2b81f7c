"""Walks the processes of a sandbox by /proc, where no control group lists them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_ROUNDS: Final = 64


def process_id(pidfd: int) -> int:
    """Pid behind a process handle, 0 when it is gone."""
    try:
        text = Path(f"/proc/self/fdinfo/{pidfd}").read_text()
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return max(0, int(fields.get("Pid", "0")))


def _children(pid: int) -> Iterator[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return
    for task in tasks:
        with contextlib.suppress(OSError):
            yield from map(int, (task / "children").read_text().split())


def _tree(root: int) -> set[int]:
    """`root` and everything below it. Orphans are there too: pid 1 of a process namespace adopts them."""
    found: set[int] = set()
    waiting = [root] if root else []
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting.extend(_children(pid))
    return found


def stop_tree(pidfd: int) -> None:
    """Stops every process, again and again until a walk finds no new one: a stopped process makes no children."""
    root = process_id(pidfd)
    stopped: set[int] = set()
    for _ in range(_ROUNDS):
        new = _tree(root) - stopped
        if not new:
            return
        _signal_all(new, signal.SIGSTOP)
        stopped |= new


def resume_tree(pidfd: int) -> None:
    _signal_all(_tree(process_id(pidfd)), signal.SIGCONT)


def tree_peak_bytes(pidfd: int) -> int:
    """Sum of the highest resident sizes of the processes that live now; 0 when they are gone."""
    total = 0
    for pid in _tree(process_id(pidfd)) if pidfd >= 0 else ():
        with contextlib.suppress(OSError):
            match = _PEAK.search(Path(f"/proc/{pid}/status").read_text())
            total += int(match[1]) * 1024 if match else 0
    return total


def _signal_all(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)
