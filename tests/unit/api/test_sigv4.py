"""The proof that the door builds, against botocore's own signer and against what forgers would try."""

import datetime
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from leastwise.api.canonical import canonical_query, normalized_path
from leastwise.api.sigv4 import build_proof, claimed_service
from leastwise.iam.interface import SignatureMismatch
from leastwise.iam.signature import SigningKeys, verify
from leastwise.kernel.call import NoProof, SigV4Proof

ACCESS, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
HOST = "door.test:9470"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class Received:
    """A signed request as the server gets it."""

    def __init__(self, signer, method, url, *, headers=(), body=b""):
        request = AWSRequest(method, f"http://{HOST}{url}", data=body, headers=dict(headers))
        signer.add_auth(request)
        parts = urlsplit(request.url)
        self.method, self.body = method, body
        self.path, self.query = parts.path.encode(), parts.query.encode()
        self.headers = [(b"host", HOST.encode())]
        for name, value in request.headers.items():
            raw = value if isinstance(value, bytes) else str(value).encode()
            self.headers.append((name.lower().encode(), raw))

    def proof(self):
        return build_proof(self.method, self.path, self.query, self.headers, self.body)

    def set(self, name, value):
        self.headers = [(n, value if n == name else v) for n, v in self.headers]

    def get(self, name):
        return dict(self.headers)[name]


def sign(method="POST", url="/", *, service="lambda", token=None, headers=(), body=b"", kind=SigV4Auth, **more):
    signer = kind(Credentials(ACCESS, SECRET, token), service, "eu-west-1", **more)
    return Received(signer, method, url, headers=headers, body=body)


def holds(proof, secret=SECRET):
    assert isinstance(proof, SigV4Proof), proof
    try:
        verify(proof, secret, now_ms=proof.signed_at_ms, signing_keys=SigningKeys())
    except SignatureMismatch:
        return False
    return True


PATH = st.text("abcXYZ019-_.~/:@$%+ äß漢", max_size=24)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=16)
HEADER_VALUE = st.text("abc XYZ\t01,;=/\"'", max_size=20)
HEADERS = st.dictionaries(
    st.sampled_from(["X-Amz-Invocation-Type", "X-Amz-Target", "Content-Type", "amz-sdk-request", "X-Amz-Log-Type"]),
    HEADER_VALUE,
)


def encoded_path(path):
    from urllib.parse import quote

    return "/" + quote(path.lstrip("/"), safe="/:@$+~")


def encoded_query(pairs):
    from botocore.utils import percent_encode_sequence

    return percent_encode_sequence(pairs)


@settings(max_examples=300, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=PATH,
    pairs=st.lists(st.tuples(TEXT, TEXT), max_size=4),
    headers=HEADERS,
    body=st.binary(max_size=64),
    token=st.none() | st.just("FQoGZXIvYXdzE//token=="),
)
def test_whatever_botocore_signs_in_the_header_holds(method, path, pairs, headers, body, token):
    query = encoded_query(pairs)
    url = encoded_path(path) + (f"?{query}" if query else "")
    received = sign(method, url, token=token, headers=headers, body=body)
    proof = received.proof()
    assert holds(proof)
    assert not holds(proof, SECRET + "x")
    assert (ACCESS, token, "eu-west-1", "lambda", None) == (
        proof.access_key_id,
        proof.session_token,
        proof.region,
        proof.service,
        proof.expires_s,
    )
    # The second time around the template comes from the cache.
    assert proof == received.proof()


@settings(max_examples=150, deadline=None)
@given(pairs=st.dictionaries(TEXT.filter(bool), TEXT.filter(bool), max_size=3), token=st.none() | st.just("tok/en+=="))
def test_whatever_botocore_presigns_holds(pairs, token):
    query = encoded_query(pairs)
    url = "/path" + (f"?{query}" if query else "")
    received = sign("GET", url, service="sts", token=token, kind=SigV4QueryAuth, expires=77)
    proof = received.proof()
    assert holds(proof)
    assert (77, token) == (proof.expires_s, proof.session_token)


@pytest.mark.parametrize("path", ["/a%20b/c", "/a//b/../c", "/plain", "/%C3%A4"])
def test_s3_paths_are_neither_normalized_nor_encoded_twice(path):
    assert holds(sign("PUT", path, service="s3", kind=S3SigV4Auth, body=b"content").proof())
    assert holds(sign("GET", path, service="s3", kind=S3SigV4QueryAuth, expires=60).proof())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda r: setattr(r, "body", b"other"), "the body is signed"),
        (lambda r: setattr(r, "method", "DELETE"), "the method is signed"),
        (lambda r: setattr(r, "path", b"/b"), "the path is signed"),
        (lambda r: setattr(r, "query", b"a=2"), "the query is signed"),
        (lambda r: r.set(b"host", b"other.test"), "the host is signed"),
        (lambda r: r.set(b"x-amz-target", b"Other"), "the target is signed"),
        (lambda r: r.set(b"x-amz-security-token", b"other"), "the token is signed"),
    ],
)
def test_nothing_that_was_signed_can_be_changed(change, why):
    received = sign("POST", "/a?a=1", token="token", headers={"X-Amz-Target": "T"}, body=b"{}")
    assert holds(received.proof())
    change(received)
    assert not holds(received.proof()), why


