"""The context object of an invocation.

Source: Lambda, "Using the Lambda context object to retrieve Python function information".
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from leastwise.guest.python_errors import Fault


class _Named:
    """A record with fixed names, filled from a dict; what is not in it is None."""

    __slots__: tuple[str, ...] = ()

    def __init__(self, values: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        fields = ",".join("%s=%s" % (name, getattr(self, name)) for name in self.__slots__)
        return "%s([%s])" % (type(self).__name__, fields)


class CognitoIdentity(_Named):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Named):
    __slots__ = ("app_package_name", "app_title", "app_version_code", "app_version_name", "installation_id")


class ClientContext(_Named):
    __slots__ = ("client", "custom", "env")

    client: Any


class LambdaContext:
    """What a handler gets as its second argument."""

    def __init__(
        self, request_id: str, deadline_ms: int, function_arn: str, client_context: ClientContext | None
    ) -> None:
        environ = os.environ.get
        self.aws_request_id = request_id
        self.log_group_name = environ("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environ("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environ("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = function_arn
        self.tenant_id = None
        self.client_context = client_context
        self.identity = CognitoIdentity({})
        self._epoch_deadline_time_in_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the environment is stopped; never negative."""
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def log(self, message: object) -> None:
        sys.stdout.write(str(message))

    def __repr__(self) -> str:
        names = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        return "LambdaContext([%s])" % ",".join("%s=%s" % (name, getattr(self, name)) for name in names)


def make_context(request_id: str, deadline_ms: int, function_arn: str, client_context: str) -> LambdaContext:
    """Raises a fault when the client context is not JSON.

    Raises:
        Fault: LambdaContextUnmarshalError, the client context is not JSON.
    """
    if not client_context:
        return LambdaContext(request_id, deadline_ms, function_arn, None)
    try:
        values = json.loads(client_context)
        made = ClientContext(values)
        if isinstance(made.client, dict):
            made.client = Client(made.client)
    except Exception as error:
        raise Fault("LambdaContextUnmarshalError", "Unable to parse Client Context JSON: %s" % error) from None
    return LambdaContext(request_id, deadline_ms, function_arn, made)
