"""Questions about policies, answered by proof. See `iam.reasoning`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from leastwise.iam.interface import PolicyKind
from leastwise.iam.reasoning import questions
from leastwise.iam.reasoning.child import ChildSolver
from leastwise.iam.reasoning.questions import Access
from leastwise.iam.reasoning.solving import Solver
from leastwise.iam.reasoning.verdicts import Verdict
from leastwise.iam.service.slow_work import SlowWork


class Reasoning:
    """Asks off the event loop, each question in a process of its own.

    SECURITY: keeping every processor busy with hard questions. An account has one question answered at a time and a few
    waiting; what comes beyond that is throttled, and other accounts have their turns.
    """

    def __init__(self) -> None:
        self._turns = SlowWork()

    async def new_access(
        self,
        existing: Sequence[str],
        proposed: Sequence[str],
        *,
        account_id: str,
        kind: PolicyKind,
    ) -> Verdict:
        """See `iam.reasoning.questions.new_access`. `account_id`: who asks. Raises: MalformedPolicy, errors.Throttled."""
        return await self._ask(
            account_id, lambda solver: questions.new_access(existing, proposed, kind=kind, solver=solver)
        )

    async def grants(self, policy: str, access: Access, *, account_id: str, kind: PolicyKind) -> Verdict:
        """See `iam.reasoning.questions.grants`. `account_id`: who asks. Raises: MalformedPolicy, errors.Throttled."""
        return await self._ask(account_id, lambda solver: questions.grants(policy, access, kind=kind, solver=solver))

    async def public(
        self,
        policy: str,
        *,
        account_id: str,
        kind: PolicyKind,
        services_act_for_anybody: bool,
    ) -> Verdict:
        """See `iam.reasoning.questions.public`. `account_id`: who asks. Raises: MalformedPolicy, errors.Throttled."""
        return await self._ask(
            account_id,
            lambda solver: questions.public(
                policy,
                kind=kind,
                services_act_for_anybody=services_act_for_anybody,
                solver=solver,
            ),
        )

    async def _ask(self, account_id: str, question: Callable[[Solver], Verdict]) -> Verdict:
        def answered() -> Verdict:
            with ChildSolver() as solver:
                return question(solver)

        return await self._turns.run(account_id, answered)
