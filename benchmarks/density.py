"""Memory of idle environments (proportional set size), beside separate processes of the same Python."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from cold_start import TRIVIAL, WITH_BOTO, WORKER, boto_packages, package, spec, start_worker

from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.processes import process_id
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.egress import NoEgress

COUNT = 100
PEER_COUNT = 20


def proportional_kib(pid: int) -> int:
    """Pages of one process, shared ones divided by their sharers."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    match = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert match is not None
    return int(match[1])


async def ours(directory: Path, code: Path, packages: Path | None) -> float:
    """MiB per environment, the fork server's own share included."""
    family = PythonFamily([own_interpreter()], packages=packages)
    driver = LinuxDriver(data=directory / "data", families=[family], pool_size=0, egress=NoEgress())
    await driver.open()
    try:
        for _ in range(COUNT):
            await driver.start_environment(spec(code), on_output=lambda _: None, on_exit=lambda: None)
        (pool,) = driver._pools.values()
        assert pool._zygote is not None
        assert pool._zygote._process is not None
        pids = [process_id(sandbox._pidfd) for sandbox in pool._all]
        total = sum(map(proportional_kib, [*pids, pool._zygote._process.pid]))
        return total / COUNT / 1024
    finally:
        await driver.close()


def peers(directory: Path, code: Path, packages: Path) -> float:
    """MiB per separate process."""
    python, worker = str(own_interpreter().binary), str(directory / "worker.py")
    running: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(PEER_COUNT):
            running.append(start_worker([python, "-I", "-S", worker, str(code), str(packages)]))
        return sum(proportional_kib(process.pid) for process in running) / PEER_COUNT / 1024
    finally:
        for process in running:
            process.kill()
            process.communicate()


def run() -> list[dict[str, Any]]:
    """Rows: name, value, unit, ratio (peer divided by ours) and peer."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        packages = boto_packages(directory / "packages")
        (directory / "worker.py").write_text(WORKER)
        for label, text, wanted in (("json", TRIVIAL, None), ("boto3", WITH_BOTO, packages)):
            code = package(directory / label, text)
            mine = asyncio.run(ours(directory, code, wanted))
            other = peers(directory, code, packages)
            peer = f"separate processes, {label}"
            rows.append(
                {
                    "name": f"memory per environment, {label}",
                    "value": round(mine, 2),
                    "unit": "MiB",
                    "peer": peer,
                    "ratio": round(other / mine, 1),
                }
            )
            rows.append({"name": f"memory per process, {label}", "value": round(other, 2), "unit": "MiB"})
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)
