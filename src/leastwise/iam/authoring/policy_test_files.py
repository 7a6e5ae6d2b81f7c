"""Reads test files that teams keep beside their policies: who does what, on what, and what must come of it.

The format is documented in docs/reference/policy-test-files.md. A condition key that a case does not give is absent,
but for those that follow from the principal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from leastwise.iam.authoring.policy_tests import Expectation, PolicyTest
from leastwise.iam.interface import (
    ContextValue,
    MalformedPolicy,
    PolicyKind,
    Principal,
    PrincipalKind,
    Request,
)
from leastwise.iam.lint.findings import did_you_mean
from leastwise.iam.policy.clockkeys import zone_named
from leastwise.iam.policy.compile import CompiledPolicy, compile_policy
from leastwise.iam.policy.context import build_context
from leastwise.iam.policy.evaluate import Layers, Level
from leastwise.iam.policy.matching import ARN_SEGMENTS
from leastwise.iam.policy.operators import parse_instant
from leastwise.kernel.call import Source

LoadPolicy = Callable[[str], Mapping[str, Any]]
"""Reads the policy document in a file that a test file names."""

_ACCOUNT: Final = "111122223333"
_ACCOUNT_ID: Final = re.compile(r"[0-9]{12}")
_ARN: Final = re.compile(r"arn:aws:(iam|sts)::([0-9]{12}):(root|user/.+|role/.+|assumed-role/[^/]+/[^/]+)")
_TOP_KEYS: Final = (
    "account",
    "policies",
    "principal",
    "action",
    "resource",
    "owner",
    "context",
    "at",
    "time_zone",
    "cases",
)
_CASE_KEYS: Final = (
    "note",
    "expect",
    "principal",
    "action",
    "resource",
    "owner",
    "context",
    "at",
    "time_zone",
    "policies",
)
_LAYERS: Final = ("identity", "boundary", "session", "resource", "trust", "service_control", "resource_control")
_MEASURED: Final = frozenset({"aws:sourceip", "aws:securetransport", "aws:useragent", "aws:requestedregion"})
_OF_THE_CLOCK: Final = frozenset(
    {"aws:currenttime", "aws:epochtime", "leastwise:timezone", "leastwise:dayofweek", "leastwise:timeofday"}
)


class BadTestFile(ValueError):
    """A test file cannot be read: where, and why."""


def read_tests(document: Any, load: LoadPolicy) -> tuple[PolicyTest, ...]:
    """The tests of a file.

    Args:
        document: what its YAML stands for.
        load: reads policies by the names that stand in the file.

    Raises:
        BadTestFile: an unknown key, a missing one, a value that is none, a policy that is malformed, no case at all.
    """
    if isinstance(document, list):
        document = {"cases": document}
    if not isinstance(document, Mapping):
        message = "a test file is a list of cases, or an object with `cases`"
        raise BadTestFile(message)
    _known(document, _TOP_KEYS, "the file")
    cases = document.get("cases")
    if not isinstance(cases, list) or not cases:
        message = "there is no case in it"
        raise BadTestFile(message)
    shared = {key: value for key, value in document.items() if key != "cases"}
    return tuple(test for number, case in enumerate(cases, start=1) for test in _tests(case, number, shared, load))


def _tests(case: Any, number: int, shared: Mapping[str, Any], load: LoadPolicy) -> Iterator[PolicyTest]:
    where = f"case {number}"
    if not isinstance(case, Mapping):
        message = f"{where} must be an object"
        raise BadTestFile(message)
    _known(case, _CASE_KEYS, where)
    note = case.get("note")
    if not isinstance(note, str) or not note:
        message = f"{where}: `note` is missing: one sentence about what must hold"
        raise BadTestFile(message)
    where = f"case {number} ({note})"
    whole = {**shared, **case, "context": {**_context(shared, "the file"), **_context(case, where)}}
    whole["policies"] = {**_mapping(shared, "policies", "the file"), **_mapping(case, "policies", where)}
    expected = _expectation(case.get("expect"), where)
    account = str(whole.get("account", _ACCOUNT))
    principal = _principal(whole.get("principal"), account, where)
    layers, trust = _layers(whole["policies"], load, where)
    for action in _several(whole, "action", where):
        for resource in _several(whole, "resource", where):
            owner = str(whole.get("owner") or _owner(resource) or account)
            yield PolicyTest(
                note=note,
                request=Request(
                    principal=principal,
                    action=action,
                    resource=resource,
                    resource_account_id=owner,
                    context=_facts(whole, principal, owner, where),
                ),
                layers=layers,
                trust=trust,
                expected=expected,
            )


def _known(raw: Mapping[Any, Any], keys: Sequence[str], where: str) -> None:
    for key in raw:
        if key not in keys:
            message = f"{where}: `{key}` means nothing here.{did_you_mean(str(key), keys)}"
            raise BadTestFile(message)


def _mapping(raw: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, Mapping):
        message = f"{where}: `{key}` must be an object"
        raise BadTestFile(message)
    return dict(value)


def _context(raw: Mapping[str, Any], where: str) -> dict[str, ContextValue]:
    return {str(key).lower(): _value(value, str(key), where) for key, value in _mapping(raw, "context", where).items()}


def _value(value: Any, key: str, where: str) -> ContextValue:
    if isinstance(value, list):
        texts = [_value(item, key, where) for item in value if not isinstance(item, list)]
        if len(texts) == len(value):
            return tuple(str(text) for text in texts)
    elif isinstance(value, bool):
        return "true" if value else "false"
    elif isinstance(value, (str, int, float)):
        return str(value)
    message = f"{where}: the value of {key} must be a text, a number, true, false, or a list of them"
    raise BadTestFile(message)


def _expectation(value: Any, where: str) -> Expectation:
    try:
        return Expectation(value)
    except ValueError as error:
        message = f"{where}: `expect` must be one of {', '.join(Expectation)}"
        raise BadTestFile(message) from error


def _several(raw: Mapping[str, Any], key: str, where: str) -> list[str]:
    value = raw.get(key, "*" if key == "resource" else None)
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(item, str) and item for item in values):
        message = f"{where}: `{key}` must be a text or a list of texts"
        raise BadTestFile(message)
    wrong = [item for item in values if key == "action" and not re.fullmatch(r"[A-Za-z0-9-]+:[A-Za-z0-9]+", item)]
    if wrong:
        message = f"{where}: {wrong[0]} is not one action, service:Name without wildcards"
        raise BadTestFile(message)
    return list(values)


def _owner(resource: str) -> str | None:
    segments = resource.split(":", ARN_SEGMENTS - 1)
    return segments[4] if len(segments) == ARN_SEGMENTS and _ACCOUNT_ID.fullmatch(segments[4]) else None


def _principal(raw: Any, account: str, where: str) -> Principal:
    details: dict[str, Any] = {"name": raw} if isinstance(raw, str) else raw if isinstance(raw, dict) else {}
    _known(details, ("name", "tags", "session"), f"{where}, principal")
    name = details.get("name")
    if not isinstance(name, str):
        message = f"{where}: `principal` is missing: user/NAME, role/NAME, root, a service, or an ARN"
        raise BadTestFile(message)
    if re.fullmatch(r"[a-z0-9.-]+\.(amazonaws\.com|internal)", name):
        return Principal(kind=PrincipalKind.SERVICE, account_id=account, arn=name, unique_id=name, name=name)
    arn = name if name.startswith("arn:") else f"arn:aws:iam::{account}:{name}"
    found = _ARN.fullmatch(arn)
    if found is None:
        message = f"{where}: {name} is no principal: user/NAME, role/NAME, root, a service, or an ARN"
        raise BadTestFile(message)
    tags = {str(key): str(value) for key, value in _mapping(details, "tags", f"{where}, principal").items()}
    return _named(found, str(details.get("session", "session")), tags)


def _named(found: re.Match[str], session: str, tags: Mapping[str, str]) -> Principal:
    arn, account = found[0], found[2]
    kind, _, path = found[3].partition("/")
    last = path.rpartition("/")[2]
    if kind == "root":
        return Principal(kind=PrincipalKind.ROOT, account_id=account, arn=arn, unique_id=account, tags=tags)
    if kind == "user":
        unique_id = "AIDAEXAMPLEUSER000001"
        return Principal(
            kind=PrincipalKind.USER, account_id=account, arn=arn, unique_id=unique_id, name=last, tags=tags
        )
    role, role_arn = last, arn
    if kind == "assumed-role":
        role, _, session = path.partition("/")
        role_arn = f"arn:aws:iam::{account}:role/{role}"
    return Principal(
        kind=PrincipalKind.ROLE_SESSION,
        account_id=account,
        arn=f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
        role_arn=role_arn,
        unique_id=f"AROAEXAMPLEROLE000001:{session}",
        name=role,
        session_name=session,
        tags=tags,
    )


def _facts(whole: Mapping[str, Any], principal: Principal, owner: str, where: str) -> dict[str, ContextValue]:
    """The keys that follow from the principal and the time, and those that the case gives."""
    instant = None if whole.get("at") is None else parse_instant(str(whole["at"]))
    if whole.get("at") is not None and instant is None:
        message = f"{where}: `at` must be a time such as 2026-11-23T18:30:00Z"
        raise BadTestFile(message)
    zone = str(whole.get("time_zone", "UTC"))
    if zone_named(zone) is None:
        message = f"{where}: {zone} is not a time zone; write it as IANA does, e.g. Europe/Berlin"
        raise BadTestFile(message)
    built = build_context(
        principal,
        Source(ip="0.0.0.0", user_agent="", tls=True, received_at_ms=0),  # noqa: S104 - taken out again below
        now_ms=(instant or 0) // 1000,
        region="",
        extra={},
        time_zone=zone,
        resource_account_id=owner,
    )
    left_out = _MEASURED if instant is not None else _MEASURED | _OF_THE_CLOCK
    context = {key: value for key, value in built.items() if key not in left_out}
    given: Mapping[str, ContextValue] = whole["context"]
    return {**context, **given}


def _layers(raw: Mapping[str, Any], load: LoadPolicy, where: str) -> tuple[Layers, bool]:
    _known(raw, _LAYERS, f"{where}, policies")
    if "resource" in raw and "trust" in raw:
        message = f"{where}: a request has a resource policy or a trust policy, not both"
        raise BadTestFile(message)

    def level(value: Any, kind: PolicyKind) -> Level:
        several = value if isinstance(value, list) else [value]
        return tuple(_compiled(item, kind, load, where) for item in several)

    def levels(name: str, kind: PolicyKind) -> tuple[Level, ...]:
        several = raw.get(name, [])
        if not isinstance(several, list):
            message = f"{where}: `{name}` must be a list of levels"
            raise BadTestFile(message)
        return tuple(level(item, kind) for item in several)

    on_resource = None
    if "resource" in raw:
        on_resource = _compiled(raw["resource"], PolicyKind.RESOURCE, load, where)
    if "trust" in raw:
        on_resource = _compiled(raw["trust"], PolicyKind.TRUST, load, where)
    layers = Layers(
        identity=level(raw.get("identity", []), PolicyKind.IDENTITY),
        boundary=_compiled(raw["boundary"], PolicyKind.BOUNDARY, load, where) if "boundary" in raw else None,
        session=level(raw["session"], PolicyKind.SESSION) if "session" in raw else None,
        resource=on_resource,
        service_control=levels("service_control", PolicyKind.SERVICE_CONTROL),
        resource_control=levels("resource_control", PolicyKind.RESOURCE_CONTROL),
    )
    return layers, "trust" in raw


def _compiled(raw: Any, kind: PolicyKind, load: LoadPolicy, where: str) -> CompiledPolicy:
    name = raw if isinstance(raw, str) else f"the {kind} policy in the test file"
    document = load(raw) if isinstance(raw, str) else raw
    if isinstance(document, list):
        document = {"Version": "2012-10-17", "Statement": document}
    if not isinstance(document, Mapping):
        message = f"{where}: a policy is the name of a file, a document, or a list of statements"
        raise BadTestFile(message)
    try:
        return compile_policy(document, name=name, kind=kind)
    except MalformedPolicy as error:
        message = f"{where}: {name}: {error.message}"
        raise BadTestFile(message) from error
