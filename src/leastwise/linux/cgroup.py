"""The port of control groups: bounds on memory, processes and CPU of a whole environment. And their files."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

PROCESS_LIMIT: Final = 1024
"""Processes and threads. Source: Lambda quotas."""
MIB_PER_CPU: Final = 1769
"""Source: AWS Lambda, "Configure Lambda function memory": at 1,769 MB a function has the equivalent of one vCPU."""
GATEWAY: Final = "gateway"
"""Leaf that the platform moves into on v2."""
_SHARES_PER_CPU: Final = 1024
PERIOD_US: Final = 100_000
_KILL_SECONDS: Final = 5.0


class Cgroup(Protocol):
    """The groups of one sandbox."""

    def join_fds(self) -> list[int]:
        """Opened `tasks` files for the sandbox's first process to write 0 into (v1). The caller closes them."""
        ...

    def into_fd(self) -> int:
        """Directory to be born in (v2), -1 if there is none. The caller closes it."""
        ...

    def limit_memory(self, memory_mib: int) -> None: ...

    def limit_cpu(self, memory_mib: int) -> None:
        """Sets the share of the processors that goes with this much memory.

        After the init phase: until then an environment has a whole processor's share, as on Lambda.
        MEASURED: a small share in the init phase makes it lose the processor to its own fork server, 0.5 ms of a cold
        start (2 cores, kernel 6.18, 2026-11).
        """
        ...

    def oom_fd(self) -> int:
        """Readable when the kernel runs out of memory for the group, -1 where the kernel kills the whole group itself."""
        ...

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed anything here for lack of memory."""
        ...

    def peak_memory_bytes(self) -> int | None: ...

    def alone(self) -> bool | None:
        """Whether there is exactly one process; None when it is not known."""
        ...

    def freeze(self) -> bool:
        """Stops everything in the group; False when the kernel cannot."""
        ...

    def thaw(self) -> None: ...

    def release(self) -> None:
        """Kills what is left and removes the group. Blocking (milliseconds); never raises."""
        ...


class Cgroups(Protocol):
    """Makes groups."""

    @property
    def version(self) -> str:
        """`v1`, `v2` or `none`."""
        ...

    @property
    def weakness(self) -> str:
        """What is missing, empty when nothing is."""
        ...

    def make(self, name: str) -> Cgroup:
        """A fresh group.

        Raises:
            OSError: it cannot be made.
        """
        ...

    @property
    def bases(self) -> tuple[Path, ...]:
        """The platform's own directories, one per hierarchy; all groups lie directly below."""
        ...


class NoCgroup:
    """Stands in where the kernel counts nothing."""

    def join_fds(self) -> list[int]:
        return []

    def into_fd(self) -> int:
        return -1

    def limit_memory(self, memory_mib: int) -> None:
        del memory_mib

    def limit_cpu(self, memory_mib: int) -> None:
        del memory_mib

    def oom_fd(self) -> int:
        return -1

    def out_of_memory(self) -> bool:
        return False

    def peak_memory_bytes(self) -> int | None:
        return None

    def alone(self) -> bool | None:
        return None

    def freeze(self) -> bool:
        return False

    def thaw(self) -> None:
        return

    def release(self) -> None:
        return


class NoCgroups:
    """No right to any control group."""

    version = "none"
    bases = ()

    def __init__(self, weakness: str) -> None:
        self.weakness = weakness

    def make(self, name: str) -> Cgroup:
        del name
        return NoCgroup()


def cpu_shares(memory_mib: int) -> int:
    """Weight of an environment when the machine is busy, 1024 for one CPU's worth. (cpu.shares of v1.)"""
    return max(2, _SHARES_PER_CPU * memory_mib // MIB_PER_CPU)


def cpu_weight(memory_mib: int) -> int:
    """The same as cpu.weight of v2: 1 to 10000, 100 for one CPU's worth."""
    return min(10_000, max(1, 100 * memory_mib // MIB_PER_CPU))


def cpu_quota_us(memory_mib: int) -> int:
    """CPU time per 100 ms that an environment can never pass: its share, rounded up to whole CPUs.

    Below one CPU the share alone decides: an idle machine lends what it has, as Lambda does in the init phase.
    """
    return PERIOD_US * max(1, -(-memory_mib // MIB_PER_CPU))


def own_groups(proc: Path) -> dict[str, str]:
    """Controller (empty for v2) -> path of the group this process is in."""
    groups = {}
    for line in (proc / "self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            groups[controller] = path
    return groups


def write(path: Path, text: str) -> None:
    """Writes a control file in one system call, as the kernel wants it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def kill_members(files: Iterable[Path]) -> None:
    """Kills every process listed in these `cgroup.procs` files until they are empty, or for five seconds."""
    deadline = time.monotonic() + _KILL_SECONDS
    remaining = list(files)
    while remaining and time.monotonic() < deadline:
        alive = []
        for file in remaining:
            try:
                pids = [int(pid) for pid in file.read_text().split()]
            except OSError:
                continue
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if pids:
                alive.append(file)
        remaining = alive
        if remaining:
            time.sleep(0.002)


def remove(directory: Path) -> None:
    """Removes an empty group; for a moment after its last process the kernel may still call it busy."""
    deadline = time.monotonic() + _KILL_SECONDS
    while True:
        try:
            directory.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.005)
        else:
            return
