"""What this machine gives: interpreters, the sandbox driver, bytecode for other interpreters."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from leastwise.linux.driver import LinuxDriver, ServePlatform
from leastwise.linux.interpreters import find_interpreters
from leastwise.linux.node_family import NodeFamily
from leastwise.linux.node_interpreters import NodeInstall, find_nodes
from leastwise.linux.provided_family import ProvidedFamily
from leastwise.linux.python_family import PythonFamily
from leastwise.runtime.egress import NoEgress
from leastwise.storage.bytecode import BytecodeCompiler


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
            egress=NoEgress(),
            pool_size=pool,
        )

    def compiler(self) -> Callable[[str, Path], None]:
        """(runtime, tree): bytecode by the runtime's own interpreter. The code itself is never run."""
        return BytecodeCompiler({one.runtime: one.binary for one in self._interpreters})


def this_machine() -> Machine:
    return Machine(environment=os.environ)
