"""What changed between two versions of a policy, statement by statement."""

import pytest

from leastwise.iam.authoring.differences import Change, compare
from leastwise.iam.interface import PolicyKind

F = "arn:aws:lambda:us-east-1:111122223333:function:"


def document(*statements, version="2012-10-17"):
    filled = [{"Effect": "Allow", "Action": "lambda:GetFunction", "Resource": f"{F}a", **item} for item in statements]
    return {"Version": version, "Statement": filled}


def told(old, new, kind=PolicyKind.IDENTITY):
    return [(change.change, change.name, change.grew, change.shrank) for change in compare(old, new, kind=kind)]


@pytest.mark.parametrize(
    ("old", "new", "grew", "shrank"),
    [
        ({}, {"Action": ["lambda:GetFunction", "lambda:GetAlias"]}, ("action lambda:GetAlias",), ()),
        ({"Action": "lambda:*"}, {}, (), ("action lambda:*",)),
        ({"Resource": f"{F}*"}, {"Resource": [f"{F}a", f"{F}b"]}, (), (f"resource {F}*",)),
        ({}, {"Resource": "*"}, ("resource *",), ()),
        (
            {"NotAction": "iam:*", "Action": None},
            {"NotAction": ["iam:*", "sts:*"], "Action": None},
            (),
            ("action sts:*",),
        ),
        ({}, {"NotAction": "iam:*", "Action": None}, ("every action but iam:*",), ("actions lambda:GetFunction",)),
        (
            {"Condition": {"StringEquals": {"aws:username": "a"}}},
            {},
            ("no longer asks for StringEquals aws:username = a",),
            (),
        ),
        (
            {"Condition": {"StringEquals": {"aws:username": "a"}}},
            {"Condition": {"StringEquals": {"aws:username": ["b", "a"]}}},
            (
                "no longer asks for StringEquals aws:username = a",
                "now asks for StringEquals aws:username = a | b",
            ),
            (),
        ),
        (
            {"Condition": {"StringEquals": {"aws:username": "a"}}},
            {"Condition": {"StringEquals": {"aws:username": "b"}}},
            ("no longer asks for StringEquals aws:username = a",),
            ("now asks for StringEquals aws:username = b",),
        ),
        ({}, {"Effect": "Deny"}, ("Deny instead of Allow",), ("no longer Allow",)),
    ],
)
def test_what_grew_and_what_shrank_is_said(old, new, grew, shrank):
    sides = [document({"Sid": "One", **item}) for item in (old, new)]
    for side in sides:
        for statement in side["Statement"]:
            if statement["Action"] is None:
                del statement["Action"]
    assert [(Change.CHANGED, "One", grew, shrank)] == told(*sides)


def test_another_bound_on_the_time_of_day_can_widen_the_window():
    late = {"NumericGreaterThanEquals": {"leastwise:TimeOfDay": "22:00"}}
    night = {**late, "NumericLessThan": {"leastwise:TimeOfDay": "06:00"}}
    [change] = compare(document({"Condition": late}), document({"Condition": night}), kind=PolicyKind.IDENTITY)
    assert change.may_allow_more


def test_statements_are_paired_by_sid_then_by_what_they_say():
    old = document({"Sid": "A"}, {"Action": "iam:GetUser", "Resource": "*"}, {"Action": "iam:GetRole", "Resource": "*"})
    new = document(
        {"Action": ["iam:GetRole", "iam:GetGroup"], "Resource": "*"},
        {"Action": "iam:GetUser", "Resource": "*"},
        {"Sid": "A", "Resource": f"{F}b"},
    )
    changes = compare(old, new, kind=PolicyKind.IDENTITY)
    assert [(2, 0), (0, 2)] == [(change.old_index, change.new_index) for change in changes]


def test_added_and_removed_statements_say_what_they_were_about():
    old, new = document({"Sid": "Old"}), document({"Sid": "New", "Effect": "Deny", "Action": "iam:*", "Resource": "*"})
    assert [
        (Change.ADDED, "New", ("actions iam:*", "resources *"), ()),
        (Change.REMOVED, "Old", (), ("actions lambda:GetFunction", f"resources {F}a")),
    ] == told(old, new)


def test_order_case_and_repetition_make_no_difference():
    old = document({"Action": ["lambda:GetFunction", "lambda:GetAlias"]}, {"Action": "iam:GetUser", "Resource": "*"})
    new = document(
        {"Action": "iam:getuser", "Resource": ["*"]},
        {"Action": ["lambda:getalias", "lambda:GetFunction", "lambda:GetFunction"]},
    )
    assert [] == told(old, new)


def test_federated_principals_count_although_they_name_nobody_here():
    def trust(host):
        statement = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"Federated": host}}
        return {"Version": "2012-10-17", "Statement": statement}

    changes = told(trust("accounts.google.com"), trust("graph.facebook.com"), PolicyKind.TRUST)
    grew, shrank = ("principal Federated graph.facebook.com",), ("principal Federated accounts.google.com",)
    assert [(Change.CHANGED, "statement 1", grew, shrank)] == changes


def test_another_version_of_the_language_is_a_difference():
    [change] = compare(document({}, version="2008-10-17"), document({}), kind=PolicyKind.IDENTITY)
    assert ("policy variables are read as such",) == change.grew
