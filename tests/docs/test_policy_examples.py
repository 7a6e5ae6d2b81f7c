"""The policies that the pages show can be stored as they are shown."""

import re
from pathlib import Path

import pytest

from leastwise.iam.interface import PolicyKind
from leastwise.iam.policy.document import validate_document

PAGES = sorted((Path(__file__).parents[2] / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [(page.stem, block) for page in PAGES for block in BLOCK.findall(page.read_text(encoding="utf-8"))]


def test_there_are_examples():
    assert len(SHOWN) >= 3


@pytest.mark.parametrize(("page", "text"), SHOWN)
def test_a_policy_that_is_shown_is_well_formed(page, text):
    assert validate_document(text, kind=PolicyKind.IDENTITY).statements
