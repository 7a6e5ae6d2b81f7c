"""What an account says about all of its users: the password policy and the account's alias. Rows and handlers."""

from __future__ import annotations

from typing import Any, Final

from leastwise.flows import identity_passwords
from leastwise.flows import identity_targets as targets
from leastwise.flows.identity_rows import read, write
from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.iam.password_store import PasswordPolicy


async def _readable_policy(scene: Scene, _parameters: Parameters) -> Target:
    """Users who may change their password may read what is asked of it."""
    policy = await identity_passwords.users_may_change(scene, "*")
    return Target(arn="*", account_id=scene.account_id, policy=policy)


async def _get_account_password_policy(scene: Scene, _parameters: Parameters) -> Parameters:
    policy = await scene.services.identities.passwords.policy(scene.account_id)
    shape: dict[str, Any] = {
        "MinimumPasswordLength": policy.minimum_length,
        "RequireSymbols": policy.require_symbols,
        "RequireNumbers": policy.require_numbers,
        "RequireUppercaseCharacters": policy.require_uppercase,
        "RequireLowercaseCharacters": policy.require_lowercase,
        "AllowUsersToChangePassword": policy.users_may_change,
        "ExpirePasswords": policy.max_age_days is not None,
    }
    if policy.max_age_days is not None:
        shape["MaxPasswordAge"] = policy.max_age_days
    if policy.reuse_prevention is not None:
        shape["PasswordReusePrevention"] = policy.reuse_prevention
    if policy.hard_expiry is not None:
        shape["HardExpiry"] = policy.hard_expiry
    return {"PasswordPolicy": shape}


async def _update_account_password_policy(scene: Scene, parameters: Parameters) -> Parameters:
    """No partial updates: what is not given takes its default value."""
    policy = PasswordPolicy(
        minimum_length=parameters.get("MinimumPasswordLength", PasswordPolicy().minimum_length),
        require_symbols=parameters.get("RequireSymbols", False),
        require_numbers=parameters.get("RequireNumbers", False),
        require_uppercase=parameters.get("RequireUppercaseCharacters", False),
        require_lowercase=parameters.get("RequireLowercaseCharacters", False),
        users_may_change=parameters.get("AllowUsersToChangePassword", False),
        max_age_days=parameters.get("MaxPasswordAge"),
        reuse_prevention=parameters.get("PasswordReusePrevention"),
        hard_expiry=parameters.get("HardExpiry"),
    )
    await scene.services.identities.passwords.set_policy(scene.account_id, policy)
    return {}


async def _delete_account_password_policy(scene: Scene, _parameters: Parameters) -> Parameters:
    await scene.services.identities.passwords.delete_policy(scene.account_id)
    return {}


async def _create_account_alias(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.aliases.create(scene.account_id, parameters["AccountAlias"])
    return {}


async def _delete_account_alias(scene: Scene, parameters: Parameters) -> Parameters:
    await scene.services.identities.aliases.delete(scene.account_id, parameters["AccountAlias"])
    return {}


async def _list_account_aliases(scene: Scene, _parameters: Parameters) -> Parameters:
    """One at most, so that there is never a second page."""
    alias = await scene.services.identities.aliases.find(scene.account_id)
    return {"AccountAliases": [] if alias is None else [alias], "IsTruncated": False}


OPERATIONS: Final[tuple[Operation, ...]] = (
    read("GetAccountPasswordPolicy", _readable_policy, _get_account_password_policy),
    write("UpdateAccountPasswordPolicy", targets.everything, _update_account_password_policy),
    write("DeleteAccountPasswordPolicy", targets.everything, _delete_account_password_policy),
    write("CreateAccountAlias", targets.everything, _create_account_alias),
    write("DeleteAccountAlias", targets.everything, _delete_account_alias),
    read("ListAccountAliases", targets.everything, _list_account_aliases),
)
