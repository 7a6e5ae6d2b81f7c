"""HTTP servers for the door: the same small ASGI application on uvicorn, granian and hypercorn, one process each.

Needs `wrk`. The servers are installed into a venv in a temporary directory; nothing of it stays. Decision:
docs/decisions/0003-http-server.md. Not part of `make bench`: its answer changes only when a server does.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SECONDS = 4
CONNECTIONS = 16
PACKAGES = ("uvicorn==0.54.0", "httptools==0.9.0", "uvloop==0.23.0", "granian", "hypercorn")
APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    headers = [
        (b"content-type", b"application/json"),
        (b"x-amzn-requestid", b"6b8ff0c2-0f0c-4c55-8cf2-1a1e2b3c4d5e"),
        (b"x-amz-executed-version", b"$LATEST"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
SCRIPT = f"""
wrk.method = "POST"
wrk.body = string.rep("x", 1000)
wrk.headers["Content-Type"] = "application/json"
wrk.headers["X-Amz-Date"] = "20261123T193537Z"
wrk.headers["X-Amz-Invocation-Type"] = "RequestResponse"
wrk.headers["Authorization"] = "{"a" * 250}"
wrk.headers["User-Agent"] = "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux md/arch#x86_64 lang/python#3.11.7"
"""
UVICORN = (
    "uvicorn",
    "server_app:app",
    "--http",
    "httptools",
    "--lifespan",
    "off",
    "--no-access-log",
    "--log-level",
    "error",
)
SERVERS = {
    "uvicorn, httptools, asyncio": (*UVICORN, "--loop", "asyncio", "--port"),
    "uvicorn, httptools, uvloop": (*UVICORN, "--loop", "uvloop", "--port"),
    "granian, asyncio": (
        "granian", "--interface", "asginl", "--loop", "asyncio", "--workers", "1", "--no-ws", "--log-level", "error",
        "server_app:app", "--port",
    ),
    "granian, uvloop": (
        "granian", "--interface", "asginl", "--loop", "uvloop", "--workers", "1", "--no-ws", "--log-level", "error",
        "server_app:app", "--port",
    ),
    "hypercorn, asyncio": ("hypercorn", "server_app:app", "--worker-class", "asyncio", "--log-level", "error", "--bind"),
    "hypercorn, uvloop": ("hypercorn", "server_app:app", "--worker-class", "uvloop", "--log-level", "error", "--bind"),
}  # fmt: skip


def install(where: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", where], check=True)
    subprocess.run([where / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES], check=True)
    return where / "bin"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def group_cpu_seconds(group: int) -> float:
    """User and system time of every process of a process group."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("a server did not start")


def measure(bin_directory: Path, work: Path, command: tuple[str, ...]) -> tuple[float, float, float]:
    """Requests a second, 99th percentile in ms, and CPU microseconds a request of all the server's processes."""
    port = free_port()
    last = f"127.0.0.1:{port}" if command[-1] == "--bind" else str(port)
    server = subprocess.Popen(
        [bin_directory / command[0], *command[1:], last],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(work)},
        start_new_session=True,
    )
    try:
        wait_for(port)
        wrk = ["wrk", "-t1", f"-c{CONNECTIONS}", "--latency", "-s", str(work / "load.lua"), f"http://127.0.0.1:{port}/"]
        subprocess.run([*wrk, "-d1s"], check=True, capture_output=True)
        before = group_cpu_seconds(server.pid)
        told = subprocess.run([*wrk, f"-d{SECONDS}s"], check=True, capture_output=True, text=True).stdout
        cpu_s = group_cpu_seconds(server.pid) - before
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
    if "Non-2xx" in told:
        raise SystemExit(told)
    done = int(re.search(r"(\d+) requests in", told).group(1))
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", told).groups()
    return done / SECONDS, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit], cpu_s / done * 1e6


def run() -> list[dict]:
    if shutil.which("wrk") is None:
        raise SystemExit("benchmarks/http_servers.py needs wrk (apt-get install wrk)")
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        bin_directory = install(work / "venv")
        (work / "server_app.py").write_text(APP)
        (work / "load.lua").write_text(SCRIPT)
        for name, command in SERVERS.items():
            rate, p99_ms, cpu_us = measure(bin_directory, work, command)
            rows += [
                {"name": name, "value": rate, "unit": "requests/s"},
                {"name": f"{name}: p99", "value": p99_ms, "unit": "ms"},
                {"name": f"{name}: CPU", "value": cpu_us, "unit": "us/request"},
            ]
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
