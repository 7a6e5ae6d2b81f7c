"""One suite for every `logs.interface.LogWriter` with its `LogReader`: files are the only one."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from leastwise.kernel import errors
from leastwise.logs.interface import (
    LogGroupExists,
    LogGroupNotFound,
    LogStreamExists,
    LogStreamNotFound,
    TooManyGroups,
    TooManyStreams,
)
from leastwise.storage import log_files
from leastwise.storage.log_files import LogFiles

ACCOUNT = "123456789012"
GROUP = "/aws/lambda/hello"
STREAM = "2026/11/23/[$LATEST]0123456789abcdef0123456789abcdef"
NOW = 1_795_459_679_000


@pytest.fixture
def logs(tmp_path):
    return LogFiles(tmp_path / "logs", region="us-east-1", group_bytes=64 * 1024)


def put(logs, *messages, stream=STREAM, group=GROUP, account=ACCOUNT, at=NOW):
    logs.write(account, group, stream, [(at + n, text) for n, text in enumerate(messages)], ingested_ms=at + 100)


def read(logs, streams=None, *, group=GROUP, account=ACCOUNT, start=0, end=2**62, **options):
    return logs.events(account, group, streams, start_ms=start, end_ms=end, **options)


def messages(events):
    return [event.message for event in events]


def test_what_is_written_is_read_without_an_explicit_flush(logs):
    put(logs, "one", "two")
    first, second = read(logs)
    assert ("one", NOW, NOW + 100, STREAM) == (first.message, first.timestamp_ms, first.ingested_ms, first.stream)
    assert (56, True) == (len(first.event_id), first.event_id < second.event_id)


@pytest.mark.parametrize(
    "text", ["", "a\nb\rc\r\n", "\x00\x1f", "snow ☃ \U0001f600", 'E 0 1 2 "x"', '\nE 0 1 2 "forged"\n', "x" * 100_000]
)
def test_any_text_comes_back_as_it_was(logs, text):
    put(logs, text)
    assert [text] == messages(read(logs))


def test_text_that_is_not_unicode_is_replaced(logs):
    put(logs, "a\ud800b")
    assert ["a?b"] == messages(read(logs))


def test_a_message_beyond_the_limit_is_cut(logs):
    put(logs, "x" * (2**20 + 5))
    assert [2**20] == [len(event.message) for event in read(logs)]


def test_events_are_ordered_by_time_and_then_by_arrival(logs):
    put(logs, "late", at=NOW + 10)
    put(logs, "early", stream="other")
    put(logs, "late too", at=NOW + 10, stream="other")
    assert ["early", "late", "late too"] == messages(read(logs))
    assert ["late too", "late", "early"] == messages(read(logs, newest_first=True))


def test_the_range_has_its_start_and_not_its_end(logs):
    put(logs, "a", "b", "c")
    assert ["a", "b"] == messages(read(logs, start=NOW, end=NOW + 2))


def test_streams_are_told_apart(logs):
    put(logs, "mine")
    put(logs, "other", stream="s2")
    assert ["other"] == messages(read(logs, ["s2"]))
    assert [] == messages(read(logs, []))
    with pytest.raises(LogStreamNotFound):
        read(logs, ["s2", "nope"])


def test_accounts_and_groups_are_told_apart(logs):
    put(logs, "mine")
    put(logs, "theirs", account="999999999999")
    put(logs, "elsewhere", group="/aws/lambda/other")
    assert ["mine"] == messages(read(logs))
    with pytest.raises(LogGroupNotFound):
        read(logs, group="nope")
    with pytest.raises(LogGroupNotFound):
        read(logs, account="000000000000")


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("page", [1, 3, 7, 100])
def test_pages_of_any_size_give_every_event_once_and_in_order(logs, newest_first, page):
    for number in range(40):
        put(logs, f"{number}" + "x" * 1_000, at=NOW + number // 5, stream=f"s{number % 3}")
        logs.flush()
    whole = read(logs, newest_first=newest_first)
    assert len(list((logs._directory).rglob("*.log"))) > 3
    found, beyond = [], None
    while batch := read(logs, newest_first=newest_first, at_most=page, beyond=beyond):
        assert len(batch) <= page
        found.extend(batch)
        beyond = batch[-1].event_id
    assert list(whole) == found


def test_another_process_goes_on_where_the_last_one_stopped(logs, tmp_path):
    put(logs, "before")
    logs.flush()
    again = LogFiles(tmp_path / "logs", region="us-east-1", group_bytes=64 * 1024)
    put(again, "after", stream="new", at=NOW + 5)
    put(again, "same stream", at=NOW + 6)
    assert ["before", "after", "same stream"] == messages(read(again))
    assert [2, 1] == [len(read(again, [name])) for name in (STREAM, "new")]


def test_a_torn_last_line_is_passed_over_and_what_follows_is_not_lost(logs, tmp_path):
    put(logs, "whole")
    logs.flush()
    (file,) = (tmp_path / "logs").rglob("*.log")
    with file.open("ab") as opened:
        opened.write(b"E 0 1795459679001 17954596")
    assert ["whole"] == messages(read(logs))
    again = LogFiles(tmp_path / "logs", region="us-east-1")
    put(again, "next", at=NOW + 5)
    assert ["whole", "next"] == messages(read(again))


def test_damaged_lines_are_passed_over(logs, tmp_path):
    put(logs, "one")
    logs.flush()
    (file,) = (tmp_path / "logs").rglob("*.log")
    with file.open("ab") as opened:
        opened.write(b'E 9 1 1 "no such stream"\nE 0 x y "z"\nE 0 1 1 not json\nS 1\nS 1 2 {\n\xff\xfe\n\n')
    put(logs, "two", at=NOW + 5)
    assert ["one", "two"] == messages(read(logs))
    assert [STREAM] == [stream.name for stream in logs.streams(ACCOUNT, GROUP, prefix="")]


def test_a_flood_costs_its_own_past_and_never_the_disk(logs, tmp_path):
    put(logs, "neighbour", group="quiet")
    for number in range(200):
        put(logs, f"{number:06d}" + "x" * 2_000, at=NOW + number)
        logs.flush()
    size = sum(file.stat().st_size for file in (tmp_path / "logs").rglob("*.log"))
    kept = read(logs)
    assert size <= 64 * 1024 + 16 * 1024
    assert f"{199:06d}" == kept[-1].message[:6]
    assert 10 < len(kept) < 40
    assert ["neighbour"] == messages(read(logs, group="quiet"))


def test_an_endless_print_does_not_fill_memory(logs):
    for number in range(100):
        put(logs, "x" * 100_000, at=NOW + number)
    assert logs._buffered <= log_files._MOST_BUFFERED


def test_streams_are_described(logs):
    put(logs, "a", "b")
    put(logs, "c", stream="zz", at=NOW + 50)
    first, second = logs.streams(ACCOUNT, GROUP, prefix="")
    assert (STREAM, NOW, NOW + 1, NOW + 100) == (
        first.name,
        first.first_event_ms,
        first.last_event_ms,
        first.last_ingestion_ms,
    )
    assert ("zz", NOW + 150) == (second.name, second.created_at_ms)
    assert ["zz"] == [stream.name for stream in logs.streams(ACCOUNT, GROUP, prefix="z")]


def test_groups_are_described_in_order(logs):
    for group in ("b", "a", "/aws/lambda/x"):
        put(logs, "x", group=group)
    assert ["/aws/lambda/x", "a", "b"] == [group.name for group in logs.groups(ACCOUNT, prefix="")]
    (group,) = logs.groups(ACCOUNT, prefix="/aws")
    assert (ACCOUNT, NOW + 100, True) == (group.account_id, group.created_at_ms, group.stored_bytes > 0)
    assert () == logs.groups("000000000000", prefix="")


def test_groups_and_streams_are_created_once(logs):
    logs.create_group(ACCOUNT, GROUP, created_at_ms=NOW)
    with pytest.raises(LogGroupExists):
        logs.create_group(ACCOUNT, GROUP, created_at_ms=NOW)
    logs.create_stream(ACCOUNT, GROUP, "s", created_at_ms=NOW + 1)
    with pytest.raises(LogStreamExists):
        logs.create_stream(ACCOUNT, GROUP, "s", created_at_ms=NOW)
    with pytest.raises(LogGroupNotFound):
        logs.create_stream(ACCOUNT, "nope", "s", created_at_ms=NOW)
    (stream,) = logs.streams(ACCOUNT, GROUP, prefix="")
    assert (NOW + 1, None, None) == (stream.created_at_ms, stream.first_event_ms, stream.last_event_ms)
    assert [] == messages(read(logs, ["s"]))


def test_groups_and_streams_have_a_limit(logs, monkeypatch):
    monkeypatch.setattr(log_files, "_MOST_GROUPS", 2)
    monkeypatch.setattr(log_files, "_MOST_STREAMS", 2)
    for name in "ab":
        logs.create_group(ACCOUNT, name, created_at_ms=NOW)
        logs.create_stream(ACCOUNT, "a", name, created_at_ms=NOW)
    with pytest.raises(TooManyGroups):
        logs.create_group(ACCOUNT, "c", created_at_ms=NOW)
    with pytest.raises(TooManyStreams):
        logs.create_stream(ACCOUNT, "a", "c", created_at_ms=NOW)


def test_a_removed_group_is_gone_with_what_was_not_flushed_and_can_come_back(logs, tmp_path):
    put(logs, "old")
    (before,) = read(logs)
    put(logs, "not flushed")
    logs.remove_group(ACCOUNT, GROUP)
    with pytest.raises(LogGroupNotFound):
        read(logs)
    with pytest.raises(LogGroupNotFound):
        logs.remove_group(ACCOUNT, GROUP)
    assert [] == list((tmp_path / "logs").rglob("*.log"))
    put(logs, "new", at=NOW + 1_000)
    (after,) = read(logs)
    assert ("new", True) == (after.message, before.event_id < after.event_id)


@pytest.mark.parametrize("group", ["..", ".", "../../etc", "/", "a/../b", "-", "#", "x" * 512, "/" * 512])
def test_no_name_leads_out_of_the_directory(logs, tmp_path, group):
    put(logs, "x", group=group)
    logs.flush()
    assert ["logs"] == [path.name for path in tmp_path.iterdir()]
    (file,) = (tmp_path / "logs").rglob("*.log")
    assert (tmp_path / "logs") == file.parent.parent.parent
    assert [group] == [found.name for found in logs.groups(ACCOUNT, prefix="")]
    assert ["x"] == messages(read(logs, group=group))


def test_logs_are_private(logs, tmp_path):
    put(logs, "x")
    logs.flush()
    for path in (tmp_path / "logs" / f"n-{ACCOUNT}").rglob("*"):
        assert 0 == path.stat().st_mode & 0o077, path


def test_a_full_disk_raises_nothing_and_is_told_in_the_log(logs, monkeypatch):
    put(logs, "before")
    logs.flush()
    real = os.write

    def full(fd, data):
        real(fd, bytes(data)[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    for _ in range(2):
        put(logs, "lost", "lost too")
        logs.flush()
    with pytest.raises(errors.Unavailable):
        logs.create_stream(ACCOUNT, GROUP, "s", created_at_ms=NOW)
    monkeypatch.undo()
    put(logs, "after", at=NOW + 5)
    assert ["before", "after", "4 log events were lost here."] == messages(read(logs))


def test_writers_and_readers_in_many_threads_lose_nothing(logs, tmp_path):
    logs = LogFiles(tmp_path / "many", region="us-east-1", group_bytes=8 << 20)
    put(logs, "start")

    def work(name):
        for number in range(200):
            put(logs, f"{name} {number}", stream=name, at=NOW + number)
            if number % 50 == 0:
                read(logs, at_most=10)

    threads = [threading.Thread(target=work, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 801 == len({event.event_id for event in read(logs)})


def test_a_ping_says_whether_logs_can_be_kept(logs, tmp_path):
    logs.ping()
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.Unavailable):
        LogFiles(tmp_path / "file" / "logs", region="us-east-1").ping()
