"""A call between two accounts: what each of them has on record."""

from __future__ import annotations

import json

from msgspec.structs import replace

from leastwise.audit.interface import Happening
from leastwise.audit.record import encode
from leastwise.iam.interface import Principal, PrincipalKind
from leastwise.kernel.call import Source
from leastwise.kernel.events import Access, EventClass

CALLER, OWNER = "111122223333", "444455556666"
ANN = Principal(
    kind=PrincipalKind.USER,
    account_id=CALLER,
    arn=f"arn:aws:iam::{CALLER}:user/ann",
    unique_id="AIDAANN",
    name="ann",
    access_key_id="AKIAANN",
)


def happening(**more) -> Happening:
    parts = {
        "request_id": "r",
        "event_id": "e1",
        "at_ms": 1_790_000_000_000,
        "service": "lambda",
        "operation": "Invoke",
        "event_class": EventClass.DATA,
        "access": Access.WRITE,
        "account_id": CALLER,
        "region": "eu-central-1",
        "source": Source(ip="127.0.0.1", user_agent="t", tls=True, received_at_ms=0),
        "principal": ANN,
        "claimed_access_key_id": "AKIAANN",
        "resources": (f"arn:aws:lambda:eu-central-1:{OWNER}:function:f",),
    }
    return Happening(**(parts | more))


def test_a_call_within_one_account_shares_nothing():
    assert "sharedEventID" not in json.loads(encode(happening()))


def test_both_records_carry_the_same_id_and_the_owners_names_an_account_only():
    mine = happening(shared_event_id="s")
    theirs = replace(mine, event_id="e2", account_id=OWNER)
    mine_read, theirs_read = json.loads(encode(mine)), json.loads(encode(theirs))
    assert ("s", "s") == (mine_read["sharedEventID"], theirs_read["sharedEventID"])
    assert (CALLER, OWNER) == (mine_read["recipientAccountId"], theirs_read["recipientAccountId"])
    assert "ann" == mine_read["userIdentity"]["userName"]
    assert {"type": "AWSAccount", "principalId": "AIDAANN", "accountId": CALLER} == theirs_read["userIdentity"]


def test_the_owners_record_of_text_that_is_no_unicode_names_nobody_either():
    theirs = happening(shared_event_id="s", account_id=OWNER, region="\udcff")
    assert "AWSAccount" == json.loads(encode(theirs))["userIdentity"]["type"]
