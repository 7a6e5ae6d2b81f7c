"""One record by its id: the newest, the account's own, and not from the beginning of time."""

import json

from leastwise.audit import finding
from leastwise.audit.chain import frame
from leastwise.audit.finding import find_record, recent
from leastwise.audit.interface import Segment


def line(sequence, request_id, account="1", event_id="e", **more):
    record = {"requestID": request_id, "eventID": event_id, "recipientAccountId": account, **more}
    return frame(sequence, bytes(32), json.dumps(record).encode())


def log(*segments):
    numbered = dict(enumerate(segments, 1))
    return [Segment(number=number, size=10) for number in numbered], lambda number: iter(numbered[number])


def find(wanted, *segments, account="1"):
    found, lines = log(*segments)
    return find_record(wanted, found, lines, account_id=account)


def test_a_record_is_found_by_its_request_id_and_by_its_event_id():
    lines = [line(0, "a"), line(1, "b", event_id="x")]
    assert "b" == find("b", lines)["requestID"]
    assert "b" == find("x", lines)["requestID"]


def test_the_record_of_another_account_is_not_found():
    assert find("a", [line(0, "a", account="2")]) is None
    assert "1" == find("a", [line(0, "a"), line(1, "a", account="2")])["recipientAccountId"]


def test_an_id_that_only_stands_somewhere_in_a_record_finds_nothing():
    assert find("a", [line(0, "b", userAgent="a")]) is None


def test_a_line_that_is_not_whole_or_not_a_record_is_passed_over():
    assert find("a", [b'0 x "a"\n', line(1, "a")[:-1]]) is None


def test_newer_segments_are_searched_first():
    older, newer = [line(0, "a", mark="old")], [line(1, "a", mark="new")]
    assert "new" == find("a", older, newer)["mark"]


def test_the_search_ends_at_its_limit_but_reads_the_newest_segment_always():
    size = finding.MOST_BYTES
    segments = [Segment(number=number, size=size) for number in (1, 2, 3)]
    assert [3] == list(recent(segments))
    assert [3, 2, 1] == list(recent([Segment(number=number, size=1) for number in (1, 2, 3)]))
