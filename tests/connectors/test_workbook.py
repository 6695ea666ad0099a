"""Excel: the sheet with data, its header wherever it stands, cells as a person reads them."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from typing import Any

import openpyxl
import pytest

from connectors.formats import refit, sniff
from connectors.formats.limits import Damaged, Refused
from tests.connectors.reading import read


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


TABLE: list[list[Any]] = [
    [None, "Threat report, spring"],
    [],
    [None, "Indicator", "Seen", "Count", "Zip", "Note"],
    [None, "203.0.113.9", dt.datetime(2024, 1, 2, 3, 4, 5), 3, "00123", 'x,"y"\nz'],
    [],
    [None, "a.example", dt.datetime(2024, 2, 3), 1.5, True, None],
    [None, "b.example", None, 1e-7, "1E5", "ü"],
]


def test_the_sheet_with_most_data_is_read_from_below_its_header() -> None:
    data = workbook(Cover=[["hello"]], Data=TABLE)
    shape = sniff(io.BytesIO(data), "x.xlsx")
    assert [field.name for field in shape.fields] == ["Indicator", "Seen", "Count", "Zip", "Note"]
    assert "Cover, Data" in shape.notes[0]
    found = read(data, shape)
    assert found.rows == [
        ("203.0.113.9", "2024-01-02T03:04:05", "3", "00123", 'x,"y"\nz'),
        ("a.example", "2024-02-03", "1.5", "true", None),
        ("b.example", None, "0.0000001", "1E5", "ü"),
    ]
    assert found.places == [4, 6, 7]


def test_another_sheet_can_be_chosen() -> None:
    data = workbook(First=TABLE, Second=[["ip"], ["203.0.113.1"]])
    shape = sniff(io.BytesIO(data), "x.xlsx")
    changed = refit(
        io.BytesIO(data), shape.model_copy(update={"options": {**shape.options, "sheet": "Second"}})
    )
    assert read(data, changed).rows == [("203.0.113.1",)]


def test_a_formulas_error_is_kept_and_noted() -> None:
    data = workbook(S=[["a", "b"], ["x", "#REF!"], ["y", "2"]])
    shape = sniff(io.BytesIO(data), "x.xlsx")
    assert any("error" in note for note in shape.notes)
    assert read(data, shape).rows == [("x", "#REF!"), ("y", "2")]


def test_numbers_excel_has_rounded_are_flagged() -> None:
    shape = sniff(io.BytesIO(workbook(S=[["id", "n"], ["x", 1234567890123456789]])), "x.xlsx")
    assert any("15 digits" in note for note in shape.notes)


def test_cells_beyond_the_table_make_a_fault() -> None:
    rows = [["a", "b"]] + [["x", "y"]] * 1200 + [["x", "y", "z"]]
    found = read(workbook(S=rows))
    assert len(found.rows) == 1200
    assert found.reasons() == {1202: "too many columns: 3 of 2"}


def test_a_workbook_that_is_a_bomb_is_refused() -> None:
    data = io.BytesIO(workbook(S=[["a"]]))
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", b" " * (80 << 20))
    with pytest.raises(Refused, match="unpacks"):
        sniff(io.BytesIO(data.getvalue()), "x.xlsx")


def test_a_damaged_workbook_says_so() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", "no xml")
    with pytest.raises(Damaged):
        sniff(io.BytesIO(out.getvalue()), "x.xlsx")
