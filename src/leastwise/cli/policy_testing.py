"""`leastwise policy test`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from leastwise.cli.failures import CommandError
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer
from leastwise.cli.policy_documents import STANDARD_INPUT, open_policy

if TYPE_CHECKING:
    from leastwise.iam.authoring.policy_tests import PolicyTest, PolicyTestResult

FAILED: Final = 1
_SUFFIXES: Final = frozenset({".yaml", ".yml"})


@with_options
def test(
    _options: Options,
    printer: Printer,
    paths: Annotated[
        list[str], typer.Argument(help="Test files (YAML), or directories of them.", metavar="FILE|DIR...")
    ],
) -> None:
    """Runs policy test files on the real engine. Exit code 1 if a case fails, 2 if a file cannot be read."""
    from leastwise.iam.authoring.policy_tests import run_test  # noqa: PLC0415 - a quick start matters more

    # Every file is read before the first case runs.
    read = [(file, _tests(file)) for file in _files(paths)]
    results = [(file, run_test(case)) for file, cases in read for case in cases]
    failed = [(file, result) for file, result in results if not result.passed]
    if printer.as_json:
        printer.json([_value(file, result) for file, result in results])
    else:
        for file, result in failed:
            printer.text("\n".join(_report(file, result)))
        printer.text(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    if failed:
        raise typer.Exit(FAILED)


def _files(paths: Sequence[str]) -> Iterator[str]:
    for name in paths:
        path = Path(name)
        if not path.is_dir():
            yield name
            continue
        found = sorted(item for item in path.rglob("*") if item.suffix.lower() in _SUFFIXES and item.is_file())
        if not found:
            message = f"there is no test file in {name}"
            raise CommandError(message)
        yield from map(str, found)


def _tests(name: str) -> tuple[PolicyTest, ...]:
    from leastwise.cli.policy_yaml import read_yaml  # noqa: PLC0415 - a quick start matters more
    from leastwise.iam.authoring.policy_test_files import BadTestFile, read_tests  # noqa: PLC0415
    from leastwise.iam.authoring.positioned_json import UnreadableText  # noqa: PLC0415

    file = open_policy(name)
    beside = Path() if name == STANDARD_INPUT else Path(name).parent
    try:
        read = read_yaml(file.text)
        if read.duplicates:
            place = read.span(read.duplicates[0]).start
            message = f"{file.name}:{place.line}: {read.duplicates[0][-1]} stands there twice"
            raise CommandError(message)

        def load(policy: str) -> Mapping[str, Any]:
            return open_policy(str(beside / policy)).document()

        return read_tests(read.value, load)
    except UnreadableText as error:
        message = f"{file.name}:{error.place.line}:{error.place.column + 1}: {error.problem}"
        raise CommandError(message) from error
    except BadTestFile as error:
        message = f"{file.name}: {error}"
        raise CommandError(message) from error


def _report(file: str, result: PolicyTestResult) -> Iterator[str]:
    request = result.test.request
    principal = request.principal.role_arn or request.principal.arn
    yield f"FAILED {file}: {result.test.note}"
    yield f"    {request.action} on {request.resource} by {principal}"
    yield f"    expected {result.test.expected}, got {result.got}: {result.because}"
    for reason in result.reasons:
        yield f"    {reason}"
    if result.unsaid:
        yield f"    the case does not say: {', '.join(result.unsaid)}"


def _value(file: str, result: PolicyTestResult) -> dict[str, Any]:
    request = result.test.request
    return {
        "File": file,
        "Note": result.test.note,
        "Principal": request.principal.role_arn or request.principal.arn,
        "Action": request.action,
        "Resource": request.resource,
        "Expected": result.test.expected.value,
        "Got": result.got.value,
        "Passed": result.passed,
        "Because": result.because,
        "Reasons": list(result.reasons),
        "Unsaid": list(result.unsaid),
    }
