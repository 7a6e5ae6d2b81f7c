"""The composition root: the only place that names concrete classes and says who gets whom."""

from __future__ import annotations

import asyncio
import platform as machine
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from leastwise.api.errors import describe
from leastwise.audit.service import Ledger
from leastwise.flows.invoke import run_queued
from leastwise.flows.operations import operations_table
from leastwise.flows.perform import Performer
from leastwise.flows.services import Services
from leastwise.functions.catalog import FunctionCatalog
from leastwise.functions.configuration import Platform as MachineOffer
from leastwise.functions.interface import Function
from leastwise.functions.limits import Limits
from leastwise.functions.links import CodeLinks
from leastwise.functions.service import Functions
from leastwise.iam.service import Founded, IdentityService, open_identity_service
from leastwise.kernel import errors
from leastwise.kernel.clock import Clock
from leastwise.kernel.units import HOUR_MS, MIB, MINUTE_MS
from leastwise.metering.service import Meter
from leastwise.runtime.event_queue import Attempt, EventQueue
from leastwise.runtime.interface import EnvironmentDriver, QueuedEvent
from leastwise.runtime.scaling import Keeping
from leastwise.runtime.service import Runtime, RuntimeLimits
from leastwise.storage.audit_outbox import SqlHeads, SqlOutbox
from leastwise.storage.code import CodeDirectory
from leastwise.storage.engine import Database
from leastwise.storage.functions import SqlFunctionStore
from leastwise.storage.iam import SqlDirectory
from leastwise.storage.log_files import LogFiles
from leastwise.storage.migrate import upgrade
from leastwise.storage.organization import SqlOrganization
from leastwise.storage.queue import SqlEventStore
from leastwise.storage.trail_file import TrailFiles
from leastwise.storage.usage import SqlUsageStore
from leastwise.wiring.data_directory import DataDirectory
from leastwise.wiring.settings import Settings

_QUEUE_CONCURRENCY: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One installation, put together and recovered, not yet serving."""

    settings: Settings
    founded: Founded
    database: Database
    identity: IdentityService
    ledger: Ledger
    services: Services
    performer: Performer
    driver: EnvironmentDriver
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    """What runs as long as the platform does."""

    async def open(self) -> None:
        """Starts environments and takes up the events that wait."""
        await self.services.runtime.open()
        tree = await self.services.organization.accounts.tree()
        for account in await self.services.identities.directory.accounts():
            if tree.is_suspended(account.account_id):
                continue
            functions = self.services.catalog.of_account(account.account_id)
            for runtime in sorted({function.runtime for function in functions}):
                self.services.runtime.expect(account.account_id, runtime)
        await self.services.events.open()
        self.tasks.append(asyncio.create_task(self.identity.watch.run()))

    async def close(self) -> None:
        """Finishes what was accepted, then lets everything go. The doors must be closed already."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.services.events.close()
        await self.services.runtime.close(patience_s=self.settings.drain_seconds)
        await self.identity.gate.flush_last_used()
        await self.services.meter.flush()
        await self.ledger.close()
        await self.database.close()


