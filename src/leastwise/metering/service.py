"""The meter: counts invocations in memory, and writes the sums to the store now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import groupby

from leastwise.kernel import errors
from leastwise.metering.interface import (
    Proofs,
    Usage,
    UsageGrouping,
    UsageReport,
    UsageStore,
    UsageTotal,
)
from leastwise.metering.usage import add_up, gb_seconds, mib_ms, usage_of_record

_Key = tuple[str, str, str]
"""(account, function ARN, day)."""


class Meter:
    """Sums that always equal what the trail proves.

    INVARIANT: the stored sums are exactly those of the records up to the stored position. What is counted in memory
    is behind it; after a crash it is read from the trail again.
    INVARIANT: `count` is called in the same step of the event loop as the trail's `append`, so positions only grow
    and no record is between them.

    Args:
        store: keeps sums and position.
        proofs: the trail.
    """

    def __init__(self, *, store: UsageStore, proofs: Proofs) -> None:
        self._store = store
        self._proofs = proofs
        self._sums: dict[_Key, list[int]] = {}
        self._last = -1
        self._saved = -1
        self._unsaved: tuple[tuple[UsageTotal, ...], int] | None = None
        self._flushing = asyncio.Lock()

    def count(self, usage: Usage) -> None:
        """Counts one invocation. On the hot path.

        Raises:
            errors.Bug: its record is not behind the one counted last.
        """
        if usage.sequence <= self._last:
            message = f"usage of record {usage.sequence} came after that of record {self._last}"
            raise errors.Bug(message)
        self._last = usage.sequence
        key = (usage.account_id, usage.function_arn, usage.day)
        sums = self._sums.get(key)
        if sums is None:
            self._sums[key] = [1, usage.billed_ms, mib_ms(usage)]
        else:
            sums[0] += 1
            sums[1] += usage.billed_ms
            sums[2] += mib_ms(usage)

    async def flush(self) -> None:
        """Writes what was counted to the store.

        A flush that failed is tried again as it was: the store may have taken it although it answered with an error.

        Raises:
            LeastwiseError: the trail or the store is not available; nothing is lost, the next flush tries again.
        """
        async with self._flushing:
            await self._save()
            if self._last > self._saved:
                self._unsaved = (_totals(self._sums), self._last)
                self._sums = {}
                await self._save()

    async def replay(self) -> int:
        """Counts what the trail has behind the stored position. Call it once, after the trail has recovered.

        Returns:
            how many records carried usage.

        Raises:
            errors.Unavailable: the trail ends before what was counted: it is not the trail that was counted from.
        """
        self._last = self._saved = await self._store.counted_up_to()
        found = 0
        newest = self._last
        for entry in self._proofs.entries(first_sequence=self._last + 1):
            newest = entry.sequence
            usage = usage_of_record(entry.payload, sequence=newest)
            if usage is not None:
                self.count(usage)
                found += 1
        durable = await self._proofs.durable()
        if durable < self._last:
            message = f"The trail ends with record {durable}, and usage was counted up to record {self._last}."
            raise errors.Unavailable(message)
        self._last = newest
        await self.flush()
        return found

    async def report(
        self,
        account_id: str,
        *,
        first_day: str,
        last_day: str,
        function_arn: str | None = None,
        group_by: UsageGrouping = UsageGrouping.FUNCTION_AND_DAY,
    ) -> UsageReport:
        """Sums of one account, days inclusive, up to this moment."""
        await self.flush()
        totals = await self._store.totals(account_id, first_day=first_day, last_day=last_day, function_arn=function_arn)
        whole = add_up(totals)
        return UsageReport(totals=_grouped(totals, group_by), whole=whole, gb_seconds=gb_seconds(whole.mib_ms))

    async def _save(self) -> None:
        if self._unsaved is None:
            return
        totals, up_to = self._unsaved
        # INVARIANT: what the store has counted is on disk in the trail. Otherwise a power cut could leave sums of
        # records that do not exist, and later records under their numbers would never be counted.
        await self._proofs.durable()
        await self._store.add(totals, counted_up_to=up_to)
        self._unsaved = None
        self._saved = up_to


def _totals(sums: dict[_Key, list[int]]) -> tuple[UsageTotal, ...]:
    return tuple(
        UsageTotal(account_id=account, function_arn=arn, day=day, requests=count, billed_ms=billed, mib_ms=product)
        for (account, arn, day), (count, billed, product) in sums.items()
    )


def _grouped(totals: Iterable[UsageTotal], group_by: UsageGrouping) -> tuple[UsageTotal, ...]:
    def key(total: UsageTotal) -> tuple[str, ...]:
        if group_by is UsageGrouping.FUNCTION:
            return (total.function_arn,)
        if group_by is UsageGrouping.DAY:
            return (total.day,)
        if group_by is UsageGrouping.ACCOUNT:
            return (total.account_id,)
        return (total.function_arn, total.day)

    return tuple(add_up(group) for _, group in groupby(sorted(totals, key=key), key=key))
