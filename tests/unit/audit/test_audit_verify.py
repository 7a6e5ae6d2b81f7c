"""No change to the log stays unseen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leastwise.audit.chain import Header, frame, frame_header, genesis, link, read_header
from leastwise.audit.interface import Head
from leastwise.audit.verify import MOST_DOUBTS, verify

INSTALLATION = "installation-1"


def build(counts=(4, 3, 5), installation=INSTALLATION):
    """Segments with so many records each, as lists of lines; and every record's digest."""
    segments, digests = [], []
    digest, sequence = genesis(installation), 0
    for number, count in enumerate(counts, start=1):
        header = Header(installation_id=installation, number=number, first_sequence=sequence, previous=digest)
        lines = [frame_header(header)]
        for _ in range(count):
            payload = b'{"n":%d}' % sequence
            digest = link(digest, payload)
            lines.append(frame(sequence, digest, payload))
            digests.append(digest.hex())
            sequence += 1
        segments.append(lines)
    return segments, digests


def judge(segments, heads=(), **options):
    numbered = enumerate(segments, start=1)
    return verify(((number, iter(lines)) for number, lines in numbered), heads=heads, **options)


def head_at(digests, sequence):
    return Head(sequence=sequence, digest=digests[sequence], at_ms=0)


def resplit(data):
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + ([last] if (last := data.split(b"\n")[-1]) else [])


def test_an_untouched_log_is_sound():
    segments, digests = build()
    verdict = judge(segments, [head_at(digests, 2), head_at(digests, 11)], installation_id=INSTALLATION)
    assert (True, 12, digests[-1], ()) == (verdict.sound, verdict.entries, verdict.head, verdict.doubts)


def test_no_log_is_not_sound():
    assert not judge([]).sound


def test_a_log_without_records_is_not_sound():
    assert not judge(build((0,))[0]).sound


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_every_flipped_bit_is_found(data):
    segments, digests = build((3, 2))
    which = data.draw(st.integers(0, 1))
    whole = bytearray(b"".join(segments[which]))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    segments[which] = resplit(bytes(whole))
    verdict = judge(segments, [head_at(digests, 4)], installation_id=INSTALLATION)
    assert not verdict.sound


def test_every_single_byte_replaced_is_found():
    for which in range(2):
        pristine, digests = build((2, 2))
        whole = b"".join(pristine[which])
        for at in range(len(whole)):
            segments = list(pristine)
            changed = whole[:at] + (b"x" if whole[at : at + 1] != b"x" else b"y") + whole[at + 1 :]
            segments[which] = resplit(changed)
            assert not judge(segments, [head_at(digests, 3)]).sound, (which, at)


def test_a_deleted_record_is_one_doubt():
    segments, _ = build()
    del segments[1][2]
    verdict = judge(segments)
    assert [(5, "records 5 to 5 are missing")] == [(doubt.sequence, doubt.problem) for doubt in verdict.doubts]


def test_an_altered_payload_is_one_doubt():
    segments, _ = build()
    segments[0][2] = segments[0][2].replace(b'"n"', b'"m"')
    assert [1] == [doubt.sequence for doubt in judge(segments).doubts]


def test_an_altered_record_with_a_recomputed_digest_is_found_at_the_next_one():
    segments, _ = build((3,))
    payload = b'{"n":999}'
    before = bytes.fromhex(segments[0][1].split(b" ")[1].decode())
    segments[0][2] = frame(1, link(before, payload), payload)
    assert [2] == [doubt.sequence for doubt in judge(segments).doubts]


def test_an_inserted_record_is_found():
    segments, _ = build()
    segments[0].insert(2, frame(1, b"\0" * 32, b'{"n":1}'))
    assert not judge(segments).sound


def test_a_duplicated_record_is_found():
    segments, _ = build()
    segments[0].insert(2, segments[0][1])
    assert not judge(segments).sound


def test_swapped_records_are_found():
    segments, _ = build()
    segments[0][1], segments[0][2] = segments[0][2], segments[0][1]
    assert not judge(segments).sound


