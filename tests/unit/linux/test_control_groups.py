"""Control groups on a directory that looks like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from leastwise.linux.cgroup import cpu_quota_us, cpu_shares, cpu_weight
from leastwise.linux.cgroups import detect_cgroups, record_bases, recorded_bases


@pytest.mark.parametrize(
    ("memory_mib", "shares", "weight", "quota"),
    [(128, 74, 7, 100_000), (1769, 1024, 100, 100_000), (1770, 1024, 100, 200_000), (10240, 5927, 578, 600_000)],
)
def test_the_processor_share_follows_the_memory(memory_mib: int, shares: int, weight: int, quota: int) -> None:
    assert (shares, weight, quota) == (cpu_shares(memory_mib), cpu_weight(memory_mib), cpu_quota_us(memory_mib))


def proc(directory: Path, text: str) -> Path:
    (directory / "proc/self").mkdir(parents=True)
    (directory / "proc/self/cgroup").write_text(text)
    return directory / "proc"


def test_without_any_right_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "fs").mkdir()
    found = detect_cgroups("tag", root=tmp_path / "fs", proc=proc(tmp_path, "0::/\n"))
    assert "none" == found.version
    assert "no memory controller" in found.weakness
    assert "cgroup v2 is not mounted" in found.weakness


def test_v1_needs_memory_and_pids_and_says_what_else_is_missing(tmp_path: Path) -> None:
    for controller in ("memory", "pids"):
        (tmp_path / "fs" / controller / "own").mkdir(parents=True)
        (tmp_path / "fs" / controller / "tasks").write_text("")
    lines = "3:memory:/own\n2:pids:/own\n1:name=systemd:/\n"
    found = detect_cgroups("tag", root=tmp_path / "fs", proc=proc(tmp_path, lines))
    assert ("v1", "no cpu controller, no freezer controller") == (found.version, found.weakness)
    assert {tmp_path / "fs/memory/own/leastwise-tag", tmp_path / "fs/pids/own/leastwise-tag"} == set(found.bases)


def v2(directory: Path, controllers: str = "cpu memory pids") -> Path:
    own = directory / "fs" / "own"
    for path in (own, own / "leastwise-tag", own / "leastwise-tag/gateway", directory / "fs"):
        path.mkdir(parents=True, exist_ok=True)
        for name in ("cgroup.procs", "cgroup.subtree_control"):
            (path / name).write_text("")
    (directory / "fs/cgroup.controllers").write_text(controllers)
    (own / "cgroup.controllers").write_text(controllers)
    return directory / "fs"


def test_v2_moves_the_platform_into_a_leaf_and_hands_controllers_down(tmp_path: Path) -> None:
    root = v2(tmp_path)
    found = detect_cgroups("tag", root=root, proc=proc(tmp_path, "0::/own\n"))
    base = root / "own/leastwise-tag"
    assert ("v2", "", (base,)) == (found.version, found.weakness, found.bases)
    assert "0" == (base / "gateway/cgroup.procs").read_text()
    assert "+memory +pids +cpu" == (base / "cgroup.subtree_control").read_text()
    assert "+memory +pids +cpu" == (root / "own/cgroup.subtree_control").read_text()


def test_v2_without_memory_is_none(tmp_path: Path) -> None:
    found = detect_cgroups("tag", root=v2(tmp_path, "cpu pids"), proc=proc(tmp_path, "0::/own\n"))
    assert "none" == found.version
    assert "no memory controller" in found.weakness


def test_a_v2_group_is_limited_as_a_whole(tmp_path: Path) -> None:
    found = detect_cgroups("tag", root=v2(tmp_path), proc=proc(tmp_path, "0::/own\n"))
    directory = tmp_path / "fs/own/leastwise-tag/one"
    directory.mkdir()
    for name in (
        "pids.max",
        "memory.oom.group",
        "memory.max",
        "memory.swap.max",
        "cpu.weight",
        "cpu.max",
        "cgroup.freeze",
    ):
        (directory / name).write_text("")
    group = found.make("one")
    group.limit_memory(128)
    group.limit_cpu(128)
    said = {
        name: (directory / name).read_text()
        for name in ("pids.max", "memory.oom.group", "memory.max", "memory.swap.max")
    }
    assert {"pids.max": "1024", "memory.oom.group": "1", "memory.max": str(128 << 20), "memory.swap.max": "0"} == said
    assert ("7", "100000 100000") == ((directory / "cpu.weight").read_text(), (directory / "cpu.max").read_text())
    (directory / "memory.events").write_text("low 0\noom 1\noom_kill 3\n")
    (directory / "memory.peak").write_text("4096\n")
    (directory / "cgroup.procs").write_text("1\n2\n")
    assert (True, 4096, False) == (group.out_of_memory(), group.peak_memory_bytes(), group.alone())
    group.freeze()
    assert "1" == (directory / "cgroup.freeze").read_text()
    group.thaw()
    assert "0" == (directory / "cgroup.freeze").read_text()


def test_only_own_directories_are_believed_when_written_down(tmp_path: Path) -> None:
    record = tmp_path / "data/cgroups"
    good = Path("/sys/fs/cgroup/memory/somewhere/leastwise-tag")
    bad = [
        "/sys/fs/cgroup/memory/other",
        "/etc/leastwise-tag",
        "/sys/fs/cgroup/../../home/leastwise-tag",
        "/sys/fs/cgroup/x/leastwise-other",
    ]
    record_bases(record, [good, *map(Path, bad)])
    assert [good] == recorded_bases(record, "tag")
    assert [] == recorded_bases(tmp_path / "nothing", "tag")
