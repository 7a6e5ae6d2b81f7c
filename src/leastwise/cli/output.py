"""What a command shows: results on stdout, everything about them on stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_UNPRINTABLE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PIPE_WIDTH: Final = 500


def printable(text: str) -> str:
    """Makes control characters visible, all but newline and tab.

    SECURITY: function names, logs and payloads are other people's text. Escape sequences in them could rewrite what
    the terminal shows, set its title, or paste into its input; bidirectional marks could reorder what is read.
    """
    return _UNPRINTABLE.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


def as_json(value: Any) -> str:
    """JSON for scripts: keys as in AWS's answers, times as ISO 8601."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=_jsonable)


def _jsonable(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    message = f"{type(value).__name__} has no JSON form"
    raise TypeError(message)


class Printer:
    """Prints for a person or for a script.

    Colour, spinners and remarks appear on a terminal only; warnings and errors always, on stderr.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @property
    def for_a_person(self) -> bool:
        """Whether somebody watches: stderr is a terminal."""
        return sys.stderr.isatty()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, value: Any) -> None:
        """Shows `rows` under `columns`, or `value` as JSON."""
        if self.as_json:
            self.json(value)
            return
        from rich import box  # noqa: PLC0415 - a quick start matters more
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
        for index, column in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
            table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(printable(str(cell))) for cell in row))
        self._put(table)

    def record(self, pairs: Mapping[str, object], *, value: Any) -> None:
        """Shows one thing, a line for each of its properties, or `value` as JSON."""
        if self.as_json:
            self.json(value)
            return
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, shown in pairs.items():
            table.add_row(Text(name), Text(printable(str(shown))))
        self._put(table)

    def json(self, value: Any) -> None:
        """A value for scripts."""
        self.text(as_json(value))

    def text(self, text: str) -> None:
        """One line (or several) on stdout: untouched in a pipe, made harmless on a terminal."""
        sys.stdout.write((printable(text) if sys.stdout.isatty() else text) + "\n")
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """A remark for whoever watches; nothing in a pipe."""
        if self.for_a_person:
            sys.stderr.write(printable(text) + "\n")

    def warn(self, text: str) -> None:
        """Something that should not be missed."""
        self._styled("warning: ", text, style="yellow")

    def error(self, text: str, *, hint: str | None = None) -> None:
        """Why the command ends."""
        self._styled("error: ", text, style="red")
        if hint is not None:
            sys.stderr.write(printable(hint) + "\n")

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """A spinner beside `what` while something takes its time; nothing in a pipe."""
        if not self.for_a_person:
            yield
            return
        with _console(sys.stderr).status(what):
            yield

    @staticmethod
    def _put(table: Table) -> None:
        console = _console(sys.stdout)
        if console.is_terminal:
            console.print(table)
            return
        with console.capture() as captured:
            console.print(table)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))

    @staticmethod
    def _styled(label: str, text: str, *, style: str) -> None:
        from rich.text import Text  # noqa: PLC0415

        _console(sys.stderr).print(Text(label + printable(text), style=style), soft_wrap=True)


def _console(stream: TextIO) -> Console:
    """A rich console without markup: no text is ever an instruction to it."""
    from rich.console import Console  # noqa: PLC0415

    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)
