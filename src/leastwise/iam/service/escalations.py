"""Finds who can become more than they were made: every known way (`iam.escalation.ways`), tried on the real policies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from leastwise.iam.directory import Directory
from leastwise.iam.escalation.paths import (
    ADMINISTRATOR,
    EscalationPath,
    Step,
    find_paths,
    in_order,
)
from leastwise.iam.service.becoming import Becoming
from leastwise.iam.service.estate import Deployed, Estate, Somebody, load_estate, whole_account
from leastwise.iam.service.gate import IdentityGate
from leastwise.iam.service.judging import Consent, Judge
from leastwise.iam.service.raising import Raising
from leastwise.iam.service.standing import AccountStanding
from leastwise.iam.service.turns import Turns

_MOST_PATHS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationReport:
    """What was found.

    Args:
        paths: by principal, administrator first.
        administrators: ARNs of those who may do everything already, whatever it may depend on.
        looked_at: how many users and roles.
        complete: False: there was more to decide than one report may take, or more to tell.
    """

    paths: tuple[EscalationPath, ...]
    administrators: tuple[str, ...]
    looked_at: int
    complete: bool


class Escalations:
    """Args:
    directory: who there is.
    gate: knows the layers.
    standing: the organization.
    """

    def __init__(self, *, directory: Directory, gate: IdentityGate, standing: AccountStanding) -> None:
        self._directory = directory
        self._gate = gate
        self._standing = standing
        self._turns = Turns(most_waiting=1)

    async def find(
        self,
        account_id: str,
        *,
        functions: Sequence[Deployed],
        now_ms: int,
        region: str,
        wanted: Callable[[EscalationPath], bool] = lambda _path: True,
        only: str | None = None,
    ) -> EscalationReport:
        """The paths in one account; of more than 1,000, those that lead furthest.

        Args:
            account_id: the account.
            functions: what is deployed in it.
            now_ms: epoch ms.
            region: of functions that could be made.
            wanted: which paths are to be told.
            only: ARN of the one whose paths are wanted.

        Raises: errors.Throttled.
        """
        async with self._turns.of(account_id):
            judge = Judge(gate=self._gate, now_ms=now_ms, region=region)
            return await self._find(account_id, functions, judge, region, wanted=wanted, only=only)

    async def _find(
        self,
        account_id: str,
        functions: Sequence[Deployed],
        judge: Judge,
        region: str,
        *,
        wanted: Callable[[EscalationPath], bool],
        only: str | None,
    ) -> EscalationReport:
        estate = await load_estate(self._directory, self._standing, account_id, functions=functions, region=region)
        administrators = {}
        for somebody in estate.people:
            consent = await whole_account(judge, somebody.principal, account_id)
            if consent is not None:
                administrators[somebody.arn] = consent
        steps: dict[str, Sequence[Step]] = {}
        complete = True
        for somebody in estate.people:
            if somebody.arn in administrators:
                continue
            steps[somebody.arn] = in_order(
                [step async for step in self._steps(judge, estate, somebody, administrators)]
            )
            if judge.is_exhausted:
                complete = False
                break
        paths, all_told = await _paths(steps, steps if only is None else {only} & steps.keys(), wanted)
        return EscalationReport(
            paths=paths,
            administrators=tuple(sorted(administrators)),
            looked_at=len(estate.people),
            complete=complete and all_told,
        )

    async def _steps(
        self, judge: Judge, estate: Estate, somebody: Somebody, administrators: dict[str, Consent]
    ) -> AsyncIterator[Step]:
        """What one principal can do itself."""
        raising, becoming = Raising(judge, estate), Becoming(judge, estate)
        if not await _can_try(judge, somebody, estate.account_id):
            return
        async for step in raising.of(somebody, somebody):
            yield step
        async for step in becoming.somebody_new(somebody):
            yield step
        async for step in becoming.an_account(somebody):
            yield step
        for target in (one for one in estate.people if one is not somebody):
            if judge.is_exhausted:
                return
            async for step in becoming.of(somebody, target):
                if target.arn in administrators:
                    yield _as_administrator(step, administrators[target.arn])
                    continue
                yield step
                async for raised in raising.of(somebody, target):
                    yield _joined(raised, step)


async def _paths(
    steps: Mapping[str, Sequence[Step]], principals: Iterable[str], wanted: Callable[[EscalationPath], bool]
) -> tuple[tuple[EscalationPath, ...], bool]:
    """What is told, and whether it is all: grave paths keep their place when there are too many."""
    grave: list[EscalationPath] = []
    others: list[EscalationPath] = []
    all_told = True
    for principal in principals:
        # Others are served meanwhile: one search can go through every step of the account.
        await asyncio.sleep(0)
        for path in find_paths(steps, principal):
            if not wanted(path):
                continue
            kept = grave if path.is_grave else others
            if len(kept) < _MOST_PATHS:
                kept.append(path)
            else:
                all_told = False
    told = {id(path) for path in (*grave, *others)[:_MOST_PATHS]}
    by_principal = sorted((*grave, *others), key=lambda path: path.principal)
    return (
        tuple(path for path in by_principal if id(path) in told),
        all_told and len(told) == len(by_principal),
    )


def _as_administrator(step: Step, consent: Consent) -> Step:
    conditions = dict.fromkeys((*step.conditions, *consent.conditions))
    return replace(step, becomes=ADMINISTRATOR, conditions=tuple(conditions))


def _joined(raised: Step, became: Step) -> Step:
    """First the target gets more, then one becomes it."""
    return Step(
        way=f"{raised.way}+{became.way}",
        calls=(*raised.calls, *became.calls),
        becomes=raised.becomes,
        conditions=tuple(dict.fromkeys((*raised.conditions, *became.conditions))),
    )


async def _can_try(judge: Judge, somebody: Somebody, account_id: str) -> bool:
    """Somebody without any Allow about identities, sessions or functions can take none of the ways but a role that
    trusts it by name.
    """
    layers = await judge.layers(somebody.principal, account_id)
    return bool(layers.identity) or bool(somebody.trusted_by_name)
