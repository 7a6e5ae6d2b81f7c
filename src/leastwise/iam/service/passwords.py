"""Login profiles: the passwords of users, and what their account asks of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from leastwise.iam import passwords, refusals
from leastwise.iam.directory import Directory, User
from leastwise.iam.guesses import Guesses
from leastwise.iam.password_store import LoginProfile, PasswordPolicy
from leastwise.iam.passwords import MAX_PASSWORD, NewPassword, Verdict
from leastwise.iam.service.slow_work import SlowWork, rate_exceeded
from leastwise.kernel import errors

# Whoever offers a password for an account that is not there shares these places with others who do.
_NO_ACCOUNT: Final = ""
_LONGEST_NAME: Final = 64


class Passwords:
    """The verbs of passwords.

    Whatever hashes (`prepare`, `prepare_change`, `verify`) takes a tenth of a second in a thread of its own and must
    not run inside a transaction: it would hold the database's only write lock. What it found is written afterwards
    (`create`, `update`, `change`) unless the login profile was changed in between.

    Args:
        directory: where users and login profiles are kept.
    """

    def __init__(self, *, directory: Directory) -> None:
        self._directory = directory
        self._hashing = SlowWork()
        # Apart: strangers who guess at the door cannot keep users from changing their passwords.
        self._changes = Guesses()
        self._sign_ins = Guesses()

    # Setting

    async def prepare(self, user: User, password: str) -> NewPassword:
        """Judges and hashes a password that an administrator sets.

        Raises: PasswordPolicyViolation, errors.Throttled.
        """
        return await self._prepare(user, await self._directory.login_profile(user.user_id), password)

    async def prepare_change(self, user: User, old: str, new: str, *, now_ms: int) -> NewPassword:
        """Judges and hashes a password that users set themselves, with the old one as proof.

        SECURITY: guessing the password with a stolen access key. After five wrong ones in a quarter of an hour none
        is looked at, the right one neither.

        Raises: errors.Denied (the old one is wrong), NoSuchEntity (no password), PasswordPolicyViolation,
            errors.Throttled (also: too many wrong ones).
        """
        profile = await self.get(user)
        whose = _whose(user.account_id, user.name)

        def is_right() -> bool:
            return passwords.matches(profile.password_hash, old)

        if not await self._guessed(self._changes, whose, user.account_id, is_right, now_ms=now_ms):
            raise refusals.wrong_old_password()
        return await self._prepare(user, profile, new)

    async def _prepare(self, user: User, profile: LoginProfile | None, password: str) -> NewPassword:
        policy = await self.find_policy(user.account_id)
        alias = await self._directory.account_alias(user.account_id)
        names = {user.account_id} if alias is None else {user.account_id, alias}
        passwords.check_password(password, policy, account_names=names)
        account_id = user.account_id
        if profile is not None and await self._hashing.run(
            account_id, lambda: passwords.is_reused(password, profile, policy)
        ):
            raise passwords.reused()
        salt = os.urandom(passwords.SALT_BYTES)
        hashed = await self._hashing.run(account_id, lambda: passwords.hash_password(password, salt=salt))
        replaces = None if profile is None else profile.revision
        return NewPassword(user_id=user.user_id, password_hash=hashed, replaces=replaces)

    async def create(self, user: User, new: NewPassword, *, reset_required: bool, now_ms: int) -> LoginProfile:
        """Raises: EntityAlreadyExists, EntityTemporarilyUnmodifiable."""
        if user.user_id != new.user_id:
            raise refusals.login_profile_changing(user.name)
        profile = LoginProfile(
            user_id=user.user_id,
            account_id=user.account_id,
            password_hash=new.password_hash,
            created_at_ms=now_ms,
            changed_at_ms=now_ms,
            reset_required=reset_required,
        )
        try:
            await self._directory.add_login_profile(profile)
        except errors.AlreadyExists as error:
            raise refusals.login_profile_exists(user.name) from error
        self._forgive(user)
        return profile

    async def update(self, user: User, new: NewPassword | None, *, reset_required: bool | None, now_ms: int) -> None:
        """UpdateLoginProfile: another password, another word on whether it must be changed, or both.

        Raises: NoSuchEntity, EntityTemporarilyUnmodifiable.
        """
        profile = await self.get(user)
        required = profile.reset_required if reset_required is None else reset_required
        if new is None:
            await self._replace(user, replace(profile, reset_required=required))
        else:
            await self._set(user, profile, new, reset_required=required, now_ms=now_ms)
            self._forgive(user)

    async def change(self, user: User, new: NewPassword, *, now_ms: int) -> None:
        """ChangePassword. Raises: NoSuchEntity, EntityTemporarilyUnmodifiable."""
        await self._set(user, await self.get(user), new, reset_required=False, now_ms=now_ms)

    async def _set(
        self, user: User, profile: LoginProfile, new: NewPassword, *, reset_required: bool, now_ms: int
    ) -> None:
        # SECURITY: what was judged is what is replaced. Otherwise a change that was proved with the old password
        # could undo the reset that an administrator made meanwhile.
        if (user.user_id, profile.revision) != (new.user_id, new.replaces):
            raise refusals.login_profile_changing(user.name)
        changed = replace(
            profile,
            password_hash=new.password_hash,
            changed_at_ms=now_ms,
            reset_required=reset_required,
            earlier_hashes=passwords.remembered(profile),
        )
        await self._replace(user, changed)

    async def _replace(self, user: User, profile: LoginProfile) -> None:
        try:
            await self._directory.replace_login_profile(profile)
        except errors.Conflict as error:
            raise refusals.login_profile_changing(user.name) from error

    # Reading, removing

    async def get(self, user: User) -> LoginProfile:
        """Raises: NoSuchEntity."""
        profile = await self._directory.login_profile(user.user_id)
        if profile is None:
            raise refusals.no_login_profile(user.name)
        return profile

    async def list(self, account_id: str) -> tuple[LoginProfile, ...]:
        """Of all users of an account, sorted by user id."""
        return await self._directory.login_profiles(account_id)

    async def delete(self, user: User) -> None:
        """The history of passwords goes with it. Raises: NoSuchEntity."""
        await self.get(user)
        await self._directory.remove_login_profile(user.user_id)

    # Signing in

    async def verify(self, account_id: str, user_name: str, password: str, now_ms: int) -> Verdict:
        """Judges a password that somebody offers at sign-in. Writes nothing.

        SECURITY: no oracle. A user that is not there, a user without a password and a wrong password cost the same
        questions and one hash, and are the same answer. After five wrong ones in a quarter of an hour none is looked at
        for that name, whether somebody has it or not.

        Raises: errors.Throttled (also: too many wrong ones).
        """
        account_ids = {account.account_id for account in await self._directory.accounts()}
        user = await self._directory.user(account_id, user_name)
        profile = await self._directory.login_profile("" if user is None else user.user_id)
        policy = await self.find_policy(account_id)
        offered = password[:MAX_PASSWORD]

        def is_right() -> bool:
            if profile is None:
                passwords.hash_password(offered, salt=os.urandom(passwords.SALT_BYTES))
                return False
            return passwords.matches(profile.password_hash, offered) and len(password) <= MAX_PASSWORD

        whose = _whose(account_id, user_name)
        lane = account_id if account_id in account_ids else _NO_ACCOUNT
        if not await self._guessed(self._sign_ins, whose, lane, is_right, now_ms=now_ms) or profile is None:
            return Verdict.WRONG
        return passwords.judge(profile, policy, now_ms=now_ms)

    async def note_sign_in(self, user: User, *, now_ms: int) -> None:
        """PasswordLastUsed, once somebody has signed in. Of several uses within five minutes the first counts."""
        last = user.password_last_used_at_ms
        if last is None or now_ms - last >= passwords.USE_NOTED_EVERY_MS:
            await self._directory.note_password_use(user.user_id, at_ms=now_ms)

    async def _guessed(
        self, guesses: Guesses, whose: str, account_id: str, is_right: Callable[[], bool], *, now_ms: int
    ) -> bool:
        """Whether it is right; counted before it is known, and no more than a few wrong ones are judged."""
        if not guesses.begin(whose, now_ms=now_ms):
            raise rate_exceeded()
        try:
            right = await self._hashing.run(account_id, is_right)
        except errors.Throttled:
            guesses.withdraw(whose, at_ms=now_ms)
            raise
        if right:
            guesses.forgive(whose)
        return right

    def _forgive(self, user: User) -> None:
        """An administrator set the password: wrong ones before it say nothing about it."""
        for guesses in (self._changes, self._sign_ins):
            guesses.forgive(_whose(user.account_id, user.name))

    # The account's policy

    async def find_policy(self, account_id: str) -> PasswordPolicy | None:
        """None: AWS's default policy applies."""
        return await self._directory.password_policy(account_id)

    async def policy(self, account_id: str) -> PasswordPolicy:
        """Raises: NoSuchEntity."""
        policy = await self.find_policy(account_id)
        if policy is None:
            raise refusals.no_password_policy(account_id)
        return policy

    async def set_policy(self, account_id: str, policy: PasswordPolicy) -> None:
        """Replaces the whole policy. Passwords that are there stay good, but for their age."""
        await self._directory.put_password_policy(account_id, policy)

    async def delete_policy(self, account_id: str) -> None:
        """Raises: NoSuchEntity."""
        await self.policy(account_id)
        await self._directory.remove_password_policy(account_id)


def _whose(account_id: str, user_name: str) -> str:
    # A longer name is nobody's; strangers must not have it remembered.
    return f"{account_id[: _LONGEST_NAME + 1]}/{user_name[: _LONGEST_NAME + 1].lower()}"
