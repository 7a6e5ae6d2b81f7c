"""kill -9 at any moment: nothing acknowledged is lost, and nothing is left behind."""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import botocore.exceptions
import pytest
from tests.wire.conftest import LEASTWISE, RUNTIME, TRUST, package, start

from leastwise.linux.driver import directory_tag

ROUNDS = 3
SOURCE = "def handler(event, context):\n    print('ran', event['n'])\n    return event['n']\n"


def family_of(pid: int) -> set[tuple[int, str]]:
    """(pid, start time) of all descendants. Processes that were made and are not there any more are left out."""
    found, asked = set(), [pid]
    while asked:
        for children in Path(f"/proc/{asked.pop()}/task").glob("*/children"):
            try:
                numbers = [int(number) for number in children.read_text().split()]
            except OSError:
                continue
            asked += numbers
            found |= {(number, start) for number in numbers if (start := start_time(number))}
    return found


def start_time(pid: int) -> str | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def alive(family: set[tuple[int, str]]) -> set[tuple[int, str]]:
    return {(pid, start) for pid, start in family if start_time(pid) == start}


def cgroups(data: Path) -> set[str]:
    """Of this data directory's platform: others may run on the machine."""
    return {directory for directory, _, _ in os.walk("/sys/fs/cgroup") if directory_tag(data) in directory}


def mounts() -> int:
    return len(Path("/proc/self/mountinfo").read_text().splitlines())


def wait_until(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Load(threading.Thread):
    """Events, calls and changes, as fast as they are answered; keeps what was acknowledged."""

    def __init__(self, platform, first):
        super().__init__()
        self.functions = platform.client("lambda", read_timeout=20)
        self.iam = platform.client("iam")
        self.first = first
        self.events, self.calls, self.users = [], [], []
        self.stopped = False

    def run(self):
        number = self.first
        while not self.stopped:
            number += 1
            try:
                self.functions.invoke(FunctionName="f", InvocationType="Event", Payload=json.dumps({"n": number}))
                self.events.append(number)
                self.functions.invoke(FunctionName="f", Payload=json.dumps({"n": -number}))
                self.calls.append(number)
                if number % 5 == 0:
                    self.iam.create_user(UserName=f"user-{number}")
                    self.users.append(f"user-{number}")
            except (botocore.exceptions.ClientError, botocore.exceptions.HTTPClientError):
                if not self.stopped:
                    raise


def test_kill_minus_nine_loses_nothing_acknowledged_and_leaves_nothing_behind(tmp_path):
    data = tmp_path / "data"
    before_mounts = mounts()
    platform = start(data)
    role = platform.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    platform.client("lambda").create_function(
        FunctionName="f", Runtime=RUNTIME, Role=role, Handler="app.handler", Code={"ZipFile": package(SOURCE)}
    )
    events, calls, users = set(), set(), set()
    for number in range(ROUNDS):
        loads = [Load(platform, 1000 * (10 * number + worker)) for worker in range(4)]
        for load in loads:
            load.start()
        wait_until(lambda loads=loads: min(len(load.calls) for load in loads) >= 20 * (number + 1), "no load")
        for load in loads:
            load.stopped = True
        platform.process.send_signal(signal.SIGSTOP)
        family = family_of(platform.process.pid)
        assert len(family) > 4, "the platform has no sandboxes to leave behind"
        platform.stop(signal.SIGKILL)
        for load in loads:
            load.join(60)
            events.update(load.events)
            calls.update(load.calls)
            users.update(load.users)
        wait_until(lambda family=family: not alive(family), "processes outlive the platform")
        platform = start(data)
    listed = {
        user["UserName"]
        for page in platform.client("iam").get_paginator("list_users").paginate()
        for user in page["Users"]
    }
    assert users <= listed
    logs = platform.client("logs")

    def ran():
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/f", filterPattern="ran")
        return {int(event["message"].split()[1]) for page in pages for event in page["events"]}

    wait_until(lambda: events <= ran(), "an accepted event did not run")
    usage = subprocess.run(
        [LEASTWISE, "--output", "json", "usage", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert usage.returncode == 0, usage.stderr
    assert sum(total["Requests"] for total in json.loads(usage.stdout)["Totals"]) >= len(calls)
    family = family_of(platform.process.pid)
    assert platform.stop() == 0
    wait_until(lambda: not alive(family), "processes outlive the platform")
    assert cgroups(data) == set()
    assert mounts() == before_mounts
    verified = subprocess.run(
        [LEASTWISE, "audit", "verify", "--data", str(data)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_a_second_platform_on_the_same_data_is_refused_with_the_reason(platform):
    second = subprocess.run(
        [LEASTWISE, "up", "--data", str(platform.data), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode != 0
    assert "already" in second.stderr
    assert "Traceback" not in second.stderr


def test_off_loopback_without_tls_is_refused(tmp_path):
    refused = subprocess.run(
        [LEASTWISE, "up", "--data", str(tmp_path / "d"), "--listen", "0.0.0.0:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode != 0
    assert "--tls-cert" in refused.stderr


def test_sigterm_finishes_the_calls_that_were_accepted(tmp_path):
    platform = start(tmp_path / "data")
    role = platform.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    functions = platform.client("lambda")
    functions.create_function(
        FunctionName="slow",
        Runtime=RUNTIME,
        Role=role,
        Handler="app.handler",
        Timeout=20,
        Code={
            "ZipFile": package(
                "import time\ndef handler(event, context):\n    print('begun', flush=True)\n    time.sleep(2)\n    return 'done'\n"
            )
        },
    )
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(functions.invoke(FunctionName="slow", Payload=b"{}")["Payload"].read())
    )
    caller.start()
    logs = platform.client("logs")

    def begun():
        try:
            return bool(logs.filter_log_events(logGroupName="/aws/lambda/slow", filterPattern="begun")["events"])
        except logs.exceptions.ResourceNotFoundException:
            return False

    wait_until(begun, "the call did not begin")
    assert platform.stop(signal.SIGTERM) == 0
    caller.join(30)
    assert answers == [b'"done"']
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        functions.list_functions()
