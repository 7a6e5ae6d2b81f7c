"""An in-memory `iam.password_store.PasswordStore`, on the state of `directory_memory.MemoryDirectory`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from leastwise.iam.password_store import LoginProfile, PasswordPolicy
from leastwise.kernel import errors


class MemoryPasswords:
    state: Any
    reads: int

    async def add_login_profile(self, profile: LoginProfile) -> None:
        if profile.user_id in self.state.profiles:
            raise errors.AlreadyExists("login profile")
        self.state.profiles[profile.user_id] = profile

    async def login_profile(self, user_id: str) -> LoginProfile | None:
        self.reads += 1
        return self.state.profiles.get(user_id)

    async def login_profiles(self, account_id: str) -> tuple[LoginProfile, ...]:
        self.reads += 1
        held = self.state.profiles
        return tuple(held[key] for key in sorted(held) if held[key].account_id == account_id)

    async def replace_login_profile(self, profile: LoginProfile) -> None:
        held = self.state.profiles.get(profile.user_id)
        if held is None or held.revision != profile.revision:
            raise errors.Conflict("login profile")
        self.state.profiles[profile.user_id] = replace(profile, revision=profile.revision + 1)

    async def remove_login_profile(self, user_id: str) -> None:
        self.state.profiles.pop(user_id, None)

    async def note_password_use(self, user_id: str, *, at_ms: int) -> None:
        for key, user in list(self.state.users.items()):
            if user.user_id == user_id:
                self.state.users[key] = replace(user, password_last_used_at_ms=at_ms)

    async def password_policy(self, account_id: str) -> PasswordPolicy | None:
        self.reads += 1
        return self.state.password_policies.get(account_id)

    async def put_password_policy(self, account_id: str, policy: PasswordPolicy) -> None:
        self.state.password_policies[account_id] = policy

    async def remove_password_policy(self, account_id: str) -> None:
        self.state.password_policies.pop(account_id, None)

    async def account_alias(self, account_id: str) -> str | None:
        self.reads += 1
        return self.state.aliases.get(account_id)

    async def account_of_alias(self, alias: str) -> str | None:
        self.reads += 1
        return next((account for account, held in self.state.aliases.items() if held == alias), None)

    async def put_account_alias(self, account_id: str, alias: str) -> None:
        if await self.account_of_alias(alias) not in {None, account_id}:
            raise errors.AlreadyExists("account alias")
        self.state.aliases[account_id] = alias

    async def remove_account_alias(self, account_id: str) -> None:
        self.state.aliases.pop(account_id, None)
