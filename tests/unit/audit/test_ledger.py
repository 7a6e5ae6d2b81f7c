"""The ledger on real files and a real database."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.audit.happenings import CREATE, invoke, make_ledger, open_database, verdict_of

from leastwise.audit.interface import TrailUnavailable
from leastwise.storage.audit_outbox import SqlHeads, SqlOutbox
from leastwise.storage.trail_file import TrailFiles


@pytest.fixture
async def database(tmp_path):
    database = await open_database(tmp_path)
    yield database
    await database.close()


async def opened(directory, database, **settings):
    ledger = make_ledger(directory, database, **settings)
    await ledger.recover()
    return ledger


def last_segment(directory: Path) -> Path:
    return max((directory / "trail").glob("*.log"))


def event_ids(ledger):
    return [json.loads(entry.payload)["eventID"] for entry in ledger.entries()]


async def test_sequence_numbers_start_at_zero_and_have_no_gaps(tmp_path, database):
    ledger = await opened(tmp_path, database)
    assert [0, 1, 2] == [ledger.append(invoke(number)) for number in range(3)]
    await ledger.close()


async def test_a_closed_log_is_sound_and_its_end_is_remembered(tmp_path, database):
    ledger = await opened(tmp_path, database)
    for number in range(10):
        ledger.append(invoke(number))
    await ledger.close()
    verdict = await verdict_of(tmp_path, database)
    heads = await SqlHeads(database).all()
    assert (True, 10) == (verdict.sound, verdict.entries)
    assert (9, verdict.head) == (heads[-1].sequence, heads[-1].digest)


async def test_the_next_start_goes_on_where_the_last_one_stopped(tmp_path, database):
    for start in range(3):
        ledger = await opened(tmp_path, database)
        assert start == ledger.append(invoke(start))
        await ledger.close()
    assert (True, 3) == ((verdict := await verdict_of(tmp_path, database)).sound, verdict.entries)


async def test_segments_turn_over_and_are_read_back_from_any_place(tmp_path, database):
    ledger = await opened(tmp_path, database, segment_bytes=5_000)
    for number in range(40):
        ledger.append(invoke(number))
    assert len(list((tmp_path / "trail").glob("*.log"))) > 5
    for first in (0, 1, 17, 39, 40):
        assert list(range(first, 40)) == [entry.sequence for entry in ledger.entries(first_sequence=first)]
    await ledger.close()
    assert (await verdict_of(tmp_path, database)).sound
    again = await opened(tmp_path, database, segment_bytes=5_000)
    assert 40 == again.append(invoke(40))
    await again.close()


async def test_durable_covers_everything_appended_before(tmp_path, database):
    ledger = await opened(tmp_path, database)
    assert -1 == await ledger.durable()
    for number in range(5):
        ledger.append(invoke(number))
    assert [4, 4, 4] == await asyncio.gather(*(ledger.durable() for _ in range(3)))
    await ledger.close()


async def test_a_staged_record_is_in_the_log_only_after_the_commit(tmp_path, database):
    ledger = await opened(tmp_path, database)
    async with database.begin():
        await ledger.stage(CREATE)
        assert [] == event_ids(ledger)
    await ledger.publish()
    assert [CREATE.event_id] == event_ids(ledger)
    await ledger.close()
    assert () == await SqlOutbox(database).waiting()


async def test_a_rolled_back_change_leaves_no_record(tmp_path, database):
    ledger = await opened(tmp_path, database)

    async def fail_after_staging():
        async with database.begin():
            await ledger.stage(CREATE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_staging()
    await ledger.publish()
    assert [] == event_ids(ledger)
    await ledger.close()


async def test_publishing_again_writes_nothing_twice(tmp_path, database):
    ledger = await opened(tmp_path, database)
    async with database.begin():
        await ledger.stage(CREATE)
    await asyncio.gather(*(ledger.publish() for _ in range(5)))
    assert [CREATE.event_id] == event_ids(ledger)
    await ledger.close()


async def test_publishing_waits_for_whoever_is_publishing_already(tmp_path, database, monkeypatch):
    ledger = await opened(tmp_path, database)
    waiting = ledger._outbox.waiting
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slow():
        reading.set()
        await go_on.wait()
        return await waiting()

    monkeypatch.setattr(ledger._outbox, "waiting", slow)
    async with database.begin():
        await ledger.stage(CREATE)
    first = asyncio.create_task(ledger.publish())
    await reading.wait()
    second = asyncio.create_task(ledger.publish())
    await asyncio.sleep(0)
    assert not second.done()
    go_on.set()
    await second
    assert 1 == len(event_ids(ledger))
    await first
    await ledger.close()


async def test_an_outbox_that_could_not_be_read_is_read_again(tmp_path, database, monkeypatch):
    ledger = await opened(tmp_path, database)

    async def broken():
        raise OSError("gone")

    async with database.begin():
        await ledger.stage(CREATE)
    with monkeypatch.context() as out_of_order:
        out_of_order.setattr(ledger._outbox, "waiting", broken)
        with pytest.raises(OSError, match="gone"):
            await ledger.publish()
    await ledger.publish()
    assert 1 == len(event_ids(ledger))
    await ledger.close()


async def test_a_committed_record_is_published_without_being_asked(tmp_path, database):
    ledger = await opened(tmp_path, database, commit_interval_ms=1)
    async with database.begin():
        await ledger.stage(CREATE)
    while await SqlOutbox(database).waiting():
        await asyncio.sleep(0)
    assert [CREATE.event_id] == event_ids(ledger)
    await ledger.close()


async def test_a_head_follows_a_record_without_being_asked(tmp_path, database):
    ledger = await opened(tmp_path, database, commit_interval_ms=1, head_interval_ms=1)
    ledger.append(invoke())
    while not await SqlHeads(database).all():
        await asyncio.sleep(0)
    assert 0 == (await SqlHeads(database).all())[-1].sequence
    await ledger.close()


async def test_records_that_were_committed_and_not_published_are_published_at_the_start(tmp_path, database):
    ledger = await opened(tmp_path, database, commit_interval_ms=60_000)
    for number in range(3):
        await SqlOutbox(database).put(f"id-{number}", f'{{"eventID":"id-{number}"}}'.encode())
    ledger._keeper.cancel()
    ledger._store.close()
    again = make_ledger(tmp_path, database)
    recovery = await again.recover()
    assert (3, ["id-0", "id-1", "id-2"]) == (recovery.published, event_ids(again))
    await again.close()


async def test_a_record_that_reached_the_log_but_not_the_removal_is_not_published_twice(tmp_path, database):
    ledger = await opened(tmp_path, database, commit_interval_ms=60_000)
    ledger.append(invoke(1))
    async with database.begin():
        await ledger.stage(CREATE)
    await ledger.publish()
    ledger.append(invoke(2))
    # Killed here: the row still waits, the record stands in the log, nothing is remembered.
    crashed = tmp_path / "crashed"
    shutil.copytree(tmp_path / "trail", crashed / "trail")
    after = make_ledger(crashed, database)
    recovery = await after.recover()
    assert (3, 0) == (recovery.next_sequence, recovery.published)
    assert 1 == event_ids(after).count(CREATE.event_id)
    assert () == await SqlOutbox(database).waiting()
    await after.close()
    await ledger.close()


async def test_a_torn_last_record_is_cut_off_and_kept_aside(tmp_path, database):
    ledger = await opened(tmp_path, database)
    ledger.append(invoke(0))
    await ledger.close()
    with last_segment(tmp_path).open("ab") as file:
        file.write(b'1 00ab {"half')
    again = make_ledger(tmp_path, database)
    recovery = await again.recover()
    assert (1, 13) == (recovery.next_sequence, recovery.cut_bytes)
    again.append(invoke(1))
    await again.close()
    assert (True, 2) == ((verdict := await verdict_of(tmp_path, database)).sound, verdict.entries)
    assert [b'1 00ab {"half'] == [file.read_bytes() for file in (tmp_path / "trail").glob("*.cut-*")]


async def test_a_stretch_that_a_power_cut_damaged_behind_the_head_is_cut_off(tmp_path, database):
    ledger = await opened(tmp_path, database)
    ledger.append(invoke(0))
    await ledger.close()
    with last_segment(tmp_path).open("ab") as file:
        file.write(b"\0" * 4096 + b"\n1 rubbish\n")
    again = make_ledger(tmp_path, database)
    assert 1 == (await again.recover()).next_sequence
    await again.close()
    assert (await verdict_of(tmp_path, database)).sound


async def damaged(tmp_path, database, change):
    ledger = await opened(tmp_path, database, segment_bytes=4_000)
    for number in range(20):
        ledger.append(invoke(number))
    await ledger.close()
    change(sorted((tmp_path / "trail").glob("*.log")))
    before = {file.name: file.read_bytes() for file in (tmp_path / "trail").iterdir()}
    with pytest.raises(TrailUnavailable) as refusal:
        await make_ledger(tmp_path, database, segment_bytes=4_000).recover()
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "trail").iterdir()}
    assert not (await verdict_of(tmp_path, database)).sound
    return str(refusal.value)


async def test_a_start_refuses_a_log_whose_end_was_cut_off(tmp_path, database):
    def change(files):
        data = files[-1].read_bytes()
        files[-1].write_bytes(data[: data.rstrip(b"\n").rfind(b"\n") + 1])

    assert "The end of the trail is cut off: record 19 is known." == await damaged(tmp_path, database, change)


async def test_a_start_refuses_a_log_whose_last_segment_is_gone(tmp_path, database):
    assert "cut off" in await damaged(tmp_path, database, lambda files: files[-1].unlink())


async def test_a_start_refuses_a_log_that_is_gone(tmp_path, database):
    message = await damaged(tmp_path, database, lambda files: [file.unlink() for file in files])
    assert message.startswith("The trail is gone")


async def test_a_start_refuses_a_changed_record_that_is_known(tmp_path, database):
    def change(files):
        files[-1].write_bytes(files[-1].read_bytes().replace(b"Invoke", b"invoke"))

    assert "damaged" in await damaged(tmp_path, database, change)


async def test_a_start_refuses_the_log_of_another_installation(tmp_path, database):
    other = await open_database(tmp_path / "other")
    ledger = make_ledger(tmp_path / "other", other)
    ledger._installation_id = "another"
    await ledger.recover()
    ledger.append(invoke())
    await ledger.close()
    await other.close()
    shutil.copytree(tmp_path / "other" / "trail", tmp_path / "trail")
    with pytest.raises(TrailUnavailable, match="another installation"):
        await make_ledger(tmp_path, database).recover()


async def test_a_second_writer_is_refused_and_the_first_goes_on(tmp_path, database):
    first = await opened(tmp_path, database)
    with pytest.raises(TrailUnavailable, match="Another process"):
        await make_ledger(tmp_path, database).recover()
    assert 0 == first.append(invoke())
    await first.close()
    second = await opened(tmp_path, database)
    assert 1 == second.append(invoke())
    await second.close()


async def test_nothing_is_recorded_before_the_start_or_after_the_close(tmp_path, database):
    ledger = make_ledger(tmp_path, database)
    with pytest.raises(TrailUnavailable):
        ledger.append(invoke())
    await ledger.recover()
    ledger.ping()
    await ledger.close()
    with pytest.raises(TrailUnavailable):
        ledger.ping()
    with pytest.raises(TrailUnavailable):
        ledger.append(invoke())
    with pytest.raises(TrailUnavailable):
        await ledger.stage(CREATE)


async def test_after_a_failed_sync_nothing_more_is_recorded(tmp_path, database, monkeypatch):
    ledger = await opened(tmp_path, database, commit_interval_ms=60_000)
    ledger.append(invoke())

    def fail(_fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(TrailUnavailable, match="cannot be put on disk"):
        await ledger.durable()
    with pytest.raises(TrailUnavailable):
        ledger.append(invoke())
    await ledger.close()


async def test_the_log_is_private(tmp_path, database):
    ledger = await opened(tmp_path, database)
    ledger.append(invoke())
    await ledger.close()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "trail").iterdir()}
    assert {"00000001.log": 0o600, "lock": 0o600} == modes
    assert 0o700 == (tmp_path / "trail").stat().st_mode & 0o777


async def test_old_heads_are_forgotten_and_the_newest_stay(database):
    from leastwise.audit.interface import Head
    from leastwise.storage import audit_outbox

    heads = SqlHeads(database)
    audit_outbox.KEPT_HEADS, kept = 3, audit_outbox.KEPT_HEADS
    try:
        for sequence in range(5):
            await heads.add(Head(sequence=sequence, digest="d", at_ms=0))
    finally:
        audit_outbox.KEPT_HEADS = kept
    assert [2, 3, 4] == [head.sequence for head in await heads.all()]


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from leastwise.audit.interface import TrailUnavailable
from tests.unit.audit.happenings import invoke, make_ledger, open_database, verdict_of

async def main(directory):
    database = await open_database(directory)
    ledger = make_ledger(directory, database, commit_interval_ms=60_000, segment_bytes=int(sys.argv[2]))
    await ledger.recover()
    written = 0
    # One file may not grow beyond this: the last write is cut short by the kernel, as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    try:
        while written < 1000:
            ledger.append(invoke(written))
            written += 1
    except TrailUnavailable as error:
        print(error)
    torn = (await verdict_of(directory, database)).torn_tail_bytes
    for _ in range(3):
        try:
            ledger.append(invoke(written))
        except TrailUnavailable:
            pass
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert written == ledger.append(invoke(written))
    await ledger.close()
    verdict = await verdict_of(directory, database)
    await database.close()
    print(verdict.sound, verdict.entries == written + 1, torn)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_refuses_records_leaves_the_log_whole_and_is_over_when_there_is_room(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), "1000000"], capture_output=True, text=True, check=True
    )
    assert ["The trail cannot be written: File too large.", "True True 0"] == done.stdout.splitlines()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_file_system_refuses_records_while_a_segment_is_started(tmp_path):
    script = """
