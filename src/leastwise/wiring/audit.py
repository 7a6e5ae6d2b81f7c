"""`leastwise audit verify`: reads the files of an installation, running or not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from leastwise.audit import verify as verification
from leastwise.audit.interface import Doubt, Head, Progress, Verdict
from leastwise.storage.audit_outbox import SqlHeads
from leastwise.storage.engine import Database
from leastwise.storage.trail_file import TrailFiles
from leastwise.storage.usage import SqlUsageStore


def verify(data: Path, progress: Progress) -> Verdict:
    """Hashes every record again and compares the chain with what the database remembers of it.

    Args:
        data: the data directory.
        progress: (bytes done, bytes in all).
    """
    database_file = data / "leastwise.db"
    doubts: tuple[Doubt, ...] = ()
    heads: tuple[Head, ...] = ()
    counted = -1
    if database_file.exists():
        heads, counted = asyncio.run(_remembered(database_file))
    else:
        doubts = (Doubt(sequence=None, problem="the database is missing: a shortened trail could not be told"),)
    installation = data / "installation-id"
    files = TrailFiles(data / "trail")
    segments = files.segments()
    verdict = verification.verify(
        ((segment.number, files.lines(segment.number)) for segment in segments),
        heads=heads,
        counted_up_to=counted,
        installation_id=installation.read_text().strip() if installation.exists() else None,
        total_bytes=sum(segment.size for segment in segments),
        progress=progress,
    )
    return replace(verdict, doubts=doubts + verdict.doubts)


async def _remembered(database_file: Path) -> tuple[tuple[Head, ...], int]:
    database = Database(f"sqlite+aiosqlite:///{database_file}")
    try:
        return await SqlHeads(database).all(), await SqlUsageStore(database).counted_up_to()
    finally:
        await database.close()
