"""What this machine gives: interpreters, the sandbox driver, bytecode for other interpreters."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from leastwise.linux.driver import LinuxDriver, ServePlatform
from leastwise.linux.interpreters import Interpreter, find_interpreters
from leastwise.linux.node_family import NodeFamily
from leastwise.linux.node_interpreters import NodeInstall, find_nodes
from leastwise.linux.provided_family import ProvidedFamily
from leastwise.linux.python_family import PythonFamily

_LOG: Final = logging.getLogger(__name__)
_COMPILE_SECONDS: Final = 120
# Checked hashes would be read at every import; the tree cannot change under its digest, so they need no check.
_COMPILE: Final = (
    "import compileall, py_compile, sys; "
    "compileall.compile_dir(sys.argv[1], quiet=2, legacy=False, stripdir=sys.argv[1], prependdir='/var/task', "
    "invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
)


class Machine:
    """The interpreters that were found, and what is made from them."""

    def __init__(self, *, environment: Mapping[str, str]) -> None:
        self._interpreters = find_interpreters(home=Path.home(), search_path=environment.get("PATH", ""))
        self._nodes: Mapping[str, NodeInstall] = find_nodes()

    def driver(self, *, data: Path, packages: Path, serve_platform: ServePlatform | None, pool: int) -> LinuxDriver:
        """The kernel sandbox with every runtime of this machine."""
        return LinuxDriver(
            data=data,
            families=(
                PythonFamily(self._interpreters, packages=packages),
                NodeFamily(self._nodes),
                ProvidedFamily(),
            ),
            serve_platform=serve_platform,
            pool_size=pool,
        )

    def compiler(self) -> Callable[[str, Path], None]:
        """(runtime, tree): bytecode by the runtime's own interpreter. The code itself is never run."""
        binaries: dict[str, Interpreter] = {one.runtime: one for one in self._interpreters}

        def compile_tree(runtime: str, tree: Path) -> None:
            interpreter = binaries.get(runtime)
            if interpreter is None:
                return
            try:
                # SECURITY: -I -S keeps the package's own modules off the compiler's path: sitecustomize must not run.
                subprocess.run(  # noqa: S603 - an interpreter that we found and a constant program
                    [str(interpreter.binary), "-I", "-S", "-c", _COMPILE, str(tree)],
                    env={"LANG": "C.UTF-8"},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    timeout=_COMPILE_SECONDS,
                    check=False,
                    cwd="/",
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                # Without bytecode the function still runs; its first start is slower.
                _LOG.warning("no bytecode for %s: %s", runtime, error)

        return compile_tree


def this_machine() -> Machine:
    return Machine(environment=os.environ)