import asyncio, os, sys
from pathlib import Path
from leastwise.audit.interface import TrailUnavailable
from tests.unit.audit.happenings import invoke, make_ledger, open_database, verdict_of

async def main(directory):
    database = await open_database(directory)
    ledger = make_ledger(directory, database, commit_interval_ms=60_000, segment_bytes=4_096)
    (directory / "trail").mkdir()
    os.system(f"mount -t tmpfs -o size=64k tmpfs {directory / 'trail'}") and sys.exit("no mount")
    await ledger.recover()
    written = refused = 0
    while refused < 5:
        try:
            ledger.append(invoke(written))
            written += 1
        except TrailUnavailable:
            refused += 1
    await ledger.durable()
    verdict = await verdict_of(directory, database)
    print(verdict.sound, verdict.entries == written, verdict.torn_tail_bytes)
    ledger._store.close()
    await database.close()

asyncio.run(main(Path(sys.argv[1])))
"""
    # A mount namespace of its own: nothing can be left behind.
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    if "no mount" in done.stderr:
        pytest.skip("mounting is not possible here")
    assert ("True True 0\n", 0) == (done.stdout, done.returncode), done.stderr


KILLED = """
import asyncio, os, sys, uuid
from msgspec.structs import replace
from pathlib import Path
from tests.unit.audit.happenings import CREATE, INVOKE, make_ledger, open_database

