"""The services of AWS as botocore's models describe them, loaded when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from leastwise.api.protocol import constraints, json_body, query, rest_json
from leastwise.api.protocol.constraints import Checks
from leastwise.api.protocol.faults import Faults
from leastwise.api.protocol.json_body import JsonReaders, JsonWriters
from leastwise.api.protocol.query import TreeReaders, XmlWriters
from leastwise.api.protocol.routes import Labels, Routes
from leastwise.api.protocol.wire import MissingAction, UnknownOperation, Unparseable, WireRequest, WireResponse
from leastwise.kernel.errors import NotImplementedHere

_OWN_MODELS: Final = Path(__file__).parent.parent / "models"
"""Models of the services that AWS does not have (`leastwise`)."""
SIGNING_NAMES: Final = {"access-analyzer": "accessanalyzer"}
"""Where the name in a credential scope is not botocore's."""
SERVED_PROTOCOLS: Final = frozenset({"rest-json", "query", "json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """A request whose operation is known; what was read on the way is kept for the parser."""

    operation: str
    labels: Labels
    parameters: Mapping[str, Any]
    """Query string (rest-json) or form (query)."""
    problem: Unparseable | None = None
    """What is wrong with the parameters; the operation was found all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one operation is read, checked and answered; made once.

    Args:
        parse: request -> parameters. Raises Unparseable.
        check: raises ShapeInvalid.
        respond: (result, request id) -> response.
    """

    name: str
    parse: Callable[[WireRequest, Routed], dict[str, Any]]
    check: Callable[[Mapping[str, Any]], None]
    respond: Callable[[Mapping[str, Any], str], WireResponse]


class Service:
    """One service model, ready to serve. Operations are compiled when they are first called.

    Args:
        model: the botocore model.
        name: what the platform calls it (`lambda`).
    """

    def __init__(self, model: ServiceModel, name: str) -> None:
        self.name = name
        self.protocol: str = model.metadata["protocol"]
        self.api_version: str = model.metadata["apiVersion"]
        self.target_prefix: str = model.metadata.get("targetPrefix", "")
        self._model = model
        self._operations = frozenset(model.operation_names)
        self._plans: dict[str, Plan] = {}
        self._json_readers, self._json_writers = JsonReaders(), JsonWriters()
        self._tree_readers, self._xml_writers = TreeReaders(), XmlWriters()
        self._checks = Checks(name, grouped=self.protocol == "rest-json")
        self._routes: Routes | None = None
        self.faults = Faults(model, self.protocol)

    def plan(self, operation: str) -> Plan:
        """Raises NotImplementedHere: the operation needs an event stream, which this door does not speak."""
        known = self._plans.get(operation)
        if known is None:
            known = self._plans[operation] = self._compile(self._model.operation_model(operation))
        return known

    def _compile(self, operation: OperationModel) -> Plan:
        if operation.has_event_stream_input or operation.has_event_stream_output:
            message = f"The {operation.name} operation is not implemented by Leastwise."
            raise NotImplementedHere(message)
        parse, respond = {"rest-json": self._rest, "query": self._query, "json": self._json}[self.protocol](operation)
        check = constraints.compile_check(operation, self._checks)
        return Plan(name=operation.name, parse=parse, check=check, respond=respond)

    def _rest(self, operation: OperationModel) -> tuple[Any, Any]:
        parse = rest_json.compile_parser(operation, self._json_readers)
        respond = rest_json.compile_responder(operation, self._json_writers)
        return (
            lambda request, routed: parse(request, routed.labels, routed.parameters),
            lambda result, _request_id: respond(result),
        )

    def _query(self, operation: OperationModel) -> tuple[Any, Any]:
        parse = query.compile_parser(operation, self._tree_readers)
        namespace = self._model.metadata.get("xmlNamespace") or ""
        respond = query.compile_responder(operation, self._xml_writers, namespace=namespace)
        return lambda _request, routed: parse(routed.parameters), respond

    def _json(self, operation: OperationModel) -> tuple[Any, Any]:
        shape_in, shape_out = operation.input_shape, operation.output_shape
        read = self._json_readers.reader(shape_in) if shape_in is not None else None
        write = self._json_writers.writer(shape_out) if shape_out is not None else None
        headers = [(b"content-type", f"application/x-amz-json-{self._model.metadata['jsonVersion']}".encode())]

        def parse(request: WireRequest, _routed: Routed) -> Any:
            # SOURCE: awsJson1_1: an empty body is an empty structure.
            value = json_body.decode(request.body) if request.body else {}
            return {} if read is None else read(value)

        def respond(result: Mapping[str, Any], _request_id: str) -> WireResponse:
            body = json_body.encode(write(result)) if write is not None else b"{}"
            return WireResponse(status=200, headers=list(headers), body=body)

        return parse, respond

    def route(self, request: WireRequest) -> Routed:
        """Which operation is called.

        Raises:
            UnknownOperation: none of this service.
            MissingAction: query protocol without an Action.
        """
        if self.protocol == "rest-json":
            return self._route_rest(request)
        if self.protocol == "query":
            return self._route_query(request)
        target = request.headers.get(b"x-amz-target", b"").decode("latin-1")
        prefix, _, operation = target.rpartition(".")
        if (
            request.method != "POST"
            or request.path != b"/"
            or prefix != self.target_prefix
            or operation not in self._operations
        ):
            raise UnknownOperation(f"Unknown operation {target[:200]}".rstrip())
        return Routed(operation=operation, labels={}, parameters={})

    def _route_rest(self, request: WireRequest) -> Routed:
        problem = None
        parameters: dict[str, list[str]] = {}
        try:
            parameters = query.read_query(request.query)
        except Unparseable as error:
            problem = error
        routes = self._routes
        if routes is None:
            operations = map(self._model.operation_model, self._operations)
            routes = self._routes = Routes((o.name, o.http["method"], o.http["requestUri"]) for o in operations)
        try:
            found = routes.find(request.method, request.path, parameters)
        except Unparseable:
            found = None
        if found is None:
            message = f"Unable to find operation for {request.method} {request.path[:200].decode('latin-1')}"
            raise UnknownOperation(message)
        return Routed(operation=found[0], labels=found[1], parameters=parameters, problem=problem)

    def _route_query(self, request: WireRequest) -> Routed:
        form, problem = query.read_form(request)
        operation = form.get("Action")
        if operation is None:
            message = "The request is missing an action or a required parameter."
            raise MissingAction(message)
        if request.method not in {"POST", "GET"} or request.path != b"/" or operation not in self._operations:
            raise UnknownOperation(self._no_such(operation, form))
        if form.get("Version", self.api_version) != self.api_version:
            raise UnknownOperation(self._no_such(operation, form))
        return Routed(operation=operation, labels={}, parameters=form, problem=problem)

    def _no_such(self, operation: str, form: Mapping[str, str]) -> str:
        version = form.get("Version", "NO_VERSION_SPECIFIED")
        return f"Could not find operation {operation[:128]} for version {version[:32]}"


@cache
def _loader() -> Loader:
    return Loader(extra_search_paths=[str(_OWN_MODELS)])


@cache
def _service_names() -> frozenset[str]:
    return frozenset(_loader().list_available_services("service-2"))


@cache
def service(name: str) -> Service:
    """The service of this name in botocore (`lambda`, `iam`, `accessanalyzer`).

    Raises:
        NotImplementedHere: there is no such service, or it speaks a protocol that this door does not.
    """
    if name in _service_names():
        model = ServiceModel(_loader().load_service_model(name, "service-2"), name)
        if model.metadata["protocol"] in SERVED_PROTOCOLS:
            return Service(model, name)
    message = f"The service {name} is not implemented by Leastwise."
    raise NotImplementedHere(message)
