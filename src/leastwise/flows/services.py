"""The services that handlers may use, gathered for one argument."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Filled in by `wiring.build`."""
