"""500 cold starts at once, beside bubblewrap with the same Python, in one run."""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from cold_start import TRIVIAL, WORKER, package, sandbox_command, spec, start_worker

from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.egress import NoEgress

COUNT = 500
PEER_COUNT = 40
AT_ONCE = 4
ROUNDS = 5
"""Medians, peer and ours by turns: single bursts differ by a tenth on a machine that others share."""


async def ours(directory: Path, code: Path) -> float:
    """Environments per second, all wanted at the same moment, handler ready."""
    driver = LinuxDriver(
        data=directory / "data", families=[PythonFamily([own_interpreter()])], pool_size=4, egress=NoEgress()
    )
    await driver.open()
    try:
        await driver.prepare("123456789012", own_interpreter().runtime)
        began = time.perf_counter()
        wanted = [
            driver.start_environment(spec(code), on_output=lambda _: None, on_exit=lambda: None) for _ in range(COUNT)
        ]
        await asyncio.gather(*wanted)
        return COUNT / (time.perf_counter() - began)
    finally:
        await driver.close()


def peers(command: list[str]) -> float:
    """Workers per second, a few started at the same time."""
    began = time.perf_counter()
    running = []
    for _ in range(PEER_COUNT // AT_ONCE):
        running += [start_worker(command)]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(AT_ONCE) as pool:
        running += pool.map(lambda _: start_worker(command), range(PEER_COUNT - len(running)))
    rate = PEER_COUNT / (time.perf_counter() - began)
    for process in running:
        process.kill()
        process.communicate()
    return rate


def run() -> list[dict[str, Any]]:
    """Rows: name, value, unit, ratio (ours divided by the peer) and peer."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        code = package(directory / "plain", TRIVIAL)
        (directory / "worker.py").write_text(WORKER)
        python = [str(own_interpreter().binary), "-I", "-S", str(directory / "worker.py"), str(code)]
        isolated = [*sandbox_command(directory), *python] if shutil.which("bwrap") else None
        theirs: list[float] = []
        rates: list[float] = []
        for turn in range(ROUNDS):
            theirs += [peers(isolated)] if isolated else []
            rates.append(uvloop.run(ours(directory / f"round{turn}", code)))
        theirs += [peers(isolated)] if isolated else []
    rate = statistics.median(rates)
    row: dict[str, Any] = {"name": f"burst of {COUNT}: leastwise", "value": round(rate), "unit": "environments/s"}
    if not theirs:
        return [row]
    peer = statistics.median(theirs)
    row |= {"peer": "bubblewrap and python worker", "ratio": round(rate / peer, 1)}
    return [row, {"name": "burst: bubblewrap and python worker", "value": round(peer), "unit": "environments/s"}]


if __name__ == "__main__":
    for line in run():
        print(line)
