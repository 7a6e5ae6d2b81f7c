"""Control groups v2: one directory with all controllers, in a subtree that is delegated to the platform.

Source: Linux, Documentation/admin-guide/cgroup-v2.rst ("Delegation", "No Internal Process Constraint", memory, pids, cpu).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from leastwise.kernel.units import MIB
from leastwise.linux.cgroup import (
    GATEWAY,
    PROCESS_LIMIT,
    cpu_quota_us,
    cpu_weight,
    kill_members,
    own_groups,
    remove,
    write,
)

_NEEDED: Final = frozenset({"memory", "pids"})
_WANTED: Final = ("memory", "pids", "cpu")


def open_v2(name: str, root: Path, proc: Path) -> CgroupsV2:
    """Makes the platform's directory, below its own group or, as root, below the root.

    Raises:
        OSError: v2 is not mounted at `root`, lacks a controller, or is not delegated to us.
    """
    if not (root / "cgroup.controllers").exists():
        message = "cgroup v2 is not mounted"
        raise OSError(message)
    own = root / own_groups(proc).get("", "/").lstrip("/")
    if own.name == GATEWAY and own.parent.name == name:
        own = own.parent.parent  # the platform moved itself there before
    reasons = []
    for parent in dict.fromkeys((own, root)):
        try:
            return _open_below(parent, name, move=parent != root)
        except OSError as error:
            reasons.append(str(error))
    message = f"cgroup v2 is not delegated: {'; '.join(reasons)}"
    raise OSError(message)


def _open_below(parent: Path, name: str, *, move: bool) -> CgroupsV2:
    available = set((parent / "cgroup.controllers").read_text().split())
    if not available >= _NEEDED:
        message = f"no {' and no '.join(sorted(_NEEDED - available))} controller in {parent}"
        raise OSError(message)
    base = parent / name
    enable = " ".join(f"+{controller}" for controller in _WANTED if controller in available)
    base.mkdir(exist_ok=True)
    if move:
        # A group with processes cannot hand controllers down: the platform moves into a leaf of its own.
        gateway = base / GATEWAY
        gateway.mkdir(exist_ok=True)
        write(gateway / "cgroup.procs", "0")
    write(parent / "cgroup.subtree_control", enable)
    write(base / "cgroup.subtree_control", enable)
    missing = [controller for controller in _WANTED if controller not in available]
    return CgroupsV2(base, ", ".join(f"no {controller} controller" for controller in missing))


class CgroupsV2:
    version = "v2"

    def __init__(self, base: Path, weakness: str) -> None:
        self._base = base
        self.weakness = weakness

    @property
    def bases(self) -> tuple[Path, ...]:
        return (self._base,)

    def make(self, name: str) -> CgroupV2:
        directory = self._base / name
        directory.mkdir(exist_ok=True)
        # SECURITY: a fork bomb ends here, whatever rlimits a process has.
        write(directory / "pids.max", str(PROCESS_LIMIT))
        # SECURITY: one killed child would leave a handler waiting for it for ever: the environment goes as a whole.
        write(directory / "memory.oom.group", "1")
        return CgroupV2(directory)


class CgroupV2:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def join_fds(self) -> list[int]:
        return []

    def into_fd(self) -> int:
        return os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def limit_memory(self, memory_mib: int) -> None:
        # SECURITY: counts all processes of the environment together, kernel memory and /tmp included; three processes
        # of 300 MB pass any rlimit.
        write(self._directory / "memory.max", str(memory_mib * MIB))
        with contextlib.suppress(FileNotFoundError):
            write(self._directory / "memory.swap.max", "0")

    def limit_cpu(self, memory_mib: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            write(self._directory / "cpu.weight", str(cpu_weight(memory_mib)))
            write(self._directory / "cpu.max", f"{cpu_quota_us(memory_mib)} 100000")

    def oom_fd(self) -> int:
        return -1

    def out_of_memory(self) -> bool:
        text = (self._directory / "memory.events").read_text()
        fields = dict(line.split() for line in text.splitlines())
        return int(fields.get("oom_kill", "0")) > 0

    def peak_memory_bytes(self) -> int | None:
        for name in ("memory.peak", "memory.current"):
            with contextlib.suppress(FileNotFoundError):
                return int((self._directory / name).read_text())
        return None

    def alone(self) -> bool | None:
        return len((self._directory / "cgroup.procs").read_text().split()) <= 1

    def freeze(self) -> bool:
        write(self._directory / "cgroup.freeze", "1")
        return True

    def thaw(self) -> None:
        write(self._directory / "cgroup.freeze", "0")

    def release(self) -> None:
        with contextlib.suppress(OSError):
            self.thaw()
        with contextlib.suppress(OSError):
            write(self._directory / "cgroup.kill", "1")
        kill_members([self._directory / "cgroup.procs"])
        remove(self._directory)
