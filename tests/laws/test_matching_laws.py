"""However a pattern is matched, the answer is that of its plainest reading."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.iam.interface import MalformedPolicy, PolicyKind
from leastwise.iam.policy.document import validate_document
from leastwise.iam.policy.matching import Variable, Wild, compile_glob, joined, matches_without_ones, parse_wildcards
from leastwise.iam.policy.variables import compile_late_glob, parse_pattern

TEXTS = st.text("ab:\n.", max_size=24)
PATTERNS = st.text("ab:\n.*?", max_size=16)
LONG_RUNS = st.lists(st.sampled_from(["a?" * 20, "b" * 33 + "?", "*", "ab"]), max_size=3).map("".join)


def plainly(pattern, text):
    """The reading of Python's own engine; patterns here are too short for it to be slow."""
    expression = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None


@given(PATTERNS, TEXTS)
def test_a_compiled_pattern_matches_as_its_plain_reading(pattern, text):
    assert plainly(pattern, text) == compile_glob(parse_wildcards(pattern))(text)


@given(LONG_RUNS, st.text("ab", max_size=90))
def test_a_long_run_matches_as_its_plain_reading(pattern, text):
    assert plainly(pattern, text) == compile_glob(parse_wildcards(pattern))(text)


@given(PATTERNS.map(lambda pattern: pattern.replace("?", "*")), TEXTS)
def test_matching_once_gives_what_a_compiled_pattern_gives(pattern, text):
    tokens = joined(parse_wildcards(pattern))
    assert plainly(pattern, text) == matches_without_ones(tokens, text)


PARTS = st.lists(st.sampled_from(["a", "b", "ab", "?", "*", "${aws:x}", "${aws:y}"]), max_size=8).map("".join)


@given(PARTS, st.text("ab*?", max_size=3), st.text("ab", max_size=3), st.text("ab*?", max_size=24))
def test_a_pattern_with_variables_matches_as_its_plain_reading(pattern, x, y, text):
    tokens = parse_pattern(pattern, variables=True, wildcards=True)
    expression = ""
    for token in tokens:
        value = {"aws:x": x, "aws:y": y}[token.key] if isinstance(token, Variable) else token
        expression += {Wild.ANY: ".*", Wild.ONE: "."}.get(value, re.escape(str(value)))
    expected = re.fullmatch(expression, text, re.DOTALL) is not None
    assert expected == compile_late_glob(tokens)(text, {"aws:x": x, "aws:y": y})


def test_few_parts_may_mix_a_variable_and_a_question_mark():
    def policy(count):
        resources = [f"arn:aws:lambda:*:*:function:*${{aws:username}}?*{number}" for number in range(count)]
        return {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "lambda:*", "Resource": resources}],
        }

    validate_document(policy(8), kind=PolicyKind.IDENTITY)
    with pytest.raises(MalformedPolicy, match="between the same two"):
        validate_document(policy(9), kind=PolicyKind.IDENTITY)
