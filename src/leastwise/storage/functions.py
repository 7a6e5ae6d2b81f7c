"""`functions.FunctionStore` on SQL. Environment variables are encrypted; the rest of a configuration is JSON text."""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from leastwise.functions.interface import CodePackage, Function, FunctionAlreadyExists, State, UpdateStatus
from leastwise.kernel import errors
from leastwise.storage.engine import Database
from leastwise.storage.schema import functions

_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_PURPOSE: Final = b"leastwise environment variables 1"


class _Body(msgspec.Struct, omit_defaults=True):
    """A configuration as stored. Append-only: new members get a default."""

    region: str
    arn: str
    runtime: str
    role_arn: str
    handler: str
    zip_bytes: int
    unpacked_bytes: int
    last_modified_ms: int
    description: str = ""
    timeout_s: int = 3
    memory_mib: int = 128
    tmp_mib: int = 512
    architecture: str = "x86_64"
    log_group: str = ""
    tracing_mode: str = "PassThrough"
    state: str = "Active"
    state_reason: str | None = None
    state_reason_code: str | None = None
    last_update_status: str = "Successful"
    last_update_reason: str | None = None
    tags: dict[str, str] = {}
    policy: str | None = None
    policy_revision_id: str | None = None
    reserved_concurrency: int | None = None


class SqlFunctionStore:
    """One row a function.

    Args:
        database: joins the caller's transaction.
        key: the installation's key, at least 32 bytes; environment variables are encrypted under one derived from it.
    """

    def __init__(self, database: Database, *, key: bytes) -> None:
        if len(key) < _KEY_BYTES:
            message = f"the installation's key has fewer than {_KEY_BYTES} bytes"
            raise errors.Bug(message)
        self._database = database
        self._seal = AESGCM(HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE).derive(key))

    async def add(self, function: Function) -> None:
        statement = insert(functions).values(
            account_id=function.account_id, name=function.name, **self._columns(function)
        )
        try:
            async with self._database.writing() as connection:
                await connection.execute(statement)
        except IntegrityError as error:
            message = f"Function already exist: {function.name}"
            raise FunctionAlreadyExists(message, detail={"Type": "User"}) from error

    async def get(self, account_id: str, name: str) -> Function | None:
        statement = select(functions).where(functions.c.account_id == account_id, functions.c.name == name)
        async with self._database.reading() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else self._function(row)

    async def list(self, account_id: str) -> tuple[Function, ...]:
        statement = select(functions).where(functions.c.account_id == account_id)
        async with self._database.reading() as connection:
            rows = (await connection.execute(statement)).all()
        # Sorted here: what a database calls sorted depends on its collation.
        return tuple(sorted((self._function(row) for row in rows), key=lambda function: function.name))

    async def replace(self, function: Function, *, expected_revision_id: str) -> bool:
        statement = (
            update(functions)
            .where(
                functions.c.account_id == function.account_id,
                functions.c.name == function.name,
                functions.c.revision_id == expected_revision_id,
            )
            .values(**self._columns(function))
        )
        async with self._database.writing() as connection:
            result = await connection.execute(statement)
        return bool(result.rowcount == 1)

    async def remove(self, account_id: str, name: str) -> bool:
        statement = delete(functions).where(functions.c.account_id == account_id, functions.c.name == name)
        async with self._database.writing() as connection:
            result = await connection.execute(statement)
        return bool(result.rowcount == 1)

    async def digests(self) -> frozenset[str]:
        async with self._database.reading() as connection:
            rows = await connection.execute(select(functions.c.code_digest).distinct())
            return frozenset(digest for (digest,) in rows)

    def _columns(self, function: Function) -> dict[str, Any]:
        body = _Body(
            region=function.region,
            arn=function.arn,
            runtime=function.runtime,
            role_arn=function.role_arn,
            handler=function.handler,
            zip_bytes=function.code.zip_bytes,
            unpacked_bytes=function.code.unpacked_bytes,
            last_modified_ms=function.last_modified_ms,
            description=function.description,
            timeout_s=function.timeout_s,
            memory_mib=function.memory_mib,
            tmp_mib=function.tmp_mib,
            architecture=function.architecture,
            log_group=function.log_group,
            tracing_mode=function.tracing_mode,
            state=function.state.value,
            state_reason=function.state_reason,
            state_reason_code=function.state_reason_code,
            last_update_status=function.last_update_status.value,
            last_update_reason=function.last_update_reason,
            tags=dict(function.tags),
            policy=function.policy,
            policy_revision_id=function.policy_revision_id,
            reserved_concurrency=function.reserved_concurrency,
        )
        return {
            "revision_id": function.revision_id,
            "code_digest": function.code.digest,
            "sealed_environment": self._sealed(function),
            "body": msgspec.json.encode(body).decode(),
        }

    def _sealed(self, function: Function) -> bytes | None:
        if not function.environment:
            return None
        nonce = os.urandom(_NONCE_BYTES)
        text = msgspec.json.encode(dict(function.environment))
        return nonce + self._seal.encrypt(nonce, text, _owner(function.account_id, function.name))

    def _opened(self, row: Row[Any]) -> dict[str, str]:
        if row.sealed_environment is None:
            return {}
        sealed = bytes(row.sealed_environment)
        try:
            text = self._seal.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _owner(row.account_id, row.name))
        except InvalidTag as error:
            message = f"the environment variables of {row.account_id}/{row.name} cannot be decrypted"
            raise errors.Bug(message) from error
        return msgspec.json.decode(text, type=dict[str, str])

    def _function(self, row: Row[Any]) -> Function:
        body = msgspec.json.decode(row.body, type=_Body)
        return Function(
            account_id=row.account_id,
            region=body.region,
            name=row.name,
            arn=body.arn,
            runtime=body.runtime,
            role_arn=body.role_arn,
            handler=body.handler,
            description=body.description,
            timeout_s=body.timeout_s,
            memory_mib=body.memory_mib,
            tmp_mib=body.tmp_mib,
            environment=self._opened(row),
            architecture=body.architecture,
            log_group=body.log_group,
            tracing_mode=body.tracing_mode,
            code=CodePackage(digest=row.code_digest, zip_bytes=body.zip_bytes, unpacked_bytes=body.unpacked_bytes),
            state=State(body.state),
            state_reason=body.state_reason,
            state_reason_code=body.state_reason_code,
            last_update_status=UpdateStatus(body.last_update_status),
            last_update_reason=body.last_update_reason,
            last_modified_ms=body.last_modified_ms,
            revision_id=row.revision_id,
            tags=body.tags,
            policy=body.policy,
            policy_revision_id=body.policy_revision_id,
            reserved_concurrency=body.reserved_concurrency,
        )


def _owner(account_id: str, name: str) -> bytes:
    """SECURITY: bound into the ciphertext, so that a row's secrets cannot be moved to another owner's row."""
    return f"{account_id}/{name}".encode()
