"""Variables, interpreters, privileges, processes and the doctor's findings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leastwise.iam.interface import Credentials
from leastwise.linux.cgroup import NoCgroups
from leastwise.linux.doctor import Grade, examine
from leastwise.linux.driver import directory_tag
from leastwise.linux.interpreters import Interpreter, find_interpreters, own_interpreter
from leastwise.linux.privileges import Privileges, _id_range
from leastwise.linux.processes import process_id, resume_tree, stop_tree, tree_peak_bytes
from leastwise.linux.variables import environment_variables
from leastwise.runtime.interface import EnvironmentSpec


def spec(**variables: str) -> EnvironmentSpec:
    return EnvironmentSpec(
        account_id="1",
        function_arn="arn",
        function_name="name",
        runtime="python3.12",
        handler="a.b",
        code_path=Path("/code"),
        revision_id="1",
        memory_mib=128,
        tmp_mib=512,
        timeout_ms=1,
        variables=variables,
        credentials=Credentials(access_key_id="A", secret_access_key="S", session_token="T", expires_at_ms=0),
        region="eu-west-1",
        log_group="/aws/lambda/name",
        log_stream="stream",
    )


def test_reserved_variables_win_over_the_owners() -> None:
    made = environment_variables(
        spec(AWS_SECRET_ACCESS_KEY="x", AWS_LAMBDA_FUNCTION_NAME="x", MINE="1", LANG="C"), execution_env=None
    )
    assert ("S", "name", "1", "C") == (
        made["AWS_SECRET_ACCESS_KEY"],
        made["AWS_LAMBDA_FUNCTION_NAME"],
        made["MINE"],
        made["LANG"],
    )


def test_the_egress_proxy_is_named_and_the_platform_is_not_reached_through_it() -> None:
    made = environment_variables(spec(), execution_env=None)
    assert {"http://127.0.0.1:9003"} == {
        made[name] for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    }
    assert "127.0.0.1,localhost" == made["NO_PROXY"] == made["no_proxy"]


def test_an_owners_proxy_is_left_alone_and_the_platform_is_added_to_his_exceptions() -> None:
    made = environment_variables(spec(HTTPS_PROXY="http://mine:1", NO_PROXY="internal"), execution_env=None)
    assert ("http://mine:1", "http://127.0.0.1:9003") == (made["HTTPS_PROXY"], made["HTTP_PROXY"])
    assert "https_proxy" not in made
    assert "internal,127.0.0.1,localhost" == made["NO_PROXY"]
    assert "no_proxy" not in made


def test_custom_runtimes_have_no_execution_environment() -> None:
    assert "AWS_EXECUTION_ENV" not in environment_variables(spec(), execution_env=None)
    made = environment_variables(spec(), execution_env="AWS_Lambda_python3.12", python_path=True)
    assert ("AWS_Lambda_python3.12", "/var/runtime") == (made["AWS_EXECUTION_ENV"], made["PYTHONPATH"])


def test_the_platforms_own_interpreter_is_always_found() -> None:
    found = find_interpreters(home=Path("/nonexistent"), search_path="")
    own = own_interpreter()
    assert own.runtime == found[0].runtime == f"python3.{sys.version_info[1]}"
    assert own.binary == found[0].binary


def test_scripts_in_the_search_path_are_no_interpreters(tmp_path: Path) -> None:
    shim = tmp_path / "python3.9"
    shim.write_text("#!/bin/sh\necho 3\necho 9\necho 1\necho cpython\necho /\n")
    shim.chmod(0o755)
    found = find_interpreters(home=Path("/nonexistent"), search_path=str(tmp_path))
    assert tmp_path not in [interpreter.binary.parent for interpreter in found]


def test_an_interpreter_knows_its_paths_inside() -> None:
    interpreter = Interpreter(binary=Path("/opt/py/bin/python3.12"), prefix=Path("/opt/py"), version=(3, 12, 1))
    assert "/var/lang/bin/python3.12" == interpreter.inside("/var/lang")
    assert "/var/lang/lib/python3.12/site-packages" in interpreter.site_directories("/var/lang")


@pytest.mark.parametrize(
    ("uid_map", "expected"),
    [
        ("0 0 4294967295\n", (0x70000000, 0x0FFFFFFF)),
        ("0 100000 65536\n", (32768, 32767)),
        ("0 1000 1\n", (0, 0)),
        ("0 1000 1\n1 100000 1000\n", (501, 499)),
    ],
)
def test_user_ids_come_from_what_the_namespace_has(uid_map: str, expected: tuple[int, int]) -> None:
    assert expected == _id_range(uid_map)


def test_no_two_sandboxes_that_follow_each_other_share_a_user() -> None:
    privileges = Privileges(privileged=True, weakness="", first_kernel_id=1000, kernel_ids=100)
    ids = [privileges.kernel_id(number) for number in range(100)]
    assert 100 == len(set(ids))
    assert 1000 == min(ids)


def test_a_process_is_known_by_its_handle_until_it_is_gone() -> None:
    child = subprocess.Popen(["sleep", "60"])
    handle = os.pidfd_open(child.pid)
    assert child.pid == process_id(handle)
    assert 0 < tree_peak_bytes(handle)
    child.kill()
    child.wait()
    assert 0 == process_id(handle)
    assert 0 == tree_peak_bytes(handle)
    os.close(handle)


def test_a_tree_of_processes_is_stopped_and_resumed() -> None:
    child = subprocess.Popen(["sh", "-c", "sleep 60 & echo ready; wait"], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert b"ready\n" == child.stdout.readline()
    handle = os.pidfd_open(child.pid)

    def states() -> set[str]:
        pids = [child.pid, *map(int, Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split())]
        return {Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in pids}

    stop_tree(handle)
    for _ in range(1000):
        if states() == {"T"}:
            break
    assert {"T"} == states()
    resume_tree(handle)
    for _ in range(1000):
        if "T" not in states():
            break
    assert "T" not in states()
    for pid in map(int, Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()):
        os.kill(pid, 9)
    child.kill()
    child.communicate()
    os.close(handle)


def test_the_doctor_names_what_is_weaker() -> None:
    privileges = Privileges(privileged=False, weakness="not root")
    findings = {one.subject: one for one in examine(privileges, NoCgroups("nothing is delegated"), ("python3.11",))}
    assert Grade.WEAK is findings["user ids"].grade
    assert "not root" in findings["user ids"].text
    assert Grade.WEAK is findings["memory and processes"].grade
    assert "nothing is delegated" in findings["memory and processes"].text
    assert (Grade.GOOD, "python3.11") == (findings["runtimes"].grade, findings["runtimes"].text)
    nothing = {one.subject: one for one in examine(privileges, NoCgroups("x"), ())}
    assert Grade.MISSING is nothing["runtimes"].grade


def test_data_directories_have_different_names_for_the_kernel(tmp_path: Path) -> None:
    assert directory_tag(tmp_path / "a") != directory_tag(tmp_path / "b")
    assert directory_tag(tmp_path / "a") == directory_tag(tmp_path / "b" / ".." / "a")
