"""Honest programs must not notice the layers."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from leastwise.linux.driver import LinuxDriver
from leastwise.linux.interpreters import find_interpreters, own_interpreter
from leastwise.linux.python_family import PythonFamily

ECHO = "def handler(event, context): return event"


def installed(*names: str) -> list[Path]:
    """Top-level directories and modules of packages installed here."""
    found = []
    for name in names:
        place = importlib.util.find_spec(name)
        if place is None or place.origin is None:
            pytest.skip(f"{name} is not installed")
        found.append(Path(place.origin).parent if place.submodule_search_locations else Path(place.origin))
        libraries = found[-1].with_name({"PIL": "pillow.libs"}.get(name, f"{name}.libs"))
        found += [libraries] if libraries.is_dir() else []
    return found


@pytest.fixture(scope="session")
def science(packages_directory: Path) -> Path:
    """A package with numpy and Pillow in it."""
    directory = packages_directory / "science"
    directory.mkdir()
    for path in installed("numpy", "PIL"):
        shutil.copytree(path, directory / path.name, ignore=shutil.ignore_patterns("tests"))
    return directory


async def test_numpy_computes_with_threads(start: Any, science: Path) -> None:
    (science / "app.py").write_text(
        """
import numpy
def handler(event, context):
    matrix = numpy.random.default_rng(1).random((400, 400))
    inverse = numpy.linalg.inv(matrix)
    return bool(numpy.allclose(matrix @ inverse, numpy.eye(400)))
"""
    )
    running = await start("", code=science, memory_mib=1024)
    assert (await running.call()).payload == b"true"


async def test_pillow_makes_a_thumbnail(start: Any, science: Path) -> None:
    (science / "pictures.py").write_text(
        """
import io
from PIL import Image, ImageDraw
def handler(event, context):
    image = Image.new("RGB", (2000, 1500), "white")
    ImageDraw.Draw(image).ellipse((200, 200, 1800, 1300), fill="red")
    image.thumbnail((200, 200))
    out = io.BytesIO()
    image.save(out, "JPEG")
    return [image.size, out.tell() > 500]
"""
    )
    running = await start("", code=science, handler="pictures.handler", memory_mib=512)
    assert json.loads((await running.call()).payload) == [[200, 150], True]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
async def test_multiprocessing_works(start: Any, method: str) -> None:
    running = await start(
        f"""
import multiprocessing
def square(number): return number * number
def handler(event, context):
    context = multiprocessing.get_context("{method}")
    with context.Pool(3) as pool:
        return pool.map(square, range(10))
""",
        memory_mib=1024,
    )
    assert json.loads((await running.call()).payload) == [n * n for n in range(10)]


async def test_shared_memory_and_locks_work(start: Any) -> None:
    running = await start(
        """
import multiprocessing
from multiprocessing import shared_memory
def work(lock, value):
    for _ in range(100):
        with lock:
            value.value += 1
def handler(event, context):
    lock, value = multiprocessing.Lock(), multiprocessing.Value("i", 0)
    processes = [multiprocessing.Process(target=work, args=(lock, value)) for _ in range(4)]
    for process in processes: process.start()
    for process in processes: process.join()
    block = shared_memory.SharedMemory(create=True, size=4096)
    block.buf[0] = 7
    copy = shared_memory.SharedMemory(block.name)
    seen = copy.buf[0]
    copy.close(); block.close(); block.unlink()
    return [value.value, seen]
""",
        memory_mib=512,
    )
    assert json.loads((await running.call()).payload) == [400, 7]


async def test_programs_and_shells_run(start: Any) -> None:
    running = await start(
        """
import subprocess, sys
def handler(event, context):
    shell = subprocess.run("printf 'b\\na\\n' | sort | tr 'a-z' 'A-Z'", shell=True, capture_output=True, text=True)
    python = subprocess.run([sys.executable, "-c", "import json, sqlite3, ssl; print(6 * 7)"], capture_output=True, text=True)
    return [shell.stdout, python.stdout, python.stderr]
"""
    )
    assert json.loads((await running.call()).payload) == ["A\nB\n", "42\n", ""]


async def test_files_databases_and_archives_work_in_tmp(start: Any) -> None:
    running = await start(
        """
