"""The door as an ASGI application: calls in, responses out, nothing decided."""

import json
from xml.etree import ElementTree

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from leastwise.api.app import create_app
from leastwise.api.bodies import BodyLimits
from leastwise.functions.interface import FunctionNotFound
from leastwise.iam.interface import MissingProof, SignatureMismatch
from leastwise.kernel.call import NoProof, Outcome, SigV4Proof, Source
from leastwise.kernel.errors import Bug, Denied, NotImplementedHere
from leastwise.runtime.interface import Throttle

KEYS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
IMPLEMENTED = {
    ("lambda", "Invoke"),
    ("lambda", "CreateFunction"),
    ("lambda", "GetFunction"),
    ("lambda", "ListFunctions"),
    ("lambda", "DeleteFunction"),
    ("lambda", "TagResource"),
    ("iam", "ListUsers"),
    ("iam", "CreateUser"),
    ("sts", "GetCallerIdentity"),
    ("logs", "DescribeLogGroups"),
}
INVOKE = "/2015-03-31/functions/hello/invocations"


class StoppedClock:
    def now_ms(self):
        return 1_795_462_537_000

    def monotonic_ns(self):
        return 0


class Inside:
    """What stands behind the door: remembers calls, answers what the test says."""

    def __init__(self):
        self.calls = []
        self.result = {}
        self.error = None

    async def perform(self, call):
        self.calls.append(call)
        error = self.error or call.problem
        if error is not None:
            return Outcome(request_id=call.request_id, error=error)
        return Outcome(request_id=call.request_id, result=self.result)

    @property
    def call(self):
        (call,) = self.calls
        return call


class Answer:
    def __init__(self, messages):
        start, *bodies = messages
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body = b"".join(part["body"] for part in bodies)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def xml(self):
        root = ElementTree.fromstring(self.body)
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root


async def ask(app, method, uri, *, headers=(), body=b"", client=("192.0.2.7", 5555), scheme="http", chunks=None):
    path, _, query = uri.partition("?")
    sent = []
    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "client": client,
        "scheme": scheme,
    }
    parts = chunks if chunks is not None else [body]
    messages = [
        {"type": "http.request", "body": part, "more_body": at < len(parts) - 1} for at, part in enumerate(parts)
    ]

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    return Answer(sent) if sent else None


def signed(method, uri, *, service="lambda", headers=None, body=b""):
    request = AWSRequest(method, f"http://door.test{uri}", data=body, headers=headers or {})
    SigV4Auth(KEYS, service, "us-east-1").add_auth(request)
    return {
        "headers": [("Host", "door.test"), *request.headers.items()],
        "body": body,
    }


@pytest.fixture
def inside():
    return Inside()


@pytest.fixture
def app(inside):
    return create_app(inside.perform, implemented=IMPLEMENTED, clock=StoppedClock())


async def test_a_signed_invoke_reaches_the_inside_as_a_call(app, inside):
    inside.result = {"StatusCode": 200, "Payload": b'{"ok":1}', "ExecutedVersion": "$LATEST"}
    answer = await ask(app, "POST", INVOKE, **signed("POST", INVOKE, body=b'{"a":1}'))

    call = inside.call
    assert ("lambda", "Invoke") == (call.service, call.operation)
    assert {"FunctionName": "hello", "Payload": b'{"a":1}'} == call.command
    assert isinstance(call.proof, SigV4Proof)
    assert "AKIAIOSFODNN7EXAMPLE" == call.proof.access_key_id
    assert (200, b'{"ok":1}') == (answer.status, answer.body)
    assert "$LATEST" == answer.headers["x-amz-executed-version"]
    assert call.request_id == answer.headers["x-amzn-requestid"]
    assert "application/json" == answer.headers["content-type"]
    assert "8" == answer.headers["content-length"]
    assert "Mon, 23 Nov 2026 19:35:37 GMT" == answer.headers["date"]


