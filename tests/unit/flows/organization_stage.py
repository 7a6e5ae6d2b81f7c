"""What the rows of the organization need to succeed, for the whole-table test."""

from __future__ import annotations

import json

DENY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}]}
)
RCP = "RESOURCE_CONTROL_POLICY"


def needed(members, mark):
    """The required members under names of the row's own; ids that nothing has until `prepare`."""
    values = {
        "AccountId": "000000000000",
        "AccountName": mark,
        "ChildId": "000000000000",
        "ChildType": "ACCOUNT",
        "Content": DENY,
        "CreateAccountRequestId": "car-00000000",
        "Description": mark,
        "DestinationParentId": "ou-0000-00000000",
        "Email": f"{mark}@example.com",
        "Filter": "SERVICE_CONTROL_POLICY",
        "Name": mark,
        "OrganizationalUnitId": "ou-0000-00000000",
        "ParentId": "r-0000",
        "PolicyId": "p-00000000",
        "PolicyType": RCP,
        "ResourceId": "000000000000",
        "RootId": "r-0000",
        "SourceParentId": "r-0000",
        "TagKeys": ["k"],
        "Tags": [{"Key": "k", "Value": "v"}],
        "TargetId": "000000000000",
        "Type": "SERVICE_CONTROL_POLICY",
    }
    return {member: values[member] for member in members}


async def prepare(do, mark, name, given):
    """Makes what the row acts on and names it."""
    root = (await do("organizations", "ListRoots"))["Roots"][0]
    given |= {member: root["Id"] for member in ("RootId", "ParentId", "SourceParentId") if member in given}
    if {"AccountId", "ChildId", "ResourceId", "TargetId", "CreateAccountRequestId"} & set(given):
        made = await do("organizations", "CreateAccount", AccountName=mark, Email=f"{mark}@example.org")
        status = made["CreateAccountStatus"]
        named = ("AccountId", "ChildId", "ResourceId", "TargetId")
        given |= {member: status["AccountId"] for member in named if member in given}
        given |= {"CreateAccountRequestId": status["Id"]} if "CreateAccountRequestId" in given else {}
    if {"OrganizationalUnitId", "DestinationParentId"} & set(given):
        made = await do("organizations", "CreateOrganizationalUnit", ParentId=root["Id"], Name=f"unit {mark}")
        unit = made["OrganizationalUnit"]["Id"]
        given |= {member: unit for member in ("OrganizationalUnitId", "DestinationParentId") if member in given}
    if "PolicyId" in given:
        wanted = {"Content": DENY, "Description": "", "Name": f"for {mark}", "Type": "SERVICE_CONTROL_POLICY"}
        made = await do("organizations", "CreatePolicy", **wanted)
        given["PolicyId"] = made["Policy"]["PolicySummary"]["Id"]
        if name == "DetachPolicy":
            await do("organizations", "AttachPolicy", **given)
    if name == "DisablePolicyType":
        await do("organizations", "EnablePolicyType", **given)
