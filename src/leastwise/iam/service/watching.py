"""Changes that another process made: noticed within a second, by asking for one number."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from leastwise.iam.directory import Revocations

_LOG: Final = logging.getLogger(__name__)

EVERY_S: Final = 0.5
"""A policy change, or a revocation, is effective elsewhere within one second."""


class ChangeWatch:
    """Counts the changes of identities, and forgets what is in memory when the count is not its own.

    Args:
        directory: keeps the count.
        forget: drops everything that was read of identities.
    """

    def __init__(self, *, directory: Revocations, forget: Callable[[], None]) -> None:
        self._directory = directory
        self._forget = forget
        self._seen: int | None = None
        self._own: int | None = None

    async def announce(self) -> None:
        """Counts a change of this process's, in its transaction."""
        self._own = None
        self._own = await self._directory.bump_directory_revision()

    def committed(self) -> None:
        """A change of this process's was committed (and its memory dropped): it need not be noticed again."""
        if self._own is not None and self._seen is not None and self._own == self._seen + 1:
            self._seen = self._own
        self._own = None

    async def poll(self) -> bool:
        """Asks once. True when something had changed, and memory was dropped.

        Whoever asks for the first time cannot know what happened before, and drops too.
        """
        revision = await self._directory.directory_revision()
        if revision == self._seen:
            return False
        self._seen = revision
        self._forget()
        return True

    async def run(self, *, every_s: float = EVERY_S) -> None:
        """Asks for ever."""
        failing = False
        while True:
            try:
                await self.poll()
                failing = False
            except Exception as error:  # noqa: BLE001 - logged; asking goes on
                # SECURITY: whoever cannot ask whether anything was revoked must not go by what it remembers.
                self._seen = None
                self._forget()
                if not failing:
                    _LOG.error("cannot ask whether identities have changed; nothing is remembered: %s", error)
                failing = True
            await asyncio.sleep(every_s)
