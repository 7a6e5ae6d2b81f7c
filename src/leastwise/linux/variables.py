"""The environment variables of a function.

Source: AWS Lambda Developer Guide, "Working with Lambda environment variables", defined runtime variables.
"""

from __future__ import annotations

from typing import Final

from leastwise.guest.wire import EGRESS_PORT, PLATFORM_PORT, RUNTIME_API_PORT
from leastwise.runtime.interface import EnvironmentSpec

PLATFORM_ENDPOINT: Final = f"http://127.0.0.1:{PLATFORM_PORT}"
EGRESS_PROXY: Final = f"http://127.0.0.1:{EGRESS_PORT}"
RUNTIME_API: Final = f"127.0.0.1:{RUNTIME_API_PORT}"

_FIXED: Final = {
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_FORMAT": "Text",
    "AWS_LAMBDA_RUNTIME_API": RUNTIME_API,
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    "LAMBDA_RUNTIME_DIR": "/var/runtime",
    "LAMBDA_TASK_ROOT": "/var/task",
    "PWD": "/var/task",
    "TZ": "UTC",
}
_DEFAULTS: Final = {
    "AWS_ENDPOINT_URL": PLATFORM_ENDPOINT,
    "HOME": "/tmp",  # noqa: S108 - inside the sandbox, private to it
    "LANG": "en_US.UTF-8",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
}
_NOT_PROXIED: Final = "127.0.0.1,localhost"
"""The platform's endpoint, the Runtime API and whatever the function serves itself. Without ::1: httpx before 0.24.1 cannot
read it. Source: github.com/encode/httpx, pull request 2659."""


def environment_variables(
    spec: EnvironmentSpec, *, execution_env: str | None, python_path: bool = False
) -> dict[str, str]:
    """Everything `os.environ` holds in the function.

    Args:
        spec: what the environment is made from.
        execution_env: `AWS_Lambda_python3.12`; None in custom runtimes, which do not get the variable.
        python_path: whether PYTHONPATH is set, as in the Python runtimes.
    """
    variables = dict(_DEFAULTS)
    if python_path:
        variables["PYTHONPATH"] = "/var/runtime"
    variables.update(spec.variables)
    _name_proxy(variables)
    # SECURITY: reserved names win over the owner's: a function must not be able to claim another role's keys or name
    # by configuration, and libraries trust these.
    variables.update(_FIXED)
    variables |= {
        "_HANDLER": spec.handler,
        "AWS_ACCESS_KEY": spec.credentials.access_key_id,
        "AWS_ACCESS_KEY_ID": spec.credentials.access_key_id,
        "AWS_DEFAULT_REGION": spec.region,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory_mib),
        "AWS_LAMBDA_FUNCTION_NAME": spec.function_name,
        "AWS_LAMBDA_FUNCTION_VERSION": spec.version,
        "AWS_LAMBDA_LOG_GROUP_NAME": spec.log_group,
        "AWS_LAMBDA_LOG_STREAM_NAME": spec.log_stream,
        "AWS_REGION": spec.region,
        "AWS_SECRET_ACCESS_KEY": spec.credentials.secret_access_key,
    }
    if spec.credentials.session_token:
        variables["AWS_SESSION_TOKEN"] = spec.credentials.session_token
    if execution_env is not None:
        variables["AWS_EXECUTION_ENV"] = execution_env
    return variables


def _name_proxy(variables: dict[str, str]) -> None:
    """Names the egress proxy, where the owner does not name another: both spellings, for some programs read only one, and
    those that read both prefer the small letters.
    """
    for name in ("http_proxy", "https_proxy"):
        if name not in variables and name.upper() not in variables:
            variables[name] = variables[name.upper()] = EGRESS_PROXY
    # The owner's list is kept and ours added: without it, his would send boto3's calls to the platform through the proxy,
    # which does not lead there.
    owners = [name for name in ("no_proxy", "NO_PROXY") if variables.get(name)]
    for name in owners:
        variables[name] += f",{_NOT_PROXIED}"
    if not owners:
        variables["no_proxy"] = variables["NO_PROXY"] = _NOT_PROXIED
