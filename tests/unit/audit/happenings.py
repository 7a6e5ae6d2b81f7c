"""Calls to put on record, and a ledger on real files and a real database."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from msgspec.structs import replace

from leastwise.audit.interface import Happening
from leastwise.audit.service import Ledger
from leastwise.audit.verify import verify
from leastwise.iam.interface import Decision, PolicyKind, Principal, PrincipalKind, StatementId
from leastwise.kernel.call import Source
from leastwise.kernel.clock import SystemClock
from leastwise.kernel.events import Access, EventClass
from leastwise.storage.audit_outbox import SqlHeads, SqlOutbox
from leastwise.storage.engine import Database
from leastwise.storage.schema import metadata
from leastwise.storage.trail_file import TrailFiles

ACCOUNT = "123456789012"
INSTALLATION = "4d3f6c1e-0000-4000-8000-000000000001"
USER = Principal(
    kind=PrincipalKind.USER,
    account_id=ACCOUNT,
    arn=f"arn:aws:iam::{ACCOUNT}:user/admin",
    unique_id="AIDAABCDEFGHIJKLMNOPQ",
    name="admin",
    access_key_id="AKIAABCDEFGHIJKLMNOP",
)
DECISION = Decision(
    allowed=True,
    layer=PolicyKind.IDENTITY,
    explicit=False,
    statements=(
        StatementId(policy="arn:aws:iam::aws:policy/AdministratorAccess", kind=PolicyKind.IDENTITY, sid="", index=0),
    ),
)
INVOKE = Happening(
    request_id="11111111-1111-4111-8111-111111111111",
    event_id="22222222-2222-4222-8222-222222222222",
    at_ms=1_795_459_679_123,
    service="lambda",
    operation="Invoke",
    event_class=EventClass.DATA,
    access=Access.WRITE,
    account_id=ACCOUNT,
    region="us-east-1",
    source=Source(ip="127.0.0.1", user_agent="Boto3/1.40", tls=False, received_at_ms=1_795_459_679_123),
    principal=USER,
    claimed_access_key_id="AKIAABCDEFGHIJKLMNOP",
    resources=(f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:hello",),
    decision=DECISION,
    additional={"functionArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:hello", "billedMs": 3, "memoryMib": 128},
)
CREATE = replace(
    INVOKE,
    operation="CreateFunction",
    event_class=EventClass.MANAGEMENT,
    parameters={"FunctionName": "hello", "Tags": {"Team": "x"}},
    additional={},
)


def invoke(number: int = 0) -> Happening:
    return replace(INVOKE, event_id=str(uuid.UUID(int=number)))


async def open_database(directory: Path) -> Database:
    os.makedirs(directory, exist_ok=True)  # noqa: PTH103
    database = Database(f"sqlite+aiosqlite:///{directory}/db")
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    return database


def make_ledger(directory: Path, database: Database, **settings: int) -> Ledger:
    return Ledger(
        store=TrailFiles(directory / "trail"),
        outbox=SqlOutbox(database),
        heads=SqlHeads(database),
        transactions=database,
        clock=SystemClock(),
        installation_id=INSTALLATION,
        **settings,
    )


async def verdict_of(directory: Path, database: Database, **options):
    heads = await SqlHeads(database).all()
    store = TrailFiles(directory / "trail")
    segments = store.segments()
    return verify(
        ((segment.number, store.lines(segment.number)) for segment in segments),
        heads=heads,
        total_bytes=sum(segment.size for segment in segments),
        **options,
    )
