"""Every operation of our four services, there and back, against botocore's own client code."""

import random
import string
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSPreparedRequest, HeadersDict, create_request_object, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.parsers import PROTOCOL_PARSERS
from botocore.serialize import create_serializer

from leastwise.api.protocol import models, patterns
from leastwise.api.protocol.wire import WireRequest

SERVICES = ("lambda", "iam", "sts", "logs")
TEXT = string.ascii_letters + string.digits + "-_./:=+@ äß漢😀&<>\"'%?#"
EVENT_STREAMS = {("lambda", "InvokeWithResponseStream"), ("logs", "StartLiveTail"), ("logs", "GetLogObject")}


@cache
def model(service):
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


OPERATIONS = [
    pytest.param(service, name, id=f"{service}-{name}")
    for service in SERVICES
    for name in model(service).operation_names
    if (service, name) not in EVENT_STREAMS
]


class Maker:
    def __init__(self, seed):
        self.dice = random.Random(seed)

    def make(self, shape, depth=0):
        dice, kind = self.dice, shape.type_name
        if kind == "structure":
            if shape.is_document_type:
                return {"any": ["thing", 1, True]}
            names = list(shape.members)
            if shape.is_tagged_union:
                names = [dice.choice(names)]
            elif depth > 4:
                names = [n for n in names if n in shape.required_members]
            return {n: self.make(shape.members[n], depth + 1) for n in names if depth < 9}
        if kind == "list":
            return [self.make(shape.member, depth + 1) for _ in range(dice.randint(1, 3))]
        if kind == "map":
            return {self.text() + str(n): self.make(shape.value, depth + 1) for n in range(dice.randint(1, 3))}
        if kind == "string" and shape.enum:
            return dice.choice(shape.enum)
        return {
            "string": self.text,
            "character": self.text,
            "blob": lambda: dice.randbytes(dice.randint(1, 40)),
            "boolean": lambda: dice.random() < 0.5,
            "integer": lambda: dice.randint(-(2**31), 2**31 - 1),
            "long": lambda: dice.randint(-(2**53), 2**53),
            "float": lambda: dice.random() * 1000,
            "double": lambda: dice.random() * 1000,
            "timestamp": lambda: datetime.fromtimestamp(dice.randint(0, 2**31), UTC),
        }[kind]()

    def text(self):
        # A first and a last letter: HTTP trims blanks at both ends of a header.
        middle = "".join(self.dice.choice(TEXT) for _ in range(self.dice.randint(0, 12)))
        return f"a{middle}z"


def only_ascii(value, shape):
    """Headers travel as Latin-1 in Python's client; keep them to ASCII."""
    return {
        name: item.encode("ascii", "ignore").decode()
        if isinstance(item, str) and shape.members[name].serialization.get("location") == "header"
        else item
        for name, item in value.items()
    }


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_what_botocore_sends_is_what_we_read(service, name):
    operation = model(service).operation_model(name)
    ours = models.service(service)
    for seed in range(3):
        shape = operation.input_shape
        params = {} if shape is None else only_ascii(Maker(f"{name}{seed}").make(shape), shape)
        serializer = create_serializer(operation.service_model.metadata["protocol"], include_validation=False)
        sent = serializer.serialize_to_request(params, operation)
        prepare_request_dict(sent, "http://127.0.0.1")
        prepared: AWSPreparedRequest = create_request_object(sent).prepare()
        url = urlsplit(prepared.url)
        body = prepared.body or b""
        request = WireRequest(
            method=prepared.method,
            path=url.path.encode(),
            query=url.query.encode(),
            headers={k.lower().encode(): v.encode() if isinstance(v, str) else v for k, v in prepared.headers.items()},
            body=body.encode() if isinstance(body, str) else bytes(body),
        )

        routed = ours.route(request)

        assert name == routed.operation
        assert routed.problem is None
        assert params == ours.plan(name).parse(request, routed)


@pytest.mark.parametrize(("service", "name"), OPERATIONS)
def test_what_we_send_is_what_botocore_reads(service, name):
    operation = model(service).operation_model(name)
    ours = models.service(service)
    parser = PROTOCOL_PARSERS[operation.service_model.metadata["protocol"]]()
    for seed in range(3):
        shape = operation.output_shape
        result = {} if shape is None else only_ascii(Maker(f"{name}{seed}").make(shape), shape)
        status_member = next(
            (n for n, m in (shape.members if shape else {}).items() if m.serialization.get("location") == "statusCode"),
            None,
        )
        if status_member:
            result[status_member] = 202

        response = ours.plan(name).respond(result, "req-1")
        headers = HeadersDict({k.decode(): v.decode() for k, v in response.headers})
        read = parser.parse(
            {"status_code": response.status, "headers": headers, "body": StreamLike(response.body)}, shape
        )

        metadata = read.pop("ResponseMetadata")
        assert response.status == metadata["HTTPStatusCode"]
        if response.status == 204:
            continue
        payload = None if shape is None else shape.serialization.get("payload")
        if payload and shape.members[payload].type_name == "blob":
            read[payload] = response.body
        assert result == read


class StreamLike(bytes):
    """A streamed body: botocore hands it over as it is instead of decoding it."""

    def decode(self, *args):
        return super().decode(*args) if self[:1] in {b"<", b"{", b""} else self


@pytest.mark.parametrize(
    "service", [*SERVICES, "cloudtrail", "secretsmanager", "kms", "ssm", "events", "scheduler", "sqs"]
)
def test_every_pattern_of_the_models_can_be_checked(service):
    shapes = Loader().load_service_model(service, "service-2")["shapes"]
    for shape in shapes.values():
        if "pattern" in shape:
            patterns.compiled(shape["pattern"])
