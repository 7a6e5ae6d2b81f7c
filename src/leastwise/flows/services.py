"""The services that handlers may use, gathered for one argument."""

from __future__ import annotations

from dataclasses import dataclass

from leastwise.audit.interface import Records
from leastwise.functions.catalog import FunctionCatalog
from leastwise.functions.interface import CodeStore
from leastwise.functions.links import CodeLinks
from leastwise.functions.service import Functions
from leastwise.iam.service import Identities, OrganizationService, Sessions
from leastwise.logs.interface import LogReader, LogWriter
from leastwise.metering.service import Meter
from leastwise.runtime.event_queue import EventQueue
from leastwise.runtime.service import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Filled in by `wiring.build`.

    Args:
        identities: users, roles, keys, policies.
        sessions: STS, and credentials of execution roles.
        organization: accounts, units and guardrails.
        functions: changes what is deployed.
        catalog: what is deployed, in memory.
        code_store: packages.
        code_links: addresses of packages for GetFunction; None where they cannot be served.
        runtime: runs functions.
        events: the queue of asynchronous invocations.
        log_reader: what functions printed.
        log_writer: where it goes.
        meter: usage.
        records: finds a call's record by its id.
    """

    identities: Identities
    sessions: Sessions
    organization: OrganizationService
    functions: Functions
    catalog: FunctionCatalog
    code_store: CodeStore
    code_links: CodeLinks | None
    runtime: Runtime
    events: EventQueue
    log_reader: LogReader
    log_writer: LogWriter
    meter: Meter
    records: Records
