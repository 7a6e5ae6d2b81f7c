"""How a command ends: the exit codes, and one clear line for every way to fail."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What scripts can rely on. Documented in `leastwise --help` and docs/reference/cli.md."""

    OK = 0
    PLATFORM = 1
    """The platform answered with an error."""
    USAGE = 2
    """The command cannot be carried out as it was written, or with the files it names."""
    FUNCTION = 3
    """The function ran, and failed."""
    DOUBT = 4
    """The trail is not sound."""
    UNREACHABLE = 5
    """Nobody answers at the endpoint."""
    DENIED = 6
    """`leastwise why`: the answer is no."""
    DEPENDS = 7
    """`leastwise why`: the answer depends on context that was not given."""
    FOUND = 8
    """`leastwise iam escalations`: somebody can become more than they were made."""


class CommandError(Exception):
    """A command ends here.

    Args:
        message: one sentence, never a secret.
        code: the exit code.
        hint: what to do about it, None when that is plain.
    """

    def __init__(self, message: str, *, code: ExitCode = ExitCode.USAGE, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint


def explain(error: Exception) -> CommandError:
    """Turns whatever went wrong into the line and the exit code that the user gets."""
    if isinstance(error, CommandError):
        return error
    known = _from_botocore(error)
    if known is not None:
        return known
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return CommandError(f"{error.strerror}{where}")
    return CommandError(
        f"unexpected {type(error).__name__}: {error}",
        code=ExitCode.PLATFORM,
        hint="This is a fault in the command itself. --debug shows where.",
    )


def _from_botocore(error: Exception) -> CommandError | None:
    """What botocore raises. It is not imported for this: an error of its types means that it already is."""
    botocore: Any = sys.modules.get("botocore.exceptions")
    if botocore is None:
        return None
    if isinstance(error, botocore.ClientError):
        return _from_answer(error)
    if isinstance(error, botocore.WaiterError):
        return CommandError(str(error), code=ExitCode.PLATFORM)
    if isinstance(error, botocore.SSLError):
        return CommandError(
            str(error),
            code=ExitCode.UNREACHABLE,
            hint="The endpoint must be a name of its certificate (--endpoint-url), signed by what AWS_CA_BUNDLE or the "
            "profile's ca_bundle names.",
        )
    if isinstance(error, botocore.ReadTimeoutError):
        return CommandError(str(error), code=ExitCode.UNREACHABLE, hint="It may still be working on the call.")
    if isinstance(error, botocore.ConnectionError | botocore.HTTPClientError):
        return CommandError(
            f"cannot connect: {error}", code=ExitCode.UNREACHABLE, hint="Is it running? `leastwise up` starts it."
        )
    if isinstance(error, botocore.NoCredentialsError | botocore.PartialCredentialsError):
        return CommandError(
            "no credentials",
            hint="Run it where `leastwise up` made its data directory, or name that directory with --data.",
        )
    if isinstance(error, botocore.BotoCoreError):
        return CommandError(str(error))
    return None


def _from_answer(error: Any) -> CommandError:
    answer = error.response
    described = answer.get("Error", {})
    code = described.get("Code", "Unknown")
    message = described.get("Message") or "no message"
    reason = answer.get("Reason")
    hint = None
    if code in {"InvalidClientTokenId", "UnrecognizedClientException"}:
        hint = "The access key is not known here. `--profile leastwise` uses the one in the data directory."
    if "is not authorized to perform" in message:
        hint = _why(answer)
    if "scoped to a valid region" in message:
        hint = "Another region was named than the platform's: look at --region, AWS_REGION and AWS_DEFAULT_REGION."
    return CommandError(f"{code}: {message}" + (f" ({reason})" if reason else ""), code=ExitCode.PLATFORM, hint=hint)


def _why(answer: Any) -> str | None:
    """How to find out what denied a call."""
    metadata = answer.get("ResponseMetadata", {})
    request_id = metadata.get("RequestId") or metadata.get("HTTPHeaders", {}).get("x-amzn-requestid")
    return f"`leastwise why --request-id {request_id}` tells why, if you may ask." if request_id else None
