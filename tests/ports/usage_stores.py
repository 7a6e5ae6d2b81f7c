"""A `metering.interface.UsageStore` in memory, which keeps the same port as SQL, and can fail on demand."""

from __future__ import annotations

from dataclasses import replace

from leastwise.kernel import errors
from leastwise.metering.interface import UsageTotal


class MemoryUsageStore:
    def __init__(self) -> None:
        self.position = -1
        self.sums: dict[tuple[str, str, str], UsageTotal] = {}
        self.fail_before = self.fail_after = False

    async def counted_up_to(self) -> int:
        return self.position

    async def add(self, totals: tuple[UsageTotal, ...], *, counted_up_to: int) -> None:
        if self.fail_before:
            raise errors.Unavailable("not taken")
        if counted_up_to > self.position:
            for total in totals:
                key = (total.account_id, total.function_arn, total.day)
                old = self.sums.get(key)
                self.sums[key] = (
                    total
                    if old is None
                    else replace(
                        old,
                        requests=old.requests + total.requests,
                        billed_ms=old.billed_ms + total.billed_ms,
                        mib_ms=old.mib_ms + total.mib_ms,
                    )
                )
            self.position = counted_up_to
        if self.fail_after:
            raise errors.Unavailable("taken, and the answer was lost")

    async def totals(
        self, account_id: str, *, first_day: str, last_day: str, function_arn: str | None
    ) -> tuple[UsageTotal, ...]:
        return tuple(
            total
            for key, total in sorted(self.sums.items())
            if total.account_id == account_id
            and first_day <= total.day <= last_day
            and function_arn in {None, total.function_arn}
        )
