"""One suite for every `audit.interface.SegmentStore`: files are the only one."""

from __future__ import annotations

import errno
import os

import pytest

from leastwise.audit.interface import Segment, TornSegment, TrailUnavailable
from leastwise.storage.trail_file import TrailFiles


@pytest.fixture
def store(tmp_path):
    store = TrailFiles(tmp_path / "trail")
    store.open()
    yield store
    store.close()


def test_lines_come_back_with_their_newlines_and_a_torn_one_without(store):
    store.create(1, b"first\n")
    store.write(b"second\nthi")
    assert list(store.lines(1)) == [b"first\n", b"second\n", b"thi"]
    assert (Segment(number=1, size=16),) == store.segments()


def test_a_segment_is_never_created_over_another(store):
    store.create(1, b"first\n")
    with pytest.raises(FileExistsError):
        store.create(1, b"other\n")
    assert list(store.lines(1)) == [b"first\n"]


def test_writing_goes_on_in_the_newest_segment(store):
    store.create(1, b"a\n")
    store.create(2, b"b\n")
    store.write(b"c\n")
    assert [list(store.lines(number)) for number in (1, 2)] == [[b"a\n"], [b"b\n", b"c\n"]]


def test_a_cut_keeps_the_rest_aside(store, tmp_path):
    store.create(1, b"good\nbad")
    store.cut(1, 5)
    store.resume(1)
    store.write(b"more\n")
    assert list(store.lines(1)) == [b"good\n", b"more\n"]
    assert (tmp_path / "trail" / "00000001.cut-5").read_bytes() == b"bad"


def test_an_unfinished_segment_is_no_segment(store, tmp_path):
    (tmp_path / "trail" / "00000001.new").write_bytes(b"half a head")
    assert store.segments() == ()
    store.create(1, b"whole\n")
    assert list(store.lines(1)) == [b"whole\n"]


def test_a_write_that_fails_in_the_middle_leaves_nothing(store, monkeypatch):
    store.create(1, b"first\n")
    real, calls = os.write, []

    def short_then_full(fd, data):
        calls.append(bytes(data))
        if len(calls) == 1:
            return real(fd, bytes(data)[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", short_then_full)
    with pytest.raises(OSError, match="No space left"):
        store.write(b"second\n")
    monkeypatch.undo()
    store.write(b"third\n")
    assert list(store.lines(1)) == [b"first\n", b"third\n"]


def test_a_write_that_cannot_be_taken_back_is_the_last_one(store, monkeypatch):
    store.create(1, b"first\n")

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "write", fail)
    monkeypatch.setattr(os, "ftruncate", fail)
    with pytest.raises(TornSegment):
        store.write(b"second\n")
    monkeypatch.undo()
    with pytest.raises(TornSegment):
        store.write(b"third\n")


def test_there_is_one_writer(store, tmp_path):
    with pytest.raises(TrailUnavailable):
        TrailFiles(tmp_path / "trail").open()
    store.close()
    second = TrailFiles(tmp_path / "trail")
    second.open()
    second.close()


def test_a_symbolic_link_is_not_written_through(store, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"keep")
    (tmp_path / "trail" / "00000001.new").symlink_to(victim)
    with pytest.raises(OSError):
        store.create(1, b"x\n")
    assert victim.read_bytes() == b"keep"
