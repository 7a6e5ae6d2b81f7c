"""The lines that the platform itself writes into a function's log. Source: log lines recorded on AWS."""

from __future__ import annotations

from leastwise.kernel.units import MIB


def init_start(runtime: str) -> str:
    return f"INIT_START Runtime Version: {runtime}"


def init_report(init_us: int, *, status: str, error_type: str | None = None) -> str:
    """An init phase that failed or ran out of time."""
    error = f"\tError Type: {error_type}" if error_type else ""
    return f"INIT_REPORT Init Duration: {init_us / 1000:.2f} ms\tPhase: init\tStatus: {status}{error}"


def start(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def end(request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report(
    request_id: str, *, duration_us: int, billed_ms: int, memory_mib: int, peak_memory_bytes: int, init_us: int
) -> str:
    """The REPORT line. Warm calls have no Init Duration; the trailing tab stays."""
    init = f"Init Duration: {init_us / 1000:.2f} ms\t" if init_us else ""
    peak_mib = -(-peak_memory_bytes // MIB)
    return (
        f"REPORT RequestId: {request_id}\tDuration: {duration_us / 1000:.2f} ms\tBilled Duration: {billed_ms} ms\t"
        f"Memory Size: {memory_mib} MB\tMax Memory Used: {peak_mib} MB\t{init}"
    )


def timed_out(request_id: str, *, at_iso: str, timeout_ms: int) -> str:
    return f"{at_iso} {request_id} Task timed out after {timeout_ms / 1000:.2f} seconds"
