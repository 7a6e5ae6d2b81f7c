"""The fast lane of Invoke says what the model says, or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leastwise.api.canonical import normalized_path
from leastwise.api.invoke_lane import is_invoke, read_invoke, write_invoke
from leastwise.api.protocol import models
from leastwise.api.protocol.wire import UnknownOperation, WireRequest
from leastwise.kernel.errors import Bug, LeastwiseError

HEAD, TAIL = b"/2015-03-31/functions/", b"/invocations"


def by_the_model(path, query, headers, body):
    """Parameters and the problem with them, as the slow lane finds them."""
    service = models.service("lambda")
    joined = {}
    for name, value in headers:
        joined[name] = joined[name] + b", " + value if name in joined else value
    request = WireRequest(method="POST", path=normalized_path(path), query=query, headers=joined, body=body)
    routed = service.route(request)
    assert "Invoke" == routed.operation
    plan = service.plan("Invoke")
    params = plan.parse(request, routed)
    plan.check(params)
    assert routed.problem is None
    return params


NAMES = st.one_of(
    st.from_regex(rb"[A-Za-z0-9_-]{1,70}", fullmatch=True),
    st.sampled_from(
        [b"a:PROD", b"a%3APROD", b"arn:aws:lambda:eu-west-1:111122223333:function:f", b"..", b".", b"", b"a/b"]
    ),
    st.binary(min_size=1, max_size=6).filter(lambda raw: raw.isascii() and raw.isalnum()),
)
QUERIES = st.one_of(
    st.just(b""),
    st.from_regex(rb"Qualifier=[A-Za-z0-9$_-]{0,130}", fullmatch=True),
    st.sampled_from(
        [
            b"Qualifier=%24LATEST",
            b"Qualifier=$LATEST",
            b"Qualifier=a&Qualifier=b",
            b"x=y",
            b"Qualifier",
            b"Qualifier=%zz",
        ]
    ),
)
HEADERS = st.lists(
    st.one_of(
        st.tuples(
            st.just(b"x-amz-invocation-type"), st.sampled_from([b"RequestResponse", b"Event", b"DryRun", b"event", b""])
        ),
        st.tuples(st.just(b"x-amz-log-type"), st.sampled_from([b"None", b"Tail", b"tail"])),
        st.tuples(st.just(b"x-amz-client-context"), st.sampled_from([b"e30=", b"", b"\xff", b"a b"])),
        st.tuples(st.just(b"x-amz-tenant-id"), st.sampled_from([b"t1", b""])),
        st.tuples(st.just(b"x-amz-durable-execution-name"), st.sampled_from([b"d1"])),
        st.tuples(st.just(b"content-type"), st.sampled_from([b"application/json"])),
    ),
    max_size=5,
)


@settings(max_examples=1500, deadline=None)
@given(name=NAMES, query=QUERIES, headers=HEADERS, body=st.sampled_from([b"", b"{}", b"\xff"]))
def test_whatever_the_fast_lane_reads_the_model_reads_alike(name, query, headers, body):
    path = HEAD + name + TAIL
    fast = read_invoke(path, query, headers, body)
    if fast is not None:
        assert by_the_model(path, query, headers, body) == fast


@pytest.mark.parametrize("query", [b"", b"Qualifier=PROD", b"Qualifier=%24LATEST"])
@pytest.mark.parametrize("kind", [None, b"RequestResponse", b"Event", b"DryRun"])
def test_ordinary_calls_do_take_the_fast_lane(query, kind):
    headers = [(b"host", b"h"), (b"x-amz-log-type", b"Tail"), (b"x-amz-client-context", b"e30=")]
    if kind is not None:
        headers.append((b"x-amz-invocation-type", kind))
    path = HEAD + b"my-function_1" + TAIL
    fast = read_invoke(path, query, headers, b"{}")
    assert fast is not None
    assert by_the_model(path, query, headers, b"{}") == fast


@pytest.mark.parametrize(
    ("name", "query", "headers"),
    [
        (b"a" * 65, b"", []),
        (b"a.b", b"", []),
        (b"a", b"Qualifier=", []),
        (b"a", b"Qualifier=a&Qualifier=b", []),
        (b"a", b"", [(b"x-amz-invocation-type", b"event")]),
        (b"a", b"", [(b"x-amz-log-type", b"?")]),
        (b"a", b"", [(b"x-amz-tenant-id", b"t")]),
        (b"a", b"", [(b"x-amz-client-context", b"\xff")]),
        (b"a", b"", [(b"x-amz-log-type", b"Tail"), (b"x-amz-log-type", b"None")]),
    ],
)
def test_anything_unusual_is_left_to_the_model(name, query, headers):
    assert read_invoke(HEAD + name + TAIL, query, headers, b"") is None


def test_only_posts_to_invocations_are_invokes():
    assert is_invoke("POST", HEAD + b"f" + TAIL)
    assert not is_invoke("GET", HEAD + b"f" + TAIL)
    assert not is_invoke("POST", b"/2014-11-13/functions/f/invoke-async/")


def test_a_path_that_only_looks_like_an_invoke_is_left_to_the_model():
    for name in (b"", b"a/b", b"..", b"%2e%2e"):
        assert read_invoke(HEAD + name + TAIL, b"", [], b"") is None
    with pytest.raises((UnknownOperation, LeastwiseError)):
        by_the_model(HEAD + TAIL, b"", [], b"")


def test_a_result_cannot_split_the_response():
    with pytest.raises(Bug):
        write_invoke({"StatusCode": 200, "FunctionError": "x\r\nset-cookie: a", "Payload": b""})
