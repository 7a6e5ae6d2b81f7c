"""Writes docs/reference/operations.md from the table of operations. A test compares the two."""  # noqa: INP001 - a script

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Final

from leastwise.flows.interface import Operation
from leastwise.flows.operations import operations_table

PAGE: Final = Path(__file__).parent / "reference" / "operations.md"
INTRODUCTION: Final = """\
# Operations

Made from `src/leastwise/flows/operations.py` by `docs/generate_operations.py`; change the table, not this page.

These {count} operations can be called. Every other one is answered with the error `NotImplementedException`
(`NotImplemented` from the services with XML answers), HTTP status 501, and never with success.

- **IAM action**: what a policy must allow. Some calls need more: `CreateFunction` and `UpdateFunctionConfiguration` need
  `iam:PassRole` on the role they hand over. A dash: everybody who signs may call it, as on AWS.
- **event class**: how the trail's record is classed. See [the trail](../explanation/the-trail-and-usage.md).
- **access**: whether it changes anything, in the sense of the trail's `readOnly`.
"""


def table(operations: list[Operation]) -> str:
    """One service's rows, by name."""
    lines = ["| operation | IAM action | event class | access |", "| --- | --- | --- | --- |"]
    for row in sorted(operations, key=lambda operation: operation.name):
        action = f"`{row.action}`" if row.action else "-"
        lines.append(f"| {row.name} | {action} | {row.event_class.value} | {row.access.value} |")
    return "\n".join(lines)


def reference() -> str:
    """The whole page."""
    rows = list(operations_table().values())
    sections = [INTRODUCTION.format(count=len(rows))]
    for service, operations in groupby(sorted(rows, key=lambda row: row.service), key=lambda row: row.service):
        sections.append(f"## {service}\n\n{table(list(operations))}\n")
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")
