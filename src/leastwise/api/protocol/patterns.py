r"""Patterns of the service models are Java's; these are the same patterns in Python's dialect.

Source: java.util.regex.Pattern. `matches()` is a full match; `\d`, `\w`, `\s` are ASCII; `\p{L}` is a Unicode
category; a hyphen beside a class or at the end of a set is a hyphen.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby
from typing import Final

_ASTRAL_PAIR: Final = re.compile(r"\\u(1[0-9A-F]{4})-\\u(10[0-9A-F]{4})")
_SURROGATES: Final = r"\uD800\uDC00-\uDBFF\uDFFF"
_CLASS_ESCAPES: Final = "dDwWsS"


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, to be used with `fullmatch`.

    Raises:
        re.error: it cannot be expressed. Callers let it through: a constraint that cannot be checked refuses.
    """
    return re.compile(translated(pattern), re.ASCII)


def translated(pattern: str) -> str:
    """The same pattern in Python's dialect."""
    # Some models write astral code points as \\u10000-\\u10FFFF, which Python reads as \\u1000 and 0, or as surrogates.
    pattern = pattern.replace(_SURROGATES, "\\U00010000-\\U0010ffff")
    pattern = _ASTRAL_PAIR.sub(lambda m: f"\\U{int(m[1], 16):08x}-\\U{int(m[2], 16):08x}", pattern)
    out: list[str] = []
    at, in_set = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            if pattern[at + 1 : at + 3] == "p{":
                end = pattern.index("}", at)
                members = category(pattern[at + 3 : end])
                out.append(members if in_set else f"[{members}]")
                at = end + 1
                continue
            out.append(pattern[at : at + 2])
            if in_set and pattern[at + 1] in _CLASS_ESCAPES and pattern[at + 2 : at + 3] == "-":
                out.append("\\-")
                at += 1
            at += 2
            continue
        if char == "[" and in_set:
            out.append("\\[")
        else:
            if char == "[":
                in_set = True
            elif char == "]":
                in_set = False
            out.append(char)
        at += 1
    return "".join(out)


@cache
def _categories() -> dict[str, str]:
    """Every general category as the inside of a character set. Takes about 0.1 s, once, at the first use of a tag."""
    ranges: dict[str, list[str]] = {}
    for name, run in groupby(range(sys.maxunicode + 1), key=lambda code: unicodedata.category(chr(code))):
        codes = list(run)
        ranges.setdefault(name, []).append(f"\\U{codes[0]:08x}-\\U{codes[-1]:08x}")
    return {name: "".join(parts) for name, parts in ranges.items()}


@cache
def category(name: str) -> str:
    """The inside of a set for `L`, `Lu`, ...

    Raises:
        re.error: no such category.
    """
    found = "".join(members for key, members in _categories().items() if key.startswith(name))
    if not found:
        message = f"unknown category {name}"
        raise re.error(message)
    return found
