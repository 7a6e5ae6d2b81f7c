"""The pieces of the Python runtime that need no sandbox."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.guest import python_context, python_errors, python_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(value=JSON)
def test_json_survives(value: object) -> None:
    for ascii_only in (True, False):
        try:
            text = python_json.encode(value, ascii_only=ascii_only)
        except UnicodeEncodeError:
            assert not ascii_only
        else:
            assert value == json.loads(text)


def test_numbers_are_written_as_the_official_runtime_writes_them() -> None:
    value = {"a": Decimal("1.10"), "b": [Decimal(3), Decimal("NaN")], "c": float("inf")}
    assert b'{"a": 1.10, "b": [3, NaN], "c": Infinity}' == python_json.encode(value, ascii_only=True)


def test_text_beyond_ascii_is_escaped_or_kept() -> None:
    assert b'"\\u00e9"' == python_json.encode("é", ascii_only=True)
    assert '"é"'.encode() == python_json.encode("é", ascii_only=False)


def test_what_json_has_no_form_for_is_named() -> None:
    with pytest.raises(TypeError, match="Object of type set is not JSON serializable"):
        python_json.encode({1}, ascii_only=True)


def test_the_context_is_filled_from_the_client_context() -> None:
    text = json.dumps({"custom": {"a": 1}, "env": {"b": "c"}, "client": {"app_title": "t"}})
    context = python_context.make_context("id", 0, "arn", text)
    assert context.client_context is not None
    assert {"a": 1} == context.client_context.custom
    assert ("t", None) == (context.client_context.client.app_title, context.client_context.client.installation_id)
    assert 0 == context.get_remaining_time_in_millis()


def test_a_client_context_that_is_no_json_is_a_fault() -> None:
    with pytest.raises(python_errors.Fault) as fault:
        python_context.make_context("id", 0, "arn", "{")
    assert "Runtime.LambdaContextUnmarshalError" == fault.value.kind


def test_a_handler_is_found_in_nested_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outer_for_test").mkdir()
    (tmp_path / "outer_for_test" / "inner.py").write_text("def f(): return 7")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert 7 == python_errors.find_handler("outer_for_test/inner.f")()
    sys.modules.pop("outer_for_test.inner")


def test_an_error_shows_no_frame_of_the_runtime() -> None:
    code = compile("def handler():\n    raise KeyError('x')", "/var/task/app.py", "exec")
    runtime = compile("def call(handler):\n    handler()", "/var/guest/leastwise/guest/python_bootstrap.py", "exec")
    names: dict[str, object] = {}
    exec(code, names)
    exec(runtime, names)
    try:
        names["call"](names["handler"])  # type: ignore[operator]
    except KeyError:
        trace = sys.exc_info()
    payload = python_errors.describe((trace[0], trace[1], trace[2].tb_next), "id")  # type: ignore[union-attr]
    assert ["errorMessage", "errorType", "requestId", "stackTrace"] == list(payload)
    assert ['  File "/var/task/app.py", line 2, in handler\n'] == payload["stackTrace"]
    assert ("'x'", "KeyError", "id") == (payload["errorMessage"], payload["errorType"], payload["requestId"])


def test_an_exception_whose_text_fails_is_told_with_an_empty_one() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    try:
        raise Broken
    except Broken:
        payload = python_errors.describe(sys.exc_info(), "id")
    assert ("", "Broken") == (payload["errorMessage"], payload["errorType"])
