"""Writes docs/reference/configuration.md from the settings. A test compares the two."""  # noqa: INP001 - a script

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Final

from leastwise.wiring.settings import Settings

PAGE: Final = Path(__file__).parent / "reference" / "configuration.md"
INTRODUCTION: Final = """\
# Configuration

Made from `src/leastwise/wiring/settings.py` by `docs/generate_configuration.py`; change the settings, not this page.

`leastwise up` needs none. Settings come from a TOML file (`--config FILE`), then from environment variables, then from
the command line; later ones win. A key that is not in this table is an error. All are read once, at the start.

```toml
listen = "127.0.0.1:9470"
region = "eu-central-1"
idle_minutes = 5
```

The data directory cannot be set in the file: it is `--data`, else `LEASTWISE_DATA`, else `./.leastwise`.
"""


def meanings() -> dict[str, str]:
    """What each setting means, from the docstring of `Settings`."""
    arguments = inspect.cleandoc(Settings.__doc__ or "").partition("Args:\n")[2]
    return {found[1]: found[2] for found in re.finditer(r"^ +(\w+): (.+)$", arguments, re.MULTILINE)}


def reference() -> str:
    """The whole page.

    Raises:
        KeyError: a setting has no line in the docstring.
    """
    meaning = meanings()
    lines = ["| key | environment variable | default | meaning |", "| --- | --- | --- | --- |"]
    for field in fields(Settings):
        if field.name == "data":
            continue
        default = "-" if field.default in (None, MISSING) else f"`{field.default}`"
        lines.append(f"| `{field.name}` | `LEASTWISE_{field.name.upper()}` | {default} | {meaning[field.name]} |")
    return INTRODUCTION + "\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")
