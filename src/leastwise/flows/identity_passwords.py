"""Login profiles and ChangePassword: rows and handlers.

SlowWork a password takes long, and a transaction holds the database's only write lock: so passwords are judged and
hashed before (`prepare`), and the transaction only writes what was decided.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from leastwise.flows import identity_shapes as shapes
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.iam import refusals
from leastwise.iam.directory import IdentityKind, User
from leastwise.iam.interface import PrincipalKind
from leastwise.iam.password_store import LoginProfile
from leastwise.kernel import errors

_HASHED: Final = "leastwise:password"
"""Where `prepare` puts the hash. No member of the service model can have this name."""


async def _user(scene: Scene, parameters: Parameters) -> User:
    """The user whose password it is: as named, or the caller.

    Raises:
        NoSuchEntity: nobody of that name.
        errors.Invalid: nobody is named, and the caller is no user. (Root has no password here.)
    """
    name = targets.acting_user_name(scene, parameters)
    if name is None:
        message = "Must specify userName when calling with non-User credentials"
        raise errors.Invalid(message)
    return await scene.services.identities.users.get(scene.account_id, name)


def _profile_shape(user: User, profile: LoginProfile) -> dict[str, Any]:
    return {
        "LoginProfile": {
            "UserName": user.name,
            "CreateDate": shapes.instant(profile.created_at_ms),
            "PasswordResetRequired": profile.reset_required,
        }
    }


async def _prepare_login_profile(scene: Scene, parameters: Parameters) -> Parameters:
    user = await _user(scene, parameters)
    if "Password" not in parameters:
        message = (
            "1 validation error detected: Value null at 'password' failed to satisfy constraint: "
            "Member must not be null"
        )
        raise errors.Invalid(message)
    directory = scene.services.identities.directory
    if await directory.login_profile(user.user_id) is not None:
        raise refusals.login_profile_exists(user.name)
    return {_HASHED: await scene.services.identities.passwords.prepare(user, parameters["Password"])}


async def _create_login_profile(scene: Scene, parameters: Parameters) -> Parameters:
    user = await _user(scene, parameters)
    profile = await scene.services.identities.passwords.create(
        user,
        parameters[_HASHED],
        reset_required=bool(parameters.get("PasswordResetRequired")),
        now_ms=scene.now_ms,
    )
    return _profile_shape(user, profile)


async def _get_login_profile(scene: Scene, parameters: Parameters) -> Parameters:
    user = await _user(scene, parameters)
    return _profile_shape(user, await scene.services.identities.passwords.get(user))


async def _prepare_update(scene: Scene, parameters: Parameters) -> Parameters:
    passwords = scene.services.identities.passwords
    user = await _user(scene, parameters)
    await passwords.get(user)
    return {_HASHED: await passwords.prepare(user, parameters["Password"]) if "Password" in parameters else None}


async def _update_login_profile(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.passwords.update(
        await _user(scene, parameters),
        parameters[_HASHED],
        reset_required=parameters.get("PasswordResetRequired"),
        now_ms=scene.now_ms,
    )
    return {}


async def _delete_login_profile(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.passwords.delete(await _user(scene, parameters))
    return {}


async def _own_password(scene: Scene, _parameters: Parameters) -> Target:
    """The calling user. Whoever is no user has no password to change, and is told so by the handler."""
    if scene.principal.kind is not PrincipalKind.USER:
        return Target(arn=scene.principal.role_arn or scene.principal.arn, account_id=scene.account_id)
    user = await targets.acting_user(scene, {})
    policy = await users_may_change(scene, user.arn)
    return Target(arn=user.arn, account_id=user.account_id, context=user.context, policy=policy)


async def users_may_change(scene: Scene, resource: str) -> str | None:
    """What the account's password policy grants each of its users, as a policy of the resource.

    It names the calling user and nobody else; an explicit Deny of any policy still wins.
    Source: IAM API Reference, PasswordPolicy, AllowUsersToChangePassword ("Gives IAM users permissions to
    iam:ChangePassword for only their user and to the iam:GetAccountPasswordPolicy action ... the permissions are
    applied at the account-level for all users by IAM").
    """
    if scene.principal.kind is not PrincipalKind.USER:
        return None
    policy = await scene.services.identities.passwords.find_policy(scene.account_id)
    if policy is None or not policy.users_may_change:
        return None
    statement = {
        "Sid": "AllowUsersToChangePassword",
        "Effect": "Allow",
        "Principal": {"AWS": scene.principal.arn},
        "Action": ["iam:ChangePassword", "iam:GetAccountPasswordPolicy"],
        "Resource": resource,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


async def _caller(scene: Scene) -> User:
    """Raises: InvalidUserType."""
    if scene.principal.kind is not PrincipalKind.USER:
        raise refusals.no_user_to_change_password()
    return await scene.services.identities.users.get(scene.account_id, scene.principal.name)


async def _prepare_change(scene: Scene, parameters: Parameters) -> Parameters:
    passwords = scene.services.identities.passwords
    user = await _caller(scene)
    old, new = parameters["OldPassword"], parameters["NewPassword"]
    return {_HASHED: await passwords.prepare_change(user, old, new, now_ms=scene.now_ms)}


async def _change_password(scene: Scene, parameters: Parameters) -> Parameters:
    passwords = scene.services.identities.passwords
    await passwords.change(await _caller(scene), parameters[_HASHED], now_ms=scene.now_ms)
    return {}


OPERATIONS: Final[tuple[Operation, ...]] = (
    replace(
        write("CreateLoginProfile", targets.acting_user, _create_login_profile),
        prepare=_prepare_login_profile,
        redact=frozenset({"Password"}),
    ),
    read("GetLoginProfile", targets.acting_user, _get_login_profile),
    replace(
        write("UpdateLoginProfile", targets.named(IdentityKind.USER), _update_login_profile),
        prepare=_prepare_update,
        redact=frozenset({"Password"}),
    ),
    write("DeleteLoginProfile", targets.acting_user, _delete_login_profile),
    replace(
        write("ChangePassword", _own_password, _change_password),
        prepare=_prepare_change,
        redact=frozenset({"OldPassword", "NewPassword"}),
    ),
)
