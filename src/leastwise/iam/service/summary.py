"""How much of everything an account has, and how much of it there may be: GetAccountSummary."""

from __future__ import annotations

from typing import Final

from leastwise.iam.directory import Directory, IdentityKind
from leastwise.iam.policy import sizes
from leastwise.iam.refusals import POLICY_VERSIONS, Quota

_QUOTAS: Final = {
    "UsersQuota": Quota.USERS.limit,
    "GroupsQuota": Quota.GROUPS.limit,
    "RolesQuota": Quota.ROLES.limit,
    "PoliciesQuota": Quota.POLICIES.limit,
    "GroupsPerUserQuota": Quota.GROUPS_OF_USER.limit,
    "AccessKeysPerUserQuota": Quota.ACCESS_KEYS.limit,
    "AttachedPoliciesPerUserQuota": Quota.USER_ATTACHMENTS.limit,
    "AttachedPoliciesPerGroupQuota": Quota.GROUP_ATTACHMENTS.limit,
    "AttachedPoliciesPerRoleQuota": Quota.ROLE_ATTACHMENTS.limit,
    "VersionsPerPolicyQuota": POLICY_VERSIONS,
    "PolicyVersionsInUseQuota": Quota.POLICIES.limit * POLICY_VERSIONS,
    "PolicySizeQuota": sizes.MANAGED_POLICY,
    "UserPolicySizeQuota": sizes.INLINE_POLICIES[IdentityKind.USER],
    "GroupPolicySizeQuota": sizes.INLINE_POLICIES[IdentityKind.GROUP],
    "RolePolicySizeQuota": sizes.INLINE_POLICIES[IdentityKind.ROLE],
    "AssumeRolePolicySizeQuota": sizes.TRUST_POLICY,
}
_NOBODY_HAS: Final = (
    "MFADevices",
    "MFADevicesInUse",
    "AccountMFAEnabled",
    "AccountPasswordPresent",
    "AccountSigningCertificatesPresent",
    "ServerCertificates",
    "ServerCertificatesQuota",
    "SigningCertificatesPerUserQuota",
    "InstanceProfiles",
    "InstanceProfilesQuota",
    "Providers",
)
"""There is nothing of the kind, and the quota of what cannot be made is none."""
_TOKEN_VERSION: Final = 2
"""Session tokens hold in every region, as AWS's of version 2."""


async def account_summary(directory: Directory, account_id: str) -> dict[str, int]:
    """Source: IAM API Reference, GetAccountSummary, SummaryMap."""
    policies = await directory.managed_policies(account_id, "/")
    root_keys = await directory.access_keys(account_id, None)
    return {
        **_QUOTAS,
        **dict.fromkeys(_NOBODY_HAS, 0),
        "Users": len(await directory.users(account_id, "/")),
        "Groups": len(await directory.groups(account_id, "/")),
        "Roles": len(await directory.roles(account_id, "/")),
        "Policies": len(policies),
        "PolicyVersionsInUse": sum(len(policy.versions) for policy in policies),
        "AccountAccessKeysPresent": int(bool(root_keys)),
        "GlobalEndpointTokenVersion": _TOKEN_VERSION,
    }
