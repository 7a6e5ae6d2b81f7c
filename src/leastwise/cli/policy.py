"""`leastwise policy`: looks policies over, writes them the one way, compares and tests them. No platform is needed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from leastwise.cli.failures import CommandError
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.policy_compare import diff
from leastwise.cli.policy_documents import STANDARD_INPUT, Kind, PolicyFile, kind_of, open_policy
from leastwise.cli.policy_testing import test

FOUND: Final = 1
"""Exit code of a check that found something."""

app: Final = typer.Typer(
    help="Looks policies over, formats, compares and tests them. Works on files, without a platform.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

FilesArgument = Annotated[list[str], typer.Argument(help="Policy documents, JSON or YAML; - is standard input.")]
KindOption = Annotated[
    Kind | None, typer.Option("--kind", help="What the policies are used as. Unless said, guessed from a Principal.")
]


@app.command()
@with_options
def lint(
    _options: Options,
    printer: Printer,
    files: FilesArgument,
    *,
    kind: KindOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
) -> None:
    """Finds what cannot be stored, never applies, or allows too much. Exit code 1 on errors and security warnings."""
    from leastwise.iam.lint.linter import Severity  # noqa: PLC0415 - a quick start matters more

    grave = {Severity.ERROR, Severity.SECURITY_WARNING} | ({Severity.WARNING} if strict else set())
    rows = [row for file in [open_policy(name) for name in files] for row in _findings(file, kind)]
    if printer.as_json:
        printer.json(rows)
    else:
        for row in rows:
            place = f"{row['File']}:{row['Line']}:{row['Column']}"
            printer.text(
                f"{place}: {row['Severity'].lower().replace('_', ' ')}: {row['Message']} [{row['Code']}]\n    {row['Remedy']}"
            )
        printer.note(f"{len(rows)} findings in {len(files)} files" if rows else f"{len(files)} files, nothing found")
    if any(row["Severity"] in grave for row in rows):
        raise typer.Exit(FOUND)


def _findings(file: PolicyFile, asked: Kind | None) -> list[dict[str, Any]]:
    from leastwise.iam.authoring.positioned_json import Place, UnreadableText  # noqa: PLC0415
    from leastwise.iam.lint.linter import LintFinding, Severity, lint  # noqa: PLC0415 - a quick start matters more

    try:
        read = file.read()
    except UnreadableText as error:
        unreadable = LintFinding(
            severity=Severity.ERROR,
            code="JSON_SYNTAX_ERROR",
            message=f"The document cannot be read: {error.problem}.",
            path=(),
            remedy="Correct it.",
        )
        return [_row(file, unreadable, error.place)]
    text = file.text
    if file.is_yaml and not read.duplicates:
        text = json.dumps(read.value, ensure_ascii=False)
    elif file.is_yaml:
        twice = LintFinding(
            severity=Severity.ERROR,
            code="JSON_DUPLICATE_KEY",
            message=f"{read.duplicates[0][-1]} stands twice in one object.",
            path=read.duplicates[0],
            remedy="Keep one of them.",
        )
        return [_row(file, twice, read.span(twice.path).start)]
    found = lint(text, kind=kind_of(read.value, asked))
    places: list[Place] = [read.span(finding.path).start for finding in found]
    rows = [_row(file, finding, place) for finding, place in zip(found, places, strict=True)]
    return sorted(rows, key=lambda row: (row["Line"], row["Column"]))


def _row(file: PolicyFile, finding: Any, place: Any) -> dict[str, Any]:
    """Lines and columns count from 1, as editors do."""
    return {
        "File": file.name,
        "Line": place.line,
        "Column": place.column + 1,
        "Severity": finding.severity.value,
        "Code": finding.code,
        "Message": finding.message,
        "Path": list(finding.path),
        "Remedy": finding.remedy,
    }


@app.command("format")
@with_options
def format_(
    _options: Options,
    printer: Printer,
    files: FilesArgument,
    *,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 if a file would change.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Rewrite the files in place.")] = False,
) -> None:
    """Writes policies the one way, with the same meaning; to standard output unless --check or --write is given."""
    from leastwise.iam.authoring.rewrite import formatted  # noqa: PLC0415 - a quick start matters more

    read = _formattable(files, check=check, write=write)
    texts = [formatted(file.document()) for file in read]
    changed = [(file, text) for file, text in zip(read, texts, strict=True) if file.text != text]
    if write:
        for file, text in changed:
            _replace(Path(file.name), text)
    if printer.as_json:
        printer.json({"Changed": [file.name for file, _ in changed], "Files": len(files)})
    elif check or write:
        for file, _ in changed:
            printer.text(file.name)
    else:
        for text in texts:
            printer.text(text.removesuffix("\n"))
    if check and changed:
        raise typer.Exit(FOUND)


def _formattable(files: Sequence[str], *, check: bool, write: bool) -> list[PolicyFile]:
    """Every file is read before the first one is written."""
    if check and write:
        message = "--check and --write exclude each other"
        raise CommandError(message)
    if write and STANDARD_INPUT in files:
        message = "standard input cannot be rewritten"
        raise CommandError(message)
    read = [open_policy(name) for name in files]
    for file in read:
        if file.is_yaml:
            message = f"{file.name} is YAML: only JSON is formatted, because comments would be lost"
            raise CommandError(message)
    return read


def _replace(path: Path, text: str) -> None:
    """Writes beside the file and renames, so that no crash leaves half a policy. Mode and symlinks are kept."""
    target = path.resolve()
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).chmod(target.stat().st_mode & 0o777)
        Path(temporary).replace(target)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


app.command()(diff)
app.command()(test)
