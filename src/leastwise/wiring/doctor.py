"""`leastwise doctor`: what isolation this machine gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from leastwise.linux import doctor
from leastwise.linux.cgroups import detect_cgroups
from leastwise.linux.doctor import Grade
from leastwise.linux.privileges import detect_privileges
from leastwise.wiring.machine import this_machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's: `good` is False for what is weaker than it should be."""

    subject: str
    good: bool
    detail: str


def examine() -> list[Finding]:
    """Looks at everything the sandbox is built from."""
    driver = this_machine().driver(data=Path.cwd(), packages=Path("/"), serve_platform=None, pool=0)
    found = doctor.examine(detect_privileges(), detect_cgroups("doctor"), driver.runtimes())
    return [Finding(subject=one.subject, good=one.grade is Grade.GOOD, detail=one.text) for one in found]
