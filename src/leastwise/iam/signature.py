"""Judges an AWS Signature Version 4 proof against a secret.

Source: IAM User Guide, "Create a signed AWS API request", steps 4 (signing key) and 5 (signature), and the messages of
"Troubleshoot signed requests".
"""

from __future__ import annotations

import hmac
from collections import OrderedDict
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

from leastwise.iam.interface import ExpiredProof, IncompleteSignature, SignatureMismatch
from leastwise.kernel.call import SigV4Proof
from leastwise.kernel.units import MINUTE_MS, SECOND_MS

SKEW_MS: Final = 15 * MINUTE_MS
"""How far a request's own time may be from ours, either way."""
MAX_EXPIRES_S: Final = 7 * 24 * 3600
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class SigningKeys:
    """Derived signing keys, the least recently used forgotten first. A key is good for one day, region and service.

    SECURITY: stale secrets. The secret's digest is part of the name, so a rotated or re-created key never meets the
    signing key of its predecessor; and neither secrets nor derived keys show in a repr.

    Args:
        capacity: most keys kept.
    """

    def __init__(self, *, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._keys: OrderedDict[tuple[str, bytes, str, str, str], hmac.HMAC] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def signer(self, proof: SigV4Proof, secret: str) -> hmac.HMAC:
        """A fresh HMAC with the key that signs what the proof's scope names."""
        secret_bytes = secret.encode()
        name = (proof.access_key_id, sha256(secret_bytes).digest(), proof.date, proof.region, proof.service)
        keyed = self._keys.get(name)
        if keyed is None:
            # 4 the signing key
            key = b"AWS4" + secret_bytes
            for part in (proof.date, proof.region, proof.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            keyed = self._keys[name] = hmac.new(key, digestmod="sha256")
            if len(self._keys) > self._capacity:
                self._keys.popitem(last=False)
        else:
            self._keys.move_to_end(name)
        return keyed.copy()


def verify(proof: SigV4Proof, secret: str, *, now_ms: int, signing_keys: SigningKeys) -> None:
    """Returns when the proof holds.

    Args:
        proof: as the door built it.
        secret: the secret access key that belongs to `proof.access_key_id`.
        now_ms: epoch ms.
        signing_keys: the cache.

    Raises:
        ExpiredProof: signed too long ago, presigned and past its time, or too far in the future.
        IncompleteSignature: presigned for more than seven days.
        SignatureMismatch: the signature is another.
    """
    _check_time(proof, now_ms)
    # 5 the signature
    signer = signing_keys.signer(proof, secret)
    signer.update(proof.string_to_sign)
    # SECURITY: timing. A comparison that stops at the first difference tells a forger how far he got.
    if not hmac.compare_digest(signer.hexdigest().encode(), proof.signature.encode("utf-8", "surrogatepass")):
        raise SignatureMismatch(_MISMATCH)


def _check_time(proof: SigV4Proof, now_ms: int) -> None:
    """SECURITY: replay. An overheard request is worth something for 15 minutes, a presigned one until it expires."""
    signed_at_ms = proof.signed_at_ms
    if signed_at_ms > now_ms + SKEW_MS:
        words = f"Signature not yet current: {_stamp(signed_at_ms)} is still later than {_stamp(now_ms + SKEW_MS)}"
        message = f"{words} ({_stamp(now_ms)} + 15 min.)"
        raise ExpiredProof(message)
    if proof.expires_s is None:
        if signed_at_ms < now_ms - SKEW_MS:
            words = f"Signature expired: {_stamp(signed_at_ms)} is now earlier than {_stamp(now_ms - SKEW_MS)}"
            message = f"{words} ({_stamp(now_ms)} - 15 min.)"
            raise ExpiredProof(message)
        return
    if proof.expires_s > MAX_EXPIRES_S or proof.expires_s < 0:
        words = (
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than"
        )
        message = f"{words} {MAX_EXPIRES_S} seconds"
        raise IncompleteSignature(message)
    expires_at_ms = signed_at_ms + proof.expires_s * SECOND_MS
    if expires_at_ms < now_ms:
        message = f"Signature expired: {_stamp(expires_at_ms)} is now earlier than {_stamp(now_ms)}"
        raise ExpiredProof(message)


def _stamp(epoch_ms: int) -> str:
    return f"{datetime.fromtimestamp(epoch_ms // SECOND_MS, UTC):%Y%m%dT%H%M%SZ}"
