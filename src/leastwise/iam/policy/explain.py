"""Says in AWS's words why a call was denied.

Source: IAM User Guide, "Troubleshoot access denied error messages".
"""

from __future__ import annotations

from typing import Final

from leastwise.iam.interface import Decision, PolicyKind

_NO_ALLOW: Final = {
    PolicyKind.IDENTITY: "identity-based policy",
    PolicyKind.RESOURCE: "resource-based policy",
    PolicyKind.BOUNDARY: "permissions boundary",
    PolicyKind.SESSION: "session policy",
    PolicyKind.SERVICE_CONTROL: "service control policy",
    PolicyKind.RESOURCE_CONTROL: "resource control policy",
    PolicyKind.TRUST: "role trust policy",
}
_DENY_IN: Final = {kind: f"an {noun}" if noun.startswith("i") else f"a {noun}" for kind, noun in _NO_ALLOW.items()} | {
    PolicyKind.TRUST: "the role trust policy"
}


def denial_message(principal_arn: str, action: str, resource: str, decision: Decision) -> str:
    """The message of AccessDenied.

    Args:
        principal_arn: ARN of the caller (of the session, for a role), or the name of a service principal.
        action: as AWS writes it, `lambda:InvokeFunction`.
        resource: ARN, or `*`.
        decision: a denial.

    Returns:
        One sentence. An explicit deny names the policy when it has an ARN, as AWS does within an organization; the
        names of inline policies are nobody's business.
    """
    who = f"User: {principal_arn} is not authorized to perform: {action} on resource: {resource}"
    if not decision.explicit:
        return f"{who} because no {_NO_ALLOW[decision.layer]} allows the {action} action"
    policy = decision.statements[0].policy if decision.statements else ""
    suffix = f": {policy}" if policy.startswith("arn:") else ""
    return f"{who} with an explicit deny in {_DENY_IN[decision.layer]}{suffix}"
