"""The door: an ASGI application that turns HTTP requests into calls and outcomes into HTTP responses.

It parses and words; it decides nothing. Whoever a request claims to be from travels as a proof, and what is wrong with
its parameters travels as the call's `problem`, so that both are judged, and recorded, inside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from email.utils import formatdate
from typing import Any, Final

from leastwise.api import invoke_lane, sigv4
from leastwise.api.bodies import Bodies, BodyLimits, ClientGoneError, Held, Receive
from leastwise.api.canonical import normalized_path
from leastwise.api.downloads import OpenPackage, send_package
from leastwise.api.errors import describe
from leastwise.api.forwarded import TrustedProxies
from leastwise.api.protocol import json_body, models
from leastwise.api.protocol.faults import unserved_response
from leastwise.api.protocol.models import Routed, Service
from leastwise.api.protocol.wire import (
    HeaderList,
    MissingAction,
    ShapeInvalid,
    UnknownOperation,
    Unparseable,
    WireRequest,
    WireResponse,
)
from leastwise.api.services import Directory
from leastwise.iam.interface import BadProof, IncompleteSignature, MissingProof, SignatureMismatch
from leastwise.kernel.call import Call, NoProof, Outcome, Proof, SigV4Proof, Source
from leastwise.kernel.clock import Clock
from leastwise.kernel.errors import LeastwiseError, NotImplementedHere
from leastwise.kernel.ids import request_id as new_request_id
from leastwise.kernel.units import MIB

Scope = Mapping[str, Any]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
Perform = Callable[[Call], Awaitable[Outcome]]
Health = Callable[[], Awaitable[Mapping[str, Any]]]

_LOG: Final = logging.getLogger(__name__)
_LONGEST_USER_AGENT: Final = 1024
_OFF_THE_LOOP: Final = MIB
_UNAVAILABLE: Final = 503
_UNKNOWN: Final = "Unknown"
"""Operation, and in lower case service, of a call for nothing we know."""

# SECURITY: memory exhaustion by functions. Every sandbox has a door of its own; what all of them hold is counted together.
_HELD_FOR_SANDBOXES: Final = Held(256 * MIB)


def create_app(
    perform: Perform,
    *,
    implemented: Collection[tuple[str, str]],
    clock: Clock,
    health: Health | None = None,
    open_package: OpenPackage | None = None,
    fixed_source: Source | None = None,
    limits: BodyLimits | None = None,
    trusted_proxies: TrustedProxies | None = None,
) -> Door:
    """The application.

    Args:
        perform: the one way in.
        implemented: (service, operation) of every row of the operations table.
        clock: for the arrival of requests and the Date header.
        health: answers `GET /health`; a `status` other than `ok` is told as 503. None: no such page.
        open_package: answers `GET /code/{token}`; raises `Denied`. None: no such page.
        fixed_source: address and transport of every call, instead of the connection's: for the endpoint inside a
            sandbox.
        limits: sizes of bodies.
        trusted_proxies: whose word about callers counts; None: nobody's.
    """
    return Door(
        perform,
        implemented,
        clock,
        health,
        open_package,
        fixed_source,
        limits or BodyLimits(),
        trusted_proxies or TrustedProxies(()),
    )


class Door:
    """See `create_app`."""

    def __init__(  # noqa: PLR0917 - made by create_app only
        self,
        perform: Perform,
        implemented: Collection[tuple[str, str]],
        clock: Clock,
        health: Health | None,
        open_package: OpenPackage | None,
        fixed_source: Source | None,
        limits: BodyLimits,
        trusted_proxies: TrustedProxies,
    ) -> None:
        self._perform = perform
        self._implemented = frozenset(implemented)
        self._services = Directory({service for service, _ in self._implemented})
        self._clock = clock
        self._health = health
        self._open_package = open_package
        self._fixed_source = fixed_source
        self._trusted_proxies = trusted_proxies
        self._bodies = Bodies(limits, Held(limits.in_flight) if fixed_source is None else _HELD_FOR_SANDBOXES)
        self._date = (0, b"")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id = new_request_id()
        method, path, headers = scope["method"], scope["raw_path"], scope["headers"]
        claimed = sigv4.claimed_service(headers, scope["query_string"])
        if claimed is None and method == "GET":
            if path == b"/health" and self._health is not None:
                await self._send(send, request_id, await self._tell_health(self._health))
                return
            if path.startswith(b"/code/") and self._open_package is not None:
                await send_package(self._open_package, path, send)
                return
        try:
            body, reserved = await self._bodies.read(
                receive, headers, method=method, path=path, signed=claimed is not None
            )
        except ClientGoneError:
            return
        except LeastwiseError as error:
            service = self._services.fallback() if claimed is None else self._services.offered(claimed)
            await self._send(send, request_id, self._fault(service, error, request_id, headers, claimed))
            return
        try:
            response = await self._answer(scope, headers, body, request_id, claimed)
        finally:
            self._bodies.release(reserved)
        await self._send(send, request_id, response)

    async def answer(self, scope: Scope, body: bytes) -> tuple[int, HeaderList, bytes]:
        """Status, headers and body of the answer to a whole, small request. Never raises.

        Args:
            scope: `method`, `raw_path`, `query_string`, `headers`, `client` and `scheme`, as in ASGI.
            body: complete.
        """
        request_id = new_request_id()
        response = await self._answer(scope, scope["headers"], body, request_id, None)
        return response.status, self._headers(request_id, response), response.body

    async def _answer(
        self, scope: Scope, headers: Headers, body: bytes, request_id: str, claimed: str | None
    ) -> WireResponse:
        """Everything between a complete request and its response. Never raises."""
        service: Service | None = None
        try:
            method, path, query = scope["method"], scope["raw_path"], scope["query_string"]
            proof = await _proof(method, path, query, headers, body)
            # SECURITY: scope confusion. From here on the service is the one whose signing key will be asked for, not
            # one that a second look at the header could find.
            claimed = proof.service if isinstance(proof, SigV4Proof) else sigv4.claimed_service(headers, query)
            if claimed == "lambda" and invoke_lane.is_invoke(method, path):
                params = invoke_lane.read_invoke(path, query, headers, body)
                if params is not None and ("lambda", invoke_lane.OPERATION) in self._implemented:
                    return await self._invoke(scope, headers, proof, request_id, params)
            request = WireRequest(
                method=method, path=normalized_path(path), query=query, headers=_joined(headers), body=body
            )
            source = self._source(scope, headers)
            try:
                service = self._services.find(request, claimed)
                if isinstance(proof, NoProof) and claimed is None and not _is_routed(service, request):
                    # A stranger's request for nothing we know: AWS answers that the token is missing.
                    return self._fault(service, _refusal(proof), request_id, headers, claimed)
                routed = service.route(request)
            except (NotImplementedHere, UnknownOperation, MissingAction) as problem:
                error = await self._refuse_inside(problem, service, proof, source, request_id)
                return self._fault(service, error, request_id, headers, claimed)
            call = await self._call(service, routed, request, proof, source, request_id)
            outcome = await self._perform(call)
            if outcome.error is not None:
                return self._fault(service, outcome.error, request_id, headers, claimed)
            if (service.name, routed.operation) == ("lambda", invoke_lane.OPERATION):
                return invoke_lane.write_invoke(outcome.result or {})
            return service.plan(routed.operation).respond(outcome.result or {}, request_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the reason
            if not isinstance(error, LeastwiseError):
                _LOG.exception("request %s failed at the door", request_id)
            return self._fault(service, error, request_id, headers, claimed)

    async def _invoke(
        self, scope: Scope, headers: Headers, proof: Proof, request_id: str, params: Mapping[str, Any]
    ) -> WireResponse:
        """The fast lane."""
        outcome = await self._perform(
            Call(
                request_id=request_id,
                service="lambda",
                operation=invoke_lane.OPERATION,
                proof=proof,
                command=params,
                source=self._source(scope, headers),
            )
        )
        if outcome.error is not None:
            return self._fault(models.service("lambda"), outcome.error, request_id, headers, "lambda")
        return invoke_lane.write_invoke(outcome.result or {})

    async def _refuse_inside(
        self, problem: LeastwiseError, service: Service | None, proof: Proof, source: Source, request_id: str
    ) -> Exception:
        """A signed request for nothing we know: whose it is is judged and recorded like that of any other.

        SECURITY: without this, whoever tries out what there is would leave no trace.
        """
        outcome = await self._perform(
            Call(
                request_id=request_id,
                service=_UNKNOWN.lower() if service is None else service.name,
                operation=_UNKNOWN,
                proof=proof,
                command={},
                source=source,
                problem=problem,
            )
        )
        return outcome.error or problem

    async def _call(  # noqa: PLR0917 - the parts of a call
        self, service: Service, routed: Routed, request: WireRequest, proof: Proof, source: Source, request_id: str
    ) -> Call:
        params: Mapping[str, Any] = {}
        problem: Exception | None = routed.problem
        if (service.name, routed.operation) in self._implemented and problem is None:
            try:
                plan = service.plan(routed.operation)
                if len(request.body) > _OFF_THE_LOOP:
                    params = await asyncio.to_thread(plan.parse, request, routed)
                else:
                    params = plan.parse(request, routed)
                plan.check(params)
            except (Unparseable, ShapeInvalid, NotImplementedHere) as error:
                problem = error
        return Call(
            request_id=request_id,
            service=service.name,
            operation=routed.operation,
            proof=proof,
            command=params,
            source=source,
            problem=problem,
        )

    def _source(self, scope: Scope, headers: Headers) -> Source:
        """SECURITY: spoofed addresses. The peer of the connection counts, never X-Forwarded-For or its like, unless the
        peer is a proxy that the installation says it trusts.
        """
        user_agent = ""
        for name, value in headers:
            if name == b"user-agent":
                user_agent = value[:_LONGEST_USER_AGENT].decode("latin-1")
                break
        fixed = self._fixed_source
        if fixed is not None:
            ip, tls = fixed.ip, fixed.tls
        else:
            client = scope.get("client")
            ip = client[0].removeprefix("::ffff:").partition("%")[0] if client else ""
            tls = scope["scheme"] == "https"
            if self._trusted_proxies:
                ip, tls = self._trusted_proxies.caller(ip, headers, tls=tls)
        return Source(ip=ip, user_agent=user_agent, tls=tls, received_at_ms=self._clock.now_ms())

    def _fault(
        self, service: Service | None, error: Exception, request_id: str, headers: Headers, claimed: str | None
    ) -> WireResponse:
        told = describe(error, "" if service is None else service.name)
        if not told.sender_fault and isinstance(error, LeastwiseError):
            _LOG.error("request %s: %s", request_id, error)
        if service is None:
            return unserved_response(claimed or "", told, request_id)
        query_mode = any(name == b"x-amzn-query-mode" and value == b"true" for name, value in headers)
        return service.faults.response(told, request_id, query_mode=query_mode)

    async def _tell_health(self, health: Health) -> WireResponse:
        try:
            report = await health()
        except Exception:  # noqa: BLE001 - logged; an unwell part must not take the page down with it
            _LOG.exception("the health report failed")
            report = {"status": "failing"}
        status = 200 if report.get("status") == "ok" else _UNAVAILABLE
        return WireResponse(
            status=status, headers=[(b"content-type", b"application/json")], body=json_body.encode(report)
        )

    async def _send(self, send: Send, request_id: str, response: WireResponse) -> None:
        headers = self._headers(request_id, response)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    def _headers(self, request_id: str, response: WireResponse) -> HeaderList:
        headers: HeaderList = [
            *response.headers,
            (b"x-amzn-requestid", request_id.encode("ascii")),
            (b"date", self._now()),
        ]
        if response.status != 204:  # noqa: PLR2004 - SOURCE: RFC 9110 section 8.6
            headers.append((b"content-length", str(len(response.body)).encode("ascii")))
        return headers

    def _now(self) -> bytes:
        """The Date header. SDKs set their clocks by it."""
        now_s = self._clock.now_ms() // 1000
        if self._date[0] != now_s:
            self._date = (now_s, formatdate(now_s, usegmt=True).encode("ascii"))
        return self._date[1]


async def _proof(method: str, path: bytes, query: bytes, headers: Headers, body: bytes) -> Proof:
    if len(body) > _OFF_THE_LOOP:
        return await asyncio.to_thread(sigv4.build_proof, method, path, query, headers, body)
    return sigv4.build_proof(method, path, query, headers, body)


def _joined(headers: Headers) -> dict[bytes, bytes]:
    """By name; the values of repeated headers joined as RFC 9110 section 5.3 has it."""
    joined: dict[bytes, bytes] = {}
    for name, value in headers:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


def _is_routed(service: Service, request: WireRequest) -> bool:
    try:
        service.route(request)
    except LeastwiseError:
        return False
    return True


def _refusal(proof: NoProof) -> BadProof:
    kind = {"missing": MissingProof, "malformed": SignatureMismatch}.get(proof.reason, IncompleteSignature)
    return kind(proof.message)