@pytest.mark.parametrize(
    ("result", "status", "headers"),
    [
        ({"StatusCode": 202, "Payload": b""}, 202, {}),
        ({"StatusCode": 204, "Payload": b""}, 204, {}),
        (
            {"StatusCode": 200, "Payload": b"{}", "FunctionError": "Unhandled", "LogResult": "TE9H"},
            200,
            {"x-amz-function-error": "Unhandled", "x-amz-log-result": "TE9H"},
        ),
    ],
)
@pytest.mark.parametrize("name", ["hello", "function%3Ahello"])
async def test_both_lanes_of_invoke_answer_alike(app, inside, result, status, headers, name):
    inside.result = result
    uri = INVOKE.replace("hello", name)
    answer = await ask(app, "POST", uri, **signed("POST", uri))
    assert status == answer.status
    assert result["Payload"] == answer.body
    assert headers == {name: value for name, value in answer.headers.items() if name in headers}
    assert (status == 204) == ("content-length" not in answer.headers)


async def test_the_source_is_the_peer_and_never_a_header(app, inside):
    request = signed("GET", "/2015-03-31/functions/", headers={"X-Forwarded-For": "1.2.3.4", "User-Agent": "agent/1"})
    await ask(app, "GET", "/2015-03-31/functions/", client=("::ffff:192.0.2.9", 1), scheme="https", **request)
    expected = Source(ip="192.0.2.9", user_agent="agent/1", tls=True, received_at_ms=1_795_462_537_000)
    assert expected == inside.call.source


async def test_a_fixed_source_wins_over_the_connection(inside):
    fixed = Source(ip="127.0.0.1", user_agent="", tls=True, received_at_ms=0)
    app = create_app(inside.perform, implemented=IMPLEMENTED, clock=StoppedClock(), fixed_source=fixed)
    await ask(app, "POST", INVOKE, **signed("POST", INVOKE))
    assert ("127.0.0.1", True) == (inside.call.source.ip, inside.call.source.tls)


async def test_an_unsigned_call_is_refused_in_the_words_of_its_protocol(app, inside):
    inside.error = MissingProof("Missing Authentication Token")
    rest = await ask(app, "GET", "/2015-03-31/functions/")
    assert (403, "MissingAuthenticationTokenException") == (rest.status, rest.headers["x-amzn-errortype"])
    assert {"message": "Missing Authentication Token"} == rest.json
    query = await ask(app, "POST", "/", body=b"Action=ListUsers&Version=2010-05-08")
    assert 403 == query.status
    assert "MissingAuthenticationToken" == query.xml.findtext("Error/Code")
    assert "Request is missing Authentication Token" == query.xml.findtext("Error/Message")
    logs = await ask(app, "POST", "/", headers=[("X-Amz-Target", "Logs_20140328.DescribeLogGroups")], body=b"{}")
    assert (400, "MissingAuthenticationTokenException") == (logs.status, logs.json["__type"])
    assert all(isinstance(call.proof, NoProof) for call in inside.calls)
    assert ["ListFunctions", "ListUsers", "DescribeLogGroups"] == [call.operation for call in inside.calls]


async def test_a_stranger_who_asks_for_nothing_we_know_learns_only_that_the_token_is_missing(app, inside):
    for method, uri in [("GET", "/"), ("GET", "/etc/passwd"), ("PUT", "/bucket/key"), ("OPTIONS", "/"), ("POST", "/")]:
        answer = await ask(app, method, uri)
        assert (403, "MissingAuthenticationTokenException") == (answer.status, answer.headers["x-amzn-errortype"])
    assert [] == inside.calls


async def test_an_unreadable_signature_is_incomplete(app, inside):
    answer = await ask(app, "GET", "/nowhere", headers=[("Authorization", "AWS4-HMAC-SHA256 Credential=a")])
    assert (403, "IncompleteSignatureException") == (answer.status, answer.headers["x-amzn-errortype"])


async def test_what_is_wrong_with_parameters_travels_inside_as_the_calls_problem(app, inside):
    uri = "/2015-03-31/functions"
    answer = await ask(app, "POST", uri, **signed("POST", uri, body=b'{"FunctionName": "f"}'))
    assert inside.call.problem is not None
    assert (400, "ValidationException") == (answer.status, answer.headers["x-amzn-errortype"])
    assert answer.json["message"].startswith(
        "2 validation errors detected: Value null at 'role' failed to satisfy constraint: Member must not be null; "
        "Value null at 'code' failed to satisfy constraint: Member must not be null"
    )


