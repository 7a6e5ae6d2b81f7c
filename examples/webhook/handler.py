"""Receives signed webhooks, and believes nothing that is not signed.

The sender signs `timestamp + "." + body` with HMAC-SHA256 and a secret that both know, and sends
`X-Webhook-Signature: t=1764000000,v1=<64 hex digits>`. While a secret is being replaced it may send two `v1`.

The event and the response are those of an API Gateway HTTP API (payload format 2.0) and of function URLs.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import time
from collections import OrderedDict

SIGNATURE_HEADER = "x-webhook-signature"
WINDOW_S = 300
SHORTEST_SECRET = 32
LARGEST_BODY_BYTES = 256 * 1024
MOST_SIGNATURES = 4
REMEMBERED = 10_000


def load_secrets(environ) -> tuple[bytes, ...]:
    """The present secret, and the previous one while it is being replaced.

    A function without a good secret must not start: whoever can guess it can send anything.
    """
    secrets = [environ.get("WEBHOOK_SECRET", ""), environ.get("WEBHOOK_SECRET_PREVIOUS", "")]
    if len(secrets[0]) < SHORTEST_SECRET or 0 < len(secrets[1]) < SHORTEST_SECRET:
        raise RuntimeError(f"WEBHOOK_SECRET must be set and have at least {SHORTEST_SECRET} characters")
    return tuple(secret.encode() for secret in secrets if secret)


class Refused(Exception):
    """An answer that is not a success. Strangers get to see `status` and `message`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Deliveries:
    """The deliveries that this environment has processed: id -> hash of the body, oldest first, bounded.

    This catches the usual quick retry. It is forgotten with the environment, and every environment has its own: where
    twice would be harmful, put the idempotency key under a unique constraint in your database.
    """

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._digests: OrderedDict[str, str] = OrderedDict()

    def is_repeated(self, key: str, digest: str) -> bool:
        known = self._digests.get(key)
        if known is not None and not hmac.compare_digest(known, digest):
            raise Refused(409, "this id was used for another body")
        return known is not None

    def remember(self, key: str, digest: str) -> None:
        self._digests[key] = digest
        while len(self._digests) > self._most:
            self._digests.popitem(last=False)


SECRETS = load_secrets(os.environ)
DELIVERIES = Deliveries()


def handler(event, context):
    """The entry point."""
    try:
        return receive(event, secrets=SECRETS, deliveries=DELIVERIES, now_s=int(time.time()))
    except Refused as refusal:
        print(json.dumps({"message": "refused", "status": refusal.status, "reason": str(refusal)}))
        return respond(refusal.status, {"error": str(refusal)})


def receive(event, *, secrets, deliveries, now_s: int):
    """Checks, then processes. Nothing in the body is looked at before its signature holds."""
    method = event.get("requestContext", {}).get("http", {}).get("method")
    if method != "POST":
        raise Refused(405, "only POST")
    body = read_body(event)
    headers = {str(name).lower(): value for name, value in (event.get("headers") or {}).items()}
    verify(headers.get(SIGNATURE_HEADER), body, secrets=secrets, now_s=now_s)

    try:
        delivery = json.loads(body)
    except ValueError:
        raise Refused(400, "the body is not JSON") from None
    # The id is taken from the body because the signature covers it; a header could be changed on the way.
    key = delivery.get("id") if isinstance(delivery, dict) else None
    if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", key):
        raise Refused(400, "the body needs an id of 1 to 64 letters, digits, - and _")

    digest = hashlib.sha256(body).hexdigest()
    repeated = deliveries.is_repeated(key, digest)
    if not repeated:
        process(delivery, idempotency_key=key)
        # Only now: a delivery that failed half-way must be processed when it comes again.
        deliveries.remember(key, digest)
    return respond(200, {"id": key, "repeated": repeated})


def read_body(event) -> bytes:
    """The body's bytes, exactly as they were sent: a body that is parsed and written again has another signature."""
    body = event.get("body") or ""
    if not isinstance(body, str) or len(body) > LARGEST_BODY_BYTES * 4 // 3 + 4:
        raise Refused(413, "the body is too large")
    try:
        content = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except (binascii.Error, UnicodeEncodeError):
        raise Refused(400, "the body cannot be decoded") from None
    if len(content) > LARGEST_BODY_BYTES:
        raise Refused(413, "the body is too large")
    return content


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """What the sender does."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def verify(header, body: bytes, *, secrets, now_s: int) -> None:
    """Raises `Refused(401)` unless one signature in the header was made with one of the secrets, not long ago.

    One message for every reason: a stranger must not learn how far they got.
    """
    refusal = Refused(401, "no valid signature")
    pairs = [part.strip().partition("=") for part in str(header or "").split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    claimed = [value for name, _, value in pairs if name == "v1"]
    # An age-old or future request may be a recorded one. The time is under the signature, so it cannot be refreshed.
    if len(stamps) != 1 or not re.fullmatch(r"[0-9]{1,12}", stamps[0]) or abs(now_s - int(stamps[0])) > WINDOW_S:
        raise refusal
    if not 1 <= len(claimed) <= MOST_SIGNATURES:
        raise refusal
    valid = False
    for secret in secrets:
        expected = sign(secret, stamps[0], body).encode()
        for signature in claimed:
            # compare_digest takes the same time wherever the first difference is, so a signature cannot be guessed
            # byte by byte; no early exit, so neither can the secret that fits.
            valid |= hmac.compare_digest(expected, signature.encode("utf-8", "surrogatepass"))
    if not valid:
        raise refusal


def process(delivery: dict, *, idempotency_key: str) -> None:
    """Your work goes here. Pass the key on to whatever you call, so that it can recognise a repetition too."""
    print(json.dumps({"message": "processed", "id": idempotency_key, "type": str(delivery.get("type"))[:64]}))


def respond(status: int, body: dict) -> dict:
    """A response in payload format 2.0."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
