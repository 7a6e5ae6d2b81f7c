"""A real platform process, driven by unmodified clients."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
LEASTWISE = str(Path(sys.executable).parent / "leastwise")
RUNTIME = f"python3.{sys.version_info.minor}"


def package(source: str, name: str = "app.py", **more: str) -> bytes:
    """A deployment package with one module (and `more`, by file name with __ for a dot)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, source)
        for other, text in more.items():
            archive.writestr(other.replace("__", "."), text)
    return file.getvalue()


@dataclass
class Platform:
    """One running `leastwise up`."""

    data: Path
    process: subprocess.Popen
    url: str
    log: Path

    def session(self) -> boto3.Session:
        """A session of the administrator, from the files that `up` wrote."""
        profile = {}
        for line in (self.data / "credentials").read_text().splitlines():
            key, _, value = line.partition("=")
            profile[key.strip()] = value.strip()
        return boto3.Session(
            aws_access_key_id=profile["aws_access_key_id"],
            aws_secret_access_key=profile["aws_secret_access_key"],
            region_name="us-east-1",
        )

    def client(self, service: str, session: boto3.Session | None = None, **settings):
        return (session or self.session()).client(
            service,
            endpoint_url=self.url,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=64, **settings),
        )

    def client_for(self, service: str, access_key_id: str, secret: str, token: str | None = None, **settings):
        return self.client(
            service,
            boto3.Session(
                aws_access_key_id=access_key_id,
                aws_secret_access_key=secret,
                aws_session_token=token,
                region_name="us-east-1",
            ),
            **settings,
        )

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


_started: list[subprocess.Popen] = []


@pytest.fixture(scope="session", autouse=True)
def _nothing_stays():
    """A test that fails half way leaves no platform behind."""
    yield
    for process in _started:
        if process.poll() is None:
            process.kill()
            process.wait(30)


def start(data: Path, *arguments: str, listen: str = "127.0.0.1:0") -> Platform:
    """Starts `leastwise up` and waits until it serves."""
    log = data.parent / f"{data.name}.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [LEASTWISE, "up", "--data", str(data), "--listen", listen, *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEASTWISE_"))},
        )
    _started.append(process)
    for line in process.stdout:
        if line.startswith("ready "):
            return Platform(data, process, line.split()[1], log)
    process.wait(30)
    raise AssertionError(f"`leastwise up` did not become ready:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def platform(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("wire") / "data")
    yield running
    assert running.stop() == 0, running.log.read_text()[-4000:]


@pytest.fixture(scope="session")
def functions(platform):
    return platform.client("lambda")


@pytest.fixture(scope="session")
def iam(platform):
    return platform.client("iam")


@pytest.fixture(scope="session")
def logs(platform):
    return platform.client("logs")


@pytest.fixture(scope="session")
def role(iam):
    """An execution role that may do nothing."""
    return iam.create_role(RoleName="plain", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]


@pytest.fixture
def deploy(functions, role, request):
    """Creates functions and takes them away again."""
    made = []

    def create(source: str, *, name: str | None = None, handler: str = "app.handler", **settings):
        name = name or f"f{len(made)}-{abs(hash(request.node.nodeid)) % 10**8}"
        functions.create_function(
            **{
                "FunctionName": name,
                "Runtime": RUNTIME,
                "Role": role,
                "Handler": handler,
                "Code": {"ZipFile": package(source)},
                **settings,
            }
        )
        made.append(name)
        functions.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        return name

    yield create
    for name in made:
        functions.delete_function(FunctionName=name)
