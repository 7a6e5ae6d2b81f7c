"""Access Analyzer's checks through boto3."""

import json

import pytest
from botocore.exceptions import ClientError


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.fixture(scope="module")
def analyzer(platform):
    return platform.client("accessanalyzer")


def test_no_new_access_passes_and_fails_with_a_request(analyzer):
    narrow, wide = document(allow("lambda:Get*")), document(allow("lambda:Get*"), allow("lambda:*") | {"Sid": "Wider"})
    passed = analyzer.check_no_new_access(
        newPolicyDocument=narrow, existingPolicyDocument=wide, policyType="IDENTITY_POLICY"
    )
    assert ("PASS", "The modified permissions do not grant new access compared to your existing policy.") == (
        passed["result"],
        passed["message"],
    )
    failed = analyzer.check_no_new_access(
        newPolicyDocument=wide, existingPolicyDocument=narrow, policyType="IDENTITY_POLICY"
    )
    assert ("FAIL", "The modified permissions grant new access compared to your existing policy.") == (
        failed["result"],
        failed["message"],
    )
    (reason,) = failed["reasons"]
    assert (1, "Wider") == (reason["statementIndex"], reason["statementId"])
    assert reason["description"].startswith("New access in the statement with sid: Wider. For example: lambda:")


def test_a_trust_policy_is_a_resource_policy_without_resources(analyzer):
    def trust(principal):
        return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})

    account = trust({"AWS": "111122223333"})
    role = trust({"AWS": "arn:aws:iam::111122223333:role/x"})
    for new, old, result in ((role, account, "PASS"), (account, role, "FAIL")):
        told = analyzer.check_no_new_access(
            newPolicyDocument=new, existingPolicyDocument=old, policyType="RESOURCE_POLICY"
        )
        assert result == told["result"]


def test_access_not_granted(analyzer):
    def asked(**access):
        policy = document(allow("s3:Get*", "arn:aws:s3:::a/*"))
        return analyzer.check_access_not_granted(policyDocument=policy, access=[access], policyType="IDENTITY_POLICY")

    assert "PASS" == asked(actions=["s3:PutObject"])["result"]
    assert "PASS" == asked(resources=["arn:aws:s3:::b/*"])["result"]
    failed = asked(actions=["s3:PutObject", "s3:GetObject"])
    assert "FAIL" == failed["result"]
    assert "s3:GetObject on arn:aws:s3:::a/" in failed["reasons"][0]["description"]


def test_no_public_access(analyzer):
    def asked(principal, resource_type="AWS::Lambda::Function", **more):
        return analyzer.check_no_public_access(
            policyDocument=document(allow("lambda:InvokeFunction", Principal=principal, **more)),
            resourceType=resource_type,
        )["result"]

    assert "FAIL" == asked("*")
    assert "PASS" == asked({"AWS": "111122223333"})
    assert "FAIL" == asked({"Service": "s3.amazonaws.com"})
    assert "PASS" == asked({"Service": "s3.amazonaws.com"}, "AWS::S3::Bucket")
    assert "PASS" == asked("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}})


def test_what_cannot_be_proved_fails_and_says_so(analyzer):
    many = [allow("s3:*", Condition={"ForAnyValue:StringEquals": {"aws:TagKeys": [letter]}}) for letter in "abcdefgh"]
    told = analyzer.check_no_new_access(
        newPolicyDocument=document(*many), existingPolicyDocument=document(*many), policyType="IDENTITY_POLICY"
    )
    assert "FAIL" == told["result"]
    assert told["message"].startswith("It could not be proved that it does not")


def test_what_is_no_policy_is_an_error(analyzer):
    with pytest.raises(ClientError) as caught:
        analyzer.check_no_new_access(
            newPolicyDocument="{}", existingPolicyDocument=document(allow("*")), policyType="IDENTITY_POLICY"
        )
    assert "ValidationException" == caught.value.response["Error"]["Code"]
    with pytest.raises(ClientError) as caught:
        analyzer.check_access_not_granted(
            policyDocument=document(allow("*")), access=[{"actions": []}], policyType="IDENTITY_POLICY"
        )
    assert "ValidationException" == caught.value.response["Error"]["Code"]


def test_a_policy_is_validated_with_the_place_of_each_finding(analyzer):
    text = '{\n  "Version": "2012-10-17",\n  "Statement": [{"Effect": "Allow", "Action": "lambda:Nonsense", "Resource": "*"}]\n}'
    findings = analyzer.validate_policy(policyDocument=text, policyType="IDENTITY_POLICY")["findings"]
    finding = next(one for one in findings if one["findingType"] == "ERROR")
    (location,) = finding["locations"]
    start, end = location["span"]["start"], location["span"]["end"]
    assert 3 == start["line"]
    assert "Nonsense" in text[start["offset"] : end["offset"]]
    assert {"value": "Statement"} == location["path"][0]
    assert {"index": 0} == location["path"][1]
    assert "docs/reference/lint.md#invalid_action" == finding["learnMoreLink"]


def test_a_document_that_can_be_stored_nowhere_is_only_told_to_be_too_large(analyzer):
    def codes(size):
        text = document(allow("lambda:Nonsense")).ljust(size)
        findings = analyzer.validate_policy(policyDocument=text, policyType="RESOURCE_POLICY")["findings"]
        return {finding["issueCode"] for finding in findings}

    assert "INVALID_ACTION" in codes(20_480)
    assert {"POLICY_SIZE_EXCEEDS_RESOURCE_POLICY_QUOTA"} == codes(20_481)


def test_findings_come_in_pages(analyzer):
    text = document(*[allow("lambda:Nonsense") for _ in range(5)])
    pages = analyzer.get_paginator("validate_policy").paginate(
        policyDocument=text, policyType="IDENTITY_POLICY", PaginationConfig={"PageSize": 2}
    )
    sizes = [len(page["findings"]) for page in pages]
    assert 5 <= sum(sizes)
    assert {2} >= set(sizes[:-1])


def test_json_that_is_none_is_a_finding(analyzer):
    (finding,) = analyzer.validate_policy(policyDocument='{"Version"', policyType="IDENTITY_POLICY")["findings"]
    assert ("ERROR", "JSON_SYNTAX_ERROR") == (finding["findingType"], finding["issueCode"])


def test_a_check_needs_its_permission(platform, iam):
    iam.create_user(UserName="checker")
    key = iam.create_access_key(UserName="checker")["AccessKey"]
    client = platform.client_for("accessanalyzer", key["AccessKeyId"], key["SecretAccessKey"])
    given = {"policyDocument": document(allow("*")), "policyType": "IDENTITY_POLICY"}
    with pytest.raises(ClientError) as caught:
        client.validate_policy(**given)
    assert "AccessDeniedException" == caught.value.response["Error"]["Code"]
    assert "access-analyzer:ValidatePolicy" in caught.value.response["Error"]["Message"]
    iam.put_user_policy(
        UserName="checker", PolicyName="p", PolicyDocument=document(allow("access-analyzer:ValidatePolicy"))
    )
    assert client.validate_policy(**given)["findings"]
