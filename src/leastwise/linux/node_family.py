"""Node runtimes: a process is started ahead, generic and confined, and told later whose code it runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import leastwise.guest
from leastwise.linux.exec_environment import ExecEnvironment, said_before_exit
from leastwise.linux.node_channel import NodeConversation
from leastwise.linux.node_interpreters import NodeInstall
from leastwise.linux.sandbox import ExecPlan, RuntimeRoot, Sandbox
from leastwise.linux.variables import environment_variables
from leastwise.runtime.interface import Environment, EnvironmentCrashed, EnvironmentSpec, OnExit, OnOutput

_SCRIPT_DIRECTORY: Final = Path(leastwise.guest.__file__).parent / "node"
_LANGUAGE: Final = "/var/lang"
_NODE_PATH: Final = "/opt/nodejs/{directory}/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules"


def generic_plan(install: NodeInstall) -> ExecPlan:
    """The process before anybody knows whose it will be."""
    return ExecPlan(
        # A small first heap: V8 sizes it for the machine, and would let garbage grow past a small function's limit.
        argv=(
            f"{_LANGUAGE}/bin/{install.binary.name}",
            "--initial-old-space-size=32",
            "--optimize-for-size",
            "/var/runtime/index.js",
        ),
        # SECURITY: nothing of the platform's own environment; what is here shows in /proc/self/environ for ever.
        env={"PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin", "LANG": "en_US.UTF-8", "TZ": "UTC"},
        cwd="/tmp",  # noqa: S108 - inside the sandbox; /var/task is mounted later
        channel=True,
    )


def runtime_root(install: NodeInstall) -> RuntimeRoot:
    """SECURITY: of the installation only the programs and the package manager: its prefix may be somebody's home."""
    binds = {f"{_LANGUAGE}/bin": install.binary.parent, "/var/runtime": _SCRIPT_DIRECTORY}
    packages = install.prefix / "lib" / "node_modules"
    if packages.is_dir():
        binds[f"{_LANGUAGE}/lib/node_modules"] = packages
    return RuntimeRoot(binds=binds)


class NodeFamily:
    """Keeps `linux.sandbox.RuntimeFamily` for nodejs20.x, nodejs22.x and nodejs24.x."""

    def __init__(
        self, installs: Mapping[str, NodeInstall], *, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._installs = installs
        self._monotonic_ns = monotonic_ns
        self._generic: dict[str, NodeConversation] = {}

    def roots(self) -> Mapping[str, RuntimeRoot]:
        return {runtime: runtime_root(install) for runtime, install in self._installs.items()}

    async def prepare(self, sandbox: Sandbox, runtime: str) -> None:
        """Starts the interpreter and waits until it waits."""
        await sandbox.execute(generic_plan(self._installs[runtime]))
        channel = sandbox.channel
        assert channel is not None  # noqa: S101 - the plan asks for one
        # A duplicate: the sandbox closes its own when it ends, and the last words may still have to be read.
        ours = channel.dup()
        channel.close()
        conversation = await NodeConversation.open(ours, on_broken=sandbox.kill)
        try:
            await said_before_exit(sandbox, conversation, conversation.generic)
        except (EnvironmentCrashed, asyncio.CancelledError):
            conversation.close()
            raise
        self._generic[sandbox.sandbox_id] = conversation
        sandbox.exited.add_done_callback(lambda _: self._forget(sandbox.sandbox_id))

    async def start(
        self, sandbox: Sandbox, spec: EnvironmentSpec, *, on_output: OnOutput, on_exit: OnExit
    ) -> Environment:
        began_ns = self._monotonic_ns()
        if sandbox.sandbox_id not in self._generic:
            await self.prepare(sandbox, spec.runtime)
        conversation = self._generic.pop(sandbox.sandbox_id)
        sandbox.on_output = on_output
        try:
            conversation.specialise(node_variables(spec))
            await sandbox.specialise(spec)
            conversation.load()
            await said_before_exit(sandbox, conversation, conversation.ready)
        except BaseException:
            sandbox.kill()
            conversation.close()
            raise
        init_ms = (self._monotonic_ns() - began_ns) / 1e6
        return ExecEnvironment(sandbox, conversation, init_ms=init_ms, on_exit=on_exit)

    def _forget(self, sandbox_id: str) -> None:
        conversation = self._generic.pop(sandbox_id, None)
        if conversation is not None:
            conversation.close()


def node_variables(spec: EnvironmentSpec) -> dict[str, str]:
    """The complete environment. Layers' modules are found by NODE_PATH, which the owner may set otherwise.

    Source: AWS Lambda Developer Guide, "Using environment variables", NODE_PATH.
    """
    variables = environment_variables(spec, execution_env=f"AWS_Lambda_{spec.runtime}")
    variables.setdefault(
        "NODE_PATH", _NODE_PATH.format(directory=spec.runtime.removesuffix(".x").replace("nodejs", "node"))
    )
    return variables
