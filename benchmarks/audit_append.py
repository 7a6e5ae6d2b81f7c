"""What a record costs on the path of an invocation, beside the floor: hash the same bytes and write them."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from statistics import median

from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.unit.audit.happenings import INVOKE, make_ledger, open_database, verdict_of

from leastwise.audit.record import encode

RECORDS = 20_000
ROUNDS = 5
GROUP = 64
TARGET_US = 15


def _floor(directory: Path, lines: list[bytes]) -> float:
    """Microseconds of CPU and kernel for one sha256 and one write per line."""
    fd = os.open(directory / "floor", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    digest = b"\0" * 32
    start = time.perf_counter_ns()
    for line in lines:
        digest = sha256(digest + line).digest()
        os.write(fd, line)
    spent = time.perf_counter_ns() - start
    os.close(fd)
    return spent / len(lines) / 1000


async def _measure() -> list[dict]:
    happenings = [replace(INVOKE, event_id=f"{number:036d}") for number in range(RECORDS)]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        database = await open_database(directory)
        ledger = make_ledger(directory, database)
        await ledger.recover()
        appends, encodes, floors, grouped, alone = [], [], [], [], []
        for _ in range(ROUNDS):
            start = time.perf_counter_ns()
            payloads = [encode(happening) for happening in happenings]
            encodes.append((time.perf_counter_ns() - start) / RECORDS / 1000)
            floors.append(_floor(directory, payloads))
            start = time.perf_counter_ns()
            for happening in happenings:
                ledger.append(happening)
            appends.append((time.perf_counter_ns() - start) / RECORDS / 1000)
            await ledger.durable()
            start = time.perf_counter_ns()
            for first in range(0, RECORDS // 4, GROUP):
                for happening in happenings[first : first + GROUP]:
                    ledger.append(happening)
                await ledger.durable()
            grouped.append((RECORDS // 4) / ((time.perf_counter_ns() - start) / 1e9))
            start = time.perf_counter_ns()
            for happening in happenings[:200]:
                ledger.append(happening)
                await ledger.durable()
            alone.append(200 / ((time.perf_counter_ns() - start) / 1e9))
        await ledger.close()
        start = time.perf_counter_ns()
        verdict = await verdict_of(directory, database)
        verified = verdict.entries / ((time.perf_counter_ns() - start) / 1e9)
        await database.close()
    if not verdict.sound:
        message = f"the benchmark's own trail is not sound: {verdict.doubts}"
        raise SystemExit(message)
    append = median(appends)
    return [
        {
            "name": "record on the invoke path (encode, chain, write)",
            "value": append,
            "unit": "us",
            "target": f"<= {TARGET_US} us",
            "met": append <= TARGET_US,
        },
        {"name": "of which the CloudTrail JSON", "value": median(encodes), "unit": "us"},
        {"name": "floor: sha256 and write of the same bytes", "value": median(floors), "unit": "us"},
        {"name": "append against the floor", "value": append / median(floors), "unit": "x"},
        {"name": f"records on disk, group commit of {GROUP}", "value": median(grouped), "unit": "records/s"},
        {"name": "records on disk, one commit each", "value": median(alone), "unit": "records/s"},
        {"name": "verified (every record hashed again)", "value": verified, "unit": "records/s"},
    ]


def run() -> list[dict]:
    return asyncio.run(_measure())


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:55} {row['value']:>12,.2f} {row['unit']}")
