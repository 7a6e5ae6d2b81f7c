"""Every trap, every rule of evaluation, every operator and every key of our own has a case in tests/cases/iam.

The lists stand here by number and name, so that a case that is taken away is missed by name.
"""

import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
CASES = [
    case
    for path in sorted((ROOT / "tests" / "cases" / "iam").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text(encoding="utf-8"))
]

TRAPS = {
    1: "no Version, or that of 2008: ${...} is literal",
    2: "a substituted value that holds a star stays literal",
    3: "a variable without a value",
    4: "defaults of variables, and ${*} ${?} ${$}",
    5: "a multi-valued key is no variable",
    6: "an absent key: positive operators fail, negated ones hold",
    7: "aws:MultiFactorAuthPresent is absent for long-term keys",
    8: "Null, and JSON booleans and numbers without quotes",
    9: "ForAllValues holds on nothing, ForAnyValue does not",
    10: "ForAnyValue:StringNotEquals means that some value is outside",
    11: "StringEquals knows no wildcard",
    12: "ArnLike by segment, StringLike across",
    13: "IPv4 and IPv6 never match each other",
    14: "dates: epoch, date only, offsets",
    15: "ten is 10.0, and what is no number never matches",
    16: "dots, brackets, dollars and newlines in patterns",
    17: "patterns that take other engines seconds",
    18: "commas and blanks in actions never match",
    19: "principals: no partial wildcards, case, account roots, roles and their sessions",
    20: "trusted principals are unique ids",
    21: "NotPrincipal with Deny: boundaries, and the account that must be listed",
    22: "tag keys without regard to case, tag values with",
    23: "Principal * is public",
    24: "empty lists, single values, Sids that stand twice",
    25: "a session policy never adds",
    26: "sizes",
}
RULES = {
    "explicit deny",
    "every level must allow",
    "the management account is free",
    "same account",
    "across accounts",
    "a user is named",
    "a role is named",
    "a role session is named",
    "a federated user is named",
    "everyone with aws:PrincipalArn",
    "an account is named",
    "trust policies must allow",
    "actions",
    "resources",
    "operators",
    "and, or, nor",
    "sets of values",
    "variables",
}
PROVED_ELSEWHERE = {
    "GetSessionToken needs no permission": (
        "tests/unit/flows/test_identity_operations.py",
        "test_get_session_token_needs_no_permission",
    ),
    "GetCallerIdentity cannot be denied": (
        "tests/docs/test_first_ten_things.py",
        "test_the_page_is_exactly_what_works",
    ),
    "CreateFunction with a role needs iam:PassRole": (
        "tests/wire/test_access.py",
        "test_handing_a_role_to_a_function_needs_passrole",
    ),
    "the words of a denial": (
        "tests/unit/iam/policy/test_policy_explain.py",
        "test_an_implicit_deny_names_the_kind_of_policy_that_is_missing",
    ),
    "matching takes linear time": ("tests/laws/test_policy_laws.py", "test_no_pattern_makes_matching_superlinear"),
    "a user made anew is another one": (
        "tests/wire/test_attacks.py",
        "test_a_user_made_anew_inherits_nothing_from_the_one_of_that_name",
    ),
}
"""Rules that no single decision of the engine shows, and the test that shows them. (Function URLs are not offered.)"""

OPERATORS = {
    *("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"),
    *("StringLike", "StringNotLike", "Bool", "BinaryEquals", "IpAddress", "NotIpAddress"),
    *("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"),
    *(
        kind + comparison
        for kind in ("Numeric", "Date")
        for comparison in (*("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"),)
    ),
}
OUR_KEYS = {
    *("leastwise:DayOfWeek", "leastwise:TimeOfDay", "leastwise:TimeZone"),
    *("leastwise:MfaMethod", "leastwise:AuthenticationMethod"),
}


def with_operator(operator: str) -> set[str]:
    """What the cases of this operator want."""
    asked = f'"{operator}": {{'
    return {case["want"] for case in CASES if "want" in case and asked in json.dumps(case["policies"])}


@pytest.mark.parametrize("number", TRAPS, ids=lambda number: f"{number}: {TRAPS[number]}")
def test_a_trap_has_cases(number):
    assert [case for case in CASES if case.get("trap") == number], TRAPS[number]


def test_no_case_names_a_trap_or_a_rule_that_is_not_listed():
    assert set(TRAPS) == {case["trap"] for case in CASES if "trap" in case}
    assert RULES == {case["rule"] for case in CASES if "rule" in case}


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_an_operator_has_a_case_where_it_holds_and_one_where_it_does_not(operator):
    wants = with_operator(operator)
    assert "allowed" in wants
    assert wants - {"allowed"}
    assert with_operator(f"{operator}IfExists")


@pytest.mark.parametrize("key", sorted(OUR_KEYS))
def test_a_key_of_our_own_has_a_case(key):
    assert [case for case in CASES if key in json.dumps(case.get("policies", {}))]


@pytest.mark.parametrize("rule", PROVED_ELSEWHERE)
def test_a_rule_that_is_proved_elsewhere_is_still_proved_there(rule):
    file, test = PROVED_ELSEWHERE[rule]
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


def test_no_two_cases_have_one_note():
    notes = [case["note"] for case in CASES]
    assert sorted(set(notes)) == sorted(notes)