async def test_a_body_that_is_not_json_is_told_so(app, inside):
    uri = "/2015-03-31/functions"
    answer = await ask(app, "POST", uri, **signed("POST", uri, body=b'{"FunctionName": '))
    assert (400, "InvalidRequestContentException") == (answer.status, answer.headers["x-amzn-errortype"])
    assert answer.json["message"].startswith("Could not parse request body into json: ")


async def test_a_member_of_the_wrong_type_is_a_serialization_exception(app, inside):
    answer = await ask(
        app,
        "POST",
        "/",
        **signed(
            "POST",
            "/",
            service="logs",
            headers={"X-Amz-Target": "Logs_20140328.DescribeLogGroups"},
            body=b'{"limit":"x"}',
        ),
    )
    assert (400, "SerializationException") == (answer.status, answer.json["__type"])
    assert "STRING_VALUE can not be converted to an Integer" == answer.json["message"]


async def test_an_operation_that_is_not_implemented_goes_inside_unparsed(app, inside):
    inside.error = NotImplementedHere("The operation lambda:PublishVersion is not implemented by Leastwise.")
    uri = "/2015-03-31/functions/f/versions"
    answer = await ask(app, "POST", uri, **signed("POST", uri, body=b"not json"))
    assert ("PublishVersion", {}, None) == (inside.call.operation, inside.call.command, inside.call.problem)
    assert (501, "NotImplementedException") == (answer.status, answer.headers["x-amzn-errortype"])


@pytest.mark.parametrize(
    ("service", "uri", "status", "code"),
    [
        ("lambda", "/2015-03-31/unheard-of", 404, "UnknownOperationException"),
        ("lambda", "/2015-03-31/functions//invocations", 404, "UnknownOperationException"),
        ("logs", "/", 400, "UnknownOperationException"),
        ("dynamodb", "/", 501, "NotImplementedException"),
        ("nonsense", "/", 501, "NotImplementedException"),
    ],
)
async def test_what_does_not_exist_is_answered_as_such(app, inside, caplog, service, uri, status, code):
    answer = await ask(app, "POST", uri, **signed("POST", uri, service=service))
    assert (status, code) == (answer.status, answer.headers["x-amzn-errortype"])
    assert ("Unknown", {}) == (inside.call.operation, inside.call.command)
    assert inside.call.service == (service if service in {"lambda", "logs"} else "unknown")
    assert "" == caplog.text


async def test_a_signed_request_for_nothing_we_know_is_judged_before_it_is_told_so(app, inside):
    inside.error = SignatureMismatch("no")
    for service, uri in [("lambda", "/2015-03-31/unheard-of"), ("dynamodb", "/")]:
        answer = await ask(app, "POST", uri, **signed("POST", uri, service=service))
        assert (403, "InvalidSignatureException") == (answer.status, answer.headers["x-amzn-errortype"])


async def test_a_signature_for_one_service_never_reaches_another(app, inside):
    request = signed("POST", "/", service="sts", body=b"Action=ListUsers&Version=2010-05-08")
    scope = "AKIAIOSFODNN7EXAMPLE/20261123/us-east-1/iam/aws4_request"
    request["headers"] = [
        (name, value.replace(" Credential=", f" xCredential={scope}, Credential="))
        for name, value in request["headers"]
    ]
    answer = await ask(app, "POST", "/", **request)
    assert "InvalidAction" == answer.xml.findtext("Error/Code")
    assert ("sts", "Unknown") == (inside.call.service, inside.call.operation)


@pytest.mark.parametrize(
    ("service", "body", "status", "code"),
    [
        ("iam", b"Action=Nope&Version=2010-05-08", 400, "InvalidAction"),
        ("iam", b"Action=ListUsers&Version=1999-01-01", 400, "InvalidAction"),
        ("iam", b"Version=2010-05-08", 400, "MissingAction"),
        ("iam", b"Action=ListUsers&Version=2010-05-08&MaxItems=1&MaxItems=2", 400, "MalformedInput"),
        ("iam", b"Action=ListUsers&Version=2010-05-08&MaxItems=many", 400, "MalformedInput"),
        ("iam", b"Action=ListUsers&Version=2010-05-08&MaxItems=0", 400, "ValidationError"),
        ("cloudformation", b"Action=ListStacks&Version=2010-05-15", 501, "NotImplementedException"),
    ],
)
async def test_query_errors_are_xml_with_a_code_botocore_reads(app, service, body, status, code):
    answer = await ask(app, "POST", "/", **signed("POST", "/", service=service, body=body))
    assert (status, code) == (answer.status, answer.xml.findtext("Error/Code"))
    assert answer.headers["x-amzn-requestid"] == answer.xml.findtext("RequestId")
    assert "Sender" == answer.xml.findtext("Error/Type")


