"""May this principal do this? Asked about calls that nobody has made, with every layer that has a say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from leastwise.iam.interface import ContextValue, PolicyKind, Principal, PrincipalKind, Request
from leastwise.iam.policy import clockkeys
from leastwise.iam.policy.compile import CompiledPolicy, CompiledStatement, compile_policy
from leastwise.iam.policy.evaluate import Layers
from leastwise.iam.service.gate import IdentityGate
from leastwise.iam.why import presumed
from leastwise.iam.why.knowledge import of_made_up_request
from leastwise.iam.why.trace import Trace, Unseen, Verdict, trace
from leastwise.kernel.call import Source

_EVERYTHING: Final = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)
ALL: Final[CompiledPolicy] = compile_policy(_EVERYTHING, name="everything", kind=PolicyKind.IDENTITY)
_SOMEWHERE: Final = (
    Source(ip="192.0.2.1", user_agent="one", tls=True, received_at_ms=0),
    Source(ip="2001:db8::1", user_agent="other", tls=False, received_at_ms=0),
)
_PAUSE_EVERY: Final = 32
_MOST_DECISIONS: Final = 200_000
_MOST_QUESTIONS: Final = 2_000_000
"""Most questions end before the decision, which takes much longer."""
_CLOCK: Final = frozenset({"aws:currenttime", "aws:epochtime", "leastwise:timeofday", "leastwise:dayofweek"})
"""When a call is made is for the caller to choose: what depends on it is told as a condition."""
_CHOSEN: Final = frozenset({"iam:permissionsboundary", "iam:policyarn", "iam:passedtoservice"})
"""Keys that a call here has or does not have, as it is written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A call that somebody could make.

    Args:
        action: `service:Operation`.
        resource: ARN.
        account_id: owner of the resource.
        policy: the resource's own policy, as it is or as it would be by then; a trust policy for sts:AssumeRole.
        supplied: keys of the resource and of the input, lower case.
    """

    action: str
    resource: str
    account_id: str
    policy: str | None = None
    supplied: Mapping[str, ContextValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """It is allowed; when `conditions` are not empty, if they hold."""

    conditions: tuple[str, ...] = ()


class Judge:
    """Decides planned calls, without asking the directory twice.

    Args:
        gate: knows the layers.
        now_ms: one instant for all of it.
        region: that the calls are addressed to.
    """

    def __init__(self, *, gate: IdentityGate, now_ms: int, region: str) -> None:
        self._gate = gate
        self._now_ms = now_ms
        self._region = region
        self.asked = 0
        self.decided = 0

    @property
    def is_exhausted(self) -> bool:
        """SECURITY: there is an end to what one report may take, also where every answer is no."""
        return self.asked > _MOST_QUESTIONS or self.decided > _MOST_DECISIONS

    async def layers(self, principal: Principal, account_id: str) -> Layers:
        """What binds a principal within an account."""
        request = Request(
            principal=principal, action="iam:GetUser", resource="*", resource_account_id=account_id, context={}
        )
        return (await self._gate.layers(request, resource_policy=None))[0]

    async def may(self, principal: Principal, planned: Planned, *, instead: Layers | None = None) -> Consent | None:
        """Whether the call is allowed; None when it certainly is not.

        Args:
            principal: who would call.
            planned: the call.
            instead: layers that bind the caller by then, in the place of those that do now.
        """
        request = Request(
            principal=principal,
            action=planned.action,
            resource=planned.resource,
            resource_account_id=planned.account_id,
            context={},
        )
        layers, trust = await self._gate.layers(request, resource_policy=planned.policy)
        if instead is not None:
            layers = replace(instead, resource=layers.resource, resource_control=layers.resource_control)
        self.asked += 1
        if self.asked % _PAUSE_EVERY == 0:
            # Others are served meanwhile.
            await asyncio.sleep(0)
        if not _anything_allows(layers, planned, principal, trust=trust):
            return None
        self.decided += 1
        contexts = [
            self._gate.context(
                principal,
                source,
                now_ms=self._now_ms,
                region=self._region,
                extra=planned.supplied,
                resource_account_id=planned.account_id,
            )
            for source in _SOMEWHERE
        ]
        context = {key: value for key, value in contexts[0].items() if contexts[1].get(key) == value}
        unsaid = _CLOCK | ({"aws:userid"} if principal.session_name == presumed.ANY_SESSION else set())
        context = {key: value for key, value in context.items() if key not in unsaid}
        unknown = of_made_up_request(principal, context, resource_known=False)
        unseen = Unseen(key=lambda key: key in unsaid or (key not in _CHOSEN and unknown(key)))
        found = trace(replace(request, context=context), layers, trust=trust, unseen=unseen)
        if found.verdict is Verdict.ALLOWED:
            return Consent()
        if found.verdict is not Verdict.DEPENDS:
            return None
        keys = ", ".join(_open_keys(found)) or "the rest of the request"
        return Consent(conditions=(f"if {keys} let {planned.action} through",))


def _open_keys(found: Trace) -> tuple[str, ...]:
    """What the answer waits for, as policies have it: a clock key with a zone of its own is not called by the key that it
    is computed from.
    """
    failures = [
        failure for layer in found.layers for one in layer.statements for failure in one.failures if failure.missing
    ]
    zoned = [failure.key for failure in failures if clockkeys.zone_of_key(failure.key)]
    keys = [key for failure in failures if failure.key not in zoned for key in failure.missing]
    return tuple(dict.fromkeys([*keys, *zoned])) or found.missing_context


def _anything_allows(layers: Layers, planned: Planned, principal: Principal, *, trust: bool) -> bool:
    """Some statement that could allow names the action, and could mean resource and caller: most questions end here."""
    action = planned.action.lower()
    if layers.resource is not None and any(
        _could_mean(statement, planned.resource) and _could_name(statement, principal)
        for statement in layers.resource.select(action)[1]
    ):
        return True
    # A trust policy must allow by itself.
    return not trust and (
        principal.kind is PrincipalKind.ROOT
        or any(
            _could_mean(statement, planned.resource)
            for policy in layers.identity
            for statement in policy.select(action)[1]
        )
    )


def _could_mean(statement: CompiledStatement, resource: str) -> bool:
    """False only where the resource certainly does not fit, whatever the context is."""
    test = statement.resource_test
    if test is None or any("${" in text for text in statement.source.resources or ()):
        return True
    return test(resource, {})


def _could_name(statement: CompiledStatement, principal: Principal) -> bool:
    """False only where the statement certainly names somebody else."""
    element = statement.source.principal
    if principal.session_name == presumed.ANY_SESSION and element is not None and element.arns:
        return True
    return bool(statement.grade(principal, has_boundary=False))
