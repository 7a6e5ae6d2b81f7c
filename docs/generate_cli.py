"""Writes docs/reference/cli.md from the command's own help. A test compares the two."""  # noqa: INP001 - a script

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from typer.main import get_command
from typer.testing import CliRunner

from leastwise.cli.main import EXIT_CODES, app

PAGE: Final = Path(__file__).parent / "reference" / "cli.md"
INTRODUCTION: Final = """\
# The command line

Made from `--help` by `docs/generate_cli.py`; change the command, not this page.

Most commands are clients of the HTTP API like any other (boto3). `up`, `doctor` and `audit verify` work on this
machine; `policy lint`, `format`, `test` and `diff` work on files alone, without a platform and without keys.
`--output json` is for scripts: its keys stay, and are AWS's where AWS has them. Results go to stdout,
everything about them to stderr; colours, spinners and remarks appear on a terminal only.

**Whose keys**: those of `--profile`; else of `AWS_PROFILE`; else `AWS_ACCESS_KEY_ID`; else the profile `leastwise` of the
data directory. A profile is looked up in the data directory first, then in the AWS files. **Which endpoint**:
`--endpoint-url`, else `AWS_ENDPOINT_URL`, else the profile's. Without one nothing is called. Plain HTTP is for this
machine; elsewhere it must be TLS.

{exit_codes}

**What `deploy` packs**: everything in the directory but version control, virtual environments, caches, `.env` files, key
directories, the platform's data directory and what `.leastwiseignore` names (one pattern a line, as in `.gitignore`,
without negation). Links out of the directory are refused. For Python `requirements.txt` is installed into the package:
wheels only, and with hashes only what fits them. The same files give the same bytes, so unchanged code is not uploaded.
Markers in `requirements.txt` (`; python_version ...`) are judged for the Python that runs the command.
"""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every command and group, each group before what is in it, as the help lists them."""
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


def exit_codes() -> str:
    """The table, from what `leastwise --help` says."""
    rows = [line.split(maxsplit=1) for line in EXIT_CODES.splitlines() if line.strip()[:1].isdigit()]
    return "\n".join(["| exit code | meaning |", "| --- | --- |", *(f"| {code} | {said} |" for code, said in rows)])


def reference() -> str:
    """The whole page."""
    sections = [INTRODUCTION.replace("{exit_codes}", exit_codes())]
    for command in commands(get_command(app)):
        name = " ".join(("leastwise", *command))
        # A help text must not depend on the terminal or the user of whoever makes the page.
        shown = CliRunner().invoke(
            app, [*command, "--help"], prog_name="leastwise", env={"COLUMNS": "100", "LEASTWISE_DEBUG": ""}
        )
        sections.append(f"## {name}\n\n```text\n{shown.stdout.strip()}\n```\n")
    return "\n".join(sections)


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")
