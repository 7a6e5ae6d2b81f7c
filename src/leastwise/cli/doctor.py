"""`leastwise doctor`."""

from __future__ import annotations

from leastwise.cli.options import Options, with_options
from leastwise.cli.output import Printer


@with_options
def doctor(_options: Options, printer: Printer) -> None:
    """Says what isolation this machine gives, and what is weaker than it should be."""
    from leastwise.wiring.doctor import examine  # noqa: PLC0415 - a quick start matters more

    findings = examine()
    value = [{"Subject": found.subject, "Good": found.good, "Detail": found.detail} for found in findings]
    rows = [("ok" if found.good else "WEAK", found.subject, found.detail) for found in findings]
    printer.table(("", "what", "how it is"), rows, value=value)
    weak = sum(not found.good for found in findings)
    if weak:
        printer.warn(f"{weak} of {len(findings)} are weaker than they should be")
