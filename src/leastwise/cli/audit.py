"""`leastwise audit verify`: reads the files, not the API, so that it needs nobody's word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from leastwise.cli.failures import CommandError, ExitCode
from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer

app = typer.Typer(help="Looks at the trail of everything that was done.", rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def audit() -> None:
    """Looks at the trail of everything that was done."""


@app.command()
@with_options
def verify(options: Options, printer: Printer) -> None:
    """Re-hashes every record of the trail. Exit code 4 on any doubt."""
    if not options.data_dir.is_dir():
        message = f"there is no data directory at {options.data_dir}"
        raise CommandError(message, hint="--data names another one.")
    from leastwise.kernel.errors import LeastwiseError  # noqa: PLC0415 - a quick start matters more
    from leastwise.wiring.audit import verify as verify_trail  # noqa: PLC0415

    with _bar(printer) as progress:
        try:
            verdict = verify_trail(options.data_dir, progress)
        except LeastwiseError as error:
            raise CommandError(error.message, code=ExitCode.DOUBT) from error
    # INVARIANT: nothing verified is not verified.
    sound = not verdict.doubts and verdict.entries > 0
    value = {
        "Sound": sound,
        "Entries": verdict.entries,
        "Head": verdict.head,
        "TornTailBytes": verdict.torn_tail_bytes,
        "Doubts": [{"Sequence": doubt.sequence, "Problem": doubt.problem} for doubt in verdict.doubts],
    }
    shown: dict[str, object] = {
        "trail": "sound" if sound else "NOT SOUND",
        "entries": f"{verdict.entries:,}",
        "head": verdict.head,
    }
    if verdict.torn_tail_bytes:
        shown["unfinished tail"] = f"{verdict.torn_tail_bytes} bytes, never acknowledged"
    for number, doubt in enumerate(verdict.doubts, start=1):
        where = "" if doubt.sequence is None else f"record {doubt.sequence}: "
        shown[f"doubt {number}"] = where + doubt.problem
    printer.record(shown, value=value)
    if not sound:
        message = f"{len(verdict.doubts)} doubts" if verdict.doubts else "the trail is empty: nothing was verified"
        raise CommandError(message, code=ExitCode.DOUBT)


@contextmanager
def _bar(printer: Printer) -> Iterator[Callable[[int, int], None]]:
    """A progress bar for whoever watches; nothing in a pipe."""
    if not printer.for_a_person:
        yield lambda _done, _whole: None
        return
    from rich.console import Console  # noqa: PLC0415 - a quick start matters more
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("verifying"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("verifying")
        yield lambda done, whole: bar.update(task, completed=done, total=whole)
