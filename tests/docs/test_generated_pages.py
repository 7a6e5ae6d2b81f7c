"""Pages that are made from the code say what the code says now."""

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def load(script: str):
    spec = importlib.util.spec_from_file_location(script, DOCS / f"{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "script", ["generate_actions", "generate_cli", "generate_configuration", "generate_operations"]
)
def test_a_generated_page_is_current(script):
    module = load(script)
    assert module.reference() == module.PAGE.read_text(encoding="utf-8")
