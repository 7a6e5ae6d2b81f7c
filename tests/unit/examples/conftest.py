"""Loads the handlers of the examples as Lambda does: by path, with their directory first on sys.path."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from leastwise.cli.requirements import find_pip

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    loaded = []

    def load_handler(example: str) -> ModuleType:
        monkeypatch.syspath_prepend(str(EXAMPLES / example))
        spec = importlib.util.spec_from_file_location(f"example_{example}", EXAMPLES / example / "handler.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        loaded.append(module)
        return module

    yield load_handler
    sys.modules.pop("report", None)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], None]:
    """Makes an example's locked requirements importable: those that are here, else as `leastwise deploy` installs them."""
    targets: dict[str, Path] = {}

    def install(example: str, module: str) -> None:
        if importlib.util.find_spec(module) is not None or example in targets:
            return
        targets[example] = tmp_path_factory.mktemp(example)
        requirements = EXAMPLES / example / "requirements.txt"
        command = [sys.executable, *find_pip(), "install", "-q", "--only-binary", ":all:", "--require-hashes"]
        subprocess.run([*command, "--target", str(targets[example]), "-r", str(requirements)], check=True)
        sys.path.append(str(targets[example]))

    return install
