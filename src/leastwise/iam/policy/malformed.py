"""How a policy document is refused: AWS's sentence first, then the place, then what stands there.

A place is the path from the top of the document, `Statement[0](AllowRead).Action[2]`: position of the statement, its
Sid if it has one, element, position in the list.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from leastwise.iam.interface import MalformedPolicy

_LONGEST_QUOTE: Final = 200
_LONGEST_SID: Final = 64
# SECURITY: what is quoted goes into answers (XML, JSON), records and logs: control characters, lone surrogates and
# direction marks would break the first or forge a line of the last.
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def refuse(sentence: str, place: str, *, value: str | None = None) -> NoReturn:
    """Raises `MalformedPolicy` with a sentence of IAM's API.

    Args:
        sentence: as IAM says it.
        place: where.
        value: what stands there, when the sentence does not repeat it.
    """
    shown = "" if value is None else f': "{quoted(value)}"'
    message = f"{sentence} ({place}{shown})"
    raise MalformedPolicy(message)


def refuse_syntax(place: str, problem: str) -> NoReturn:
    """Raises `MalformedPolicy` for what IAM calls "Syntax errors in policy.", and says which."""
    message = f"Syntax errors in policy. ({place} {problem})"
    raise MalformedPolicy(message)


def quoted(text: str) -> str:
    """A part of a document, short enough for a message and safe to print."""
    cut = text if len(text) <= _LONGEST_QUOTE else text[:_LONGEST_QUOTE] + "..."
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)


def statement_place(index: int, sid: object) -> str:
    """Where a statement stands: `Statement[0]`, or `Statement[0](AllowRead)` when it says what it is called."""
    if isinstance(sid, str) and 0 < len(sid) <= _LONGEST_SID:
        return f"Statement[{index}]({quoted(sid)})"
    return f"Statement[{index}]"


def item_place(place: str, element: str, value: object, index: int) -> str:
    """Where one of an element's values stands; without a position when the element is not a list."""
    return f"{place}.{element}[{index}]" if isinstance(value, list) else f"{place}.{element}"
