"""The options every command takes, before its name as well as behind it."""

from __future__ import annotations

import functools
import inspect
import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from leastwise.cli.failures import explain
from leastwise.cli.output import Printer

DEFAULT_DATA: Final = Path(".leastwise")
DATA_VARIABLE: Final = "LEASTWISE_DATA"


class OutputFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What was asked for; None is "not said"."""

    output: OutputFormat | None = None
    data: Path | None = None
    profile: str | None = None
    endpoint_url: str | None = None
    region: str | None = None
    debug: bool | None = None

    @property
    def data_dir(self) -> Path:
        """Where `leastwise up` keeps everything: --data, else LEASTWISE_DATA, else ./.leastwise."""
        return self.data or Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA)

    @property
    def json(self) -> bool:
        return self.output is OutputFormat.JSON

    def overridden_by(self, later: Options) -> Options:
        """What was said behind the command's name wins over what was said before it."""
        said = {field.name: getattr(later, field.name) for field in fields(later)}
        return replace(self, **{name: value for name, value in said.items() if value is not None})


OutputOption = Annotated[OutputFormat | None, typer.Option("--output", help="How to print results; table unless said.")]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help=f"Data directory of the platform, with its profile and keys: ${DATA_VARIABLE}, else ./{DEFAULT_DATA}.",
    ),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Profile of the data directory or of the AWS files.")
]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint-url", metavar="URL", help="Where the platform listens; from the profile.")
]
RegionOption = Annotated[str | None, typer.Option("--region", metavar="NAME", help="Region; from the profile.")]
DebugOption = Annotated[
    bool | None, typer.Option("--debug", envvar="LEASTWISE_DEBUG", help="Show the traceback of an error.")
]


def remember(
    ctx: typer.Context,
    *,
    output: OutputOption = None,
    data: DataOption = None,
    profile: ProfileOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    debug: DebugOption = None,
) -> None:
    """Keeps the options that were given before the command's name."""
    earlier = ctx.obj if isinstance(ctx.obj, Options) else Options()
    ctx.obj = earlier.overridden_by(
        Options(output=output, data=data, profile=profile, endpoint_url=endpoint_url, region=region, debug=debug)
    )


_OPTION_PARAMETERS: Final = tuple(inspect.signature(remember, eval_str=True).parameters.values())


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the options above, turns its errors into one line and an exit code.

    Args:
        command: takes an `Options` and a `Printer` first, then what typer finds in the rest of its signature.
    """
    own = tuple(inspect.signature(command, eval_str=True).parameters.values())[2:]

    @functools.wraps(command)
    def run(*, ctx: typer.Context, **values: Any) -> None:
        said = Options(**{field.name: values.pop(field.name, None) for field in fields(Options)})
        options = (ctx.obj if isinstance(ctx.obj, Options) else Options()).overridden_by(said)
        printer = Printer(as_json=options.json)
        try:
            command(options, printer, **values)
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise
        except Exception as error:
            if options.debug:
                traceback.print_exc()
            failure = explain(error)
            printer.error(failure.message, hint=failure.hint)
            raise typer.Exit(int(failure.code)) from error

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *_OPTION_PARAMETERS)]
    del run.__wrapped__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
