"""Limits on whole environments, with and without control groups."""

from __future__ import annotations

import json
import resource
from typing import Any

import pytest

from leastwise.runtime.interface import CrashReason, EnvironmentCrashed

ECHO = "def handler(event, context): return event"
BOMB = """
import os
def eat(count):
    blocks = []
    for _ in range(count):
        blocks.append(bytearray(os.urandom(1) * (1 << 20)))
    return len(blocks)
"""


def needs_cgroup(driver: Any) -> None:
    if driver._cgroups.version == "none":
        pytest.skip(f"needs the right to make control groups: {driver._cgroups.weakness}")


async def test_a_memory_bomb_ends_its_environment_and_nobody_else(start: Any, driver: Any) -> None:
    neighbour = await start(ECHO)
    bomber = await start(BOMB + "def handler(event, context): return eat(2000)", memory_mib=128)
    if driver._cgroups.version == "none":
        error = json.loads((await bomber.call()).payload)
        assert error["errorType"] == "MemoryError"
    else:
        with pytest.raises(EnvironmentCrashed) as crash:
            await bomber.call()
        assert crash.value.reason is CrashReason.OUT_OF_MEMORY
    assert (await neighbour.call(b"1")).payload == b"1"


async def test_a_memory_bomb_spread_over_processes_ends_the_whole_environment(start: Any, driver: Any) -> None:
    needs_cgroup(driver)
    text = BOMB + (
        """
import time
def handler(event, context):
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            eat(60)
            time.sleep(60)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    return "survived"
"""
    )
    bomber = await start(text, memory_mib=128)
    with pytest.raises(EnvironmentCrashed) as crash:
        await bomber.call(seconds=20)
    assert crash.value.reason is CrashReason.OUT_OF_MEMORY


async def test_filling_tmp_counts_as_memory_and_ends_in_an_error(start: Any, driver: Any) -> None:
    needs_cgroup(driver)
    text = """
def handler(event, context):
    with open("/tmp/fill", "wb") as file:
        for _ in range(event):
            file.write(bytes(1 << 20))
    return "filled"
"""
    small = await start(text, memory_mib=128)
    with pytest.raises(EnvironmentCrashed):
        await small.call(b"400")
    large = await start(text, memory_mib=1024, tmp_mib=512)
    assert (await large.call(b"400")).payload == b'"filled"'
    error = json.loads((await large.call(b"600")).payload)
    assert "No space left on device" in error["errorMessage"]


async def test_tmp_has_the_size_asked_for(start: Any) -> None:
    text = "import os\ndef handler(event, context): s = os.statvfs('/tmp'); return s.f_blocks * s.f_frsize >> 20"
    for size in (512, 513, 1024):
        assert json.loads((await (await start(text, tmp_mib=size)).call()).payload) == size


async def test_the_peak_of_memory_is_seen_and_counts_children(start: Any) -> None:
    text = BOMB + "def handler(event, context): return eat(event)"
    running = await start(text, memory_mib=512)
    await running.call(b"1")
    before = running.environment.peak_memory_bytes()
    await running.call(b"100")
    grown = running.environment.peak_memory_bytes() - before
    assert 90 << 20 < grown < 130 << 20


async def test_a_crash_is_never_handed_to_the_hosts_core_handler(start: Any) -> None:
    text = "import resource\ndef handler(event, context): return resource.getrlimit(resource.RLIMIT_CORE)"
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    expected = 1 if hard == resource.RLIM_INFINITY or hard >= 1 else hard
    assert json.loads((await (await start(text)).call()).payload) == [expected, expected]


async def test_a_busy_environment_does_not_starve_its_neighbour(start: Any) -> None:
    hog = await start(
        """
import os
for _ in range(8):
    if os.fork() == 0:
        while True: pass
def handler(event, context): return 1
""",
        memory_mib=128,
    )
    neighbour = await start(ECHO)
    assert [(await neighbour.call(b"1")).payload for _ in range(20)] == [b"1"] * 20
    await hog.environment.stop()
