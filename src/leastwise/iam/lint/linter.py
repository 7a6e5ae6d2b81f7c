"""Looks a policy document over: what cannot be stored, what never applies, what allows more than it should.

Pure and offline. Each rule is a small function in one of the `lint_*` modules and has an offending and a clean example
in tests/cases/lint. Issue codes are those of AWS Access Analyzer where it has one.

Source: IAM User Guide, "Access Analyzer policy check reference".
"""

from __future__ import annotations

from itertools import chain, islice
from typing import Final

from leastwise.iam.authoring.positioned_json import UnreadableText, read_json
from leastwise.iam.interface import MalformedPolicy, PolicyKind
from leastwise.iam.lint import (
    actions,
    conditions,
    contradictions,
    keys,
    reach,
    risks,
    shape,
)
from leastwise.iam.lint.draft import Draft
from leastwise.iam.lint.findings import LintFinding, Severity
from leastwise.iam.policy.document import LONGEST_DOCUMENT, validate_document

__all__ = ["LintFinding", "Severity", "lint"]

_RULES: Final = (
    *shape.RULES,
    *actions.RULES,
    *keys.RULES,
    *conditions.RULES,
    *contradictions.RULES,
    *risks.RULES,
    *reach.RULES,
)
_MOST_FINDINGS: Final = 500
_ORDER: Final = {severity: place for place, severity in enumerate(Severity)}


def lint(
    document: str, *, kind: PolicyKind, attached_to: str | None = None, longest: int = LONGEST_DOCUMENT
) -> tuple[LintFinding, ...]:
    """Every finding about a document, the gravest first.

    INVARIANT: a document that the door refuses (`document.validate_document`) has a finding of severity ERROR.

    Args:
        document: JSON text.
        kind: what the policy will be used as.
        attached_to: ARN of what it will hang on, if that is known; decides how large it may be.
        longest: characters; of a longer document nothing else is said.

    Returns:
        Nothing when there is nothing to say; the first 500 otherwise. Never raises on a document, however broken.
    """
    if len(document) > LONGEST_DOCUMENT:
        return (_refused(f"The document is longer than {LONGEST_DOCUMENT:,} characters."),)
    if len(document) > longest:
        return (shape.too_large(len(document), longest, kind=kind),)
    try:
        read = read_json(document)
    except UnreadableText as error:
        where = f"line {error.place.line}, column {error.place.column + 1}"
        return (
            LintFinding(
                severity=Severity.ERROR,
                code="JSON_SYNTAX_ERROR",
                message=f"The document is not JSON: {error.problem} ({where}).",
                path=(),
                remedy="Correct the JSON.",
            ),
        )
    if not isinstance(read.value, dict):
        return (_refused("The document must be an object."),)
    twice = [
        LintFinding(
            severity=Severity.ERROR,
            code="JSON_DUPLICATE_KEY",
            message=f"{path[-1]} stands twice in one object; two readers may keep different ones.",
            path=path,
            remedy="Keep one of them.",
        )
        for path in read.duplicates
    ]
    draft = Draft(raw=read.value, text=document, kind=kind, attached_to=attached_to)
    found = [*twice, *islice(chain.from_iterable(rule(draft) for rule in _RULES), _MOST_FINDINGS)]
    if not any(finding.severity is Severity.ERROR for finding in found):
        try:
            validate_document(document, kind=kind)
        except MalformedPolicy as refusal:
            found.append(_refused(refusal.message))
    return tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))


def _refused(message: str) -> LintFinding:
    return LintFinding(
        severity=Severity.ERROR,
        code="POLICY_SYNTAX_ERROR",
        message=message,
        path=(),
        remedy="Correct what the message names.",
    )
