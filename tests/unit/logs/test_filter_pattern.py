"""CloudWatch Logs filter patterns."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leastwise.logs.filter_pattern import compile_pattern
from leastwise.logs.interface import InvalidLogsParameter

EVENT = json.dumps(
    {
        "level": "ERROR",
        "n": 5,
        "ratio": 1.5,
        "ok": True,
        "no": False,
        "nothing": None,
        "user": {"name": "ann", "roles": ["admin", "dev"], "a-b": "dashed"},
        "items": [{"id": 1}, {"id": 7}],
        "path": "/var/task/x.py",
    }
)


@pytest.mark.parametrize(
    ("pattern", "message", "wanted"),
    [
        ("", "anything", True),
        ("ERROR", "[ERROR] it broke", True),
        ("ERROR", "[error] it broke", False),
        ("ERROR broke", "broke: ERROR", True),
        ("ERROR broke", "ERROR", False),
        ('"it broke"', "and it broke.", True),
        ('"it broke"', "broke it", False),
        ('"say \\"x\\""', 'say "x"', True),
        ("?ERROR ?WARN", "WARN", True),
        ("?ERROR ?WARN", "INFO", False),
        ("?ERROR WARN", "WARN", True),
        ("?ERROR WARN", "ERROR", False),
        ("ERROR -timeout", "ERROR timeout", False),
        ("ERROR -timeout", "ERROR", True),
        ('-"a b"', "a b", False),
        ("-x", "y", True),
        ("ERROR   \t WARN", "WARN ERROR", True),
        ("größe", "die größe", True),
    ],
)
def test_terms(pattern, message, wanted):
    assert wanted is compile_pattern(pattern)(message)


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ('{ $.level = "ERROR" }', True),
        ("{ $.level = ERROR }", True),
        ('{ $.level = "error" }', False),
        ('{ $.level != "INFO" }', True),
        ('{ $.missing != "INFO" }', False),
        ("{ $.n = 5 }", True),
        ("{ $.n = 5.0 }", True),
        ("{ $.n > 3 }", True),
        ("{ $.n < 3 }", False),
        ("{ $.n >= 5 && $.n <= 5 }", True),
        ("{ $.ratio = 15e-1 }", True),
        ("{ $.ok = 1 }", False),
        ('{ $.n = "5" }', False),
        ('{ $.user.name = "a*" }', True),
        ('{ $.user.name = "*n" }', True),
        ('{ $.path = "/var/*/x*py" }', True),
        ('{ $.path = "*b*" }', False),
        ('{ $.user["name"] = "ann" }', True),
        ('{ $.user.a-b = "dashed" }', True),
        ('{ $.user.roles[1] = "dev" }', True),
        ('{ $.user.roles[2] = "dev" }', False),
        ('{ $.user.roles[*] = "dev" }', True),
        ("{ $.items[*].id = 7 }", True),
        ("{ $.items[*].id = 8 }", False),
        ("{ $.ok IS TRUE }", True),
        ("{ $.no is false }", True),
        ("{ $.nothing IS NULL }", True),
        ("{ $.missing IS NULL }", False),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.nothing NOT EXISTS }", False),
        ('{ $.n = 1 || $.n = 5 && $.level = "ERROR" }', True),
        ('{ ($.n = 1 || $.n = 5) && $.level = "INFO" }', False),
        ("{$.n=5&&($.ok IS TRUE)}", True),
    ],
)
def test_json(pattern, wanted):
    assert wanted is compile_pattern(pattern)(EVENT)


@pytest.mark.parametrize("message", ["plain text", "[1]", "3", '"x"', "", "{", "[" * 100_000, '{"level":"\ud800"}'])
def test_json_patterns_pass_over_other_messages(message):
    assert not compile_pattern('{ $.level = "ERROR" }')(message)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("foo-bar", "Invalid filter pattern: Invalid character(s) in term 'foo-bar'"),
        ("?", "Invalid filter pattern: Invalid character(s) in term '?'"),
        ('""', "Invalid filter pattern: Invalid character(s) in term '\"\"'"),
        ('"open', "Invalid filter pattern: Invalid character(s) in term '\"open'"),
        ('"a"b', "Invalid filter pattern: Invalid character(s) in term '\"a\"'"),
        ("%x+%", "Invalid filter pattern: regular expressions are not supported here."),
        ("[a, b]", "Invalid filter pattern: space-delimited patterns are not supported here."),
        ("{ $.a = 1", "If a filter pattern starts with '{' it must end with '}'"),
        ("{ }", "Invalid filter pattern"),
        ("{ $.a }", "Invalid filter pattern"),
        ("{ $.a = }", "Invalid filter pattern"),
        ("{ a = 1 }", "Invalid filter pattern"),
        ("{ $.a == 1 }", "Invalid filter pattern"),
        ('{ $.a < "x" }', "Invalid filter pattern"),
        ("{ $.a = 1 && }", "Invalid filter pattern"),
        ("{ $.a = 1 $.b = 2 }", "Invalid filter pattern"),
        ("{ ($.a = 1 }", "Invalid filter pattern"),
        ("{ $.a IS MAYBE }", "Invalid filter pattern"),
        ("{ " + "(" * 400 + "$.a = 1" + ")" * 400 + " }", "Invalid filter pattern"),
    ],
)
def test_malformed_patterns_are_refused_in_words(pattern, message):
    with pytest.raises(InvalidLogsParameter) as refusal:
        compile_pattern(pattern)
    assert message == refusal.value.message


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}[]()$.=<>!&|?-*"\\ ab1%', max_size=40), st.text(max_size=20))
def test_every_pattern_is_either_refused_or_answers(pattern, message):
    try:
        matches = compile_pattern(pattern)
    except InvalidLogsParameter:
        return
    assert matches(message) in {True, False}


def test_wildcards_take_linear_time():
    # A backtracking matcher would not come back from this.
    matches = compile_pattern('{ $.x = "' + "*a" * 100 + '*b" }')
    assert not matches(json.dumps({"x": "a" * 100_000}))
