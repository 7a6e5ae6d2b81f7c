"""Links between pages lead somewhere, and every operation is on its page."""

import re
from pathlib import Path

import pytest

from leastwise.flows.operations import operations_table

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MADE_BY_COMMANDS = {ROOT / "benchmarks" / "RESULTS.md"}
"""`make bench` writes it; until somebody did, a link to it leads nowhere."""
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    found = [
        *ROOT.glob("*.md"),
        *(page for top in ("docs", "examples", "benchmarks") for page in (ROOT / top).rglob("*.md")),
    ]
    return sorted(found)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_of_a_page_resolves(page):
    broken = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (page.parent / path).resolve() if path else page
        if target in MADE_BY_COMMANDS:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_of_docs_is_in_the_index():
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text(encoding="utf-8"))
    }
    left_out = [page for page in (ROOT / "docs").rglob("*.md") if page != index and page.resolve() not in linked]
    assert left_out == []


def test_every_operation_is_on_the_reference_page():
    text = (ROOT / "docs" / "reference" / "operations.md").read_text(encoding="utf-8")
    page = {
        (section.partition("\n")[0], name)
        for section in text.split("\n## ")[1:]
        for name in re.findall(r"^\| (\w+) \| ", section, re.MULTILINE)
    }
    assert set(operations_table()) == page - {(service, "operation") for service, _ in page}
