"""An OCI bundle around the same python worker, for runc (and crun), as root and as an ordinary user."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from leastwise.linux.interpreters import own_interpreter

_NUMBERS = itertools.count(1)


class Bundle:
    """A container of the smallest kind: the host's /usr and the interpreter read-only, runc's own default namespaces,
    mounts, capabilities and seccomp settings, 128 MB of memory where control groups can be set.

    Args:
        runtime: `runc` or `crun`.
        directory: an empty place for the bundle and the runtime's state.
        visible: mounted read-only at its own path.
        arguments: of the container.
    """

    def __init__(self, runtime: str, directory: Path, visible: Path, arguments: list[str]) -> None:
        self.runtime = runtime
        self._directory = directory
        self._state = directory / "state"
        root = directory / "rootfs"
        root.mkdir(parents=True)
        for link in ("/bin", "/lib", "/lib64"):
            if Path(link).is_symlink():
                (root / link[1:]).symlink_to(Path(link).readlink())
        for place in ("usr", "proc", "dev", "sys", "tmp", str(visible)[1:], str(own_interpreter().prefix)[1:]):
            (root / place).mkdir(parents=True, exist_ok=True)
        rootless = ["--rootless"] if os.geteuid() else []
        subprocess.run([runtime, "spec", *rootless], cwd=directory, check=True, capture_output=True)
        path = directory / "config.json"
        path.write_text(json.dumps(self._config(json.loads(path.read_text()), visible, arguments)))

    @staticmethod
    def _config(config: dict[str, Any], visible: Path, arguments: list[str]) -> dict[str, Any]:
        config["process"] |= {"terminal": False, "args": arguments, "cwd": "/"}
        config["root"] = {"path": "rootfs", "readonly": True}
        for place in ("/usr", str(own_interpreter().prefix), str(visible)):
            if place == "/usr" or not place.startswith("/usr/"):
                config["mounts"].append(
                    {"destination": place, "type": "bind", "source": place, "options": ["rbind", "ro"]}
                )
        if not os.geteuid():
            config["linux"]["resources"] = {"memory": {"limit": 128 * 1024 * 1024}}
        return config

    def refusal(self) -> str | None:
        """Why it does not run on this machine; None when it does."""
        try:
            self.timed()
        except (AssertionError, OSError) as error:
            return " ".join(str(error).split())
        return None

    def timed(self) -> float:
        """Milliseconds from the command until the worker is ready."""
        name = f"leastwise-bench-{os.getpid()}-{next(_NUMBERS)}"
        command = [self.runtime, "--root", str(self._state), "run", "--bundle", str(self._directory), name]
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        ready = process.stdout.read(5)
        took = time.perf_counter() - began
        # The worker ends with its input; killing the runtime would leave the container.
        _, complaint = process.communicate(timeout=30)
        if ready != b"ready":
            subprocess.run(
                [self.runtime, "--root", str(self._state), "delete", "--force", name], check=False, capture_output=True
            )
            raise AssertionError(complaint.decode(errors="replace") or f"it ended with {process.returncode}")
        return took * 1000


def bundles(directory: Path, visible: Path, arguments: list[str]) -> dict[str, Bundle]:
    """Runtime -> a bundle that runs here. Prints why a runtime is left out."""
    working = {}
    for runtime in ("runc", "crun"):
        if shutil.which(runtime) is None:
            print(f"{runtime} is not installed: left out")
            continue
        try:
            made = Bundle(runtime, directory / runtime, visible, arguments)
        except subprocess.CalledProcessError as error:
            print(f"{runtime} makes no bundle here: left out: {error.stderr.decode(errors='replace').strip()}")
            continue
        reason = made.refusal()
        if reason is None:
            working[runtime] = made
        else:
            print(f"{runtime} does not run here: left out: {reason}")
    return working
