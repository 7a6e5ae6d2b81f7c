"""`leastwise up`: opens an installation, serves it, and lets it go in order."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import uvloop

from leastwise.api.app import create_app
from leastwise.api.connection import HttpLimits
from leastwise.api.forwarded import TrustedProxies
from leastwise.api.server import DoorServer, serve_on, tls_context
from leastwise.kernel import errors
from leastwise.kernel.call import Source
from leastwise.kernel.clock import SystemClock
from leastwise.runtime.interface import EnvironmentSpec
from leastwise.wiring.build import Platform, build
from leastwise.wiring.data_directory import PROFILE, DataDirectory
from leastwise.wiring.downloads import package_behind
from leastwise.wiring.machine import this_machine
from leastwise.wiring.settings import Settings, read_settings

_THREADS: Final = 32
_LOG: Final = logging.getLogger(__name__)
_BACKLOG: Final = 1024
_METER_FLUSH_S: Final = 5.0

# Where calls from inside a sandbox come from: an address that no host has, so that no policy about addresses can mean
# it by accident. Nothing of such a call crosses a network: `tls` is true in the sense of aws:SecureTransport.
_SANDBOX_ADDRESS: Final = "169.254.100.1"


# SECURITY: one environment must not take the connections of the others.
_INSIDE_LIMITS: Final = HttpLimits(connections=64)


def up(
    *,
    data: Path,
    listen: str | None,
    account_id: str | None,
    config: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        LeastwiseError: it cannot start; the message says why.
    """
    settings = read_settings(
        data=data,
        config=config,
        environment=os.environ,
        overrides={"listen": listen, "account_id": account_id, "tls_cert": tls_cert, "tls_key": tls_key},
    )
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # SECURITY: whatever this process makes is its owner's alone unless it says otherwise.
    os.umask(0o077)
    # SECURITY: a core file would hold every key of the installation.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    directory = DataDirectory(settings.data)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, directory))
    finally:
        directory.release()


async def _serve(settings: Settings, directory: DataDirectory) -> None:
    # SECURITY: hashes, proofs, lint and simulations run in threads, a few at a time each; the commits of the trail and the
    # reading of logs must find one too.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="leastwise"))
    tls = _tls_context(settings)
    listener = _listen(settings)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    listening_url = f"{'https' if tls else 'http'}://{host}:{listener.getsockname()[1]}"
    base_url = settings.public_url or listening_url
    clock = SystemClock()
    machine = this_machine()
    opened: list[Platform] = []

    async def serve_inside(sandbox_listener: socket.socket, _spec: EnvironmentSpec) -> InsideServer:
        source = Source(ip=_SANDBOX_ADDRESS, user_agent="", tls=True, received_at_ms=0)
        platform = opened[0]
        app = create_app(
            platform.performer.perform, implemented=platform.performer.table, clock=clock, fixed_source=source
        )
        return InsideServer(await serve_on(sandbox_listener, app, limits=_INSIDE_LIMITS))

    driver = machine.driver(
        data=settings.data, packages=directory.runtime_packages(), serve_platform=serve_inside, pool=settings.pool
    )
    platform = await build(
        settings, directory, clock=clock, driver=driver, compile_bytecode=machine.compiler(), base_url=base_url
    )
    opened.append(platform)
    directory.write_config(endpoint_url=base_url, region=settings.region, ca_bundle=settings.tls_cert)
    for layer, state in driver.isolation().items():
        if not state.startswith("on"):
            _LOG.warning("isolation is weaker than it should be: %s: %s", layer, state)
    await platform.open()

    async def health() -> Mapping[str, Any]:
        await platform.database.ping()
        if not settings.is_loopback:
            # SECURITY: which layers are weak is nobody's business off the machine.
            return {"status": "ok"}
        return {"status": "ok", "isolation": dict(driver.isolation()), "runtimes": list(driver.runtimes())}

    async def open_package(token: str) -> Path:
        return await package_behind(token, platform.services, now_ms=clock.now_ms())

    app = create_app(
        platform.performer.perform,
        implemented=platform.performer.table,
        clock=clock,
        health=health,
        open_package=open_package,
        trusted_proxies=TrustedProxies(settings.trusted_proxies),
    )
    server = await serve_on(listener, app, tls=tls)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    # Everything made so far stays: the collector need not look at it again. Calls make few cycles.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    flusher = loop.create_task(_flush_now_and_then(platform))
    _greet(settings, platform, listening_url)
    await stopping.wait()
    _LOG.info("stopping: finishing what was accepted")
    await server.drain(settings.drain_seconds)
    flusher.cancel()
    await platform.close()
    _LOG.info("stopped")


class InsideServer:
    """The platform's endpoint inside one environment, for as long as the environment lives."""

    def __init__(self, server: DoorServer) -> None:
        self._server = server

    async def close(self) -> None:
        self._server.abort()


async def _flush_now_and_then(platform: Platform) -> None:
    """Writes down what is kept in memory only for speed."""
    while True:
        await asyncio.sleep(_METER_FLUSH_S)
        try:
            await platform.services.meter.flush()
            await platform.identity.gate.flush_last_used()
        except errors.LeastwiseError as error:
            _LOG.warning("could not write down usage, trying again: %s", error)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
        listener.settimeout(0)
    except OSError as error:
        listener.close()
        message = f"cannot listen on {settings.listen}: {error.strerror}"
        raise errors.Unavailable(message) from error
    return listener


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        return tls_context(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        message = f"cannot use the certificate {settings.tls_cert} with its key: {error}"
        raise errors.Invalid(message) from error


def _greet(settings: Settings, platform: Platform, base_url: str) -> None:
    data = settings.data
    first = " (new; its administrator's key is in the credentials file)" if platform.founded.created else ""
    lines = (
        f"account {platform.founded.account_id}{first}, region {settings.region}",
        f"runtimes {', '.join(platform.driver.runtimes())}",
        "",
        "boto3 and the AWS CLI:",
        f"  export AWS_SHARED_CREDENTIALS_FILE={data / 'credentials'} AWS_CONFIG_FILE={data / 'config'}",
        f"  export AWS_PROFILE={PROFILE}",
        "  aws lambda list-functions",
        "the command line:",
        f"  leastwise --data {data} functions",
        "",
        f"ready {base_url}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
