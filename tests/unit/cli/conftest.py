"""A platform of a hundred lines that keeps AWS's shapes: enough to see how commands speak, print and exit."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from typer.testing import CliRunner, Result

from leastwise.cli.main import app

ACCOUNT = "123456789012"
ARN = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:"


@dataclass
class FakePlatform:
    """Answers requests; keeps what was asked in `calls` as (method, path, body)."""

    url: str = ""
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    payload: bytes = b"{}"
    function_error: str | None = None
    log_events: list[dict[str, Any]] = field(default_factory=list)
    denied: str | None = None
    authorizations: list[str] = field(default_factory=list)

    def changes(self) -> list[tuple[str, str]]:
        return [(method, path) for method, path, _ in self.calls if method in {"POST", "PUT"} and "/functions" in path]

    def answer(self, method: str, path: str, query: dict[str, list[str]], headers: Any, body: bytes):
        if self.denied is not None:
            return 403, {"x-amzn-errortype": "AccessDeniedException"}, json.dumps({"Message": self.denied}).encode()
        if path.startswith("/2015-03-31/functions"):
            return self._lambda(method, path, headers, body)
        if path.startswith("/2026-11-23/usage"):
            total = {"FunctionArn": f"{ARN}hello", "Day": query["LastDay"][0], "Requests": 3, "BilledMs": 8}
            return 200, {}, json.dumps({"Totals": [{**total, "MibMs": 1024, "GbSeconds": "0.001"}]}).encode()
        if headers.get("x-amz-target", "").endswith("FilterLogEvents"):
            if not self.log_events:
                missing = {"__type": "ResourceNotFoundException", "message": "The specified log group does not exist."}
                return 400, {}, json.dumps(missing).encode()
            return 200, {}, json.dumps({"events": self.log_events}).encode()
        return self._query({name: values[0] for name, values in parse_qs(body.decode()).items()})

    def _lambda(self, method: str, path: str, headers: Any, body: bytes):
        name, _, rest = path.removeprefix("/2015-03-31/functions").strip("/").partition("/")
        if rest == "invocations":
            status = {"Event": 202, "DryRun": 204}.get(headers.get("x-amz-invocation-type"), 200)
            extra = {"X-Amz-Executed-Version": "$LATEST"}
            if self.function_error:
                extra["X-Amz-Function-Error"] = self.function_error
            if headers.get("x-amz-log-type") == "Tail":
                extra["X-Amz-Log-Result"] = base64.b64encode(b"START\n\x1b[2Jlog\n").decode()
            return status, extra, self.payload if status == 200 else b""
        if method == "GET" and not name:
            return 200, {}, json.dumps({"Functions": list(self.functions.values())}).encode()
        wanted = json.loads(body) if body else {}
        if method == "POST" and not name:
            name = wanted["FunctionName"]
            self.functions[name] = self._function(name, wanted.pop("Code")["ZipFile"]) | wanted
        if name not in self.functions:
            return 404, {"x-amzn-errortype": "ResourceNotFoundException"}, b'{"Message": "Function not found"}'
        function = self.functions[name]
        if method == "PUT" and wanted.pop("RevisionId", function["RevisionId"]) != function["RevisionId"]:
            return 412, {"x-amzn-errortype": "PreconditionFailedException"}, b'{"Message": "revision"}'
        if method == "PUT" and rest == "code":
            made = self._function(name, wanted["ZipFile"])
            function.update({key: made[key] for key in ("CodeSha256", "CodeSize", "RevisionId")})
        elif method == "PUT":
            function.update(wanted, RevisionId=function["RevisionId"] + "c")
        whole = function if rest else {"Configuration": function}
        return 200, {}, json.dumps(function if method != "GET" else whole).encode()

    def _function(self, name: str, encoded: str) -> dict[str, Any]:
        content = base64.b64decode(encoded)
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        state = {"State": "Active", "LastUpdateStatus": "Successful", "LastModified": "2026-11-23T18:47:59.000+0000"}
        size = {
            "CodeSha256": digest,
            "CodeSize": len(content),
            "RevisionId": digest[:8],
            "MemorySize": 128,
            "Timeout": 3,
        }
        return {"FunctionName": name, "FunctionArn": ARN + name, **state, **size}

    def _query(self, asked: dict[str, str]):
        role = f"<Path>/</Path><RoleId>AROA</RoleId><RoleName>{asked.get('RoleName')}</RoleName>"
        action = asked.get("Action")
        if action == "GetCallerIdentity":
            result = f"<Arn>arn:aws:iam::{ACCOUNT}:user/ann</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>"
        elif action == "GetRole" and asked["RoleName"] not in self.roles:
            error = "<Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>The role cannot be found.</Message></Error>"
            return 404, {}, f"<ErrorResponse>{error}</ErrorResponse>".encode()
        else:
            arn = f"arn:aws:iam::{ACCOUNT}:role/{asked.get('RoleName')}"
            self.roles.setdefault(asked["RoleName"], asked.get("PolicyDocument", ""))
            self.roles[asked["RoleName"]] = asked.get("PolicyDocument", self.roles[asked["RoleName"]])
            role += f"<Arn>{arn}</Arn><CreateDate>2026-11-23T18:47:59Z</CreateDate>"
            result = f"<Role>{role}</Role>"
        return 200, {}, f"<R><{action}Result>{result}</{action}Result></R>".encode()


@pytest.fixture
def platform() -> Iterator[FakePlatform]:
    fake = FakePlatform()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            fake.calls.append((self.command, unquote(parts.path), body))
            fake.authorizations.append(self.headers.get("authorization", ""))
            status, headers, content = fake.answer(
                self.command, unquote(parts.path), parse_qs(parts.query), self.headers, body
            )
            self.send_response(status)
            for name, value in {"x-amzn-requestid": "req-1", **headers}.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = serve  # noqa: N815 - names that http.server looks for

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def data(platform: FakePlatform, tmp_path: Path) -> Path:
    """A data directory as `leastwise up` writes it."""
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "config").write_text(f"[profile leastwise]\nregion = us-east-1\nendpoint_url = {platform.url}\n")
    (directory / "credentials").write_text(
        "[leastwise]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = very secret\n"
    )
    (directory / "credentials").chmod(0o600)
    return directory


@pytest.fixture
def run(data: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command with that data directory; stdout and stderr are not terminals."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LEASTWISE_DATA", str(data))

    def leastwise(*arguments: str, **how: Any) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="leastwise", **how)

    return leastwise
