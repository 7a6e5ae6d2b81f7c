"""What a call looks like as a CloudTrail record."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.audit.happenings import ACCOUNT, CREATE, INVOKE

from leastwise.audit.parameters import LONGEST_TEXT, MOST_VALUES
from leastwise.audit.record import encode, event_id_of
from leastwise.iam.interface import Issuer, Principal, PrincipalKind
from leastwise.kernel.call import Source
from leastwise.kernel.events import Access, EventClass


def record_of(happening):
    return json.loads(encode(happening))


def test_an_invocation_is_a_data_event_with_its_decision_and_its_usage():
    assert {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAABCDEFGHIJKLMNOPQ",
            "arn": "arn:aws:iam::123456789012:user/admin",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAABCDEFGHIJKLMNOP",
            "userName": "admin",
        },
        "eventTime": "2026-11-23T18:47:59Z",
        "eventSource": "lambda.amazonaws.com",
        "eventName": "Invoke",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "127.0.0.1",
        "userAgent": "Boto3/1.40",
        "requestParameters": None,
        "responseElements": None,
        "additionalEventData": {
            "billedMs": 3,
            "decision": {
                "allowed": True,
                "layer": "identity-based",
                "explicit": False,
                "statements": [
                    {
                        "policy": "arn:aws:iam::aws:policy/AdministratorAccess",
                        "kind": "identity-based",
                        "sid": "",
                        "index": 0,
                    }
                ],
            },
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:hello",
            "memoryMib": 128,
        },
        "requestID": "11111111-1111-4111-8111-111111111111",
        "eventID": "22222222-2222-4222-8222-222222222222",
        "readOnly": False,
        "resources": [
            {
                "ARN": "arn:aws:lambda:us-east-1:123456789012:function:hello",
                "accountId": ACCOUNT,
                "type": "AWS::Lambda::Function",
            }
        ],
        "eventType": "AwsApiCall",
        "managementEvent": False,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Data",
    } == record_of(INVOKE)


def test_the_same_call_is_the_same_bytes_whatever_the_order_of_its_parameters():
    turned = replace(CREATE, parameters=dict(reversed(CREATE.parameters.items())))
    assert encode(CREATE) == encode(turned)


def test_a_record_is_one_line():
    assert b"\n" not in encode(replace(CREATE, parameters={"Description": "a\nb\r\n"}))


def test_a_management_event_names_its_parameters_as_cloudtrail_does_and_leaves_map_keys_alone():
    assert {"functionName": "hello", "tags": {"Team": "x"}} == record_of(CREATE)["requestParameters"]


def test_a_data_event_never_has_parameters():
    assert record_of(replace(INVOKE, parameters={"Payload": "secret"}))["requestParameters"] is None


def test_a_failed_call_carries_code_and_message():
    record = record_of(replace(CREATE, error_code="AccessDenied", error_message="User is not authorized"))
    assert ("AccessDenied", "User is not authorized") == (record["errorCode"], record["errorMessage"])


def test_a_role_session_names_its_issuer_its_second_factor_and_its_source_identity():
    session = Principal(
        kind=PrincipalKind.ROLE_SESSION,
        account_id=ACCOUNT,
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me",
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/deployer",
        unique_id="AROAABCDEFGHIJKLMNOPQ:me",
        name="deployer",
        session_name="me",
        access_key_id="ASIAABCDEFGHIJKLMNOP",
        session_issued_at_ms=1_795_459_600_000,
        mfa_authenticated_at_ms=1_795_459_600_000,
        source_identity="alice",
    )
    assert {
        "type": "AssumedRole",
        "principalId": "AROAABCDEFGHIJKLMNOPQ:me",
        "arn": "arn:aws:sts::123456789012:assumed-role/deployer/me",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAABCDEFGHIJKLMNOP",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAABCDEFGHIJKLMNOPQ",
                "arn": "arn:aws:iam::123456789012:role/deployer",
                "accountId": ACCOUNT,
                "userName": "deployer",
            },
            "attributes": {"creationDate": "2026-11-23T18:46:40Z", "mfaAuthenticated": "true"},
            "sourceIdentity": "alice",
        },
    } == record_of(replace(INVOKE, principal=session))["userIdentity"]


@pytest.mark.parametrize(
    ("issuer", "shown"),
    [
        (
            Issuer(arn=f"arn:aws:iam::{ACCOUNT}:user/alice", unique_id="AIDAABCDEFGHIJKLMNOPQ", name="alice"),
            {"type": "IAMUser", "principalId": "AIDAABCDEFGHIJKLMNOPQ", "userName": "alice"},
        ),
        (
            Issuer(arn=f"arn:aws:iam::{ACCOUNT}:root", unique_id=ACCOUNT, name=""),
            {"type": "Root", "principalId": ACCOUNT},
        ),
    ],
)
def test_a_federated_user_names_who_made_its_session(issuer, shown):
    bob = Principal(
        kind=PrincipalKind.FEDERATED_USER,
        account_id=ACCOUNT,
        arn=f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
        unique_id=f"{ACCOUNT}:bob",
        name="bob",
        access_key_id="ASIAABCDEFGHIJKLMNOP",
        session_issued_at_ms=0,
        federated_by=issuer,
    )
    assert {
        "type": "FederatedUser",
        "principalId": f"{ACCOUNT}:bob",
        "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/bob",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAABCDEFGHIJKLMNOP",
        "sessionContext": {
            "sessionIssuer": {**shown, "arn": issuer.arn, "accountId": ACCOUNT},
            "attributes": {"creationDate": "1970-01-01T00:00:00Z", "mfaAuthenticated": "false"},
        },
    } == record_of(replace(INVOKE, principal=bob))["userIdentity"]


def test_two_sessions_of_one_role_with_and_without_a_second_factor_are_told_apart():
    plain = dataclasses.replace(INVOKE.principal, session_issued_at_ms=1, mfa_authenticated_at_ms=None)
    strong = dataclasses.replace(plain, mfa_authenticated_at_ms=5)
    seen = [
        record_of(replace(INVOKE, principal=principal))["userIdentity"]["sessionContext"]["attributes"]
        for principal in (plain, strong, plain)
    ]
    assert ["false", "true", "false"] == [attributes["mfaAuthenticated"] for attributes in seen]


def test_a_service_is_named_by_what_invoked():
    service = Principal(
        kind=PrincipalKind.SERVICE, account_id=ACCOUNT, arn="", unique_id="", name="lambda.amazonaws.com"
    )
    assert {"type": "AWSService", "accountId": ACCOUNT, "invokedBy": "lambda.amazonaws.com"} == record_of(
        replace(INVOKE, principal=service)
    )["userIdentity"]


def test_root_is_root():
    root = Principal(kind=PrincipalKind.ROOT, account_id=ACCOUNT, arn=f"arn:aws:iam::{ACCOUNT}:root", unique_id=ACCOUNT)
    assert {
        "type": "Root",
        "principalId": ACCOUNT,
        "arn": f"arn:aws:iam::{ACCOUNT}:root",
        "accountId": ACCOUNT,
    } == record_of(replace(INVOKE, principal=root))["userIdentity"]


def test_a_stranger_is_unknown_and_the_claimed_key_is_cut():
    record = record_of(replace(INVOKE, principal=None, claimed_access_key_id="A" * 5000, decision=None))
    assert ("Unknown", True) == (record["userIdentity"]["type"], len(record["userIdentity"]["accessKeyId"]) < 200)
    assert "decision" not in record["additionalEventData"]


def test_a_user_agent_is_cut():
    source = Source(ip="127.0.0.1", user_agent="x" * 100_000, tls=False, received_at_ms=0)
    assert len(encode(replace(INVOKE, source=source))) < 3_000


def test_tls_is_told():
    source = replace(INVOKE.source, tls=True)
    assert {} == record_of(replace(INVOKE, source=source))["tlsDetails"]
    assert "tlsDetails" not in record_of(INVOKE)


def test_notes_cannot_pose_as_the_decision():
    record = record_of(replace(INVOKE, additional={"decision": "allowed"}))
    assert "identity-based" == record["additionalEventData"]["decision"]["layer"]


def test_blobs_and_foreign_objects_are_left_out_and_instants_are_text():
    parameters = {
        "ZipFile": b"PK",
        "Handle": object(),
        "When": datetime(2026, 11, 23, tzinfo=UTC),
        "List": [1, b"x", "y"],
        "Deep": {"Blob": bytearray(b"x"), "Kept": True},
    }
    assert {
        "when": "2026-11-23T00:00:00+00:00",
        "list": [1, "y"],
        "deep": {"Kept": True},
    } == record_of(replace(CREATE, parameters=parameters))["requestParameters"]


def test_a_huge_text_is_cut_and_says_by_how_much():
    record = record_of(replace(CREATE, parameters={"Text": "x" * (LONGEST_TEXT + 7)}))
    assert record["requestParameters"]["text"].endswith("x... [7 more]")


def test_a_huge_structure_is_cut():
    record = record_of(replace(CREATE, parameters={"List": list(range(10 * MOST_VALUES))}))
    assert len(record["requestParameters"]["list"]) < MOST_VALUES


def test_a_bottomless_structure_is_cut():
    deep = {}
    for _ in range(5_000):
        deep = {"x": deep}
    assert b'"x"' in encode(replace(CREATE, parameters=deep))


def test_text_that_is_not_unicode_still_leaves_a_record():
    parameters = {"Name": "a\ud800b", "k\udfff": 1}
    source = replace(INVOKE.source, user_agent="\udcff")
    resources = ("arn:aws:lambda:us-east-1:1:function:\ud800",)
    record = record_of(replace(CREATE, parameters=parameters, source=source, resources=resources))
    assert ({"name": "a?b", "k?": 1}, "?") == (record["requestParameters"], record["userAgent"])


def test_an_integer_beyond_json_still_leaves_a_record():
    assert "0x" in record_of(replace(CREATE, parameters={"N": 2**200}))["requestParameters"]["n"]


def test_a_call_without_a_resource_names_what_was_decided_on():
    assert [{"ARN": "*"}] == record_of(replace(CREATE, resources=("*",)))["resources"]


def test_the_event_id_is_read_back():
    assert INVOKE.event_id == event_id_of(encode(INVOKE))


@pytest.mark.parametrize(("access", "read_only"), [(Access.READ, True), (Access.WRITE, False)])
def test_reading_is_read_only(access, read_only):
    assert read_only is record_of(replace(CREATE, access=access))["readOnly"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(parameters=st.dictionaries(st.text(st.characters()), anything, max_size=5), agent=st.text(st.characters()))
def test_whatever_a_caller_sends_there_is_a_record_of_one_line(parameters, agent):
    happening = replace(
        CREATE,
        event_class=EventClass.MANAGEMENT,
        parameters=parameters,
        source=replace(CREATE.source, user_agent=agent),
    )
    payload = encode(happening)
    assert b"\n" not in payload
    assert "CreateFunction" == json.loads(payload)["eventName"]


@pytest.mark.parametrize(
    ("service", "source"),
    [("accessanalyzer", "access-analyzer.amazonaws.com"), ("iam", "iam.amazonaws.com"), ("sts", "sts.amazonaws.com")],
)
def test_the_source_is_called_as_in_cloudtrail(service, source):
    assert source == record_of(replace(CREATE, service=service))["eventSource"]