async def test_a_query_result_is_xml_under_the_result_element(app, inside):
    inside.result = {"UserId": "AIDA", "Account": "111122223333", "Arn": "arn:aws:iam::111122223333:user/<&>"}
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    answer = await ask(app, "POST", "/", **signed("POST", "/", service="sts", body=body))
    assert "arn:aws:iam::111122223333:user/<&>" == answer.xml.findtext("GetCallerIdentityResult/Arn")
    assert inside.call.request_id == answer.xml.findtext("ResponseMetadata/RequestId")


async def test_a_throttled_invoke_tells_why_and_when_to_come_back(app, inside):
    reason = {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User"}
    inside.error = Throttle("Rate Exceeded.", detail=reason)
    answer = await ask(app, "POST", INVOKE, **signed("POST", INVOKE))
    assert (429, "TooManyRequestsException") == (answer.status, answer.headers["x-amzn-errortype"])
    assert "1" == answer.headers["retry-after"]
    assert {"message": "Rate Exceeded.", **reason} == answer.json


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (FunctionNotFound("Function not found: x"), 404, "ResourceNotFoundException", "Function not found: x"),
        (Denied("User: u is not authorized"), 403, "AccessDeniedException", "User: u is not authorized"),
        (SignatureMismatch("m"), 403, "InvalidSignatureException", "m"),
        (Bug("/secret/path"), 500, "ServiceException", "An internal error occurred. Please retry later."),
        (KeyError("/secret/path"), 500, "ServiceException", "An internal error occurred. Please retry later."),
    ],
)
async def test_errors_from_the_inside_are_told_in_aws_words(app, inside, error, status, code, message):
    inside.error = error
    answer = await ask(app, "POST", INVOKE, **signed("POST", INVOKE))
    assert (status, code) == (answer.status, answer.headers["x-amzn-errortype"])
    told = answer.json
    assert message == told.get("message", told.get("Message"))
    assert b"secret" not in answer.body


async def test_a_failure_of_the_door_itself_tells_nothing_and_is_logged(app, inside, caplog):
    inside.result = {"NoSuchMember": 1}
    answer = await ask(app, "GET", "/2015-03-31/functions/f", **signed("GET", "/2015-03-31/functions/f"))
    assert (500, "ServiceException") == (answer.status, answer.headers["x-amzn-errortype"])
    assert b"NoSuchMember" not in answer.body
    assert answer.headers["x-amzn-requestid"] in caplog.text


async def test_a_path_is_routed_in_the_form_in_which_it_was_signed(app, inside):
    tricked = "/2015-03-31/functions/victim/../f"
    await ask(app, "DELETE", tricked, **signed("DELETE", "/2015-03-31/functions/f"))
    assert {"FunctionName": "f"} == inside.call.command


@pytest.mark.parametrize(
    ("method", "uri", "limit", "code"),
    [
        ("POST", INVOKE, 6_291_556, "RequestTooLargeException"),
        ("POST", "/2015-03-31/functions", 70_167_211, "RequestEntityTooLargeException"),
        ("PUT", "/2015-03-31/functions/f/code", 70_167_211, "RequestEntityTooLargeException"),
        ("POST", "/2015-03-31/functions/f/aliases", 1_048_576, "RequestEntityTooLargeException"),
    ],
)
async def test_a_body_above_its_operations_limit_is_refused(app, inside, method, uri, limit, code):
    request = signed(method, uri)
    request["headers"].append(("Content-Length", str(limit + 1)))
    answer = await ask(app, method, uri, headers=request["headers"], chunks=[b"x" * 100, b"y"])
    assert (413, code) == (answer.status, answer.headers["x-amzn-errortype"])
    message = answer.json.get("message") or answer.json["Message"]
    assert message.startswith(f"Request must be smaller than {limit} bytes")
    assert [] == inside.calls


async def test_a_body_of_undeclared_length_is_cut_off_at_the_limit(app, inside):
    request = signed("POST", INVOKE)
    answer = await ask(
        app, "POST", INVOKE, headers=request["headers"], chunks=[b"x" * 4_000_000, b"y" * 4_000_000, b"z"]
    )
    assert 413 == answer.status
    assert 0 == app._bodies.in_flight


