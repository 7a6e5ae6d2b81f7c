"""Runs the benchmarks and writes RESULTS.md. Each module has `run() -> list[dict]` (name, value, unit, and for ratios
`target` and `met`, or `ratio` and `peer`). Usage: run_all.py [module ...]."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

HERE = Path(__file__).resolve().parent
MODULES = (
    "policy_decisions",
    "policy_hostile",
    "sigv4_verification",
    "audit_append",
    "warm_roundtrip",
    "cold_start",
    "burst",
    "density",
    "gateway",
)


TARGETS = {
    # least ratio against the peer of the same run; SPECIFICATION.md, "Speed"
    "cold start: leastwise, from the pool": 7,
    "cold start: leastwise, on demand": 4,
    "cold start: leastwise, from the pool, boto3": 40,
    "burst of 500: leastwise": 5,
    "memory per environment, json": 2,
    "memory per environment, boto3": 7,
}


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def machine() -> str:
    cpu = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    user = "root" if os.geteuid() == 0 else "ordinary user"
    return f"{os.cpu_count()} x {cpu}, Linux {platform.release()}, CPython {platform.python_version()}, as {user}"


def row_text(row: dict) -> tuple[str, ...]:
    value = row["value"]
    figure = f"{value:,.2f}" if isinstance(value, float) and value < 100 else f"{value:,.0f}"
    ratio = row.get("ratio")
    against = "" if ratio is None else f"{ratio:g} x {row.get('peer', '')}"
    target, met = row.get("target"), row.get("met")
    if row["name"] in TARGETS and ratio is not None:
        target, met = f">= {TARGETS[row['name']]} x", ratio >= TARGETS[row["name"]]
    verdict = "" if target is None else f"{target} {'met' if met else 'NOT MET'}"
    return row["name"], figure, row["unit"], against, verdict


def main() -> None:
    console = Console()
    names = sys.argv[1:] or MODULES
    parts = []
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("benchmarks", total=len(names))
        for name in names:
            progress.update(task, description=name)
            rows = load(name).run()
            parts.append((name, rows))
            progress.advance(task)
    text = [
        "# Results",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}. Written by `make bench`; ratios count, absolute times are this",
        "machine's. Peers run in the same process of measuring, interleaved where the benchmark says so.",
        "",
    ]
    for name, rows in parts:
        table = Table("what", "value", "unit", "against", "target", title=name)
        text += [f"## {name}", "", "| what | value | unit | against | target |", "| --- | ---: | --- | --- | --- |"]
        for row in rows:
            cells = row_text(row)
            table.add_row(*cells)
            text.append("| " + " | ".join(cells) + " |")
        text.append("")
        console.print(table)
    if not sys.argv[1:]:
        (HERE / "RESULTS.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
