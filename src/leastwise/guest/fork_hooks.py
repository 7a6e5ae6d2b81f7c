"""What modules of the standard library want done at a fork: kept back from the fork server's own forks.

A fork server has one thread, holds no lock and is cloned at a known place, so there is nothing for those hooks to repair;
but they would run in every sandbox. A function that forks gets all of them, as ever.

MEASURED: the hooks of threading, logging and random copy 170 of 650 pages of an idle sandbox and take 0.4 ms of its start
(2 cores, kernel 6.18, CPython 3.11, 2026-11).
"""

from __future__ import annotations

import os

_register = os.register_at_fork
_collected: list[dict[str, object]] = []


def collect() -> None:
    """From here on hooks are noted, not registered."""
    os.register_at_fork = lambda **hooks: _collected.append(hooks)


def stop_collecting() -> None:
    os.register_at_fork = _register


def hand_over() -> None:
    """In a sandbox: registers what was noted, for the forks of the function."""
    for hooks in _collected:
        _register(**hooks)  # type: ignore[arg-type]
