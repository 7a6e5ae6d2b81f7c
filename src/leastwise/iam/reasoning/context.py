"""The context of a request as variables: every condition key that the policies read, absent, single or several values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from leastwise.iam.interface import ContextValue
from leastwise.iam.policy import clockkeys
from leastwise.iam.policy.conditions import keys_read
from leastwise.iam.policy.document import ConditionEntry, PolicyDocument, Statement
from leastwise.iam.policy.variables import keys_of, parse_pattern
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.readings import Model, Reading, Slot, Uses
from leastwise.iam.reasoning.script import Script

_MOST_VALUES: Final = 6
_MULTIVALUED: Final = frozenset(
    {
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgpaths",
        "aws:sourceorgpaths",
        "aws:tagkeys",
    }
)
"""Source: IAM User Guide, "AWS global condition context keys", value type of each key."""
ALWAYS: Final = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:principalisawsservice",
        "aws:requestedregion",
        "aws:securetransport",
        "aws:useragent",
        "aws:userid",
        "aws:viaawsservice",
    }
)
"""Keys that every request has, whoever makes it.

INVARIANT: `iam.policy.context` gives each of them to every kind of principal, and nothing decides on another context.
"""
_TRUTHS: Final = frozenset(
    {"aws:securetransport", "aws:viaawsservice", "aws:principalisawsservice", "aws:multifactorauthpresent"}
)


def is_single_valued(key: str) -> bool:
    """No request ever has several values of this key. (Of keys that are not known, nobody can say.)"""
    return key.startswith(("aws:", "leastwise:")) and key not in _MULTIVALUED


def canonical(key: str) -> str:
    """Lower case, but for the zone of a clock key."""
    zoned = clockkeys.zone_of_key(key)
    return f"{zoned[0]}/{zoned[1]}" if zoned else key.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextKey:
    """One condition key.

    Args:
        name: see `canonical`.
        present: term: it has a value.
        several: term: its value is a list (of one or more). A list is never the value of a variable.
        used: terms: the slot holds a value, when the key is present.
        slots: its values.
    """

    name: str
    present: str
    several: str
    used: tuple[str, ...]
    slots: tuple[Slot, ...]


class ContextTerms:
    """Makes the variables of condition keys when they are first asked for."""

    def __init__(self, script: Script, documents: Iterable[PolicyDocument]) -> None:
        self._script = script
        self._uses: dict[str, Uses] = {}
        self.keys: dict[str, ContextKey] = {}
        for document in documents:
            for statement in document.statements:
                self._note(statement, variables=document.has_variables)

    def _note(self, statement: Statement, *, variables: bool) -> None:
        for entry in statement.conditions:
            key = canonical(entry.key)
            self._uses_of(key).note(entry, key, entry_identity(entry))
            # "Denied unless it is this one" names as well as "allowed if it is this one".
            if statement.allow is not entry.operator.negated:
                self._uses_of(key).named.add(entry)
            for other in keys_read(entry, variables=variables) - {entry.key.lower()}:
                if entry.operator.takes_variables:
                    self._uses_of(other).readings.add(Reading.TEXT)
        for text in statement.resources or ():
            for key in keys_of(parse_pattern(text, variables=variables, wildcards=True)):
                self._uses_of(key).readings.add(Reading.TEXT)

    def _uses_of(self, key: str) -> Uses:
        return self._uses.setdefault(key, Uses())

    def reads(self, name: str) -> bool:
        """Some policy reads this key."""
        return name in self._uses

    def names(self) -> frozenset[str]:
        return frozenset(self._uses)

    def named(self, name: str) -> frozenset[ConditionEntry]:
        """Entries that let in whoever has one of their values."""
        return frozenset(self._uses[name].named)

    def as_text(self, name: str) -> ContextKey:
        """The key, readable as text also where no policy reads it so."""
        self._uses_of(name).readings.add(Reading.TEXT)
        return self.key(name)

    def key(self, name: str) -> ContextKey:
        """The variables of one key."""
        known = self.keys.get(name)
        if known is None:
            known = self.keys[name] = self._make(name)
        return known

    def _make(self, name: str) -> ContextKey:
        script, uses, number = self._script, self._uses_of(name), len(self.keys)
        if name in _TRUTHS:
            uses.readings.add(Reading.TEXT)
        present = script.declare(f"p{number}", "Bool")
        several, width = terms.FALSE, 1
        if not is_single_valued(name):
            several = script.declare(f"l{number}", "Bool")
            width = max(1, min(len(uses.quantified), _MOST_VALUES))
            if len(uses.quantified) > _MOST_VALUES:
                script.bounded.append(f"more than {_MOST_VALUES} values of {name}")
        used = [terms.TRUE]
        for index in range(1, width):
            more = script.declare(f"u{number}_{index}", "Bool")
            script.fact(terms.implies(more, terms.all_of((several, used[-1]))))
            used.append(more)
        slots = tuple(Slot(script, f"{number}_{index}", uses) for index in range(width))
        made = ContextKey(name=name, present=present, several=several, used=tuple(used), slots=slots)
        self._known_facts(made)
        return made

    def _known_facts(self, key: ContextKey) -> None:
        script, (slot, *_) = self._script, key.slots
        if key.name in ALWAYS:
            script.fact(key.present)
        if key.name in _TRUTHS:
            script.fact(f'(or (= {slot.text} "true") (= {slot.text} "false"))')
        if key.name in {"aws:currenttime", "aws:tokenissuetime"} and Reading.INSTANT in slot.uses.readings:
            script.fact(slot.name("ist"))
            script.fact(f"(<= 0 {slot.name('t')} 253402300799000000)")
        if key.name in {"aws:epochtime", "aws:multifactorauthage"} and Reading.NUMBER in slot.uses.readings:
            script.fact(terms.all_of((slot.name("isn"), f"(<= 0 {slot.name('n')})")))
        if key.name == clockkeys.TIME_OF_DAY and Reading.MINUTES in slot.uses.readings:
            script.fact(f"(and {slot.name('ism')} (<= {slot.name('m')} 1439))")

    def shown(self, model: Model) -> dict[str, ContextValue]:
        """The context that the solver chose."""
        context: dict[str, ContextValue] = {}
        for key in self.keys.values():
            if not model[key.present]:
                continue
            values = [
                slot.shown(model)
                for slot, used in zip(key.slots, key.used, strict=True)
                if used == terms.TRUE or model[used]
            ]
            is_list = key.several != terms.FALSE and bool(model[key.several])
            context[key.name] = tuple(values) if is_list else values[0]
        return context


def entry_identity(entry: ConditionEntry) -> tuple[object, ...]:
    """Equal for entries that say the same."""
    return (entry.set_operator, entry.operator.name, entry.if_exists, canonical(entry.key), entry.values)


def with_clock_of(context: Mapping[str, ContextValue]) -> dict[str, ContextValue]:
    """A context in which clock keys with a zone of their own come true through `aws:EpochTime`, where one instant does it.

    Two weeks of minutes are tried: weekday and time of day repeat.
    """
    zoned = {key: value for key, value in context.items() if clockkeys.zone_of_key(key)}
    plain = {key: value for key, value in context.items() if key not in zoned}
    if not zoned:
        return plain
    first = plain.get("aws:epochtime")
    candidates = [first] if isinstance(first, str) else [str(_MONDAY + 60 * minute) for minute in range(_TWO_WEEKS)]
    for epoch in candidates:
        if all(_zoned_value(key, epoch) == value for key, value in zoned.items()):
            return plain | {"aws:epochtime": epoch}
    return plain


_MONDAY: Final = 1_780_272_000
_TWO_WEEKS: Final = 14 * 24 * 60


def _zoned_value(key: str, epoch: object) -> str | None:
    plain, zone = clockkeys.zone_of_key(key) or ("", "")
    return clockkeys.read_zoned(plain, zone, epoch)
