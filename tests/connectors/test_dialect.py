"""Dialect detection: what each of these files is, stated as data."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest

from connectors.formats import refit, sniff
from engine.model import Dialect
from tests.connectors.reading import read

ABUSE = (
    b"################\n# A feed        #\n################\n#\n"
    b'# "first_seen_utc","ioc_id","ioc_value"\n'
    b'"2024-01-01 00:00:00", "1", "203.0.113.9:80"\n"2024-01-01 00:00:00", "2", "bad, example.com"\n'
    b"# Number of entries: 2\n"
)
LATIN = "name;ville\nRené;Orléans\nJosé;Besançon\nChloé;Nîmes\n"
CASES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain": (b"ip,first seen\n203.0.113.1,2024-01-01\n203.0.113.2,2024-01-02\n", {"columns": ("ip", "first seen")}),
    "a header in a comment": (ABUSE, {"header": False, "comment": "#", "columns": ("first_seen_utc", "ioc_id", "ioc_value")}),
    "titles above": (b"Report Q3;;\nMade;2024-01-01;\n\nIndicator;Type;Conf\nexample.com;domain;80\n203.0.113.4;ip;70\n", {"delimiter": ";", "skip_lines": 3, "columns": ("Indicator", "Type", "Conf")}),
    "a list of urls": (b"http://example.com/a,b\nhttp://example.net/?q=1,2,3\nhttp://example.org/\n", {"delimiter": "", "header": False, "columns": ("column_1",)}),
    "a list with a name": (b"domain\nexample.com\nexample.org\n", {"delimiter": "", "header": True, "columns": ("domain",)}),
    "only a header": (b"a,b,c\n", {"header": True, "columns": ("a", "b", "c")}),
    "one stray quote": (b"a,b,c\n1,2,3\n1,\"x,3\n" + b"1,2,3\n" * 20, {"delimiter": ",", "columns": ("a", "b", "c")}),
    "tabs": (b"a\tb\n1, 2\t3\n4\t5\n", {"delimiter": "\t"}),
    "bars": (b"ip|text\n203.0.113.2|a,b,c\n203.0.113.3|d\n", {"delimiter": "|"}),
    "decimal commas": (b"a;b\n1,5;2,5\n3,5;4,5\n", {"delimiter": ";"}),
    "latin": (LATIN.encode("latin-1"), {"delimiter": ";", "encoding": "cp1252", "columns": ("name", "ville")}),
    "utf-16": ("name,city\nA,B\n".encode("utf-16"), {"encoding": "utf-16-le", "columns": ("name", "city")}),
    "a byte order mark": (b"\xef\xbb\xbfname,city\nA,B\n", {"columns": ("name", "city")}),
    "repeated and empty names": (b"a,,a\n1,2,3\n4,5,6\n", {"columns": ("a", "column_2", "a_2")}),
    "text only": (b"name,city\nBob,Paris\nAl,Rome\n", {"header": True, "columns": ("name", "city")}),
    "no header": (b"203.0.113.1,x,2024-01-01\n203.0.113.2,y,2024-01-02\n", {"header": False}),
    "prose": (b"This is a text, with commas.\nAnother line\nA third, with, many, commas\n", {"delimiter": ""}),
    "single quotes": (b"a,b\n'x, y',1\n'z, w',2\n", {"quote": "'", "columns": ("a", "b")}),
    "lines within fields": (b'id,text,v\n1,"one\ntwo, x\nthree",2\n2,"a\nb",3\n3,c,4\n', {"columns": ("id", "text", "v")}),
    "a delimiter at each end": (b"a,b,c\n1,2,3,\n4,5,6,\n", {"columns": ("a", "b", "c", "column_4")}),
    "carriage returns": (b"a,b\r1,2\r3,4\r", {"columns": ("a", "b")}),
    "old escapes": (b'a,b\n"x \\"y\\" z",1\n"w",2\n', {"escape": "\\"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_dialect_is_found(case: str) -> None:
    data, expected = CASES[case]
    shape = sniff(io.BytesIO(data), "feed.csv")
    assert shape.dialect is not None
    assert {key: getattr(shape.dialect, key) for key in expected} == expected
    assert [field.name for field in shape.fields] == list(shape.dialect.columns)


def test_a_header_in_a_comment_leaves_every_line_a_row() -> None:
    found = read(ABUSE)
    assert found.rows == [
        ("2024-01-01 00:00:00", "1", "203.0.113.9:80"),
        ("2024-01-01 00:00:00", "2", "bad, example.com"),
    ]
    assert not found.faults


def test_two_lines_of_two_widths_are_not_read_as_nothing() -> None:
    found = read(b"c0\nv0\na;b\n")
    assert len(found.rows) + len(found.faults) >= 2


def test_a_file_that_grows_wider_later_loses_no_line() -> None:
    data = b"a,b\n" + b"1,2\n" * 1000 + b"1,2,3\n" * 29_000
    found = read(data)
    assert len(found.rows) + len(found.faults) == 30_000


def test_hashes_stay_text() -> None:
    found = read(b"hash\n1e123456789012345678901234567890\n00000000000000000000000000000001\n")
    assert found.rows[0] == ("1e123456789012345678901234567890",)


def test_the_first_lines_show_bytes_that_cannot_be_decoded() -> None:
    lines = b"a,b\n" + b"\xc3\xa9,1\n" * 5 + b"\xff,2\n" + b"x,3\n" * 30
    shape = sniff(io.BytesIO(lines), "x.csv")
    assert shape.dialect is not None
    assert len(shape.dialect.first_lines) == 20
    assert shape.dialect.first_lines[6] == "\\xff,2"


def test_changing_the_dialect_changes_the_fields() -> None:
    data = b"title\na;b\n1;2\n"
    shape = sniff(io.BytesIO(data), "x.csv")
    changed = shape.model_copy(update={"dialect": Dialect(delimiter=";", skip_lines=1)})
    again = refit(io.BytesIO(data), changed)
    assert [field.name for field in again.fields] == ["a", "b"]
    assert read(data, again).rows == [("1", "2")]


def test_detection_takes_a_bounded_time_on_a_wide_and_long_file() -> None:
    data = b"\n".join(b",".join(b'"%d, x"' % n for n in range(200)) for _ in range(20_000))
    before = time.thread_time()
    shape = sniff(io.BytesIO(data), "x.csv")
    assert time.thread_time() - before < 5
    assert len(shape.fields) == 200


def test_bytes_that_are_no_text_are_no_table() -> None:
    from connectors.formats.limits import Unknown

    with pytest.raises(Unknown):
        sniff(io.BytesIO(bytes(range(256)) * 50), "x.bin")