async def test_a_stranger_may_not_send_megabytes(app, inside):
    answer = await ask(app, "POST", INVOKE, chunks=[b"x" * 200_000, b"y" * 200_000])
    assert 413 == answer.status
    assert [] == inside.calls


async def test_large_bodies_are_turned_away_when_too_many_are_held(inside):
    limits = BodyLimits(in_flight=3_000_000)
    app = create_app(inside.perform, implemented=IMPLEMENTED, clock=StoppedClock(), limits=limits)
    body = b'"' + b"x" * 3_500_000 + b'"'
    answer = await ask(app, "POST", INVOKE, headers=signed("POST", INVOKE, body=body)["headers"], chunks=[body, b""])
    assert (429, "TooManyRequestsException") == (answer.status, answer.headers["x-amzn-errortype"])
    fits = b'"' + b"x" * 2_000_000 + b'"'
    headers = [*signed("POST", INVOKE, body=fits)["headers"], ("Content-Length", str(len(fits)))]
    answer = await ask(app, "POST", INVOKE, headers=headers, chunks=[fits, b""])
    assert 200 == answer.status
    assert 0 == app._bodies.in_flight


async def test_what_is_announced_takes_no_room_before_it_comes(inside):
    app = create_app(
        inside.perform, implemented=IMPLEMENTED, clock=StoppedClock(), limits=BodyLimits(in_flight=5_000_000)
    )
    announced = [*signed("POST", INVOKE)["headers"], ("Content-Length", "4000000")]
    taken = []

    async def trickle():
        taken.append(app._bodies.in_flight)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": len(taken) < 3}

    headers = [(name.lower().encode(), value.encode()) for name, value in announced]
    body, reserved = await app._bodies.read(trickle, headers, method="POST", path=INVOKE.encode(), signed=True)
    app._bodies.release(reserved)
    assert 3000 == len(body)
    assert max(taken) <= 2000
    assert 0 == app._bodies.in_flight


async def test_all_sandboxes_together_hold_no_more_than_their_share(inside):
    source = Source(ip="169.254.100.1", user_agent="", tls=True, received_at_ms=0)
    one, other = (
        create_app(inside.perform, implemented=IMPLEMENTED, clock=StoppedClock(), fixed_source=source) for _ in range(2)
    )
    assert one._bodies._held is other._bodies._held
    assert one._bodies._held.limit < BodyLimits().in_flight


async def test_a_compressed_body_is_refused(app, inside):
    request = signed("POST", INVOKE, headers={"Content-Encoding": "gzip"}, body=b"x")
    answer = await ask(app, "POST", INVOKE, **request)
    assert 415 == answer.status


async def test_a_client_that_hangs_up_gets_no_call_made(app, inside):
    assert await ask(app, "POST", INVOKE, **{**signed("POST", INVOKE), "chunks": []}) is None
    assert [] == inside.calls


@pytest.mark.parametrize(("report", "status"), [({"status": "ok"}, 200), ({"status": "failing"}, 503)])
async def test_the_health_page_tells_what_it_is_given(inside, report, status):
    async def health():
        return report

    app = create_app(inside.perform, implemented=IMPLEMENTED, clock=StoppedClock(), health=health)
    answer = await ask(app, "GET", "/health")
    assert (status, report) == (answer.status, answer.json)


async def test_there_is_no_health_page_where_none_is_wanted(app):
    assert 403 == (await ask(app, "GET", "/health")).status


async def test_a_package_is_sent_to_whoever_holds_a_good_link(inside, tmp_path):
    package = tmp_path / "package.zip"
    package.write_bytes(b"PK" * 300_000)

    async def open_package(token):
        if token != "good-token":
            raise Denied("no")
        return package

    app = create_app(inside.perform, implemented=IMPLEMENTED, clock=StoppedClock(), open_package=open_package)
    answer = await ask(app, "GET", "/code/good-token")
    assert (200, "600000", b"PK" * 300_000) == (answer.status, answer.headers["content-length"], answer.body)
    for token in ("bad-token", "../../etc/passwd", ""):
        assert 403 == (await ask(app, "GET", f"/code/{token}")).status
