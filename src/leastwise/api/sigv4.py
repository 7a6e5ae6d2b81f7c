"""Builds the proof of AWS Signature Version 4 from a request as it was received. Judging it is `iam`'s.

Source: IAM User Guide, "Create a signed AWS API request". The numbers in the code are that page's steps:
1 canonical request, 2 hash of it, 3 string to sign. Steps 4 and 5 (key and signature) are in `iam/signature.py`.

This is on the hot path: what stays the same between requests of one client (credential, signed headers, order of the
headers) is worked out once and kept by template.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes

from leastwise.api.canonical import canonical_path, canonical_query
from leastwise.api.sigv4_terms import (
    ALGORITHM,
    MISMATCH,
    MISSING,
    NO_DATE,
    SIGNATURE,
    RefusedError,
    Template,
    hashed,
    make_template,
    read_authorization,
    read_credential,
    read_instant,
    refuse,
    stamp_of,
    wrong_date,
)
from leastwise.kernel.call import NoProof, SigV4Proof

Headers = Sequence[tuple[bytes, bytes]]

_EMPTY_SHA256: Final = sha256(b"").hexdigest().encode()
_SPACE: Final = 32
_AUTHORIZATION: Final = b"authorization"
_KEPT_TEMPLATES: Final = 2048
_NEEDED_IN_QUERY: Final = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "X-Amz-Date",
)
UNSIGNED_PAYLOAD: Final = b"UNSIGNED-PAYLOAD"

_templates: dict[tuple[bytes, tuple[bytes, ...]], Template] = {}


def claimed_service(headers: Headers, query: bytes) -> str | None:
    """The service in the credential scope, to find the right words for an answer; None when nothing is claimed."""
    for name, value in headers:
        if name == b"authorization":
            _, found, rest = value.partition(b"Credential=")
            parts = rest.partition(b",")[0].split(b"/")
            return parts[-2].decode("latin-1") if found and len(parts) >= 5 else None  # noqa: PLR2004 - key/date/region/service/term
    if b"X-Amz-Credential=" in query:
        parts = unquote_to_bytes(query.partition(b"X-Amz-Credential=")[2].partition(b"&")[0]).split(b"/")
        return parts[-2].decode("latin-1") if len(parts) >= 5 else None  # noqa: PLR2004
    return None


def build_proof(method: str, raw_path: bytes, query: bytes, headers: Headers, body: bytes) -> SigV4Proof | NoProof:
    """The proof that a request carries.

    Args:
        method: upper case.
        raw_path: percent-encoded as received.
        query: percent-encoded as received, without the question mark.
        headers: as received, names in lower case.
        body: the whole body.

    Returns:
        a proof to be judged, or `NoProof` in AWS's words. Never raises for anything a stranger can send.
    """
    names = tuple([name for name, _ in headers])
    authorization = None
    if _AUTHORIZATION in names:
        if names.count(_AUTHORIZATION) > 1:
            return NoProof(reason="incomplete", message="Request has more than one Authorization header.")
        authorization = headers[names.index(_AUTHORIZATION)][1]
    try:
        if authorization is not None:
            if b"X-Amz-Signature=" in query:
                # SECURITY: confused deputy between two signatures: one request carries one proof.
                message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query "
                message += "string parameter or the Authorization header should be specified"
                return NoProof(reason="incomplete", message=message)
            return _from_header(method, raw_path, query, headers, names, body, authorization)
        if b"X-Amz-" in query and (b"X-Amz-Signature=" in query or b"X-Amz-Credential=" in query):
            return _from_query(method, raw_path, query, headers, body)
    except RefusedError as refused:
        return refused.proof
    return MISSING


def _from_header(  # noqa: PLR0917 - the five parts of a request and its header, on the hot path
    method: str,
    raw_path: bytes,
    query: bytes,
    headers: Headers,
    names: tuple[bytes, ...],
    body: bytes,
    authorization: bytes,
) -> SigV4Proof | NoProof:
    head, _, signature = authorization.rpartition(b"Signature=")
    template = _templates.get((head, names))
    if template is None:
        template, signature = read_authorization(authorization, names)
        if head.endswith((b", ", b",", b" ")) and authorization == head + b"Signature=" + signature:
            if len(_templates) >= _KEPT_TEMPLATES:
                _templates.clear()
            _templates[(head, names)] = template
    elif SIGNATURE.fullmatch(signature) is None:
        return NoProof(reason="malformed", message=MISMATCH)
    credential = template.credential
    if template.date_at < 0:
        refuse("incomplete", NO_DATE + hashed(authorization))
    stamp = headers[template.date_at][1].strip()
    if template.date_is_rfc822:
        stamp = stamp_of(stamp)
    signed_at_ms = read_instant(stamp)
    if stamp[:8] != credential.date_bytes:
        return NoProof(reason="malformed", message=wrong_date(credential.date, stamp))
    token_at = template.token_at
    return SigV4Proof(
        access_key_id=credential.access_key_id,
        session_token=None if token_at < 0 else headers[token_at][1].decode("latin-1"),
        date=credential.date,
        region=credential.region,
        service=credential.service,
        signed_at_ms=signed_at_ms,
        string_to_sign=_string_to_sign(
            template,
            stamp,
            method,
            canonical_path(raw_path, once=credential.service == "s3"),
            canonical_query(query) if query else b"",
            headers,
            _body_hash(credential.service, body, None if template.hash_at < 0 else headers[template.hash_at][1]),
        ),
        signature=signature.decode("ascii"),
    )


def _body_hash(service: str, body: bytes, claimed: bytes | None) -> bytes:
    """The payload hash of the canonical request.

    SECURITY: body tampering. Outside S3 the hash is always that of the body that came; a claimed hash or
    `UNSIGNED-PAYLOAD` only makes the signature fail. S3's streaming forms sign each chunk, which nothing here checks.
    """
    if service != "s3":
        return sha256(body).hexdigest().encode() if body else _EMPTY_SHA256
    if claimed is None:
        refuse("incomplete", "Missing required header for this request: x-amz-content-sha256")
    if claimed == UNSIGNED_PAYLOAD:
        return claimed
    if claimed.startswith(b"STREAMING-"):
        refuse("incomplete", "Streaming payload signatures are not implemented by Leastwise.")
    if claimed != sha256(body).hexdigest().encode():
        refuse("malformed", "The provided 'x-amz-content-sha256' header does not match what was computed.")
    return claimed


def _string_to_sign(  # noqa: PLR0917 - the parts of a request in their order, on the hot path
    template: Template, stamp: bytes, method: str, path: bytes, query: bytes, headers: Headers, body_hash: bytes
) -> bytes:
    # 1 the canonical request: method, path, query, headers, names of the signed headers, payload hash
    lines = b"\n".join([prefix + headers[at][1] for prefix, at in template.columns])
    if (
        template.repeated
        or b"  " in lines
        or b" \n" in lines
        or b": " in lines
        or b"\t" in lines
        or lines[-1] == _SPACE
    ):
        lines = _folded(template, headers)
    canonical = b"\n".join((method.encode("ascii"), path, query, lines, template.signed_headers, body_hash))
    # 2 and 3 its hash, below algorithm, instant and scope
    return b"\n".join((ALGORITHM, stamp, template.credential.scope, sha256(canonical).hexdigest().encode()))


def _folded(template: Template, headers: Headers) -> bytes:
    """The canonical headers where a value is repeated, or holds white space that is trimmed or folded."""
    folded = []
    for at, (prefix, place) in enumerate(template.columns):
        places = template.repeated.get(at, (place,))
        folded.append(prefix + b",".join([b" ".join(headers[one][1].split()) for one in places]))
    return b"\n".join(folded)


def _from_query(method: str, raw_path: bytes, query: bytes, headers: Headers, body: bytes) -> SigV4Proof | NoProof:
    """A presigned request. Its parameters are part of the canonical query, all but the signature."""
    given, rest = _read_parameters(query)
    if given["X-Amz-Algorithm"] != ALGORITHM.decode():
        refuse("incomplete", f"Unsupported AWS 'algorithm': '{given['X-Amz-Algorithm'][:64]}'.")
    signature = given["X-Amz-Signature"]
    if SIGNATURE.fullmatch(signature.encode("latin-1")) is None:
        return NoProof(reason="malformed", message=MISMATCH)
    expires = given.get("X-Amz-Expires", "900")
    if not expires.isascii() or not expires.isdigit() or len(expires) > 9:  # noqa: PLR2004 - thirty years
        refuse("incomplete", "X-Amz-Expires must be a non-negative number of seconds")
    credential = read_credential(given["X-Amz-Credential"].encode("latin-1"))
    names = tuple(name for name, _ in headers)
    signed = given["X-Amz-SignedHeaders"].encode("latin-1")
    template = make_template(credential, signed, names, presigned=True)
    if template.token_at >= 0 or template.date_at >= 0:
        refuse("incomplete", "A presigned request carries its date and token in the query string only.")
    stamp = given["X-Amz-Date"].encode("latin-1")
    signed_at_ms = read_instant(stamp)
    if stamp[:8] != credential.date_bytes:
        return NoProof(reason="malformed", message=wrong_date(credential.date, stamp))
    is_s3 = credential.service == "s3"
    return SigV4Proof(
        access_key_id=credential.access_key_id,
        session_token=given.get("X-Amz-Security-Token"),
        date=credential.date,
        region=credential.region,
        service=credential.service,
        signed_at_ms=signed_at_ms,
        expires_s=int(expires),
        string_to_sign=_string_to_sign(
            template,
            stamp,
            method,
            canonical_path(raw_path, once=is_s3),
            canonical_query(b"&".join(rest)),
            headers,
            UNSIGNED_PAYLOAD if is_s3 else _body_hash(credential.service, body, None),
        ),
        signature=signature,
    )


def _read_parameters(query: bytes) -> tuple[dict[str, str], list[bytes]]:
    """The signature's own parameters by name, and every pair that is part of what was signed."""
    given: dict[str, str] = {}
    rest: list[bytes] = []
    for pair in query.split(b"&"):
        key, _, value = pair.partition(b"=")
        name = unquote_to_bytes(key).decode("latin-1")
        if name.startswith("X-Amz-"):
            if name in given:
                refuse("incomplete", f"Query parameter '{name[:64]}' is given more than once.")
            given[name] = unquote_to_bytes(value).decode("latin-1")
        if name != "X-Amz-Signature":
            rest.append(pair)
    missing = [
        f"AWS query-string parameters must include '{name}'. " for name in _NEEDED_IN_QUERY if not given.get(name)
    ]
    if missing:
        refuse("incomplete", "".join(missing) + "Re-examine the query-string parameters.")
    return given, rest
