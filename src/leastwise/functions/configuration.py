"""What a function's configuration may say. Messages are AWS's where AWS has one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from leastwise.functions.interface import InvalidParameter
from leastwise.functions.limits import LARGEST_ENVIRONMENT_BYTES, MOST_TAGS
from leastwise.kernel import errors

_PLAIN_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLE: Final = re.compile(r"arn:aws[a-zA-Z-]*:iam::[0-9]{12}:role/[a-zA-Z_0-9+=,.@/-]+")
_HANDLER: Final = re.compile(r"\S{1,128}")
_VARIABLE: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
_LOG_GROUP: Final = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_TIMEOUT_S: Final = (1, 900)
_MEMORY_MIB: Final = (128, 10_240)
_TMP_MIB: Final = (512, 10_240)
_LONGEST_DESCRIPTION: Final = 256
_LONGEST_TAG_KEY: Final = 128
_LONGEST_TAG_VALUE: Final = 256

RESERVED_VARIABLES: Final = frozenset({
    "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
})  # fmt: skip
"""Source: Lambda Developer Guide, "Defined runtime environment variables", reserved."""

RETIRED_RUNTIMES: Final = frozenset({
    "nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x",
    "nodejs16.x", "python2.7", "python3.6", "python3.7", "python3.8", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1",
    "dotnetcore3.1", "dotnet6", "go1.x", "java8", "ruby2.5", "ruby2.7", "provided",
})  # fmt: skip
"""Source: Lambda Developer Guide, "Deprecated runtimes"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What this machine can run.

    Args:
        runtimes: identifiers, sorted.
        architecture: `x86_64` or `arm64`.
    """

    runtimes: tuple[str, ...]
    architecture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A configuration as asked for; None is not asked for. Units as in `interface.Function`."""

    runtime: str | None = None
    role_arn: str | None = None
    handler: str | None = None
    description: str | None = None
    timeout_s: int | None = None
    memory_mib: int | None = None
    tmp_mib: int | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    architecture: str | None = None
    log_group: str | None = None


