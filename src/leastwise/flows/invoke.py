"""lambda:Invoke in its three forms, and the event queue's way back in."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from leastwise.flows.function_target import find_function, function_name, resolve_function
from leastwise.flows.interface import Operation, Parameters, Scene
from leastwise.flows.perform import Performer
from leastwise.functions.interface import Function, FunctionNotFound, InvalidParameter
from leastwise.kernel.call import Call, Outcome, ServiceProof, Source
from leastwise.kernel.clock import iso_seconds
from leastwise.kernel.events import Access, EventClass
from leastwise.metering.usage import usage_of_notes
from leastwise.runtime.event_queue import Attempt
from leastwise.runtime.interface import EventTooLarge, InvalidRequestContent, QueuedEvent
from leastwise.runtime.retries import Ending

_LARGEST_EVENT: Final = 1_048_576
_LARGEST_CLIENT_CONTEXT: Final = 3_583
_OK: Final = 200
_ACCEPTED: Final = 202
_NO_CONTENT: Final = 204
_SYNTAX: Final = msgspec.json.Decoder(msgspec.Raw)
QUEUE_SERVICE: Final = "lambda.amazonaws.com"


async def invoke(scene: Scene, parameters: Parameters) -> Parameters:
    """Runs a function, queues an event for it, or only says that it could (DryRun)."""
    name = function_name(scene, parameters)
    function = await find_function(scene, name)
    kind = parameters.get("InvocationType", "RequestResponse")
    if kind == "DryRun":
        return {"StatusCode": _NO_CONTENT, "ExecutedVersion": "$LATEST", "Payload": b""}
    payload = _payload(parameters)
    if kind == "Event":
        return await _queue(scene, function, payload)
    outcome = await scene.services.runtime.invoke(
        function,
        request_id=scene.request_id,
        payload=payload,
        function_arn=name.qualified_arn,
        client_context=_client_context(parameters),
        want_tail=parameters.get("LogType") == "Tail",
    )
    notes = scene.notes
    notes["functionArn"] = function.arn
    notes["functionVersion"] = outcome.version
    notes["codeSha256"] = function.code.digest
    notes["billedMs"] = outcome.billed_ms
    notes["durationUs"] = outcome.duration_us
    notes["initUs"] = outcome.init_us
    notes["memoryMib"] = outcome.memory_mib
    result: dict[str, Any] = {"StatusCode": _OK, "Payload": outcome.payload, "ExecutedVersion": outcome.version}
    if outcome.function_error is not None:
        notes["functionError"] = outcome.function_error
        result["FunctionError"] = outcome.function_error
    if outcome.log_tail is not None:
        result["LogResult"] = base64.b64encode(outcome.log_tail).decode()
    return result


def _payload(parameters: Parameters) -> bytes:
    payload: bytes = parameters.get("Payload") or b"{}"
    try:
        _SYNTAX.decode(payload)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"Could not parse request body into json: {error}"
        raise InvalidRequestContent(message, detail={"Type": "User"}) from error
    return payload


def _client_context(parameters: Parameters) -> str | None:
    encoded = parameters.get("ClientContext")
    if encoded is None:
        return None
    if len(encoded) > _LARGEST_CLIENT_CONTEXT:
        message = f"Client context must be no more than {_LARGEST_CLIENT_CONTEXT} bytes when base64-encoded."
        raise InvalidParameter(message, detail={"Type": "User"})
    try:
        text = base64.b64decode(encoded, validate=True).decode()
        decoded = msgspec.json.decode(text)
    except (binascii.Error, UnicodeError, msgspec.DecodeError, RecursionError) as error:
        message = "Client context must be a valid Base64-encoded JSON object."
        raise InvalidRequestContent(message, detail={"Type": "User"}) from error
    if not isinstance(decoded, Mapping):
        message = "Client context must be a valid Base64-encoded JSON object."
        raise InvalidRequestContent(message, detail={"Type": "User"})
    return text


async def _queue(scene: Scene, function: Function, payload: bytes) -> Parameters:
    if len(payload) > _LARGEST_EVENT:
        message = (
            f"{len(payload)} byte payload is too large for the Event invocation type (limit {_LARGEST_EVENT} bytes)"
        )
        raise EventTooLarge(message, detail={"Type": "User"})
    await scene.services.events.accept(
        QueuedEvent(
            account_id=function.account_id,
            function_name=function.name,
            request_id=scene.request_id,
            payload=payload,
            accepted_at_ms=scene.now_ms,
            due_at_ms=scene.now_ms,
        )
    )
    scene.notes["functionArn"] = function.arn
    scene.notes["queued"] = 1
    return {"StatusCode": _ACCEPTED, "Payload": b""}


def count_usage(scene: Scene, sequence: int) -> None:
    """Metering follows the record: what stands in the trail is what is counted, once."""
    usage = usage_of_notes(scene.notes, day=iso_seconds(scene.now_ms)[:10], sequence=sequence)
    if usage is not None:
        scene.services.meter.count(usage)


async def run_queued(performer: Performer, event: QueuedEvent, *, now_ms: int, region: str) -> Attempt:
    """One attempt at a queued event. It takes the same way in as every call, with the platform's own proof."""
    arn = f"arn:aws:lambda:{region}:{event.account_id}:function:{event.function_name}"
    outcome = await performer.perform(
        Call(
            request_id=event.request_id,
            service="lambda",
            operation="Invoke",
            proof=ServiceProof(service=QUEUE_SERVICE, account_id=event.account_id, source_arn=arn),
            command={"FunctionName": arn, "InvocationType": "RequestResponse", "Payload": event.payload},
            source=Source(ip=QUEUE_SERVICE, user_agent=QUEUE_SERVICE, tls=True, received_at_ms=now_ms),
        )
    )
    function = await performer.services.catalog.get(event.account_id, event.function_name)
    return Attempt(
        ending=_ending(outcome), reserved_concurrency=None if function is None else function.reserved_concurrency
    )


def _ending(outcome: Outcome) -> Ending:
    if outcome.error is None:
        failed = outcome.result is not None and "FunctionError" in outcome.result
        return Ending.FUNCTION_ERROR if failed else Ending.DONE
    if isinstance(outcome.error, FunctionNotFound):
        # Deleted since: there is nothing left that could run it.
        return Ending.DONE
    return Ending.REFUSED


OPERATIONS: Final = (
    Operation(
        service="lambda",
        name="Invoke",
        action="lambda:InvokeFunction",
        target=resolve_function,
        handle=invoke,
        event_class=EventClass.DATA,
        access=Access.WRITE,
        recorded=count_usage,
    ),
)
