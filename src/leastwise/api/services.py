"""Which service a request is for: the signature's scope says it, and without one the request's own form."""

from __future__ import annotations

from collections.abc import Callable, Collection

from leastwise.api.protocol import models, query
from leastwise.api.protocol.models import Service
from leastwise.api.protocol.wire import MissingAction, UnknownOperation, WireRequest
from leastwise.kernel.errors import NotImplementedHere


class Directory:
    """The services that this installation offers.

    Args:
        names: botocore names (`lambda`, `iam`).
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = sorted(names)

    @staticmethod
    def fallback() -> Service:
        """In whose words requests are refused that name no service."""
        return models.service("lambda")

    def offered(self, claimed: str) -> Service | None:
        """The service that a credential scope names.

        SECURITY: memory exhaustion. Models are loaded for offered services only: whoever can name a service could
        otherwise have all four hundred loaded.
        """
        name = models.SIGNING_NAMES.get(claimed, claimed)
        return models.service(name) if name in self._names else None

    def find(self, request: WireRequest, claimed: str | None) -> Service:
        """The service whose protocol the request is answered in.

        Args:
            request: the whole request.
            claimed: service of the credential scope, None for unsigned requests.

        Raises:
            NotImplementedHere: a service of AWS, or a word, that this installation does not offer.
        """
        if claimed is not None:
            service = self.offered(claimed)
            if service is None:
                message = f"The service {claimed[:64]} is not implemented by Leastwise."
                raise NotImplementedHere(message)
            return service
        target = request.headers.get(b"x-amz-target")
        if target is not None:
            prefix = target.decode("latin-1").rpartition(".")[0]
            return self._first(lambda service: service.target_prefix == prefix) or self.fallback()
        if request.path == b"/":
            form, _ = query.read_form(request)
            version = form.get("Version")
            found = self._first(lambda service: service.protocol == "query" and service.api_version == version)
            return found or self.fallback()
        return self._first(lambda service: _routes(service, request)) or self.fallback()

    def _first(self, holds: Callable[[Service], bool]) -> Service | None:
        return next((service for service in map(models.service, self._names) if holds(service)), None)


def _routes(service: Service, request: WireRequest) -> bool:
    if service.protocol != "rest-json":
        return False
    try:
        service.route(request)
    except (UnknownOperation, MissingAction):
        return False
    return True
