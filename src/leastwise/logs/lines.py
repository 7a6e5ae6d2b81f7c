"""The lines that the platform itself writes into a function's log, without a line break at the end.

Source: log lines recorded on AWS; AWS Lambda Developer Guide, "View CloudWatch Logs for ... Lambda functions".
"""

from __future__ import annotations

from leastwise.kernel.units import MIB


def init_start_line(*, runtime_version: str, runtime_version_arn: str) -> str:
    """Args: runtime_version: `python:3.10.v11`; runtime_version_arn: `arn:aws:lambda:REGION::runtime:HASH`."""
    return f"INIT_START Runtime Version: {runtime_version}\tRuntime Version ARN: {runtime_version_arn}"


def init_report_line(*, init_us: int, status: str, error_type: str | None = None) -> str:
    """An init phase that failed (`status` is `error`) or took too long (`timeout`)."""
    line = f"INIT_REPORT Init Duration: {milliseconds(init_us)} ms\tPhase: init\tStatus: {status}"
    return line if error_type is None else f"{line}\tError Type: {error_type}"


def start_line(*, request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def end_line(*, request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report_line(
    *, request_id: str, duration_us: int, billed_ms: int, memory_mib: int, peak_memory_bytes: int, init_us: int
) -> str:
    """The numbers of one invocation. Every field ends in a tab, the last one too; a warm call has no Init Duration.

    Args:
        request_id: UUID.
        duration_us: of the handler.
        billed_ms: whole milliseconds.
        memory_mib: configured.
        peak_memory_bytes: used; shown in whole MiB, rounded up, and never as more than the limit that was enforced.
        init_us: of the init phase; 0 when warm.
    """
    used_mib = min(-(-peak_memory_bytes // MIB), memory_mib)
    init = f"Init Duration: {milliseconds(init_us)} ms\t" if init_us else ""
    return (
        f"REPORT RequestId: {request_id}\tDuration: {milliseconds(duration_us)} ms\t"
        f"Billed Duration: {billed_ms} ms\tMemory Size: {memory_mib} MB\tMax Memory Used: {used_mib} MB\t{init}"
    )


def timeout_line(*, request_id: str, at_iso: str, timeout_ms: int) -> str:
    """Args: at_iso: the moment as `2026-11-23T18:47:59.123Z`; timeout_ms: the configured limit."""
    return f"{at_iso} {request_id} Task timed out after {milliseconds(timeout_ms)} seconds"


def milliseconds(thousandths: int) -> str:
    """Two decimals of a number given in thousandths (microseconds as milliseconds, milliseconds as seconds).

    Half rounds up, in integers: what a call took must not depend on binary fractions.
    """
    hundredths = (thousandths + 5) // 10
    return f"{hundredths // 100}.{hundredths % 100:02d}"
