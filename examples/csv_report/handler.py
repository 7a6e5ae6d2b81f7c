"""Turns a CSV file into a report: totals by group, the largest ones, and an Excel workbook with a chart.

Event: `{"csv": ..., "group_by": "region", "value": "amount", "top": 5, "format": "xlsx"}`.
"""

import base64
import io
import json
from decimal import Decimal

import xlsxwriter

from report import Group, Refused, summarize, to_csv

FORMATS = ("xlsx", "csv")
MOST_TOP = 100


def handler(event, context):
    """The entry point. A refused file is a result, not a failure: trying it again would not help."""
    try:
        text, group_by, value, top, kind = read_event(event)
        groups = summarize(text, group_by, value)
    except Refused as refusal:
        return {"error": "refused", "message": str(refusal)}
    print(json.dumps({"message": "reported", "groups": len(groups), "rows": sum(group.rows for group in groups)}))
    result = {
        "rows": sum(group.rows for group in groups),
        "total": f"{sum((group.total for group in groups), Decimal(0)):f}",
        "top": [{"group": group.name, "rows": group.rows, "total": f"{group.total:f}"} for group in groups[:top]],
    }
    if kind == "csv":
        return result | {"csv": to_csv(groups)}
    return result | {"xlsx_base64": base64.b64encode(to_xlsx(groups, top)).decode()}


def read_event(event) -> tuple[str, str, str, int, str]:
    """The event's members, checked."""
    if not isinstance(event, dict):
        raise Refused("the event must be an object")
    text, group_by, value = (event.get(name) for name in ("csv", "group_by", "value"))
    if not all(isinstance(item, str) and item for item in (text, group_by, value)):
        raise Refused("csv, group_by and value must be strings")
    top, kind = event.get("top", 5), event.get("format", "xlsx")
    if not isinstance(top, int) or isinstance(top, bool) or not 1 <= top <= MOST_TOP:
        raise Refused(f"top must be a whole number from 1 to {MOST_TOP}")
    if kind not in FORMATS:
        raise Refused(f"format must be one of {', '.join(FORMATS)}")
    return text, group_by, value, top, kind


def to_xlsx(groups: list[Group], top: int) -> bytes:
    """A workbook with all groups and a chart of the largest ones."""
    out = io.BytesIO()
    # Text is text: by default XlsxWriter makes formulas of what begins with = and links of what looks like one.
    safe = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(out, safe) as book:
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet("Report")
        sheet.set_column(0, 0, 32)
        sheet.write_row(0, 0, ("group", "rows", "total"), bold)
        for line, group in enumerate(groups, start=1):
            sheet.write_string(line, 0, group.name)
            sheet.write_number(line, 1, group.rows)
            # Spreadsheets have binary numbers. The exact sums are in the function's result.
            sheet.write_number(line, 2, float(group.total))
        if groups:
            last = min(top, len(groups))
            chart = book.add_chart({"type": "bar"})
            chart.add_series({"categories": ["Report", 1, 0, last, 0], "values": ["Report", 1, 2, last, 2]})
            chart.set_title({"name": f"Largest {last}"})
            chart.set_legend({"none": True})
            sheet.insert_chart("E2", chart)
    return out.getvalue()
