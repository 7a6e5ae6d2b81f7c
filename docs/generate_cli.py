"""Writes docs/reference/cli.md from the command's own help. A test compares the two."""  # noqa: INP001 - a script

from __future__ import annotations

from pathlib import Path
from typing import Final

from typer.testing import CliRunner

from leastwise.cli.main import app

PAGE: Final = Path(__file__).parent / "reference" / "cli.md"
COMMANDS: Final = (
    (),
    ("up",),
    ("deploy",),
    ("invoke",),
    ("logs",),
    ("functions",),
    ("whoami",),
    ("usage",),
    ("audit",),
    ("audit", "verify"),
    ("doctor",),
)
INTRODUCTION: Final = """\
# The command line

Made from `--help` by `docs/generate_cli.py`; change the command, not this page.

Every command is a client of the HTTP API like any other (boto3), but `up`, `doctor` and `audit verify`, which work on
this machine. `--output json` is for scripts: its keys stay, and are AWS's where AWS has them. Results go to stdout,
everything about them to stderr; colours, spinners and remarks appear on a terminal only.

**Whose keys**: those of `--profile`; else of `AWS_PROFILE`; else `AWS_ACCESS_KEY_ID`; else the profile `leastwise` of the
data directory. A profile is looked up in the data directory first, then in the AWS files. **Which endpoint**:
`--endpoint-url`, else `AWS_ENDPOINT_URL`, else the profile's. Without one nothing is called. Plain HTTP is for this
machine; elsewhere it must be TLS.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | the platform answered with an error |
| 2 | the command, or a file it names, is wrong |
| 3 | the function ran and failed |
| 4 | doubt about the trail |
| 5 | nobody answers at the endpoint |

**What `deploy` packs**: everything in the directory but version control, virtual environments, caches, `.env` files, key
directories, the platform's data directory and what `.leastwiseignore` names (one pattern a line, as in `.gitignore`,
without negation). Links out of the directory are refused. For Python `requirements.txt` is installed into the package:
wheels only, and with hashes only what fits them. The same files give the same bytes, so unchanged code is not uploaded.
Markers in `requirements.txt` (`; python_version ...`) are judged for the Python that runs the command.
"""


def reference() -> str:
    """The whole page."""
    sections = [INTRODUCTION]
    for command in COMMANDS:
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
