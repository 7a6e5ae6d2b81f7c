"""An identity service on the in-memory directory, founded, and a client that signs for it."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from tests.ports.directory_memory import MemoryDirectory, MemoryTransactions

from leastwise.iam.interface import Credentials, Principal, Request
from leastwise.iam.service import Founded, IdentityService, open_identity_service
from leastwise.kernel.call import SigV4Proof, Source

ACCOUNT = "111122223333"
NOW_MS = 1_790_000_000_000
INSTALL_KEY = bytes(range(32))
HERE = Source(ip="127.0.0.1", user_agent="test", tls=True, received_at_ms=NOW_MS)
LAMBDA_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)


def allow(action, resource="*", **more) -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust(principal, **more) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def signed(
    access_key_id: str, secret: str, *, token: str | None = None, service: str = "lambda", at_ms: int = NOW_MS
) -> SigV4Proof:
    """A proof as the door would carry it."""
    date, region, text = f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y%m%d}", "eu-central-1", b"string to sign"
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return SigV4Proof(
        access_key_id=access_key_id,
        session_token=token,
        date=date,
        region=region,
        service=service,
        signed_at_ms=at_ms,
        string_to_sign=text,
        signature=hmac.digest(key, text, "sha256").hex(),
    )


def signed_with(credentials: Credentials, **more) -> SigV4Proof:
    return signed(credentials.access_key_id, credentials.secret_access_key, token=credentials.session_token, **more)


@dataclass
class House:
    directory: MemoryDirectory
    transactions: MemoryTransactions
    service: IdentityService
    founded: Founded

    @property
    def gate(self):
        return self.service.gate

    @property
    def identities(self):
        return self.service.identities

    @property
    def sessions(self):
        return self.service.sessions

    async def principal(self, proof: SigV4Proof | None = None, *, now_ms: int = NOW_MS) -> Principal:
        """The administrator, unless another proof is given."""
        proof = proof or signed(self.founded.access_key_id, self.founded.secret_access_key)
        return await self.gate.authenticate(proof, now_ms=now_ms)

    async def user(self, name: str = "alice", **more) -> Principal:
        """A new user with a key, authenticated."""
        await self.identities.users.create(
            ACCOUNT, name, path="/", tags=more.get("tags", ()), boundary_arn=None, now_ms=NOW_MS
        )
        made = await self.identities.access_keys.create(ACCOUNT, name, now_ms=NOW_MS)
        return await self.principal(signed(made.key.access_key_id, made.secret))

    async def role(self, name: str = "runner", trust_policy: str = LAMBDA_TRUST, **more):
        return await self.identities.roles.create(
            ACCOUNT,
            name,
            path=more.get("path", "/"),
            trust_policy=trust_policy,
            description="",
            max_session_s=more.get("max_session_s", 3600),
            tags=more.get("tags", ()),
            boundary_arn=more.get("boundary_arn"),
            now_ms=NOW_MS,
        )

    async def may(self, principal: Principal, action: str, resource: str = "*", *, policy: str | None = None, **extra):
        context = self.gate.context(principal, HERE, now_ms=NOW_MS, region="eu-central-1", extra=extra)
        request = Request(
            principal=principal,
            action=action,
            resource=resource,
            resource_account_id=ACCOUNT,
            context=context,
        )
        return await self.gate.authorize(request, resource_policy=policy)


@pytest.fixture
async def house() -> House:
    directory = MemoryDirectory()
    transactions = MemoryTransactions(directory)
    service = open_identity_service(directory=directory, transactions=transactions, install_key=INSTALL_KEY)
    founded = await service.identities.founding.found_installation(ACCOUNT, now_ms=NOW_MS)
    return House(directory, transactions, service, founded)
