"""Strangers cannot fill the trail, and what they tried is counted."""

from hypothesis import given
from hypothesis import strategies as st

from leastwise.flows.strangers import BURST, PER_SECOND, StrangersShare


def test_a_burst_is_written_down_and_what_comes_behind_it_is_counted():
    share = StrangersShare(now_ms=0)
    assert [share.admit(now_ms=0) for _ in range(BURST + 3)] == [True] * BURST + [False] * 3
    assert share.take_unrecorded() == 3
    assert share.take_unrecorded() == 0


def test_the_share_grows_again_with_time_and_never_past_the_burst():
    share = StrangersShare(now_ms=0)
    for _ in range(BURST):
        share.admit(now_ms=0)
    assert [share.admit(now_ms=1000) for _ in range(PER_SECOND + 1)] == [True] * PER_SECOND + [False]
    assert sum(share.admit(now_ms=10**9) for _ in range(2 * BURST)) == BURST


@given(st.lists(st.integers(0, 10_000), max_size=50))
def test_a_clock_that_jumps_never_gives_more_than_time_passed(moments):
    share = StrangersShare(now_ms=0)
    admitted = sum(share.admit(now_ms=moment) for moment in moments)
    assert admitted + share.unrecorded == len(moments)
