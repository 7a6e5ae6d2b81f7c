"""Policy documents at the door: well-formed, and of the right kind."""

from __future__ import annotations

import json
from typing import Any

from leastwise.iam.interface import PolicyKind
from leastwise.iam.policy.document import validate_document


def check_identity(text: str) -> None:
    """A document for an inline or managed policy. Raises: MalformedPolicy."""
    validate_document(text, kind=PolicyKind.IDENTITY)


def check_session(text: str) -> None:
    """A session policy. Raises: MalformedPolicy."""
    validate_document(text, kind=PolicyKind.SESSION)


def check_trust(text: str) -> dict[str, Any]:
    """A role's trust policy, parsed. Raises: MalformedPolicy."""
    validate_document(text, kind=PolicyKind.TRUST)
    document: dict[str, Any] = json.loads(text)
    return document
