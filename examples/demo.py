"""The story of `make demo`: a platform is started, given three functions, called, refused, scaled, stopped and checked.

Every sentence that is printed was checked before; the first that is not true ends the story with exit code 1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from rich.console import Console

EXAMPLES = Path(__file__).resolve().parent
LEASTWISE = Path(sys.executable).with_name("leastwise")
AT_ONCE = 20
START_LIMIT_S = 90
STOP_LIMIT_S = 60

PAUSE = """
import time

def handler(event, context):
    time.sleep(event.get("seconds", 0))
    print("slept", event.get("seconds", 0))
    return {"environment": context.log_stream_name}
"""

console = Console(highlight=False, markup=False, soft_wrap=True)


class NotTrue(Exception):
    """A sentence of the story does not hold."""


def chapter(title: str) -> None:
    console.print()
    console.print(title, style="bold")


def tell(sentence: str, *, holds: bool = True) -> None:
    if not holds:
        raise NotTrue(sentence)
    console.print(f"  {sentence}")


class Platform:
    """A `leastwise up` of our own, on a free port of this machine, with a data directory that goes away."""

    def __init__(self, data: Path) -> None:
        self.data = data
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEASTWISE_"))}
        self.environment = kept | {"LEASTWISE_DATA": str(data)}
        self.output: list[str] = []
        self.url = ""
        self.calls: Counter[str] = Counter()
        self._ready = threading.Event()
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [LEASTWISE, "up", "--data", data, "--listen", "127.0.0.1:0"],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.output.append(line.rstrip())
            if found := re.match(r"ready (http://\S+)", line):
                self.url = found[1]
                self._ready.set()
        self._ready.set()

    def wait_until_ready(self) -> None:
        self._ready.wait(START_LIMIT_S)
        if not self.url:
            raise NotTrue("leastwise up serves")

    def run(self, *arguments: str | Path, expect: int = 0, **variables: str) -> str:
        """Runs the command line. Secrets go through the environment, never through the arguments."""
        finished = subprocess.run(  # noqa: S603 - our own command
            [LEASTWISE, *arguments], env=self.environment | variables, capture_output=True, text=True, check=False
        )
        if finished.returncode != expect:
            shown = f"{finished.stdout}{finished.stderr}".strip()
            raise NotTrue(
                f"leastwise {' '.join(map(str, arguments))} ends with {expect}: {finished.returncode}\n{shown}"
            )
        return finished.stdout

    def client(self, service: str, **keys: str):
        """Plain boto3; as the administrator unless other keys are given."""
        session = boto3.Session(**keys) if keys else boto3.Session(**self._administrator())
        config = Config(max_pool_connections=AT_ONCE, retries={"total_max_attempts": 1}, read_timeout=120)
        return session.client(service, endpoint_url=self.url, region_name="us-east-1", config=config)

    def _administrator(self) -> dict[str, str]:
        text = (self.data / "credentials").read_text()
        section = text.partition("[leastwise]")[2].partition("[")[0]
        found = dict(re.findall(r"^(\w+)\s*=\s*(\S+)", section, re.MULTILINE))
        return {name: found[name] for name in ("aws_access_key_id", "aws_secret_access_key")}

    def deploy(self, directory: Path, name: str, *more: str, **variables: str) -> dict:
        options = ("--handler", "handler.handler", "--role", name, "--create-role", "--name", name, "--output", "json")
        return json.loads(self.run("deploy", directory, *options, *more, **variables))

    def invoke(self, client, name: str, event: object) -> tuple[dict, str]:
        """The result and the REPORT line."""
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
        payload = answer["Payload"].read()
        self.calls[name] += 1
        if "FunctionError" in answer:
            raise NotTrue(f"{name} returns a result: {payload.decode()}")
        log = base64.b64decode(answer["LogResult"]).decode()
        return json.loads(payload), next((line for line in log.splitlines() if line.startswith("REPORT")), "")


def picture(width: int, height: int) -> bytes:
    """A PNG, made by hand: a colour gradient."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 128)) for x in range(width)) for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def milliseconds(report: str, what: str) -> float | None:
    found = re.search(rf"(?:^|\t){what}: ([0-9.]+) ms", report)
    return float(found[1]) if found else None


def delivery(secret: str, body: str) -> dict:
    """A signed webhook as API Gateway hands it over."""
    now = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
    headers = {"x-webhook-signature": f"t={now},v1={signature}"}
    return {"requestContext": {"http": {"method": "POST"}}, "headers": headers, "body": body, "isBase64Encoded": False}


