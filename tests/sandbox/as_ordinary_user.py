"""Runs this directory's tests as an ordinary user: `sudo python tests/sandbox/as_ordinary_user.py [pytest arguments]`.

As root it becomes `nobody`; otherwise it just runs them. When nobody may not read the interpreter of the virtual
environment (it often lies in somebody's home), the system's Python of the same minor version takes its place.
"""

from __future__ import annotations

import os
import site
import subprocess
import sys
import tempfile
from pathlib import Path

NOBODY = 65534
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def readable_interpreter() -> str:
    name = f"python3.{sys.version_info[1]}"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        try:
            subprocess.run([candidate, "-c", "import ctypes, ssl"], user=NOBODY, group=NOBODY, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    sys.exit(f"nobody can run no {name} on this machine")


def main() -> None:
    arguments = ["-m", "pytest", "-p", "no:cacheprovider", str(HERE), *sys.argv[1:]]
    if os.geteuid() != 0:
        os.execv(sys.executable, [sys.executable, *arguments])
    with tempfile.TemporaryDirectory(prefix="leastwise-nobody-") as home:
        os.chown(home, NOBODY, NOBODY)
        environment = {
            "HOME": home,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *site.getsitepackages()]),
        }
        done = subprocess.run(
            [readable_interpreter(), *arguments, f"--basetemp={home}/pytest"],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            env=environment,
            cwd=ROOT,
            check=False,
        )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
