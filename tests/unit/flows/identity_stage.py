"""A stage for identity operations: the rows, a real gate, SQLite. Checks inputs and outputs against botocore's shapes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import unquote

import botocore.session
from botocore.validate import ParamValidator

from leastwise.flows import (
    identity_access_keys,
    identity_grants,
    identity_groups,
    identity_kinds,
    identity_mentioned,
    identity_policies,
    identity_report,
    identity_roles,
    identity_sessions,
    identity_users,
)
from leastwise.flows.interface import Operation, Scene
from leastwise.iam.interface import Principal, PrincipalKind, Request
from leastwise.iam.service import IdentityService
from leastwise.kernel import errors
from leastwise.kernel.call import Source
from leastwise.kernel.events import Access
from leastwise.storage.engine import Database

ACCOUNT = "111122223333"
NOW_MS = 1_790_000_000_000
HERE = Source(ip="127.0.0.1", user_agent="test", tls=True, received_at_ms=NOW_MS)
MODULES = (
    identity_users,
    identity_access_keys,
    identity_groups,
    identity_roles,
    identity_kinds,
    identity_grants,
    identity_policies,
    identity_mentioned,
    identity_sessions,
    identity_report,
)
ROWS: dict[tuple[str, str], Operation] = {
    (row.service, row.name): row for module in MODULES for row in module.OPERATIONS
}
_SESSION = botocore.session.get_session()
_MODELS = {service: _SESSION.get_service_model(service) for service in ("iam", "sts")}


async def _no_functions(_account_id, _rewritten) -> None:
    """Resource policies of functions: there are none here (test_operations_table.py has some)."""


def check_shape(value, shape) -> None:
    if shape is None:
        assert value == {}
        return
    report = ParamValidator().validate(value, shape).generate_report()
    # Root's UserId is the account id, in AWS too, although the model wants more characters.
    assert [line for line in report.splitlines() if "User.UserId, value: 12" not in line] == []


@dataclass
class Stage:
    database: Database
    service: IdentityService
    principal: Principal
    decided: list

    async def call(self, operation: str, _as: Principal | None = None, _service: str = "iam", **parameters):
        """What `flows.perform` does, without proof and record."""
        row = ROWS[_service, operation]
        model = _MODELS[_service].operation_model(operation)
        if model.input_shape is not None:
            check_shape(parameters, model.input_shape)
        principal = _as or self.principal
        scene = Scene(
            services=SimpleNamespace(
                identities=self.service.identities,
                sessions=self.service.sessions,
                gate=self.service.gate,
                functions=SimpleNamespace(rewrite_policies=_no_functions),
            ),
            principal=principal,
            region="eu-central-1",
            request_id="r",
            now_ms=NOW_MS,
            source=HERE,
            notes={},
        )
        target = row.target(scene, parameters)
        target = target if not hasattr(target, "__await__") else await target
        demands = row.further(scene, parameters)
        demands = demands if isinstance(demands, tuple) else await demands
        wanted = [(demand.action, demand.target) for demand in demands]
        for action, on in ([(row.action, target)] if row.action else []) + wanted:
            await self._authorize(principal, action, on)
        if row.access is Access.WRITE:
            async with self.database.begin():
                result = await row.handle(scene, parameters)
        else:
            result = await row.handle(scene, parameters)
        assert not [note for note in scene.notes.values() if "secret" in str(note).lower()]
        check_shape(result, model.output_shape)
        return result

    async def sts(self, operation: str, _as: Principal | None = None, **parameters):
        return await self.call(operation, _as, "sts", **parameters)

    async def _authorize(self, principal, action, target) -> None:
        gate = self.service.gate
        context = gate.context(principal, HERE, now_ms=NOW_MS, region="eu-central-1", extra=target.context)
        request = Request(
            principal=principal,
            action=action,
            resource=target.arn,
            resource_account_id=target.account_id,
            context=context,
        )
        self.decided.append((action, target.arn, dict(target.context)))
        decision = await gate.authorize(request, resource_policy=target.policy)
        if not decision.allowed:
            raise errors.Denied(gate.denial_message(request, decision))

    async def user(self, name: str) -> Principal:
        """A principal of a new user."""
        made = await self.call("CreateUser", UserName=name)
        return Principal(
            kind=PrincipalKind.USER,
            account_id=ACCOUNT,
            arn=made["User"]["Arn"],
            unique_id=made["User"]["UserId"],
            name=name,
        )


def document(encoded: str) -> dict:
    """A policy document as a client decodes it."""
    return json.loads(unquote(encoded))
