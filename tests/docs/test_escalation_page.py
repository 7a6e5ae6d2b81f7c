"""The reference of escalations says what the table says."""

import importlib.util
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "docs" / "generate_escalations.py"


def test_the_page_of_escalations_is_current():
    spec = importlib.util.spec_from_file_location("generate_escalations", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.reference() == module.PAGE.read_text(encoding="utf-8")
