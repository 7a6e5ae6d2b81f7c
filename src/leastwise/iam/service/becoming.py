"""Ways to get the permissions of somebody else, or of somebody new."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Final

from leastwise.iam.directory import Role
from leastwise.iam.escalation.paths import ADMINISTRATOR, MadeCall, Step
from leastwise.iam.interface import ContextValue
from leastwise.iam.policy.evaluate import Layers
from leastwise.iam.service.estate import (
    ADMINISTRATOR_ACCESS,
    Deployed,
    Estate,
    Somebody,
    possible_names,
    whole_account,
)
from leastwise.iam.service.judging import ALL, Consent, Judge, Planned
from leastwise.iam.why import presumed

_LAMBDA: Final = "lambda.amazonaws.com"
_PASSED: Final[dict[str, ContextValue]] = {"iam:passedtoservice": _LAMBDA}
_INVOKED: Final = "if somebody invokes the function"
_ATTACHED: Final[dict[str, ContextValue]] = {"iam:policyarn": ADMINISTRATOR_ACCESS}


class Becoming:
    """Tries every way of `Gain.BECOME` and `Gain.MAKE`."""

    def __init__(self, judge: Judge, estate: Estate) -> None:
        self._judge = judge
        self._estate = estate

    async def of(self, who: Somebody, target: Somebody) -> AsyncIterator[Step]:
        """Steps by which `who` gets the permissions of `target`."""
        if target.user is not None:
            async for step in self._user(who, target):
                yield step
        elif target.role is not None:
            async for step in self._role(who, target, target.role):
                yield step

    async def _user(self, who: Somebody, target: Somebody) -> AsyncIterator[Step]:
        password = "UpdateLoginProfile" if target.has_password else "CreateLoginProfile"
        for way in ("CreateAccessKey", password):
            consent = await self._may(who, f"iam:{way}", target.arn, target.supplied())
            if consent is not None:
                yield _step(way, [_call(f"iam:{way}", target.arn)], target.arn, consent)

    async def _role(self, who: Somebody, target: Somebody, role: Role) -> AsyncIterator[Step]:
        assume = _call("sts:AssumeRole", role.arn)
        consent = await self._may(who, "sts:AssumeRole", role.arn, target.supplied(), policy=role.trust_policy)
        if consent is not None:
            yield _step("AssumeRole", [assume], role.arn, consent)
        else:
            rewrite = await self._may(who, "iam:UpdateAssumeRolePolicy", role.arn, target.supplied())
            if rewrite is not None:
                then = await self._may(who, "sts:AssumeRole", role.arn, target.supplied(), policy=trusting(who))
                if then is not None:
                    calls = [_call("iam:UpdateAssumeRolePolicy", role.arn), assume]
                    yield _step("UpdateAssumeRolePolicy", calls, role.arn, rewrite, then)
        async for step in self._running_as(who, role):
            yield step
        passed = await self._passed(who, target, role)
        if passed is not None:
            async for step in self._handed_over(who, role, passed):
                yield step

    async def _running_as(self, who: Somebody, role: Role) -> AsyncIterator[Step]:
        """Functions that run as the role already."""
        for function in self._estate.functions:
            if function.role_arn != role.arn:
                continue
            update = await self._may(who, "lambda:UpdateFunctionCode", function.arn, {}, policy=function.policy)
            if update is not None:
                invoke, consent = await self._invoke(who, function)
                calls = [_call("lambda:UpdateFunctionCode", function.arn), *invoke]
                yield _step("UpdateFunctionCode", calls, role.arn, update, consent)

    async def _passed(self, who: Somebody, target: Somebody, role: Role) -> Consent | None:
        """The role may be handed to functions, and lets them have it."""
        account = self._estate.account_id
        passed = await self._may(who, "iam:PassRole", role.arn, target.supplied() | _PASSED)
        if passed is None:
            return None
        trusted = await self._judge.may(
            presumed.service_principal(account, _LAMBDA),
            Planned(action="sts:AssumeRole", resource=role.arn, account_id=account, policy=role.trust_policy),
        )
        return None if trusted is None else Consent(conditions=(*passed.conditions, *trusted.conditions))

    async def _handed_over(self, who: Somebody, role: Role, passed: Consent) -> AsyncIterator[Step]:
        handed = _call("iam:PassRole", role.arn)
        account, region = self._estate.account_id, self._estate.region
        layers = await self._judge.layers(who.principal, account)
        prefix = f"arn:aws:lambda:{region}:{account}:function:"
        for arn in possible_names(layers, prefix, region=region, account_id=account):
            create = await self._may(who, "lambda:CreateFunction", arn, {})
            if create is None:
                continue
            invoke, consent = await self._invoke(who, Deployed(arn=arn, role_arn=role.arn, policy=None))
            # Nobody else would call a function that is new.
            if invoke:
                calls = [handed, _call("lambda:CreateFunction", arn), *invoke]
                yield _step("CreateFunction", calls, role.arn, passed, create, consent)
                return
        for function in self._estate.functions:
            configure, update = [
                await self._may(who, f"lambda:{action}", function.arn, {}, policy=function.policy)
                for action in ("UpdateFunctionConfiguration", "UpdateFunctionCode")
            ]
            if function.role_arn != role.arn and configure is not None and update is not None:
                invoke, consent = await self._invoke(who, function)
                calls = [
                    handed,
                    _call("lambda:UpdateFunctionConfiguration", function.arn),
                    _call("lambda:UpdateFunctionCode", function.arn),
                    *invoke,
                ]
                yield _step("UpdateFunctionConfiguration", calls, role.arn, passed, configure, update, consent)
                return

    async def _invoke(self, who: Somebody, function: Deployed) -> tuple[list[MadeCall], Consent]:
        """How the function gets called: directly, by a permission that one gives oneself, or by somebody else."""
        called = _call("lambda:InvokeFunction", function.arn)
        consent = await self._may(who, called.action, function.arn, {}, policy=function.policy)
        if consent is not None:
            return [called], consent
        opened = await self._may(who, "lambda:AddPermission", function.arn, {}, policy=function.policy)
        if opened is not None:
            then = await self._may(who, called.action, function.arn, {}, policy=opening(who, function.arn))
            if then is not None:
                both = Consent(conditions=(*opened.conditions, *then.conditions))
                return [_call("lambda:AddPermission", function.arn), called], both
        return [], Consent(conditions=(_INVOKED,))

    async def somebody_new(self, who: Somebody) -> AsyncIterator[Step]:
        """A new role or user that may do everything."""
        account = self._estate.account_id
        layers = await self._judge.layers(who.principal, account)
        unlimited = Layers(identity=(ALL,), service_control=layers.service_control)
        if await whole_account(self._judge, who.principal, account, instead=unlimited) is None:
            return
        async for step in self._new_role(who, layers):
            yield step
            break
        async for step in self._new_user(who, layers):
            yield step
            break

    async def _new_role(self, who: Somebody, layers: Layers) -> AsyncIterator[Step]:
        account = self._estate.account_id
        for arn in possible_names(layers, f"arn:aws:iam::{account}:role/", region="", account_id=account):
            made = await self._may(who, "iam:CreateRole", arn, {})
            if made is None:
                continue
            for action, extra in (("iam:AttachRolePolicy", _ATTACHED), ("iam:PutRolePolicy", {})):
                given = await self._may(who, action, arn, extra)
                taken = await self._may(who, "sts:AssumeRole", arn, {}, policy=trusting(who))
                if given is not None and taken is not None:
                    calls = [_call("iam:CreateRole", arn), _call(action, arn), _call("sts:AssumeRole", arn)]
                    yield _step("CreateRole", calls, ADMINISTRATOR, made, given, taken)

    async def _new_user(self, who: Somebody, layers: Layers) -> AsyncIterator[Step]:
        account = self._estate.account_id
        for arn in possible_names(layers, f"arn:aws:iam::{account}:user/", region="", account_id=account):
            made = await self._may(who, "iam:CreateUser", arn, {})
            keyed = None if made is None else await self._may(who, "iam:CreateAccessKey", arn, {})
            if made is None or keyed is None:
                continue
            for action, extra in (("iam:AttachUserPolicy", _ATTACHED), ("iam:PutUserPolicy", {})):
                given = await self._may(who, action, arn, extra)
                if given is not None:
                    calls = [_call("iam:CreateUser", arn), _call(action, arn), _call("iam:CreateAccessKey", arn)]
                    yield _step("CreateUser", calls, ADMINISTRATOR, made, given, keyed)

    async def an_account(self, who: Somebody) -> AsyncIterator[Step]:
        """From the management account into the others."""
        for role in self._estate.access_roles:
            planned = Planned(
                action="sts:AssumeRole", resource=role.arn, account_id=role.account_id, policy=role.trust_policy
            )
            consent = await self._judge.may(who.principal, planned)
            if consent is not None:
                calls = [_call("sts:AssumeRole", role.arn)]
                yield _step("OrganizationAccountAccessRole", calls, role.arn, consent)

    async def _may(
        self,
        who: Somebody,
        action: str,
        resource: str,
        supplied: dict[str, ContextValue],
        *,
        policy: str | None = None,
    ) -> Consent | None:
        planned = Planned(
            action=action,
            resource=resource,
            account_id=self._estate.account_id,
            policy=policy,
            supplied=supplied,
        )
        return await self._judge.may(who.principal, planned)


def trusting(who: Somebody) -> str:
    """A trust policy that names somebody."""
    return _statement({"Principal": {"AWS": who.arn}, "Action": "sts:AssumeRole"})


def opening(who: Somebody, function_arn: str) -> str:
    """A function's policy that names somebody, as AddPermission would write it."""
    return _statement({"Principal": {"AWS": who.arn}, "Action": "lambda:InvokeFunction", "Resource": function_arn})


def _statement(elements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **elements}]})


def _call(action: str, resource: str) -> MadeCall:
    return MadeCall(action=action, resource=resource)


def _step(way: str, calls: Sequence[MadeCall], becomes: str, *consents: Consent) -> Step:
    conditions = dict.fromkeys(condition for consent in consents for condition in consent.conditions)
    return Step(way=way, calls=tuple(calls), becomes=becomes, conditions=tuple(conditions))
