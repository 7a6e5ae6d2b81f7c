"""Authenticated, authorized, recorded warm invoke over HTTP, beside functions-framework in the same run.

Needs `wrk` (Debian package of that name). The peer is installed into `.bench-venv` from requirements/bench.txt.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 5
CONNECTIONS = (1, 16, 64)
BODY = json.dumps({"name": "x" * 980})
HANDLER = "def handler(event, context):\n    return {'length': len(event['name'])}\n"
PEER = "def handler(request):\n    return {'length': len(request.get_json()['name'])}\n"


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(url: str, connections: int, headers: dict[str, str]) -> tuple[float, float]:
    """Requests a second and median latency in ms. Every answer must be a success."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write('wrk.method = "POST"\n')
        script.write(f"wrk.body = [==[{BODY}]==]\n")
        script.writelines(f'wrk.headers["{name}"] = [==[{value}]==]\n' for name, value in headers.items())
        script.flush()
        told = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency", "-s", script.name, url],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(told)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", told).group(1))
    number, unit = re.search(r"50%\s+([\d.]+)(us|ms|s)", told).groups()
    return rate, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_platform(data: Path) -> tuple[subprocess.Popen, str]:
    process = subprocess.Popen(
        [Path(sys.executable).parent / "leastwise", "up", "--data", str(data), "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("ready "):
            return process, line.split()[1]
    raise SystemExit("the platform did not start")


def clients(data: Path, url: str):
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(data / "credentials")
    os.environ["AWS_CONFIG_FILE"] = str(data / "config")
    session = boto3.Session(profile_name="leastwise")
    config = Config(max_pool_connections=80, retries={"max_attempts": 1})
    return session, session.client("iam", endpoint_url=url), session.client("lambda", endpoint_url=url, config=config)


def deploy(iam, functions) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    role = iam.create_role(RoleName="bench", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bench.py", HANDLER)
    functions.create_function(
        FunctionName="bench",
        Runtime=f"python3.{sys.version_info.minor}",
        Role=role,
        Handler="bench.handler",
        Code={"ZipFile": package.getvalue()},
        MemorySize=128,
    )
    with ThreadPoolExecutor(64) as pool:
        for _ in range(2):
            answers = list(pool.map(lambda _: functions.invoke(FunctionName="bench", Payload=BODY), range(64)))
    assert all("FunctionError" not in answer for answer in answers)


def signed_headers(session, url: str) -> dict[str, str]:
    held = session.get_credentials().get_frozen_credentials()
    request = AWSRequest("POST", url, data=BODY, headers={"Content-Type": "application/json"})
    SigV4Auth(Credentials(held.access_key, held.secret_key), "lambda", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def start_peer(where: Path, port: int) -> subprocess.Popen:
    venv = ROOT / ".bench-venv"
    if not (venv / "bin" / "functions-framework").exists():
        subprocess.run([sys.executable, str(ROOT / "tools" / "setup.py"), "bench"], check=True)
    (where / "main.py").write_text(PEER)
    process = subprocess.Popen(
        [venv / "bin" / "functions-framework", "--target", "handler", "--source", where / "main.py"],
        env={**os.environ, "PORT": str(port), "HOST": "127.0.0.1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise SystemExit("functions-framework did not start")


def run() -> list[dict]:
    if shutil.which("wrk") is None:
        raise SystemExit("benchmarks/gateway.py needs wrk (apt-get install wrk)")
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "data"
        peer_port = free_port()
        platform, url = start_platform(data)
        peer = start_peer(Path(temporary), peer_port)
        try:
            session, iam, functions = clients(data, url)
            deploy(iam, functions)
            invoke_url = f"{url}/2015-03-31/functions/bench/invocations"
            headers = signed_headers(session, invoke_url)
            for connections in CONNECTIONS:
                peer_rate, peer_ms = wrk(
                    f"http://127.0.0.1:{peer_port}/", connections, {"Content-Type": "application/json"}
                )
                before = cpu_seconds(platform.pid)
                rate, median_ms = wrk(invoke_url, connections, headers)
                cpu_us = (cpu_seconds(platform.pid) - before) / (rate * SECONDS) * 1e6
                ratio = rate / peer_rate
                rows += [
                    {"name": f"{connections} connections: leastwise", "value": rate, "unit": "requests/s"},
                    {
                        "name": f"{connections} connections: functions-framework",
                        "value": peer_rate,
                        "unit": "requests/s",
                    },
                    {
                        "name": f"{connections} connections: ratio",
                        "value": ratio,
                        "unit": "x",
                        **({"target": ">= 3", "met": ratio >= 3} if connections == 16 else {}),
                    },
                    {"name": f"{connections} connections: leastwise median", "value": median_ms, "unit": "ms"},
                    {"name": f"{connections} connections: functions-framework median", "value": peer_ms, "unit": "ms"},
                    {
                        "name": f"{connections} connections: gateway CPU per call",
                        "value": cpu_us,
                        "unit": "us",
                        **({"target": "<= 150", "met": cpu_us <= 150} if connections == 16 else {}),
                    },
                ]
        finally:
            peer.terminate()
            platform.send_signal(signal.SIGTERM)
            platform.wait(60)
            peer.wait(10)
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