def test_a_body_cannot_hide_behind_a_claimed_hash():
    received = sign(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}, body=b"{}")
    assert not holds(received.proof())


def test_the_right_hash_of_the_body_may_be_claimed():
    from hashlib import sha256

    assert holds(sign(headers={"X-Amz-Content-SHA256": sha256(b"{}").hexdigest()}, body=b"{}").proof())


def test_repeated_headers_are_signed_joined():
    received = sign(headers={"Content-Type": "a,b"})
    received.headers = [h for h in received.headers if h[0] != b"content-type"]
    received.headers += [(b"content-type", b"a"), (b"content-type", b"b")]
    assert holds(received.proof())


def test_a_date_header_may_stand_in_for_x_amz_date():
    # botocore writes the zone as -0000; the instant is what is signed.
    received = sign(headers={"Date": "x"})
    assert b"x-amz-date" not in dict(received.headers)
    assert holds(received.proof())


def refusal(received):
    proof = received.proof()
    assert isinstance(proof, NoProof)
    return proof.reason, proof.message


def with_authorization(text, *, headers=()):
    received = sign(headers=headers)
    received.set(b"authorization", text.encode())
    return received


SCOPE = f"{ACCESS}/20261123/eu-west-1/lambda/aws4_request"
SIGNATURE = "a" * 64
HASH = "(Hashed with SHA-256 and encoded with Base64) Authorization="


def test_no_signature_is_a_missing_token():
    assert NoProof(reason="missing", message="Missing Authentication Token") == build_proof("GET", b"/", b"", [], b"")
    bearer = [(b"authorization", b"Bearer abc")]
    assert "missing" == build_proof("GET", b"/", b"", bearer, b"").reason


def test_a_parameter_that_is_missing_from_the_header_is_named():
    reason, message = refusal(with_authorization("AWS4-HMAC-SHA256 Credential=a/b"))
    assert "incomplete" == reason
    assert message.startswith(
        "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
        + HASH
    )
    reason, message = refusal(with_authorization("AWS4-HMAC-SHA256"))
    assert message.startswith("Authorization header requires 'Credential' parameter. ")


def test_a_date_that_is_missing_is_named():
    received = sign()
    received.headers = [h for h in received.headers if h[0] != b"x-amz-date"]
    reason, message = refusal(received)
    assert "incomplete" == reason
    assert message.startswith(
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " + HASH
    )


def test_the_header_itself_is_never_repeated_to_the_caller():
    _, message = refusal(with_authorization("AWS4-HMAC-SHA256 my-secret-pasted-here"))
    assert "Invalid key=value pair (missing equal-sign) in Authorization header" in message
    assert "secret-pasted" not in message


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        (
            f"AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature={SIGNATURE}",
            "incomplete",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b/c'",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}x, SignedHeaders=host, Signature={SIGNATURE}",
            "malformed",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws4_requestx'.",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=x-amz-date, Signature={SIGNATURE}",
            "malformed",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature={SIGNATURE}",
            "malformed",
            "'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host;x-amz-date, Signature=nonsense",
            "malformed",
            MISMATCH,
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=absent;host;x-amz-date, Signature={SIGNATURE}",
            "malformed",
            MISMATCH,
        ),
        (
            f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=x-amz-date;host, Signature={SIGNATURE}",
            "malformed",
            "SignedHeaders must be sorted and must not repeat a name.",
        ),
        (
            f"AWS4-ECDSA-P256-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature={SIGNATURE}",
            "incomplete",
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.",
        ),
    ],
)
def test_a_header_that_cannot_be_right_is_refused_in_aws_words(text, reason, message):
    assert (reason, message) == refusal(with_authorization(text))


def test_the_scopes_day_must_be_the_requests_day():
    received = sign()
    stamp = received.get(b"x-amz-date").decode()
    tomorrow = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ") + datetime.timedelta(days=1)
    other = tomorrow.strftime("%Y%m%dT%H%M%SZ")
    received.set(b"x-amz-date", other.encode())
    expected = (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        f"'{stamp[:8]}' != '{other[:8]}', from '{other}'."
    )
    assert ("malformed", expected) == refusal(received)


@pytest.mark.parametrize("stamp", [b"yesterday", b"20261399T000000Z", b"2026-11-23T00:00:00Z", b""])
def test_a_date_that_is_none_is_refused(stamp):
    received = sign()
    received.set(b"x-amz-date", stamp)
    assert "incomplete" == refusal(received)[0]


