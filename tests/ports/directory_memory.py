"""An in-memory `iam.directory.Directory` and `kernel.transactions.Transactions`, kept by the same suite as SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace

from leastwise.iam.directory import (
    AccessKey,
    Account,
    IdentityKind,
    IdentityRef,
    InlinePolicy,
    ManagedPolicy,
    Role,
    User,
)
from leastwise.kernel import errors

Key = tuple[str, str]
OwnerKey = tuple[str, str, str]


class State:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.users: dict[Key, User] = {}
        self.roles: dict[Key, Role] = {}
        self.keys: dict[str, AccessKey] = {}
        self.inline: dict[OwnerKey, dict[str, InlinePolicy]] = {}
        self.managed: dict[str, ManagedPolicy] = {}
        self.attached: dict[OwnerKey, set[str]] = {}

    def snapshot(self) -> dict[str, object]:
        saved = {name: copy(value) for name, value in vars(self).items()}
        saved["inline"] = {owner: dict(held) for owner, held in self.inline.items()}
        saved["attached"] = {owner: set(held) for owner, held in self.attached.items()}
        return saved


class MemoryTransactions:
    """Rolls the whole directory back when a block is left by an exception."""

    def __init__(self, directory: MemoryDirectory) -> None:
        self._directory = directory
        self._callbacks: list[Callable[[], None]] | None = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:
        if self._callbacks is not None:
            raise errors.Bug("a transaction was opened inside a transaction")
        self._callbacks = []
        saved = self._directory.state.snapshot()
        try:
            yield
        except BaseException:
            vars(self._directory.state).update(saved)
            self._callbacks = None
            raise
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks:
            callback()

    def after_commit(self, callback: Callable[[], None]) -> None:
        if self._callbacks is None:
            callback()
        else:
            self._callbacks.append(callback)


class MemoryDirectory:
    """`reads` counts every question, so that a test can say that the hot path asks none."""

    def __init__(self) -> None:
        self.state = State()
        self.reads = 0

    async def add_account(self, account: Account) -> None:
        if account.account_id in self.state.accounts:
            raise errors.AlreadyExists("account")
        self.state.accounts[account.account_id] = account

    async def accounts(self) -> tuple[Account, ...]:
        self.reads += 1
        return tuple(self.state.accounts[key] for key in sorted(self.state.accounts))

    async def add_user(self, user: User) -> None:
        self._add(self.state.users, (user.account_id, user.name.lower()), user)

    async def user(self, account_id: str, name: str) -> User | None:
        self.reads += 1
        return self.state.users.get((account_id, name.lower()))

    async def users(self, account_id: str, path_prefix: str) -> tuple[User, ...]:
        self.reads += 1
        found = [u for u in self.state.users.values() if u.account_id == account_id and u.path.startswith(path_prefix)]
        return tuple(sorted(found, key=lambda user: user.name))

    async def replace_user(self, name: str, user: User) -> None:
        old, new = (user.account_id, name.lower()), (user.account_id, user.name.lower())
        if old != new and new in self.state.users:
            raise errors.AlreadyExists("user")
        del self.state.users[old]
        self.state.users[new] = user
        for key in list(self.state.keys.values()):
            if key.account_id == user.account_id and (key.user_name or "").lower() == old[1]:
                self.state.keys[key.access_key_id] = replace(key, user_name=user.name)
        if old == new:
            return
        before, after = (old[0], IdentityKind.USER.value, old[1]), (new[0], IdentityKind.USER.value, new[1])
        for owned in (self.state.inline, self.state.attached):
            if before in owned:
                owned[after] = owned.pop(before)

    async def remove_user(self, account_id: str, name: str) -> None:
        self.state.users.pop((account_id, name.lower()), None)

    async def add_access_key(self, key: AccessKey) -> None:
        self._add(self.state.keys, key.access_key_id, key)

    async def access_key(self, access_key_id: str) -> AccessKey | None:
        self.reads += 1
        return self.state.keys.get(access_key_id)

    async def access_keys(self, account_id: str, user_name: str | None) -> tuple[AccessKey, ...]:
        self.reads += 1
        found = [k for k in self.state.keys.values() if k.account_id == account_id and k.user_name == user_name]
        return tuple(sorted(found, key=lambda key: (key.created_at_ms, key.access_key_id)))

    async def replace_access_key(self, key: AccessKey) -> None:
        if key.access_key_id in self.state.keys:
            self.state.keys[key.access_key_id] = key

    async def remove_access_key(self, access_key_id: str) -> None:
        self.state.keys.pop(access_key_id, None)

    async def add_role(self, role: Role) -> None:
        self._add(self.state.roles, (role.account_id, role.name.lower()), role)

    async def role(self, account_id: str, name: str) -> Role | None:
        self.reads += 1
        return self.state.roles.get((account_id, name.lower()))

    async def roles(self, account_id: str, path_prefix: str) -> tuple[Role, ...]:
        self.reads += 1
        found = [r for r in self.state.roles.values() if r.account_id == account_id and r.path.startswith(path_prefix)]
        return tuple(sorted(found, key=lambda role: role.name))

    async def replace_role(self, role: Role) -> None:
        self.state.roles[(role.account_id, role.name.lower())] = role

    async def remove_role(self, account_id: str, name: str) -> None:
        self.state.roles.pop((account_id, name.lower()), None)

    async def put_inline_policy(self, owner: IdentityRef, policy: InlinePolicy) -> None:
        self.state.inline.setdefault(_owner(owner), {})[policy.name] = policy

    async def inline_policies(self, owner: IdentityRef) -> tuple[InlinePolicy, ...]:
        self.reads += 1
        held = self.state.inline.get(_owner(owner), {})
        return tuple(held[name] for name in sorted(held))

    async def remove_inline_policy(self, owner: IdentityRef, name: str) -> None:
        self.state.inline.get(_owner(owner), {}).pop(name, None)

    async def add_managed_policy(self, policy: ManagedPolicy) -> None:
        for other in self.state.managed.values():
            if (other.account_id, other.name.lower()) == (policy.account_id, policy.name.lower()):
                raise errors.AlreadyExists("policy")
        self._add(self.state.managed, policy.arn, policy)

    async def managed_policy(self, arn: str) -> ManagedPolicy | None:
        self.reads += 1
        return self._counted(self.state.managed[arn]) if arn in self.state.managed else None

    async def managed_policies(self, account_id: str, path_prefix: str) -> tuple[ManagedPolicy, ...]:
        self.reads += 1
        found = [
            self._counted(policy)
            for policy in self.state.managed.values()
            if policy.account_id == account_id and policy.path.startswith(path_prefix)
        ]
        return tuple(sorted(found, key=lambda policy: (policy.name, policy.arn)))

    async def replace_managed_policy(self, policy: ManagedPolicy) -> None:
        self.state.managed[policy.arn] = policy

    async def remove_managed_policy(self, arn: str) -> None:
        self.state.managed.pop(arn, None)

    async def attach_policy(self, owner: IdentityRef, policy_arn: str) -> None:
        self.state.attached.setdefault(_owner(owner), set()).add(policy_arn)

    async def attached_policies(self, owner: IdentityRef) -> tuple[ManagedPolicy, ...]:
        self.reads += 1
        found = [self._counted(self.state.managed[arn]) for arn in self.state.attached.get(_owner(owner), ())]
        return tuple(sorted(found, key=lambda policy: (policy.name, policy.arn)))

    async def detach_policy(self, owner: IdentityRef, policy_arn: str) -> None:
        self.state.attached.get(_owner(owner), set()).discard(policy_arn)

    async def attached_entities(self, policy_arn: str) -> tuple[IdentityRef, ...]:
        self.reads += 1
        found = []
        for (account_id, kind, key), arns in self.state.attached.items():
            if policy_arn in arns:
                held = self.state.users if kind == IdentityKind.USER.value else self.state.roles
                named = held[(account_id, key)]
                found.append(IdentityRef(account_id=account_id, kind=IdentityKind(kind), name=named.name))
        return tuple(sorted(found, key=lambda ref: (ref.kind.value, ref.name, ref.account_id)))

    def _counted(self, policy: ManagedPolicy) -> ManagedPolicy:
        return replace(policy, attachment_count=sum(policy.arn in arns for arns in self.state.attached.values()))

    @staticmethod
    def _add(held, key, value) -> None:
        if key in held:
            raise errors.AlreadyExists(str(key))
        held[key] = value


def _owner(ref: IdentityRef) -> OwnerKey:
    return (ref.account_id, ref.kind.value, ref.name.lower())
