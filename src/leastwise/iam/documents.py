"""Policy documents at the door: well-formed, and of the right kind."""

from __future__ import annotations

import json
from typing import Any

from leastwise.iam.interface import PolicyKind
from leastwise.iam.policy.document import check_current_version, validate_document


def check_inline(text: str) -> None:
    """A document for an inline policy, of any version of the language. Raises: MalformedPolicy."""
    validate_document(text, kind=PolicyKind.IDENTITY)


def check_managed(text: str) -> None:
    """A document for a managed policy, of the present version of the language. Raises: MalformedPolicy."""
    check_current_version(validate_document(text, kind=PolicyKind.IDENTITY))


def check_session(text: str) -> None:
    """A session policy. Raises: MalformedPolicy."""
    validate_document(text, kind=PolicyKind.SESSION)


def check_trust(text: str) -> dict[str, Any]:
    """A role's trust policy, parsed. Raises: MalformedPolicy."""
    validate_document(text, kind=PolicyKind.TRUST)
    document: dict[str, Any] = json.loads(text)
    return document
