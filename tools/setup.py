"""Builds `.venv` (for `bench`: `.bench-venv`) from the locked requirements. Needs python3 >= 3.11 and nothing else.

Debian's python3 comes without ensurepip, so pip itself is brought along (`requirements/bootstrap/`) and run from its
wheel. Usage: python3 tools/setup.py [run|dev|bench]
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"


def pip_wheel() -> Path:
    """The vendored pip, checked against its recorded hash."""
    (wheel,) = (REQUIREMENTS / "bootstrap").glob("pip-*.whl")
    wanted = (REQUIREMENTS / "bootstrap" / "SHA256SUMS").read_text().split()[0]
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if found != wanted:
        sys.exit(f"{wheel.name}: its SHA-256 is {found}, recorded is {wanted}")
    return wheel


def install(where: Path, *arguments: str) -> None:
    """Runs the vendored pip inside a virtual environment."""
    subprocess.run(  # noqa: S603 - our own interpreter and arguments
        [
            str(where / "bin" / "python"),
            f"{pip_wheel()}/pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *arguments,
        ],
        check=True,
    )


def main() -> None:
    if sys.version_info < (3, 11):
        sys.exit("Leastwise needs Python 3.11 or newer.")
    kind = sys.argv[1] if len(sys.argv) > 1 else "run"
    where = ROOT / (".bench-venv" if kind == "bench" else ".venv")
    if not (where / "bin" / "python").exists():
        print(f"creating {where.name}", flush=True)
        venv.create(where, with_pip=False, symlinks=True)
    print(f"installing requirements/{kind}.txt", flush=True)
    install(where, "--require-hashes", "--requirement", str(REQUIREMENTS / f"{kind}.txt"))
    if kind != "bench":
        install(where, "--require-hashes", "--requirement", str(REQUIREMENTS / "build.txt"))
        install(where, "--no-build-isolation", "--no-deps", "--editable", str(ROOT))


if __name__ == "__main__":
    main()
