"""Secrets at rest and session tokens: AES-256-GCM under keys derived from the installation's key."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

INSTALL_KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12

_FORMAT: Final = b"\x01"
"""First byte of everything sealed, so that another cipher can come beside this one."""


class SealBrokenError(Exception):
    """What was to be opened was not sealed here, not for this, or was changed since."""


class Seal:
    """Seals for one purpose. What one seal closed, no other opens: every purpose has its own derived key.

    Args:
        install_key: 32 random bytes that the installation keeps.
        purpose: what is sealed (`access key secrets`), never reused for something else.
    """

    __slots__ = ("_cipher",)

    def __init__(self, install_key: bytes, *, purpose: str) -> None:
        if len(install_key) != INSTALL_KEY_BYTES:
            message = f"the install key must have {INSTALL_KEY_BYTES} bytes"
            raise ValueError(message)
        derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"leastwise {purpose}".encode())
        self._cipher = AESGCM(derived.derive(install_key))

    def close(self, plaintext: bytes, *, bound_to: str, nonce: bytes) -> bytes:
        """Encrypts and authenticates.

        Args:
            plaintext: the secret.
            bound_to: the name of what it belongs to; it opens only under the same name.
            nonce: 12 random bytes, never used twice.
        """
        # SECURITY: bound to its row, so that nobody who can write to the database can move one key's secret to another.
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plaintext, bound_to.encode())

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """Raises: SealBrokenError."""
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != _FORMAT or len(nonce) != NONCE_BYTES:
            raise SealBrokenError
        try:
            return self._cipher.decrypt(nonce, ciphertext, bound_to.encode())
        except InvalidTag as error:
            raise SealBrokenError from error