@pytest.mark.parametrize("name", [b"x-amz-security-token", b"x-amz-target", b"x-amz-invocation-type"])
def test_a_header_with_meaning_cannot_be_slipped_in_unsigned(name):
    received = sign()
    received.headers.append((name, b"value"))
    shown = name.decode().title()
    assert ("malformed", f"'{shown}' must be a 'SignedHeader' in the AWS Authorization.") == refusal(received)


def test_a_second_host_date_or_authorization_is_refused():
    for name in (b"host", b"x-amz-date", b"authorization"):
        received = sign()
        received.headers.append((name, received.get(name)))
        assert refusal(received)[0] in {"malformed", "incomplete"}


def test_two_signatures_on_one_request_are_refused():
    received = sign()
    received.query = b"X-Amz-Signature=" + b"a" * 64
    assert "incomplete" == refusal(received)[0]


def test_a_presigned_request_names_what_it_lacks():
    received = sign("GET", "/", service="sts", kind=SigV4QueryAuth)
    received.query = received.query.replace(b"X-Amz-Date", b"X-Other")
    message = "AWS query-string parameters must include 'X-Amz-Date'. Re-examine the query-string parameters."
    assert ("incomplete", message) == refusal(received)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"X-Amz-Expires=60", b"X-Amz-Expires=-1"),
        (b"X-Amz-Expires=60", b"X-Amz-Expires=soon"),
        (b"X-Amz-Algorithm=AWS4-HMAC-SHA256", b"X-Amz-Algorithm=none"),
        (b"X-Amz-Expires=60", b"X-Amz-Expires=60&X-Amz-Expires=61"),
        (b"X-Amz-SignedHeaders=host", b"X-Amz-SignedHeaders=accept"),
        (b"X-Amz-Signature=", b"X-Amz-Signature=z"),
    ],
)
def test_a_presigned_request_that_cannot_be_right_is_refused(old, new):
    received = sign("GET", "/", service="sts", kind=SigV4QueryAuth, expires=60)
    assert old in received.query
    received.query = received.query.replace(old, new)
    assert isinstance(received.proof(), NoProof)


def test_a_presigned_time_cannot_be_stretched():
    received = sign("GET", "/", service="sts", kind=SigV4QueryAuth, expires=60)
    received.query = received.query.replace(b"X-Amz-Expires=60", b"X-Amz-Expires=6000")
    assert not holds(received.proof())


def test_s3_streaming_marks_are_refused_rather_than_believed():
    received = sign("PUT", "/k", service="s3", kind=S3SigV4Auth, body=b"x")
    received.set(b"x-amz-content-sha256", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
    assert "incomplete" == refusal(received)[0]
    received.set(b"x-amz-content-sha256", b"0" * 64)
    assert ("malformed", "The provided 'x-amz-content-sha256' header does not match what was computed.") == refusal(
        received
    )


@settings(max_examples=300, deadline=None)
@given(
    authorization=st.one_of(
        st.binary(max_size=80), st.text("AWS4-HMACSH256 Credential=/,;gnturHdsx", max_size=120).map(str.encode)
    ),
    query=st.binary(max_size=60),
    name=st.sampled_from([b"authorization", b"x-amz-date", b"x-amz-content-sha256"]),
)
def test_no_bytes_from_a_stranger_raise(authorization, query, name):
    headers = [(b"host", b"h"), (name, authorization), (b"x-amz-date", b"20261123T000000Z")]
    for given_query in (query, b"X-Amz-Signature=" + query, b"X-Amz-Credential=" + query + b"&X-Amz-Signature=x"):
        build_proof("GET", b"/", given_query, headers, b"")
        claimed_service(headers, given_query)


def test_the_claimed_service_is_read_from_either_form():
    assert "lambda" == claimed_service(sign().headers, b"")
    assert "sts" == claimed_service([], sign("GET", "/", service="sts", kind=SigV4QueryAuth).query)
    assert None is claimed_service([(b"authorization", b"Bearer x")], b"")


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        (b"", b"/"),
        (b"/", b"/"),
        (b"/a/./b", b"/a/b"),
        (b"/a//b/", b"/a/b/"),
        (b"/a/../../b", b"/b"),
        (b"/a/..", b"/"),
        (b"/.well-known/x", b"/.well-known/x"),
        (b"/a/%2E%2E/b", b"/a/%2E%2E/b"),
    ],
)
def test_paths_are_normalized_without_decoding(raw, normal):
    assert normal == normalized_path(raw)


@pytest.mark.parametrize(
    ("raw", "canonical"),
    [
        (b"b=2&a=1", b"a=1&b=2"),
        (b"a=2&a=1", b"a=1&a=2"),
        (b"a", b"a="),
        (b"a=%7e", b"a=~"),
        (b"a=x+y", b"a=x%2By"),
        (b"a=b=c", b"a=b%3Dc"),
        ("ሴ=bar".encode(), b"%E1%88%B4=bar"),
    ],
)
def test_queries_are_sorted_and_encoded_once(raw, canonical):
    assert canonical == canonical_query(raw)
