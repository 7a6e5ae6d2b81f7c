import pytest

from leastwise.iam.interface import Principal, PrincipalKind
from leastwise.iam.policy.context import build_context
from leastwise.kernel.call import Source

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
SOURCE = Source(ip="10.1.2.3", user_agent="Boto3/1.40", tls=False, received_at_ms=NOW_MS)
ACCOUNT = "111122223333"


def principal(kind=PrincipalKind.USER, **changes):
    fields = {
        "kind": kind,
        "account_id": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
        "unique_id": "AIDA234567ABCDEFGHIJK",
        "name": "alice",
        **changes,
    }
    return Principal(**fields)


def context(who, **changes):
    arguments = {"now_ms": NOW_MS, "region": "us-east-1", "extra": {}, "time_zone": "UTC", **changes}
    return build_context(who, SOURCE, **arguments)


def test_a_user_with_a_long_term_key_has_exactly_these_keys():
    expected = {
        "aws:currenttime": "2026-01-01T00:00:00Z",
        "aws:epochtime": "1767225600",
        "aws:principalaccount": ACCOUNT,
        "aws:principalarn": f"arn:aws:iam::{ACCOUNT}:user/alice",
        "aws:principalisawsservice": "false",
        "aws:principaltype": "User",
        "aws:requestedregion": "us-east-1",
        "aws:securetransport": "false",
        "aws:sourceip": "10.1.2.3",
        "aws:useragent": "Boto3/1.40",
        "aws:userid": "AIDA234567ABCDEFGHIJK",
        "aws:username": "alice",
        "aws:viaawsservice": "false",
        "leastwise:dayofweek": "Thu",
        "leastwise:timeofday": "00:00",
        "leastwise:timezone": "UTC",
    }
    assert expected == context(principal())


def test_a_long_term_key_says_nothing_about_a_second_factor():
    assert "aws:multifactorauthpresent" not in context(principal())
    assert "aws:multifactorauthage" not in context(principal())


def test_a_session_without_a_second_factor_says_so():
    found = context(principal(session_issued_at_ms=NOW_MS - 1))
    assert found["aws:multifactorauthpresent"] == "false"
    assert "aws:multifactorauthage" not in found


def test_a_session_with_a_second_factor_tells_its_age_in_seconds():
    found = context(principal(session_issued_at_ms=NOW_MS - 60_000, mfa_authenticated_at_ms=NOW_MS - 90_500))
    assert found["aws:multifactorauthpresent"] == "true"
    assert found["aws:multifactorauthage"] == "90"
    assert found["aws:tokenissuetime"] == "2025-12-31T23:59:00Z"


def test_a_role_session_is_known_by_its_role_and_has_no_user_name():
    found = context(
        principal(
            PrincipalKind.ROLE_SESSION,
            arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/worker/s1",
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/team/worker",
            unique_id="AROA234567ABCDEFGHIJK:s1",
            name="worker",
            source_identity="bob",
            session_issued_at_ms=NOW_MS,
        )
    )
    assert found["aws:principalarn"] == f"arn:aws:iam::{ACCOUNT}:role/team/worker"
    assert found["aws:principaltype"] == "AssumedRole"
    assert found["aws:userid"] == "AROA234567ABCDEFGHIJK:s1"
    assert found["aws:sourceidentity"] == "bob"
    assert "aws:username" not in found


def test_the_root_user_is_the_account():
    found = context(principal(PrincipalKind.ROOT, arn=f"arn:aws:iam::{ACCOUNT}:root", unique_id=ACCOUNT, name=""))
    assert found["aws:principaltype"] == "Account"
    assert found["aws:userid"] == ACCOUNT
    assert "aws:username" not in found


def test_a_service_has_no_address_and_no_principal_of_an_account():
    found = context(principal(PrincipalKind.SERVICE, arn="lambda.amazonaws.com", name="lambda.amazonaws.com"))
    assert found["aws:principalisawsservice"] == "true"
    assert found["aws:principalservicename"] == "lambda.amazonaws.com"
    assert found["aws:sourceaccount"] == ACCOUNT
    assert not {"aws:sourceip", "aws:principalarn", "aws:principalaccount", "aws:principaltype"} & found.keys()


def test_tag_keys_are_lowered_and_their_values_are_not():
    found = context(principal(tags={"Team": "Orders"}))
    assert found["aws:principaltag/team"] == "Orders"


def test_what_an_operation_supplies_never_replaces_what_was_measured():
    found = context(
        principal(), extra={"AWS:SourceIp": "127.0.0.1", "Lambda:FunctionArn": "arn", "aws:username": "root"}
    )
    assert found["aws:sourceip"] == "10.1.2.3"
    assert found["aws:username"] == "alice"
    assert found["lambda:functionarn"] == "arn"


@pytest.mark.parametrize("owner", ["444455556666", None])
def test_the_owner_of_the_resource_is_there_when_there_is_one(owner):
    assert owner == context(principal(), resource_account_id=owner).get("aws:resourceaccount")


def test_an_unknown_time_zone_gives_no_clock_keys():
    found = context(principal(), time_zone="Europe/Atlantis")
    assert not [key for key in found if key.startswith("leastwise:")]


def test_a_service_says_for_which_resource_it_acts():
    service = {"kind": PrincipalKind.SERVICE, "arn": "lambda.amazonaws.com", "name": "lambda.amazonaws.com"}
    function = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:f"
    assert "aws:sourcearn" not in context(principal(**service))
    found = context(principal(**service, source_arn=function))
    assert (function, ACCOUNT, "true") == (
        found["aws:sourcearn"],
        found["aws:sourceaccount"],
        found["aws:principalisawsservice"],
    )
    assert "aws:sourceip" not in found


def test_how_somebody_authenticated_and_with_what_second_factor_is_said_when_it_is_known():
    assert "leastwise:authenticationmethod" not in context(principal())
    assert "key" == context(principal(authentication_method="key"))["leastwise:authenticationmethod"]
    without = context(principal(session_issued_at_ms=NOW_MS, mfa_method="totp"))
    assert "leastwise:mfamethod" not in without
    found = context(principal(session_issued_at_ms=NOW_MS, mfa_authenticated_at_ms=NOW_MS, mfa_method="totp"))
    assert ("totp", "0") == (found["leastwise:mfamethod"], found["aws:multifactorauthage"])


def test_a_call_that_a_service_passed_on_names_the_services_and_no_address():
    found = context(principal(called_via=("a.amazonaws.com", "b.amazonaws.com")))
    assert ("true", ("a.amazonaws.com", "b.amazonaws.com"), "a.amazonaws.com", "b.amazonaws.com") == (
        found["aws:viaawsservice"],
        found["aws:calledvia"],
        found["aws:calledviafirst"],
        found["aws:calledvialast"],
    )
    assert "aws:sourceip" not in found


def test_nobody_in_particular_has_an_address_and_no_name():
    found = context(principal(PrincipalKind.ANONYMOUS, account_id="", arn="", unique_id="anonymous"))
    assert ("anonymous", "anonymous", "Anonymous", "10.1.2.3") == (
        found["aws:userid"],
        found["aws:principalaccount"],
        found["aws:principaltype"],
        found["aws:sourceip"],
    )
    assert not {"aws:principalarn", "aws:username"} & set(found)
