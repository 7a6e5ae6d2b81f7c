"""How a policy reads the values of a condition key: as text, number, time of day, instant, address or bytes.

A key that is only ever read in one way needs only that one kind of variable: integers for numbers, instants and IP
addresses, which solvers are good at. Where policies read one key in several ways, the readings are tied together as far as
that can be said, and loosely beyond.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from leastwise.iam.policy import clockkeys
from leastwise.iam.policy.document import ConditionEntry
from leastwise.iam.policy.operators import (
    Family,
    parse_address,
    parse_bytes,
    parse_instant,
    parse_number,
)
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.script import Script
from leastwise.iam.reasoning.terms import Inexpressible

Value = str | bool | int
Model = Mapping[str, Value]
"""What the solver chose: variable -> value."""

_MOST_DECIMALS: Final = 30
_LARGEST_NUMBER: Final = 10**64
_MICROSECONDS: Final = 1_000_000
_NUMBERS: Final = (
    '(re.++ (re.opt (re.union (str.to_re "+") (str.to_re "-"))) (re.union (re.++ ((_ re.loop 1 64) (re.range "0" "9"))'
    ' (re.opt (re.++ (str.to_re ".") ((_ re.loop 0 64) (re.range "0" "9")))))'
    ' (re.++ (str.to_re ".") ((_ re.loop 1 64) (re.range "0" "9")))))'
)
_DIGITS: Final = '((_ re.loop 1 18) (re.range "0" "9"))'
_CLOCK: Final = (
    '(re.union (str.to_re "24:00") (re.++ (re.union (re.++ (re.range "0" "1") (re.range "0" "9"))'
    ' (re.++ (str.to_re "2") (re.range "0" "3"))) (str.to_re ":") (re.range "0" "5") (re.range "0" "9")))'
)
_ADDRESS_4: Final = '((_ re.loop 7 15) (re.union (re.range "0" "9") (str.to_re ".")))'


class Reading(StrEnum):
    """A way to read a value. The letters begin the names of its variables."""

    TEXT = "s"
    NUMBER = "n"
    MINUTES = "m"
    INSTANT = "t"
    ADDRESS = "a"
    BYTES = "b"


_READ_AS: Final = {
    Family.NUMERIC: Reading.NUMBER,
    Family.DATE: Reading.INSTANT,
    Family.IP: Reading.ADDRESS,
    Family.BINARY: Reading.BYTES,
}


def reading_of(entry: ConditionEntry, key: str) -> Reading | None:
    """How an entry reads its key; None when it only asks for presence."""
    if entry.operator.family is Family.NULL:
        return None
    if entry.operator.family is Family.NUMERIC and key.partition("/")[0] == clockkeys.TIME_OF_DAY:
        return Reading.MINUTES
    return _READ_AS.get(entry.operator.family, Reading.TEXT)


@dataclass(slots=True, kw_only=True)
class Uses:
    """What all policies of a question do with one key.

    Args:
        readings: how they read it.
        decimals: most digits behind the point of a number that it is compared with.
        texts: literals that it is compared with.
        wanted_bytes: contents that it is compared with.
        named: entries by which whoever has one of their values comes in.
        quantified: entries that ask for "all" or "any" of its values. As many values are enough to make each of them
            true or false as it likes: one witness for each.
    """

    readings: set[Reading] = field(default_factory=set)
    decimals: int = 0
    texts: set[str] = field(default_factory=set)
    wanted_bytes: list[bytes] = field(default_factory=list)
    named: set[ConditionEntry] = field(default_factory=set)
    quantified: set[object] = field(default_factory=set)

    def note(self, entry: ConditionEntry, key: str, identity: object) -> None:
        """Takes one more entry into account."""
        reading = reading_of(entry, key)
        if reading is None:
            return
        self.readings.add(reading)
        self.quantified.add(identity)
        if reading is Reading.NUMBER:
            for value in map(parse_number, entry.values):
                if isinstance(value, Decimal):
                    self.decimals = max(self.decimals, -int(value.as_tuple().exponent))
        elif reading is Reading.TEXT:
            self.texts.update(entry.values)
        elif reading is Reading.BYTES:
            for data in map(parse_bytes, entry.values):
                if data is not None and data not in self.wanted_bytes:
                    self.wanted_bytes.append(data)

    @property
    def scale(self) -> int:
        """Numbers are counted in units of one digit more than any bound has, so that there is room between two bounds.

        Raises: Inexpressible: too many digits.
        """
        if self.decimals > _MOST_DECIMALS:
            message = f"a number with more than {_MOST_DECIMALS} decimals"
            raise Inexpressible(message)
        return int(10 ** (self.decimals + 1))


class Slot:
    """One value of a key: its variables, one set for each reading."""

    def __init__(self, script: Script, mark: str, uses: Uses) -> None:
        self._mark = mark
        self.uses = uses
        for reading in sorted(uses.readings):
            self._declare(reading, script)
        if Reading.TEXT in uses.readings:
            self._tie(script)

    def name(self, letter: str) -> str:
        return f"{letter}{self._mark}"

    @property
    def text(self) -> str:
        return self.name(Reading.TEXT)

    def _declare(self, reading: Reading, script: Script) -> None:
        value = script.declare(self.name(reading), "String" if reading is Reading.TEXT else "Int")
        match reading:
            case Reading.NUMBER:
                script.declare(self.name("isn"), "Bool")
                limit = _LARGEST_NUMBER * self.uses.scale
                script.fact(f"(< (- {limit}) {value} {limit})")
            case Reading.MINUTES:
                script.declare(self.name("ism"), "Bool")
                script.fact(f"(<= 0 {value} 1440)")
            case Reading.INSTANT:
                script.declare(self.name("ist"), "Bool")
            case Reading.ADDRESS:
                version = script.declare(self.name("av"), "Int")
                script.fact(f"(or (= {version} 0) (= {version} 4) (= {version} 6))")
                script.fact(f"(and (<= 0 {value}) (< {value} (ite (= {version} 4) {2**32} {2**128})))")
            case Reading.BYTES:
                script.fact(f"(<= 0 {value} {len(self.uses.wanted_bytes)})")
            case Reading.TEXT:
                pass

    def _tie(self, script: Script) -> None:
        """The readings of one text agree, as far as that can be said."""
        text = self.text
        readings = self.uses.readings
        if readings & {Reading.INSTANT, Reading.ADDRESS, Reading.BYTES}:
            script.loose.append("a key that is compared as text and also as a date, an address or bytes")
        if Reading.NUMBER in readings:
            script.fact(terms.equal(self.name("isn"), terms.within(text, _NUMBERS)))
            scaled = f"(* {self.uses.scale} (str.to_int {text}))"
            script.fact(terms.implies(terms.within(text, _DIGITS), terms.equal(self.name("n"), scaled)))
        if Reading.MINUTES in readings:
            script.fact(terms.equal(self.name("ism"), terms.within(text, _CLOCK)))
            minutes = f"(+ (* 60 (str.to_int (str.substr {text} 0 2))) (str.to_int (str.substr {text} 3 2)))"
            script.fact(terms.implies(self.name("ism"), terms.equal(self.name("m"), minutes)))
        if Reading.INSTANT in readings:
            seconds = f"(* {_MICROSECONDS} (str.to_int {text}))"
            known = terms.all_of((self.name("ist"), terms.equal(self.name("t"), seconds)))
            script.fact(terms.implies(terms.within(text, _DIGITS), known))
        if Reading.ADDRESS in readings:
            script.fact(terms.implies(f"(= {self.name('av')} 4)", terms.within(text, _ADDRESS_4)))
            script.fact(terms.implies(f"(= {self.name('av')} 6)", f'(str.contains {text} ":")'))
        for literal in sorted(self.uses.texts):
            script.fact(terms.implies(terms.equal(text, terms.quoted(literal)), self._reads_as(literal)))

    def _reads_as(self, literal: str) -> str:
        """Every other reading of a literal."""
        readings = self.uses.readings
        known = []
        if Reading.INSTANT in readings:
            instant = parse_instant(literal)
            known.append(self.name("ist") if instant is not None else f"(not {self.name('ist')})")
            known += [] if instant is None else [f"(= {self.name('t')} {terms.number(instant)})"]
        if Reading.ADDRESS in readings:
            version, value = parse_address(literal) or (0, 0)
            known.append(f"(= {self.name('av')} {version})")
            known += [f"(= {self.name('a')} {value})"] if version else []
        if Reading.NUMBER in readings:
            value_of = parse_number(literal)
            if value_of is not None:
                scaled = Fraction(value_of) * self.uses.scale
                known += [f"(= {self.name('n')} {terms.number(int(scaled))})"] if scaled.denominator == 1 else []
        return terms.all_of(known)

    def shown(self, model: Model) -> str:
        """The text of this value in the solver's choice."""
        readings = self.uses.readings
        if Reading.TEXT in readings:
            return str(model[self.text])
        if Reading.MINUTES in readings:
            return self._show_minutes(model)
        if Reading.NUMBER in readings:
            return self._show_number(model)
        if Reading.INSTANT in readings:
            return self._show_instant(model)
        if Reading.ADDRESS in readings:
            return self._show_address(model)
        return self._show_bytes(model) if Reading.BYTES in readings else "x"

    def _show_number(self, model: Model) -> str:
        if not model[self.name("isn")]:
            return "none"
        value = int(model[self.name("n")])
        whole, rest = divmod(abs(value), self.uses.scale)
        decimals = str(rest).zfill(len(str(self.uses.scale)) - 1).rstrip("0")
        return ("-" if value < 0 else "") + str(whole) + (f".{decimals}" if decimals else "")

    def _show_minutes(self, model: Model) -> str:
        value = int(model[self.name("m")])
        return f"{value // 60:02d}:{value % 60:02d}" if model[self.name("ism")] else "none"

    def _show_instant(self, model: Model) -> str:
        if not model[self.name("ist")]:
            return "none"
        seconds, rest = divmod(int(model[self.name("t")]), _MICROSECONDS)
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=rest)
        except OverflowError:
            return str(seconds)
        return moment.isoformat().replace("+00:00", "Z")

    def _show_address(self, model: Model) -> str:
        value = int(model[self.name("a")])
        match model[self.name("av")]:
            case 4:
                return str(ipaddress.IPv4Address(value))
            case 6:
                return ipaddress.IPv6Address(value).exploded
        return "none"

    def _show_bytes(self, model: Model) -> str:
        index = int(model[self.name("b")])
        known = self.uses.wanted_bytes
        data = known[index - 1] if index else max(known, key=len, default=b"") + b"x"
        return base64.b64encode(data).decode()
