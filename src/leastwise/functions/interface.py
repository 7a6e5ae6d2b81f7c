"""What is deployed: nouns, ports and errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from leastwise.kernel import errors


class State(StrEnum):
    PENDING = "Pending"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    FAILED = "Failed"


class UpdateStatus(StrEnum):
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    IN_PROGRESS = "InProgress"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodePackage:
    """One unpacked, compiled deployment package, named by its content.

    Args:
        digest: SHA-256 of the zip file, hex. The unpacked tree is `CodeStore.path(digest)`.
        zip_bytes: size of the zip file.
        unpacked_bytes: sum of the file sizes.
    """

    digest: str
    zip_bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function's present configuration (version `$LATEST`). Environment variables never show in a repr.

    Args:
        arn: unqualified.
        runtime: `python3.11`, `nodejs20.x`, `provided.al2023`, ...
        timeout_s: 1 to 900.
        memory_mib: 128 to 10240.
        tmp_mib: 512 to 10240.
        code: the deployed package.
        revision_id: UUID, new whenever code or configuration change: environments of an older one are retired.
        policy: the resource policy's JSON text, None when it has none.
        policy_revision_id: UUID, new whenever the resource policy changes; None when there is none.
        reserved_concurrency: None is unreserved; 0 refuses every call.
    """

    account_id: str
    region: str
    name: str
    arn: str
    runtime: str
    role_arn: str
    handler: str
    description: str = ""
    timeout_s: int = 3
    memory_mib: int = 128
    tmp_mib: int = 512
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    architecture: str = "x86_64"
    log_group: str = ""
    tracing_mode: str = "PassThrough"
    code: CodePackage
    state: State = State.ACTIVE
    state_reason: str | None = None
    state_reason_code: str | None = None
    last_update_status: UpdateStatus = UpdateStatus.SUCCESSFUL
    last_update_reason: str | None = None
    last_modified_ms: int
    revision_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    policy: str | None = None
    policy_revision_id: str | None = None
    reserved_concurrency: int | None = None


class FunctionStore(Protocol):
    """Where configurations are kept. Every write joins the caller's transaction."""

    async def add(self, function: Function) -> None:
        """Raises `errors.AlreadyExists`."""
        ...

    async def get(self, account_id: str, name: str) -> Function | None: ...

    async def list(self, account_id: str) -> tuple[Function, ...]:
        """Sorted by name."""
        ...

    async def replace(self, function: Function, *, expected_revision_id: str) -> bool:
        """Writes the new state if the stored revision is still the expected one; False when it is not."""
        ...

    async def remove(self, account_id: str, name: str) -> bool: ...

    async def digests(self) -> frozenset[str]:
        """Digests of code that some function still names."""
        ...


class CodeStore(Protocol):
    """Unpacked packages, content-addressed and read-only. Putting the same zip twice is one copy."""

    def put(self, zip_file: bytes, *, python_versions: tuple[str, ...]) -> CodePackage:
        """Checks, unpacks and compiles a package. Blocking: call it from a thread.

        Args:
            zip_file: the zip as uploaded.
            python_versions: runtimes (`python3.11`) for which bytecode should be compiled, may be empty.

        Raises:
            InvalidPackage: not a zip, dangerous members, too large.
        """
        ...

    def compile(self, digest: str, *, python_versions: tuple[str, ...]) -> None:
        """Adds bytecode for further runtimes to a package that is there. Blocking."""
        ...

    def path(self, digest: str) -> Path:
        """Directory of the unpacked tree."""
        ...

    def zip_path(self, digest: str) -> Path:
        """The zip as it was uploaded."""
        ...


class FunctionNotFound(errors.NotFound):
    """Lambda's ResourceNotFoundException."""


class FunctionAlreadyExists(errors.AlreadyExists):
    """Lambda's ResourceConflictException at creation."""


class RevisionMismatch(errors.Conflict):
    """Lambda's PreconditionFailedException."""


class UpdateInProgress(errors.Conflict):
    """Lambda's ResourceConflictException while an update runs."""


class StatementExists(errors.AlreadyExists):
    """Lambda's ResourceConflictException: "The statement id (x) provided already exists."."""


class InvalidParameter(errors.Invalid):
    """Lambda's InvalidParameterValueException."""


class InvalidPackage(InvalidParameter):
    """A deployment package that will not be unpacked."""


class PackageTooLarge(errors.TooLarge):
    """Lambda's RequestEntityTooLargeException: the zip file itself is too large."""


class CodeStorageExceeded(errors.LimitExceeded):
    """Lambda's CodeStorageExceededException."""


class PolicyTooLong(errors.LimitExceeded):
    """Lambda's PolicyLengthExceededException."""


OnChange = Callable[[str, str, Function | None], None]
"""(account id, name, function as it is now; None when it was deleted). Called after the change has committed."""


class Catalog(Protocol):
    """What is deployed, in memory, for the path of every call."""

    def peek(self, account_id: str, name: str) -> Function | None:
        """The function if it is known without waiting. None means: ask `get`."""
        ...

    async def get(self, account_id: str, name: str) -> Function | None:
        """The function, None when there is none."""
        ...
