"""Usage, by an operation of the platform's own (service `leastwise`; AWS has none like it)."""

from __future__ import annotations

from datetime import date

from leastwise.flows.interface import Operation, Parameters, Scene, Target
from leastwise.kernel import errors
from leastwise.kernel.events import Access
from leastwise.metering.usage import gb_seconds


def _account(scene: Scene, _parameters: Parameters) -> Target:
    return Target(arn="*", account_id=scene.account_id)


async def get_usage(scene: Scene, parameters: Parameters) -> Parameters:
    """Sums by function and day, days inclusive."""
    name = parameters.get("FunctionName")
    report = await scene.services.meter.report(
        scene.account_id,
        first_day=_day(parameters["FirstDay"]),
        last_day=_day(parameters["LastDay"]),
        function_arn=None if name is None else f"arn:aws:lambda:{scene.region}:{scene.account_id}:function:{name}",
    )
    return {
        "Totals": [
            {
                "FunctionArn": total.function_arn,
                "Day": total.day,
                "Requests": total.requests,
                "BilledMs": total.billed_ms,
                "MibMs": total.mib_ms,
                "GbSeconds": gb_seconds(total.mib_ms),
            }
            for total in report.totals
        ],
        "GbSeconds": report.gb_seconds,
    }


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        message = f"{text} is not a day."
        raise errors.Invalid(message) from error


OPERATIONS = (
    Operation(
        service="leastwise",
        name="GetUsage",
        action="leastwise:GetUsage",
        target=_account,
        handle=get_usage,
        access=Access.READ,
    ),
)
