"""Function names: every form means the same function."""

from __future__ import annotations

import re

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.functions.interface import FunctionNotFound, InvalidParameter
from leastwise.functions.naming import FunctionName, parse_function_name
from leastwise.kernel import errors

ACCOUNT = "111122223333"
REGION = "eu-west-1"

names = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True).filter(lambda name: name != "function")
accounts = st.from_regex(r"[0-9]{12}", fullmatch=True)
qualifiers = st.one_of(st.just("$LATEST"), st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True))


def parse(text, **options):
    return parse_function_name(text, **{"account_id": ACCOUNT, "region": REGION, **options})


@given(names, accounts, st.none() | qualifiers)
def test_every_form_of_a_name_means_the_same_function(name, account, qualifier):
    tail = "" if qualifier is None else f":{qualifier}"
    wanted = FunctionName(account_id=account, region=REGION, name=name, qualifier=qualifier)
    for text in (
        f"{account}:function:{name}{tail}",
        f"{REGION}:{account}:function:{name}{tail}",
        f"arn:aws:lambda:{REGION}:{account}:function:{name}{tail}",
    ):
        assert wanted == parse(text)
        assert wanted == parse(text, qualifier=qualifier)
    assert wanted == parse(f"function:{name}{tail}", account_id=account)


@given(names.filter(lambda name: not re.fullmatch(r"[0-9]{12}|[a-z]{2}-[a-z]+-[0-9]", name)), qualifiers)
def test_a_plain_name_may_carry_its_qualifier_or_have_it_beside(name, qualifier):
    assert parse(f"{name}:{qualifier}") == parse(name, qualifier=qualifier)


@given(names)
def test_a_name_is_found_again_in_its_own_arn(name):
    once = parse(name)
    assert once == parse(once.arn)


@given(st.text(max_size=300))
def test_no_text_raises_anything_but_an_error_of_ours(text):
    try:
        name = parse(text)
    except errors.LeastwiseError:
        return
    assert len(name.name) <= 64
    assert ":" not in name.name
    assert "/" not in name.name


@given(st.text(alphabet="arn:aws:lambda:eu-west-1:111122223333:function$LATEST_.", max_size=60))
def test_whatever_is_understood_has_the_form_that_the_service_model_demands(text):
    model = botocore_pattern()
    try:
        parse(text)
    except errors.LeastwiseError:
        return
    assert re.fullmatch(model, text)


_MODEL: list[str] = []


def botocore_pattern() -> str:
    if not _MODEL:
        operation = botocore.session.get_session().get_service_model("lambda").operation_model("GetFunction")
        _MODEL.append(operation.input_shape.members["FunctionName"].metadata["pattern"])
    return _MODEL[0]


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "a:b:c:d", "invalid:function:name", "a/b", "a b", "a\n", "arn:aws:lambda:eu-west-1:function:f",
        "arn:aws:lambda:eu-west-1:111122223333:f", "arn:aws:iam::111122223333:role/x", "f:$latest", "f:", "fü",
        f"arn:aws:lambda:{REGION}:{ACCOUNT}@function:f", "١٢٣:function:f",
    ],
)  # fmt: skip
def test_what_is_no_form_is_refused(text):
    with pytest.raises(errors.Invalid, match="Member must satisfy regular expression pattern"):
        parse(text)


def test_a_name_of_65_characters_is_refused_in_the_words_of_aws():
    with pytest.raises(InvalidParameter) as caught:
        parse(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{'a' * 65}")
    assert (
        f"1 validation error detected: Value '{'a' * 65}' at 'functionName' failed to satisfy constraint: "
        "Member must have length less than or equal to 64" == caught.value.message
    )


def test_another_regions_function_is_not_reachable():
    with pytest.raises(FunctionNotFound) as caught:
        parse(f"arn:aws:lambda:ap-southeast-1:{ACCOUNT}:function:f")
    assert caught.value.message == "Functions from 'ap-southeast-1' are not reachable in this region ('eu-west-1')"


def test_two_qualifiers_that_differ_are_refused():
    with pytest.raises(InvalidParameter) as caught:
        parse("f:1", qualifier="2")
    assert (
        caught.value.message == "The derived qualifier from the function name does not match the specified qualifier."
    )


def test_what_is_not_found_is_named_with_its_qualifier():
    assert f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:f" == parse("f").not_found().message
    assert f"Function not found: arn:aws:lambda:{REGION}:{ACCOUNT}:function:f:42" == parse("f:42").not_found().message
