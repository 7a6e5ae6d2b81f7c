"""The platform's own lines, byte for byte."""

from __future__ import annotations

import pytest

from leastwise.logs import lines

ID = "8a2b6f0e-1111-4222-8333-444455556666"


def test_start_and_end():
    assert f"START RequestId: {ID} Version: $LATEST" == lines.start_line(request_id=ID, version="$LATEST")
    assert f"END RequestId: {ID}" == lines.end_line(request_id=ID)


def test_a_cold_report_ends_in_init_duration_and_a_tab():
    assert (
        f"REPORT RequestId: {ID}\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 36 MB\tInit Duration: 110.10 ms\t"
    ) == lines.report_line(
        request_id=ID,
        duration_us=3_010,
        billed_ms=114,
        memory_mib=128,
        peak_memory_bytes=36 * 2**20,
        init_us=110_100,
    )


def test_a_warm_report_has_no_init_duration_and_still_ends_in_a_tab():
    line = lines.report_line(
        request_id=ID, duration_us=999, billed_ms=1, memory_mib=128, peak_memory_bytes=1, init_us=0
    )
    assert (
        f"REPORT RequestId: {ID}\tDuration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\tMax Memory Used: 1 MB\t"
    ) == line


def test_memory_used_is_never_more_than_the_limit():
    line = lines.report_line(
        request_id=ID, duration_us=1, billed_ms=1, memory_mib=128, peak_memory_bytes=128 * 2**20 + 4096, init_us=0
    )
    assert "Max Memory Used: 128 MB" in line


@pytest.mark.parametrize(
    ("thousandths", "text"),
    [
        (0, "0.00"),
        (4, "0.00"),
        (5, "0.01"),
        (3_010, "3.01"),
        (3_000, "3.00"),
        (1_005, "1.01"),
        (900_000_000, "900000.00"),
    ],
)
def test_two_decimals_half_up(thousandths, text):
    assert text == lines.milliseconds(thousandths)


def test_timeout():
    assert f"2026-11-23T18:47:59.123Z {ID} Task timed out after 3.00 seconds" == lines.timeout_line(
        request_id=ID, at_iso="2026-11-23T18:47:59.123Z", timeout_ms=3_000
    )


def test_init_lines():
    arn = "arn:aws:lambda:us-east-1::runtime:abc"
    assert f"INIT_START Runtime Version: python:3.11.v7\tRuntime Version ARN: {arn}" == lines.init_start_line(
        runtime_version="python:3.11.v7", runtime_version_arn=arn
    )
    assert "INIT_REPORT Init Duration: 10000.00 ms\tPhase: init\tStatus: timeout" == lines.init_report_line(
        init_us=10_000_000, status="timeout"
    )
    assert (
        "INIT_REPORT Init Duration: 1.50 ms\tPhase: init\tStatus: error\tError Type: Runtime.ExitError"
        == lines.init_report_line(init_us=1_500, status="error", error_type="Runtime.ExitError")
    )
