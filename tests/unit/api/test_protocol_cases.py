"""botocore's own protocol cases, seen from the server. Data and origin: tests/cases/protocols/NOTICE."""

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ServiceModel
from botocore.parsers import PROTOCOL_PARSERS
from botocore.utils import parse_timestamp

from leastwise.api.protocol.models import Service
from leastwise.api.protocol.wire import WireError, WireRequest

CASES = Path(__file__).parents[2] / "cases" / "protocols"

# Only what the ids name is left out, each with its reason; the counts below keep the rest from vanishing unseen.
LEFT_OUT = {
    "RestJsonQueryIdempotencyTokenAutoFill": "the client makes up the token",
    "QueryProtocolIdempotencyTokenAutoFill": "the client makes up the token",
    "AwsJson11StructuresDontSerializeNullValues": "null members are not sent",
    "RestJsonDoesntSerializeNullStructureValues": "null members are not sent",
    "RestJsonNullAndEmptyHeaders": "null and empty members are not sent",
    "RestJsonOmitsNullQuery": "null members are not sent",
    "RestJsonOmitsEmptyListQueryValues": "empty lists are not sent",
    "RestJsonQueryParamsStringListMap": "a server's map holds all parameters, the client's only the others",
    "RestJsonQueryPrecedence": "a client's rule: the server cannot see what the map held",
    "RestJsonHttpPrefixHeadersAreNotPresent": "an empty map and none look the same on the wire",
    "QueryEmptyQueryMaps": "an empty map and none look the same on the wire",
    "RestJsonHttpWithEmptyStructurePayload": "an empty payload and none look the same on the wire",
    "RestJsonHttpWithHeadersButNoPayload": "an empty payload and none look the same on the wire",
    "MediaTypeHeaderInputBase64": "botocore gives JSON values, not text, to such members",
    "RestJsonHostWithPath": "the path belongs to the client's endpoint",
    "AwsJson10HostWithPath": "the path belongs to the client's endpoint",
    "AwsJson11HostWithPath": "the path belongs to the client's endpoint",
    "QueryHostWithPath": "the path belongs to the client's endpoint",
    "SDKAppliedContentEncoding_restJson1": "compressed requests are not offered",
    "SDKAppendedGzipAfterProvidedEncoding_restJson1": "compressed requests are not offered",
    "SDKAppliedContentEncoding_awsJson1_0": "compressed requests are not offered",
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_0": "compressed requests are not offered",
    "SDKAppliedContentEncoding_awsJson1_1": "compressed requests are not offered",
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsJson1_1": "compressed requests are not offered",
    "SDKAppliedContentEncoding_awsQuery": "compressed requests are not offered",
    "SDKAppendsGzipAndIgnoresHttpProvidedEncoding_awsQuery": "compressed requests are not offered",
    "RestJsonHttpPayloadTraitsWithNoBlobBody": "botocore's parser reads an absent blob as an empty one",
    "RestJsonHttpPayloadWithUnsetUnion": "botocore's parser cannot read an unset union",
    "RestJsonInputAndOutputWithQuotedStringHeaders": "botocore's parser cannot read quoted header lists",
    "RestJsonInputAndOutputWithTimestampHeaders": "botocore's parser cannot read header lists of dates",
    "HttpPrefixHeadersResponse": "an empty prefix takes our content type in as well",
    "QueryComplexError": "botocore's parser gives the members of modeled query errors elsewhere",
    "QueryXmlLists": "botocore's parser cannot read flattened lists with renamed items",
}


def load(direction):
    for path in sorted((CASES / direction).glob("*.json")):
        for suite in json.loads(path.read_text(encoding="utf-8")):
            cases = suite.pop("cases")
            for at, case in enumerate(cases):
                case.setdefault("id", f"{suite['description']} {at}")
                yield pytest.param(suite, case, id=f"{path.stem}-{case['id']}")


def served(direction, *, errors=False):
    for param in load(direction):
        case = param.values[1]
        if errors == ("error" in case) and not (
            case["id"] in LEFT_OUT and (direction, case["id"]) not in SERVED_ONE_WAY
        ):
            yield param