def test_a_cut_off_beginning_is_found():
    segments, _ = build()
    del segments[0][1:3]
    assert not judge(segments).sound


def test_a_cut_off_end_is_found_by_the_head():
    segments, digests = build()
    heads = [head_at(digests, 11)]
    del segments[2][4:]
    verdict = judge(segments, heads)
    assert ["the end is cut off: record 11 is known, the log ends with record 9"] == [
        doubt.problem for doubt in verdict.doubts
    ]


def test_a_cut_off_end_is_found_by_what_usage_was_counted_up_to():
    segments, _ = build()
    assert (True, False) == (judge(segments, counted_up_to=11).sound, judge(segments, counted_up_to=12).sound)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_removed_segment_is_found(missing):
    segments, digests = build()
    numbered = [pair for pair in enumerate(segments, start=1) if pair[0] != missing + 1]
    assert not verify(numbered, heads=[head_at(digests, 11)]).sound


def test_a_removed_segment_is_found_when_the_others_are_renumbered():
    segments, digests = build()
    del segments[1]
    assert not judge(segments, [head_at(digests, 11)]).sound


def test_an_old_backup_is_found_by_the_head():
    segments, digests = build((4, 3))
    later, later_digests = build((4, 3, 5))
    assert judge(segments, [head_at(digests, 6)]).sound
    assert not judge(segments, [head_at(later_digests, 11)]).sound


def test_a_log_rewritten_from_the_start_is_found_by_the_head():
    segments, digests = build()
    rewritten = [[line.replace(b'"n"', b'"m"') for line in lines] for lines in segments]
    digest, out = genesis(INSTALLATION), []
    sequence = 0
    for number, lines in enumerate(rewritten, start=1):
        fresh = [
            frame_header(Header(installation_id=INSTALLATION, number=number, first_sequence=sequence, previous=digest))
        ]
        for line in lines[1:]:
            payload = line.rstrip(b"\n").split(b" ", 2)[2]
            digest = link(digest, payload)
            fresh.append(frame(sequence, digest, payload))
            sequence += 1
        out.append(fresh)
    assert judge(out).sound
    verdict = judge(out, [head_at(digests, 5)])
    assert [5] == [doubt.sequence for doubt in verdict.doubts]


def test_the_log_of_another_installation_is_found():
    segments, _ = build(installation="someone-else")
    assert (True, False) == (judge(segments).sound, judge(segments, installation_id=INSTALLATION).sound)


def test_a_torn_last_record_is_told_and_is_no_doubt():
    segments, _ = build((3,))
    segments[0].append(b'3 00ff {"half')
    verdict = judge(segments)
    assert (True, 13, 3) == (verdict.sound, verdict.torn_tail_bytes, verdict.entries)


def test_a_record_torn_in_the_middle_of_the_log_is_a_doubt():
    segments, _ = build((3, 2))
    segments[0][3] = segments[0][3][:-5]
    assert not judge(segments).sound


def test_a_log_that_is_wrong_everywhere_has_a_short_report():
    segments, _ = build((500,))
    segments[0][1:] = [b"rubbish\n"] * 500
    assert MOST_DOUBTS == len(judge(segments).doubts)


def test_progress_ends_at_the_whole():
    segments, _ = build()
    total = sum(len(line) for lines in segments for line in lines)
    seen = []
    judge(segments, total_bytes=total, progress=lambda done, whole: seen.append((done, whole)))
    assert (total, total) == seen[-1]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"leastwise-trail/1 x 1 0\n",
        b"leastwise-trail/1 x 01 0 " + b"0" * 64 + b"\n",
        b"leastwise-trail/1 x 1 0 " + b"A" * 64 + b"\n",
        b"leastwise-trail/2 x 1 0 " + b"0" * 64 + b"\n",
        b"leastwise-trail/1 x 1 0 " + b"0" * 64,
        b"leastwise-trail/1 x -1 0 " + b"0" * 64 + b"\n",
    ],
)
def test_only_the_exact_form_is_a_header(line):
    assert read_header(line) is None
