"""Which package a link leads to, and whether it still may."""

from __future__ import annotations

from pathlib import Path

from leastwise.flows.services import Services
from leastwise.functions.links import bad_link, open_link
from leastwise.kernel import errors


async def package_behind(token: str, services: Services, *, now_ms: int) -> Path:
    """The zip file that a link of GetFunction leads to.

    SECURITY: a link asks nobody who holds it. So it is asked whose it was: nothing comes out of a closed account.

    Raises:
        BadLink: not ours, too old, or asked for from an account that is closed since.
        errors.NotFound: no such package.
    """
    links = services.code_links
    if links is None:
        message = "There are no packages here."
        raise errors.NotFound(message)
    link = open_link(links.key, token, now_ms=now_ms)
    tree = await services.organization.accounts.tree()
    if tree.is_suspended(link.account_id):
        raise bad_link()
    return services.code_store.zip_path(link.digest)
