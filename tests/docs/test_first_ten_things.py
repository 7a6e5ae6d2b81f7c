"""The page of the first ten things is run from top to bottom against a new installation, with the unmodified AWS CLI."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.wire.conftest import RUNTIME, start

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "first-ten-things.md"
ACCOUNT = "111122223333"
PART = re.compile(r"^(?:`(?P<file>[\w.-]+)`:\n\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
END_OF_COMMAND = "--- the command has ended:"
TOOLS = Path(sys.executable).parent


@dataclass(frozen=True, kw_only=True)
class Step:
    """A file to write, or a command to run and what the page shows of it."""

    file: str | None = None
    command: str = ""
    text: str = ""


def steps(page: str) -> list[Step]:
    """The page's files and commands, in order."""
    found: list[Step] = []
    for part in PART.finditer(page):
        if part["file"]:
            found.append(Step(file=part["file"], text=part["text"]))
        elif part["language"] == "console":
            found += commands(part["text"])
    return found


def commands(block: str) -> list[Step]:
    found: list[Step] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Step(command=line[2:]))
        elif line.startswith("> "):
            found[-1] = Step(command=f"{found[-1].command}\n{line[2:]}")
        else:
            found[-1] = Step(command=found[-1].command, text=f"{found[-1].text}{line}\n")
    return found


class Shell:
    """One bash, as somebody who follows the page would have it open."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=directory,
            env={name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEASTWISE_"))}
            | {"PATH": f"{TOOLS}:{os.environ['PATH']}", "HOME": str(directory), "COLUMNS": "200", "TZ": "UTC"},
        )

    def run(self, command: str) -> tuple[str, int]:
        """What the command printed, and its exit code."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{command}\nprintf '\\n%s %s\\n' '{END_OF_COMMAND}' \"$?\"\n")
        self.process.stdin.flush()
        printed = []
        for line in self.process.stdout:
            if line.startswith(END_OF_COMMAND):
                return "".join(printed), int(line.rpartition(" ")[2])
            printed.append(line)
        raise AssertionError(f"the shell ended in {command}:\n{''.join(printed)}")

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def same(shown: str, printed: str) -> bool:
    """Blanks and the ends of lines do not count; `...` on the page stands for anything."""
    pattern = r".*?".join(re.escape(" ".join(part.split())) for part in shown.split("..."))
    return re.fullmatch(pattern, " ".join(printed.split())) is not None


@pytest.fixture
def directory(tmp_path):
    """Where somebody stands who has just started a new platform."""
    running = start(tmp_path / ".leastwise", "--account-id", ACCOUNT)
    try:
        yield tmp_path
    finally:
        ended = running.stop()
    assert ended == 0, running.log.read_text()[-4000:]


@pytest.fixture
def shell(directory):
    opened = Shell(directory)
    yield opened
    opened.close()


def test_there_are_ten_things_and_each_has_commands_that_show_something():
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    assert [f"{number}." for number in range(1, 11)] == [section.split()[0] for section in sections]
    assert [] == [section for section in sections if not any(step.command and step.text for step in steps(section))]


@pytest.mark.parametrize(
    ("shown", "printed", "alike"),
    [
        ("a b\nc\n", "a  b c", True),
        ("a ... c", "a b c", True),
        ("a ...", "b c", False),
        ("", "an error", False),
        ("a.c", "abc", False),
    ],
)
def test_what_is_shown_is_compared_word_by_word(shown, printed, alike):
    assert alike is same(shown, printed)


def test_the_page_is_exactly_what_works(shell, directory):
    wrong = []
    for step in steps(PAGE.read_text(encoding="utf-8")):
        if step.file:
            (directory / step.file).write_text(step.text, encoding="utf-8")
            continue
        printed, code = shell.run(step.command.replace("python3.11", RUNTIME))
        if not same(step.text, printed):
            wrong.append(f"$ {step.command}\n-- the page shows:\n{step.text}-- it printed ({code}):\n{printed}")
    assert wrong == [], "\n".join(wrong)
