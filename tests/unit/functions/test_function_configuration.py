"""What a configuration may say, and in which words it is refused."""

from __future__ import annotations

import pytest

from leastwise.functions.configuration import (
    RESERVED_VARIABLES,
    Platform,
    Settings,
    check_new,
    check_settings,
    check_tags,
)
from leastwise.functions.interface import InvalidParameter
from leastwise.functions.limits import Limits, check_reservation
from leastwise.functions.offered import refuse_what_is_not_offered
from leastwise.kernel import errors

HERE = Platform(runtimes=("nodejs20.x", "python3.11"), architecture="x86_64")
GOOD = {"runtime": "python3.11", "handler": "app.handler", "role_arn": "arn:aws:iam::111122223333:role/worker"}


def refusal(**settings) -> str:
    with pytest.raises(errors.Invalid) as caught:
        check_settings(Settings(**settings), HERE)
    return caught.value.message


def test_a_complete_configuration_passes():
    check_new("f", Settings(**GOOD, timeout_s=900, memory_mib=10_240, tmp_mib=512, environment={"A1": "x"}), HERE)


def test_a_runtime_that_is_not_on_this_machine_is_refused_with_the_list_of_those_that_are():
    assert (
        refusal(runtime="python3.12")
        == "Value python3.12 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
        "[nodejs20.x, python3.11] or be a valid ARN"
    )


def test_a_retired_runtime_is_refused_in_the_words_of_aws():
    assert refusal(runtime="python3.7").startswith("The runtime parameter of python3.7 is no longer supported")


@pytest.mark.parametrize("missing", ["runtime", "handler", "role_arn"])
def test_runtime_handler_and_role_are_needed(missing):
    with pytest.raises(errors.Invalid, match=r"mandatory|must not be null"):
        check_new("f", Settings(**{**GOOD, missing: None}), HERE)


@pytest.mark.parametrize("name", ["a.b", "a/b", "", "x" * 65, "a\n"])
def test_a_name_that_lambda_would_not_take_is_refused(name):
    with pytest.raises(errors.Invalid):
        check_new(name, Settings(**GOOD), HERE)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"timeout_s": 0}, "'Timeout' value failed to satisfy constraint: Member must have value greater than or equal to 1"),
        ({"timeout_s": 901}, "'Timeout' value failed to satisfy constraint: Member must have value less than or equal to 900"),
        ({"memory_mib": 127}, "greater than or equal to 128"),
        ({"memory_mib": 10_241}, "less than or equal to 10240"),
        ({"tmp_mib": 511}, "greater than or equal to 512"),
        ({"tmp_mib": 10_241}, "less than or equal to 10240"),
        ({"role_arn": "r1"}, "Value 'r1' at 'role' failed to satisfy constraint"),
        ({"handler": "a b"}, "at 'handler' failed"),
        ({"handler": "x" * 129}, "at 'handler' failed"),
        ({"description": "x" * 257}, "at 'description' failed"),
        ({"architecture": "arm64"}, "functions run on this machine's own, x86_64"),
        ({"log_group": "a b"}, "logGroup"),
        ({"environment": {"1A": "x"}}, "Map keys must satisfy constraint"),
        ({"environment": {"A": "x"}}, "Map keys must satisfy constraint"),
        ({"environment": {"A1": "x\0y"}}, "NUL"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(settings, words):
    assert words in refusal(**settings)


@pytest.mark.parametrize("key", sorted(RESERVED_VARIABLES - {"_HANDLER", "_X_AMZN_TRACE_ID"}))
def test_reserved_variables_cannot_be_set(key):
    assert refusal(environment={key: "x"}).endswith(f"Reserved keys used in this request: {key}")


def test_four_kibibytes_of_variables_are_the_most_and_their_values_are_never_repeated():
    fits = {"AB": "x" * (4096 - len('{"AB":""}'))}
    check_settings(Settings(environment=fits), HERE)
    message = refusal(environment={"AB": fits["AB"] + "x"})
    assert message.endswith("exceeded the 4KB limit.")
    assert "xxx" not in message


def test_settings_never_show_variables():
    assert "hunter2" not in repr(Settings(environment={"PASSWORD": "hunter2"}))


@pytest.mark.parametrize(
    "tags",
    [
        {f"k{number}": "" for number in range(51)},
        {"aws:x": "1"},
        {"AWS:x": "1"},
        {"": "1"},
        {"k" * 129: "1"},
        {"k": "v" * 257},
        {"Team": "a", "team": "b"},
    ],
)
def test_tags_that_aws_or_a_policy_could_not_tell_apart_are_refused(tags):
    with pytest.raises(InvalidParameter):
        check_tags(tags)


# --- what is not offered -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {"PackageType": "Image"},
        {"Code": {"ImageUri": "x"}},
        {"Code": {"S3Bucket": "b", "S3Key": "k"}},
        {"S3Bucket": "b", "S3Key": "k"},
        {"Code": {"ZipFile": b"x", "SourceKMSKeyArn": "arn:aws:kms:x"}},
        {"Publish": True},
        {"PublishTo": "LATEST_PUBLISHED"},
        {"VpcConfig": {"SubnetIds": ["subnet-1"], "SecurityGroupIds": []}},
        {"Layers": ["arn:aws:lambda:eu-west-1:111122223333:layer:x:1"]},
        {"FileSystemConfigs": [{"Arn": "x", "LocalMountPath": "/mnt/x"}]},
        {"KMSKeyArn": "arn:aws:kms:x"},
        {"DeadLetterConfig": {"TargetArn": "arn:aws:sqs:x"}},
        {"TracingConfig": {"Mode": "Active"}},
        {"SnapStart": {"ApplyOn": "PublishedVersions"}},
        {"CodeSigningConfigArn": "arn:x"},
        {"ImageConfig": {"Command": ["x"]}},
        {"LoggingConfig": {"LogFormat": "JSON"}},
        {"LoggingConfig": {"ApplicationLogLevel": "DEBUG"}},
        {"TenancyConfig": {"TenantIsolationMode": "PER_TENANT"}},
        {"DurableConfig": {"ExecutionTimeout": 3600}},
        {"CapacityProviderConfig": {"LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": "x"}}},
    ],
)
def test_what_is_not_offered_is_refused_by_name(parameters):
    with pytest.raises(InvalidParameter, match="Leastwise does not offer"):
        refuse_what_is_not_offered(parameters)


def test_members_that_ask_for_nothing_are_as_good_as_absent():
    refuse_what_is_not_offered(
        {
            "Code": {"ZipFile": b"x"},
            "PackageType": "Zip",
            "Publish": False,
            "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False},
            "Layers": [],
            "FileSystemConfigs": [],
            "KMSKeyArn": "",
            "DeadLetterConfig": {"TargetArn": ""},
            "TracingConfig": {"Mode": "PassThrough"},
            "SnapStart": {"ApplyOn": "None"},
            "ImageConfig": {},
            "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/x"},
        }
    )


# --- reserved concurrency ------------------------------------------------------------------------------------------


def test_a_reservation_must_leave_a_hundred_to_the_others():
    limits = Limits(concurrency=1000)
    check_reservation(900, reserved_by_others=0, limits=limits)
    check_reservation(0, reserved_by_others=900, limits=limits)
    with pytest.raises(InvalidParameter) as caught:
        check_reservation(901, reserved_by_others=0, limits=limits)
    assert caught.value.message == (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution"
        " below its minimum value of [100]."
    )
    with pytest.raises(InvalidParameter) as caught:
        check_reservation(600, reserved_by_others=500, limits=limits)
    assert caught.value.message == (
        "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [500]."
    )
