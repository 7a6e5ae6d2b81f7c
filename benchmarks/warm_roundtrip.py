"""One warm invocation of a trivial handler with 1 KB of JSON: the driver alone, without door, signature or record."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from cold_start import package, spec

from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.egress import NoEgress
from leastwise.runtime.interface import Invocation

ROUNDS = 3000
BATCH = 300
ECHO = "def handler(event, context): return event\n"
PAYLOAD = json.dumps({"text": "x" * 1000}).encode()
PIPE_WORKER = """
import json, sys
while line := sys.stdin.buffer.readline():
    sys.stdout.buffer.write(json.dumps(json.loads(line)).encode() + b"\\n")
    sys.stdout.buffer.flush()
"""


async def measure(directory: Path) -> dict[str, float]:
    driver = LinuxDriver(
        data=directory / "data", families=[PythonFamily([own_interpreter()])], pool_size=1, egress=NoEgress()
    )
    await driver.open()
    code = package(directory / "echo", ECHO)
    environment = await driver.start_environment(spec(code), on_output=lambda _: None, on_exit=lambda: None)
    command = [sys.executable, "-c", PIPE_WORKER]
    peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220 - before the clock runs
    assert peer.stdin is not None
    assert peer.stdout is not None
    invocation = Invocation(request_id="0" * 36, payload=PAYLOAD, deadline_ms=0, function_arn="arn:bench")
    warm: list[float] = []
    frozen: list[float] = []
    piped: list[float] = []
    clock = time.perf_counter
    for _ in range(ROUNDS // BATCH):
        for _ in range(BATCH):
            began = clock()
            await environment.invoke(invocation)
            warm.append(clock() - began)
        for _ in range(BATCH):
            began = clock()
            environment.thaw()
            await environment.invoke(invocation)
            environment.freeze()
            frozen.append(clock() - began)
        environment.thaw()
        for _ in range(BATCH):
            began = clock()
            peer.stdin.write(PAYLOAD + b"\n")
            peer.stdin.flush()
            peer.stdout.readline()
            piped.append(clock() - began)
    peer.kill()
    peer.communicate()
    await environment.stop()
    await driver.close()
    micro: Callable[[list[float]], float] = lambda values: statistics.median(values) * 1e6  # noqa: E731
    return {"warm": micro(warm), "frozen": micro(frozen), "piped": micro(piped)}


def run() -> list[dict[str, Any]]:
    """Rows: name, value, unit, ratio (peer divided by ours) and peer."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        times = uvloop.run(measure(directory))
    peer = {"peer": "pipe to an unprotected python", "unit": "us"}
    return [
        {
            "name": "warm round trip",
            "value": round(times["warm"], 1),
            "ratio": round(times["piped"] / times["warm"], 2),
            **peer,
        },
        {
            "name": "warm round trip, frozen in between",
            "value": round(times["frozen"], 1),
            "ratio": round(times["piped"] / times["frozen"], 2),
            **peer,
        },
        {"name": "pipe to an unprotected python", "value": round(times["piped"], 1), "unit": "us"},
    ]


if __name__ == "__main__":
    for line in run():
        print(line)
