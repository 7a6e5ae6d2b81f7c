"""Which environments are kept, and which are let go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """One environment that waits for work. Times are monotonic milliseconds."""

    environment_id: str
    born_ms: int
    idle_since_ms: int
    memory_mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How long environments are kept.

    Args:
        idle_ms: an environment without work for so long is retired (scale to zero).
        age_ms: an environment so old is retired when it is idle, whatever its work: its credentials end.
        least_free_mib: below so much free memory the longest idle ones go at once.
    """

    idle_ms: int
    age_ms: int
    least_free_mib: int


def choose_retirements(idle: Iterable[Idle], *, now_ms: int, free_mib: int, keeping: Keeping) -> tuple[str, ...]:
    """Ids of the environments to retire now, longest idle first.

    Under memory pressure as many go as it takes to make the shortage good, counting each at what it may use.
    """
    retired: list[str] = []
    staying: list[Idle] = []
    for environment in sorted(idle, key=lambda one: one.idle_since_ms):
        too_idle = now_ms - environment.idle_since_ms >= keeping.idle_ms
        too_old = now_ms - environment.born_ms >= keeping.age_ms
        if too_idle or too_old:
            retired.append(environment.environment_id)
        else:
            staying.append(environment)
    shortage_mib = keeping.least_free_mib - free_mib
    for environment in staying:
        if shortage_mib <= 0:
            break
        retired.append(environment.environment_id)
        shortage_mib -= environment.memory_mib
    return tuple(retired)
