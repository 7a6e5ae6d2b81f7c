"""What is kept about passwords and account aliases, and the part of the `Directory` port that keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginProfile:
    """A user's password. It belongs to the user's unique id: a new name takes it along, a new user never inherits it.

    Args:
        user_id: `AIDA...` of the user.
        account_id: the user's account.
        password_hash: encoded argon2id hash, with its parameters and its salt.
        created_at_ms: when the user got a first password.
        changed_at_ms: when the present password was set; its age counts from here.
        reset_required: good for nothing but setting another one.
        earlier_hashes: of the passwords before, newest first.
        revision: of what was read; see `Directory`.
    """

    user_id: str
    account_id: str
    password_hash: str = field(repr=False)
    created_at_ms: int
    changed_at_ms: int
    reset_required: bool
    earlier_hashes: tuple[str, ...] = field(default=(), repr=False)
    revision: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """What an account asks of its users' passwords. The defaults are those of UpdateAccountPasswordPolicy.

    Args:
        minimum_length: characters.
        require_symbols: at least one of `passwords.SYMBOLS`.
        require_numbers: at least one of 0-9.
        require_uppercase: at least one of A-Z.
        require_lowercase: at least one of a-z.
        users_may_change: every user of the account may change the own password, without a policy that says so.
        max_age_days: a password is good for so long; None: for ever.
        reuse_prevention: so many of the last passwords cannot be set again; None: all can.
        hard_expiry: who let a password expire cannot set another one at sign-in. None: never said, which means no.
    """

    minimum_length: int = 6
    require_symbols: bool = False
    require_numbers: bool = False
    require_uppercase: bool = False
    require_lowercase: bool = False
    users_may_change: bool = False
    max_age_days: int | None = None
    reuse_prevention: int | None = None
    hard_expiry: bool | None = None


class PasswordStore(Protocol):
    """Where passwords, their policies and account aliases are kept. Every write joins the caller's transaction."""

    async def add_login_profile(self, profile: LoginProfile) -> None:
        """Raises: errors.AlreadyExists."""
        ...

    async def login_profile(self, user_id: str) -> LoginProfile | None: ...
    async def login_profiles(self, account_id: str) -> tuple[LoginProfile, ...]:
        """Of all users of an account, sorted by user id."""
        ...

    async def replace_login_profile(self, profile: LoginProfile) -> None:
        """Raises: errors.Conflict (changed or removed since it was read)."""
        ...

    async def remove_login_profile(self, user_id: str) -> None: ...
    async def note_password_use(self, user_id: str, *, at_ms: int) -> None:
        """Becomes `User.password_last_used_at_ms`; outlives the login profile, not the user."""
        ...

    async def password_policy(self, account_id: str) -> PasswordPolicy | None: ...
    async def put_password_policy(self, account_id: str, policy: PasswordPolicy) -> None: ...
    async def remove_password_policy(self, account_id: str) -> None: ...

    async def account_alias(self, account_id: str) -> str | None: ...
    async def account_of_alias(self, alias: str) -> str | None: ...
    async def put_account_alias(self, account_id: str, alias: str) -> None:
        """Replaces the one there is. Raises: errors.AlreadyExists (another account's)."""
        ...

    async def remove_account_alias(self, account_id: str) -> None: ...
