"""The page of condition keys names every key that is supplied, and no other."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "leastwise"
NAMESPACES = "aws|iam|sts|lambda|leastwise|organizations"
SUPPLIED = re.compile(rf'f?"((?:{NAMESPACES}):[a-z]+)(?:/(?:\{{[^"]*)?)?"\]?(?: =|:| \+| = | \+ )')
CHAINED = re.compile(rf'context\["((?:{NAMESPACES}):[a-z]+)"\]')
TAGS = re.compile(rf'tag_context\("((?:{NAMESPACES}):[a-z]+)/"')
PLACED = re.compile(r'yield f"aws:\{whose\}([a-z]+)"')
CLOCK = re.compile(r'^[A-Z_]+: Final = "(leastwise:[a-z]+)"$', re.MULTILINE)
NOT_KEYS = {"leastwise:package"}
"""Where `flows.deploy` keeps what it unpacked."""


def supplied() -> set[str]:
    files = [*(SOURCE / "flows").glob("*.py"), SOURCE / "iam" / "policy" / "context.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    found = {*SUPPLIED.findall(text), *CHAINED.findall(text), *TAGS.findall(text)}
    tree = (SOURCE / "iam" / "account_tree.py").read_text(encoding="utf-8")
    found |= {f"aws:{whose}{key}" for key in PLACED.findall(tree) for whose in ("principal", "resource", "source")}
    found |= set(CLOCK.findall((SOURCE / "iam" / "policy" / "clockkeys.py").read_text(encoding="utf-8")))
    return found - NOT_KEYS


def on_the_page() -> set[str]:
    page = (ROOT / "docs" / "explanation" / "conditions.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    return {key.lower() for row in rows for key in re.findall(rf"`((?:{NAMESPACES}):\w+)", row)}


def test_there_are_many():
    assert len(supplied()) > 40


def test_every_supplied_key_is_on_the_page_and_every_key_on_the_page_is_supplied():
    assert supplied() == on_the_page()
