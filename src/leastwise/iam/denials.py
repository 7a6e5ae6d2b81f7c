"""Why a call was denied, for those who may know: what DecodeAuthorizationMessage gives back.

The caller gets it sealed with the refusal, and can do nothing with it but show it to somebody who may decode it.

SECURITY: the account of the caller can have it decoded, so it holds no statement of a policy of another account, nor of
a guardrail, which its members need not be able to read: of those it tells the name.

Source: STS API Reference, DecodeAuthorizationMessage; the shape is that of decoded messages of EC2.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from leastwise.iam import refusals
from leastwise.iam.interface import Decision, PolicyKind, Principal, Request
from leastwise.iam.policy.compile import CompiledPolicy
from leastwise.iam.policy.document import Statement
from leastwise.iam.policy.evaluate import Layers
from leastwise.iam.sealing import Seal, SealBrokenError

MESSAGE_PURPOSE: Final = "authorization messages"
LONGEST: Final = 3000
"""Characters. It travels in a response header, and proxies give up at 4 KiB of all of them together."""
_LENGTH_BYTES: Final = 4
_GUARDRAILS: Final = frozenset({PolicyKind.SERVICE_CONTROL, PolicyKind.RESOURCE_CONTROL})
_OF_THE_RESOURCE: Final = frozenset({PolicyKind.RESOURCE, PolicyKind.TRUST})


def encode(request: Request, decision: Decision, layers: Layers | None, seal: Seal, *, nonce: bytes) -> str | None:
    """The sealed message of a denial; None when even the shortest form is too long for a header.

    Args:
        request: that was denied.
        decision: the denial.
        layers: the policies it was decided on, None when they are not in memory any more.
        seal: of authorization messages.
        nonce: 12 random bytes.
    """
    matched = _matched(request, decision, layers)
    named = [{name: item[name] for name in ("statementId", "effect", "policy")} for item in matched]
    for statements, conditions in ((matched, True), (named, True), (named, False)):
        told = _pack(statements, _told(request, decision, conditions=conditions))
        sealed = seal.close(told, bound_to=request.principal.account_id, nonce=nonce)
        text = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        if len(text) <= LONGEST:
            return text
    return None


def decode(text: str, seal: Seal, *, account_id: str) -> str:
    """The message as JSON text.

    Args:
        text: as it came with the refusal.
        seal: of authorization messages.
        account_id: whose member asks; a message opens for the account of the caller who was denied only.

    Raises:
        InvalidAuthorizationMessage: not sealed here, for another account, or damaged.
    """
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        packed = seal.open(base64.b64decode(padded, altchars=b"-_", validate=True), bound_to=account_id)
    except (UnicodeError, binascii.Error, SealBrokenError) as error:
        raise refusals.bad_authorization_message() from error
    cut = _LENGTH_BYTES + int.from_bytes(packed[:_LENGTH_BYTES], "big")
    statements, told = (json.loads(zlib.decompress(part)) for part in (packed[_LENGTH_BYTES:cut], packed[cut:]))
    message = {
        "allowed": False,
        "explicitDeny": told["explicitDeny"],
        "layer": told["layer"],
        "matchedStatements": {"items": statements},
        "failures": {"items": []},
        "context": told["context"],
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _pack(statements: Sequence[Mapping[str, Any]], told: Mapping[str, Any]) -> bytes:
    """SECURITY: compression tells by its length what two texts have in common. The caller chooses much of the context
    and sees the length, so the statements, which the caller must not learn, are compressed apart from it (CRIME).
    """
    secret, context = (
        zlib.compress(json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"), 6)
        for part in (statements, told)
    )
    return len(secret).to_bytes(_LENGTH_BYTES, "big") + secret + context


def _told(request: Request, decision: Decision, *, conditions: bool) -> dict[str, Any]:
    context = request.context
    items = [
        {"key": key, "values": _items([value] if isinstance(value, str) else value)}
        for key, value in (sorted(context.items()) if conditions else ())
    ]
    return {
        "explicitDeny": decision.explicit,
        "layer": decision.layer.value,
        "context": {
            "principal": _principal(request.principal),
            "action": request.action,
            "resource": request.resource,
            "conditions": {"items": items},
        },
    }


def _principal(principal: Principal) -> dict[str, str]:
    named = {"name": principal.name} if principal.name else {}
    return {"id": principal.unique_id, **named, "arn": principal.arn}


def _matched(request: Request, decision: Decision, layers: Layers | None) -> list[dict[str, Any]]:
    """The denying statements. None for an implicit denial: nothing matched."""
    ours = request.resource_account_id == request.principal.account_id
    shown = decision.layer not in _GUARDRAILS and (ours or decision.layer not in _OF_THE_RESOURCE)
    sources = {} if layers is None or not shown else _statements(layers)
    matched = []
    for statement in decision.statements:
        item: dict[str, Any] = {"statementId": statement.sid, "effect": "DENY", "policy": statement.policy}
        source = sources.get((statement.policy, statement.kind, statement.index))
        if source is not None:
            item |= _shown(source, request.principal)
        matched.append(item)
    return matched


def _statements(layers: Layers) -> dict[tuple[str, PolicyKind, int], Statement]:
    return {
        (policy.name, policy.kind, statement.index): statement
        for policy in _policies(layers)
        for statement in policy.document.statements
    }


def _policies(layers: Layers) -> Iterable[CompiledPolicy]:
    yield from layers.identity
    yield from layers.session or ()
    yield from (policy for policy in (layers.boundary, layers.resource) if policy is not None)


def _shown(statement: Statement, principal: Principal) -> dict[str, Any]:
    """In the members of AWS's shape. It has none for what is inverted (NotAction): that is told by its name."""
    actions, resources = ("notActions" if statement.not_action else "actions"), "resources"
    if statement.not_resource:
        resources = "notResources"
    return {
        "principals": _items([principal.unique_id]),
        "principalGroups": {"items": []},
        actions: _items(statement.actions),
        resources: _items(statement.resources or ()),
        "conditions": {"items": [{"key": entry.key, "values": _items(entry.values)} for entry in statement.conditions]},
    }


def _items(values: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    return {"items": [{"value": value} for value in values]}
