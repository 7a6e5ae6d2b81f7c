"""Writes docs/reference/lint.md from the cases of lint. A test compares the two."""  # noqa: INP001 - a script

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from leastwise.iam.interface import PolicyKind
from leastwise.iam.lint.linter import lint

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "lint.md"
CASES: Final = ROOT / "tests" / "cases" / "lint"
LONG: Final = "x" * 7000
DEFAULTS: Final = {
    "Effect": "Allow",
    "Action": "lambda:GetFunction",
    "Resource": "arn:aws:lambda:us-east-1:111122223333:function:f1",
}
INTRODUCTION: Final = """\
# What lint finds

Made by `docs/generate_lint.py` from `tests/cases/lint`, which the tests run; change the cases, not this page.

`leastwise policy lint` and Access Analyzer's `ValidatePolicy` find these {count} issues
([how to use them](../howto/test-policies-in-ci.md)). Codes are those of AWS Access Analyzer where it has one. Each has a
policy that offends and one that is clean in this respect; members that a statement leaves out stand as in
`{defaults}`.
"""


def reference() -> str:
    """The whole page."""
    cases: dict[str, dict[str, Any]] = {}
    for path in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(path.read_text(encoding="utf-8")):
            cases.setdefault(case["code"], case)
    parts = [INTRODUCTION.format(count=len(cases), defaults=json.dumps(DEFAULTS))]
    parts += ["\n".join(section(case)) for _, case in sorted(cases.items())]
    return "\n".join(parts)


def section(case: Mapping[str, Any]) -> Iterator[str]:
    """One code."""
    kind = PolicyKind[case.get("kind", "identity").upper()]
    [found] = [one for one in lint(document(case["offends"], case), kind=kind) if one.code == case["code"]]
    yield f"## {case['code']}\n"
    yield f"{case['severity']}, in a policy of the kind {kind.name.lower().replace('_', ' ')}.\n"
    yield f"For example: {shortened(found.message)} {found.remedy}\n"
    for title, example in (("Offends", case["offends"]), ("Clean", case["clean"])):
        yield f"{title}:\n\n```text\n{example if isinstance(example, str) else json.dumps(example)}\n```\n"


def shortened(message: str) -> str:
    """As text of a page: no markup of it."""
    return "".join("\\" + mark if mark in "*_[]<>" else mark for mark in message.replace(LONG, "LONG"))


def document(example: Any, case: Mapping[str, Any]) -> str:
    """The policy that an example stands for, as `tests/unit/iam/policy/test_lint.py` makes it."""
    if isinstance(example, str):
        return example
    if case.get("whole"):
        return json.dumps(example)
    statements = [filled(one, case) for one in (example if isinstance(example, list) else [example])]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}).replace("LONG", LONG)


def filled(raw: Mapping[str, Any], case: Mapping[str, Any]) -> dict[str, Any]:
    """A statement with the members that every case leaves out."""
    statement = {**DEFAULTS, **raw}
    for negated in ("NotAction", "NotResource"):
        if negated in raw and negated.removeprefix("Not") not in raw:
            del statement[negated.removeprefix("Not")]
    if case.get("kind") == "trust" and "Resource" not in raw:
        del statement["Resource"]
    return statement


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
