"""What a family of runtimes says about its sandboxes: what they hold, what they run, how they ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leastwise.runtime.interface import CrashReason


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeRoot:
    """What the read-only root of a runtime's environments holds besides the system. Built once per fork server.

    Args:
        binds: path inside -> host directory; mounted read-only, nosuid, nodev.
        interpreter: Python inside the root that the fork server runs, whose children are Python environments. None: the
            platform's own Python, which is unmounted again before any environment is made; environments are programs.
        covers: directories inside (below a bind) that are hidden under an empty one.
        preload: modules the fork server imports.
    """

    binds: Mapping[str, Path]
    interpreter: str | None = None
    covers: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlan:
    """A program that pid 1 of a sandbox starts (fork and execve) behind all layers.

    Pid 1 stays as a small reaper; when the program ends, the whole sandbox ends with its status.

    Args:
        argv: argv[0] is a path inside, `/var/task/bootstrap`.
        env: the complete environment; nothing is added.
        cwd: working directory inside.
        channel: True gives the program a stream socket to the gateway at descriptor 3 (`Sandbox.channel`).
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    cwd: str = "/var/task"
    channel: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a sandbox ended. `status` is the exit status or the signal's number."""

    reason: CrashReason
    status: int