async def main(directory):
    database = await open_database(directory)
    ledger = make_ledger(directory, database, commit_interval_ms=1, head_interval_ms=2, segment_bytes=20_000)
    await ledger.recover()

    async def change():
        while True:
            event_id = str(uuid.uuid4())
            async with database.begin():
                await ledger.stage(replace(CREATE, event_id=event_id))
            os.write(1, event_id.encode() + b"\\n")

    changing = asyncio.create_task(change())
    while not changing.done():
        for _ in range(20):
            event_id = str(uuid.uuid4())
            ledger.append(replace(INVOKE, event_id=event_id))
            os.write(1, event_id.encode() + b"\\n")
        await asyncio.sleep(0)
    await changing

asyncio.run(main(Path(sys.argv[1])))
"""


def acknowledged_before_kill(directory, wanted):
    """Event ids that a writing process acknowledged before, and while, it was killed."""
    with subprocess.Popen([sys.executable, "-c", KILLED, str(directory)], stdout=subprocess.PIPE) as child:
        try:
            found = [child.stdout.readline().decode().strip() for _ in range(wanted)]
        finally:
            child.kill()
        rest = child.stdout.read().decode().split("\n")
    return found + [line for line in rest[:-1] if line]


async def test_kill_9_loses_nothing_that_was_acknowledged_and_repeats_nothing(tmp_path, database):
    acknowledged = []
    for wanted in (1, 40, 333, 700, 150):
        acknowledged.extend(await asyncio.to_thread(acknowledged_before_kill, tmp_path, wanted))
    ledger = make_ledger(tmp_path, database)
    await ledger.recover()
    found = event_ids(ledger)
    await ledger.close()
    assert set() == set(acknowledged) - set(found)
    assert len(found) == len(set(found))
    assert (await verdict_of(tmp_path, database)).sound


def test_reading_a_directory_that_is_not_there_finds_no_segments(tmp_path):
    assert () == TrailFiles(tmp_path / "nothing").segments()
