"""`runtime.EnvironmentDriver` on kernel sandboxes.

One fork server per account and runtime, with a pool of generic sandboxes beside it. A cold start takes one from the
pool (or has one made) and lets the runtime's family turn it into an environment.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import resource
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from leastwise.guest.launch import GUEST_INSIDE
from leastwise.kernel.errors import Unavailable
from leastwise.linux.cgroups import Cgroups, clean, clean_groups, detect_cgroups, record_bases, recorded_bases
from leastwise.linux.doctor import isolation_layers
from leastwise.linux.egress_door import EgressDoor
from leastwise.linux.egress_outside import MachineNetwork, Outside
from leastwise.linux.interpreters import Interpreter, own_interpreter
from leastwise.linux.pool import Pool
from leastwise.linux.privileges import Privileges, detect_privileges
from leastwise.linux.sandbox import RuntimeFamily, RuntimeRoot, Sandbox
from leastwise.linux.zygote_client import ZygotePlan
from leastwise.runtime.interface import Egress, Environment, EnvironmentSpec, OnExit, OnOutput, RuntimeMissing

_PYTHON_OUTSIDE: Final = GUEST_INSIDE + "/python"
_GUEST_CODE: Final = GUEST_INSIDE + "/leastwise/guest"
_WANTED_FILES: Final = 65_536


class Closer(Protocol):
    """A service that can be ended."""

    async def close(self) -> None: ...


ServePlatform = Callable[[socket.socket, EnvironmentSpec], Awaitable[Closer]]
"""Serves the platform's endpoint on a listening socket inside one environment: the socket says which one speaks."""


def directory_tag(data: Path) -> str:
    """Short name of a data directory, for everything the kernel keeps by name."""
    return hashlib.sha256(str(data.resolve()).encode()).hexdigest()[:12]


