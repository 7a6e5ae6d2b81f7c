"""A driver on the real kernel, and environments with code given as text."""

from __future__ import annotations

import asyncio
import compileall
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from leastwise.iam.interface import Credentials
from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import own_interpreter
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.interface import Environment, EnvironmentSpec, Invocation, Reply

RUNTIME = f"python3.{sys.version_info[1]}"
Make = Callable[..., Awaitable["Running"]]


@dataclass
class Running:
    """One environment, and everything it has printed."""

    environment: Environment
    output: list[bytes] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)

    async def call(self, payload: bytes = b"null", *, seconds: float = 30) -> Reply:
        invocation = Invocation(
            request_id=str(uuid.uuid4()),
            payload=payload,
            deadline_ms=int((time.time() + seconds) * 1000),
            function_arn="arn:aws:lambda:us-east-1:123456789012:function:test",
        )
        async with asyncio.timeout(seconds):
            return await self.environment.invoke(invocation)


@pytest.fixture(scope="session")
def packages_directory() -> Iterator[Path]:
    """A place that an ordinary user's sandbox can read and that is not below a private directory."""
    with tempfile.TemporaryDirectory(prefix="leastwise-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def package(packages_directory: Path) -> Callable[..., Path]:
    """Writes a deployment package: file name -> text."""

    def write(**files: str) -> Path:
        directory = packages_directory / uuid.uuid4().hex
        directory.mkdir()
        for name, text in files.items():
            (directory / f"{name}.py").write_text(text)
        compileall.compile_dir(directory, quiet=2)
        return directory

    return write


@pytest_asyncio.fixture
async def driver(tmp_path: Path) -> AsyncIterator[LinuxDriver]:
    made = LinuxDriver(data=tmp_path, families=[PythonFamily([own_interpreter()])], pool_size=1)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
def spec() -> Callable[..., EnvironmentSpec]:
    def build(code: Path, **changes: object) -> EnvironmentSpec:
        values: dict[str, object] = {
            "account_id": "123456789012",
            "function_arn": "arn:aws:lambda:us-east-1:123456789012:function:test",
            "function_name": "test",
            "runtime": RUNTIME,
            "handler": "app.handler",
            "code_path": code,
            "revision_id": "1",
            "memory_mib": 256,
            "tmp_mib": 512,
            "timeout_ms": 3000,
            "variables": {},
            "credentials": Credentials(
                access_key_id="ASIATEST", secret_access_key="secret", session_token="token", expires_at_ms=0
            ),
            "region": "us-east-1",
            "log_group": "/aws/lambda/test",
            "log_stream": "2026/11/23/[$LATEST]0123",
        }
        values.update(changes)
        return EnvironmentSpec(**values)  # type: ignore[arg-type]

    return build


@pytest_asyncio.fixture
async def start(
    driver: LinuxDriver, package: Callable[..., Path], spec: Callable[..., EnvironmentSpec]
) -> AsyncIterator[Make]:
    """Starts an environment on `app.py` with the given text."""
    made: list[Running] = []

    async def make(text: str, **changes: object) -> Running:
        running = Running(environment=None)  # type: ignore[arg-type]
        code = changes.pop("code", None) or package(app=text)
        running.environment = await driver.start_environment(
            spec(code, **changes), on_output=running.output.append, on_exit=lambda: running.exits.append(1)
        )
        made.append(running)
        return running

    yield make
    for running in made:
        await running.environment.stop()


@pytest.fixture
def is_root() -> bool:
    return os.geteuid() == 0
