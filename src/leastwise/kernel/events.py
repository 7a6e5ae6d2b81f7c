"""How the trail classes what happens. Source: CloudTrail record contents (eventCategory, readOnly)."""

from __future__ import annotations

from enum import StrEnum


class EventClass(StrEnum):
    """Management events change or read the configuration; data events use what is configured."""

    MANAGEMENT = "Management"
    DATA = "Data"


class Access(StrEnum):
    """The IAM access level of an operation, coarse: does it change anything?"""

    READ = "Read"
    WRITE = "Write"
