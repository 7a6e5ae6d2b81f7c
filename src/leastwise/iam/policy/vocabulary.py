"""The words that policies use: actions of services, their resource types and their condition keys.

The data was vendored at build time (`tools/vendor_actions.py`, NOTICE.txt beside it); our own actions stand in
`iam/data/own_actions.json`. Everything is read on first use. Decisions never look here: an action that is not in the
data is decided like any other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from leastwise.iam.policy.globalkeys import GLOBAL_KEYS, ConditionKey, ValueType
from leastwise.iam.policy.matching import Tokens, compile_glob, parse_wildcards

_DATA: Final = Path(__file__).resolve().parent.parent / "data"
_VARIABLE: Final = re.compile(r"\$\{[^}]*\}")
_LIST_PREFIX: Final = "ArrayOf"


class AccessLevel(StrEnum):
    """What an action does. Source: Service Authorization Reference, "Access levels in policy summaries"."""

    LIST = "List"
    READ = "Read"
    TAGGING = "Tagging"
    WRITE = "Write"
    PERMISSIONS_MANAGEMENT = "Permissions management"


_LEVELS: Final = {level.value[0]: level for level in AccessLevel}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """A kind of resource.

    Args:
        name: e.g. `function`.
        arn: format, with `${...}` for what differs.
        keys: condition keys that it brings into a request.
    """

    name: str
    arn: str
    keys: tuple[str, ...]

    @property
    def pattern(self) -> Tokens:
        """Every ARN that this type can have."""
        return parse_wildcards(_VARIABLE.sub("*", self.arn))


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action of a service.

    Args:
        service: prefix, e.g. `lambda`.
        name: e.g. `InvokeFunction`.
        level: see `AccessLevel`.
        resources: names of the resource types it can be allowed on; none means that it is always asked for `*`.
        required: those of them without which it does nothing.
        keys: condition keys that its requests may carry, besides the global ones; those of its resources included.
    """

    service: str
    name: str
    level: AccessLevel
    resources: tuple[str, ...]
    required: tuple[str, ...]
    keys: tuple[str, ...]

    @property
    def full_name(self) -> str:
        return f"{self.service}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service with everything policies can say about it. `actions` and `keys` are by lower-case name."""

    prefix: str
    name: str
    actions: Mapping[str, Action]
    resources: Mapping[str, ResourceType]
    keys: Mapping[str, ConditionKey]


def services() -> Mapping[str, Service]:
    """The services whose actions are known, by prefix."""
    return _vocabulary()[0]


def service_exists(prefix: str) -> bool:
    """Whether any service has this prefix, with its actions known here or not."""
    return prefix in services() or prefix in _vocabulary()[1]


def action_named(name: str) -> Action | None:
    """The action `service:Name`, whatever its case; None when it is unknown."""
    prefix, _, operation = name.lower().partition(":")
    service = services().get(prefix)
    return None if service is None else service.actions.get(operation)


@lru_cache(maxsize=1024)
def actions_matching(pattern: str) -> tuple[Action, ...]:
    """Every known action that an Action element's pattern stands for."""
    lowered = pattern.lower()
    prefix, colon, _ = lowered.partition(":")
    if "*" not in lowered and "?" not in lowered:
        action = action_named(lowered)
        return () if action is None else (action,)
    matches = compile_glob(parse_wildcards(lowered))
    chosen = [services()[prefix]] if colon and prefix in services() else list(services().values())
    return tuple(action for service in chosen for action in service.actions.values() if matches(_lowered(action)))


def key_named(name: str) -> ConditionKey | None:
    """The global or service key with this name (a tag key behind its slash may be anything); None when unknown."""
    family = _family(name)
    known = GLOBAL_KEYS.get(family)
    if known is not None:
        return known
    for service in services().values():
        if family in service.keys:
            return service.keys[family]
    return None


def resources_of(action: Action) -> tuple[ResourceType, ...]:
    """The resource types that an action can be allowed on."""
    known = services()[action.service].resources
    return tuple(known[name] for name in action.resources)


def has_key(action: Action, key: str) -> bool:
    """Whether requests for an action may carry a service's key."""
    family = _family(key)
    return any(_family(known) == family for known in action.keys)


def _family(key: str) -> str:
    return key.partition("/")[0].lower()


def _lowered(action: Action) -> str:
    return action.full_name.lower()


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[Mapping[str, Service], frozenset[str]]:
    vendored = json.loads((_DATA / "actions.json").read_text(encoding="utf-8"))
    own = json.loads((_DATA / "own_actions.json").read_text(encoding="utf-8"))
    raw = {**vendored["services"], **own["services"]}
    read = {prefix: _service(prefix, item) for prefix, item in sorted(raw.items())}
    return MappingProxyType(read), frozenset(vendored["known"])


def _service(prefix: str, raw: Mapping[str, Any]) -> Service:
    resources = {
        name: ResourceType(name=name, arn=arn, keys=tuple(keys)) for name, (arn, keys) in raw["resources"].items()
    }
    keys = [_key(name, kind) for name, kind in raw["keys"].items()]
    return Service(
        prefix=prefix,
        name=raw["name"],
        actions=MappingProxyType(
            {name.lower(): _action(prefix, name, item, resources) for name, item in raw["actions"].items()}
        ),
        resources=MappingProxyType(resources),
        keys=MappingProxyType({key.family: key for key in keys}),
    )


def _key(name: str, kind: str) -> ConditionKey:
    known = GLOBAL_KEYS.get(_family(name))
    if known is not None:
        return known
    return ConditionKey(
        name=name, value_type=ValueType(kind.removeprefix(_LIST_PREFIX)), multivalued=kind.startswith(_LIST_PREFIX)
    )


def _action(prefix: str, name: str, raw: list[Any], resources: Mapping[str, ResourceType]) -> Action:
    level, marked, keys = [*raw, [], []][:3]
    used = tuple(item.removesuffix("*") for item in marked)
    return Action(
        service=prefix,
        name=name,
        level=_LEVELS[level],
        resources=used,
        required=tuple(item.removesuffix("*") for item in marked if item.endswith("*")),
        keys=tuple(sorted({*keys, *(key for item in used for key in resources[item].keys)})),
    )
