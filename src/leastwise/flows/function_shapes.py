"""A function as the AWS service model words it, in both directions."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from leastwise.flows.interface import Parameters
from leastwise.functions.configuration import Settings
from leastwise.functions.interface import Function
from leastwise.functions.naming import LATEST, FunctionName
from leastwise.functions.resource_policy import Permission
from leastwise.kernel.clock import iso_millis


def read_settings(parameters: Parameters) -> Settings:
    """What CreateFunction or UpdateFunctionConfiguration asks for. Judges nothing."""
    environment = parameters.get("Environment")
    architectures = parameters.get("Architectures")
    return Settings(
        runtime=parameters.get("Runtime"),
        role_arn=parameters.get("Role"),
        handler=parameters.get("Handler"),
        description=parameters.get("Description"),
        timeout_s=parameters.get("Timeout"),
        memory_mib=parameters.get("MemorySize"),
        tmp_mib=(parameters.get("EphemeralStorage") or {}).get("Size"),
        environment=None if environment is None else environment.get("Variables") or {},
        architecture=architectures[0] if architectures else None,
        log_group=(parameters.get("LoggingConfig") or {}).get("LogGroup"),
    )


def read_permission(parameters: Parameters) -> Permission:
    """What AddPermission grants. Judges nothing."""
    return Permission(
        statement_id=parameters["StatementId"],
        action=parameters["Action"],
        principal=parameters["Principal"],
        source_arn=parameters.get("SourceArn"),
        source_account=parameters.get("SourceAccount"),
        organization_id=parameters.get("PrincipalOrgID"),
        event_source_token=parameters.get("EventSourceToken"),
        url_auth_type=parameters.get("FunctionUrlAuthType"),
        via_url=parameters.get("InvokedViaFunctionUrl"),
    )


def show_configuration(function: Function, name: FunctionName | None = None) -> dict[str, Any]:
    """FunctionConfiguration.

    Args:
        function: what to show.
        name: as it was called: with a qualifier the ARN carries it too. None shows the unqualified ARN.
    """
    shown: dict[str, Any] = {
        "FunctionName": function.name,
        "FunctionArn": function.arn if name is None or name.qualifier is None else name.qualified_arn,
        "Runtime": function.runtime,
        "Role": function.role_arn,
        "Handler": function.handler,
        "CodeSize": function.code.zip_bytes,
        "Description": function.description,
        "Timeout": function.timeout_s,
        "MemorySize": function.memory_mib,
        "LastModified": iso_millis(function.last_modified_ms),
        "CodeSha256": base64.b64encode(bytes.fromhex(function.code.digest)).decode(),
        "Version": LATEST,
        "TracingConfig": {"Mode": function.tracing_mode},
        "RevisionId": function.revision_id,
        "State": function.state.value,
        "LastUpdateStatus": function.last_update_status.value,
        "PackageType": "Zip",
        "Architectures": [function.architecture],
        "EphemeralStorage": {"Size": function.tmp_mib},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "RuntimeVersionConfig": {"RuntimeVersionArn": _runtime_version_arn(function)},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": function.log_group},
    }
    if function.environment:
        shown["Environment"] = {"Variables": dict(function.environment)}
    reasons = (
        ("StateReason", function.state_reason),
        ("StateReasonCode", function.state_reason_code),
        ("LastUpdateStatusReason", function.last_update_reason),
    )
    shown.update({member: value for member, value in reasons if value is not None})
    return shown


def _runtime_version_arn(function: Function) -> str:
    version = hashlib.sha256(f"leastwise {function.runtime}".encode()).hexdigest()
    return f"arn:aws:lambda:{function.region}::runtime:{version}"
