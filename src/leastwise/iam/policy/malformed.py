"""How a policy document is refused: AWS's sentence first, then the place."""

from __future__ import annotations

from typing import NoReturn

from leastwise.iam.interface import MalformedPolicy

_LONGEST_QUOTE = 200


def refuse(sentence: str, place: str) -> NoReturn:
    """Raises `MalformedPolicy` with a sentence of IAM's API."""
    message = f"{sentence} ({place})"
    raise MalformedPolicy(message)


def refuse_syntax(place: str, problem: str) -> NoReturn:
    """Raises `MalformedPolicy` for what IAM calls "Syntax errors in policy.", and says which."""
    message = f"Syntax errors in policy. ({place} {problem})"
    raise MalformedPolicy(message)


def quoted(text: str) -> str:
    """A part of a document, short enough for a message."""
    return text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