SERVED_ONE_WAY = {
    ("input", "RestJsonHttpPayloadTraitsWithNoBlobBody"),
    ("input", "RestJsonInputAndOutputWithQuotedStringHeaders"),
    ("input", "RestJsonInputAndOutputWithTimestampHeaders"),
}
INPUT, OUTPUT, ERRORS = list(served("input")), list(served("output")), list(served("output", errors=True))


def test_414_official_cases_are_served():
    assert (200, 174, 40) == (len(INPUT), len(OUTPUT), len(ERRORS))


def model_of(suite, case):
    name = case["given"].get("name", "OperationName")
    description = {**suite, "operations": {name: case["given"] | {"name": name}}}
    return ServiceModel(description, "case"), name


def typed(value, shape):
    """The case's JSON values as the types our side uses."""
    if value is None:
        return None
    kind = shape.type_name
    if kind == "structure" and not shape.is_document_type:
        return {name: typed(item, shape.members[name]) for name, item in value.items()}
    if kind == "list":
        return [typed(item, shape.member) for item in value]
    if kind == "map":
        return {name: typed(item, shape.value) for name, item in value.items()}
    if kind == "blob":
        return value.encode()
    if kind == "timestamp":
        return datetime.fromtimestamp(value, UTC)
    if kind in {"float", "double"} and isinstance(value, str):
        return float(value)
    return value


def comparable(value):
    if isinstance(value, dict):
        return {name: comparable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return value


@pytest.mark.parametrize(("suite", "case"), INPUT)
def test_an_official_request_is_read_as_the_parameters_it_was_made_from(suite, case):
    model, name = model_of(suite, case)
    service = Service(model, "case")
    sent = case["serialized"]
    path, _, query = sent.get("uri", "/").partition("?")
    request = WireRequest(
        method=sent.get("method", "POST"),
        path=path.encode(),
        query=query.encode(),
        headers={b"x-amz-target": f"{service.target_prefix}.{name}".encode()}
        | {key.lower().encode(): value.encode() for key, value in sent.get("headers", {}).items()},
        body=sent.get("body", "").encode(),
    )
    if service.protocol == "query" and not request.body:
        request = replace(request, body=f"Action={name}&Version={service.api_version}".encode())

    routed = service.route(request)
    params = service.plan(name).parse(request, routed)

    assert name == routed.operation
    shape = model.operation_model(name).input_shape
    expected = {} if shape is None else typed(case["params"], shape)
    assert comparable(expected) == comparable(params)


def botocore_parses(model, name, response, shape):
    parser = PROTOCOL_PARSERS[model.metadata["protocol"]](timestamp_parser=lambda v: parse_timestamp(v).astimezone(UTC))
    headers = HeadersDict({key.decode(): value.decode() for key, value in response.headers})
    context = {"operation_name": name}
    return parser.parse(
        {"status_code": response.status, "headers": headers, "body": response.body, "context": context}, shape
    )


@pytest.mark.parametrize(("suite", "case"), OUTPUT)
def test_botocore_reads_our_response_as_the_result_it_was_made_from(suite, case):
    model, name = model_of(suite, case)
    service = Service(model, "case")
    shape = model.operation_model(name).output_shape
    if shape is not None and model.metadata["protocol"] == "query" and shape.members:
        shape.serialization["resultWrapper"] = f"{name}Result"
    result = {} if shape is None else typed(case["result"], shape)

    response = service.plan(name).respond(result, "req-1")
    parsed = botocore_parses(model, name, response, shape)

    parsed.pop("ResponseMetadata", None)
    assert comparable(result) == comparable(parsed)


@pytest.mark.parametrize(("suite", "case"), ERRORS)
def test_botocore_reads_our_error_as_the_official_one(suite, case):
    model, name = model_of(suite, case)
    service = Service(model, "case")
    code = case.get("errorCode", "")
    status = case["response"]["status_code"]
    members = {key: value for key, value in case["error"].items() if key.lower() != "message"}
    error = WireError(code=code, status=status, message=case.get("errorMessage", ""), members=members)

    response = service.faults.response(error, "req-1", query_mode=True)
    parsed = botocore_parses(model, name, response, model.operation_model(name).output_shape)

    assert code == parsed["Error"]["Code"]
    assert case.get("errorMessage", "") == parsed["Error"]["Message"]
    assert status == parsed["ResponseMetadata"]["HTTPStatusCode"]