async def build(
    settings: Settings,
    directory: DataDirectory,
    *,
    clock: Clock,
    driver: EnvironmentDriver,
    compile_bytecode: Callable[[str, Path], None],
    base_url: str,
) -> Platform:
    """Opens an installation: migrates, recovers the trail, counts what was not counted, founds it if it is new.

    Args:
        settings: as read.
        directory: locked.
        clock: the machine's.
        driver: makes environments.
        compile_bytecode: (runtime, tree) writes bytecode for another interpreter.
        base_url: what people call this installation by.

    Raises:
        LeastwiseError: it cannot be opened; the message says why.
    """
    key = directory.install_key()
    await upgrade(directory.database_url)
    database = Database(directory.database_url)
    identity = open_identity_service(
        directory=SqlDirectory(database),
        transactions=database,
        install_key=key,
        time_zone=settings.time_zone,
        organization=SqlOrganization(database),
    )
    ledger = Ledger(
        store=TrailFiles(directory.path / "trail"),
        outbox=SqlOutbox(database),
        heads=SqlHeads(database),
        transactions=database,
        clock=clock,
        installation_id=directory.installation_id(),
    )
    await ledger.recover()
    meter = Meter(store=SqlUsageStore(database), proofs=ledger)
    await meter.replay()
    founded = await identity.identities.founding.found_installation(
        settings.account_id,
        now_ms=clock.now_ms(),
        keep_credentials=lambda made: directory.write_credentials(
            made.access_key_id or "", made.secret_access_key or ""
        ),
    )
    function_store = SqlFunctionStore(database, key=key)
    catalog = FunctionCatalog(function_store)
    accounts = [account.account_id for account in await identity.identities.directory.accounts()]
    for account_id in accounts:
        await catalog.load(account_id)
    code = CodeDirectory(directory.path / "code", clock=clock, compile_with=compile_bytecode)
    code.open()
    code.collect(await function_store.digests())
    logs = LogFiles(directory.path / "logs", region=settings.region, group_bytes=settings.log_group_mib * MIB)
    runtime = Runtime(
        driver=driver,
        sessions=identity.sessions,
        logs=logs,
        clock=clock,
        code_path=code.path,
        free_memory_mib=free_memory_mib,
        limits=RuntimeLimits(
            account_concurrency=settings.account_concurrency,
            keeping=Keeping(
                idle_ms=settings.idle_minutes * MINUTE_MS,
                age_ms=6 * HOUR_MS,
                least_free_mib=settings.least_free_mib,
            ),
        ),
    )
    for account_id in accounts:
        runtime.set_reserved_total(account_id, catalog.reserved_total(account_id))

    def function_changed(account_id: str, name: str, function: Function | None) -> None:
        runtime.configuration_changed(account_id, name, function)
        if function is not None:
            runtime.expect(account_id, function.runtime)
        runtime.set_reserved_total(account_id, catalog.reserved_total(account_id))

    catalog.on_change(function_changed)

    async def attempt(event: QueuedEvent) -> Attempt:
        return await run_queued(performer, event, now_ms=clock.now_ms(), region=settings.region)

    organization = identity.organization
    if organization is None:
        message = "an installation without an organization"
        raise errors.Bug(message)

    def account_closed(account_id: str) -> None:
        for function in catalog.of_account(account_id):
            runtime.renew(account_id, function.name)

    organization.accounts.on_close(account_closed)
    services = Services(
        identities=identity.identities,
        sessions=identity.sessions,
        organization=organization,
        functions=Functions(
            store=function_store,
            code_store=code,
            catalog=catalog,
            transactions=database,
            platform=lambda: MachineOffer(runtimes=driver.runtimes(), architecture=architecture()),
            limits=Limits(concurrency=settings.account_concurrency),
        ),
        catalog=catalog,
        code_store=code,
        code_links=CodeLinks(key=key, base_url=base_url),
        runtime=runtime,
        events=EventQueue(store=SqlEventStore(database), run=attempt, clock=clock, concurrency=_QUEUE_CONCURRENCY),
        log_reader=logs,
        log_writer=logs,
        meter=meter,
        records=ledger,
    )
    performer = Performer(
        table=operations_table(),
        services=services,
        gate=identity.gate,
        trail=ledger,
        transactions=database,
        clock=clock,
        home_region=settings.region,
        home_account=founded.account_id,
        error_words=_error_words,
    )
    return Platform(
        settings=settings,
        founded=founded,
        database=database,
        identity=identity,
        ledger=ledger,
        services=services,
        performer=performer,
        driver=driver,
    )


def _error_words(error: Exception, service: str) -> tuple[str, str]:
    words = describe(error, service)
    return words.code, words.message


def architecture() -> str:
    """The machine's, in Lambda's words."""
    return {"aarch64": "arm64"}.get(machine.machine(), machine.machine())


def free_memory_mib() -> int:
    """What the kernel says could be had without swapping."""
    with open("/proc/meminfo", "rb") as meminfo:  # noqa: PTH123 - asked five times a second
        for line in meminfo:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) // 1024
    return 0
