"""Control groups of the platform: found, cleaned, written down.

Every group lies below `leastwise-<tag>` in the group the platform itself runs in, so that the limits somebody set for the
platform hold for its environments, and so that the next start finds what a killed platform left behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from leastwise.linux.cgroup import GATEWAY, Cgroup, Cgroups, NoCgroup, NoCgroups, kill_members, remove, write
from leastwise.linux.cgroups_v1 import open_v1
from leastwise.linux.cgroups_v2 import open_v2

__all__ = [
    "Cgroup",
    "Cgroups",
    "NoCgroup",
    "NoCgroups",
    "clean",
    "clean_groups",
    "detect_cgroups",
    "record_bases",
    "recorded_bases",
]

_PREFIX: Final = "leastwise-"
_ROOT: Final = Path("/sys/fs/cgroup")


def clean_groups(bases: Iterable[Path]) -> None:
    """Kills and removes every group below these directories. Blocking; never raises."""
    groups = [
        group for base in bases if base.is_dir() for group in base.iterdir() if group.is_dir() and group.name != GATEWAY
    ]
    for group in groups:
        # A frozen process does not die.
        for name, text in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError):
                write(group / name, text)
    kill_members([group / "cgroup.procs" for group in groups])
    for group in groups:
        remove(group)


def clean(bases: Iterable[Path]) -> None:
    """The same, and the directories too; a process that has moved itself into one moves out again."""
    present = [base for base in bases if base.is_dir()]
    clean_groups(present)
    for base in present:
        leaf = base / GATEWAY
        if leaf.is_dir():
            with contextlib.suppress(OSError):
                write(base.parent / "cgroup.subtree_control", "-memory -pids -cpu")
            with contextlib.suppress(OSError):
                write(base.parent / "cgroup.procs", "0")
        for directory in (leaf, base):
            with contextlib.suppress(OSError):
                directory.rmdir()


def recorded_bases(record: Path, tag: str) -> list[Path]:
    """Directories that an earlier run of the platform wrote down; it may have run in another group.

    SECURITY: only names this function would have made itself are taken, or a forged line could have the groups of some
    other service killed.
    """
    try:
        lines = record.read_text().splitlines()
    except OSError:
        return []
    paths = [Path(line) for line in lines]
    return [
        path for path in paths if path.name == _PREFIX + tag and path.is_relative_to(_ROOT) and ".." not in path.parts
    ]


def record_bases(record: Path, bases: Iterable[Path]) -> None:
    """Writes down where the groups lie, before the first is made."""
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("".join(f"{base}\n" for base in bases))


def detect_cgroups(tag: str, *, root: Path = _ROOT, proc: Path = Path("/proc")) -> Cgroups:
    """The best control groups that this process may make.

    Args:
        tag: names the platform's directory; made from the data directory.
        root: where control groups are mounted.
        proc: where /proc is mounted.
    """
    weaknesses = []
    for open_version in (open_v1, open_v2):
        try:
            return open_version(_PREFIX + tag, root, proc)
        except OSError as error:
            weaknesses.append(str(error))
    return NoCgroups("; ".join(weaknesses))
