"""The canonical form of a policy document."""

import json

import pytest

from leastwise.iam.authoring.rewrite import canonical, formatted


def test_elements_stand_in_the_order_of_the_language():
    statement = {
        "Condition": {"Bool": {"aws:SecureTransport": True}},
        "Resource": "*",
        "Action": "a:B",
        "Effect": "Allow",
    }
    text = formatted({"Statement": {**statement, "Sid": "S"}, "Id": "x", "Version": "2012-10-17"})
    read = json.loads(text)
    assert ["Version", "Id", "Statement"] == list(read)
    assert ["Sid", "Effect", "Action", "Resource", "Condition"] == list(read["Statement"][0])
    assert text.startswith('{\n  "Version": "2012-10-17",\n')
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"Action": ["b:C", "a:B"]}, {"Action": ["a:B", "b:C"]}),
        ({"Action": ["a:B"]}, {"Action": "a:B"}),
        ({"Action": ["a:B", "a:B"]}, {"Action": "a:B"}),
        ({"Action": []}, {"Action": []}),
        ({"Principal": {"Service": ["x"], "AWS": ["2", "1"]}}, {"Principal": {"AWS": ["1", "2"], "Service": "x"}}),
        ({"Principal": "*"}, {"Principal": "*"}),
        ({"Sid": "", "Condition": {}}, {}),
        (
            {"Condition": {"StringLike": {"b:c": ["z", "a"], "a:b": "x"}, "Bool": {"a:b": [True]}}},
            {"Condition": {"Bool": {"a:b": True}, "StringLike": {"a:b": "x", "b:c": ["a", "z"]}}},
        ),
        (
            {"Condition": {"NumericEquals": {"a:b": [1, True, "1"]}}},
            {"Condition": {"NumericEquals": {"a:b": [True, 1, "1"]}}},
        ),
        ({"Unknown": [2, 1]}, {"Unknown": [2, 1]}),
    ],
)
def test_one_meaning_has_one_form(before, after):
    assert {"Statement": [after]} == canonical({"Statement": [before]})


def test_statements_keep_their_order_and_a_missing_version_stays_missing():
    document = {"Statement": [{"Sid": "B"}, {"Sid": "A"}]}
    assert document == canonical(document)


def test_letters_of_other_languages_are_not_escaped():
    assert "Größe" in formatted({"Id": "Größe", "Statement": []})
