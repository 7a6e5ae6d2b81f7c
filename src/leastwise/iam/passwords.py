"""Passwords: what a policy asks of them, how long they last, and how they are hashed.

Source: IAM User Guide, "Setting an account password policy for IAM users"; the refusals are those of the IAM API.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import argon2

from leastwise.iam.interface import PasswordPolicyViolation
from leastwise.iam.password_store import LoginProfile, PasswordPolicy
from leastwise.kernel.units import DAY_MS

SYMBOLS: Final = "!@#$%^&*()_+-=[]{}|'"
MAX_PASSWORD: Final = 128
"""Characters."""
REMEMBERED: Final = 24
"""Earlier passwords that are kept: the most that PasswordReusePrevention can ask for."""
SALT_BYTES: Final = 16
DEFAULT_MINIMUM_LENGTH: Final = 8
DEFAULT_CLASSES: Final = 3
"""Without a policy of its own, an account asks for three of the four classes of characters."""
USE_NOTED_EVERY_MS: Final = 5 * 60 * 1000
"""Source: IAM API Reference, User, PasswordLastUsed ("more than once in a five-minute span")."""

# SOURCE: RFC 9106, section 4, the second recommended option (argon2id, 3 passes, 4 lanes, 64 MiB), for machines that
# cannot spend 2 GiB on a hash. MEASURED: 87 ms a hash, 2 cores of an AMD EPYC, 2026-11-23.
TIME_COST: Final = 3
MEMORY_KIB: Final = 64 * 1024
LANES: Final = 4
HASH_BYTES: Final = 32

_HASHER: Final = argon2.PasswordHasher(
    time_cost=TIME_COST,
    memory_cost=MEMORY_KIB,
    parallelism=LANES,
    hash_len=HASH_BYTES,
    salt_len=SALT_BYTES,
    type=argon2.Type.ID,
)
_UPPERCASE: Final = re.compile(r"[A-Z]")
_LOWERCASE: Final = re.compile(r"[a-z]")
_NUMBER: Final = re.compile(r"[0-9]")
_SYMBOL: Final = re.compile(f"[{re.escape(SYMBOLS)}]")


class Verdict(StrEnum):
    """What a password is good for."""

    OK = "ok"
    MUST_CHANGE = "must change"
    """Right, and good for nothing but setting another one: a reset was asked for, or it is too old."""
    EXPIRED = "expired"
    """Right, too old, and the account's policy wants an administrator to reset it."""
    WRONG = "wrong"
    """Not the password, or no such user, or a user without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPassword:
    """A password that was found good and hashed, before it is written.

    Args:
        user_id: for whom.
        password_hash: encoded.
        replaces: revision of the login profile that was looked at; None when there was none.
    """

    user_id: str
    password_hash: str = field(repr=False)
    replaces: int | None


def check_password(password: str, policy: PasswordPolicy | None, *, account_names: Collection[str]) -> None:
    """Refuses a password that the account's policy does not take.

    Args:
        password: the proposed one.
        policy: of the account; None: AWS's default policy applies.
        account_names: what the account is called (id, alias); without a policy, no password may be one of them.

    Raises:
        PasswordPolicyViolation: in AWS's words. The password is never repeated.
    """
    classes = {
        "Password should have at least one uppercase letter": _UPPERCASE.search(password) is not None,
        "Password should have at least one lowercase letter": _LOWERCASE.search(password) is not None,
        "Password should have at least one number": _NUMBER.search(password) is not None,
        "Password should have at least one symbol": _SYMBOL.search(password) is not None,
    }
    if policy is None:
        _check_default(password, classes, account_names)
        return
    asked = (policy.require_uppercase, policy.require_lowercase, policy.require_numbers, policy.require_symbols)
    problems = [
        sentence for (sentence, present), required in zip(classes.items(), asked, strict=True) if required > present
    ]
    if len(password) < policy.minimum_length:
        problems.insert(0, f"Password should have a minimum length of {policy.minimum_length}")
    if problems:
        raise PasswordPolicyViolation(", ".join(problems))


def _check_default(password: str, classes: dict[str, bool], account_names: Collection[str]) -> None:
    """Source: IAM User Guide, "Setting an account password policy", "Default password policy"."""
    if len(password) < DEFAULT_MINIMUM_LENGTH:
        message = f"Password should have a minimum length of {DEFAULT_MINIMUM_LENGTH}"
        raise PasswordPolicyViolation(message)
    missing = DEFAULT_CLASSES - sum(classes.values())
    if missing > 0:
        wishes = ", ".join(sentence for sentence, present in classes.items() if not present)
        message = f"Password should meet {missing} more of the following requirements: {wishes}"
        raise PasswordPolicyViolation(message)
    if password.lower() in {name.lower() for name in account_names}:
        message = "Password should not be the same as the account name"
        raise PasswordPolicyViolation(message)


def reused() -> PasswordPolicyViolation:
    """The refusal of a password that the user had lately."""
    return PasswordPolicyViolation("Policy constraint violation with password reuse prevention during password change.")


def is_reused(password: str, profile: LoginProfile, policy: PasswordPolicy | None) -> bool:
    """Whether it is one of the last passwords, the present one included, that the policy does not take again.

    As slow as hashing it once for each of them.
    """
    if policy is None or policy.reuse_prevention is None:
        return False
    last = (profile.password_hash, *profile.earlier_hashes)[: policy.reuse_prevention]
    return any(matches(one, password) for one in last)


def remembered(profile: LoginProfile) -> tuple[str, ...]:
    """The earlier hashes once the present password is replaced."""
    return (profile.password_hash, *profile.earlier_hashes)[:REMEMBERED]


def judge(profile: LoginProfile, policy: PasswordPolicy | None, *, now_ms: int) -> Verdict:
    """What a right password is good for."""
    age_days = None if policy is None else policy.max_age_days
    if age_days is not None and now_ms >= profile.changed_at_ms + age_days * DAY_MS:
        return Verdict.EXPIRED if policy is not None and policy.hard_expiry else Verdict.MUST_CHANGE
    return Verdict.MUST_CHANGE if profile.reset_required else Verdict.OK


def hash_password(password: str, *, salt: bytes) -> str:
    """The encoded hash. Takes about 90 ms of processor and 64 MiB: never call it on the event loop."""
    return _HASHER.hash(password, salt=salt)


def matches(password_hash: str, password: str) -> bool:
    """Whether it is the password. As slow as hashing; compares in constant time.

    SECURITY: a hash that cannot be read matches nothing.
    """
    try:
        return _HASHER.verify(password_hash, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False
