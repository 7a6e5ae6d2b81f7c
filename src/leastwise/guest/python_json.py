"""JSON as the official Python runtime writes it: Decimal as a number, NaN allowed, separators with a space."""

from __future__ import annotations

import json
import re
import sys


def encode(value: object, *, ascii_only: bool) -> bytes:
    """JSON text as UTF-8.

    Raises:
        TypeError: a value that JSON has no form for.
        ValueError: a circular reference.
    """
    decimals: list[str] = []

    def number(unknown: object) -> object:
        decimal = sys.modules.get("decimal")  # whoever has a Decimal has imported it
        if decimal is None or not isinstance(unknown, decimal.Decimal):
            message = "Object of type %s is not JSON serializable" % type(unknown).__name__
            raise TypeError(message)
        if unknown.is_nan():
            return float("nan")
        decimals.append(str(unknown))
        return "\ud800decimal:%d\udfff" % (len(decimals) - 1)

    text = json.dumps(value, ensure_ascii=ascii_only, default=number)
    if decimals:
        # A lone surrogate marks the place: no valid text of the function contains it.
        pattern = r'"(?:\\ud800|\ud800)decimal:(\d+)(?:\\udfff|\udfff)"'
        text = re.sub(pattern, lambda match: decimals[int(match.group(1))], text)
    return text.encode()
