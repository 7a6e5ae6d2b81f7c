"""An in-memory `iam.directory.Directory` and `kernel.transactions.Transactions`, kept by the same suite as SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace

from tests.ports.password_store_memory import MemoryPasswords

from leastwise.iam.directory import (
    AccessKey,
    Account,
    Group,
    IdentityKind,
    IdentityRef,
    InlinePolicy,
    ManagedPolicy,
    OwnedPolicies,
    Revocation,
    Role,
    User,
)
from leastwise.iam.interface import ConcurrentModification
from leastwise.iam.password_store import LoginProfile, PasswordPolicy
from leastwise.kernel import errors

Key = tuple[str, str]
OwnerKey = tuple[str, str, str]


class State:
    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.users: dict[Key, User] = {}
        self.roles: dict[Key, Role] = {}
        self.groups: dict[Key, Group] = {}
        self.members: set[tuple[str, str, str]] = set()
        self.keys: dict[str, AccessKey] = {}
        self.inline: dict[OwnerKey, dict[str, InlinePolicy]] = {}
        self.managed: dict[str, ManagedPolicy] = {}
        self.attached: dict[OwnerKey, set[str]] = {}
        self.revocations: dict[str, Revocation] = {}
        self.revision = 0
        self.profiles: dict[str, LoginProfile] = {}
        self.password_policies: dict[str, PasswordPolicy] = {}
        self.aliases: dict[str, str] = {}

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
        self._last: dict[Callable[[], Awaitable[None]], None] = {}
        saved = self._directory.state.snapshot()
        try:
            yield
            for finish in list(self._last):
                await finish()
        except BaseException:
            vars(self._directory.state).update(saved)
            self._callbacks = None
            raise
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks:
            callback()

    def before_commit(self, callback: Callable[[], Awaitable[None]]) -> None:
        if self._callbacks is not None:
            self._last[callback] = None

    def after_commit(self, callback: Callable[[], None]) -> None:
        if self._callbacks is None:
            callback()
        else:
            self._callbacks.append(callback)


class MemoryDirectory(MemoryPasswords):
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
        before = self.state.users.get(old)
        written = _revised(before, user)
        self.state.users[new] = replace(written, password_last_used_at_ms=before.password_last_used_at_ms)
        if old != new:
            del self.state.users[old]
        self.state.members = {
            (account, group, new[1] if (account, member) == old else member)
            for account, group, member in self.state.members
        }
        for key in list(self.state.keys.values()):
            if key.account_id == user.account_id and (key.user_name or "").lower() == old[1]:
                self.state.keys[key.access_key_id] = replace(key, user_name=user.name)
        if old == new:
            return
        self._owner_renamed(IdentityKind.USER, old, new)

    def _owner_renamed(self, kind: IdentityKind, old: Key, new: Key) -> None:
        before, after = (old[0], kind.value, old[1]), (new[0], kind.value, new[1])
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

    async def set_access_key_active(self, access_key_id: str, *, active: bool) -> None:
        if access_key_id in self.state.keys:
            self.state.keys[access_key_id] = replace(self.state.keys[access_key_id], active=active)

    async def note_access_key_use(self, access_key_id: str, *, at_ms: int, service: str, region: str) -> None:
        if access_key_id in self.state.keys:
            self.state.keys[access_key_id] = replace(
                self.state.keys[access_key_id],
                last_used_at_ms=at_ms,
                last_used_service=service,
                last_used_region=region,
            )

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

    async def roles_mentioning(self, texts: Sequence[str]) -> tuple[Role, ...]:
        self.reads += 1
        return tuple(
            role for role in self.state.roles.values() if any(text in role.trust_policy for text in (*texts, "\\"))
        )

    async def replace_role(self, role: Role) -> None:
        place = (role.account_id, role.name.lower())
        before = self.state.roles.get(place)
        written = _revised(before, role)
        self.state.roles[place] = replace(
            written, last_used_at_ms=before.last_used_at_ms, last_used_region=before.last_used_region
        )

    async def note_role_use(self, role_id: str, *, at_ms: int, region: str) -> None:
        for place, role in self.state.roles.items():
            if role.role_id == role_id:
                self.state.roles[place] = replace(role, last_used_at_ms=at_ms, last_used_region=region)

    async def remove_role(self, account_id: str, name: str) -> None:
        self.state.roles.pop((account_id, name.lower()), None)

    async def add_group(self, group: Group) -> None:
        self._add(self.state.groups, (group.account_id, group.name.lower()), group)

    async def group(self, account_id: str, name: str) -> Group | None:
        self.reads += 1
        return self.state.groups.get((account_id, name.lower()))

    async def groups(self, account_id: str, path_prefix: str) -> tuple[Group, ...]:
        self.reads += 1
        found = [g for g in self.state.groups.values() if g.account_id == account_id and g.path.startswith(path_prefix)]
        return tuple(sorted(found, key=lambda group: group.name))

    async def replace_group(self, name: str, group: Group) -> None:
        old, new = (group.account_id, name.lower()), (group.account_id, group.name.lower())
        if old != new and new in self.state.groups:
            raise errors.AlreadyExists("group")
        self.state.groups[new] = _revised(self.state.groups.get(old), group)
        if old == new:
            return
        del self.state.groups[old]
        self.state.members = {
            (account, new[1] if (account, key) == old else key, member) for account, key, member in self.state.members
        }
        self._owner_renamed(IdentityKind.GROUP, old, new)

    async def remove_group(self, account_id: str, name: str) -> None:
        self.state.groups.pop((account_id, name.lower()), None)

    async def add_group_member(self, account_id: str, group_name: str, user_name: str) -> None:
        self.state.members.add((account_id, group_name.lower(), user_name.lower()))

    async def remove_group_member(self, account_id: str, group_name: str, user_name: str) -> None:
        self.state.members.discard((account_id, group_name.lower(), user_name.lower()))

    async def group_members(self, account_id: str, group_name: str) -> tuple[User, ...]:
        self.reads += 1
        keys = [
            user for account, group, user in self.state.members if (account, group) == (account_id, group_name.lower())
        ]
        return tuple(sorted((self.state.users[account_id, key] for key in keys), key=lambda user: user.name))

    async def groups_of_user(self, account_id: str, user_name: str) -> tuple[Group, ...]:
        self.reads += 1
        keys = [
            group for account, group, user in self.state.members if (account, user) == (account_id, user_name.lower())
        ]
        return tuple(sorted((self.state.groups[account_id, key] for key in keys), key=lambda group: group.name))

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
        self.state.managed[policy.arn] = _revised(self.state.managed.get(policy.arn), policy)

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

    async def policies_of(self, owners: Sequence[IdentityRef]) -> tuple[OwnedPolicies, ...]:
        return tuple(
            [
                OwnedPolicies(
                    owner=owner,
                    inline=await self.inline_policies(owner),
                    attached=await self.attached_policies(owner),
                )
                for owner in owners
            ]
        )

    async def attached_entities(self, policy_arn: str) -> tuple[IdentityRef, ...]:
        self.reads += 1
        found = []
        for (account_id, kind, key), arns in self.state.attached.items():
            if policy_arn in arns:
                held = {"user": self.state.users, "role": self.state.roles, "group": self.state.groups}[kind]
                named = held[(account_id, key)]
                found.append(IdentityRef(account_id=account_id, kind=IdentityKind(kind), name=named.name))
        return tuple(sorted(found, key=lambda ref: (ref.kind.value, ref.name, ref.account_id)))

    async def revoke_sessions(self, revocation: Revocation) -> int:
        known = self.state.revocations.get(revocation.unique_id)
        if known is None or known.not_before_ms < revocation.not_before_ms:
            self.state.revocations[revocation.unique_id] = revocation
        return self.state.revocations[revocation.unique_id].not_before_ms

    async def revoked_until(self, unique_ids) -> dict[str, int]:
        self.reads += 1
        held = self.state.revocations
        return {unique_id: held[unique_id].not_before_ms for unique_id in unique_ids if unique_id in held}

    async def revocations(self, account_id: str) -> tuple[Revocation, ...]:
        self.reads += 1
        found = [one for one in self.state.revocations.values() if one.account_id == account_id]
        return tuple(sorted(found, key=lambda one: (-one.not_before_ms, one.unique_id)))

    async def directory_revision(self) -> int:
        self.reads += 1
        return self.state.revision

    async def bump_directory_revision(self) -> int:
        self.state.revision += 1
        return self.state.revision

    def _counted(self, policy: ManagedPolicy) -> ManagedPolicy:
        return replace(policy, attachment_count=sum(policy.arn in arns for arns in self.state.attached.values()))

    @staticmethod
    def _add(held, key, value) -> None:
        if key in held:
            raise errors.AlreadyExists(str(key))
        held[key] = value


def _revised(before, after):
    """The next revision. Raises: ConcurrentModification (it was changed or removed since it was read)."""
    if before is None or before.revision != after.revision:
        raise ConcurrentModification
    return replace(after, revision=after.revision + 1)


def _owner(ref: IdentityRef) -> OwnerKey:
    return (ref.account_id, ref.kind.value, ref.name.lower())