def deploy_examples(platform: Platform, webhook_secret: str) -> None:
    chapter("Three functions are deployed, each with a role that may write its own log and nothing else")
    for name, options in (
        ("thumbnailer", ("--memory", "256", "--timeout", "20")),
        ("webhook", ("--env", "WEBHOOK_SECRET")),
        ("csv_report", ("--memory", "256", "--timeout", "20")),
    ):
        began = time.monotonic()
        made = platform.deploy(EXAMPLES / name, name, *options, WEBHOOK_SECRET=webhook_secret)
        took = time.monotonic() - began
        tell(
            f"{name}: {made['Files']} files, {made['CodeSize']:,} bytes, {took:.1f} s",
            holds=made["Action"] == "created",
        )
    again = platform.deploy(EXAMPLES / "webhook", "webhook", WEBHOOK_SECRET=webhook_secret)
    tell("webhook once more: the same bytes, nothing is uploaded", holds=again["Action"] == "unchanged")


def call_examples(platform: Platform, webhook_secret: str) -> None:
    chapter("They are called, on real input")
    client = platform.client("lambda")
    event = {"image_base64": base64.b64encode(picture(640, 480)).decode(), "width": 160}
    made, report = platform.invoke(client, "thumbnailer", event)
    image = base64.b64decode(made.get("image_base64", ""))
    tell(
        f"thumbnailer: 640x480 PNG -> {made.get('width')}x{made.get('height')} {made.get('format')} of {len(image):,} bytes, "
        f"cold: {milliseconds(report, 'Init Duration')} ms to import Pillow",
        holds=(made.get("width"), made.get("height")) == (160, 120) and image.startswith(b"\xff\xd8\xff"),
    )

    good = delivery(webhook_secret, '{"id": "evt_1", "type": "order.created"}')
    accepted, _ = platform.invoke(client, "webhook", good)
    tell("webhook: a signed delivery is processed", holds=accepted["statusCode"] == 200)
    forged, _ = platform.invoke(client, "webhook", good | {"body": good["body"].replace("evt_1", "evt_2")})
    tell("webhook: one changed byte, and it answers 401", holds=forged["statusCode"] == 401)

    table = "region,amount\n" + "".join(f"{('north', 'south', '=cmd()')[row % 3]},{row}.10\n" for row in range(300))
    summary, _ = platform.invoke(client, "csv_report", {"csv": table, "group_by": "region", "value": "amount"})
    workbook = base64.b64decode(summary["xlsx_base64"])
    tell(
        f"csv_report: {summary['rows']} rows sum up to {summary['total']}, with an Excel workbook of {len(workbook):,} bytes",
        holds=summary["total"] == "44880.00" and workbook.startswith(b"PK"),
    )


def refuse(platform: Platform) -> None:
    chapter("A user who may call one function calls another")
    iam = platform.client("iam")
    allowed = platform.client("lambda").get_function_configuration(FunctionName="thumbnailer")["FunctionArn"]
    statement = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": allowed}
    iam.create_user(UserName="ann")
    iam.put_user_policy(
        UserName="ann",
        PolicyName="thumbnails",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    ann = platform.client("lambda", **keys)
    result, _ = platform.invoke(ann, "thumbnailer", {"image_base64": "", "width": 1})
    tell("ann calls thumbnailer: allowed", holds=result["error"] == "bad_image")
    for what, call, wanted in (
        ("calls webhook", lambda: ann.invoke(FunctionName="webhook"), "AccessDeniedException"),
        ("lists functions", ann.list_functions, "AccessDeniedException"),
        (
            "signs with another secret",
            platform.client("lambda", **keys | {"aws_secret_access_key": "x" * 40}).list_functions,
            "InvalidSignatureException",
        ),
    ):
        code, message = refusal(call)
        tell(f"ann {what}: {code}: {message.splitlines()[0]}", holds=code == wanted)


def refusal(call) -> tuple[str, str]:
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    return "none", "it was allowed"


def cold_and_warm(platform: Platform) -> None:
    chapter("Cold and warm")
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "handler.py").write_text(PAUSE)
        platform.deploy(Path(directory), "pause", "--timeout", "10")
    client = platform.client("lambda")
    client.list_functions()  # the connection is open before anything is timed

    def timed() -> tuple[float, str]:
        began = time.perf_counter()
        _, report = platform.invoke(client, "pause", {})
        return (time.perf_counter() - began) * 1000, report

    cold_ms, cold = timed()
    init_ms = milliseconds(cold, "Init Duration")
    tell(f"first call, cold: {cold_ms:.1f} ms in all, Init Duration {init_ms} ms", holds=init_ms is not None)
    warm = [timed() for _ in range(30)]
    inside = [milliseconds(report, "Duration") for _, report in warm]
    tell(
        f"30 more, warm: {statistics.median(took for took, _ in warm):.1f} ms in all (boto3 included), "
        f"Duration {statistics.median(value or 0 for value in inside):.2f} ms",
        holds=None not in inside and all(milliseconds(report, "Init Duration") is None for _, report in warm),
    )


