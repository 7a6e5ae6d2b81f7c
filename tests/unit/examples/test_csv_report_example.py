"""The CSV report: exact sums, and cells that stay text."""

import base64
import csv
import io
import re
import zipfile

import pytest

SALES = "region,amount,note\nnorth,10.10,a\nsouth,5,b\nnorth,0.20,c\n"


@pytest.fixture
def report(load, installed):
    installed("csv_report", "xlsxwriter")
    return load("csv_report")


def event(text: str = SALES, **more) -> dict:
    return {"csv": text, "group_by": "region", "value": "amount", **more}


def workbook(result: dict) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(result["xlsx_base64"]))) as book:
        return {name: book.read(name).decode() for name in book.namelist() if name.endswith((".xml", ".rels"))}


def test_sums_are_exact_and_the_largest_comes_first(report):
    result = report.handler(event(format="csv"), None)
    assert (result["rows"], result["total"]) == (3, "15.30")
    assert [(item["group"], item["total"]) for item in result["top"]] == [("north", "10.30"), ("south", "5")]


def test_a_tenth_added_ten_times_is_one(report):
    result = report.handler(event("region,amount\n" + "x,0.1\n" * 10, format="csv"), None)
    assert result["total"] == "1.0"


def test_top_limits_the_list_and_not_the_report(report):
    text = "region,amount\n" + "".join(f"g{number},{number}\n" for number in range(10))
    result = report.handler(event(text, top=3, format="csv"), None)
    assert (
        [item["group"] for item in result["top"]],
        len(list(csv.reader(io.StringIO(result["csv"])))),
    ) == (["g9", "g8", "g7"], 11)


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=HYPERLINK(A1)", "\uff1d1", "'=1"])
def test_a_cell_that_would_be_a_formula_is_text_in_the_csv(report, cell):
    out = io.StringIO()
    csv.writer(out).writerows([("region", "amount"), (f"x{cell}", 1), (cell, 1)])
    result = report.handler(event(out.getvalue(), format="csv"), None)
    cells = [row[0] for row in csv.reader(io.StringIO(result["csv"]))]
    assert [shown for shown in cells if shown.startswith(("=", "+", "-", "@", "\t", "\uff1d"))] == []


def test_a_cell_that_would_be_a_formula_or_a_link_is_text_in_the_workbook(report):
    text = "region,amount\n=cmd|calc,1\nhttp://example.com/steal,1\n{=1+1},1\n"
    files = workbook(report.handler(event(text), None))
    sheet = files["xl/worksheets/sheet1.xml"]
    assert not re.search(r"<f[ >]|<hyperlink", sheet)
    assert "=cmd|calc" in files["xl/sharedStrings.xml"]
    assert not any("example.com" in content for name, content in files.items() if name.endswith(".rels"))


def test_the_workbook_has_the_numbers_and_a_chart(report):
    files = workbook(report.handler(event(), None))
    assert "<v>10.3</v>" in files["xl/worksheets/sheet1.xml"]
    assert "xl/charts/chart1.xml" in files


def test_markup_in_a_cell_does_not_break_the_workbook(report):
    files = workbook(report.handler(event("region,amount\n</t><f>1</f>,1\n"), None))
    assert "&lt;/t&gt;&lt;f&gt;" in files["xl/sharedStrings.xml"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999999", "1e5", "0x10", "", "1_000", "1,0", "٣", "9" * 16])
def test_what_is_not_a_plain_number_is_refused_with_its_line(report, number):
    answer = report.handler(event(f'region,amount\na,1\nb,"{number}"\n'), None)
    assert answer["message"].startswith("line 3:")


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {},
        {"csv": "a,b\n"},
        event(group_by="nowhere"),
        event("region,region,amount\n"),
        event("region,amount\na\n"),
        event('region,amount\n"a,1\n'),
        event('region,amount\n"a"b,1\n'),
        event("region,amount\n" + "x" * 10_001 + ",1\n"),
        event(top=0),
        event(top=True),
        event(top=101),
        event(format="exe"),
        event(",".join(f"c{number}" for number in range(201))),
        event("region,amount\n" + "x" * 5_000_000),
        event("region,amount\n" + "x,1\n" * 100_001),
        event("region,amount\n" + "".join(f"g{number},1\n" for number in range(10_001))),
    ],
)
def test_a_file_or_event_out_of_bounds_is_refused(report, broken):
    answer = report.handler(broken, None)
    assert answer["error"] == "refused"


def test_an_empty_file_with_a_header_gives_an_empty_report(report):
    result = report.handler(event("region,amount\n"), None)
    assert (result["rows"], result["total"], result["top"]) == (0, "0", [])


def test_a_byte_order_mark_is_not_part_of_the_first_column(report):
    assert report.handler(event("\ufeff" + SALES, format="csv"), None)["rows"] == 3
