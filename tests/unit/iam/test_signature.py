"""Judging a SigV4 proof: secret, time, expiry, and the cache of signing keys."""

import datetime
import hmac

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from leastwise.iam.interface import ExpiredProof, IncompleteSignature, SignatureMismatch
from leastwise.iam.signature import SigningKeys, verify
from leastwise.kernel.call import SigV4Proof

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW_MS = int(datetime.datetime(2026, 11, 23, 19, 35, 37, tzinfo=datetime.UTC).timestamp() * 1000)
MINUTE_MS = 60_000


def make(*, secret=SECRET, signed_at_ms=NOW_MS, expires_s=None, **changes):
    stamp = datetime.datetime.fromtimestamp(signed_at_ms // 1000, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{stamp[:8]}/eu-west-1/lambda/aws4_request\n{'0' * 64}"
    signer = SigV4Auth(Credentials("AKIA", secret), "lambda", "eu-west-1")
    request = AWSRequest()
    request.context["timestamp"] = stamp
    proof = SigV4Proof(
        access_key_id="AKIA",
        date=stamp[:8],
        region="eu-west-1",
        service="lambda",
        signed_at_ms=signed_at_ms,
        expires_s=expires_s,
        string_to_sign=text.encode(),
        signature=signer.signature(text, request),
    )
    return replace(proof, **changes)


def judge(proof, *, secret=SECRET, now_ms=NOW_MS, signing_keys=None):
    keys = SigningKeys() if signing_keys is None else signing_keys
    verify(proof, secret, now_ms=now_ms, signing_keys=keys)


@given(secret=st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=60))
def test_a_signature_of_botocore_holds_with_its_secret_and_with_no_other(secret):
    judge(make(secret=secret), secret=secret)
    with pytest.raises(SignatureMismatch):
        judge(make(secret=secret), secret=secret + "x")


@pytest.mark.parametrize("signature", ["", "0" * 64, "0" * 63, "ä" * 64, "\ud800"])
def test_a_signature_that_is_another_does_not_match(signature):
    with pytest.raises(SignatureMismatch) as caught:
        judge(make(signature=signature))
    assert (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    ) == caught.value.message


def test_an_upper_case_signature_does_not_match():
    with pytest.raises(SignatureMismatch):
        judge(make(signature=make().signature.upper()))


@pytest.mark.parametrize("member", ["date", "region", "service"])
def test_a_signature_counts_only_in_its_own_scope(member):
    with pytest.raises(SignatureMismatch):
        judge(make(**{member: "20261124" if member == "date" else "other"}))


def test_a_request_is_good_for_fifteen_minutes_either_way():
    judge(make(), now_ms=NOW_MS + 15 * MINUTE_MS)
    judge(make(), now_ms=NOW_MS - 15 * MINUTE_MS)


def test_a_request_that_is_older_has_expired():
    with pytest.raises(ExpiredProof) as caught:
        judge(make(), now_ms=NOW_MS + 15 * MINUTE_MS + 1000)
    expected = "Signature expired: 20261123T193537Z is now earlier than 20261123T193538Z (20261123T195038Z - 15 min.)"
    assert expected == caught.value.message


@pytest.mark.parametrize("expires_s", [None, 60])
def test_a_request_from_the_future_is_not_yet_current(expires_s):
    with pytest.raises(ExpiredProof) as caught:
        judge(make(expires_s=expires_s), now_ms=NOW_MS - 15 * MINUTE_MS - 1000)
    expected = (
        "Signature not yet current: 20261123T193537Z is still later than 20261123T193536Z (20261123T192036Z + 15 min.)"
    )
    assert expected == caught.value.message


def test_a_presigned_request_is_good_until_it_expires():
    judge(make(expires_s=3600), now_ms=NOW_MS + 3600 * 1000)
    with pytest.raises(ExpiredProof) as caught:
        judge(make(expires_s=3600), now_ms=NOW_MS + 3601 * 1000)
    assert "Signature expired: 20261123T203537Z is now earlier than 20261123T203538Z" == caught.value.message


def test_a_presigned_request_is_good_for_seven_days_at_most():
    judge(make(expires_s=604_800))
    with pytest.raises(IncompleteSignature) as caught:
        judge(make(expires_s=604_801))
    expected = (
        "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
        "604800 seconds"
    )
    assert expected == caught.value.message


def test_an_expired_request_is_refused_before_its_signature_is_looked_at():
    with pytest.raises(ExpiredProof):
        judge(make(signature="0" * 64), now_ms=NOW_MS + 16 * MINUTE_MS)


def test_a_derived_key_is_used_again_and_a_new_secret_never_meets_it(monkeypatch):
    keys = SigningKeys()
    judge(make(), signing_keys=keys)
    derived = []
    digest = hmac.digest

    def counting(key, message, algorithm):
        derived.append(message)
        return digest(key, message, algorithm)

    monkeypatch.setattr(hmac, "digest", counting)
    judge(make(), signing_keys=keys)
    assert [] == derived
    with pytest.raises(SignatureMismatch):
        judge(make(), secret="another", signing_keys=keys)
    assert 2 == len(keys)


def test_the_cache_is_bounded_and_forgets_the_least_recently_used():
    keys = SigningKeys(capacity=3)
    for region in ("a", "b", "c", "a", "d"):
        keys.signer(make(region=region), SECRET)
    assert 3 == len(keys)
    assert ["c", "a", "d"] == [name[3] for name in keys._keys]


def test_neither_secret_nor_signature_shows_in_a_repr():
    keys = SigningKeys()
    keys.signer(make(), SECRET)
    assert SECRET not in repr(keys)
    assert make().signature not in repr(make())
