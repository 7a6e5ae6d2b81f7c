"""The policies that the pages show can be stored as they are shown, and what the pages say of them holds."""

import json
import re
from pathlib import Path

import pytest
import yaml

from leastwise.iam.authoring.policy_test_files import read_tests
from leastwise.iam.authoring.policy_tests import run_test
from leastwise.iam.interface import PolicyKind
from leastwise.iam.policy.document import validate_document

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^(?:`(?P<file>[\w./-]+)`:\n\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
"""A block of code; a line with a file's name above it says what to call it."""


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, text) of every block in this language."""
    return [
        (page.relative_to(DOCS).as_posix(), part["text"])
        for page in PAGES
        for part in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if part["language"] == language
    ]


def kind_of(document) -> PolicyKind:
    """A policy with a principal belongs to a resource; to a role when it names none."""
    statements = [statement for statement in document["Statement"] if "Principal" in statement]
    if not statements:
        return PolicyKind.IDENTITY
    return PolicyKind.RESOURCE if "Resource" in statements[0] else PolicyKind.TRUST


def cases_of(page: Path):
    """Every case of the policy test files on a page. A policy file is a block of the page, by its name or the last one."""
    files, last = {}, None
    for part in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if part["language"] == "json":
            last = json.loads(part["text"])
            files[part["file"]] = last
        elif part["language"] == "yaml" and re.search("^cases:", part["text"], re.MULTILINE):
            yield from read_tests(yaml.safe_load(part["text"]), lambda name, last=last: files.get(name) or last)


CASES = [
    pytest.param(test, id=f"{page.stem}: {test.note}")
    for page in PAGES
    if page.stem != "policy-test-files"  # its example is about files that nobody sees
    for test in cases_of(page)
]


def test_there_are_examples():
    assert len(blocks("json")) >= 10
    assert len(CASES) >= 20


@pytest.mark.parametrize(("page", "text"), blocks("json"))
def test_a_policy_that_is_shown_is_well_formed(page, text):
    assert validate_document(text, kind=kind_of(json.loads(text))).statements


@pytest.mark.parametrize("case", CASES)
def test_what_a_page_says_of_a_policy_holds(case):
    result = run_test(case)
    assert case.expected is result.got or result.passed, f"{result.because}; {result.reasons}"


def test_every_denial_that_the_page_of_evaluation_explains_is_said_so():
    """The kinds on the page are those that the engine can name, and every layer of a decision is among them."""
    page = (DOCS / "explanation" / "policy-evaluation.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"^`KIND` is (.*?)\. ", page, re.MULTILINE | re.DOTALL)
    assert {kind.value for kind in PolicyKind} == set(re.findall(r"`([a-z -]+)`", said))
