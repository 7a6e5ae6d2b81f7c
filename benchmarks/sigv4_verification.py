"""SigV4 verifications per second, beside a verifier made of botocore's own signer, in the same run.

2,000 requests, all with other bodies and invocation ids, as boto3 sends them: six signed headers, 300 bytes of body.
Both sides get the request as it came off the wire and say whether its signature holds. Rounds alternate.
"""

from __future__ import annotations

import hmac
import statistics
import time
import uuid

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from leastwise.api.sigv4 import build_proof
from leastwise.iam.signature import SigningKeys, verify

KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
PATH = "/2015-03-31/functions/orders-process/invocations"
HOST = "127.0.0.1:9470"
REQUESTS = 2000
ROUNDS = 5
TARGET = 3


def received() -> list[tuple[list[tuple[bytes, bytes]], bytes]]:
    """(headers, body) of signed requests as an ASGI server hands them over."""
    made = []
    for number in range(REQUESTS):
        body = b'{"order": "%06d", "note": "%s"}' % (number, b"x" * 270)
        headers = {
            "X-Amz-Invocation-Type": "RequestResponse",
            "Content-Type": "application/json",
            "amz-sdk-invocation-id": str(uuid.uuid4()),
            "amz-sdk-request": "attempt=1",
        }
        request = AWSRequest("POST", f"http://{HOST}{PATH}", data=body, headers=headers)
        SigV4Auth(KEYS, "lambda", "eu-west-1").add_auth(request)
        unsigned = [
            (b"host", HOST.encode()),
            (b"user-agent", b"Boto3/1.44 md/Botocore#1.44"),
            (b"content-length", b"300"),
        ]
        made.append((unsigned + [(k.lower().encode(), v.encode()) for k, v in request.headers.items()], body))
    return made


def ours(requests) -> float:
    keys = SigningKeys()
    start = time.perf_counter()
    for headers, body in requests:
        proof = build_proof("POST", PATH.encode(), b"", headers, body)
        verify(proof, KEYS.secret_key, now_ms=proof.signed_at_ms, signing_keys=keys)
    return time.perf_counter() - start


def theirs(requests) -> float:
    signer = SigV4Auth(KEYS, "lambda", "eu-west-1")
    start = time.perf_counter()
    for headers, body in requests:
        given = {name.decode(): value.decode() for name, value in headers}
        _, signed, claimed = (part.partition("=")[2] for part in given["authorization"].split(", "))
        only = {name: given[name] for name in signed.split(";")}
        request = AWSRequest("POST", f"http://{given['host']}{PATH}", data=body, headers=only)
        request.context["timestamp"] = given["x-amz-date"]
        text = signer.string_to_sign(request, signer.canonical_request(request))
        assert hmac.compare_digest(signer.signature(text, request), claimed)
    return time.perf_counter() - start


def run() -> list[dict]:
    requests = received()
    ours(requests[:100]), theirs(requests[:100])
    pairs = [(ours(requests), theirs(requests)) for _ in range(ROUNDS)]
    our_rate = REQUESTS / statistics.median(mine for mine, _ in pairs)
    their_rate = REQUESTS / statistics.median(other for _, other in pairs)
    ratio = statistics.median(other / mine for mine, other in pairs)
    return [
        {"name": "leastwise: proof built and judged", "value": our_rate, "unit": "verifications/s"},
        {"name": "a verifier made of botocore's signer", "value": their_rate, "unit": "verifications/s"},
        {"name": "ratio", "value": ratio, "unit": "x", "target": f">= {TARGET}", "met": ratio >= TARGET},
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
