"""Lint off the event loop, in turns."""

from __future__ import annotations

from typing import Final

from leastwise.iam.interface import PolicyKind
from leastwise.iam.lint.linter import LintFinding, lint
from leastwise.iam.service.slow_work import SlowWork

LONGEST_LINTED: Final = 20_480
"""Characters: the largest policy that can be stored anywhere is a resource's. Source: AWS Lambda, "Lambda quotas"."""


class Linting:
    """SECURITY: a document can be written so that looking it over takes long. It is done in threads, in the turns of
    `SlowWork`, and what could not be stored anyway is only told to be too large.
    """

    def __init__(self) -> None:
        self._threads = SlowWork()

    async def findings(self, account_id: str, document: str, *, kind: PolicyKind) -> tuple[LintFinding, ...]:
        """See `iam.lint.linter.lint`.

        Raises: errors.Throttled.
        """
        return await self._threads.run(account_id, lambda: lint(document, kind=kind, longest=LONGEST_LINTED))