import os, pathlib, shutil, sqlite3, stat, tempfile, zipfile
def handler(event, context):
    base = sqlite3.connect("/tmp/base.db")
    base.execute("create table t (x)")
    base.executemany("insert into t values (?)", [(n,) for n in range(100)])
    base.commit()
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name, "tool.sh")
        path.write_text("#!/bin/sh\\necho run\\n")
        path.chmod(0o755)
        ran = os.popen(str(path)).read()
        os.mkfifo(os.path.join(name, "fifo"))
        os.symlink(path, os.path.join(name, "link"))
        with zipfile.ZipFile("/tmp/x.zip", "w") as archive:
            archive.write(path, "tool.sh")
        shutil.copy(path, "/tmp/copy.sh")
    return [base.execute("select sum(x) from t").fetchone()[0], ran, zipfile.ZipFile("/tmp/x.zip").namelist()]
"""
    )
    assert json.loads((await running.call()).payload) == [4950, "run\n", ["tool.sh"]]


async def test_threads_pools_and_event_loops_work(start: Any) -> None:
    running = await start(
        """
import asyncio, concurrent.futures
async def gather():
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    data = await reader.read()
    writer.close()
    process = await asyncio.create_subprocess_exec("echo", "hi", stdout=asyncio.subprocess.PIPE)
    return [data.decode(), (await process.communicate())[0].decode()]
def handler(event, context):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        squares = list(pool.map(lambda n: n * n, range(5)))
    return [squares, asyncio.run(gather())]
"""
    )
    assert json.loads((await running.call()).payload) == [[0, 1, 4, 9, 16], ["", "hi\n"]]


async def test_the_user_has_a_name_and_a_home(start: Any) -> None:
    text = "import getpass, os, pwd\ndef handler(event, context): return [pwd.getpwuid(os.getuid())[0], os.path.expanduser('~')]"
    assert json.loads((await (await start(text)).call()).payload) == ["sbx_user", "/tmp"]


async def test_every_interpreter_found_here_runs_a_function(tmp_path: Path, package: Any, spec: Any) -> None:
    interpreters = find_interpreters(home=Path.home(), search_path="")
    driver = LinuxDriver(data=tmp_path, families=[PythonFamily(interpreters)], pool_size=0)
    await driver.open()
    try:
        assert own_interpreter().runtime in driver.runtimes()
        code = package(
            app="import sys\nprint('hi')\nif sys.version_info < (3, 9): raise ValueError(sys.version)\n" + ECHO
        )
        for runtime in driver.runtimes():
            seen: list[bytes] = []
            environment = await driver.start_environment(
                spec(code, runtime=runtime), on_output=seen.append, on_exit=lambda: None
            )
            assert environment.alive
            assert seen == [b"hi"]
    finally:
        await driver.close()


class Echo:
    """Stands in for the platform's endpoint: says which function it serves, whatever is asked."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server

    async def close(self) -> None:
        self._server.close()


async def serve_platform(listener: socket.socket, spec: Any) -> Echo:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = f"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{spec.function_name}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>".encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    return Echo(await asyncio.start_server(answer, sock=listener))


@pytest_asyncio.fixture
async def boto_driver(tmp_path: Path, packages_directory: Path) -> Any:
    runtime_packages = packages_directory / "runtime"
    if not runtime_packages.exists():
        runtime_packages.mkdir()
        for path in installed("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six"):
            copy = shutil.copytree if path.is_dir() else shutil.copy
            copy(path, runtime_packages / path.name)
    family = PythonFamily([own_interpreter()], packages=runtime_packages)
    driver = LinuxDriver(data=tmp_path, families=[family], pool_size=1, serve_platform=serve_platform)
    await driver.open()
    yield driver
    await driver.close()


async def test_boto3_reaches_the_platform_as_the_function_it_runs_in(boto_driver: Any, package: Any, spec: Any) -> None:
    code = package(
        app="import boto3\ndef handler(event, context): return boto3.client('sts').get_caller_identity()['Arn']"
    )
    for name in ("first", "second"):
        environment = await boto_driver.start_environment(
            spec(code, function_name=name), on_output=print, on_exit=lambda: None
        )
        from leastwise.runtime.interface import Invocation

        reply = await environment.invoke(
            Invocation(request_id="r", payload=b"null", deadline_ms=0, function_arn="arn:test")
        )
        assert reply.payload == f'"{name}"'.encode()
