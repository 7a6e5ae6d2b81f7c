"""The verbs of what is deployed.

Every change runs inside the caller's transaction, so that it stands together with its record; what the rest of the
platform sees of it (the catalog) changes after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from leastwise.functions.catalog import FunctionCatalog
from leastwise.functions.configuration import (
    Platform,
    Settings,
    check_architecture,
    check_new,
    check_settings,
    check_tags,
    wanted_bytecode,
)
from leastwise.functions.interface import (
    CodePackage,
    CodeStorageExceeded,
    CodeStore,
    Function,
    FunctionAlreadyExists,
    FunctionNotFound,
    FunctionStore,
    RevisionMismatch,
    UpdateInProgress,
)
from leastwise.functions.limits import Limits, check_reservation
from leastwise.functions.naming import FunctionName
from leastwise.functions.resource_policy import (
    Permission,
    add_statement,
    build_statement,
    remove_statement,
    to_text,
)
from leastwise.kernel import ids
from leastwise.kernel.transactions import Transactions

_STALE_FUNCTION: Final = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)
_STALE_POLICY: Final = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetPolicy API to retrieve the latest Revision Id"
)
_UNPACK_AT_ONCE: Final = 2

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountUse:
    """What an account has deployed."""

    functions: int
    code_bytes: int
    reserved_concurrency: int


class Functions:
    """Changes what is deployed. The verbs that change anything must run inside a transaction.

    Args:
        store: where configurations are kept.
        code_store: where packages are kept.
        catalog: told of every committed change.
        transactions: tells when a change has committed.
        platform: what this machine can run, asked at every deployment.
        limits: quotas of an account.
        new_revision: makes revision ids.
    """

    def __init__(
        self,
        *,
        store: FunctionStore,
        code_store: CodeStore,
        catalog: FunctionCatalog,
        transactions: Transactions,
        platform: Callable[[], Platform],
        limits: Limits,
        new_revision: Callable[[], str] = ids.request_id,
    ) -> None:
        self._store = store
        self._code_store = code_store
        self._catalog = catalog
        self._transactions = transactions
        self._platform = platform
        self._limits = limits
        self._new_revision = new_revision
        self._unpacking = asyncio.Semaphore(_UNPACK_AT_ONCE)

    @property
    def limits(self) -> Limits:
        return self._limits

    # --- before the transaction: slow work, and what needs no state ------------------------------------------------

    def check_new(self, name: FunctionName, settings: Settings, tags: Mapping[str, str]) -> None:
        """Judges a new function's configuration. Raises: as `configuration.check_new` and `check_tags`."""
        check_new(name.name, settings, self._platform())
        check_tags(tags)

    def check_settings(self, settings: Settings) -> None:
        """Judges a change of configuration. Raises: as `configuration.check_settings`."""
        check_settings(settings, self._platform())

    async def unpack(self, zip_file: bytes, *, runtime: str | None) -> CodePackage:
        """Takes a package in, in a thread. A package that no function names in the end is collected later.

        Raises:
            InvalidPackage, PackageTooLarge: see `CodeStore.put`.
        """
        async with self._unpacking:
            return await asyncio.to_thread(self._code_store.put, zip_file, python_versions=wanted_bytecode(runtime))

    async def compile_for(self, function: Function, runtime: str) -> None:
        """Adds bytecode for another runtime to the package that a function runs on."""
        versions = wanted_bytecode(runtime)
        if versions and runtime != function.runtime:
            async with self._unpacking:
                await asyncio.to_thread(self._code_store.compile, function.code.digest, python_versions=versions)

    # --- functions -------------------------------------------------------------------------------------------------

    async def create(
        self, name: FunctionName, settings: Settings, package: CodePackage, *, tags: Mapping[str, str], now_ms: int
    ) -> Function:
        """Makes a function.

        Raises:
            FunctionAlreadyExists: the name is taken.
            CodeStorageExceeded: the account's code would take too much space.
        """
        self.check_new(name, settings, tags)
        if await self._store.get(name.account_id, name.name) is not None:
            message = f"Function already exist: {name.name}"
            raise FunctionAlreadyExists(message, detail={"Type": "User"})
        await self._check_code_storage(name, package)
        platform = self._platform()
        function = Function(
            account_id=name.account_id,
            region=name.region,
            name=name.name,
            arn=name.arn,
            runtime=settings.runtime or "",
            role_arn=settings.role_arn or "",
            handler=settings.handler or "",
            architecture=platform.architecture,
            log_group=f"/aws/lambda/{name.name}",
            code=package,
            last_modified_ms=now_ms,
            revision_id=self._new_revision(),
            tags=dict(tags),
        )
        function = _with_settings(function, settings)
        await self._store.add(function)
        self._announce(function)
        return function

    async def list(self, account_id: str, region: str) -> tuple[Function, ...]:
        """The account's functions in a region, sorted by name."""
        return tuple(function for function in await self._store.list(account_id) if function.region == region)

    async def update_code(
        self,
        name: FunctionName,
        package: CodePackage,
        *,
        architecture: str | None,
        revision_id: str | None,
        dry_run: bool,
        now_ms: int,
    ) -> Function:
        """Gives a function other code. Invocations that run finish on the code they began with.

        Raises:
            FunctionNotFound, RevisionMismatch, CodeStorageExceeded.
            InvalidParameter: another processor's code.
        """
        function = await self._expect(name, revision_id)
        if architecture is not None:
            check_architecture(architecture, self._platform())
        await self._check_code_storage(name, package)
        changed = replace(function, code=package, last_modified_ms=now_ms, revision_id=self._new_revision())
        if not dry_run:
            await self._replace(function, changed)
        return changed

    async def update_configuration(
        self, name: FunctionName, settings: Settings, *, revision_id: str | None, now_ms: int
    ) -> Function:
        """Changes what `settings` asks for and leaves the rest.

        Raises:
            FunctionNotFound, RevisionMismatch.
            InvalidParameter: see `configuration.check_settings`.
        """
        function = await self._expect(name, revision_id)
        self.check_settings(settings)
        changed = replace(_with_settings(function, settings), last_modified_ms=now_ms, revision_id=self._new_revision())
        await self._replace(function, changed)
        return changed

    async def delete(self, name: FunctionName) -> None:
        """Removes a function. Raises `FunctionNotFound`."""
        await self._find(name)
        await self._store.remove(name.account_id, name.name)
        self._transactions.after_commit(lambda: self._catalog.changed(name.account_id, name.name, None))

    async def use(self, account_id: str) -> AccountUse:
        """What the account has deployed, over all its functions."""
        functions = await self._store.list(account_id)
        return AccountUse(
            functions=len(functions),
            code_bytes=sum(function.code.zip_bytes for function in functions),
            reserved_concurrency=sum(function.reserved_concurrency or 0 for function in functions),
        )

    # --- resource policy -------------------------------------------------------------------------------------------

    async def add_permission(self, name: FunctionName, permission: Permission, *, revision_id: str | None) -> str:
        """Adds a statement to the function's resource policy; returns it as JSON text.

        Raises:
            FunctionNotFound, RevisionMismatch, StatementExists, PolicyTooLong, InvalidParameter.
        """
        function = await self._find(name)
        _check_policy_revision(function, revision_id)
        statement = build_statement(permission, resource=function.arn)
        policy = add_statement(function.policy, statement)
        await self._replace(function, replace(function, policy=policy, policy_revision_id=self._new_revision()))
        return to_text(statement)

    async def remove_permission(self, name: FunctionName, statement_id: str, *, revision_id: str | None) -> None:
        """Takes a statement out of the function's resource policy.

        Raises:
            FunctionNotFound: no function, no policy, no such statement.
            RevisionMismatch.
        """
        function = await self._store.get(name.account_id, name.name)
        if function is None:
            message = f"No policy found for: {name.arn}"
            raise FunctionNotFound(message, detail={"Type": "User"})
        name.check(function)
        policy = remove_statement(function.policy, statement_id)
        _check_policy_revision(function, revision_id)
        await self._replace(
            function,
            replace(function, policy=policy, policy_revision_id=None if policy is None else self._new_revision()),
        )

    async def rewrite_policies(self, account_id: str, rewritten: Callable[[str], str | None]) -> None:
        """Changes resource policies of all the account's functions.

        Args:
            account_id: whose functions.
            rewritten: the new text of a policy; None leaves it as it is.
        """
        for function in await self._store.list(account_id):
            policy = None if function.policy is None else rewritten(function.policy)
            if policy is not None:
                await self._replace(function, replace(function, policy=policy, policy_revision_id=self._new_revision()))

    # --- tags and concurrency --------------------------------------------------------------------------------------

    async def tag(self, name: FunctionName, tags: Mapping[str, str]) -> None:
        """Adds or replaces tags. Raises `FunctionNotFound`, and `InvalidParameter` as `configuration.check_tags`."""
        function = await self._find(name)
        together = {**function.tags, **tags}
        check_tags(together)
        await self._replace(function, replace(function, tags=together))

    async def untag(self, name: FunctionName, keys: frozenset[str]) -> None:
        """Removes tags; one that is not there is no error. Raises `FunctionNotFound`."""
        function = await self._find(name)
        kept = {key: value for key, value in function.tags.items() if key not in keys}
        await self._replace(function, replace(function, tags=kept))

    async def reserve_concurrency(self, name: FunctionName, wanted: int | None) -> None:
        """Sets the reserved concurrency; None gives it back.

        Raises:
            FunctionNotFound.
            InvalidParameter: see `limits.check_reservation`.
        """
        function = await self._find(name)
        if wanted is not None:
            others = await self._store.list(name.account_id)
            by_others = sum(other.reserved_concurrency or 0 for other in others if other.name != name.name)
            check_reservation(wanted, reserved_by_others=by_others, limits=self._limits)
        await self._replace(function, replace(function, reserved_concurrency=wanted))

    # --- shared by the verbs ---------------------------------------------------------------------------------------

    async def _find(self, name: FunctionName) -> Function:
        return name.check(await self._store.get(name.account_id, name.name))

    async def _expect(self, name: FunctionName, revision_id: str | None) -> Function:
        function = await self._find(name)
        if revision_id and revision_id != function.revision_id:
            raise RevisionMismatch(_STALE_FUNCTION, detail={"Type": "User"})
        return function

    async def _replace(self, function: Function, changed: Function) -> None:
        if not await self._store.replace(changed, expected_revision_id=function.revision_id):
            message = (
                f"The operation cannot be performed at this time. An update is in progress for resource: {function.arn}"
            )
            raise UpdateInProgress(message, detail={"Type": "User"})
        self._announce(changed)

    def _announce(self, function: Function) -> None:
        self._transactions.after_commit(lambda: self._catalog.changed(function.account_id, function.name, function))

    async def _check_code_storage(self, name: FunctionName, package: CodePackage) -> None:
        others = await self._store.list(name.account_id)
        stored = sum(other.code.zip_bytes for other in others if other.name != name.name)
        if stored + package.zip_bytes > self._limits.code_bytes:
            message = "Code storage limit exceeded."
            raise CodeStorageExceeded(message, detail={"Type": "User"})


def _with_settings(function: Function, settings: Settings) -> Function:
    """The function with everything that is asked for."""

    def asked(wanted: _Value | None, present: _Value) -> _Value:
        return present if wanted is None else wanted

    return replace(
        function,
        runtime=asked(settings.runtime, function.runtime),
        role_arn=asked(settings.role_arn, function.role_arn),
        handler=asked(settings.handler, function.handler),
        description=asked(settings.description, function.description),
        timeout_s=asked(settings.timeout_s, function.timeout_s),
        memory_mib=asked(settings.memory_mib, function.memory_mib),
        tmp_mib=asked(settings.tmp_mib, function.tmp_mib),
        environment=dict(asked(settings.environment, function.environment)),
        log_group=asked(settings.log_group, function.log_group),
    )


def _check_policy_revision(function: Function, revision_id: str | None) -> None:
    current = function.policy_revision_id or function.revision_id
    if revision_id and revision_id != current:
        raise RevisionMismatch(_STALE_POLICY, detail={"Type": "User"})