def scale(platform: Platform) -> None:
    chapter(f"{AT_ONCE} calls at once, each of half a second")
    client = platform.client("lambda")
    together = threading.Barrier(AT_ONCE)

    def call(_: int) -> str:
        together.wait()
        return platform.invoke(client, "pause", {"seconds": 0.5})[0]["environment"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        began = time.monotonic()
        environments = set(pool.map(call, range(AT_ONCE)))
        took = time.monotonic() - began
    tell(
        f"{len(environments)} environments, one for each call; all done after {took:.2f} s",
        holds=len(environments) == AT_ONCE,
    )


def look_back(platform: Platform) -> None:
    chapter("What was printed, and what was used")
    lines = platform.run("logs", "pause", "--since", "1h", "--filter", "REPORT").splitlines()
    tell(
        f"leastwise logs pause: {len(lines)} REPORT lines, one for each call",
        holds=len(lines) == platform.calls["pause"],
    )
    totals = json.loads(platform.run("usage", "--since", "2d", "--output", "json"))["Totals"]
    counted: Counter[str] = Counter()
    for total in totals:
        counted[total["FunctionArn"].rpartition(":")[2]] += total["Requests"]
    shown = ", ".join(f"{name} {count}" for name, count in sorted(counted.items()))
    tell(f"leastwise usage: {shown}: exactly the calls of this story", holds=counted == platform.calls)


def stop(platform: Platform) -> None:
    chapter("SIGTERM while a call runs")
    client = platform.client("lambda")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(platform.invoke, client, "pause", {"seconds": 2})
        time.sleep(0.7)  # it is well on its way
        platform.process.send_signal(signal.SIGTERM)
        result, _ = running.result(STOP_LIMIT_S)
    status = platform.process.wait(STOP_LIMIT_S)
    tell("the call was finished and answered, then the platform stopped", holds="environment" in result and status == 0)


def verify(platform: Platform) -> None:
    chapter("The trail")
    verdict = json.loads(platform.run("audit", "verify", "--data", platform.data, "--output", "json"))
    tell(f"leastwise audit verify: {verdict['Entries']} records, sound", holds=verdict["Sound"])
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "copy"
        shutil.copytree(platform.data / "trail", copy / "trail")
        segment = max((copy / "trail").iterdir(), key=lambda file: file.stat().st_size)
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 1
        segment.write_bytes(content)
        platform.run("audit", "verify", "--data", copy, expect=4)
    tell("a copy of it with one changed bit: not sound, exit code 4")


def main() -> int:
    began = time.monotonic()
    data = Path(tempfile.mkdtemp(prefix="leastwise-demo-"))
    platform = Platform(data)
    webhook_secret = secrets.token_urlsafe(32)
    try:
        chapter("leastwise up")
        platform.wait_until_ready()
        identity = json.loads(platform.run("whoami", "--output", "json"))
        tell(f"{platform.url}, account {identity['Account']}, {identity['Arn']}")
        deploy_examples(platform, webhook_secret)
        call_examples(platform, webhook_secret)
        refuse(platform)
        cold_and_warm(platform)
        scale(platform)
        look_back(platform)
        stop(platform)
        verify(platform)
    except NotTrue as untrue:
        console.print(f"\nnot so: {untrue}", style="bold red")
        console.print("\n".join(platform.output[-30:]), style="dim")
        return 1
    finally:
        if platform.process.poll() is None:
            platform.process.terminate()
            try:
                platform.process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                platform.process.kill()
        shutil.rmtree(data, ignore_errors=True)
    console.print(f"\nAll of it was so. {time.monotonic() - began:.0f} s", style="bold green")
    return 0


if __name__ == "__main__":
    sys.exit(main())
