"""Which pip installs a function's requirements."""

import hashlib
import importlib.util

import pytest

from leastwise.cli import requirements
from leastwise.cli.failures import CommandError


@pytest.fixture
def no_pip_installed(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pip" else find_spec(name))


@pytest.fixture
def wheel(tmp_path):
    file = tmp_path / "pip-1-py3-none-any.whl"
    file.write_bytes(b"wheel")
    (tmp_path / "SHA256SUMS").write_text(f"{hashlib.sha256(b'wheel').hexdigest()}  {file.name}\n")
    return file


def test_without_a_pip_of_its_own_the_one_of_the_checkout_is_run(no_pip_installed, wheel):
    assert requirements.find_pip(wheel.parent) == (f"{wheel}/pip",)


def test_the_checkout_brings_a_pip_along(no_pip_installed):
    assert requirements.find_pip()[0].endswith(".whl/pip")


def test_a_pip_that_is_not_the_recorded_one_is_not_run(no_pip_installed, wheel):
    wheel.write_bytes(b"another")
    with pytest.raises(CommandError, match="SHA256SUMS"):
        requirements.find_pip(wheel.parent)


def test_without_any_pip_the_message_says_so(no_pip_installed, tmp_path):
    with pytest.raises(CommandError, match="needs pip"):
        requirements.find_pip(tmp_path)
