"""What is wrong with parameters, in AWS's words."""

import pytest

from leastwise.api.protocol import models, patterns
from leastwise.api.protocol.wire import ShapeInvalid

GOOD = {"FunctionName": "f", "Role": "arn:aws:iam::111122223333:role/r", "Code": {"ZipFile": b"x"}}


def told(service, operation, params):
    with pytest.raises(ShapeInvalid) as caught:
        models.service(service).plan(operation).check(params)
    return caught.value.message


FILE_SYSTEM = "arn:aws:elasticfilesystem:eu-west-1:111122223333:access-point/fsap-0123456789abcdef0"
ONE = "1 validation error detected: "
FAILED = "failed to satisfy constraint: "


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"Timeout": 0}, f"Value '0' at 'timeout' {FAILED}Member must have value greater than or equal to 1"),
        (
            {"MemorySize": 40_000},
            f"Value '40000' at 'memorySize' {FAILED}Member must have value less than or equal to 32768",
        ),
        (
            {"Role": "r1"},
            (
                f"Value 'r1' at 'role' {FAILED}Member must satisfy regular expression pattern: "
                r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
            ),
        ),
        (
            {"PackageType": "Tar"},
            f"Value 'Tar' at 'packageType' {FAILED}Member must satisfy enum value set: [Zip, Image]",
        ),
        (
            {"Architectures": ["X86_64"]},
            (
                f"Value '[X86_64]' at 'architectures' {FAILED}Member must satisfy constraint: "
                "[Member must satisfy enum value set: [x86_64, arm64], Member must not be null]"
            ),
        ),
        (
            {"Architectures": ["x86_64", "arm64"]},
            f"Value '[x86_64, arm64]' at 'architectures' {FAILED}Member must have length less than or equal to 1",
        ),
        (
            {"SnapStart": {"ApplyOn": "invalidOption"}},
            (
                f"Value 'invalidOption' at 'snapStart.applyOn' {FAILED}"
                "Member must satisfy enum value set: [PublishedVersions, None]"
            ),
        ),
        ({"Role": None}, f"Value null at 'role' {FAILED}Member must not be null"),
        (
            {"FileSystemConfigs": [{"Arn": FILE_SYSTEM, "LocalMountPath": "/tmp"}]},
            (
                f"Value '/tmp' at 'fileSystemConfigs.1.member.localMountPath' {FAILED}"
                "Member must satisfy regular expression pattern: /mnt/[a-zA-Z0-9-_.]+"
            ),
        ),
    ],
)
def test_lambda_tells_one_broken_constraint(params, message):
    assert ONE + message == told("lambda", "CreateFunction", {**GOOD, **params})


def test_map_keys_and_values_are_told_at_the_map():
    params = {"FunctionName": "f", "Name": "a", "RoutingConfig": {"AdditionalVersionWeights": {"2": 2.0}}}
    assert told("lambda", "UpdateAlias", params).startswith(
        f"{ONE}Value '{{2=2.0}}' at 'routingConfig.additionalVersionWeights' {FAILED}"
        "Map value must satisfy constraint: [Member must have value less than or equal to 1"
    )
    params["RoutingConfig"] = {"AdditionalVersionWeights": {"$LATEST": 0.5}}
    assert "Map keys must satisfy constraint: [" in told("lambda", "UpdateAlias", params)


def test_several_errors_are_counted_and_joined():
    message = told("lambda", "CreateFunction", {"FunctionName": "f", "Timeout": 0})
    assert message.startswith("3 validation errors detected: Value null at 'role' ")
    assert 2 == message.count("; Value ")


def test_query_services_name_the_item():
    params = {"UserName": "u", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "", "Value": "v"}]}
    message = told("iam", "CreateUser", params)
    assert message.startswith("2 validation errors detected: Value '' at 'tags.2.member.key' " + FAILED)


def test_what_is_sensitive_is_not_repeated():
    message = told("iam", "CreateLoginProfile", {"UserName": "u", "Password": "hunter2" * 30})
    assert "hunter2" not in message
    assert f"Value at 'password' {FAILED}Member must have length less than or equal to 128" in message
    message = told("lambda", "CreateFunction", {**GOOD, "Environment": {"Variables": {"0bad": "hunter2"}}})
    assert "hunter2" not in message


def test_long_values_and_endless_lists_are_cut():
    message = told("iam", "CreateUser", {"UserName": "u" * 100_000})
    assert 2_500 > len(message)
    message = told("iam", "CreateUser", {"UserName": "u", "Tags": [{"Key": ""}] * 10_000})
    assert 10_000 > len(message)


def test_runtimes_are_the_platforms_to_decide():
    models.service("lambda").plan("CreateFunction").check({**GOOD, "Runtime": "python3.99"})


def test_patterns_match_the_whole_value_and_ascii_digits_only():
    good = models.service("lambda").plan("CreateFunction").check
    good(GOOD)
    for role in (
        "arn:aws:iam::111122223333:role/r\n",
        "arn:aws:iam::\u0661" + "11122223333:role/r",
        "x" + GOOD["Role"],
    ):
        assert "pattern" in told("lambda", "CreateFunction", {**GOOD, "Role": role})


@pytest.mark.parametrize(
    ("pattern", "matches", "fails"),
    [
        (r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*", "Größe 漢字 ①", "a\tb"),
        (r"\p{L}+", "äß", "a1"),
        (r"[\w-_]*", "a-b_c", "a b"),
        (r"[[a-b]+", "[ab", "c"),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+", "a😀", "\x01"),
    ],
)
def test_java_patterns_mean_the_same_here(pattern, matches, fails):
    assert patterns.compiled(pattern).fullmatch(matches)
    assert not patterns.compiled(pattern).fullmatch(fails)
