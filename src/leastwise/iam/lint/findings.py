"""What lint says: the findings and their grades."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from leastwise.iam.authoring.positioned_json import Path


class Severity(StrEnum):
    """The grades of the Access Analyzer API (`findingType`)."""

    ERROR = "ERROR"
    """The policy cannot be stored, or says what does not exist."""
    SECURITY_WARNING = "SECURITY_WARNING"
    """It may allow more than it should."""
    WARNING = "WARNING"
    """A part of it does not do what it seems to."""
    SUGGESTION = "SUGGESTION"
    """It could be said better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One finding.

    Args:
        severity: see `Severity`.
        code: AWS Access Analyzer's issue code where it has one, else ours in the same style.
        message: what is the matter, one sentence or two.
        path: names and indexes from the document's root.
        remedy: what to do.
    """

    severity: Severity
    code: str
    message: str
    path: Path
    remedy: str


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question whether another word was meant, behind a space; nothing when no known word is like it."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.75)
    return f" Did you mean {by_lower[close[0]]}?" if close else ""
