"""Control groups v1: one directory per controller.

Source: Linux, Documentation/admin-guide/cgroup-v1 (memory.rst, freezer-subsystem.rst, pids.rst).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from leastwise.kernel.units import MIB
from leastwise.linux.cgroup import (
    PERIOD_US,
    PROCESS_LIMIT,
    cpu_quota_us,
    cpu_shares,
    kill_members,
    own_groups,
    remove,
    write,
)

_NEEDED: Final = ("memory", "pids")
_WANTED: Final = ("cpu", "freezer")


def open_v1(name: str, root: Path, proc: Path) -> CgroupsV1:
    """Makes the platform's directory in every hierarchy.

    Raises:
        OSError: a controller is not mounted, or not ours to use.
    """
    own = own_groups(proc)
    bases: dict[str, Path] = {}
    missing = []
    for controller in (*_NEEDED, *_WANTED):
        base = root / controller / own.get(controller, "/").lstrip("/") / name
        try:
            _demand(controller in own and (root / controller / "tasks").exists(), controller)
            base.mkdir(exist_ok=True)
        except OSError as error:
            if controller in _NEEDED:
                message = f"cgroup v1: {error}"
                raise OSError(message) from error
            missing.append(controller)
            continue
        bases[controller] = base
    if "cpu" in bases:
        # MEASURED: the first group with a quota makes the kernel patch its own code, 0.8 ms in the middle of a cold start
        # whenever no other has one (2 cores, kernel 6.18, 2026-11). This one always has: all processors, so no limit.
        with contextlib.suppress(OSError):
            write(bases["cpu"] / "cpu.cfs_quota_us", str(PERIOD_US * (os.cpu_count() or 1)))
    return CgroupsV1(bases, ", ".join(f"no {controller} controller" for controller in missing))


def _demand(mounted: bool, controller: str) -> None:  # noqa: FBT001 - a yes or no
    if not mounted:
        message = f"no {controller} controller"
        raise OSError(message)


class CgroupsV1:
    version = "v1"

    def __init__(self, bases: dict[str, Path], weakness: str) -> None:
        self._bases = bases
        self.weakness = weakness

    @property
    def bases(self) -> tuple[Path, ...]:
        return tuple(self._bases.values())

    def make(self, name: str) -> CgroupV1:
        directories = {controller: base / name for controller, base in self._bases.items()}
        for directory in directories.values():
            directory.mkdir(parents=True, exist_ok=True)
        # SECURITY: a fork bomb ends here, whatever rlimits a process has.
        write(directories["pids"] / "pids.max", str(PROCESS_LIMIT))
        return CgroupV1(directories)


class CgroupV1:
    def __init__(self, directories: dict[str, Path]) -> None:
        self._directories = directories
        memory = directories["memory"]
        self._pids_fd = os.open(directories["pids"] / "pids.current", os.O_RDONLY | os.O_CLOEXEC)
        self._peak_fd = os.open(memory / "memory.max_usage_in_bytes", os.O_RDONLY | os.O_CLOEXEC)
        self._oom_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        control = os.open(memory / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        try:
            write(memory / "cgroup.event_control", f"{self._oom_fd} {control}")
        finally:
            os.close(control)

    def join_fds(self) -> list[int]:
        return [os.open(path / "tasks", os.O_WRONLY | os.O_CLOEXEC) for path in self._directories.values()]

    def into_fd(self) -> int:
        return -1

    def limit_memory(self, memory_mib: int) -> None:
        memory = self._directories["memory"]
        # SECURITY: counts all processes of the environment together, kernel memory and /tmp included; three processes
        # of 300 MB pass any rlimit.
        write(memory / "memory.limit_in_bytes", str(memory_mib * MIB))
        with contextlib.suppress(FileNotFoundError):
            write(memory / "memory.memsw.limit_in_bytes", str(memory_mib * MIB))

    def limit_cpu(self, memory_mib: int) -> None:
        if "cpu" in self._directories:
            write(self._directories["cpu"] / "cpu.shares", str(cpu_shares(memory_mib)))
            with contextlib.suppress(FileNotFoundError):
                write(self._directories["cpu"] / "cpu.cfs_quota_us", str(cpu_quota_us(memory_mib)))

    def oom_fd(self) -> int:
        return self._oom_fd

    def out_of_memory(self) -> bool:
        text = (self._directories["memory"] / "memory.oom_control").read_text()
        fields = dict(line.split() for line in text.splitlines())
        return int(fields.get("oom_kill", "0")) > 0

    def peak_memory_bytes(self) -> int | None:
        return int(os.pread(self._peak_fd, 32, 0))

    def alone(self) -> bool | None:
        if os.pread(self._pids_fd, 32, 0) == b"1\n":
            return True
        text = (self._directories["pids"] / "cgroup.procs").read_text()
        return len(text.split()) <= 1

    def freeze(self) -> bool:
        if "freezer" not in self._directories:
            return False
        write(self._directories["freezer"] / "freezer.state", "FROZEN")
        return True

    def thaw(self) -> None:
        if "freezer" in self._directories:
            write(self._directories["freezer"] / "freezer.state", "THAWED")

    def release(self) -> None:
        for fd in (self._pids_fd, self._peak_fd, self._oom_fd):
            os.close(fd)
        with contextlib.suppress(OSError):
            self.thaw()
        kill_members([self._directories["pids"] / "cgroup.procs"])
        for directory in self._directories.values():
            remove(directory)
