"""What import-linter cannot say about the house."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "leastwise"
SUBJECTS = ("iam", "functions", "metering", "logs", "runtime", "audit")
LENT = {
    # Pure words and numbers that two subjects must say alike.
    "leastwise.logs.lines",
    "leastwise.logs",
    "leastwise.metering.usage",
}
FORBIDDEN_NAMES = ("utils", "helpers", "common", "manager", "base")


def modules(*packages):
    for package in packages or ("",):
        yield from (SOURCE / package).rglob("*.py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("leastwise."):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("leastwise."))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_imports_only_the_interface_of_another(subject):
    others = {f"leastwise.{other}" for other in SUBJECTS if other != subject}
    strangers = {
        (path.name, module)
        for path in modules(subject)
        for module in imports(path)
        if ".".join(module.split(".")[:2]) in others and not module.endswith(".interface") and module not in LENT
    }
    assert strangers == set()


def test_no_module_is_named_after_a_technique():
    assert [path for path in modules() if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES] == []


def test_what_runs_inside_the_sandbox_imports_nothing_of_the_rest():
    strangers = {
        (path.name, module)
        for path in modules("guest")
        for module in imports(path)
        if not module.startswith("leastwise.guest")
    }
    assert strangers == set()


def test_no_http_status_and_no_aws_code_below_the_doors():
    codes = re.compile(r"\"(?:[A-Z][a-zA-Z]+Exception|NoSuchEntity|InvalidClientTokenId)\"")
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in modules("kernel", "iam", "functions", "metering", "logs", "runtime", "audit")
        if codes.search(path.read_text())
    }
    assert found == set()


def test_every_file_that_a_page_names_exists():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    named = re.compile(r"`((?:src|tests|benchmarks|docs|tools|requirements|examples)/[\w./-]+)`")
    missing = {
        (page.name, name) for page in pages for name in named.findall(page.read_text()) if not (ROOT / name).exists()
    }
    assert missing == set()


def test_the_where_to_go_table_leads_somewhere():
    text = (ROOT / "ARCHITECTURE.md").read_text().split("## Floors")[0]
    named = re.findall(r"`([\w/]+\.py)`", text)
    assert len(named) > 10
    assert [name for name in named if not (SOURCE / name).exists()] == []


def test_no_file_names_a_place_of_one_machine_or_a_package_index_option():
    tracked = [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not {".git", ".venv", ".bench-venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".hypothesis"}
        & set(path.relative_to(ROOT).parts)
        and path.suffix in {".py", ".md", ".txt", ".toml", ".in", ".yaml", ".js", ".mjs", ""}
    ]
    forbidden = ("/work/" + "main", "/root/" + ".pyenv", "--index" + "-url")
    found = {
        (path.relative_to(ROOT).as_posix(), word)
        for path in tracked
        for word in forbidden
        if word in path.read_text(errors="ignore")
    }
    assert found == set()