def check_settings(settings: Settings, platform: Platform) -> None:
    """Judges what is asked for, for a new function or an old one.

    Raises:
        InvalidParameter: in AWS's words.
        errors.Invalid: where AWS answers ValidationException.
    """
    if settings.runtime is not None:
        _check_runtime(settings.runtime, platform)
    if settings.role_arn is not None and not _ROLE.fullmatch(settings.role_arn):
        _refuse_shape("role", settings.role_arn, r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
    if settings.handler is not None and not _HANDLER.fullmatch(settings.handler):
        _refuse_shape("handler", settings.handler, r"[^\s]+")
    if settings.description is not None and len(settings.description) > _LONGEST_DESCRIPTION:
        _refuse_shape("description", settings.description, f".{{0,{_LONGEST_DESCRIPTION}}}")
    _check_range("Timeout", settings.timeout_s, _TIMEOUT_S)
    _check_range("MemorySize", settings.memory_mib, _MEMORY_MIB)
    _check_range("EphemeralStorage.Size", settings.tmp_mib, _TMP_MIB)
    if settings.environment is not None:
        _check_environment(settings.environment)
    if settings.architecture is not None:
        check_architecture(settings.architecture, platform)
    if settings.log_group is not None and not _LOG_GROUP.fullmatch(settings.log_group):
        _refuse_shape("loggingConfig.logGroup", settings.log_group, r"[\.\-_/#A-Za-z0-9]+")


def check_new(name: str, settings: Settings, platform: Platform) -> None:
    """Judges the configuration of a function that is to be made. Raises: as `check_settings`."""
    if not _PLAIN_NAME.fullmatch(name):
        _refuse_shape("functionName", name, "[a-zA-Z0-9-_]+")
    if settings.runtime is None or settings.handler is None:
        message = "Runtime and Handler are mandatory parameters for functions created with deployment packages."
        raise InvalidParameter(message, detail={"Type": "User"})
    if settings.role_arn is None:
        message = (
            "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null"
        )
        raise errors.Invalid(message)
    check_settings(settings, platform)


def check_architecture(architecture: str, platform: Platform) -> None:
    """Raises `InvalidParameter` when this machine has another processor."""
    if architecture != platform.architecture:
        message = (
            f"The architecture {architecture} is not offered: functions run on this machine's own, "
            f"{platform.architecture}."
        )
        raise InvalidParameter(message, detail={"Type": "User"})


def check_tags(tags: Mapping[str, str]) -> None:
    """Judges all the tags that a function would have.

    Raises:
        InvalidParameter: too many; a reserved key; a key or value too long; two keys that differ in case only.
    """
    if len(tags) > MOST_TAGS:
        message = "Number of tags exceeds resource tag limit."
        raise InvalidParameter(message, detail={"Type": "User"})
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            message = "Tag keys that begin with aws: are reserved."
            raise InvalidParameter(message, detail={"Type": "User"})
        if not 0 < len(key) <= _LONGEST_TAG_KEY or len(value) > _LONGEST_TAG_VALUE:
            message = f"Tag keys have 1 to {_LONGEST_TAG_KEY} characters, tag values at most {_LONGEST_TAG_VALUE}."
            raise InvalidParameter(message, detail={"Type": "User"})
    # SECURITY: policies read tags without regard to case. Of two keys that differ in case only, a policy would see
    # one, chosen by whoever may tag.
    if len({key.lower() for key in tags}) != len(tags):
        message = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise InvalidParameter(message, detail={"Type": "User"})


def wanted_bytecode(runtime: str | None) -> tuple[str, ...]:
    """Runtimes for which a package should be compiled when it is deployed for `runtime`."""
    return (runtime,) if runtime is not None and runtime.startswith("python") else ()


def _check_runtime(runtime: str, platform: Platform) -> None:
    if runtime in platform.runtimes:
        return
    # SOURCE: both messages recorded on AWS, InvalidParameterValueException.
    if runtime in RETIRED_RUNTIMES:
        message = (
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions."
            " We recommend you use a supported runtime while creating or updating functions."
        )
    else:
        message = (
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(platform.runtimes)}] or be a valid ARN"
        )
    raise InvalidParameter(message, detail={"Type": "User"})


def _check_range(name: str, value: int | None, allowed: tuple[int, int]) -> None:
    least, most = allowed
    if value is None or least <= value <= most:
        return
    side, bound = ("greater", least) if value < least else ("less", most)
    message = f"'{name}' value failed to satisfy constraint: Member must have value {side} than or equal to {bound}"
    raise InvalidParameter(message, detail={"Type": "User"})


def _check_environment(variables: Mapping[str, str]) -> None:
    """SECURITY: no message repeats a value. AWS's own does ("String measured: ..."), and messages are recorded."""
    for key, value in variables.items():
        if not _VARIABLE.fullmatch(key):
            message = (
                "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys "
                "must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]"
            )
            raise errors.Invalid(message)
        if "\0" in value:
            message = f"The value of the environment variable {key} contains a NUL character."
            raise InvalidParameter(message, detail={"Type": "User"})
    reserved = _reserved(variables)
    if reserved:
        message = (
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(reserved)}"
        )
        raise InvalidParameter(message, detail={"Type": "User"})
    measured = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode(errors="surrogatepass")) > LARGEST_ENVIRONMENT_BYTES:
        message = (
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided exceeded the 4KB limit."
        )
        raise InvalidParameter(message, detail={"Type": "User"})


def _reserved(keys: Iterable[str]) -> list[str]:
    return sorted(RESERVED_VARIABLES.intersection(keys))


def _refuse_shape(member: str, value: str, pattern: str) -> None:
    message = (
        f"1 validation error detected: Value '{value[:256]}' at '{member}' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {pattern}"
    )
    raise errors.Invalid(message)
