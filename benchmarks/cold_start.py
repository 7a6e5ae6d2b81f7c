"""From the request for an environment to its handler ready, beside what others do for the same, in one interleaved run."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
from cold_oci import Bundle, bundles

from leastwise.iam.interface import Credentials
from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.egress import NoEgress
from leastwise.runtime.interface import EnvironmentSpec

ROUNDS = 25
TRIVIAL = "import json\ndef handler(event, context): return json.dumps(event)\n"
WITH_BOTO = "import boto3\ndef handler(event, context): return boto3.__version__\n"
WORKER = """
import importlib, json, os, sys
sys.path.insert(0, sys.argv[1])
if len(sys.argv) > 2: sys.path.insert(1, sys.argv[2])
handler = importlib.import_module("app").handler
os.write(1, b"ready")
os.read(0, 1)
"""
OCI_PEER, OCI_TARGET = "runc and python worker", 15
BOTO_MODULES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


def spec(code: Path, **changes: Any) -> EnvironmentSpec:
    """An environment of 128 MB on `code`."""
    values: dict[str, Any] = {
        "account_id": "123456789012",
        "function_arn": "arn:aws:lambda:us-east-1:123456789012:function:bench",
        "function_name": "bench",
        "runtime": own_interpreter().runtime,
        "handler": "app.handler",
        "code_path": code,
        "revision_id": "1",
        "memory_mib": 128,
        "tmp_mib": 512,
        "timeout_ms": 3000,
        "variables": {},
        "credentials": Credentials(access_key_id="a", secret_access_key="b", session_token="c", expires_at_ms=0),
        "region": "us-east-1",
        "log_group": "/aws/lambda/bench",
        "log_stream": "s",
    }
    return EnvironmentSpec(**{**values, **changes})


def package(directory: Path, text: str) -> Path:
    """A deployed package: source and compiled code."""
    directory.mkdir()
    (directory / "app.py").write_text(text)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(directory)], check=True)
    return directory


def boto_packages(directory: Path) -> Path:
    """What lies at /var/runtime, copied from this installation."""
    directory.mkdir()
    for name in BOTO_MODULES:
        place = importlib.util.find_spec(name)
        assert place is not None
        assert place.origin is not None
        if place.submodule_search_locations:
            shutil.copytree(Path(place.origin).parent, directory / name)
        else:
            shutil.copy(place.origin, directory / Path(place.origin).name)
    return directory


def sandbox_command(directory: Path) -> list[str]:
    """bubblewrap with all its namespaces around the same interpreter."""
    prefix = str(own_interpreter().prefix)
    command = [
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--ro-bind",
        "/usr",
        "/usr",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ]
    for link in ("/bin", "/lib", "/lib64"):
        if Path(link).is_symlink():
            command += ["--symlink", str(Path(link).readlink()), link]
    command += ["--tmpfs", "/tmp"]
    if not prefix.startswith("/usr"):
        command += ["--ro-bind", prefix, prefix]
    return [*command, "--ro-bind", str(directory), str(directory)]


def start_worker(command: list[str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(5) == b"ready", command
    return process


def timed_worker(command: list[str]) -> float:
    began = time.perf_counter()
    process = start_worker(command)
    took = time.perf_counter() - began
    process.kill()
    process.communicate()
    return took * 1000


def in_container(bundle: Bundle) -> Callable[[], Awaitable[float]]:
    async def run() -> float:
        return bundle.timed()

    return run


async def timed_start(driver: LinuxDriver, wanted: EnvironmentSpec) -> float:
    began = time.perf_counter()
    environment = await driver.start_environment(wanted, on_output=lambda _: None, on_exit=lambda: None)
    took = time.perf_counter() - began
    await environment.stop()
    return took * 1000


async def measure(directory: Path) -> dict[str, list[float]]:
    plain, boto = package(directory / "plain", TRIVIAL), package(directory / "boto", WITH_BOTO)
    packages = boto_packages(directory / "packages")
    (directory / "worker.py").write_text(WORKER)
    python, worker = str(own_interpreter().binary), str(directory / "worker.py")
    lean = PythonFamily([own_interpreter()])
    rich = PythonFamily([own_interpreter()], packages=packages)
    drivers = {
        name: LinuxDriver(data=directory / name, families=[family], pool_size=size, egress=NoEgress())
        for name, family, size in (("pool", lean, 2), ("demand", lean, 0), ("boto", rich, 2))
    }
    for driver in drivers.values():
        await driver.open()
        await driver.prepare("123456789012", own_interpreter().runtime)
    lean_python = [python, "-I", "-S", worker]  # the fastest start the peers can have
    isolated = [*sandbox_command(directory), *lean_python]

    def run_worker(*command: str) -> Callable[[], Awaitable[float]]:
        async def run() -> float:
            return timed_worker(list(command))

        return run

    def run_driver(name: str, code: Path) -> Callable[[], Awaitable[float]]:
        return lambda: timed_start(drivers[name], spec(code))

    contenders: dict[str, Callable[[], Awaitable[float]]] = {
        "leastwise, from the pool": run_driver("pool", plain),
        "leastwise, on demand": run_driver("demand", plain),
        "leastwise, from the pool, boto3": run_driver("boto", boto),
        "python worker": run_worker(*lean_python, str(plain)),
        "python worker, boto3": run_worker(*lean_python, str(boto), str(packages)),
    }
    if shutil.which("bwrap"):
        contenders["bubblewrap and python worker"] = run_worker(*isolated, str(plain))
        contenders["bubblewrap and python worker, boto3"] = run_worker(*isolated, str(boto), str(packages))
    oci = bundles(directory / "oci", directory, [*lean_python, str(plain)])
    contenders |= {f"{runtime} and python worker": in_container(bundle) for runtime, bundle in oci.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(ROUNDS + 3):
        for name, contender in contenders.items():
            took = await contender()
            await asyncio.sleep(0.05)  # the pool is refilled behind the scenes
            if number >= 3:
                times[name].append(took)
    for driver in drivers.values():
        await driver.close()
    return times


def run() -> list[dict[str, Any]]:
    """Rows: name, value, unit, ratio (peer divided by ours) and peer."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        times = uvloop.run(measure(directory))
    middle = {name: statistics.median(values) for name, values in times.items()}
    peers = {
        "leastwise, from the pool": "bubblewrap and python worker",
        "leastwise, on demand": "bubblewrap and python worker",
        "leastwise, from the pool, boto3": "python worker, boto3",
    }
    rows = []
    for contender, value in middle.items():
        row: dict[str, Any] = {"name": f"cold start: {contender}", "value": round(value, 2), "unit": "ms"}
        peer = peers.get(contender)
        if peer in middle:
            row |= {"peer": peer, "ratio": round(middle[peer] / value, 1)}
        rows.append(row)
    if OCI_PEER in middle:
        pool = "leastwise, from the pool"
        ratio = round(middle[OCI_PEER] / middle[pool], 1)
        rows.append(
            {"name": f"cold start: {pool}, beside runc", "value": round(middle[pool], 2), "unit": "ms"}
            | {"peer": OCI_PEER, "ratio": ratio, "target": f">= {OCI_TARGET} x", "met": ratio >= OCI_TARGET}
        )
    return rows


if __name__ == "__main__":
    for line in run():
        print(line)
