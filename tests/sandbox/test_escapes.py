"""Every attack of cases/attacks.yaml, in a sandbox and in a plain subprocess."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ATTACKS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "cases" / "attacks.yaml").read_text())
ATTACKER = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
def syscall(number, *arguments):
    return libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
def handler(event, context):
    names = dict(globals())
    exec(event["code"], names)
    try:
        return {"evidence": repr(names["attack"](event["p"]) or "")[:200].strip("'")}
    except Exception as error:
        return {"evidence": "", "error": repr(error)[:200]}
"""
CONTROL = ATTACKER + "\nimport json; print(json.dumps(handler(json.load(sys.stdin), None)))\n"

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacks name system calls by x86_64 number")


@pytest.fixture
def world(packages_directory: Path) -> Iterator[dict[str, Any]]:
    """Things of the host worth stealing, all of the attacker's own user: only the sandbox stands between."""
    marker = f"SECRET-{uuid.uuid4().hex}"
    private = packages_directory / f"private-{uuid.uuid4().hex}"
    private.mkdir()
    secret = private / "secret"
    secret.write_text(marker)
    code = packages_directory / f"attack-{uuid.uuid4().hex}"
    code.mkdir()
    (code / "app.py").write_text(ATTACKER)
    (code / "link").symlink_to(secret)
    sleep = "import time; print(1, flush=True); time.sleep(600)"
    victim = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", sleep, "leastwise-victim"], env={"MARKER": marker}, stdout=subprocess.PIPE
    )
    assert victim.stdout is not None
    assert victim.stdout.readline() == b"1\n"
    shm = Path("/dev/shm") / f"leastwise-{uuid.uuid4().hex}"
    shm.write_text(marker)
    abstract = f"leastwise-{uuid.uuid4().hex}"
    listeners = [socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    listeners[1].bind("\0" + abstract)
    listeners[2].bind(str(private / "socket"))
    for listener in listeners:
        listener.listen()
        threading.Thread(target=_greet, args=(listener,), daemon=True).start()
    inherited = os.open(secret, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    inherited_directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(inherited_directory, True)
    yield {
        "secret": str(secret),
        "marker": marker,
        "victim": victim.pid,
        "port": listeners[0].getsockname()[1],
        "abstract": abstract,
        "socket": str(private / "socket"),
        "shm": shm.name,
        "hostname": socket.gethostname(),
        "code": str(code),
    }
    victim.kill()
    victim.communicate()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    os.close(inherited)
    os.close(inherited_directory)
    shm.unlink()


def _greet(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.send(b"hello")


def control(attack: dict[str, Any], world: dict[str, Any]) -> dict[str, str]:
    """The attack in a plain subprocess of the same user, with everything a careless platform lets through."""
    answer = subprocess.run(
        [sys.executable, "-c", CONTROL],
        input=json.dumps({"code": attack["code"], "p": world}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        close_fds=False,
    )
    assert answer.stdout, answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack["name"])
async def test_what_a_plain_subprocess_can_do_a_sandbox_cannot(
    attack: dict[str, Any], world: dict[str, Any], start: Any, is_root: bool
) -> None:
    code = Path(world["code"])
    running = await start("", code=code, memory_mib=attack.get("memory_mib", 256))
    inside = {**world, "code": "/var/task"}
    reply = await running.call(json.dumps({"code": attack["code"], "p": inside}).encode(), seconds=60)
    result = json.loads(reply.payload)
    assert result.get("evidence") == "", result
    if attack.get("root") and not is_root:
        print(f"control not run, it needs root: {attack['name']}")
        return
    outside = control(attack, world)
    if attack.get("may_be_absent") and not outside["evidence"]:
        pytest.skip(f"this kernel has nothing to attack here: {outside['error']}")
    assert outside["evidence"], f"the attack fails outside as well, it proves nothing: {outside}"


def test_there_are_at_least_thirty_attacks_that_an_ordinary_user_can_make() -> None:
    assert len([attack for attack in ATTACKS if not attack.get("root")]) >= 30
