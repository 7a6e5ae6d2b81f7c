"""The pure rules of the runtime."""

import json

import pytest

from leastwise.runtime import payloads
from leastwise.runtime.admission import Load, refusal
from leastwise.runtime.interface import CrashReason, EnvironmentCrashed
from leastwise.runtime.retries import Again, Condition, Ending, Finished, GivenUp, decide_next
from leastwise.runtime.scaling import Idle, Keeping, choose_retirements


def load(**changes):
    facts = {
        "account_limit": 10,
        "account_reserved": 4,
        "account_unreserved_running": 0,
        "function_reserved": None,
        "function_running": 0,
        "memory_short": False,
        "idle_environments": 0,
    }
    return Load(**{**facts, **changes})


@pytest.mark.parametrize(
    ("facts", "want"),
    [
        ({}, None),
        ({"account_unreserved_running": 5}, None),
        ({"account_unreserved_running": 6}, "ConcurrentInvocationLimitExceeded"),
        ({"function_reserved": 0}, "ReservedFunctionConcurrentInvocationLimitExceeded"),
        ({"function_reserved": 4, "function_running": 3, "account_unreserved_running": 6}, None),
        ({"function_reserved": 4, "function_running": 4}, "ReservedFunctionConcurrentInvocationLimitExceeded"),
        ({"memory_short": True}, "ConcurrentInvocationLimitExceeded"),
        ({"memory_short": True, "idle_environments": 1}, None),
    ],
)
def test_an_invocation_is_refused_only_at_a_limit(facts, want):
    assert refusal(load(**facts)) == want


def idle(name, *, born=0, since=0, memory=128):
    return Idle(environment_id=name, born_ms=born, idle_since_ms=since, memory_mib=memory)


KEEPING = Keeping(idle_ms=100, age_ms=1000, least_free_mib=512)


def test_environments_idle_too_long_or_too_old_are_retired():
    found = choose_retirements(
        [idle("fresh", born=900, since=990), idle("idle", born=900, since=900), idle("old", born=0, since=999)],
        now_ms=1000,
        free_mib=4096,
        keeping=KEEPING,
    )
    assert set(found) == {"idle", "old"}


def test_memory_pressure_retires_the_longest_idle_first_and_no_more_than_needed():
    found = choose_retirements(
        [idle("a", since=3), idle("b", since=1), idle("c", since=2)], now_ms=4, free_mib=300, keeping=KEEPING
    )
    assert found == ("b", "c")


def attempt(ending, *, errors=0, refusals=0, now_ms=0, reserved=None):
    return decide_next(
        ending, errors=errors, refusals=refusals, accepted_at_ms=0, now_ms=now_ms, reserved_concurrency=reserved
    )


def test_a_function_error_is_tried_again_after_one_and_two_minutes_and_then_given_up():
    assert [attempt(Ending.FUNCTION_ERROR, errors=count) for count in (1, 2, 3)] == [
        Again(due_at_ms=60_000),
        Again(due_at_ms=120_000),
        GivenUp(condition=Condition.RETRIES_EXHAUSTED),
    ]


def test_a_refusal_backs_off_to_five_minutes_and_is_given_up_after_six_hours():
    assert [attempt(Ending.REFUSED, refusals=count) for count in (1, 2, 9, 60)] == [
        Again(due_at_ms=1000),
        Again(due_at_ms=2000),
        Again(due_at_ms=256_000),
        Again(due_at_ms=300_000),
    ]
    assert attempt(Ending.REFUSED, refusals=9, now_ms=6 * 3_600_000) == GivenUp(condition=Condition.EVENT_AGE_EXCEEDED)


def test_zero_reserved_concurrency_gives_an_event_up_at_once():
    assert attempt(Ending.REFUSED, refusals=1, reserved=0) == GivenUp(condition=Condition.ZERO_RESERVED_CONCURRENCY)


def test_a_finished_event_is_over():
    assert attempt(Ending.DONE) == Finished()


def test_error_payloads_are_the_ones_recorded_on_aws():
    assert payloads.timed_out("ID", 1000) == (
        b'{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: ID Error: Task timed out after 1.00 seconds"}'
    )
    assert json.loads(payloads.response_too_large()) == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


@pytest.mark.parametrize(
    ("reason", "status", "want"),
    [
        (CrashReason.EXIT, 0, "Runtime exited without providing a reason"),
        (CrashReason.EXIT, 127, "Runtime exited with error: exit status 127"),
        (CrashReason.SIGNAL, 9, "Runtime exited with error: signal: killed"),
        (CrashReason.SIGNAL, 11, "Runtime exited with error: signal: segmentation fault"),
        (CrashReason.OUT_OF_MEMORY, 9, "Runtime exited with error: signal: killed"),
        (CrashReason.SIGNAL, 4711, "Runtime exited with error: signal: 4711"),
    ],
)
def test_a_crash_is_told_in_lambdas_words(reason, status, want):
    assert payloads.exited("ID", EnvironmentCrashed(reason, status)) == (
        f'{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: ID Error: {want}"}}'.encode()
    )
