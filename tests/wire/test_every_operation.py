"""Every row of the operations table, called by an unmodified boto3 on a real server: what is sent is understood, and what
comes back is what the service's model says.
"""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator
from tests.unit.flows.test_operations_table import NEVER_THERE, ROWS, Stage, number_of
from tests.wire.conftest import RUNTIME, start

import leastwise
from leastwise.iam.interface import SEALED_DENIAL

REGION = "us-east-1"
OWN_MODELS = Path(leastwise.__file__).parent / "api" / "models"


class BotoWorld:
    """What a `Stage` acts on, through boto3."""

    def __init__(self, platform):
        self.session = platform.session()
        self.session._session.get_component("data_loader").search_paths.append(str(OWN_MODELS))
        self.platform = platform
        self.clients = {}
        self.account = self.client("sts").get_caller_identity()["Account"]

    def client(self, service):
        if service not in self.clients:
            self.clients[service] = self.platform.client(service, self.session)
        return self.clients[service]

    def arn(self, resource, service="iam"):
        return f"arn:aws:{service}:{'' if service == 'iam' else REGION}:{self.account}:{resource}"

    def trust(self, *principals):
        who = {"AWS": list(principals)} if principals else {"Service": "lambda.amazonaws.com"}
        statement = {"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def open_to(self, principal):
        statement = {"Effect": "Allow", "Principal": principal, "Action": "lambda:InvokeFunction", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def call(self, service, name, given, client=None):
        given = {**given, "Runtime": RUNTIME} if "Runtime" in given else given
        return getattr(client or self.client(service), xform_name(name))(**given)

    async def do(self, service, name, **given):
        return await asyncio.to_thread(self.call, service, name, given)

    async def perform(self, service, name, given, *, key):
        """A call that is denied, for its sealed reason."""
        client = self.platform.client_for(service, *key)
        with pytest.raises(ClientError) as refused:
            await asyncio.to_thread(self.call, service, name, given, client)
        headers = refused.value.response["ResponseMetadata"]["HTTPHeaders"]
        sealed = headers["x-leastwise-authorization-message"]
        return SimpleNamespace(error=SimpleNamespace(detail={SEALED_DENIAL: sealed})), []


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    platform = start(tmp_path_factory.mktemp("every") / "data")
    made = BotoWorld(platform)
    made.call("iam", "CreateUser", {"UserName": "nobody"})
    key = made.call("iam", "CreateAccessKey", {"UserName": "nobody"})["AccessKey"]
    made.nobody = (key["AccessKeyId"], key["SecretAccessKey"])
    made.call("iam", "CreateRole", {"RoleName": "worker", "AssumeRolePolicyDocument": made.trust()})
    yield made
    assert platform.stop() == 0


@pytest.mark.parametrize(("service", "name"), ROWS)
def test_boto3_calls_it_and_understands_the_answer(world, service, name):
    stage = Stage(world, number_of(service, name))
    given = asyncio.run(stage.prepare(service, name, stage.needed(service, name)))
    if name in NEVER_THERE:
        with pytest.raises(ClientError) as absent:
            world.call(service, name, given)
        assert NEVER_THERE[name] == absent.value.response["Error"]["Code"]
        return
    answer = world.call(service, name, given)
    asyncio.run(stage.clear(given))
    status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    assert 200 <= status < 300
    shape = world.client(service).meta.service_model.operation_model(name).output_shape
    if shape is not None:
        answer = _read(answer)
        assert not ParamValidator().validate(answer, shape).has_errors()


def _read(value):
    """As it was on the wire: boto3 opens payloads, and reads policy documents by itself."""
    if hasattr(value, "iter_lines"):
        return io.BytesIO(value.read())
    if isinstance(value, list):
        return [_read(item) for item in value]
    if isinstance(value, dict):
        return {
            key: json.dumps(item) if key.endswith("Document") and isinstance(item, dict) else _read(item)
            for key, item in value.items()
        }
    return value
