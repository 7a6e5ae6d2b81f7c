"""What AWS offers and this platform does not yet. It is refused with its name, never accepted and then ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from leastwise.functions.interface import InvalidParameter

_NOT_OFFERED: Final[Mapping[str, str]] = {
    "VpcConfig": "functions have no network but the platform's own endpoint",
    "DeadLetterConfig": "dead-letter targets are not there yet",
    "KMSKeyArn": "environment variables are encrypted with the installation's own key",
    "Layers": "layers are not there yet: put what they hold into the package",
    "FileSystemConfigs": "shared file systems are not there yet",
    "CodeSigningConfigArn": "code signing is not there yet",
    "ImageConfig": "container images are not there yet",
    "TenancyConfig": "tenant isolation is not there yet",
    "CapacityProviderConfig": "capacity providers are not there yet",
    "DurableConfig": "durable functions are not there yet",
    "RuntimeConfig": "runtime versions cannot be chosen",
    "AcceleratorConfig": "accelerators are not there yet",
    "PublishTo": "published versions are not there yet",
}
_ELSEWHERE: Final[Mapping[str, str]] = {
    "S3Bucket": "packages cannot be fetched from S3 yet: send the package itself as ZipFile",
    "ImageUri": "container images are not there yet: send a package as ZipFile",
    "SourceKMSKeyArn": "packages cannot be encrypted with a key of yours",
}


def refuse_what_is_not_offered(parameters: Mapping[str, Any]) -> None:
    """Judges the members of CreateFunction, UpdateFunctionConfiguration and UpdateFunctionCode.

    A member that asks for nothing (an empty structure, list or text, `PassThrough`, `None`) is as good as absent: SDKs
    and Terraform send those.

    Raises:
        InvalidParameter: names the first member that asks for something, and says what to do instead where there is
            something to do.
    """
    for member, reason in _NOT_OFFERED.items():
        if _asks(parameters.get(member)):
            _refuse(member, reason)
    if parameters.get("Publish"):
        _refuse("Publish", "published versions are not there yet")
    if parameters.get("PackageType", "Zip") != "Zip":
        _refuse("PackageType Image", "container images are not there yet")
    if (parameters.get("TracingConfig") or {}).get("Mode", "PassThrough") != "PassThrough":
        _refuse("TracingConfig Active", "tracing is not there yet")
    if (parameters.get("SnapStart") or {}).get("ApplyOn", "None") != "None":
        _refuse("SnapStart", "published versions are not there yet")
    _refuse_logging(parameters.get("LoggingConfig") or {})
    for place in (parameters, parameters.get("Code") or {}):
        for member, reason in _ELSEWHERE.items():
            if _asks(place.get(member)):
                _refuse(member, reason)


def _refuse_logging(logging: Mapping[str, Any]) -> None:
    if logging.get("LogFormat", "Text") != "Text":
        _refuse("LoggingConfig LogFormat JSON", "logs are text")
    for member in ("ApplicationLogLevel", "SystemLogLevel"):
        if _asks(logging.get(member)):
            _refuse(f"LoggingConfig {member}", "log levels come with the JSON format, and logs are text")


def _asks(value: Any) -> bool:
    """False for None and for what is empty all the way down."""
    if isinstance(value, Mapping):
        return any(_asks(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_asks(inner) for inner in value)
    return value not in {None, "", False}


def _refuse(what: str, reason: str) -> None:
    message = f"Leastwise does not offer {what}: {reason}."
    raise InvalidParameter(message, detail={"Type": "User"})
