"""Server-side pagination: a marker is the key of the last item given, so that pages stay right while items come and go."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from leastwise.kernel import errors

Item = TypeVar("Item")


def cut_page(
    items: Sequence[Item], *, key: Callable[[Item], str], marker: str | None, limit: int, descending: bool = False
) -> tuple[Sequence[Item], str | None]:
    """One page of `items`, which must be sorted by `key`.

    Args:
        items: all of them, sorted by `key`, keys unique.
        key: what identifies an item within the list.
        marker: as given out with the last page; None for the first.
        limit: most items on the page, at least 1.
        descending: `items` are sorted the other way round.

    Returns:
        the page, and the marker of the next one (None when this is the last).

    Raises:
        errors.Invalid: the marker is not one of ours.
    """
    start = 0
    if marker is not None:
        last = _open_marker(marker)

        def behind(item: Item) -> bool:
            return key(item) < last if descending else key(item) > last

        start = next((at for at, item in enumerate(items) if behind(item)), len(items))
    page = items[start : start + limit]
    if start + limit < len(items):
        return page, base64.urlsafe_b64encode(key(page[-1]).encode()).decode()
    return page, None


def _open_marker(marker: str) -> str:
    try:
        return base64.b64decode(marker.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        message = "Invalid Marker."
        raise errors.Invalid(message) from error