class LinuxDriver:
    """Keeps `runtime.EnvironmentDriver`.

    Args:
        data: the platform's data directory; names what is left behind after a crash.
        families: the kinds of runtimes.
        serve_platform: serves 127.0.0.1:9002 of each environment; None leaves it unanswered.
        egress: decides what the proxy at 127.0.0.1:9003 of each environment lets out; None closes that port.
        outside: the network that the proxy reaches; None for this machine's.
        pool_size: generic sandboxes kept ready per account and runtime.
        pool_idle_s: a fork server with no sandboxes that was not asked for so long is ended; None for never.
        cgroups: None to find out.
        privileges: None to find out.
    """

    def __init__(
        self,
        *,
        data: Path,
        families: Sequence[RuntimeFamily],
        serve_platform: ServePlatform | None = None,
        egress: Egress | None = None,
        outside: Outside | None = None,
        pool_size: int = 4,
        pool_idle_s: float | None = 900,
        cgroups: Cgroups | None = None,
        privileges: Privileges | None = None,
        host_python: Interpreter | None = None,
    ) -> None:
        self._tag = directory_tag(data)
        self._record = data / "cgroups"
        self._families: dict[str, RuntimeFamily] = {}
        self._roots: dict[str, RuntimeRoot] = {}
        for family in families:
            for runtime, root in family.roots().items():
                self._families[runtime] = family
                self._roots[runtime] = root
        self._serve_platform = serve_platform
        self._door = None if egress is None else EgressDoor(egress, outside or MachineNetwork())
        self._pool_size = pool_size
        self._pool_idle_s = pool_idle_s
        self._cgroups = cgroups
        self._privileges = privileges or detect_privileges()
        self._host_python = host_python or own_interpreter()
        self._pools: dict[tuple[str, str], Pool] = {}
        self._numbers = itertools.count(1)
        self._open = False

    def runtimes(self) -> tuple[str, ...]:
        return tuple(sorted(self._families))

    async def open(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # An environment takes about ten descriptors here.
        wanted = _WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, _WANTED_FILES)
        if soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        await asyncio.get_running_loop().run_in_executor(None, self._clean_up)
        self._open = True

    async def prepare(self, account_id: str, runtime: str) -> None:
        """Starts the fork server of an account and runtime before it is needed, and fills its pool.

        Raises:
            RuntimeMissing: no such runtime on this machine.
            Unavailable: the fork server does not start.
        """
        await self._pool(account_id, runtime).fill()

    async def start_environment(self, spec: EnvironmentSpec, *, on_output: OnOutput, on_exit: OnExit) -> Environment:
        pool = self._pool(spec.account_id, spec.runtime)
        sandbox = await pool.take()
        try:
            # Descriptors of the listening sockets come when the sandbox is ready; the handler is imported meanwhile.
            service = asyncio.ensure_future(self._serve(sandbox, spec, on_output))
            try:
                family = self._families[spec.runtime]
                environment = await family.start(sandbox, spec, on_output=on_output, on_exit=on_exit)
                await service
                sandbox.cgroup.limit_cpu(spec.memory_mib)
            except BaseException:
                service.cancel()
                raise
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(sandbox.stop()))
            raise
        return environment

    async def close(self) -> None:
        self._open = False
        pools, self._pools = list(self._pools.values()), {}
        await asyncio.gather(*(pool.close() for pool in pools))
        if self._door is not None:
            self._door.outside.close()
        await asyncio.get_running_loop().run_in_executor(None, clean, self._groups().bases)
        self._cgroups = None

    def isolation(self) -> Mapping[str, str]:
        return isolation_layers(self._privileges, self._groups())

    def _groups(self) -> Cgroups:
        if self._cgroups is None:
            self._cgroups = detect_cgroups(self._tag)
        return self._cgroups

    def _clean_up(self) -> None:
        """Removes what a killed platform left. Its mounts are gone with its namespaces; processes are in the groups."""
        clean(recorded_bases(self._record, self._tag))
        if self._cgroups is None:
            self._cgroups = detect_cgroups(self._tag)
            clean_groups(self._cgroups.bases)
        record_bases(self._record, self._cgroups.bases)

    def _pool(self, account_id: str, runtime: str) -> Pool:
        if not self._open:
            message = "the driver is not open"
            raise Unavailable(message)
        if runtime not in self._families:
            message = f"The runtime {runtime} is not on this machine."
            raise RuntimeMissing(message)
        key = (account_id, runtime)
        pool = self._pools.get(key)
        if pool is None:
            # SECURITY: one fork server per account: what it shares with its sandboxes (memory layout, hash seed, whatever
            # it has read) is never shared between accounts.
            pool = self._pools[key] = Pool(
                self._plan(self._roots[runtime]),
                runtime=runtime,
                family=self._families[runtime],
                size=self._pool_size,
                idle_s=self._pool_idle_s,
                cgroups=self._groups(),
                privileges=self._privileges,
                numbers=self._numbers,
            )
        return pool

    def _plan(self, root: RuntimeRoot) -> ZygotePlan:
        privileged = self._privileges.privileged
        if root.interpreter is not None:
            return ZygotePlan(
                role="python",
                interpreter=root.interpreter,
                binds=root.binds,
                covers=root.covers,
                preload=root.preload,
                privileged=privileged,
            )
        return ZygotePlan(
            role="exec",
            interpreter=self._host_python.inside(_PYTHON_OUTSIDE),
            binds={**root.binds, _PYTHON_OUTSIDE: self._host_python.prefix},
            covers=(*root.covers, *self._host_python.site_directories(_PYTHON_OUTSIDE)),
            detach=(_GUEST_CODE, _PYTHON_OUTSIDE),
            privileged=privileged,
        )

    async def _serve(self, sandbox: Sandbox, spec: EnvironmentSpec, on_output: OnOutput) -> None:
        await sandbox.wait_ready()
        egress_listener = sandbox.take_egress_listener()
        if self._door is None:
            egress_listener.close()
        else:
            proxy = self._door.open(egress_listener, spec, on_output)
            sandbox.exited.add_done_callback(lambda _: proxy.close())
        if self._serve_platform is None:
            return
        service = await self._serve_platform(sandbox.platform_listener, spec)

        def close(_: object) -> None:
            task = asyncio.ensure_future(service.close())
            _closing.add(task)
            task.add_done_callback(_closing.discard)

        sandbox.exited.add_done_callback(close)


_closing: set[asyncio.Future[None]] = set()
"""Holds on to services while they close; the loop itself keeps no strong reference."""
