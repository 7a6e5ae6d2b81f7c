"""Writes docs/reference/escalations.md from the table of ways. A test compares the two."""  # noqa: INP001 - a script

from __future__ import annotations

from pathlib import Path
from typing import Final

from leastwise.iam.escalation.ways import WAYS, Gain

PAGE: Final = Path(__file__).parent / "reference" / "escalations.md"
INTRODUCTION: Final = """\
# Ways to escalate privileges

Made from `src/leastwise/iam/escalation/ways.py` by `docs/generate_escalations.py`; change the table, not this page.

`leastwise iam escalations` tries these {count} ways, alone and in chains
([how to use it](../howto/find-escalations.md)). Each has a fixture in
`tests/unit/iam/reasoning/test_escalation_ways.py`. Where several actions stand in one cell, any of them will do. Ways
through services that this platform does not offer are not tried.
"""
TITLES: Final = {
    Gain.RAISE: ("More for a principal", "For oneself, or for a principal that one can become."),
    Gain.BECOME: ("Becoming somebody else", "Who is reached that way goes on with what it may do."),
    Gain.MAKE: ("Making somebody", "A new principal that may do everything."),
}


def reference() -> str:
    """The whole page."""
    parts = [INTRODUCTION.format(count=len(WAYS))]
    for gain, (title, remark) in TITLES.items():
        rows = ["| way | calls | what is done |", "| --- | --- | --- |"]
        rows += [f"| {way.id} | {_calls(way.actions)} | {way.story} |" for way in WAYS.values() if way.gain is gain]
        parts.append(f"## {title}\n\n{remark}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _calls(actions: tuple[str, ...]) -> str:
    return ", then ".join(" or ".join(f"`{one.strip()}`" for one in action.split("|")) for action in actions)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
