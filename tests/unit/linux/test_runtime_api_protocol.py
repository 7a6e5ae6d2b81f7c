"""What a runtime may say, and when."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.linux import runtime_protocol
from leastwise.linux.runtime_protocol import Refused, RuntimeProtocol, RuntimeState
from leastwise.runtime.interface import Reply, ReplyKind


def running(request_id: str = "one") -> RuntimeProtocol:
    protocol = RuntimeProtocol()
    protocol.ask_next()
    protocol.dispatch(request_id)
    return protocol


def refusal(step) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        step()
    return caught.value.answer.status, json.loads(caught.value.answer.body)["errorType"]


def test_an_invocation_goes_out_and_is_answered_once():
    protocol = running()
    protocol.begin_answer("one", error=False)
    protocol.complete_answer()
    assert RuntimeState.RESPONSE_SENT is protocol.state


def test_a_second_answer_is_refused():
    protocol = running()
    protocol.begin_answer("one", error=False)
    protocol.complete_answer()
    assert (403, "InvalidStateTransition") == refusal(lambda: protocol.begin_answer("one", error=False))


def test_a_response_after_an_error_is_refused():
    protocol = running()
    protocol.begin_answer("one", error=True)
    protocol.complete_answer()
    assert (403, "InvalidStateTransition") == refusal(lambda: protocol.begin_answer("one", error=False))


def test_two_answers_at_the_same_time_are_refused():
    protocol = running()
    protocol.begin_answer("one", error=False)
    assert (403, "InvalidStateTransition") == refusal(lambda: protocol.begin_answer("one", error=True))


def test_another_invocations_id_is_refused_and_the_right_one_still_works():
    protocol = running()
    assert (400, "InvalidRequestID") == refusal(lambda: protocol.begin_answer("two", error=False))
    protocol.begin_answer("one", error=False)


def test_the_id_of_the_last_invocation_does_not_answer_this_one():
    protocol = running("one")
    protocol.begin_answer("one", error=False)
    protocol.complete_answer()
    protocol.ask_next()
    protocol.dispatch("two")
    assert (400, "InvalidRequestID") == refusal(lambda: protocol.begin_answer("one", error=False))


def test_next_is_refused_while_an_invocation_is_not_answered():
    assert (403, "InvalidStateTransition") == refusal(running().ask_next)


def test_next_is_refused_while_another_connection_waits():
    protocol = RuntimeProtocol()
    protocol.ask_next()
    assert (403, "InvalidStateTransition") == refusal(protocol.ask_next)


def test_a_runtime_whose_connection_broke_may_ask_again():
    protocol = RuntimeProtocol()
    protocol.ask_next()
    protocol.stop_asking()
    protocol.ask_next()
    assert RuntimeState.READY is protocol.state


def test_a_broken_body_may_be_sent_again():
    protocol = running()
    protocol.begin_answer("one", error=False)
    protocol.abandon_answer()
    protocol.begin_answer("one", error=True)
    assert RuntimeState.RECEIVING_ERROR is protocol.state


def test_an_init_error_is_refused_once_the_runtime_has_started():
    protocol = RuntimeProtocol()
    protocol.ask_next()
    assert (403, "InvalidStateTransition") == refusal(protocol.fail_init)


def test_nothing_follows_an_init_error():
    protocol = RuntimeProtocol()
    protocol.fail_init()
    assert (403, "InvalidStateTransition") == refusal(protocol.ask_next)
    assert (403, "InvalidStateTransition") == refusal(protocol.fail_init)
    assert (403, "InvalidStateTransition") == refusal(lambda: protocol.begin_answer("one", error=False))


def test_the_refusal_has_the_words_of_aws():
    protocol = running()
    with pytest.raises(Refused) as caught:
        protocol.ask_next()
    assert {
        "errorMessage": "State transition from Running to Ready failed for runtime. "
        "Error: State transition is not allowed",
        "errorType": "InvalidStateTransition",
    } == json.loads(caught.value.answer.body)


STEPS = {
    "next": lambda p: p.ask_next(),
    "gone": lambda p: p.stop_asking(),
    "response": lambda p: p.begin_answer("one", error=False),
    "error": lambda p: p.begin_answer("one", error=True),
    "other": lambda p: p.begin_answer("two", error=False),
    "abandon": lambda p: p.abandon_answer(),
    "init/error": lambda p: p.fail_init(),
}


@given(st.lists(st.sampled_from([*STEPS, "dispatch", "complete"]), max_size=30))
def test_no_order_of_steps_answers_one_invocation_twice(steps):
    protocol = RuntimeProtocol()
    dispatched = answered = 0
    for step in steps:
        if step == "dispatch":
            # The gateway's own steps come only when they are due.
            if protocol.state is RuntimeState.READY:
                protocol.dispatch("one")
                dispatched += 1
        elif step == "complete":
            if protocol.state in {RuntimeState.RECEIVING_RESPONSE, RuntimeState.RECEIVING_ERROR}:
                protocol.complete_answer()
                answered += 1
        else:
            with contextlib.suppress(Refused):
                STEPS[step](protocol)
    assert dispatched - answered in {0, 1}


@pytest.mark.parametrize(
    ("claimed", "expected"),
    [
        (b"Runtime.ImportModuleError", "Runtime.ImportModuleError"),
        (b"Function.Oops", "Function.Oops"),
        (b"Runtime.lower", "Runtime.Unknown"),
        (b"Runtime.With\r\nHeader: x", "Runtime.Unknown"),
        (b"KeyError", "Function.Unknown"),
        (b"Function." + b"A" * 5000, "Function.Unknown"),
        (b"", "Function.Unknown"),
        (None, "Function.Unknown"),
        (b"Runtime.Ok\xff", "Runtime.Unknown"),
    ],
)
def test_error_types_that_are_not_in_form_become_unknown(claimed, expected):
    assert expected == runtime_protocol.error_type(claimed)


def test_an_error_cause_document_is_reduced_to_its_public_members():
    body = json.dumps(
        {"errorMessage": "m", "errorType": "T", "stackTrace": [], "cause": {"paths": ["/secret"]}}
    ).encode()
    payload = runtime_protocol.error_payload(
        body, content_type=b"application/vnd.aws.lambda.error.cause+json; charset=utf-8", claimed_type=None
    )
    assert {"errorMessage": "m", "errorType": "T", "stackTrace": []} == json.loads(payload)


@pytest.mark.parametrize("body", [b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_a_broken_error_cause_document_says_so(body):
    cause = runtime_protocol.CAUSE_CONTENT_TYPE
    assert b'"Invalid error body"' == runtime_protocol.error_payload(body, content_type=cause, claimed_type=None)


def test_a_plain_error_body_is_passed_on_unchanged():
    body = b'{"errorType": "E", "errorMessage": "m"}'
    assert body == runtime_protocol.error_payload(body, content_type=b"application/json", claimed_type=None)


def test_a_stream_that_broke_is_an_error_with_the_trailers_body():
    detail = b'{"errorType":"Runtime.StreamError","errorMessage":"m"}'
    trailers = {
        b"lambda-runtime-function-error-type": b"Runtime.StreamError",
        b"lambda-runtime-function-error-body": base64.b64encode(detail),
    }
    assert Reply(kind=ReplyKind.ERROR, payload=detail) == runtime_protocol.reply_from_response(b"half", trailers)


def test_trailers_that_are_not_base64_still_end_in_an_error():
    trailers = {
        b"lambda-runtime-function-error-type": b"Runtime.StreamError",
        b"lambda-runtime-function-error-body": b"***",
    }
    reply = runtime_protocol.reply_from_response(b"half", trailers)
    assert Reply(kind=ReplyKind.ERROR, payload=b'{"errorType":"Runtime.StreamError"}') == reply


@pytest.mark.parametrize(
    ("mode", "allowed"), [(None, True), (b"streaming", True), (b"Streaming", True), (b"", False), (b"chunky", False)]
)
def test_only_the_known_response_modes_are_taken(mode, allowed):
    if allowed:
        runtime_protocol.check_response_mode(mode)
    else:
        assert (400, "InvalidFunctionResponseMode") == refusal(lambda: runtime_protocol.check_response_mode(mode))


def test_every_state_refuses_something():
    """No state is a free for all."""
    for state, step in itertools.product(RuntimeState, ["next", "init/error"]):
        protocol = RuntimeProtocol()
        protocol.state = state
        allowed = {"next": {"Started", "RuntimeResponseSentState"}, "init/error": {"Started"}}[step]
        if state.value not in allowed:
            assert (403, "InvalidStateTransition") == refusal(lambda step=step, p=protocol: STEPS[step](p))
