"""Sums of a CSV file by group: reading and adding, without a word about how it is shown."""

import csv
import io
import re
from dataclasses import dataclass
from decimal import Decimal

LARGEST_CSV_CHARS = 5_000_000
MOST_ROWS = 100_000
MOST_COLUMNS = 200
MOST_GROUPS = 10_000
LONGEST_FIELD = 10_000

# Not Decimal's own grammar: that takes NaN, Infinity and 1e999999, which is a million digits once it is written out.
NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,6})?")


class Refused(Exception):
    """The caller's fault, in words that are safe to return."""


@dataclass(frozen=True)
class Group:
    name: str
    rows: int
    total: Decimal


def summarize(text: str, group_by: str, value: str) -> list[Group]:
    """Adds up column `value` for each content of column `group_by`; largest total first, then by name.

    Sums are exact: money is added as decimals, never as binary fractions.
    """
    if len(text) > LARGEST_CSV_CHARS:
        raise Refused(f"the CSV must not have more than {LARGEST_CSV_CHARS} characters")
    csv.field_size_limit(LONGEST_FIELD)
    totals: dict[str, Decimal] = {}
    counts: dict[str, int] = {}
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, [])
        group_index, value_index = _columns(header, group_by, value)
        for number, row in enumerate(reader, start=2):
            if not row:
                continue
            if number > MOST_ROWS + 1:
                raise Refused(f"the CSV must not have more than {MOST_ROWS} rows")
            if len(row) != len(header):
                raise Refused(f"line {number} has {len(row)} fields, the header {len(header)}")
            name, amount = row[group_index].strip(), row[value_index].strip()
            if not NUMBER.fullmatch(amount):
                raise Refused(f"line {number}: {value} is not a number with at most 15 digits and 6 decimals")
            totals[name] = totals.get(name, Decimal(0)) + Decimal(amount)
            counts[name] = counts.get(name, 0) + 1
            if len(totals) > MOST_GROUPS:
                raise Refused(f"there must not be more than {MOST_GROUPS} groups")
    except csv.Error as error:
        raise Refused(f"not a CSV file: {error}") from None
    groups = [Group(name, counts[name], total) for name, total in totals.items()]
    return sorted(groups, key=lambda group: (-group.total, group.name))


def _columns(header: list[str], group_by: str, value: str) -> tuple[int, int]:
    names = [name.strip().removeprefix("\ufeff") for name in header]
    if len(names) > MOST_COLUMNS:
        raise Refused(f"the CSV must not have more than {MOST_COLUMNS} columns")
    for wanted in (group_by, value):
        if names.count(wanted) != 1:
            raise Refused("group_by and value must each name one column of the first line")
    return names.index(group_by), names.index(value)


def defuse(text: str) -> str:
    """Makes a cell plain text for every spreadsheet program.

    A cell that begins with one of these would be a formula when the file is opened, and a formula can send what stands
    in the other cells to a web server, or start a program. Source: OWASP, "CSV Injection".
    """
    return (
        f"'{text}"
        if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20", "'"))
        else text
    )


def to_csv(groups: list[Group]) -> str:
    """The groups as CSV, every text field quoted and defused."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(("group", "rows", "total"))
    writer.writerows((defuse(group.name), group.rows, f"{group.total:f}") for group in groups)
    return out.getvalue()
