"""kill -9 of the platform: nothing of it remains, at the latest after the next start."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from leastwise.linux.cgroups import clean, detect_cgroups
from leastwise.linux.driver import LinuxDriver, directory_tag
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.interface import EnvironmentCrashed

PLATFORM = """
import asyncio, sys
from pathlib import Path
from leastwise.iam.interface import Credentials
from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.interface import EnvironmentCrashed
from leastwise.runtime.interface import EnvironmentSpec

async def main():
    driver = LinuxDriver(data=Path(sys.argv[1]), families=[PythonFamily([own_interpreter()])], pool_size=2)
    await driver.open()
    spec = EnvironmentSpec(account_id="1", function_arn="a", function_name="f", runtime=sys.argv[3], handler="app.handler",
        code_path=Path(sys.argv[2]), revision_id="1", memory_mib=256, tmp_mib=512, timeout_ms=1000, variables={},
        credentials=Credentials(access_key_id="a", secret_access_key="b", session_token="c", expires_at_ms=0),
        region="r", log_group="g", log_stream="s")
    for number in range(3):
        environment = await driver.start_environment(spec, on_output=print, on_exit=lambda: None)
        if number == 0:
            environment.freeze()
    print("running", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
STUBBORN = """
import os, signal, ctypes
libc = ctypes.CDLL(None)
libc.prctl(1, 0, 0, 0, 0)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        libc.prctl(1, 0, 0, 0, 0)
        signal.pause()
os.close(3)
def handler(event, context): return event
"""
ECHO = "import os\nif os.fork() == 0:\n    import time; time.sleep(600)\ndef handler(event, context): return event"


def sandbox_processes() -> set[int]:
    """Processes of this machine that run a fork server's interpreter."""
    found = set()
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                if b"/var/guest/" in (path / "cmdline").read_bytes():
                    found.add(int(path.name))
            except OSError:
                continue
    return found


def groups(tag: str) -> list[str]:
    found = subprocess.run(
        ["find", "/sys/fs/cgroup", "-type", "d", "-name", f"leastwise-{tag}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.split()


async def until_gone(before: set[int]) -> set[int]:
    left: set[int] = set()
    for _ in range(500):
        left = sandbox_processes() - before
        if not left:
            break
        await asyncio.sleep(0.01)
    return left


@pytest.mark.parametrize("at_once", [False, True], ids=["the platform alone", "the fork server with it"])
async def test_after_kill_9_nothing_remains(package: Any, tmp_path: Path, at_once: bool) -> None:
    before = sandbox_processes()
    mounts = Path("/proc/self/mountinfo").read_text()
    code = package(app=ECHO)
    runtime = own_interpreter().runtime
    platform = subprocess.Popen(
        [sys.executable, "-c", PLATFORM, str(tmp_path), str(code), runtime], stdout=subprocess.PIPE
    )
    assert platform.stdout is not None
    line = await asyncio.to_thread(platform.stdout.readline)
    assert line == b"running\n"
    mine = sandbox_processes() - before
    assert len(mine) >= 6
    platform.kill()
    if at_once:
        parents = {int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1]) for pid in mine}
        for pid in mine & parents:
            os.kill(pid, signal.SIGKILL)
    platform.communicate()
    driver = LinuxDriver(data=tmp_path, families=[PythonFamily([own_interpreter()])], pool_size=0)
    await driver.open()
    assert await until_gone(before) == set()
    await driver.close()
    assert groups(directory_tag(tmp_path)) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts


async def test_an_environment_that_refuses_to_die_with_its_parent_dies(package: Any, tmp_path: Path, spec: Any) -> None:
    before = sandbox_processes()
    driver = LinuxDriver(data=tmp_path, families=[PythonFamily([own_interpreter()])], pool_size=0)
    await driver.open()
    with pytest.raises(EnvironmentCrashed):
        await driver.start_environment(spec(package(app=STUBBORN)), on_output=print, on_exit=lambda: None)
    pool = next(iter(driver._pools.values()))
    assert pool._zygote is not None
    os.kill(pool._zygote._process.pid, signal.SIGKILL)
    assert await until_gone(before) == set()
    await driver.close()


async def test_a_lost_fork_server_is_replaced_and_its_environments_are_reported(start: Any, driver: Any) -> None:
    running = await start("def handler(event, context): return event")
    pool = next(iter(driver._pools.values()))
    os.kill(pool._zygote._process.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while not running.exits:
            await asyncio.sleep(0.01)
    again = await start("def handler(event, context): return event")
    assert (await again.call(b"1")).payload == b"1"


async def test_closing_leaves_no_process_group_or_descriptor(package: Any, tmp_path: Path, spec: Any) -> None:
    before = sandbox_processes()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    driver = LinuxDriver(data=tmp_path, families=[PythonFamily([own_interpreter()])], pool_size=2)
    await driver.open()
    for _ in range(5):
        await driver.start_environment(spec(package(app=ECHO)), on_output=print, on_exit=lambda: None)
    await driver.close()
    assert await until_gone(before) == set()
    assert groups(directory_tag(tmp_path)) == []
    await asyncio.sleep(0)
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 2


async def test_cgroups_left_by_another_data_directory_are_not_touched(tmp_path: Path) -> None:
    other = detect_cgroups("0123456789ab")
    if other.version == "none":
        pytest.skip(f"needs the right to make control groups: {other.weakness}")
    group = other.make("theirs")
    driver = LinuxDriver(data=tmp_path, families=[PythonFamily([own_interpreter()])])
    await driver.open()
    await driver.close()
    assert groups("0123456789ab") != []
    group.release()
    clean(other.bases)
    assert groups("0123456789ab") == []
